//! What a catalogue shows to people.
//!
//! In: nothing but the definitions' own descriptions. Out: texts and descriptors. Never: a capability that is not there.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use serde_json::{Value, json};

/// One line.
pub const SHORT: &str =
    "Runs Kong Gateway and Kong Ingress Controller for Gateway API, and upgrades them by canary.";

/// The page of the operator.
pub const LONG: &str = "\
Silverback runs [Kong Gateway](https://github.com/Kong/kong) and Kong Ingress Controller on your cluster.

**What it manages.** A `Gateway` of [Gateway API](https://gateway-api.sigs.k8s.io) gets a data plane, a control plane, \
Services, certificates and a network policy of its own. You may also describe a `DataPlane` and a `ControlPlane` \
yourself. Changes of a data plane's pods can be brought to the traffic by steps of weight, judged against the pods \
that serve already, and are taken back by themselves when they do worse.

**What you see.** Manifests are filled in and checked when they are applied: every problem at once, with its field and \
the remedy. Conditions and events say what is wrong and what to do about it; metrics say how the operator does.

**How to start.** Install the standard channel of Gateway API, then apply a `GatewayClass` with \
`controllerName: konghq.com/gateway-operator` and a `Gateway` of it; or apply the example of a `DataPlane`, and wait \
until it is ready:

    kubectl wait dataplane/example --for=condition=Ready

Manifests of `v1beta1` of Kong Gateway Operator 1.6 can be applied unchanged.
";

/// One resource that an owned kind makes: `kind`, `version`.
type Made = (&'static str, &'static str);

/// What the kinds make, or read where they make nothing: OLM's console shows these beside an object.
fn resources(kind: &str) -> &'static [Made] {
    match kind {
        "DataPlane" => &[
            ("Deployment", "v1"),
            ("Service", "v1"),
            ("Secret", "v1"),
            ("HorizontalPodAutoscaler", "v2"),
            ("PodDisruptionBudget", "v1"),
            ("GatewayRollout", "v1alpha1"),
        ],
        "ControlPlane" => &[
            ("Deployment", "v1"),
            ("Service", "v1"),
            ("ServiceAccount", "v1"),
            ("Role", "v1"),
            ("RoleBinding", "v1"),
            ("Secret", "v1"),
        ],
        "GatewayConfiguration" => &[("DataPlane", "v1beta1"), ("ControlPlane", "v1beta1")],
        "GatewayRollout" => &[("Deployment", "v1"), ("Job", "v1")],
        _ => &[("Namespace", "v1")],
    }
}

/// A kind as `customresourcedefinitions.owned` lists it.
pub fn owned(definition: &CustomResourceDefinition) -> Vec<Value> {
    let names = &definition.spec.names;
    let made = resources(&names.kind)
        .iter()
        .map(|(kind, version)| json!({ "kind": kind, "name": "", "version": version }));
    let made: Vec<_> = made.collect();
    let one = |version: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion| {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        let described = schema.and_then(|schema| schema.description.as_deref()).unwrap_or_default();
        json!({
            "name": definition.metadata.name, "kind": names.kind, "version": version.name,
            "displayName": spaced(&names.kind), "description": described, "resources": made,
            "specDescriptors": descriptors(schema, "spec"),
            "statusDescriptors": descriptors(schema, "status"),
        })
    };
    definition.spec.versions.iter().map(one).collect()
}

/// A descriptor for each field below `part`.
fn descriptors(schema: Option<&JSONSchemaProps>, part: &str) -> Vec<Value> {
    let part = schema
        .and_then(|schema| schema.properties.as_ref()?.get(part))
        .and_then(|part| part.properties.as_ref());
    let one = |(path, field): (&String, &JSONSchemaProps)| {
        let mut descriptor = json!({
            "path": path, "displayName": spaced(path), "description": field.description.as_deref().unwrap_or_default(),
        });
        if path == "conditions" {
            descriptor["x-descriptors"] = json!(["urn:alm:descriptor:io.kubernetes.conditions"]);
        }
        descriptor
    };
    part.into_iter().flatten().map(one).collect()
}

/// `lastAction` as `Last Action`.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        if at == 0 {
            text.extend(letter.to_uppercase());
        } else {
            if letter.is_uppercase() {
                text.push(' ');
            }
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_words() {
        assert_eq!(spaced("DataPlane"), "Data Plane");
        assert_eq!(spaced("observedGeneration"), "Observed Generation");
    }

    #[test]
    fn each_field_of_each_kind_has_a_descriptor_with_words() {
        for definition in crds::definitions() {
            for owned in owned(&definition) {
                for descriptors in ["specDescriptors", "statusDescriptors"] {
                    for descriptor in owned[descriptors].as_array().unwrap() {
                        assert_ne!(descriptor["description"], "", "{} {descriptor}", owned["kind"]);
                    }
                }
            }
        }
    }
}
