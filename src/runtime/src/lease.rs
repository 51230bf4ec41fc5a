//! The lease by which one replica reconciles while the others stand by.
//!
//! In: who we are. Out: a [`Claim`] that every writer asks before it writes, and that runs out by the monotonic
//! clock: a process that was paused past its lease and wakes does not write. Losing the lease is an error that
//! ends the process. Clocks of different machines are never compared (as in client-go): a lease is free when
//! it has not changed for its duration since we first saw it so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crds::k8s::{Lease, LeaseSpec, MicroTime};
use crds::names::managers;
use kube::ResourceExt;
use kube::api::{Api, PostParams};

use crate::clock;
use crate::health::{Checks, Pulse};

/// How long a lease that is not renewed keeps others waiting.
const DURATION: Duration = Duration::from_secs(10);
/// How long after the last renewal began its holder still writes; the rest is for a write under way.
const CURRENT: Duration = Duration::from_secs(7);
const RENEW: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_secs(1);
/// How long one request may take: three tries fit into what is left after a renewal.
const REQUEST: Duration = Duration::from_secs(2);
/// After how long without a turn of its loop the candidate counts as stuck.
const STUCK: Duration = Duration::from_secs(30);

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not renewed in time, or somebody else has it.
    #[error(
        "the lease {0:?} is lost: another replica reconciles now, or the API server could not be reached"
    )]
    Lost(String),
}

/// Whether this process holds the lease; cloning shares it.
#[derive(Debug, Clone)]
pub struct Claim {
    begun: Instant,
    /// Milliseconds after `begun` at which it runs out; zero when it is not held.
    until: Arc<AtomicU64>,
}

impl Claim {
    fn none() -> Self {
        Self { begun: Instant::now(), until: Arc::default() }
    }

    /// A claim that never runs out, for a process that is alone.
    pub fn forever() -> Self {
        let claim = Self::none();
        claim.until.store(u64::MAX, Ordering::Release);
        claim
    }

    /// Whether it is held now.
    pub fn is_current(&self) -> bool {
        self.millis(Instant::now()) < self.until.load(Ordering::Acquire)
    }

    fn extend(&self, from: Instant) {
        self.until.store(self.millis(from + CURRENT), Ordering::Release);
    }

    fn drop(&self) {
        self.until.store(0, Ordering::Release);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }
}

/// A candidate for the lease, and its holder once it has it.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    holder: String,
    claim: Claim,
    live: Checks,
    /// The lease as it was last written by us.
    held: Option<Lease>,
}

