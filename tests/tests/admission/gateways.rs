//! Gateway API's kinds, as far as the table speaks of them.
//!
//! In: nothing. Out: their definitions in the box, without schemas: nothing but the webhooks has a say.

use anyhow::Result;
use crds::k8s::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

/// API group of the kinds.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// Makes sure that they are served.
pub async fn served(s: &Scenario) -> Result<()> {
    let all: Api<CustomResourceDefinition> = Api::all(s.world.client.clone());
    for definition in [
        definition("gateways", "Gateway", "Namespaced", "v1"),
        definition("gatewayclasses", "GatewayClass", "Cluster", "v1"),
        definition("referencegrants", "ReferenceGrant", "Namespaced", "v1beta1"),
    ] {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let apply = PatchParams::apply("silverback-tests");
        all.patch(&name, &apply, &Patch::Apply(definition)).await?;
        let established = |definition: &CustomResourceDefinition| {
            let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_deref());
            conditions.unwrap_or_default().iter().any(|c| c.type_ == "Established" && c.status == "True")
        };
        wait::until(&all, &name, SOON, established).await?;
    }
    Ok(())
}

fn definition(plural: &str, kind: &str, scope: &str, version: &str) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        // Kubernetes asks this of definitions in its own groups.
        "metadata": { "name": format!("{plural}.{GROUP}"), "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" } },
        "spec": {
            "group": GROUP,
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
            "scope": scope,
            "versions": [{ "name": version, "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
                "subresources": { "status": {} } }],
        },
    })
}
