//! What calls for a look at a `GatewayRollout`.
//!
//! In: the watch stores. Out: the rollouts that something happened to. Its own status does not: each look writes one.

use std::collections::HashMap;

use crds::k8s::{Deployment, Pod};
use crds::names::annotations;
use crds::{DataPlane, GatewayRollout};
use futures::{Stream, StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use runtime::hub::{Hub, Touch};

use crate::Context;
use crate::touches::{by_owner, touches};

/// Everything that calls for a look at a rollout: itself, and what happens to its `DataPlane` and the pods of it.
pub fn triggers(cx: &Context) -> impl Stream<Item = ObjectRef<GatewayRollout>> + Send + use<> {
    let all = cx.hubs.rollouts.clone();
    let rollouts = all.clone();
    let dataplanes = touches(&cx.hubs.dataplanes, &all, move |object: &DataPlane| {
        of(&rollouts, object.metadata.namespace.as_ref(), &object.name_any())
    });
    let rollouts = all.clone();
    let deployments = touches(&cx.hubs.deployments, &all, move |child: &Deployment| {
        let owner: Option<ObjectRef<DataPlane>> = by_owner(child);
        owner.map_or_else(Vec::new, |owner| of(&rollouts, child.metadata.namespace.as_ref(), &owner.name))
    });
    let rollouts = all.clone();
    let pods = touches(&cx.hubs.pods, &all, move |pod: &Pod| {
        let name = pod.annotations().get(annotations::DATAPLANE);
        name.map_or_else(Vec::new, |name| of(&rollouts, pod.metadata.namespace.as_ref(), name))
    });
    stream::select_all([own(&all), dataplanes, deployments, pods])
}

/// A rollout whose specification is another than when it was last seen.
fn own(all: &Hub<GatewayRollout>) -> stream::BoxStream<'static, ObjectRef<GatewayRollout>> {
    let mut known: HashMap<String, Option<i64>> = HashMap::new();
    let every = all.clone();
    let changed = move |touch: Touch<GatewayRollout>| match touch {
        Touch::Object(object) => {
            let generation = object.metadata.generation;
            let before = known.insert(object.uid().unwrap_or_default(), generation);
            if before == Some(generation) { Vec::new() } else { vec![ObjectRef::from_obj(object.as_ref())] }
        }
        Touch::Resync => every.all(),
    };
    let mut changed = changed;
    all.touched().flat_map(move |touch| stream::iter(changed(touch))).boxed()
}

/// The rollouts of a `DataPlane` that are not over, and the last one: of that people may want something again.
fn of(
    all: &Hub<GatewayRollout>,
    namespace: Option<&String>,
    dataplane: &str,
) -> Vec<ObjectRef<GatewayRollout>> {
    let all = all.select(|object| {
        object.spec.target.name == dataplane && object.metadata.namespace.as_ref() == namespace
    });
    let latest = plan::attempt::latest(&all).map(|latest| latest.name_any());
    let is_open = |object: &&std::sync::Arc<GatewayRollout>| {
        Some(object.name_any()) == latest
            || object.status.as_ref().is_none_or(|status| status.completion.is_none())
    };
    all.iter().filter(is_open).map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}
