//! What would become of the children of a Gateway, and of theirs.

use crds::k8s::NetworkPolicy;
use crds::names::{self, managers};
use crds::{ControlPlane, DataPlane};
use gateway_api::gateways::Gateway;
use kube::Client;
use plan::gateway::Children;
use serde::de::DeserializeOwned;
use webhooks::Kind;

use super::asked::Asked;
use super::{Compared, Group, controlplane, dataplane};
use crate::offline::Failed;
use crate::offline::change::Change;
use crate::offline::render::{Around, gateway};

/// Everything that would change for a Gateway.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied.
pub async fn compared(client: &Client, around: &Around<'_>, object: &Gateway) -> Result<Compared, Failed> {
    let asked = Asked::about(client, object).await?;
    let mut object = object.clone();
    object.metadata.uid = Some(asked.uid.clone());
    match gateway::children(around, &object) {
        Ok(children) => {
            let groups = Box::pin(groups(client, around, (&asked, &children))).await?;
            Ok(Compared { words: String::new(), groups })
        }
        Err(unserved) => {
            let changes = if unserved.goes { left(&asked).await? } else { Vec::new() };
            Ok(Compared { words: unserved.words, groups: vec![Group { of: String::new(), changes }] })
        }
    }
}

async fn groups(
    client: &Client,
    around: &Around<'_>,
    (asked, children): (&Asked, &Children),
) -> Result<Vec<Group>, Failed> {
    let Children { policy, dataplane: kong, controlplane: controller } = children;
    let policy = asked.apply(policy, managers::GATEWAY).await?;
    let kong = asked.apply(kong, managers::GATEWAY).await?;
    let controller = asked.apply(controller, managers::GATEWAY).await?;
    let after = (stored(around, Kind::DataPlane, &kong), stored(around, Kind::ControlPlane, &controller));
    let mut groups = vec![Group { of: String::new(), changes: vec![policy, kong, controller] }];
    let (Some(kong), controller): (Option<DataPlane>, Option<ControlPlane>) = after else {
        return Ok(groups);
    };
    let changes = dataplane::changes(client, around, (&kong, true)).await?;
    groups.push(Group { of: "DataPlane of ".to_owned(), changes });
    if let Some(controller) = controller {
        let own = controlplane::groups(client, around, (&controller, Some(&kong))).await?;
        let of = |group: Group| Group { of: format!("{}ControlPlane of ", group.of), ..group };
        groups.extend(own.into_iter().map(of));
    }
    Ok(groups)
}

/// The child as the cluster would hold it; nothing where it is somebody else's.
fn stored<K: DeserializeOwned>(around: &Around<'_>, kind: Kind, change: &Change) -> Option<K> {
    let after = change.after.as_ref().filter(|_| change.refused.is_none())?;
    around.read(kind, after)
}

/// What was made of a Gateway that is another's now; what is made of that goes with it.
async fn left(asked: &Asked) -> Result<Vec<Change>, Failed> {
    let within = Some(asked.namespace.as_str());
    let controlplane = asked.gone::<ControlPlane>(within, &asked.name).await?;
    let dataplane = asked.gone::<DataPlane>(within, &asked.name).await?;
    let policy = asked.gone::<NetworkPolicy>(within, &names::network_policy(&asked.name)).await?;
    Ok(controlplane.into_iter().chain(dataplane).chain(policy).collect())
}
