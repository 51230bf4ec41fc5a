//! What Kong Ingress Controller says of its pushes.
//!
//! In: its figures, as it exposes them on port 10255. Out: what each Kong pod made of the last configuration that it was
//! pushed, how often it refused one, and how many objects could not be translated at all. Only a replica that has pushed
//! has such figures; those of pods that are gone stay until it ends. A push that is not answered, or with 413 or 500, is
//! not among them. A refused configuration is pushed again at every sync; one that was accepted before is not, so after the
//! way back to it the figures stay as the refusal left them.
//! (Kong Ingress Controller 3.5, `internal/metrics`.)

use std::collections::BTreeMap;

use crate::exposition;

/// What became of the configurations that were pushed to one pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// How many resources of the last one were not taken.
    pub broken: u32,
    /// How many were refused.
    pub refusals: u32,
}

/// What became of the configurations that were pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushes {
    /// By the base URL of the admin API.
    by_base: BTreeMap<String, Pushed>,
    /// How many objects could not be translated.
    pub untranslated: u32,
    /// Whether it is the replica that pushes: the one with the lease.
    pub leads: bool,
}

impl Pushes {
    /// Reads figures.
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        for sample in exposition::samples(text) {
            match sample.name {
                "ingress_controller_configuration_push_broken_resource_count" => {
                    if let Some(base) = sample.label("dataplane") {
                        found.by_base.entry(base).or_default().broken = number(sample.value);
                    }
                }
                "ingress_controller_configuration_push_count" => {
                    let refused = sample.label("success").as_deref() == Some("false");
                    if let Some(base) = sample.label("dataplane").filter(|_| refused) {
                        let pushed = found.by_base.entry(base).or_default();
                        pushed.refusals = pushed.refusals.saturating_add(number(sample.value));
                    }
                }
                "ingress_controller_translation_broken_resource_count" => {
                    found.untranslated = number(sample.value);
                }
                "leader_election_master_status" => found.leads = sample.value > 0.0,
                _ => {}
            }
        }
        found
    }

    /// What was pushed to the pod of that address; nothing where nothing was.
    pub fn to(&self, address: &str) -> Option<Pushed> {
        self.by_base.iter().find(|(base, _)| is_at(base, address)).map(|(_, pushed)| *pushed)
    }
}

/// Gauges of counts; what is no number counts as none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
fn number(value: f64) -> u32 {
    if value.is_finite() { value.clamp(0.0, f64::from(u32::MAX)) as u32 } else { 0 }
}

/// Whether a base URL is that of a pod: `https://10.0.0.5:8444`, `https://[fd00::5]:8444`, or, as names of pods are made,
/// `https://10-0-0-5.SERVICE.NAMESPACE.svc:8444`.
fn is_at(base: &str, address: &str) -> bool {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let dashed = address.replace(['.', ':'], "-");
    host == address || host.split_once('.').is_some_and(|(first, _)| first == dashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURES: &str = r#"
# TYPE ingress_controller_configuration_push_broken_resource_count gauge
ingress_controller_configuration_push_broken_resource_count{dataplane="https://10.0.0.5:8444",instance_id="a"} 2
ingress_controller_configuration_push_broken_resource_count{dataplane="https://10-0-0-6.dataplane-edge-admin.team.svc:8444"} 0
ingress_controller_configuration_push_broken_resource_count{dataplane="https://[fd00::7]:8444"} 1
ingress_controller_fallback_configuration_push_broken_resource_count{dataplane="https://10.0.0.8:8444"} 9
ingress_controller_configuration_push_count{dataplane="https://10.0.0.5:8444",failure_reason="",success="true"} 9
ingress_controller_configuration_push_count{dataplane="https://10.0.0.5:8444",failure_reason="other",success="false"} 4
ingress_controller_configuration_push_count{dataplane="https://10.0.0.5:8444",failure_reason="conflict",success="false"} 1
ingress_controller_translation_broken_resource_count{instance_id="a"} 3
leader_election_master_status{name="edge.konghq.com"} 1
"#;

    #[test]
    fn each_pod_is_found_by_its_address() {
        let pushes = Pushes::read(FIGURES);
        let seen = |address| pushes.to(address).map(|to| (to.broken, to.refusals));
        assert_eq!(seen("10.0.0.5"), Some((2, 5)));
        assert_eq!(seen("10.0.0.6"), Some((0, 0)));
        assert_eq!(seen("fd00::7"), Some((1, 0)));
        assert_eq!(seen("10.0.0.8"), None, "a fallback is no verdict on the whole");
        assert_eq!(seen("10.0.0.50"), None);
        assert_eq!((pushes.untranslated, pushes.leads), (3, true));
    }

    #[test]
    fn a_replica_that_never_pushed_says_nothing() {
        assert_eq!(Pushes::read("up 1\n"), Pushes::default());
        assert_eq!((number(f64::NAN), number(-1.0), number(1e12)), (0, 0, u32::MAX));
    }
}
