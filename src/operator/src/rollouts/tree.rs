//! A rollout as a tree: the rollout, its tracks, their pods, and what is known of them.
//!
//! In: a rollout, pods, the time. Out: text. Never: a colour, which a log would not show.

use std::fmt::Write;

use crds::GatewayRollout;
use crds::k8s::{Pod, Timestamp};
use crds::names::labels;
use crds::rollout::{GatewayRolloutStatus, MetricStatus, RolloutRevision, TrackStatus};
use kube::ResourceExt;

/// Cells of a gauge.
const CELLS: usize = 10;

/// The tree of a rollout.
pub fn tree(rollout: &GatewayRollout, pods: &[Pod], now: Timestamp) -> String {
    let status = rollout.status.clone().unwrap_or_default();
    let mut text = String::new();
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let age = rollout.creation_timestamp().map(|made| age(now, made.0)).unwrap_or_default();
    line(&mut text, "", &format!("GatewayRollout {}  {phase}  {age}", rollout.name_any()));
    if let Some(message) = status.message.as_ref().filter(|_| status.completion.is_none()) {
        line(&mut text, "│ ", message);
    }
    if let Some(over) = &status.completion {
        line(&mut text, "│ ", &format!("{} ({}): {}", over.status, over.reason, over.message));
    }
    text.push_str(&step(&status));
    let tracks = status.replicas.clone().unwrap_or_default();
    track(&mut text, ("├─ stable", &rollout.spec.from, &tracks.stable), pods, "│  ");
    track(&mut text, ("├─ canary", &rollout.spec.to, &tracks.canary), pods, "│  ");
    if let Some(preflight) = &status.preflight {
        let parity = preflight.parity.clone().unwrap_or_default();
        let words = format!(
            "├─ preflight: configuration {}, {} of {} routes differ",
            preflight.config, parity.mismatched, parity.checked
        );
        line(&mut text, "", &words);
    }
    for hook in status.hooks.iter().flatten() {
        line(&mut text, "", &format!("├─ hook {}: {}", hook.name, hook.answer));
    }
    let analysis = status.analysis.unwrap_or_default();
    let verdict = analysis.verdict.as_deref().unwrap_or("none yet");
    line(&mut text, "", &format!("└─ analysis: {verdict}, {} windows", analysis.windows_observed));
    for metric in analysis.metrics.iter().flatten() {
        line(&mut text, "   ", &measured(metric));
    }
    text
}

/// All rollouts, the last one first.
pub fn history(all: &[GatewayRollout]) -> String {
    let mut text = format!("{:<24} {:<18} {:<18} {:<20} {}\n", "NAME", "FROM", "TO", "RESULT", "FINISHED");
    for rollout in all {
        let over = rollout.status.as_ref().and_then(|status| status.completion.as_ref());
        let (result, finished) = over.map_or(("under way", String::new()), |over| {
            (over.status.as_str(), over.finished_at.0.to_string())
        });
        let (from, to) = (&rollout.spec.from.revision, &rollout.spec.to.revision);
        line(
            &mut text,
            "",
            &format!("{:<24} {from:<18} {to:<18} {result:<20} {finished}", rollout.name_any()),
        );
    }
    text
}

fn line(text: &mut String, indent: &str, words: &str) {
    // To a string it cannot fail.
    let _ = writeln!(text, "{indent}{words}");
}

fn step(status: &GatewayRolloutStatus) -> String {
    let (Some(step), Some(weights)) = (&status.step, &status.weights) else { return String::new() };
    let observed = weights.observed.as_deref().unwrap_or("not counted");
    let left = step.hold_seconds.saturating_sub(step.held_seconds).max(0);
    let mut text = String::new();
    let weight = format!(
        "weight {} requested, {} effective, {observed} observed",
        weights.requested, weights.effective
    );
    line(&mut text, "│ ", &format!("step {} {:?}: {weight}; {left} s left", step.index + 1, step.name));
    text
}

