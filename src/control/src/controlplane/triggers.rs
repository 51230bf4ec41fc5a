//! What calls for a look at a `ControlPlane`.
//!
//! In: the watch stores. Out: the `ControlPlane`s that something happened to, or to something of theirs. It decides nothing.

use crds::k8s::{Deployment, Pod, Secret};
use crds::names::annotations;
use crds::{ControlPlane, DataPlane, WatchNamespaceGrant};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use gateway_api::gatewayclasses::GatewayClass;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::controlplane::DEFINITIONS;
use runtime::hub::{Hub, Name, Touch, Watched};
use tokio::sync::broadcast::error::RecvError;

use crate::touches::{by_owner, touches};
use crate::{Context, Moved, Planes, planes};

type Calls = BoxStream<'static, ObjectRef<ControlPlane>>;

/// Everything that calls for a look at a `ControlPlane`: itself, what belongs to it, and what it is made from.
pub fn triggers(cx: &Context) -> impl Stream<Item = ObjectRef<ControlPlane>> + Send + use<> {
    let (hubs, planes) = (&cx.hubs, &cx.planes);
    let all = &planes.controlplanes;
    stream::select_all([
        touches(all, all, |object: &ControlPlane| Some(ObjectRef::from_obj(object))),
        touches(all, all, by_owner),
        touches(&hubs.deployments, all, owners::<Deployment>(planes)),
        touches(&hubs.services, all, by_owner),
        touches(&hubs.secrets, all, owners::<Secret>(planes)),
        touches(&hubs.pods, all, |pod: &Pod| {
            let name = pod.annotations().get(annotations::CONTROLPLANE)?;
            Some(ObjectRef::new(name).within(pod.metadata.namespace.as_deref()?))
        }),
        touches(&hubs.dataplanes, all, configuring(planes)),
        touches(&planes.accounts, all, by_owner),
        touches(&planes.roles, all, |role| by_owner(role).or_else(|| marked(role))),
        touches(&planes.role_bindings, all, |binding| by_owner(binding).or_else(|| marked(binding))),
        touches(&planes.cluster_roles, all, marked),
        touches(&planes.cluster_role_bindings, all, marked),
        touches(&planes.webhooks, all, marked),
        touches(&planes.grants, all, granting(planes)),
        touches(&cx.entrances.classes, all, classed(planes)),
        defined(planes),
        referred(cx),
        pushed(planes),
    ])
}

/// That of a child; or, of a `DataPlane`'s child, those that configure it.
fn owners<K: Watched>(planes: &Planes) -> impl Fn(&K) -> Vec<ObjectRef<ControlPlane>> + Send + use<K> {
    let planes = planes.clone();
    move |child: &K| {
        let own = by_owner::<K, ControlPlane>(child);
        let of: Option<ObjectRef<DataPlane>> = by_owner(child);
        let served = of.map(|of| planes.of(of.namespace.as_deref().unwrap_or_default(), &of.name));
        own.into_iter()
            .chain(served.iter().flatten().map(|object| ObjectRef::from_obj(object.as_ref())))
            .collect()
    }
}

fn configuring(planes: &Planes) -> impl Fn(&DataPlane) -> Vec<ObjectRef<ControlPlane>> + Send + use<> {
    let planes = planes.clone();
    move |dataplane: &DataPlane| {
        let found = planes.of(&dataplane.namespace().unwrap_or_default(), &dataplane.name_any());
        found.iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
    }
}

/// That which an object names that can have no owner reference.
fn marked<K: Watched>(object: &K) -> Option<ObjectRef<ControlPlane>> {
    let (namespace, name) = planes::owner(object)?;
    Some(ObjectRef::new(&name).within(&namespace))
}

/// Those that may be let in, or no longer.
fn granting(planes: &Planes) -> impl Fn(&WatchNamespaceGrant) -> Vec<ObjectRef<ControlPlane>> + Send + use<> {
    let all = planes.controlplanes.clone();
    move |grant: &WatchNamespaceGrant| {
        let namespace = grant.namespace().unwrap_or_default();
        let found = all.select(|object| {
            let own = object.metadata.namespace.as_deref().unwrap_or_default();
            plan::controlplane::listed(&object.spec.options, own).any(|listed| listed == namespace)
        });
        found.iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
    }
}

/// Those that name the class.
fn classed(planes: &Planes) -> impl Fn(&GatewayClass) -> Vec<ObjectRef<ControlPlane>> + Send + use<> {
    let all = planes.controlplanes.clone();
    move |class: &GatewayClass| {
        let found = all.select(|object| object.spec.options.gateway_class == class.metadata.name);
        found.iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
    }
}

/// All, when a definition of one of Kong's own kinds comes or goes.
fn defined(planes: &Planes) -> Calls {
    let all = planes.controlplanes.clone();
    let concerned = move |touch: Touch<Name>| match touch {
        Touch::Object(name) if !DEFINITIONS.contains(&name.name.as_str()) => Vec::new(),
        Touch::Object(_) | Touch::Resync => all.all(),
    };
    planes.definitions.touched().flat_map(move |touch| stream::iter(concerned(touch))).boxed()
}

/// Those of which something else is known than before: of their last configuration.
fn pushed(planes: &Planes) -> Calls {
    let all = planes.controlplanes.clone();
    let news = planes.pushes.touched();
    stream::unfold((news, all), |(mut news, all)| async move {
        let concerned = match news.recv().await {
            Ok(name) => vec![name],
            Err(RecvError::Lagged(_)) => all.all(),
            Err(RecvError::Closed) => return None,
        };
        Some((stream::iter(concerned), (news, all)))
    })
    .flatten()
    .boxed()
}

/// Who refers to a Secret or ConfigMap that comes or goes.
fn referred(cx: &Context) -> Calls {
    let all: Hub<ControlPlane> = cx.planes.controlplanes.clone();
    let concerned = move |touch: Touch<Moved>| match touch {
        Touch::Object(moved) => {
            let found = all.select(|object| refers(object, &moved));
            found.iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
        }
        Touch::Resync => all.all(),
    };
    cx.hubs.references.touched().flat_map(move |touch| stream::iter::<Vec<_>>(concerned(touch))).boxed()
}

fn refers(object: &ControlPlane, moved: &Moved) -> bool {
    if object.metadata.namespace.as_ref() != Some(&moved.namespace) {
        return false;
    }
    let Some(template) = plan::controlplane::template(&object.spec.options) else { return false };
    let references = plan::dataplane::references(&template);
    references.iter().any(|reference| (reference.kind, &reference.name) == (moved.kind, &moved.name))
}
