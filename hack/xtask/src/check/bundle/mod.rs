//! What a catalogue's pipeline objects to in the bundle, before it sees it.
//!
//! The rules are those of `operator-framework/api` v0.45 (`pkg/validation`, its optional suite `operatorframework`
//! included), of the static checks of the community catalogues, and of the scorecard's tests that need no cluster.
//!
//! In: `manifests/olm`. Out: a line for each rule that does not hold, with the file's name. Never: a rule of the definitions'
//! schemas, which the API servers of the suites judge.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a member that it lacks")]

mod about;
mod catalogue;
mod objects;
mod service_version;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::Findings;
use crate::generate::olm::BUNDLE;
use crate::tree;

/// A bundle as it was read.
pub struct Bundle {
    /// The objects of `manifests/`, by file.
    objects: BTreeMap<String, Value>,
    /// `metadata/annotations.yaml`.
    annotations: Value,
    /// `tests/scorecard/config.yaml`.
    scorecard: Value,
    /// `bundle.Dockerfile`.
    dockerfile: String,
    /// The documents of the catalogue.
    catalogue: Vec<Value>,
    /// Size of all objects, in bytes.
    size: usize,
}

/// Says what is wrong, or what could not be compared.
pub fn check(root: &Path) -> anyhow::Result<Findings> {
    let bundle = Bundle::read(root)?;
    let notes = vec!["definitions were not compared with a release: there is none yet".to_owned()];
    Ok(Findings { wrong: bundle.wrong(), notes })
}

impl Bundle {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let folder = root.join(BUNDLE);
        let olm = root.join("manifests/olm");
        let mut objects = BTreeMap::new();
        let mut size = 0;
        for path in tree::files(&folder.join("manifests"), "yaml")? {
            size += fs::metadata(&path)?.len().try_into().unwrap_or(usize::MAX);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            objects.insert(name, read(&path)?);
        }
        let catalogue = fs::read_to_string(olm.join("catalog/silverback/catalog.yaml"))?;
        let catalogue =
            catalogue.split("\n---\n").map(serde_saphyr::from_str).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            objects,
            annotations: read(&folder.join("metadata/annotations.yaml"))?,
            scorecard: read(&folder.join("tests/scorecard/config.yaml"))?,
            dockerfile: fs::read_to_string(olm.join("bundle.Dockerfile"))?,
            catalogue,
            size,
        })
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = objects::wrong(self);
        match self.of_kind("ClusterServiceVersion").as_slice() {
            [version] => {
                wrong.extend(about::wrong(version));
                wrong.extend(service_version::wrong(version, self));
            }
            found => wrong
                .push(format!("manifests: one ClusterServiceVersion is wanted, {} are there", found.len())),
        }
        wrong.extend(catalogue::wrong(self));
        wrong
    }

    fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.objects.values().filter(|object| object["kind"] == kind).collect()
    }
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))
}

/// The items of an array; none where there is none.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text; empty where there is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a text is a version as `1.2.3` or `1.2.3-rc.1`.
fn is_semver(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u32>().is_ok())
}