/// The lease as others hold it, and since when we have seen it so.
struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Candidate {
    /// A candidate for the lease of that name; `holder` must be another one for each replica. While it waits for the
    /// lease or holds it, `live` sees whether its loop turns.
    pub fn new(api: Api<Lease>, name: &str, holder: String, live: Checks) -> Self {
        Self { api, name: name.to_owned(), holder, claim: Claim::none(), live, held: None }
    }

    /// What writers ask.
    pub fn claim(&self) -> Claim {
        self.claim.clone()
    }

    /// Waits until the lease is ours.
    pub async fn acquire(&mut self) {
        let mut seen = Seen { version: None, since: Instant::now() };
        let pulse = self.pulse();
        loop {
            pulse.beat();
            match self.attempt(&mut seen).await {
                Ok(true) => {
                    tracing::info!(lease = self.name, holder = self.holder, "leading");
                    return;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        lease = self.name,
                        "lease not read, trying again"
                    );
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renews the lease for as long as it is ours.
    ///
    /// # Errors
    /// When it is lost; then nothing may be written any more.
    pub async fn hold(&mut self) -> Error {
        let pulse = self.pulse();
        loop {
            pulse.beat();
            tokio::time::sleep(RENEW).await;
            while let Err(error) = self.renew().await {
                let taken = matches!(&error, kube::Error::Api(status) if status.is_conflict());
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    lease = self.name,
                    "lease not renewed"
                );
                if taken || !self.claim.is_current() {
                    self.claim.drop();
                    return Error::Lost(self.name.clone());
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Gives the lease back, so that another replica need not wait for it to run out.
    pub async fn release(&mut self) {
        self.claim.drop();
        let Some(mut lease) = self.held.take() else { return };
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = None;
        }
        match self.replace(&lease).await {
            Ok(_) => tracing::info!(lease = self.name, "lease released"),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                lease = self.name,
                "lease not released"
            ),
        }
    }

    fn pulse(&self) -> Pulse {
        self.live.pulse("lease", STUCK)
    }

    async fn attempt(&mut self, seen: &mut Seen) -> kube::Result<bool> {
        let began = Instant::now();
        let Some(mut found) = bounded(self.api.get_opt(&self.name)).await? else {
            return self.take(began, self.wanted(None)).await;
        };
        let holder = found.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        if seen.version != found.resource_version() {
            *seen = Seen { version: found.resource_version(), since: began };
        }
        if !holder.is_empty() && holder != self.holder && seen.since.elapsed() < DURATION {
            return Ok(false);
        }
        found.spec = self.wanted(found.spec.as_ref()).spec;
        self.take(began, found).await
    }

    /// A write that fails on the version or the name means that somebody was faster.
    async fn take(&mut self, began: Instant, lease: Lease) -> kube::Result<bool> {
        let written = if lease.metadata.resource_version.is_some() {
            self.replace(&lease).await
        } else {
            self.create(&lease).await
        };
        match written {
            Ok(written) => {
                self.claim.extend(began);
                self.held = Some(written);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn renew(&mut self) -> kube::Result<()> {
        let began = Instant::now();
        let Some(mut lease) = self.held.clone() else { return Ok(()) };
        if let Some(spec) = lease.spec.as_mut() {
            spec.renew_time = Some(MicroTime(clock::now()));
        }
        let written = self.replace(&lease).await?;
        self.claim.extend(began);
        self.held = Some(written);
        Ok(())
    }

    /// The lease as ours. The count of holders goes up when it was another's.
    fn wanted(&self, before: Option<&LeaseSpec>) -> Lease {
        let now = Some(MicroTime(clock::now()));
        let transitions =
            before.and_then(|spec| spec.lease_transitions).map_or(0, |count| count.saturating_add(1));
        let spec = LeaseSpec {
            acquire_time: now.clone(),
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: Some(transitions),
            renew_time: now,
            ..LeaseSpec::default()
        };
        let mut lease = Lease { spec: Some(spec), ..Lease::default() };
        lease.metadata.name = Some(self.name.clone());
        lease
    }

    async fn replace(&self, lease: &Lease) -> kube::Result<Lease> {
        let params = params();
        // With the version that was read: whoever was faster wins.
        #[expect(clippy::disallowed_methods, reason = "the lease is what allows other writes")]
        let sent = self.api.replace(&self.name, &params, lease);
        bounded(sent).await
    }

    async fn create(&self, lease: &Lease) -> kube::Result<Lease> {
        let params = params();
        #[expect(clippy::disallowed_methods, reason = "the lease is what allows other writes")]
        let sent = self.api.create(&params, lease);
        bounded(sent).await
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(managers::LEASE.to_owned()), ..PostParams::default() }
}

async fn bounded<T>(sent: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    let late = |_| kube::Error::Service("no answer in time".into());
    tokio::time::timeout(REQUEST, sent).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_runs_out_by_itself() {
        let claim = Claim::none();
        assert!(!claim.is_current(), "nothing is held at first");
        let now = Instant::now();
        claim.extend(now);
        assert!(claim.is_current());
        let until = claim.until.load(Ordering::Acquire);
        assert!(until <= claim.millis(now + CURRENT));
        claim.until.store(claim.millis(now), Ordering::Release);
        assert!(!claim.is_current(), "its time has come");
        assert!(Claim::forever().is_current());
    }

    #[test]
    fn what_is_current_ends_well_before_others_may_take_over() {
        assert!(CURRENT + REQUEST < DURATION);
        assert!(RENEW + REQUEST + RETRY < CURRENT, "one failed renewal does not end it");
        assert!(RENEW + CURRENT + REQUEST < STUCK && RETRY + REQUEST * 2 < STUCK, "no turn takes that long");
    }
}
