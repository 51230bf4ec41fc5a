//! The lease by which the pods of a Kong Ingress Controller elect the one that configures.
//!
//! In: the pods that there were at the last look and those that there are. Out: a lease that is nobody's as soon as the pod
//! that held it has ended, which Kong Ingress Controller leaves to time, and that goes with its `ControlPlane`. Never: a
//! lease taken from a pod that is there, or changed since it was read.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::k8s::{Deployment, Lease, OwnerReference, Pod};
use crds::names::{self, annotations};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::controlplane::Valid;
use runtime::writer::Owner;

use super::{ControlPlanes, Error};

/// As long as a host's name may be.
const HOST: usize = 63;

/// The pods that were there at the last look at each `ControlPlane`, by its uid. Cloning shares them.
#[derive(Clone, Default)]
pub struct Candidates(Arc<Mutex<HashMap<String, BTreeSet<String>>>>);

impl Candidates {
    /// Those that were there and are not among those that run now.
    fn gone(&self, uid: &str, now: &BTreeSet<String>) -> BTreeSet<String> {
        self.known().get(uid).map(|before| before.difference(now).cloned().collect()).unwrap_or_default()
    }

    fn note(&self, uid: &str, now: BTreeSet<String>) {
        self.known().insert(uid.to_owned(), now);
    }

    fn forget(&self, uid: &str) {
        self.known().remove(uid);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ControlPlanes {
    /// Makes the lease before pods would, which give it no owner.
    pub(super) async fn elect(&self, owner: &Owner, valid: &Valid<'_>) -> Result<(), Error> {
        let Some(wanted) = valid.lease() else { return Ok(()) };
        if elects(self.deployed(owner).as_deref()) == wanted.metadata.name {
            return Ok(());
        }
        if self.writer().create(&owner.namespace, &wanted).await?.is_none() {
            self.tend(&wanted, &BTreeSet::new()).await?;
        }
        Ok(())
    }

    /// Once a pod has ended the lease is nobody's, if it was that pod's: the next one need not wait until it runs out.
    pub(super) async fn hand_over(&self, owner: &Owner, valid: &Valid<'_>) -> Result<(), Error> {
        let (now, candidates) = (self.running(owner), &self.0.planes.candidates);
        let gone = candidates.gone(&owner.uid, &now);
        if let Some(wanted) = valid.lease().filter(|_| !gone.is_empty()) {
            let hosts = |pods: &BTreeSet<String>| pods.iter().map(|pod| host(pod)).collect::<BTreeSet<_>>();
            let ended = hosts(&gone).difference(&hosts(&now)).cloned().collect();
            self.tend(&wanted, &ended).await?;
        }
        candidates.note(&owner.uid, now);
        Ok(())
    }

    /// Has the leases of a `ControlPlane` that is deleted go with it. Its pods, which end after it, may not make another
    /// one: what lets them goes first.
    pub(super) async fn resign(&self, owner: &Owner, reference: OwnerReference) -> Result<(), Error> {
        let name = names::controller(&owner.name);
        let used = elects(self.deployed(owner).as_deref());
        self.writer().remove(&self.0.planes.role_bindings, owner, &name).await?;
        for lease in BTreeSet::from([names::election(&owner.name)]).into_iter().chain(used) {
            let Some(found) = self.writer().read::<Lease>(&owner.namespace, &lease).await? else { continue };
            // One of that name may be somebody else's, where none of these pods ever led.
            let led = holder(&found).is_some_and(|holder| holder.starts_with(&format!("{name}-")));
            if found.owner_references().is_empty() && led {
                let owners = Some(vec![reference.clone()]);
                let mut found = found;
                found.metadata.owner_references = owners;
                self.writer().replace(&owner.namespace, &found).await?;
            }
        }
        self.0.planes.candidates.forget(&owner.uid);
        Ok(())
    }

    /// The lease is owned as wanted, and held by none of the hosts that ended.
    async fn tend(&self, wanted: &Lease, ended: &BTreeSet<String>) -> Result<(), Error> {
        let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
        let Some(mut lease) = self.writer().read::<Lease>(&namespace, &name).await? else { return Ok(()) };
        let is_over = holder(&lease).is_some_and(|holder| ended.contains(holder));
        let is_owned = !lease.owner_references().is_empty();
        if is_owned && !is_over {
            return Ok(());
        }
        if !is_owned {
            lease.metadata.owner_references.clone_from(&wanted.metadata.owner_references);
        }
        if let Some(spec) = lease.spec.as_mut().filter(|_| is_over) {
            tracing::info!(name, "its holder has ended: the lease is nobody's");
            spec.holder_identity = None;
        }
        self.writer().replace(&namespace, &lease).await?;
        Ok(())
    }

    fn deployed(&self, owner: &Owner) -> Option<Arc<Deployment>> {
        let key = ObjectRef::new(&names::controller(&owner.name)).within(&owner.namespace);
        self.0.hubs.deployments.get(&key)
    }

    /// Its pods that have not ended.
    fn running(&self, owner: &Owner) -> BTreeSet<String> {
        let is_running = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            pod.metadata.namespace.as_ref() == Some(&owner.namespace)
                && pod.annotations().get(annotations::CONTROLPLANE) == Some(&owner.name)
                && !matches!(phase, Some("Succeeded" | "Failed"))
        };
        self.0.hubs.pods.select(is_running).iter().map(|pod| pod.name_any()).collect()
    }
}

/// The lease by which the pods of a Deployment elect, where it is known.
fn elects(deployment: Option<&Deployment>) -> Option<String> {
    plan::controlplane::election(deployment?).map(str::to_owned)
}

/// The host that holds a lease: client-go adds an underscore and a random word to it.
fn holder(lease: &Lease) -> Option<&str> {
    let identity = lease.spec.as_ref()?.holder_identity.as_deref()?;
    identity.rsplit_once('_').map(|(host, _)| host).filter(|host| !host.is_empty())
}

/// What a pod calls itself: the kubelet shortens its name.
fn host(pod: &str) -> String {
    let short: String = pod.chars().take(HOST).collect();
    short.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_there_and_is_no_longer_is_gone() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let candidates = Candidates::default();
        assert!(candidates.gone("u", &set(&["a"])).is_empty(), "nothing is known before the first look");
        candidates.note("u", set(&["a", "b"]));
        assert_eq!(candidates.gone("u", &set(&["b", "c"])), set(&["a"]));
        assert!(candidates.gone("other", &set(&[])).is_empty());
        candidates.forget("u");
        assert!(candidates.gone("u", &set(&[])).is_empty());
    }

    #[test]
    fn a_holder_is_a_host_and_a_random_word() {
        let held = |identity: &str| {
            let spec = crds::k8s::LeaseSpec { holder_identity: Some(identity.into()), ..Default::default() };
            let lease = Lease { spec: Some(spec), ..Lease::default() };
            holder(&lease).map(str::to_owned)
        };
        assert_eq!(held("controlplane-edge-1-x_9e1f").as_deref(), Some("controlplane-edge-1-x"));
        assert_eq!((held(""), held("_9e1f"), held("edge")), (None, None, None));
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(9));
        assert_eq!(host(&long), "a".repeat(62), "as the kubelet shortens it");
        assert_eq!(host("edge-1"), "edge-1");
    }
}
