//! What calls for a look at a `DataPlane`.
//!
//! In: the watch stores. Out: the `DataPlane`s that something happened to, or to something of theirs. It decides nothing.

use crds::k8s::Pod;
use crds::names::{self, annotations};
use crds::{ControlPlane, DataPlane};
use futures::{Stream, StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::dataplane::Kind;
use runtime::hub::Touch;

use crate::touches::{by_owner, touches};
use crate::{Context, Moved};

/// Everything that calls for a look at a `DataPlane`: itself, and what belongs to it.
pub fn triggers(cx: &Context) -> impl Stream<Item = ObjectRef<DataPlane>> + Send + use<> {
    let all = cx.hubs.dataplanes.clone();
    let own = touches(&cx.hubs.dataplanes, &all, |object: &DataPlane| Some(ObjectRef::from_obj(object)));
    let deployments = touches(&cx.hubs.deployments, &all, by_owner);
    let services = touches(&cx.hubs.services, &all, by_owner);
    let autoscalers = touches(&cx.hubs.autoscalers, &all, by_owner);
    let budgets = touches(&cx.hubs.budgets, &all, by_owner);
    let secrets = touches(&cx.hubs.secrets, &all, by_owner);
    let pods = touches(&cx.hubs.pods, &all, |pod: &Pod| {
        let name = pod.annotations().get(annotations::DATAPLANE)?;
        Some(ObjectRef::new(name).within(pod.metadata.namespace.as_deref()?))
    });
    let controlled = touches(&cx.planes.controlplanes, &all, |object: &ControlPlane| {
        let name = object.spec.dataplane.as_deref().filter(|name| !name.is_empty())?;
        Some(ObjectRef::new(name).within(object.metadata.namespace.as_deref()?))
    });
    let rollouts = touches(&cx.hubs.rollouts, &all, by_owner);
    let moved = referred(cx);
    stream::select_all([
        own,
        rollouts,
        deployments,
        services,
        autoscalers,
        budgets,
        secrets,
        pods,
        controlled,
        moved,
    ])
}

/// Who refers to a Secret or ConfigMap that comes or goes. Most objects of these kinds concern nobody here.
fn referred(cx: &Context) -> stream::BoxStream<'static, ObjectRef<DataPlane>> {
    let all = cx.hubs.dataplanes.clone();
    let concerned = move |touch: Touch<Moved>| match touch {
        Touch::Object(moved) => {
            let found = all.select(|dataplane| refers(dataplane, &moved));
            found.iter().map(|dataplane| ObjectRef::from_obj(dataplane.as_ref())).collect()
        }
        Touch::Resync => all.all(),
    };
    cx.hubs.references.touched().flat_map(move |touch| stream::iter::<Vec<_>>(concerned(touch))).boxed()
}

fn refers(dataplane: &DataPlane, moved: &Moved) -> bool {
    if dataplane.metadata.namespace.as_ref() != Some(&moved.namespace) {
        return false;
    }
    // Somebody else's, under the name that our own is to have, was in the way.
    let own = dataplane.name_any();
    let secrets = [names::admin_certificate(&own), names::client_authority(&own)];
    if moved.kind == Kind::Secret && secrets.contains(&moved.name) {
        return true;
    }
    let deployment = dataplane.spec.deployment.as_ref();
    let Some(template) = deployment.and_then(|deployment| deployment.pod_template_spec.as_ref()) else {
        return false;
    };
    let references = plan::dataplane::references(template.as_value());
    references.iter().any(|reference| (reference.kind, &reference.name) == (moved.kind, &moved.name))
}
