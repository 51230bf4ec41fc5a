//! What a webhook configuration should be, and whether it is trusted as it is.
//!
//! In: the configuration as the API server has it, and what a registration wants. Out: the whole configuration, as
//! strict as it may be. Never: one that begins to refuse before the webhooks are known to be reached, or that refuses less
//! than it did.

use crds::k8s::ByteString;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::compare;
use super::lead::Registration;
use super::side::Configuration;

/// By these annotations cert-manager is told to write the authorities.
const INJECTED: [&str; 3] = [
    "cert-manager.io/inject-apiserver-ca",
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
];
/// Whether somebody else writes the authorities.
pub fn is_injected<K: Resource>(live: &K) -> bool {
    INJECTED.iter().any(|key| live.annotations().contains_key(*key))
}

/// The configuration as it should be.
pub fn want<K: Configuration>(
    shown: &Value,
    registration: &Registration,
    bundle: Option<&str>,
    tested: bool,
) -> Option<Value> {
    let encoded = bundle.and_then(|pem| serde_json::to_value(ByteString(pem.as_bytes().to_vec())).ok());
    let authorities = encoded.as_ref().and_then(Value::as_str);
    let of = |strict| registration.wanted(authorities, strict).into_iter().nth(K::INDEX);
    let (lenient, strict) = (of(false)?, of(true)?);
    let always = compare::refusing(&lenient);
    // What refuses only once the webhooks are known to be reached, and does so already.
    let refused =
        compare::refusing(&strict).intersection(&compare::refusing(shown)).any(|name| !always.contains(name));
    Some(if tested || refused { strict.clone() } else { lenient.clone() })
}

/// Whether every webhook that is wanted has these authorities among those that it trusts.
pub fn trusts(shown: &Value, want: &Value, bundle: &str) -> bool {
    let trusted = |webhook: &Value| {
        let encoded = webhook.pointer("/clientConfig/caBundle")?;
        String::from_utf8(serde_json::from_value::<ByteString>(encoded.clone()).ok()?.0).ok()
    };
    compare::webhooks(want).iter().all(|wanted| {
        let same = |webhook: &&Value| compare::name(webhook) == compare::name(wanted);
        let found = compare::webhooks(shown).iter().find(same);
        found.and_then(trusted).is_some_and(|trusted| certs::holds(&trusted, bundle))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, SystemTime};

    use crds::k8s::ValidatingWebhookConfiguration;
    use serde_json::json;

    use super::*;

    /// Two webhooks of one configuration: one that may refuse once it is reached, and the self-test, which may always.
    pub(crate) fn registration() -> Registration {
        Registration::new("test", |authorities, strict| {
            let policy = if strict { "Fail" } else { "Ignore" };
            let of = |name: &str, policy: &str| json!({ "name": name, "failurePolicy": policy, "clientConfig": { "caBundle": authorities } });
            [Value::Null, json!({ "webhooks": [of("a", policy), of("test", "Fail")] })]
        })
    }

    #[test]
    fn what_refuses_goes_on_refusing_and_nothing_else_does_before_its_time() {
        let wanted = |strict| registration().wanted(Some("eA=="), strict)[1].clone();
        for (what, shown, tested, strict) in [
            ("empty, as manifests bring it", json!({}), false, false),
            ("empty, and tested", json!({}), true, true),
            ("lenient", wanted(false), false, false),
            ("lenient, and tested", wanted(false), true, true),
            ("strict, after a restart", wanted(true), false, true),
        ] {
            let found = want::<ValidatingWebhookConfiguration>(&shown, &registration(), Some("x"), tested);
            assert_eq!(found, Some(wanted(strict)), "{what}");
        }
    }

    #[test]
    fn trust_is_what_every_webhook_has() {
        let make =
            || certs::Authority::make("x", SystemTime::UNIX_EPOCH + Duration::from_hours(10_000)).unwrap();
        let (one, other) = (make().certificate().to_owned(), make().certificate().to_owned());
        let encode = |pem: &str| serde_json::to_value(ByteString(pem.as_bytes().to_vec())).unwrap();
        let of = |pem: &str| registration().wanted(encode(pem).as_str(), true)[1].clone();
        let both = format!("{one}{other}");
        assert!(trusts(&of(&both), &of(&one), &one) && trusts(&of(&both), &of(&one), &both));
        assert!(!trusts(&of(&one), &of(&one), &both));
        let mut half = of(&both);
        half["webhooks"][1]["clientConfig"]["caBundle"] = encode(&one);
        assert!(!trusts(&half, &of(&one), &both));
        assert!(!trusts(&json!({}), &of(&one), &one));
    }
}
