//! What is seen of a rollout.
//!
//! In: watch stores, the slices of the ingress Service, counters of pods, what Kong Ingress Controller says of its pushes.
//! Out: an observation. Never: a conclusion; what could not be read is not known.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::defaults::{CONTROLLER_METRICS_PORT, STATUS_PORT};
use crds::k8s::{EndpointSlice, Pod, Timestamp};
use crds::names::{PROXY_CONTAINER, annotations, labels};
use crds::rollout::RolloutRevision;
use crds::{DataPlane, GatewayRollout};
use kong::attended::{CONTROLLER_CHECK, CONTROLLER_SYNC, Ledger, Sent};
use kong::controller::Pushes;
use kong::figures::Figures;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::attempt::{Serving, pods};
use plan::image::Image;
use rollout::Observation;
use rollout::judge::{Arm, Sample, Window};
use rollout::observation::{Configuration, Pods, Revision, Trouble};
use rollout::state::{Stage, State};
use runtime::clock;
use serde_json::Value;

use super::attempt::{Attempt, Known};
use super::{Error, Rollouts};

/// How often counters are read.
const WINDOW: Duration = Duration::from_secs(14);
/// How often Kong Ingress Controller is asked what became of its pushes.
const LISTEN: Duration = Duration::from_secs(3);
/// Most pods of each revision that are read.
const MOST: usize = 8;
/// How often a kubelet asks whether a pod is ready, and whether it lives; ours, where the user has no probes of their own.
const READINESS: Duration = Duration::from_secs(2);
const LIVENESS: Duration = Duration::from_secs(10);

