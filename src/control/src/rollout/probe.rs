//! What is asked of Kong before a canary gets a request of anybody's.
//!
//! In: what the machine wants to know. Out: whether the canary takes stable's configuration, and answers as stable does.
//! Never: a pod that Kong Ingress Controller feeds: what it pushed would be lost until it pushes again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certs::{Authority, Pair, Request};
use crds::defaults::ADMIN_PORT;
use crds::k8s::Pod;
use crds::names;
use crds::{DataPlane, GatewayRollout};
use kong::admin::{Admin, Submission};
use kong::parity::{Asks, Pod as Asked};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use rollout::observation::{Configuration, Parity};
use rollout::wanted::Wanted;

use super::attempt::Attempt;
use super::observe::{address, running};
use super::{Error, Rollouts};
use crate::certificate;

/// Kong routes by a new configuration some time after it has taken it.
const SETTLES: Duration = Duration::from_secs(2);

impl Rollouts {
    /// Finds out what the machine wants to know; returns the first differences in words.
    pub(super) async fn probe(
        &self,
        object: &GatewayRollout,
        wanted: &Wanted,
        attempt: &mut Attempt,
    ) -> Result<Vec<String>, Error> {
        let Some(dataplane) = self.target(object) else { return Ok(Vec::new()) };
        let asks = (wanted.submit && self.is_configured(&dataplane)) || wanted.compare;
        if !asks {
            return Ok(attempt.words.clone());
        }
        let all = self.pods(&dataplane);
        let first = |track: &str| running(&all, track).into_iter().find(|pod| address(pod).is_some());
        let (Some(stable), Some(canary)) = (first(&object.spec.from.track), first(&object.spec.to.track))
        else {
            return Ok(Vec::new());
        };
        let Some(admin) = self.admin(&dataplane)? else { return Ok(Vec::new()) };
        if wanted.submit && self.is_configured(&dataplane) {
            submit(&admin, (&stable, &canary), attempt).await;
        }
        if wanted.compare && attempt.parity == Parity::Unknown {
            self.compare(object, &admin, (&stable, &canary), attempt).await;
        }
        Ok(attempt.words.clone())
    }

    async fn compare(
        &self,
        object: &GatewayRollout,
        admin: &Admin,
        (stable, canary): (&Pod, &Pod),
        attempt: &mut Attempt,
    ) {
        if attempt.submitted.as_ref().is_some_and(|(_, at)| at.elapsed() < SETTLES) {
            return;
        }
        let (Some(from), Some(to)) = (address(stable), address(canary)) else { return };
        let configuration = match admin.configuration(SocketAddr::new(from, ADMIN_PORT.number())).await {
            Ok(configuration) => configuration,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "stable's configuration cannot be read"
                );
                return;
            }
        };
        let asked = |track: &str, address| {
            let ports = self.ports(object, track);
            Asked { address, plain: ports.0, tls: ports.1 }
        };
        let (stable, canary) = (asked(&object.spec.from.track, from), asked(&object.spec.to.track, to));
        let report = self.prober.compare(&stable, &canary, &Asks::of(&configuration)).await;
        let kong::parity::Report { checked, mismatched, unsettled, skipped, .. } = report;
        tracing::info!(checked, mismatched, unsettled, skipped, "routes of the canary were compared");
        attempt.words.clone_from(&report.words);
        attempt.parity = Parity::from(&report);
    }

    /// The ports of a track's proxy.
    fn ports(&self, object: &GatewayRollout, track: &str) -> (Option<u16>, Option<u16>) {
        let name = names::deployment(&object.spec.target.name, track);
        let key = ObjectRef::new(&name).within(&object.namespace().unwrap_or_default());
        let live = self.cx.hubs.deployments.get(&key);
        live.map_or((None, None), |live| plan::dataplane::proxy_ports(&live))
    }

    /// A client of the admin API of the pods, by a certificate that nobody keeps.
    fn admin(&self, dataplane: &DataPlane) -> Result<Option<Admin>, Error> {
        let (namespace, name) = (dataplane.namespace().unwrap_or_default(), dataplane.name_any());
        let key = ObjectRef::new(&names::client_authority(&name)).within(&namespace);
        let Some(secret) = self.cx.hubs.secrets.get(&key) else { return Ok(None) };
        let Some(pair) = certificate::pair(&secret) else { return Ok(None) };
        let leaf = issue(&pair).map_err(Error::Certificate)?;
        let identity = kong::admin::Identity {
            authorities: self.cx.authority.certificate(),
            certificate: &leaf.certificate,
            key: &leaf.key,
        };
        let admin = Admin::new(&identity, &names::admin_service(&name), &namespace);
        if let Err(error) = &admin {
            tracing::warn!(error = error as &dyn std::error::Error, "no client of the admin API");
        }
        Ok(admin.ok())
    }
}

fn issue(authority: &Pair) -> Result<Pair, certs::Error> {
    let now = std::time::SystemTime::from(runtime::clock::now());
    Authority::read(authority)?.issue(&Request::client(["silverback"]), now)
}

/// Gives stable's configuration to the canary, once for each pod.
async fn submit(admin: &Admin, (stable, canary): (&Arc<Pod>, &Arc<Pod>), attempt: &mut Attempt) {
    let (Some(from), Some(to)) = (address(stable), address(canary)) else { return };
    let pod = canary.uid().unwrap_or_default();
    if attempt.submitted.as_ref().is_some_and(|(known, _)| *known == pod)
        && attempt.configuration != Configuration::Unknown
    {
        return;
    }
    let at = |address| SocketAddr::new(address, ADMIN_PORT.number());
    let configuration = match admin.configuration(at(from)).await {
        Ok(configuration) => configuration,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "stable's configuration cannot be read");
            return;
        }
    };
    let submission = admin.submit(at(to), &configuration).await;
    if let Submission::Unreachable(error) = &submission {
        tracing::debug!(error = error as &dyn std::error::Error, "the canary's admin API does not answer");
    }
    attempt.configuration = Configuration::from(&submission);
    attempt.submitted = Some((pod, Instant::now()));
}
