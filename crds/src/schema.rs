//! The custom resource definitions, as a cluster should get them.
//!
//! In: what the types derive. Out: definitions with `spec` optional, native handling of `null`, and
//! no noise. Never: a definition that differs between two runs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::{ControlPlane, DataPlane, GatewayConfiguration, GatewayRollout, WatchNamespaceGrant};

/// Every definition of the product, sorted by name.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let all = [
        ControlPlane::crd(),
        DataPlane::crd(),
        GatewayConfiguration::crd(),
        GatewayRollout::crd(),
        WatchNamespaceGrant::crd(),
    ];
    all.map(finished).into()
}

fn finished(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let roots = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    for root in roots.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        tidy(root);
        spec_may_be_absent(root);
    }
    definition
}

/// `kind: DataPlane` with nothing but a name is a valid object, and so is every kind that requires no field.
fn spec_may_be_absent(root: &mut JSONSchemaProps) {
    let spec = root.properties.as_mut().and_then(|properties| properties.get_mut("spec"));
    let Some(spec) = spec.filter(|spec| spec.required.iter().flatten().count() == 0) else { return };
    spec.default = Some(JSON(json!({})));
    if let Some(required) = root.required.as_mut() {
        required.retain(|field| field != "spec");
    }
    root.required.take_if(|required| required.is_empty());
}

/// Optional Rust fields derive `nullable: true`. Without it the API server drops a `null` that a user
/// writes, as it does for built-in kinds; with it the `null` stays and CEL's `has()` is true for it.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    for child in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(child);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Every object of a JSON value that `wanted` accepts, with its path.
    fn find<'a>(value: &'a Value, path: &str, wanted: &dyn Fn(&Value) -> bool) -> Vec<(String, &'a Value)> {
        let mut found: Vec<_> = wanted(value).then(|| (path.to_owned(), value)).into_iter().collect();
        let members = value.as_object().into_iter().flatten().map(|(name, member)| (name.clone(), member));
        let items = value.as_array().into_iter().flatten().enumerate();
        let items = items.map(|(index, item)| (index.to_string(), item));
        for (name, child) in members.chain(items) {
            found.extend(find(child, &format!("{path}/{name}"), wanted));
        }
        found
    }

    fn dataplanes() -> Value {
        let definition = definitions().into_iter().find(|found| found.spec.names.plural == "dataplanes");
        serde_json::to_value(definition.unwrap()).unwrap()
    }

    fn schema() -> Value {
        dataplanes()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    #[test]
    fn the_files_are_what_the_types_say() {
        let written: Value = serde_saphyr::from_str(include_str!("../yaml/dataplanes.yaml")).unwrap();
        let definition: CustomResourceDefinition = serde_json::from_value(written).unwrap();
        assert_eq!(serde_json::to_value(definition).unwrap(), dataplanes(), "run `cargo xtask generate`");
    }

    #[test]
    fn a_dataplane_needs_nothing_but_a_name() {
        let schema = schema();
        assert_eq!(schema["properties"]["spec"]["default"], json!({}));
        assert_eq!(schema.get("required"), None);
        assert_eq!(schema["properties"]["spec"].get("required"), None);
        let defaults = find(&schema, "", &|value| value.get("default").is_some());
        assert_eq!(defaults.len(), 1, "other defaults belong into `defaults`: {defaults:?}");
    }

    #[test]
    fn null_means_absent_everywhere() {
        let schema = schema();
        let nullable = find(&schema, "", &|value| value.get("nullable").is_some());
        assert_eq!(nullable, []);
    }

    #[test]
    fn formats_are_those_that_kubernetes_knows() {
        let odd = |value: &Value| {
            let format = value.get("format").and_then(Value::as_str);
            format.is_some_and(|format| !["int32", "int64", "date-time"].contains(&format))
        };
        assert_eq!(find(&schema(), "", &odd).len(), 0);
    }

    #[test]
    fn every_field_is_described() {
        let schema = schema();
        let nodes = find(&schema, "", &|value| value.get("properties").is_some_and(Value::is_object));
        for (path, node) in nodes {
            for (name, field) in node["properties"].as_object().unwrap() {
                let described =
                    field.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
                assert!(described, "{path}/{name}");
            }
        }
    }

    #[test]
    fn rules_have_words_and_point_at_fields() {
        let text = include_str!("../yaml/dataplanes.yaml");
        let schema = schema();
        let nodes = find(&schema, "", &|value| value.get("x-kubernetes-validations").is_some());
        let rules: Vec<_> =
            nodes.iter().flat_map(|(_, node)| node["x-kubernetes-validations"].as_array().unwrap()).collect();
        assert_eq!(rules.len(), 14);
        for rule in rules {
            assert!(text.contains(rule["rule"].as_str().unwrap()), "{rule}");
            let words = rule.get("message").or_else(|| rule.get("messageExpression"));
            assert!(words.unwrap().as_str().unwrap().len() > 20, "{rule}");
        }
    }

    #[test]
    fn conditions_merge_by_their_type() {
        let schema = schema();
        let conditions = &schema["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
        let maps = find(&schema, "", &|value| value.get("x-kubernetes-list-type") == Some(&json!("map")));
        for (path, list) in maps {
            let required = list["items"]["required"].as_array().unwrap();
            for key in list["x-kubernetes-list-map-keys"].as_array().unwrap() {
                assert!(required.contains(key), "{path}: a key that may be absent");
            }
        }
    }

    #[test]
    fn the_pod_template_keeps_whatever_it_is_given() {
        let spec = &schema()["properties"]["spec"]["properties"];
        let template = &spec["deployment"]["properties"]["podTemplateSpec"];
        assert_eq!(template["type"], "object");
        assert_eq!(template["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(template.get("properties"), None);
    }

    #[test]
    fn names_columns_and_subresources() {
        let spec = &dataplanes()["spec"];
        assert_eq!(spec["names"]["shortNames"], json!(["kodp"]));
        assert_eq!(spec["names"]["categories"], json!(["kong", "all"]));
        let version = &spec["versions"][0];
        let scale = json!({
            "labelSelectorPath": ".status.selector",
            "specReplicasPath": ".spec.deployment.replicas",
            "statusReplicasPath": ".status.replicas",
        });
        assert_eq!(version["subresources"], json!({ "status": {}, "scale": scale }));
        let columns: Vec<_> = version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| &column["name"])
            .collect();
        assert_eq!(columns, ["Ready", "Rollout", "Age", "Stable", "Canary", "Reason", "Replicas", "Address"]);
    }
}
