//! What else is asked of the stores of Gateways: by admission, and by who judges certificates.
//!
//! In: the stores. Out: answers from memory. Never: a request.

use crds::k8s::{Secret, Timestamp};
use kube::runtime::reflector::ObjectRef;
use plan::dataplane::Kind;
use plan::gateway::Unusable;
use runtime::hub::{Hub, Streamed};

use super::life::{Life, verdict};
use super::stores::Entrances;
use crate::Hubs;

impl Entrances {
    /// Whether all objects of a kind in that namespace are in its store.
    pub fn knows<K: Streamed>(&self, namespace: &str) -> bool {
        self.is_listed(namespace, &Hub::<K>::known_as())
    }

    /// Whether the certificate in a Secret can be served now.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn certificate(
        &self,
        hubs: &Hubs,
        namespace: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<(), Unusable> {
        self.life(hubs, namespace, name)?.at(now.as_second()).map_err(|reason| unusable(&reason))
    }

    /// From when until when the certificate in a Secret can be served.
    pub(super) fn life(&self, hubs: &Hubs, namespace: &str, name: &str) -> Result<Life, Unusable> {
        let key = ObjectRef::<Secret>::new(name).within(namespace);
        let Some(secret) = self.certificates.get(&key) else {
            let is_there = hubs.exists(Kind::Secret, namespace, name);
            return Err(if is_there { Unusable::OtherType } else { Unusable::Absent });
        };
        verdict(&secret).map_err(|words| unusable(&words))
    }
}

/// Words that follow the name of a Secret.
pub fn unusable(words: &dyn std::fmt::Display) -> Unusable {
    Unusable::Wrong(format!("cannot be used: {words}"))
}
