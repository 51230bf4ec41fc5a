//! What is made of a Gateway, and of what is made of it.

use crds::wanted::Wanted;
use crds::{ControlPlane, DataPlane};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use plan::Invalid;
use plan::gateway::{self, Children, Known};
use serde::de::DeserializeOwned;
use webhooks::Kind;

use super::marks::Marks;
use super::{Around, Group, Made, controlplane, dataplane};

/// Why nothing is made of a Gateway.
pub struct Unserved {
    /// In words that follow its title.
    pub words: String,
    /// Whether what was made of it before goes.
    pub goes: bool,
}

/// The children of a Gateway, and theirs.
///
/// # Errors
/// What cannot be provisioned.
pub fn made(around: &Around<'_>, object: &Gateway) -> Result<Made, Invalid> {
    match children(around, object) {
        Ok(children) => groups(around, &children).map(Made::Objects),
        Err(unserved) => Ok(Made::Nothing(unserved.words)),
    }
}

/// The children of a Gateway.
///
/// # Errors
/// Why there are none.
pub fn children(around: &Around<'_>, object: &Gateway) -> Result<Children, Unserved> {
    let class = class(around, object)?;
    let known = Known {
        controller: around.controller(),
        parameters: gateway::parameters(&class, object, |place| around.configuration(place)),
        sets: Some(around.sets(object)),
        routes: &[],
        world: around,
    };
    let judged = gateway::judged(object, &known);
    let words = || format!("no objects, as far as the manifests tell: {}", judged.verdict().message);
    judged.children().ok_or_else(|| Unserved { words: words(), goes: false })
}

/// Its class, where it is ours.
fn class(around: &Around<'_>, object: &Gateway) -> Result<GatewayClass, Unserved> {
    let Some(class) = around.class(&object.spec.gateway_class_name) else {
        let words = format!("nothing can be told: its class is {}", around.nowhere());
        return Err(Unserved { words, goes: false });
    };
    let words = if class.spec.controller_name != around.controller() {
        "no objects: its class is another controller's"
    } else if gateway::is_unmanaged(&class) {
        "no objects: Kong Ingress Controller looks after Gateways of its class"
    } else {
        return Ok(class);
    };
    Err(Unserved { words: words.to_owned(), goes: true })
}

fn groups(around: &Around<'_>, children: &Children) -> Result<Vec<Group>, Invalid> {
    let Children { policy, dataplane, controlplane } = children;
    let marks = Marks { owner: &crds::k8s::kind::<Gateway>(), texts: &[], hash: String::new() };
    let own = [policy.body(), dataplane.body(), controlplane.body()].map(|body| marks.put(body.clone()));
    let mut groups = vec![Group::own(own.into())];
    let kong: Option<DataPlane> = stored(around, Kind::DataPlane, dataplane);
    if let Some(kong) = &kong {
        let objects = dataplane::children(around, kong, true)?;
        groups.push(Group { of: "DataPlane of ".to_owned(), ..Group::own(objects) });
    }
    if let Some(controller) = stored::<ControlPlane>(around, Kind::ControlPlane, controlplane) {
        let objects = controlplane::children(around, &controller, kong.as_ref())?;
        groups.push(Group { of: "ControlPlane of ".to_owned(), ..Group::own(objects) });
    }
    Ok(groups)
}

/// The child as the cluster would hold it.
fn stored<K: DeserializeOwned>(around: &Around<'_>, kind: Kind, wanted: &Wanted<K>) -> Option<K> {
    around.read(kind, wanted.body())
}
