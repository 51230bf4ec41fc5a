//! What a cluster would make of the children of a `DataPlane`.
//!
//! In: a client and a `DataPlane`. Out: each child as it is and as the API server says that it would be. Never: a change:
//! every request that could make one is a dry run.

use crds::DataPlane;
use crds::k8s::{Deployment, HorizontalPodAutoscaler, PodDisruptionBudget, Secret, Service};
use crds::names::{self, annotations, labels, managers, values};
use crds::wanted::{APPLIED, Wanted};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use plan::dataplane::{Certificate, Clients, Families, Settings};
use serde_json::{Value, json};

use super::change::Change;
use super::{Failed, UID, render};

/// Everything that would change for a `DataPlane`, in the order in which it would be applied.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied.
pub async fn changes(
    client: &Client,
    settings: &Settings,
    object: &DataPlane,
) -> Result<Vec<Change>, Failed> {
    let asked = Asked::of(client, object).await?;
    let mut object = object.clone();
    object.metadata.uid = Some(asked.owner.clone());
    let valid = plan::dataplane::valid(settings, &object)?.configured(asked.is_configured().await?);
    let certificate = asked.certificate().await?;
    let network = valid.network(&certificate);

    let mut changes = vec![
        asked.apply(&network.clients, managers::CERTIFICATES).await?,
        asked.apply(&network.certificate, managers::CERTIFICATES).await?,
    ];
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
    let workload = valid.workload(&certificate, Families::of(&services));
    changes.push(asked.deployment(&workload.deployment).await?);
    let autoscaler = names::autoscaler(&asked.name);
    changes
        .extend(asked.optional::<HorizontalPodAutoscaler>(&autoscaler, workload.autoscaler.as_ref()).await?);
    changes.extend(asked.former(network.ingress.name()).await?);
    Ok(changes)
}

/// The cluster, asked about one `DataPlane`.
struct Asked {
    client: Client,
    namespace: String,
    name: String,
    /// The uid of the `DataPlane`, or what stands for it.
    owner: String,
}

impl Asked {
    async fn of(client: &Client, object: &DataPlane) -> Result<Self, Failed> {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let there: Api<DataPlane> = Api::namespaced(client.clone(), &namespace);
        let found = there.get_metadata_opt(&name).await?;
        let owner = found.and_then(|found| found.metadata.uid).unwrap_or_else(|| UID.to_owned());
        Ok(Self { client: client.clone(), namespace, name, owner })
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::erase::<K>(&()))
    }

    /// Whether a control plane configures the pods, which they keep.
    async fn is_configured(&self) -> Result<bool, Failed> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = names::deployment(&self.name, values::FIRST_TRACK);
        let found = deployments.get_metadata_opt(&name).await?;
        Ok(found.is_some_and(|found| found.annotations().contains_key(annotations::CONFIGURED)))
    }

    async fn live<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
        &self,
        name: &str,
    ) -> Result<Option<Value>, Failed> {
        let found = self.api::<K>().get_opt(name).await?;
        Ok(found.map(serde_json::to_value).transpose()?)
    }

    /// The certificate that is there: it stays as long as it is good.
    async fn certificate(&self) -> Result<Certificate, Failed> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let served = secrets.get_opt(&names::admin_certificate(&self.name)).await?;
        let trusted = secrets.get_opt(&names::client_authority(&self.name)).await?;
        let text = |secret: &Option<Secret>, key: &str| {
            String::from_utf8(secret.as_ref()?.data.as_ref()?.get(key)?.0.clone()).ok()
        };
        let triple =
            |secret| Some((text(secret, "tls.crt")?, text(secret, "tls.key")?, text(secret, "ca.crt")?));
        let mut found = render::placeholder();
        if let Some((chain, key, authority)) = triple(&served) {
            found = Certificate { chain, key, authority, ..found };
        }
        if let Some((certificate, key, trusted)) = triple(&trusted) {
            found.clients = Clients { certificate, key, trusted };
        }
        Ok(found)
    }

    /// What an apply of the operator's would make of a child.
    async fn apply<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
        &self,
        want: &Wanted<K>,
        manager: &str,
    ) -> Result<Change, Failed> {
        let name = want.name().to_owned();
        let before = self.live::<K>(&name).await?;
        let kind = K::kind(&()).into_owned();
        if let Some(before) = before.as_ref().filter(|before| self.belongs_to_others(before)) {
            let words = format!(
                "{kind} {name}: is there and belongs to somebody else: the operator would not touch it"
            );
            let before = Some(before.clone());
            return Ok(Change { kind, name, after: before.clone(), before, refused: Some(words) });
        }
        let mut body = want.body().clone();
        note(&mut body, &want.digest());
        let params = PatchParams { dry_run: true, ..PatchParams::apply(manager).force() };
        let api = self.api::<K>();
        #[expect(clippy::disallowed_methods, reason = "a dry run writes nothing")]
        let sent = api.patch(&name, &params, &Patch::Apply(&body)).await;
        let after = match sent {
            Ok(after) => serde_json::to_value(after)?,
            // There is not even the namespace.
            Err(kube::Error::Api(status)) if status.is_not_found() => body,
            Err(error) => return Err(error.into()),
        };
        Ok(Change { kind, name, before, after: Some(after), refused: None })
    }

    /// The number of replicas is handed over to an autoscaler before the operator lets go of it; a single dry run would
    /// show Kubernetes' default instead.
    async fn deployment(&self, want: &Wanted<Deployment>) -> Result<Change, Failed> {
        let mut change = self.apply(want, managers::DATAPLANE).await?;
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

    /// A child that may be wanted or not, and goes when it no longer is.
    async fn optional<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
        &self,
        name: &str,
        want: Option<&Wanted<K>>,
    ) -> Result<Option<Change>, Failed> {
        if let Some(want) = want {
            return Ok(Some(self.apply(want, managers::DATAPLANE).await?));
        }
        let live = self.live::<K>(name).await?.filter(|live| self.is_made(live));
        Ok(live.map(|live| gone(K::kind(&()).into_owned(), name.to_owned(), live)))
    }

    /// Services that took the traffic under another name.
    async fn former(&self, ingress: &str) -> Result<Vec<Change>, Failed> {
        let kind = format!("{}={}", labels::SERVICE_TYPE, values::INGRESS);
        let found = self.api::<Service>().list(&ListParams::default().labels(&kind)).await?;
        let mut changes = Vec::new();
        for service in found.items {
            let name = service.metadata.name.clone().unwrap_or_default();
            let live = serde_json::to_value(service)?;
            if name != ingress && self.is_made(&live) {
                changes.push(gone("Service".to_owned(), name, live));
            }
        }
        Ok(changes)
    }

    /// Whether the operator made it for this `DataPlane`.
    fn is_made(&self, live: &Value) -> bool {
        let applied = live.pointer("/metadata/annotations").is_some_and(|notes| notes.get(APPLIED).is_some());
        applied && !self.belongs_to_others(live)
    }

    fn belongs_to_others(&self, live: &Value) -> bool {
        let owners =
            live.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let mut controllers = owners.filter(|owner| owner.get("controller") == Some(&Value::Bool(true)));
        controllers.next().is_none_or(|owner| owner.get("uid").and_then(Value::as_str) != Some(&self.owner))
    }
}

fn gone(kind: String, name: String, live: Value) -> Change {
    Change { kind, name, before: Some(live), after: None, refused: None }
}

/// The digest of what is applied, which the operator leaves on every child.
fn note(body: &mut Value, digest: &str) {
    let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(APPLIED.to_owned(), json!(digest));
    }
}
