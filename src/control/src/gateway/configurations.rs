//! The reconciler of `GatewayConfiguration`: it makes nothing, and says who uses it and what is wrong with it.

use std::sync::Arc;

use crds::GatewayConfiguration;
use crds::gatewayconfiguration::GatewayConfigurationStatus;
use crds::k8s::Condition;
use futures::{Stream, stream};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::gateway::{self, Place, Use};
use runtime::{Next, Outcome, Reconciler, clock};

use super::Error;
use super::around::uses;
use crate::Context;
use crate::touches::touches;

/// Says of each `GatewayConfiguration` who uses it.
pub struct Configurations(pub Context);

impl Reconciler for Configurations {
    type Kind = GatewayConfiguration;
    type Status = GatewayConfigurationStatus;
    type Error = Error;

    async fn reconcile(
        &self,
        object: Arc<GatewayConfiguration>,
    ) -> Result<Outcome<GatewayConfigurationStatus>, Error> {
        let status = gateway::configuration_status(&object, &self.used(&object), clock::now());
        Ok(Outcome { status, next: Next::Settled { again: None } })
    }

    fn failed(
        &self,
        object: &GatewayConfiguration,
        _: &'static str,
        _: String,
    ) -> GatewayConfigurationStatus {
        // Nothing of it can fail but the write of this very status.
        object.status.clone().unwrap_or_default()
    }

    fn conditions(status: &GatewayConfigurationStatus) -> &[Condition] {
        status.conditions.as_deref().unwrap_or_default()
    }
}

impl Configurations {
    fn used(&self, object: &GatewayConfiguration) -> Use {
        let stores = &self.0.entrances;
        let is_ours = |class: &GatewayClass| class.spec.controller_name == self.0.controller.controller;
        let names_it = |class: &GatewayClass| {
            let place = gateway::of_class(class).ok().flatten();
            place.is_some_and(|place| at(&place) == ObjectRef::from_obj(object))
        };
        let classes = stores.classes.select(|class| is_ours(class) && names_it(class));
        let of_ours = |gateway: &Gateway| {
            let class = stores.classes.get(&ObjectRef::new(&gateway.spec.gateway_class_name));
            class.is_some_and(|class| is_ours(&class) && !gateway::is_unmanaged(&class))
        };
        let gateways = stores.gateways.select(|gateway| of_ours(gateway) && uses(stores, gateway, object));
        let mut used = Use {
            classes: classes.iter().map(|class| class.name_any()).collect(),
            gateways: gateways
                .iter()
                .map(|gateway| format!("{}/{}", gateway.namespace().unwrap_or_default(), gateway.name_any()))
                .collect(),
        };
        used.classes.sort();
        used.gateways.sort();
        used
    }
}

fn at(place: &Place) -> ObjectRef<GatewayConfiguration> {
    ObjectRef::new(&place.name).within(&place.namespace)
}

fn tells(object: &GatewayConfiguration, name: &str) -> bool {
    let status = object.status.iter().filter_map(|status| status.conditions.as_ref());
    status.flatten().any(|condition| condition.message.contains(name))
}

/// Everything that calls for a look at a `GatewayConfiguration`: itself, and who may use it.
pub fn triggers(cx: &Context) -> impl Stream<Item = ObjectRef<GatewayConfiguration>> + Send + use<> {
    let stores = &cx.entrances;
    let (all, classes) = (&stores.configurations, stores.classes.clone());
    let (known, told) = (all.clone(), all.clone());
    let of_gateway = move |object: &Gateway| -> Vec<ObjectRef<GatewayConfiguration>> {
        let class = classes.get(&ObjectRef::new(&object.spec.gateway_class_name));
        let of_class = class.and_then(|class| gateway::of_class(&class).ok().flatten());
        let own = gateway::of_gateway(object).ok().flatten();
        let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        // Those that tell of it as their user may have to take that back.
        let before = told.select(|configuration| tells(configuration, &name));
        let before = before.iter().map(|found| ObjectRef::from_obj(found.as_ref()));
        of_class.iter().chain(&own).map(at).chain(before).collect()
    };
    stream::select_all([
        touches(all, all, |object: &GatewayConfiguration| Some(ObjectRef::from_obj(object))),
        touches(&stores.gateways, all, of_gateway),
        touches(&stores.classes, all, move |_: &GatewayClass| known.all()),
    ])
}