impl Rollouts {
    pub(super) async fn observe(
        &self,
        object: &GatewayRollout,
        dataplane: &DataPlane,
        state: &State,
        attempt: &mut Attempt,
    ) -> Result<Observation, Error> {
        let all = self.pods(dataplane);
        let slices = self.slices(dataplane).await?;
        let serving = Serving::of(&slices);
        let (from, to) = (&object.spec.from, &object.spec.to);
        let (stable, mut canary) = (pods(&all, &from.track, &serving), pods(&all, &to.track, &serving));
        let others = if state.stage == Stage::Pending { canary.present } else { 0 };
        let is_configured = self.is_configured(dataplane);
        let (stables, canaries) = (running(&all, &from.track), running(&all, &to.track));
        if state.joined && is_configured {
            self.listen(dataplane, (&stables, &canaries), attempt).await;
        }
        let window = self.measure((&stables, &canaries), state, attempt).await;
        canary.trouble = canary.trouble.or_else(|| another_version(to, attempt));
        let template =
            dataplane.spec.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref());
        Ok(Observation {
            asked: Revision(plan::attempt::revision(template)),
            staged: plan::attempt::is_staged(dataplane),
            strength: self.strength(dataplane, object),
            stable,
            canary,
            others,
            configuration: configuration(state, attempt, (is_configured, &canary)),
            parity: attempt.parity,
            fed: !is_configured || self.is_fed(dataplane),
            hooks: self.hooks(object, state, attempt).await,
            window,
            confounded: false,
            request: None,
        })
    }

    pub(super) fn pods(&self, dataplane: &DataPlane) -> Vec<Arc<Pod>> {
        let (namespace, name) = (dataplane.namespace(), dataplane.name_any());
        self.cx.hubs.pods.select(|pod| {
            pod.namespace() == namespace && pod.annotations().get(annotations::DATAPLANE) == Some(&name)
        })
    }

    async fn slices(&self, dataplane: &DataPlane) -> Result<Vec<EndpointSlice>, Error> {
        let service = plan::dataplane::ingress_service(dataplane);
        let of = format!("kubernetes.io/service-name={service}");
        Ok(self.cx.kit.writer.list(&dataplane.namespace().unwrap_or_default(), &of).await?)
    }

    /// Whether a control plane configures the pods.
    pub(super) fn is_configured(&self, dataplane: &DataPlane) -> bool {
        self.cx.planes.configures(&dataplane.namespace().unwrap_or_default(), &dataplane.name_any())
    }

    /// Pods that are to serve, by the specification or its autoscaler.
    fn strength(&self, dataplane: &DataPlane, object: &GatewayRollout) -> u32 {
        let deployment = dataplane.spec.deployment.as_ref();
        let is_scaled = deployment.is_some_and(|deployment| deployment.scaling.is_some());
        let asked = deployment.and_then(|deployment| deployment.replicas).filter(|_| !is_scaled);
        let track = plan::attempt::serving(plan::attempt::Live {
            deployments: &[],
            rollouts: &[Arc::new(object.clone())],
        });
        let name = crds::names::deployment(&dataplane.name_any(), &track);
        let key = ObjectRef::new(&name).within(&dataplane.namespace().unwrap_or_default());
        let live = || self.cx.hubs.deployments.get(&key)?.spec.as_ref()?.replicas;
        let count =
            asked.or_else(|| if is_scaled { live() } else { None }).unwrap_or(crds::defaults::REPLICAS);
        u32::try_from(count).unwrap_or(0)
    }

    fn controllers(&self, dataplane: &DataPlane) -> Vec<IpAddr> {
        let namespace = dataplane.namespace().unwrap_or_default();
        let planes = self.cx.planes.of(&namespace, &dataplane.name_any());
        let names: Vec<_> = planes.iter().map(|plane| plane.name_any()).collect();
        let pods = self.cx.hubs.pods.select(|pod| {
            pod.namespace().as_ref() == Some(&namespace)
                && pod.annotations().get(annotations::CONTROLPLANE).is_some_and(|name| names.contains(name))
        });
        pods.iter().filter_map(|pod| address(pod)).collect()
    }

    fn is_fed(&self, dataplane: &DataPlane) -> bool {
        !self.controllers(dataplane).is_empty()
    }

    /// What Kong Ingress Controller says of its pushes to the canary. A configuration that stable refuses as well says
    /// nothing about the canary.
    async fn listen(
        &self,
        dataplane: &DataPlane,
        (stable, canary): (&[Arc<Pod>], &[Arc<Pod>]),
        attempt: &mut Attempt,
    ) {
        if attempt.heard.is_some_and(|heard| heard.elapsed() < LISTEN) {
            return;
        }
        attempt.heard = Some(Instant::now());
        for controller in self.controllers(dataplane) {
            let asked = self.scraper.get(controller, CONTROLLER_METRICS_PORT.number(), "/metrics").await;
            let Ok(text) = asked else { continue };
            let said = Pushes::read(&text);
            let by_stable = refusing(&said, stable, attempt);
            let by_canary = refusing(&said, canary, attempt);
            if let (None, Some(at)) = (by_stable, by_canary) {
                let words =
                    format!("Kong Ingress Controller says that the pod at {at} refuses what it pushes");
                attempt.pushed = Configuration::Rejected(words);
            }
        }
    }

    /// What pods counted since they were read last. Each window costs one request to each pod.
    async fn measure(
        &self,
        (stable, canary): (&[Arc<Pod>], &[Arc<Pod>]),
        state: &State,
        attempt: &mut Attempt,
    ) -> Option<Window> {
        let is_measured =
            matches!(state.stage, Stage::Preflight | Stage::Stepping | Stage::Promoting | Stage::Draining);
        let span = attempt.read.map_or(WINDOW, |read| read.elapsed());
        if !is_measured || canary.is_empty() || span < WINDOW {
            return None;
        }
        attempt.read = Some(Instant::now());
        let mut control: Vec<_> = stable.to_vec();
        // The youngest are most like the canary.
        control.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
        let sides = canary
            .iter()
            .take(MOST)
            .map(|pod| (Arm::Canary, pod))
            .chain(control.iter().take(MOST).map(|pod| (Arm::Control, pod)));
        let mut samples = Vec::new();
        for (arm, pod) in sides {
            samples.extend(self.sample(arm, pod, attempt).await);
        }
        attempt.meter.read(span, samples)
    }

    async fn sample(&self, arm: Arm, pod: &Pod, attempt: &mut Attempt) -> Option<Sample> {
        let (uid, at) = (pod.uid()?, address(pod)?);
        let figures = Figures::ask(&self.scraper, at, STATUS_PORT.number()).await.ok()?;
        let known = attempt.ledgers.entry(uid.clone()).or_insert_with(|| Known {
            ledger: Ledger::default(),
            since: Instant::now(),
            asked: 0,
            canary: arm == Arm::Canary,
            version: None,
        });
        known.asked += 1;
        known.version.clone_from(&figures.version);
        let periods = vec![READINESS, LIVENESS, CONTROLLER_CHECK, CONTROLLER_SYNC];
        let sent = Sent { periods, elapsed: known.since.elapsed(), asked: known.asked };
        let counters = known.ledger.settle(&figures, &sent, None);
        Some(Sample { pod: uid, arm, age: age(pod, clock::now()), counters })
    }
}

