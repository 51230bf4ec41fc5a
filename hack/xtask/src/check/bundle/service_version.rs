//! What the `ClusterServiceVersion` installs, and whether it agrees with the definitions beside it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::about::broken;
use super::{Bundle, is_subdomain, items, text};

const TYPES: [&str; 3] = ["ValidatingAdmissionWebhook", "MutatingAdmissionWebhook", "ConversionWebhook"];
/// Groups that no webhook of an operator may ask for.
const FORBIDDEN: [&str; 3] = ["*", "operators.coreos.com", "olm.operatorframework.io"];

/// Every rule that does not hold.
pub fn wrong(version: &Value, bundle: &Bundle) -> Vec<String> {
    let spec = &version["spec"];
    let said =
        [owned(spec, bundle), examples(version, bundle), images(spec), webhooks(spec), rights(spec)].concat();
    said.into_iter().map(|line| format!("ClusterServiceVersion: {line}")).collect()
}

/// `group/version/Kind`, as the definitions have it and as the list has it.
type Served = (String, String, String);

fn defined(bundle: &Bundle) -> Vec<(Served, &Value)> {
    bundle.of_kind("CustomResourceDefinition").into_iter().flat_map(versions).collect()
}

fn versions(definition: &Value) -> impl Iterator<Item = (Served, &Value)> {
    let spec = &definition["spec"];
    let of = |value: &Value| text(value).to_owned();
    items(&spec["versions"])
        .map(move |version| ((of(&spec["group"]), of(&version["name"]), of(&spec["names"]["kind"])), version))
}

fn listed(spec: &Value) -> Vec<(Served, &Value)> {
    items(&spec["customresourcedefinitions"]["owned"]).map(|one| (served(one), one)).collect()
}

fn served(one: &Value) -> Served {
    let (_, group) = text(&one["name"]).split_once('.').unwrap_or_default();
    (group.to_owned(), text(&one["version"]).to_owned(), text(&one["kind"]).to_owned())
}

fn owned(spec: &Value, bundle: &Bundle) -> Vec<String> {
    let keys = |all: &[(Served, &Value)]| all.iter().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>();
    let (defined, listed) = (defined(bundle), listed(spec));
    let (there, said) = (keys(&defined), keys(&listed));
    let mut wrong: Vec<_> = there.difference(&said).map(|key| format!("{} is not owned", key.2)).collect();
    wrong.extend(said.difference(&there).map(|key| format!("{} is owned and has no definition", key.2)));
    if there.len() != defined.len() || said.len() != listed.len() {
        wrong.push("a definition is there twice".to_owned());
    }
    for (key, one) in listed {
        for field in ["displayName", "description"] {
            if text(&one[field]).is_empty() {
                wrong.push(format!("{} has no {field}", key.2));
            }
        }
        if items(&one["resources"]).count() == 0 {
            wrong.push(format!("{} lists no resources", key.2));
        }
    }
    wrong
}

fn examples(version: &Value, bundle: &Bundle) -> Vec<String> {
    let annotation = text(&version["metadata"]["annotations"]["alm-examples"]);
    let Ok(Value::Array(examples)) = serde_json::from_str(annotation) else {
        return vec!["alm-examples: is no JSON array".to_owned()];
    };
    let mut wrong = Vec::new();
    let listed = listed(&version["spec"]);
    let key = |one: &Value| {
        let (group, version) = text(&one["apiVersion"]).split_once('/').unwrap_or_default();
        (group.to_owned(), version.to_owned(), text(&one["kind"]).to_owned())
    };
    for example in &examples {
        let Some((_, owned)) = listed.iter().find(|(known, _)| *known == key(example)) else {
            wrong.push(format!("alm-examples: {} is no owned kind", example["kind"]));
            continue;
        };
        wrong.extend(described(example, owned, bundle));
    }
    let lacking = listed.iter().filter(|(known, _)| !examples.iter().any(|example| key(example) == *known));
    wrong.extend(lacking.map(|(known, _)| format!("alm-examples: {} has no example", known.2)));
    wrong
}

