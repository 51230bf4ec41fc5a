//! The definitions of our kinds, ready to be asked.
//!
//! In: nothing. Out: schema and rules of each kind, and objects as they are stored.

use std::collections::BTreeMap;

use serde_json::Value;
use webhooks::Kind;

use super::rules::Rules;
use super::schema;

/// The definition of one kind.
pub struct Definition {
    /// Its schema.
    pub schema: Value,
    /// Its rules.
    pub rules: Rules,
}

/// Those of all kinds.
pub struct Definitions(BTreeMap<Kind, Definition>);

impl Definitions {
    /// As this version of the product has them.
    pub fn new() -> Self {
        let of = |definition: crds::k8s::CustomResourceDefinition| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == definition.spec.names.kind)?;
            let version = definition.spec.versions.into_iter().next()?;
            let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
            let rules = Rules::of(&schema);
            Some((kind, Definition { schema, rules }))
        };
        Self(crds::definitions().into_iter().filter_map(of).collect())
    }

    /// That of a kind; Gateway API's kinds have theirs elsewhere.
    pub fn of(&self, kind: Kind) -> Option<&Definition> {
        self.0.get(&kind)
    }

    /// An object with all defaults, of the schema and of the webhook, as the API server would go on to check it.
    pub fn stored(&self, kind: Kind, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(definition) = self.of(kind) {
            schema::settle(&definition.schema, &mut object);
        }
        webhooks::default(kind, &mut object);
        object
    }
}
