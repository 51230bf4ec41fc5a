//! Leader election as client-go does it.
//! In: a Lease. Out: when this process leads, and when it no longer does. Never releases the Lease: the next leader waits
//! for its end, as after the real KIC.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::Instant;

use crate::log;
use crate::settings::values::Named;

/// How long a Lease holds without renewal.
const DURATION: Duration = Duration::from_secs(15);
/// How long a leader tries to renew before it ends.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between tries.
const RETRY: Duration = Duration::from_secs(2);

/// A candidate.
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The record last seen, and when: other clocks are not trusted.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Election {
    /// A candidate for the Lease of that name.
    pub fn new(client: &Client, lease: &Named, identity: String) -> Self {
        let api = Api::namespaced(client.clone(), &lease.namespace);
        Self { api, name: lease.name.clone(), identity, seen: None }
    }

    /// Waits until this process leads.
    pub async fn lead(&mut self) {
        log::info(&format!("attempting to acquire leader lease {}...", self.name));
        loop {
            match self.attempt().await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => log::error(&format!("error retrieving resource lock {}: {error}", self.name)),
            }
            tokio::time::sleep(RETRY).await;
        }
        log::info(&format!("successfully acquired lease {}", self.name));
    }

    /// Renews until that fails for too long.
    pub async fn keep(&mut self) -> String {
        let mut renewed = Instant::now();
        while renewed.elapsed() < DEADLINE {
            tokio::time::sleep(RETRY).await;
            match tokio::time::timeout(DEADLINE.saturating_sub(renewed.elapsed()), self.attempt()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Err(error)) => log::error(&format!("failed to renew lease {}: {error}", self.name)),
                Ok(Ok(false)) | Err(_) => break,
            }
        }
        "leader election lost".to_owned()
    }

    /// Takes or renews the Lease if that is allowed now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let spec = Some(self.record(None, now));
            let made = self.api.create(&PostParams::default(), &Lease { metadata, spec }).await?;
            self.observe(made.spec.unwrap_or_default());
            return Ok(true);
        };
        let found = lease.spec.clone().unwrap_or_default();
        self.observe(found.clone());
        let holder = found.holder_identity.as_deref().unwrap_or_default();
        let fresh = self.seen.as_ref().is_some_and(|(_, at)| at.elapsed() < DURATION);
        if !holder.is_empty() && holder != self.identity && fresh {
            return Ok(false);
        }
        lease.spec = Some(self.record(Some(&found), now));
        let written = self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        self.observe(written.spec.unwrap_or_default());
        Ok(true)
    }

    fn observe(&mut self, record: LeaseSpec) {
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record, Instant::now()));
        }
    }

    /// What this process writes over what was there before; another holder counts as a transition.
    fn record(&self, before: Option<&LeaseSpec>, now: MicroTime) -> LeaseSpec {
        let own = before.filter(|before| before.holder_identity.as_ref() == Some(&self.identity));
        let transitions = before.map_or(0, |before| before.lease_transitions.unwrap_or(0));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: own.and_then(|own| own.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(before.is_some() && own.is_none())),
            ..LeaseSpec::default()
        }
    }
}