/// Each field of an example is in the schema and has a descriptor.
fn described(example: &Value, owned: &Value, bundle: &Bundle) -> Vec<String> {
    let kind = text(&example["kind"]);
    let Some(spec) = example["spec"].as_object() else {
        return vec![format!("alm-examples: {kind} has no spec")];
    };
    let defined = defined(bundle);
    let version = defined.iter().find(|(key, _)| key.2 == kind).map(|(_, version)| *version);
    let schema =
        version.and_then(|version| version.pointer("/schema/openAPIV3Schema/properties/spec/properties"));
    let mut wrong = Vec::new();
    for field in spec.keys() {
        if schema.is_none_or(|schema| schema.get(field).is_none()) {
            wrong.push(format!("alm-examples: the definition of {kind} does not know spec.{field}"));
        }
        if !items(&owned["specDescriptors"]).any(|one| one["path"] == *field) {
            wrong.push(format!("{kind}: spec.{field} has no descriptor"));
        }
    }
    wrong
}

/// Every image that is run is named, and can be pulled where only named ones are mirrored.
fn images(spec: &Value) -> Vec<String> {
    let related: Vec<_> = items(&spec["relatedImages"]).collect();
    let complete = |one: &&Value| !text(&one["name"]).is_empty() && text(&one["image"]).contains('/');
    let mut wrong = Vec::new();
    if related.is_empty() || !related.iter().all(complete) {
        wrong.push("spec.relatedImages: each needs a name and an image".to_owned());
    }
    for container in containers(spec) {
        let image = &container["image"];
        if !related.iter().any(|one| one["image"] == *image) {
            wrong.push(format!("spec.relatedImages lacks {image}, which is run"));
        }
        for amount in
            ["cpu", "memory"].iter().filter(|name| container["resources"]["requests"].get(**name).is_none())
        {
            wrong.push(format!(
                "container {} requests no {amount}: see requests of its resources",
                container["name"]
            ));
        }
    }
    wrong
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let deployments = items(&spec["install"]["spec"]["deployments"]);
    deployments.flat_map(|deployment| items(&deployment["spec"]["template"]["spec"]["containers"]))
}

fn webhooks(spec: &Value) -> Vec<String> {
    let deployments: Vec<_> =
        items(&spec["install"]["spec"]["deployments"]).map(|deployment| &deployment["name"]).collect();
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for webhook in items(&spec["webhookdefinitions"]) {
        let name = text(&webhook["generateName"]);
        let groups = items(&webhook["rules"]).flat_map(|rule| items(&rule["apiGroups"]));
        let port = webhook["containerPort"].as_u64().unwrap_or(443);
        let rules = [
            (is_subdomain(name.trim_end_matches('-')), "generateName is no name".to_owned()),
            (names.insert((text(&webhook["type"]), name)), "generateName is there twice".to_owned()),
            (TYPES.contains(&text(&webhook["type"])), format!("type {} is not known", webhook["type"])),
            (webhook["sideEffects"] == "None", "sideEffects are wanted, and None".to_owned()),
            (
                items(&webhook["admissionReviewVersions"]).count() > 0,
                "admissionReviewVersions are wanted".to_owned(),
            ),
            (deployments.contains(&&webhook["deploymentName"]), "deploymentName is no deployment".to_owned()),
            ((1..=65535).contains(&port), format!("containerPort {port} is no port")),
            (text(&webhook["webhookPath"]).starts_with('/'), "webhookPath is no path".to_owned()),
            (
                groups.into_iter().all(|group| !FORBIDDEN.contains(&text(group))),
                "rules: apiGroups that OLM keeps to itself".to_owned(),
            ),
        ];
        wrong.extend(broken(rules).into_iter().map(|line| format!("webhook {name}: {line}")));
    }
    wrong
}

/// No right that catalogues object to.
fn rights(spec: &Value) -> Vec<String> {
    let strategy = &spec["install"]["spec"];
    let all = items(&strategy["permissions"]).chain(items(&strategy["clusterPermissions"]));
    let mut wrong = Vec::new();
    for rule in all.flat_map(|account| items(&account["rules"])) {
        let has = |field: &str, value: &str| items(&rule[field]).any(|one| one == value || one == "*");
        let writes = ["create", "patch", "update", "delete"].iter().any(|verb| has("verbs", verb));
        for resource in ["customresourcedefinitions", "securitycontextconstraints"] {
            if writes && has("resources", resource) {
                wrong.push(format!("a rule lets the operator write {resource}"));
            }
        }
    }
    wrong
}
