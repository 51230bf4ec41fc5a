//! What the doctor asks the cluster.
//!
//! In: a client. Out: objects as JSON, or why they could not be had. Never: a Secret's content but for a certificate's end.

use std::collections::BTreeMap;

use crds::access::{self, GRANTS, Grant};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};
use kube::discovery::Scope;
use serde_json::{Value, json};

use super::Failed;

/// Kinds that are listed: group, version, kind, plural.
const KINDS: [(&str, &str, &str, &str); 12] = [
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    ),
    ("apps", "v1", "Deployment", "deployments"),
    ("", "v1", "Pod", "pods"),
    ("coordination.k8s.io", "v1", "Lease", "leases"),
    ("gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses"),
    ("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
    (crds::names::GROUP, "v1beta1", "DataPlane", "dataplanes"),
    (crds::names::GROUP, "v1beta1", "ControlPlane", "controlplanes"),
    (crds::names::GROUP, "v1beta1", "GatewayConfiguration", "gatewayconfigurations"),
    (crds::names::GROUP, "v1alpha1", "GatewayRollout", "gatewayrollouts"),
];
/// Those that are of interest in the operator's namespace only.
const OWN: [&str; 1] = ["Lease"];

/// What the cluster said.
pub struct Found {
    /// As `v1.36.3`.
    pub version: String,
    /// Objects by kind, or the API server's refusal.
    pub objects: BTreeMap<&'static str, Result<Vec<Value>, String>>,
    /// What became of a `DataPlane` that the webhooks refuse and the definition takes: `Ok` where it was taken.
    pub bad: Result<(), String>,
    /// Rights that the operator's account lacks; an error where that could not be asked.
    pub lacking: Result<Vec<String>, String>,
}

/// Asks everything.
///
/// # Errors
/// When the API server cannot be reached at all.
pub async fn all(client: &Client, namespace: &str) -> Result<Found, Failed> {
    let version = client.apiserver_version().await?.git_version;
    let mut objects = BTreeMap::new();
    for (group, version, kind, plural) in KINDS {
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let scope = if OWN.contains(&kind) { Scope::Namespaced } else { Scope::Cluster };
        objects.insert(kind, listed(client, &resource, &scope, namespace).await);
    }
    Ok(Found { version, objects, bad: bad(client).await, lacking: lacking(client, namespace).await })
}

async fn listed(
    client: &Client,
    of: &ApiResource,
    scope: &Scope,
    namespace: &str,
) -> Result<Vec<Value>, String> {
    let api: Api<DynamicObject> = match scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, of),
        Scope::Cluster => Api::all_with(client.clone(), of),
    };
    let found = api.list(&ListParams::default()).await.map_err(|error| said(&error))?;
    found.items.iter().map(|item| serde_json::to_value(item).map_err(|error| error.to_string())).collect()
}

/// A misspelt field inside `podTemplateSpec`: only the webhook reads that far.
async fn bad(client: &Client) -> Result<(), String> {
    let container = json!({ "name": crds::names::PROXY_CONTAINER, "imagee": "kong" });
    let object = json!({
        "apiVersion": format!("{}/v1beta1", crds::names::GROUP), "kind": "DataPlane",
        "metadata": { "name": "silverback-doctor" },
        "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } },
    });
    let object: crds::DataPlane = serde_json::from_value(object).map_err(|error| error.to_string())?;
    let api: Api<crds::DataPlane> = Api::namespaced(client.clone(), client.default_namespace());
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    #[expect(clippy::disallowed_methods, reason = "a dry run keeps nothing")]
    let made = api.create(&dry, &object).await;
    made.map(drop).map_err(|error| said(&error))
}

/// Asks about each right of the table for the account of the Deployment, but for those in watched namespaces, which may
/// be given in each of them.
async fn lacking(client: &Client, namespace: &str) -> Result<Vec<String>, String> {
    let reviews = ApiResource {
        group: "authorization.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "authorization.k8s.io/v1".to_owned(),
        kind: "SubjectAccessReview".to_owned(),
        plural: "subjectaccessreviews".to_owned(),
    };
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &reviews);
    let mut lacking = Vec::new();
    for grant in GRANTS.iter().filter(|grant| grant.scope != access::Scope::Watched) {
        for verb in grant.verbs {
            let review =
                serde_json::from_value(review(grant, verb, namespace)).map_err(|error| error.to_string())?;
            #[expect(clippy::disallowed_methods, reason = "a review is a question: nothing is kept")]
            let answer = api.create(&PostParams::default(), &review).await;
            let answer = answer.map_err(|error| said(&error))?;
            if answer.data.pointer("/status/allowed") != Some(&Value::Bool(true)) {
                lacking.push(format!("{verb} {}", grant.resource));
            }
        }
    }
    Ok(lacking)
}

fn review(grant: &Grant, verb: &str, namespace: &str) -> Value {
    let (resource, subresource) = grant.resource.split_once('/').unwrap_or((grant.resource, ""));
    let own = grant.scope == access::Scope::Own;
    json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {
        "user": format!("system:serviceaccount:{namespace}:{}", crds::names::OPERATOR),
        "resourceAttributes": {
            "group": grant.group, "resource": resource, "subresource": subresource, "verb": verb,
            "name": grant.names.first().copied().unwrap_or_default(),
            "namespace": if own { namespace } else { "" },
        },
    } })
}

/// The API server's own words where it answered.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => runtime::failure::chain(other),
    }
}
