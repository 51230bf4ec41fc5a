//! Keeps the status of each `GatewayClass` of ours.
//!
//! In: classes, configurations, and the version of Gateway API. Out: statuses, written when they differ. Classes are few,
//! so all are looked at whenever something happens to any of it.

use std::time::Duration;

use crds::GatewayConfiguration;
use crds::k8s::CustomResourceDefinition;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use gateway_api::gatewayclasses::GatewayClass;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::gateway;
use runtime::clock;
use tokio_util::sync::CancellationToken;

use super::around::Around;
use crate::Context;
use crate::touches::touches;

/// How soon to try again after a status could not be written.
const PAUSE: Duration = Duration::from_secs(5);

/// Keeps them until `stop`.
pub async fn keep(cx: Context, stop: CancellationToken) {
    tokio::select! {
        () = cx.entrances.classes.synced() => {}
        () = stop.cancelled() => return,
    }
    let mut calls = calls(&cx);
    let mut failed = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = calls.next() => {}
            () = tokio::time::sleep(PAUSE), if failed => {}
        }
        failed = !look(&cx).await;
    }
}

fn calls(cx: &Context) -> BoxStream<'static, ObjectRef<GatewayClass>> {
    let stores = &cx.entrances;
    let all = &stores.classes;
    let (first, second) = (all.clone(), all.clone());
    stream::select_all([
        touches(all, all, |class: &GatewayClass| Some(ObjectRef::from_obj(class))),
        touches(&stores.configurations, all, move |_: &GatewayConfiguration| first.all()),
        touches(stores.definitions(), all, move |_: &CustomResourceDefinition| second.all()),
    ])
    .boxed()
}

/// Writes each status that is not as it should be; returns whether all are.
async fn look(cx: &Context) -> bool {
    let ours = |class: &GatewayClass| class.spec.controller_name == cx.controller.controller;
    let mut done = true;
    for class in cx.entrances.classes.select(ours) {
        let around = Around::new(cx, clock::now());
        let parameters = gateway::of_class(&class).and_then(|place| around.configuration(place)).map(drop);
        let bundle = cx.entrances.bundle();
        let status = gateway::class_status(&class, parameters, bundle.as_deref(), clock::now());
        // The store may not show yet what was written a moment ago.
        let shown = cx.entrances.classes.get(&ObjectRef::from_obj(class.as_ref()));
        if shown.is_some_and(|shown| shown.status.as_ref() == Some(&status)) {
            continue;
        }
        match cx.kit.writer.status_global(class.as_ref(), &status).await {
            Ok(written) => cx.entrances.classes.note(written),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    name = class.name_any(),
                    "status of a GatewayClass not written, trying again"
                );
                done = false;
            }
        }
    }
    done
}