fn track(
    text: &mut String,
    (name, revision, seen): (&str, &RolloutRevision, &TrackStatus),
    pods: &[Pod],
    indent: &str,
) {
    let words = format!(
        "{name}  revision {}  {}/{} ready, {} serve",
        revision.revision, seen.ready, seen.desired, seen.serving
    );
    line(text, "", &words);
    let own = pods.iter().filter(|pod| pod.labels().get(labels::TRACK) == Some(&revision.track));
    let mut own: Vec<_> = own.map(|pod| format!("{}  {}", pod.name_any(), state(pod))).collect();
    own.sort();
    for (nth, pod) in own.iter().enumerate() {
        let branch = if nth + 1 == own.len() { "└─" } else { "├─" };
        line(text, indent, &format!("{branch} {pod}"));
    }
}

fn state(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "terminating".to_owned();
    }
    let status = pod.status.clone().unwrap_or_default();
    let is_ready = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let waiting = status
        .container_statuses
        .iter()
        .flatten()
        .find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    if is_ready {
        "ready".to_owned()
    } else {
        waiting.unwrap_or_else(|| status.phase.unwrap_or_else(|| "Unknown".to_owned()))
    }
}

/// A metric, its counts, and a gauge of the evidence: full is beyond doubt.
fn measured(metric: &MetricStatus) -> String {
    let number = |text: &str| text.parse::<f64>().unwrap_or(0.0);
    let (evidence, threshold) = (number(&metric.evidence), number(&metric.threshold));
    let share = if threshold > 0.0 { (evidence / threshold).clamp(0.0, 1.0) } else { 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 to 10"
    )]
    let full = (share * CELLS as f64).round() as usize;
    let gauge = format!("{}{}", "█".repeat(full), "░".repeat(CELLS - full));
    let weight = if metric.critical { "decides" } else { "advises" };
    format!(
        "{:<18} canary {}/{}  stable {}/{}  evidence {} {gauge} {}  {weight}",
        metric.name,
        metric.canary.x,
        metric.canary.n,
        metric.stable.x,
        metric.stable.n,
        metric.evidence,
        metric.threshold
    )
}

fn age(now: Timestamp, made: Timestamp) -> String {
    let seconds = now.duration_since(made).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rollout_is_drawn_with_its_tracks_pods_and_evidence() {
        let status = json!({
            "phase": "Progressing", "message": "step \"half\" holds its weight",
            "step": { "index": 1, "name": "half", "heldSeconds": 20, "holdSeconds": 60 },
            "weights": { "requested": "50%", "effective": "50%", "observed": "48.7%" },
            "replicas": { "stable": { "desired": 2, "ready": 2, "serving": 2 }, "canary": { "desired": 2, "ready": 1, "serving": 1 } },
            "hooks": [{ "name": "preview/suite", "answer": "Passed", "askedAt": "2026-01-01T00:00:10Z" }],
            "preflight": { "config": "Accepted", "parity": { "checked": 12, "mismatched": 0 } },
            "analysis": { "windowsObserved": 3, "metrics": [{ "name": "gateway-errors", "critical": true,
                "canary": { "n": 900, "x": 9 }, "stable": { "n": 910, "x": 1 }, "evidence": "3.1", "threshold": "6.2" }] },
        });
        let revision = |revision: &str, track: &str| json!({ "revision": revision, "track": track });
        let spec = json!({ "target": { "kind": "DataPlane", "name": "edge" }, "from": revision("aaa", "1"), "to": revision("bbb", "2"), "strategy": {} });
        let metadata = json!({ "name": "edge-4", "creationTimestamp": "2026-01-01T00:00:00Z" });
        let rollout =
            serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap();
        let pod = |name: &str, track: &str, status| {
            serde_json::from_value(
                json!({ "metadata": { "name": name, "labels": { labels::TRACK: track } }, "status": status }),
            )
            .unwrap()
        };
        let ready = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
        let pods = [pod("edge-1-x", "1", ready), pod("edge-2-y", "2", json!({ "phase": "Pending" }))];
        let now = "2026-01-01T00:01:30Z".parse().unwrap();
        insta::assert_snapshot!(tree(&rollout, &pods, now));
    }
}
