//! What is known of objects other than the one that is looked at.
//!
//! In the operator it is what the watch stores hold; offline, the other manifests at hand. Nothing is asked for: what
//! is not known is [`Found::Unknown`], and no rule may fail for it.

use std::sync::Arc;

use crds::gatewayapi::ReferenceGrant;
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use gateway_api::gatewayclasses::GatewayClass;
use plan::gateway::Unusable;

/// The answer to a question about another object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<T> {
    /// It is there.
    Here(T),
    /// It is known not to be there.
    Absent,
    /// Nobody here knows.
    Unknown,
}

/// Kinds of which only names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A `Secret`.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

/// A `Service`, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A `DataPlane` of this name in the same namespace.
    DataPlane(String),
    /// Nobody that this product knows.
    Stranger,
}

/// Other objects, by what is asked about them.
pub trait World: Send + Sync {
    /// Whether there is an object of that name.
    fn exists(&self, kind: Named, namespace: &str, name: &str) -> Found<()>;
    /// Who has the Service of that name.
    fn service(&self, namespace: &str, name: &str) -> Found<Holder>;
    /// The `DataPlane` of that name.
    fn dataplane(&self, namespace: &str, name: &str) -> Found<Arc<DataPlane>>;
    /// The `DataPlane`s that want the ingress Service of that name ([`plan::dataplane::ingress_service`]).
    fn wanting(&self, namespace: &str, service: &str) -> Vec<Arc<DataPlane>>;
    /// The `ControlPlane`s that name the `DataPlane` of that name, first or among others.
    fn configuring(&self, namespace: &str, dataplane: &str) -> Vec<Arc<ControlPlane>>;
    /// The grants of a namespace; `Unknown` where that namespace is not watched.
    fn grants(&self, namespace: &str) -> Found<Vec<Arc<WatchNamespaceGrant>>>;
    /// The `GatewayClass` of that name.
    fn gateway_class(&self, name: &str) -> Found<Arc<GatewayClass>>;
    /// The `GatewayConfiguration` of that name.
    fn configuration(&self, namespace: &str, name: &str) -> Found<Arc<GatewayConfiguration>>;
    /// Gateway API's grants of a namespace; `Unknown` where there may be others.
    fn reference_grants(&self, namespace: &str) -> Found<Vec<Arc<ReferenceGrant>>>;
    /// The Secret of that name: whether the certificate in it can be served.
    fn certificate(&self, namespace: &str, name: &str) -> Found<Result<(), Unusable>>;
}

/// Nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl World for Nothing {
    fn exists(&self, _: Named, _: &str, _: &str) -> Found<()> {
        Found::Unknown
    }
    fn service(&self, _: &str, _: &str) -> Found<Holder> {
        Found::Unknown
    }
    fn dataplane(&self, _: &str, _: &str) -> Found<Arc<DataPlane>> {
        Found::Unknown
    }
    fn wanting(&self, _: &str, _: &str) -> Vec<Arc<DataPlane>> {
        Vec::new()
    }
    fn configuring(&self, _: &str, _: &str) -> Vec<Arc<ControlPlane>> {
        Vec::new()
    }
    fn grants(&self, _: &str) -> Found<Vec<Arc<WatchNamespaceGrant>>> {
        Found::Unknown
    }
    fn gateway_class(&self, _: &str) -> Found<Arc<GatewayClass>> {
        Found::Unknown
    }
    fn configuration(&self, _: &str, _: &str) -> Found<Arc<GatewayConfiguration>> {
        Found::Unknown
    }
    fn reference_grants(&self, _: &str) -> Found<Vec<Arc<ReferenceGrant>>> {
        Found::Unknown
    }
    fn certificate(&self, _: &str, _: &str) -> Found<Result<(), Unusable>> {
        Found::Unknown
    }
}
