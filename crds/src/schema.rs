//! The custom resource definitions, as a cluster should get them.
//!
//! In: what the types derive. Out: definitions with `spec` optional, native handling of `null`, and
//! no noise. Never: a definition that differs between two runs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::dataplane::DataPlane;

/// Every definition of the product, sorted by name.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![finished(DataPlane::crd())]
}

fn finished(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let roots = definition
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut());
    for root in roots.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        tidy(root);
        spec_may_be_absent(root);
    }
    definition
}

/// `kind: DataPlane` with nothing but a name is a valid object.
fn spec_may_be_absent(root: &mut JSONSchemaProps) {
    if let Some(spec) = root
        .properties
        .as_mut()
        .and_then(|properties| properties.get_mut("spec"))
    {
        spec.default = Some(JSON(json!({})));
    }
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
    for child in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
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
