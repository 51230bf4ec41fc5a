//! What would become of the children of a `ControlPlane`, and of those that it has made for further `DataPlane`s.

use std::collections::BTreeSet;

use crds::k8s::{
    Deployment, Lease, Role, RoleBinding, Secret, Service, ServiceAccount, ValidatingWebhookConfiguration,
};
use crds::names::{self, labels, managers, values};
use crds::wanted::Wanted;
use crds::{ControlPlane, DataPlane};
use kube::api::DynamicObject;
use kube::{Client, ResourceExt};
use plan::controlplane::{Access, Admission, Certificate, Valid};
use serde_json::json;
use webhooks::Kind;

use super::asked::Asked;
use super::{Compared, Group};
use crate::offline::Failed;
use crate::offline::change::Change;
use crate::offline::render::{Around, controlplane};

/// Everything that would change for a `ControlPlane`.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied.
pub async fn compared(
    client: &Client,
    around: &Around<'_>,
    object: &ControlPlane,
) -> Result<Compared, Failed> {
    let named = object.spec.dataplane.as_deref().filter(|name| !name.is_empty());
    let dataplane = named.and_then(|name| around.dataplane(object, name));
    Ok(Compared { words: String::new(), groups: groups(client, around, (object, dataplane.as_ref())).await? })
}

/// The same, where its `DataPlane` is known: its own children, and then those of each `ControlPlane` beside it.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied.
pub async fn groups(
    client: &Client,
    around: &Around<'_>,
    (object, dataplane): (&ControlPlane, Option<&DataPlane>),
) -> Result<Vec<Group>, Failed> {
    let (own, beside) = changes(client, around, (object, dataplane)).await?;
    let mut groups = vec![Group { of: String::new(), changes: own }];
    for other in beside {
        let named = other.spec.dataplane.clone().unwrap_or_default();
        let dataplane = around.dataplane(&other, &named);
        let (changes, _) = changes(client, around, (&other, dataplane.as_ref())).await?;
        groups.push(Group { of: format!("ControlPlane {} of ", other.name_any()), changes });
    }
    Ok(groups)
}

/// Its own children, and the `ControlPlane`s among them as they would be.
async fn changes(
    client: &Client,
    around: &Around<'_>,
    (object, dataplane): (&ControlPlane, Option<&DataPlane>),
) -> Result<(Vec<Change>, Vec<ControlPlane>), Failed> {
    let asked = Asked::about(client, object).await?;
    let mut object = object.clone();
    object.metadata.uid = Some(asked.uid.clone());
    let found = controlplane::found(around, &object, dataplane)?;
    let valid = plan::controlplane::valid(&controlplane::settings(around), &object, &found)?;
    let access = valid.access();
    let mut changes = rights(&asked, &access).await?;
    changes.extend(match dataplane {
        Some(_) => running(&asked, &valid).await?,
        None => stopped(&asked).await?,
    });
    let (others, beside) = beside(&asked, around, &valid.beside()).await?;
    changes.extend(others);
    changes.extend(closed(&asked, &access.abroad.into_keys().collect()).await?);
    Ok((changes, beside))
}

/// Roles and bindings, which come before the pods that need them.
async fn rights(asked: &Asked, access: &Access) -> Result<Vec<Change>, Failed> {
    let manager = managers::CONTROLPLANE;
    let Access { account, own, cluster, abroad } = access;
    let mut changes = Vec::new();
    if let Some(account) = account {
        changes.push(asked.apply(account, manager).await?);
    } else {
        let name = names::controller(&asked.name);
        changes.extend(asked.gone::<ServiceAccount>(Some(&asked.namespace), &name).await?);
    }
    changes.push(asked.apply(&own.0, manager).await?);
    changes.push(asked.apply(&own.1, manager).await?);
    changes.push(asked.apply(&cluster.0, manager).await?);
    changes.push(asked.apply(&cluster.1, manager).await?);
    for (role, binding) in abroad.values() {
        changes.push(asked.apply(role, manager).await?);
        changes.push(asked.apply(binding, manager).await?);
    }
    Ok(changes)
}

