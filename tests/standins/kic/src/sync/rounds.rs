//! Rounds of pushes: one every few seconds, to all ready instances at once, each waiting for the slowest.
//! In: what was let in. Out: configured instances, reports, Events, figures. Never ends by itself.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval_at};

use super::push::{self, Pushed};
use super::recovery;
use crate::admin::nodes::Node;
use crate::attach::routes::Report;
use crate::cluster::recorder::Happened;
use crate::log;
use crate::settings::values::Named;
use crate::shared::Shared;
use crate::translate::object::Object;
use crate::translate::view::View;
use crate::translate::{Translation, translate};

/// Pushes for ever.
pub async fn run(shared: Arc<Shared>) -> Result<(), String> {
    tokio::time::sleep(shared.settings.duration("init-cache-sync-duration")).await;
    let period = shared.settings.seconds("proxy-sync-seconds");
    let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last_valid: Option<Arc<str>> = None;
    loop {
        ticks.tick().await;
        let nodes = shared.nodes.ready();
        if last_valid.is_none() {
            last_valid = recovery::recover(&nodes).await;
        }
        round(&shared, &nodes, &mut last_valid).await;
    }
}

async fn round(shared: &Shared, nodes: &[Arc<Node>], last_valid: &mut Option<Arc<str>>) {
    let translation = translated(shared, &BTreeSet::new());
    for (object, _, reason) in &translation.failed {
        shared.recorder.tell(object, Happened::TranslationFailed, reason).await;
    }
    let config: Arc<str> = translation.content.to_string().into();
    let (results, broken) =
        everywhere(shared, nodes, &config, [Happened::Succeeded, Happened::ApplyFailed]).await;
    if results.iter().all(Pushed::good) {
        // A round without instances counts as well.
        if !nodes.is_empty() {
            *last_valid = Some(config);
            report(shared, &translation);
        }
        shared.applied.store(true, Ordering::Relaxed);
        return;
    }
    if !results.iter().any(|one| matches!(one, Pushed::Refused(..))) {
        return;
    }
    let words = [Happened::FallbackSucceeded, Happened::FallbackFailed];
    if shared.settings.gate("FallbackConfiguration") {
        let rest: Arc<str> = translated(shared, &broken).content.to_string().into();
        everywhere(shared, nodes, &rest, words).await;
    } else if let Some(valid) = last_valid {
        everywhere(shared, nodes, valid, words).await;
    }
}

fn translated(shared: &Shared, without: &BTreeSet<Object>) -> Translation {
    let began = Instant::now();
    let (snapshot, admitted) = (shared.caches.snapshot(), shared.admitted());
    let view = View { snapshot: &snapshot, admitted: &admitted, options: &shared.options, without };
    let translation = translate(view);
    shared.metrics.translated(began.elapsed(), translation.failed.len());
    translation
}

/// Pushes to all instances and tells of it. Gives the results and the objects that Kong refused.
async fn everywhere(
    shared: &Shared,
    nodes: &[Arc<Node>],
    config: &Arc<str>,
    [good, bad]: [Happened; 2],
) -> (Vec<Pushed>, BTreeSet<Object>) {
    let results = join_all(nodes.iter().map(|node| push::push(node, config))).await;
    let mut refused = BTreeSet::new();
    for (node, result) in nodes.iter().zip(&results) {
        let base = &node.client.base;
        shared.metrics.pushed(base, result, config.len(), good != Happened::Succeeded);
        match result {
            Pushed::Same | Pushed::Taken(_) => {
                tell_pod(shared, good, &format!("successfully applied Kong configuration to {base}")).await;
            }
            Pushed::Refused(broken, _, text) => {
                for one in broken {
                    for fault in &one.faults {
                        shared.recorder.tell(&one.object, bad, fault).await;
                    }
                    refused.insert(one.object.clone());
                }
                failed(shared, bad, base, text).await;
            }
            Pushed::Failed(text) => failed(shared, bad, base, text).await,
        }
    }
    (results, refused)
}

async fn failed(shared: &Shared, happened: Happened, base: &str, text: &str) {
    let text = format!("failed to apply Kong configuration to {base}: {text}");
    log::error(&text);
    tell_pod(shared, happened, &text).await;
}

async fn tell_pod(shared: &Shared, happened: Happened, text: &str) {
    if let Some(pod) = &shared.pod {
        shared.recorder.tell(pod, happened, text).await;
    }
}

/// Keeps what a good round says of objects, and has the controllers look at it.
fn report(shared: &Shared, translation: &Translation) {
    let key = |object: &Object| (object.kind.clone(), Named::new(&object.namespace, &object.name));
    let done = translation.done.iter().map(|(object, of)| (key(object), (*of, Report::Configured)));
    let failed = translation.failed.iter().map(|(object, of, _)| (key(object), (*of, Report::Failed)));
    let now = done.chain(failed).collect();
    let mut reports = shared.reports.lock().unwrap_or_else(PoisonError::into_inner);
    if *reports != now {
        *reports = now;
        shared.changed.send_modify(|count| *count += 1);
    }
}
