//! Whether the Secrets and ConfigMaps that users name exist.
//!
//! In: metadata-only watches. Out: yes or no, and what came or went. It never sees what is in them.

use std::sync::Arc;

use crds::k8s::Secret;
use futures::{Stream, StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::dataplane::Kind;
use runtime::hub::{Hub, Name, Names, Touch};

/// An object that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What exists of both kinds. Cloning shares it.
#[derive(Clone)]
pub struct References {
    /// All of them.
    pub(crate) config_maps: Names,
    /// Those that are neither a `DataPlane`'s nor a `ControlPlane`'s own.
    pub(crate) foreign: Names,
    /// Those that are.
    pub(crate) own: Hub<Secret>,
}

impl References {
    /// Whether an object of that name exists.
    pub fn exists(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        match kind {
            Kind::ConfigMap => self.config_maps.contains(namespace, name),
            Kind::Secret => {
                self.foreign.contains(namespace, name)
                    || self.own.get(&ObjectRef::new(name).within(namespace)).is_some()
            }
        }
    }

    /// What comes or goes from now on; not what exists already.
    pub fn touched(&self) -> impl Stream<Item = Touch<Moved>> + Send + use<> {
        let config_maps = of(Kind::ConfigMap, self.config_maps.touched());
        let foreign = of(Kind::Secret, self.foreign.touched());
        let own = self.own.touched().map(|touch| match touch {
            Touch::Object(secret) => Touch::Object(Arc::new(Moved {
                kind: Kind::Secret,
                namespace: secret.namespace().unwrap_or_default(),
                name: secret.name_any(),
            })),
            Touch::Resync => Touch::Resync,
        });
        stream::select_all([config_maps, foreign, own.boxed()])
    }
}

fn of(
    kind: Kind,
    names: impl Stream<Item = Touch<Name>> + Send + 'static,
) -> stream::BoxStream<'static, Touch<Moved>> {
    let moved = move |touch| match touch {
        Touch::Object(name) => {
            let Name { namespace, name } = Arc::unwrap_or_clone(name);
            Touch::Object(Arc::new(Moved { kind, namespace, name }))
        }
        Touch::Resync => Touch::Resync,
    };
    names.map(moved).boxed()
}
