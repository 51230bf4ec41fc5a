//! What is made of a Gateway, and of what is made of it.

use crds::wanted::Wanted;
use crds::{ControlPlane, DataPlane};
use gateway_api::gateways::Gateway;
use plan::Invalid;
use plan::gateway::{self, Children, Known};
use serde::de::DeserializeOwned;
use webhooks::Kind;

use super::marks::Marks;
use super::{Around, Group, Made, controlplane, dataplane};

/// The children of a Gateway, and theirs.
///
/// # Errors
/// What cannot be provisioned.
pub fn made(around: &Around<'_>, object: &Gateway) -> Result<Made, Invalid> {
    let Some(class) = around.class(&object.spec.gateway_class_name) else {
        return Ok(Made::nothing("nothing can be told: its class is not among the manifests"));
    };
    if class.spec.controller_name != around.controller() {
        return Ok(Made::nothing("no objects: its class is another controller's"));
    }
    if gateway::is_unmanaged(&class) {
        return Ok(Made::nothing("no objects: Kong Ingress Controller looks after Gateways of its class"));
    }
    let known = Known {
        controller: around.controller(),
        parameters: gateway::parameters(&class, object, |place| around.configuration(place)),
        sets: Some(around.sets(object)),
        routes: &[],
        world: around,
    };
    let judged = gateway::judged(object, &known);
    match judged.children() {
        Some(children) => groups(around, &children).map(Made::Objects),
        None => Ok(Made::Nothing(format!(
            "no objects, as far as the manifests tell: {}",
            judged.verdict().message
        ))),
    }
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
