//! What calls for a look at a `DataPlane`.
//!
//! In: the watch stores. Out: the `DataPlane`s that something happened to, or to something of theirs. It decides nothing.

use crds::DataPlane;
use crds::k8s::Pod;
use crds::names::{self, annotations};
use futures::{Stream, StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::dataplane::Kind;
use runtime::hub::{Hub, Touch, Watched};

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
    stream::select_all([own, deployments, services, autoscalers, budgets, secrets, pods, referred(cx)])
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
    if moved.kind == Kind::Secret && moved.name == names::admin_certificate(&dataplane.name_any()) {
        return true;
    }
    let deployment = dataplane.spec.deployment.as_ref();
    let Some(template) = deployment.and_then(|deployment| deployment.pod_template_spec.as_ref()) else {
        return false;
    };
    let references = plan::dataplane::references(&template.to_value());
    references.iter().any(|reference| (reference.kind, &reference.name) == (moved.kind, &moved.name))
}

fn touches<K: Watched>(
    hub: &Hub<K>,
    all: &Hub<DataPlane>,
    owner: impl Fn(&K) -> Option<ObjectRef<DataPlane>> + Send + 'static,
) -> stream::BoxStream<'static, ObjectRef<DataPlane>> {
    let all = all.clone();
    let named = move |touch: Touch<K>| match touch {
        Touch::Object(object) => owner(object.as_ref()).into_iter().collect(),
        Touch::Resync => all.all(),
    };
    hub.touched().flat_map(move |touch| stream::iter::<Vec<_>>(named(touch))).boxed()
}

fn by_owner<K: Watched>(child: &K) -> Option<ObjectRef<DataPlane>> {
    let kind = crds::k8s::kind::<DataPlane>();
    let owners = child.owner_references();
    let owner = owners.iter().find(|owner| owner.controller == Some(true) && owner.kind == kind)?;
    Some(ObjectRef::new(&owner.name).within(child.namespace().as_deref()?))
}
