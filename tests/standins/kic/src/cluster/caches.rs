//! All caches, and a view of them at one moment.
//! In: watches. Out: what is there. Never judges it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_api::apis::standard::gatewayclasses::GatewayClass;
use gateway_api::apis::standard::gateways::Gateway;
use gateway_api::apis::standard::referencegrants::ReferenceGrantSpec;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

use super::cache::{Cache, Entry, Kept, Nothing};
use super::route::Route;
use crate::settings::values::Named;

/// A grant between namespaces.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its namespace.
    pub namespace: String,
    /// What it says.
    pub spec: ReferenceGrantSpec,
}

impl Kept for Grant {
    fn read(object: &DynamicObject) -> Option<Self> {
        let spec = serde_json::from_value(object.data.get("spec")?.clone()).ok()?;
        Some(Self { namespace: object.metadata.namespace.clone()?, spec })
    }
}

/// Reads an object of a type that kube or Kubernetes defines.
fn typed<K: DeserializeOwned>(object: &DynamicObject) -> Option<K> {
    serde_json::from_value(serde_json::to_value(object).ok()?).ok()
}

macro_rules! kept {
    ($($kind:ty),+) => {
        $(impl Kept for $kind {
            fn read(object: &DynamicObject) -> Option<Self> {
                typed(object)
            }
        })+
    };
}

kept!(Service, EndpointSlice, Secret, Namespace, Ingress, IngressClass, Gateway, GatewayClass);

/// Every cache.
#[derive(Debug, Default)]
pub struct Caches {
    pub services: Arc<Cache<Service>>,
    pub slices: Arc<Cache<EndpointSlice>>,
    pub secrets: Arc<Cache<Secret>>,
    pub namespaces: Arc<Cache<Namespace>>,
    pub ingresses: Arc<Cache<Ingress>>,
    pub ingress_classes: Arc<Cache<IngressClass>>,
    pub gateways: Arc<Cache<Gateway>>,
    pub classes: Arc<Cache<GatewayClass>>,
    pub grants: Arc<Cache<Grant>>,
    /// Caches of routes, one for each kind.
    pub routes: [Arc<Cache<Route>>; 4],
    /// Kinds without effect.
    pub nothing: Arc<Cache<Nothing>>,
}

/// Objects by namespace and name.
type All<T> = BTreeMap<Named, Arc<Entry<T>>>;

/// What is there at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub services: All<Service>,
    pub slices: All<EndpointSlice>,
    pub secrets: All<Secret>,
    pub namespaces: All<Namespace>,
    pub ingresses: All<Ingress>,
    pub ingress_classes: All<IngressClass>,
    pub gateways: All<Gateway>,
    pub classes: All<GatewayClass>,
    pub grants: Vec<Arc<Entry<Grant>>>,
    pub routes: Vec<Arc<Entry<Route>>>,
}

impl Caches {
    /// What is there now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            services: self.services.all(),
            slices: self.slices.all(),
            secrets: self.secrets.all(),
            namespaces: self.namespaces.all(),
            ingresses: self.ingresses.all(),
            ingress_classes: self.ingress_classes.all(),
            gateways: self.gateways.all(),
            classes: self.classes.all(),
            grants: self.grants.all().into_values().collect(),
            routes: self.routes.iter().flat_map(|cache| cache.all().into_values()).collect(),
        }
    }
}
