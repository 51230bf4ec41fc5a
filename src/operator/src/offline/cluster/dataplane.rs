//! What would become of the children of a `DataPlane`.

use std::sync::Arc;

use crds::k8s::{Deployment, HorizontalPodAutoscaler, PodDisruptionBudget, Service};
use crds::names::{self, annotations, labels, managers, values};
use crds::wanted::Wanted;
use crds::{DataPlane, GatewayRollout};
use kube::{Client, ResourceExt};
use plan::attempt::{Course, Live};
use plan::dataplane::{Certificate, Clients, Families};
use serde_json::{Value, json};

use super::asked::Asked;
use super::{Compared, Group};
use crate::offline::Failed;
use crate::offline::change::Change;
use crate::offline::render::{Around, dataplane};

/// Everything that would change for a `DataPlane`.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied.
pub async fn compared(client: &Client, around: &Around<'_>, object: &DataPlane) -> Result<Compared, Failed> {
    let is_configured = around.is_configured(object);
    let changes = changes(client, around, (object, is_configured)).await?;
    Ok(Compared { words: String::new(), groups: vec![Group { of: String::new(), changes }] })
}

/// The same, where it is known whether a control plane is to configure it.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied.
pub async fn changes(
    client: &Client,
    around: &Around<'_>,
    (object, is_configured): (&DataPlane, bool),
) -> Result<Vec<Change>, Failed> {
    let asked = Asked::about(client, object).await?;
    let mut object = object.clone();
    object.metadata.uid = Some(asked.uid.clone());
    let (deployments, rollouts) = tracks(&asked).await?;
    let course = Course::of(&object, Live { deployments: &deployments, rollouts: &rollouts });
    let is_configured = is_configured || was_configured(&deployments, &course.primary.name);
    let placed = course.primary.of(&object);
    let valid = plan::dataplane::valid(around.settings(), &placed)?;
    let valid = valid.configured(is_configured).placed(course.placing(&course.primary));
    let certificate = certificate(&asked).await?;
    let network = valid.network(&certificate);

    let mut changes = Vec::new();
    if let Some(attempt) = &course.begin {
        changes.push(asked.apply(attempt, managers::ROLLOUTS).await?);
    }
    changes.push(asked.apply(&network.clients, managers::CERTIFICATES).await?);
    changes.push(asked.apply(&network.certificate, managers::CERTIFICATES).await?);
    let admin = asked.apply(&network.admin, managers::DATAPLANE).await?;
    let ingress = asked.apply(&network.ingress, managers::DATAPLANE).await?;
    let services = [&admin, &ingress].map(|change| {
        let service: Option<Service> =
            change.after.clone().and_then(|after| serde_json::from_value(after).ok());
        service.unwrap_or_default()
    });
    changes.extend([admin, ingress]);
    let budget = names::disruption_budget(&asked.name);
    changes.extend(asked.optional::<PodDisruptionBudget>(&budget, network.disruption_budget.as_ref()).await?);
    let families = Families::of(&services);
    let workload = valid.workload(&certificate, families);
    changes.push(deployment(&asked, &workload.deployment).await?);
    if let Some(track) = &course.beside {
        let placed = track.of(&object);
        let beside = plan::dataplane::valid(around.settings(), &placed)?;
        let beside = beside.configured(is_configured).placed(course.placing(track));
        changes.push(deployment(&asked, &beside.workload(&certificate, families).deployment).await?);
    }
    let autoscaler = names::autoscaler(&asked.name);
    changes
        .extend(asked.optional::<HorizontalPodAutoscaler>(&autoscaler, workload.autoscaler.as_ref()).await?);
    // Services that took the traffic under another name.
    let kind = format!(
        "{}={},{}!={}",
        labels::SERVICE_TYPE,
        values::INGRESS,
        labels::SERVICE_STATE,
        values::PREVIEW
    );
    let is_wanted = |service: &kube::api::DynamicObject| service.name_any() == network.ingress.name();
    changes.extend(asked.former::<Service>((Some(&asked.namespace), &kind), is_wanted).await?);
    Ok(changes)
}

/// The Deployments that there are, and the rollouts.
async fn tracks(asked: &Asked) -> Result<(Vec<Arc<Deployment>>, Vec<Arc<GatewayRollout>>), Failed> {
    let of = format!("{}={}", labels::APP, names::label_value(&asked.name));
    let of = format!("{of},{}={}", labels::MANAGED_BY, values::DATAPLANE);
    Ok((asked.own::<Deployment>(&of).await?, asked.own::<GatewayRollout>(&of).await?))
}

/// Whether a control plane configures the pods, which they keep.
fn was_configured(deployments: &[Arc<Deployment>], track: &str) -> bool {
    let is =
        |deployment: &Deployment| deployment.labels().get(labels::TRACK).is_some_and(|found| found == track);
    let mut found = deployments.iter().filter(|deployment| is(deployment));
    found.any(|deployment| deployment.annotations().contains_key(annotations::CONFIGURED))
}

/// What is there stays; what is not there yet only the cluster knows.
async fn certificate(asked: &Asked) -> Result<Certificate, Failed> {
    let mut found = dataplane::placeholder();
    if let Some([chain, key, authority]) = asked.certificate(&names::admin_certificate(&asked.name)).await? {
        found = Certificate { chain, key, authority, ..found };
    }
    if let Some([certificate, key, trusted]) =
        asked.certificate(&names::client_authority(&asked.name)).await?
    {
        found.clients = Clients { certificate, key, trusted };
    }
    Ok(found)
}

/// The number of replicas is handed over to an autoscaler before the operator lets go of it; a single dry run would
/// show Kubernetes' default instead.
async fn deployment(asked: &Asked, want: &Wanted<Deployment>) -> Result<Change, Failed> {
    let mut change = asked.apply(want, managers::DATAPLANE).await?;
    let fixed = |object: &Value| {
        let notes = object.pointer("/metadata/annotations");
        notes.is_some_and(|notes| notes.get(annotations::REPLICAS).is_some())
    };
    let ours = want.body().pointer("/spec/replicas").is_some();
    let live = change.before.as_ref().filter(|before| fixed(before) && !ours);
    let live = live.and_then(|before| before.pointer("/spec/replicas")?.as_u64());
    let after = change.after.as_mut().and_then(|after| after.pointer_mut("/spec/replicas"));
    if let (Some(live), Some(after)) = (live, after) {
        *after = json!(live.max(1));
    }
    Ok(change)
}