/// What it runs with, itself, and last what has it asked.
async fn running(asked: &Asked, valid: &Valid<'_>) -> Result<Vec<Change>, Failed> {
    let certificate = certificate(asked, &names::controller_certificate(&asked.name)).await?;
    let mut changes = vec![asked.apply(&valid.certificate(&certificate), managers::CERTIFICATES).await?];
    let mut configuration = None;
    if valid.admits() {
        let served = self::certificate(asked, &names::controller_webhook(&asked.name)).await?;
        let admission = valid.admission(&served);
        let Admission { certificate, service, .. } = &admission;
        changes.push(asked.apply(certificate, managers::CERTIFICATES).await?);
        changes.push(asked.apply(service, managers::CONTROLPLANE).await?);
        configuration = Some(admission.configuration);
    }
    let deployment = asked.apply(&valid.deployment(&certificate), managers::CONTROLPLANE).await?;
    if deployment.before.is_none() {
        changes.extend(lease(asked, valid.lease()).await?);
    }
    changes.push(deployment);
    match configuration {
        Some(configuration) => changes.push(asked.apply(&configuration, managers::CONTROLPLANE).await?),
        None => changes.extend(withdrawn(asked).await?),
    }
    Ok(changes)
}

/// What is there stays; what is not there yet only the cluster knows.
async fn certificate(asked: &Asked, secret: &str) -> Result<Certificate, Failed> {
    let found = asked.certificate(secret).await?;
    Ok(found.map_or_else(controlplane::placeholder, |[chain, key, authority]| Certificate {
        chain,
        key,
        authority,
    }))
}

/// It is made before the first pods, unless it is there.
async fn lease(asked: &Asked, lease: Option<Lease>) -> Result<Option<Change>, Failed> {
    let Some(lease) = lease else { return Ok(None) };
    let name = lease.name_any();
    let found = asked.live::<Lease>(Some(&asked.namespace), &name).await?;
    let kind = crds::k8s::kind::<Lease>();
    let change = Change { kind, name, before: None, after: Some(json!(lease)), refused: None };
    Ok(found.is_none().then_some(change))
}

/// Without anything to configure nothing runs.
async fn stopped(asked: &Asked) -> Result<Vec<Change>, Failed> {
    let mut changes = withdrawn(asked).await?;
    let name = names::controller(&asked.name);
    changes.extend(asked.gone::<Deployment>(Some(&asked.namespace), &name).await?);
    Ok(changes)
}

/// The admission webhook that nobody asks any more, and what it was served with.
async fn withdrawn(asked: &Asked) -> Result<Vec<Change>, Failed> {
    let name = names::controller_abroad(&asked.namespace, &asked.name);
    let configuration = asked.gone::<ValidatingWebhookConfiguration>(None, &name).await?;
    let name = names::controller_webhook(&asked.name);
    let service = asked.gone::<Service>(Some(&asked.namespace), &name).await?;
    let secret = asked.gone::<Secret>(Some(&asked.namespace), &name).await?;
    Ok(configuration.into_iter().chain(service).chain(secret).collect())
}

/// The `ControlPlane`s of further `DataPlane`s: what becomes of them, and those that stay, as they would be.
async fn beside(
    asked: &Asked,
    around: &Around<'_>,
    wanted: &[Wanted<ControlPlane>],
) -> Result<(Vec<Change>, Vec<ControlPlane>), Failed> {
    let (mut changes, mut stay) = (Vec::new(), Vec::new());
    for want in wanted {
        let change = asked.apply(want, managers::CONTROLPLANE).await?;
        let after = change.after.as_ref().filter(|_| change.refused.is_none());
        stay.extend(after.and_then(|after| around.read(Kind::ControlPlane, after)));
        changes.push(change);
    }
    let is_wanted = |found: &DynamicObject| wanted.iter().any(|wanted| wanted.name() == found.name_any());
    changes.extend(asked.former::<ControlPlane>((Some(&asked.namespace), ""), is_wanted).await?);
    Ok((changes, stay))
}

/// Rights in namespaces that are no longer watched.
async fn closed(asked: &Asked, open: &BTreeSet<String>) -> Result<Vec<Change>, Failed> {
    let labels = format!(
        "{}={},{}={}",
        labels::MANAGED_BY,
        values::CONTROLPLANE,
        labels::OWNER_NAMESPACE,
        asked.namespace
    );
    let is_open =
        |found: &DynamicObject| found.namespace().is_some_and(|namespace| open.contains(&namespace));
    let bindings = asked.former::<RoleBinding>((None, &labels), is_open).await?;
    let roles = asked.former::<Role>((None, &labels), is_open).await?;
    Ok(bindings.into_iter().chain(roles).collect())
}
