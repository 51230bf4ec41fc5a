//! Fields that a kind does not have.
//!
//! In: an object, or a pod template, as JSON. Out: every field of it that nobody reads, by its path, with the name that
//! was probably meant. Never: a word about values; what has the wrong type is left to the schema.

mod shape;

use std::sync::LazyLock;

use crds::PodTemplatePatch;
use crds::k8s::{ObjectMeta, PodTemplateSpec};
use plan::Problem;
use serde_json::{Map, Value};

use crate::kinds::Kind;
use shape::{Shape, Shapes};

/// How many letters of ten may differ for two names to be taken for one another.
const LETTERS_OF_TEN: usize = 4;

/// What every object has, whatever its definition says of it.
const OF_ALL: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The definitions' schemas, `metadata` besides.
static KINDS: LazyLock<Vec<(String, Shapes)>> = LazyLock::new(|| {
    let shapes = crds::definitions().into_iter().filter_map(|definition| {
        let version = definition.spec.versions.into_iter().next()?;
        let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
        Some((definition.spec.names.kind, Shapes::of(&schema).with(&OF_ALL)))
    });
    shapes.collect()
});

static TEMPLATE: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::of(schemars::schema_for!(PodTemplateSpec).as_value()));

static METADATA: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::of(schemars::schema_for!(ObjectMeta).as_value()));

/// Fields of a whole object that its kind does not have. A pod template's are left to [`unknown_in_template`]; kinds of
/// others have none that are unknown here.
pub fn unknown(kind: Kind, object: &Value) -> Vec<Problem> {
    let Some((_, shapes)) = KINDS.iter().find(|(name, _)| name == kind.name()) else { return Vec::new() };
    let mut problems = Walk { shapes, problems: Vec::new() }.whole(object, "");
    if let Some(metadata) = object.get("metadata") {
        problems.extend(Walk { shapes: &METADATA, problems: Vec::new() }.whole(metadata, "metadata"));
    }
    problems
}

/// Fields that a core/v1 `PodTemplateSpec` does not have; `path` says where it stands. Directives of strategic merge
/// (`$patch` and others) are known.
pub fn unknown_in_template(template: &PodTemplatePatch, path: &str) -> Vec<Problem> {
    Walk { shapes: &TEMPLATE, problems: Vec::new() }.whole(template.as_value(), path)
}

struct Walk<'a> {
    shapes: &'a Shapes,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn whole(mut self, value: &Value, path: &str) -> Vec<Problem> {
        self.value(self.shapes.root(), value, path);
        self.problems
    }

    fn value(&mut self, shape: &Shape, value: &Value, path: &str) {
        match (shape, value) {
            (Shape::Fields(_), Value::Object(members)) => self.fields(shape, members, path),
            (Shape::Map(values), Value::Object(members)) => {
                for (key, value) in members {
                    self.value(self.shapes.get(*values), value, &format!("{path}[{key}]"));
                }
            }
            (Shape::List(items), Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(self.shapes.get(*items), value, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, shape: &Shape, members: &Map<String, Value>, path: &str) {
        for (name, value) in members {
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match shape.field(name) {
                Some(next) => self.value(self.shapes.get(next), value, &at),
                None if name.starts_with('$') => {}
                None => {
                    let message = self.message(shape, name, path);
                    self.problems.push(Problem::at(at, message));
                }
            }
        }
    }

    /// What was meant: a name beside it that is nearly the same, or the same name elsewhere below.
    fn message(&self, shape: &Shape, name: &str, path: &str) -> String {
        if let Some(near) = nearest(shape.names(), name) {
            return format!("unknown field, did you mean {near:?}?");
        }
        match self.shapes.path_to(shape, name) {
            Some(below) if path.is_empty() => format!("unknown field, did you mean {below:?}?"),
            Some(below) => format!("unknown field, did you mean {:?}?", format!("{path}.{below}")),
            None => "unknown field".to_owned(),
        }
    }
}

/// The name that is nearest to a misspelt one, where any is near.
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, wrong: &str) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let near = names.map(|name| (strsim::osa_distance(&name.to_lowercase(), &lower), name));
    let close = |(distance, name): &(usize, &str)| {
        let longest = name.len().max(wrong.len());
        distance * 10 <= longest.saturating_mul(LETTERS_OF_TEN).saturating_sub(LETTERS_OF_TEN)
    };
    near.filter(close).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(kind: Kind, object: &Value) -> Vec<String> {
        unknown(kind, object).iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    }

    fn in_template(template: &Value) -> Vec<String> {
        let patch: PodTemplatePatch = serde_json::from_value(template.clone()).unwrap();
        unknown_in_template(&patch, "t").iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    }

    #[test]
    fn misspelt_and_misplaced_fields_are_told_with_what_was_meant() {
        let object = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
            "metadata": { "name": "x", "lables": {} },
            "spec": {
                "replicas": 2, "zzz": 1,
                "deployment": { "replica": 2, "podTemplateSpec": { "anything": 1 } },
                "network": { "services": { "ingress": { "ports": [{ "port": 80, "targetport": 1 }], "annotations": { "any": "x" } } } },
            },
        });
        assert_eq!(
            told(Kind::DataPlane, &object),
            [
                "spec.deployment.replica: unknown field, did you mean \"replicas\"?",
                "spec.network.services.ingress.ports[0].targetport: unknown field, did you mean \"targetPort\"?",
                "spec.replicas: unknown field, did you mean \"spec.deployment.replicas\"?",
                "spec.zzz: unknown field",
                "metadata.lables: unknown field, did you mean \"labels\"?",
            ]
        );
    }

    #[test]
    fn kinds_of_others_have_no_unknown_fields() {
        assert_eq!(told(Kind::Gateway, &json!({ "anything": 1 })), [] as [&str; 0]);
        assert_eq!(
            told(Kind::WatchNamespaceGrant, &json!({ "spec": { "form": [] } })),
            ["spec.form: unknown field, did you mean \"from\"?"]
        );
    }

    #[test]
    fn a_template_may_hold_directives_but_no_unknown_fields() {
        let template = json!({
            "metadata": { "annotations": { "any": "x" } },
            "spec": {
                "$setElementOrder/containers": [],
                "containers": [{ "name": "proxy", "$patch": "replace", "imag": "kong", "env": [{ "name": "A", "valeu": "" }] }],
                "volumes": [{ "name": "v", "configmap": { "name": "c" } }],
                "restartPolcy": "Always", "nodeSelector": { "any": "x" },
                "topologySpreadConstraints": [{ "labelSelector": { "matchLabels": { "a": "b" } } }],
            },
        });
        assert_eq!(
            in_template(&template),
            [
                "t.spec.containers[0].env[0].valeu: unknown field, did you mean \"value\"?",
                "t.spec.containers[0].imag: unknown field, did you mean \"image\"?",
                "t.spec.restartPolcy: unknown field, did you mean \"restartPolicy\"?",
                "t.spec.volumes[0].configmap: unknown field, did you mean \"configMap\"?",
            ]
        );
    }

    #[test]
    fn names_are_near_only_when_few_letters_differ() {
        let names = ["replicas", "image", "from", "type"];
        for (wrong, meant) in
            [("replica", Some("replicas")), ("Image", Some("image")), ("tpye", Some("type"))]
        {
            assert_eq!(nearest(names.into_iter(), wrong), meant);
        }
        for wrong in ["zzz", "ingress", "t"] {
            assert_eq!(nearest(names.into_iter(), wrong), None, "{wrong}");
        }
    }
}
