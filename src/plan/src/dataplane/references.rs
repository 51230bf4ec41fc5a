//! Secrets and ConfigMaps that a pod template refers to.
//!
//! In: a pod template. Out: each reference that has to resolve, with where it stands. Whether it does is for others
//! to say; keys inside of the objects are not looked at, the kubelet tells of those.

use serde_json::Value;

use super::template::PATH;

/// What kind of object is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// An object in the namespace of the pods that has to exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The field that names it, containers, variables and volumes by their names.
    pub path: String,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
        };
        write!(f, "{kind} {:?} ({})", self.name, self.path)
    }
}

/// The references of a user's template, sorted; optional ones are none.
pub fn of(template: &Value) -> Vec<Reference> {
    let spec = template.get("spec").unwrap_or(&Value::Null);
    let containers = ["containers", "initContainers"];
    let mut all: Vec<Reference> = containers
        .into_iter()
        .flat_map(|list| stay(spec, list).map(move |container| (list, container)))
        .flat_map(|(list, container)| of_container(list, container))
        .chain(stay(spec, "volumes").flat_map(of_volume))
        .chain(stay(spec, "imagePullSecrets").filter_map(|secret| {
            reference(Kind::Secret, Some(secret), "name", || format!("{PATH}.spec.imagePullSecrets"))
        }))
        .collect();
    all.sort();
    all.dedup_by(|a, b| (a.kind, &a.name) == (b.kind, &b.name));
    all
}

/// The items of a list, but for those that only say what goes.
fn stay<'v>(of: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    let all = of.get(list).and_then(Value::as_array).into_iter().flatten();
    all.filter(|item| item.get("$patch").and_then(Value::as_str) != Some("delete"))
}

fn of_container(list: &str, container: &Value) -> Vec<Reference> {
    let at = || format!("{PATH}.spec.{list}[{}]", name(container));
    let from = stay(container, "envFrom").flat_map(|from| {
        let at = || format!("{}.envFrom", at());
        [
            reference(Kind::Secret, from.get("secretRef"), "name", at),
            reference(Kind::ConfigMap, from.get("configMapRef"), "name", at),
        ]
    });
    let env = stay(container, "env").flat_map(|variable| {
        let from = variable.get("valueFrom").unwrap_or(&Value::Null);
        let at = || format!("{}.env[{}]", at(), name(variable));
        [
            reference(Kind::Secret, from.get("secretKeyRef"), "name", at),
            reference(Kind::ConfigMap, from.get("configMapKeyRef"), "name", at),
        ]
    });
    from.chain(env).flatten().collect()
}

fn of_volume(volume: &Value) -> Vec<Reference> {
    let at = || format!("{PATH}.spec.volumes[{}]", name(volume));
    let sources = volume.get("projected").into_iter().flat_map(|projected| stay(projected, "sources"));
    let projected = sources.flat_map(|source| {
        [
            reference(Kind::Secret, source.get("secret"), "name", at),
            reference(Kind::ConfigMap, source.get("configMap"), "name", at),
        ]
    });
    let own = [
        reference(Kind::Secret, volume.get("secret"), "secretName", at),
        reference(Kind::ConfigMap, volume.get("configMap"), "name", at),
    ];
    own.into_iter().chain(projected).flatten().collect()
}

fn reference(
    kind: Kind,
    source: Option<&Value>,
    field: &str,
    path: impl FnOnce() -> String,
) -> Option<Reference> {
    let source = source?;
    if source.get("optional").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    Some(Reference { kind, name: source.get(field)?.as_str()?.to_owned(), path: path() })
}

fn name(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_place_of_a_reference_is_known_and_optional_ones_are_none() {
        let template = json!({"spec": {
            "containers": [{
                "name": "proxy",
                "envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b", "optional": true}}],
                "env": [
                    {"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}},
                    {"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "d", "key": "k"}}},
                    {"name": "Z", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
            }],
            "initContainers": [{"name": "init", "envFrom": [{"configMapRef": {"name": "e"}}]}],
            "volumes": [
                {"name": "f", "secret": {"secretName": "f"}},
                {"name": "g", "configMap": {"name": "g"}},
                {"name": "h", "projected": {"sources": [{"secret": {"name": "h"}}, {"configMap": {"name": "i"}}, {"secret": {"name": "j", "optional": true}}]}},
                {"name": "k", "emptyDir": {}},
            ],
            "imagePullSecrets": [{"name": "l"}],
        }});
        let told: Vec<_> = of(&template).iter().map(ToString::to_string).collect();
        let at = |text: &str| text.replace('@', "spec.deployment.podTemplateSpec.spec.");
        assert_eq!(
            told,
            [
                at("ConfigMap \"d\" (@containers[proxy].env[Y])"),
                at("ConfigMap \"e\" (@initContainers[init].envFrom)"),
                at("ConfigMap \"g\" (@volumes[g])"),
                at("ConfigMap \"i\" (@volumes[h])"),
                at("Secret \"a\" (@containers[proxy].envFrom)"),
                at("Secret \"c\" (@containers[proxy].env[X])"),
                at("Secret \"f\" (@volumes[f])"),
                at("Secret \"h\" (@volumes[h])"),
                at("Secret \"l\" (@imagePullSecrets)"),
            ]
        );
    }
}