/// Whether a text is one or more labels of DNS (RFC 1123) with dots between.
fn is_subdomain(text: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.len() <= 253 && text.split('.').all(good)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bundle() -> Bundle {
        Bundle::read(&tree::root()).unwrap()
    }

    /// What is said when a member of the `ClusterServiceVersion` is another.
    fn with(pointer: &str, value: Value) -> Vec<String> {
        let mut bundle = bundle();
        let version =
            bundle.objects.values_mut().find(|object| object["kind"] == "ClusterServiceVersion").unwrap();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let member = member.replace("~1", "/");
        version.pointer_mut(parent).unwrap()[member.as_str()] = value;
        bundle.wrong()
    }

    #[test]
    fn nothing_is_wrong_with_the_bundle() {
        assert_eq!(bundle().wrong(), Vec::<String>::new());
    }

    #[test]
    fn each_rule_of_the_service_version_is_seen_broken() {
        let examples = |text: &str| json!(text);
        let cases = [
            ("/metadata/name", json!("silverback.0.1.0"), "silverback.v0.1.0"),
            ("/metadata/annotations/alm-examples", examples("{"), "alm-examples: is no JSON array"),
            ("/metadata/annotations/alm-examples", examples("[]"), "DataPlane has no example"),
            ("/metadata/annotations/capabilities", json!("Much"), "capabilities"),
            ("/metadata/annotations/categories", json!("Networking,Kong"), "\"Kong\""),
            ("/metadata/annotations/createdAt", json!("today"), "createdAt"),
            ("/metadata/annotations/support", json!(""), "support"),
            ("/metadata/annotations/ALM-Examples", json!("[]"), "letter case"),
            ("/spec/displayName", json!("S"), "displayName"),
            ("/spec/description", json!("short"), "description"),
            ("/spec/version", json!("1"), "version"),
            ("/spec/minKubeVersion", json!("1.30"), "minKubeVersion"),
            ("/spec/provider", json!({}), "provider.name"),
            ("/spec/maintainers", json!([{ "name": "A", "email": "nobody" }]), "maintainers"),
            ("/spec/links", json!([{ "name": "A", "url": "nowhere" }]), "links"),
            ("/spec/icon", json!([]), "icon"),
            ("/spec/installModes", json!([]), "installModes"),
            ("/spec/relatedImages", json!([]), "relatedImages"),
            ("/spec/webhookdefinitions/0/sideEffects", Value::Null, "sideEffects"),
            ("/spec/webhookdefinitions/0/deploymentName", json!("other"), "deploymentName"),
            ("/spec/webhookdefinitions/0/rules/0/apiGroups", json!(["*"]), "apiGroups"),
            ("/spec/customresourcedefinitions/owned", json!([]), "is not owned"),
            ("/spec/install/spec/clusterPermissions", wide(), "customresourcedefinitions"),
            (
                "/spec/install/spec/deployments/0/spec/template/spec/containers/0/resources",
                json!({}),
                "requests",
            ),
        ];
        for (pointer, value, words) in cases {
            let wrong = with(pointer, value);
            assert!(wrong.iter().any(|line| line.contains(words)), "{pointer}: {wrong:?}");
        }
    }

    fn wide() -> Value {
        let rule = json!({ "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
            "verbs": ["create"] });
        json!([{ "serviceAccountName": "silverback", "rules": [rule] }])
    }

    #[test]
    fn each_rule_of_the_other_files_is_seen_broken() {
        let said = |change: &dyn Fn(&mut Bundle)| {
            let mut bundle = bundle();
            change(&mut bundle);
            bundle.wrong().join("\n")
        };
        let add = |object: Value| {
            move |bundle: &mut Bundle| drop(bundle.objects.insert("more.yaml".into(), object.clone()))
        };
        assert!(said(&add(json!({ "kind": "Deployment" }))).contains("no bundle may hold a Deployment"));
        assert!(
            said(&add(json!({ "kind": "NetworkPolicy" }))).contains("no bundle may hold a NetworkPolicy")
        );
        let account = json!({ "kind": "ServiceAccount", "metadata": { "name": "silverback" } });
        assert!(said(&add(account)).contains("OLM makes the ServiceAccount"));
        let blocking = json!({ "kind": "PodDisruptionBudget", "spec": { "maxUnavailable": 0 } });
        assert!(said(&add(blocking)).contains("maxUnavailable"));
        let old = json!({ "kind": "PodDisruptionBudget", "apiVersion": "policy/v1beta1" });
        assert!(said(&add(old)).contains("policy/v1beta1"));
        assert!(
            said(&|bundle| drop(bundle.objects.remove("dataplanes.crd.yaml"))).contains("has no definition")
        );
        assert!(said(&|bundle| bundle.dockerfile.clear()).contains("bundle.Dockerfile"));
        assert!(said(&|bundle| bundle.size = 2 << 20).contains("1 MiB"));
        assert!(said(&|bundle| bundle.scorecard = json!({})).contains("scorecard"));
        let channels = "operators.operatorframework.io.bundle.channels.v1";
        assert!(
            said(&|bundle| bundle.annotations["annotations"][channels] = json!("beta")).contains("channel")
        );
        assert!(said(&|bundle| bundle.catalogue[1]["entries"] = json!([])).contains("head"));
        assert!(
            said(&|bundle| bundle.catalogue[0]["defaultChannel"] = json!("x")).contains("defaultChannel")
        );
        assert!(said(&|bundle| bundle.catalogue[2]["name"] = json!("x")).contains("no bundle"));
    }
}
