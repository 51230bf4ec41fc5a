//! A patch for a pod template, kept exactly as its author wrote it.
//!
//! In: the JSON object under `podTemplateSpec`. Out: the same object. Never: a typed template,
//! because decoding would drop unknown fields (they must be reported with their path), `null` and
//! `$patch` (they mean removal), and the difference between absent and empty.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A `core/v1` `PodTemplateSpec`, whole or in part, that is merged onto the generated one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PodTemplatePatch(Value);

impl PodTemplatePatch {
    /// The patch as JSON, the form in which merges are written: always an object.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// A copy of it, to be changed.
    pub fn to_value(&self) -> Value {
        self.0.clone()
    }
}

impl From<Map<String, Value>> for PodTemplatePatch {
    fn from(members: Map<String, Value>) -> Self {
        Self(Value::Object(members))
    }
}

impl<'de> Deserialize<'de> for PodTemplatePatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for PodTemplatePatch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PodTemplatePatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}