/// The first of these pods that has refused a push since it was first heard of. Addresses come again, and with them the
/// count of who had them before.
fn refusing(said: &Pushes, pods: &[Arc<Pod>], attempt: &mut Attempt) -> Option<IpAddr> {
    let mut found = None;
    for at in pods.iter().filter_map(|pod| address(pod)) {
        let refusals = said.to(&at.to_string()).map_or(0, |pushed| pushed.refusals);
        let first = *attempt.refusals.entry(at.to_string()).or_insert(refusals);
        if refusals > first {
            found = found.or(Some(at));
        }
    }
    found
}

/// Pods of a track whose Kong runs.
pub(super) fn running(all: &[Arc<Pod>], track: &str) -> Vec<Arc<Pod>> {
    let is_of = |pod: &&Arc<Pod>| pod.labels().get(labels::TRACK).is_some_and(|found| found == track);
    let runs = |pod: &&Arc<Pod>| {
        let containers =
            pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        containers.iter().any(|container| {
            container.name == PROXY_CONTAINER
                && container.state.as_ref().is_some_and(|state| state.running.is_some())
        })
    };
    all.iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(is_of)
        .filter(runs)
        .cloned()
        .collect()
}

/// The address of a pod that runs.
pub(super) fn address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
    status.pod_ip.as_deref().filter(|_| pod.metadata.deletion_timestamp.is_none())?.parse().ok()
}

/// How long a pod has been ready.
fn age(pod: &Pod, now: Timestamp) -> Duration {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True");
    let since = ready.and_then(|condition| condition.last_transition_time.as_ref());
    since.map_or(Duration::ZERO, |since| rollout::state::between(since.0, now))
}

/// Whether the canary takes its configuration. Where nobody configures it from outside, it has taken its own when it is ready.
fn configuration(state: &State, attempt: &Attempt, (is_configured, canary): (bool, &Pods)) -> Configuration {
    let is_ready = canary.ready > 0;
    match (is_configured, state.joined) {
        (true, false) => attempt.configuration.clone(),
        (true, true) if matches!(attempt.pushed, Configuration::Rejected(_)) => attempt.pushed.clone(),
        _ if is_ready => Configuration::Accepted,
        _ => Configuration::Unknown,
    }
}

/// A tag that says one version and an image that has another.
fn another_version(to: &RolloutRevision, attempt: &Attempt) -> Option<Trouble> {
    let containers =
        to.pod_template_spec.as_ref()?.as_value().pointer("/spec/containers").and_then(Value::as_array)?;
    let proxy = containers
        .iter()
        .find(|container| container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER))?;
    let image = Image::read(proxy.get("image").and_then(Value::as_str)?).ok()?;
    let wanted: Vec<u32> = image.tag?.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    let differs = |said: &String| {
        let said: Vec<u32> = said.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
        wanted.len() >= 2
            && said.len() >= 2
            && wanted.iter().zip(&said).take(3).any(|(wanted, said)| wanted != said)
    };
    let canaries = attempt.ledgers.values().filter(|known| known.canary);
    canaries.filter_map(|known| known.version.as_ref()).any(differs).then_some(Trouble::Version)
}
