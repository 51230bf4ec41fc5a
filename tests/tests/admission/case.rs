//! The table of manifests: what each is, and what is to be said of it.
//!
//! In: the files of `cases/`, each a list of cases about one topic. Out: the cases, `apiVersion` and a name filled in
//! where a manifest has none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tests::artifacts;

/// Longest name that is made of a case's own.
const LONGEST: usize = 50;

/// The cases of one file.
pub struct Topic {
    /// Name of the file.
    pub name: String,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// A manifest, and what is to be said of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is special about it; no two cases share one.
    pub name: String,
    /// The manifest.
    pub object: Value,
    /// What stands before it, as `kubectl apply` takes it.
    #[serde(default)]
    pub given: Vec<Value>,
    /// What it is an update of.
    pub old: Option<Value>,
    /// Why it is refused; nothing where it is good.
    #[serde(default)]
    pub because: Vec<Because>,
    /// The warnings about it.
    #[serde(default)]
    pub warns: Vec<Warns>,
}

/// One warning: words of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Spelt")]
pub struct Warns {
    /// The words.
    pub says: String,
    /// Whether it is known without a cluster.
    pub is_plain: bool,
}

/// How a warning is spelt in the table: as its words where everybody knows it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelt {
    Words(String),
    Known { says: String, only: Place },
}

impl From<Spelt> for Warns {
    fn from(spelt: Spelt) -> Self {
        match spelt {
            Spelt::Words(says) => Self { says, is_plain: true },
            Spelt::Known { says, only: Place::Cluster } => Self { says, is_plain: false },
        }
    }
}

/// Who alone can know of something.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Cluster,
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Path of the field.
    pub field: String,
    /// Words of what is said about it.
    pub says: String,
    /// Who says it.
    pub by: By,
    /// Who alone can know of it.
    only: Option<Place>,
}

/// Who finds a fault. Kubernetes asks in this order, and the first who finds one has the last word: but for rules,
/// which are looked at along with the schema.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Strict decoding: the field does not exist.
    Field,
    /// The schema of the definition.
    Schema,
    /// A CEL rule of the definition.
    Rule,
    /// The webhook.
    Webhook,
}

impl Case {
    /// A name that Kubernetes takes, made of the case's own.
    pub fn slug(&self) -> String {
        let dashed: String = self
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let words: Vec<_> = dashed.split('-').filter(|word| !word.is_empty()).collect();
        words.join("-").chars().take(LONGEST).collect::<String>().trim_end_matches('-').to_owned()
    }

    /// Whether it is to be stored.
    pub fn is_good(&self) -> bool {
        self.because.is_empty()
    }

    /// Whether it says something about what stands before it.
    pub fn has_past(&self) -> bool {
        !self.given.is_empty() || self.old.is_some()
    }

    /// Whether its kind is one of the product's own.
    pub fn is_ours(&self) -> bool {
        self.object["apiVersion"].as_str().is_some_and(|version| version.starts_with(crds::names::GROUP))
    }

    /// What is wrong that can be known without a cluster.
    pub fn plain_faults(&self) -> Vec<&Because> {
        self.because.iter().filter(|because| because.only.is_none()).collect()
    }

    /// Words of the warnings that need no cluster.
    pub fn plain_warnings(&self) -> Vec<&str> {
        self.warns.iter().filter(|warns| warns.is_plain).map(|warns| warns.says.as_str()).collect()
    }

    /// What a cluster says of it: of those who find faults the first alone is heard.
    pub fn heard(&self) -> Vec<&Because> {
        let stage = |because: &Because| match because.by {
            By::Field => 0,
            By::Schema | By::Rule => 1,
            By::Webhook => 2,
        };
        let first = self.because.iter().map(stage).min();
        self.because.iter().filter(|because| Some(stage(because)) == first).collect()
    }

    /// Whether it is refused where no webhook is asked.
    pub fn is_refused_without_webhook(&self) -> bool {
        self.because.iter().any(|because| because.by < By::Webhook)
    }

    /// The namespace of the manifest, where it names one.
    pub fn namespace(&self) -> Option<&str> {
        self.object.pointer("/metadata/namespace").and_then(Value::as_str)
    }

    fn complete(mut self) -> Result<Self> {
        let slug = self.slug();
        let objects = self.given.iter_mut().chain(&mut self.old).chain([&mut self.object]);
        for object in objects {
            complete(object, &slug).with_context(|| self.name.clone())?;
        }
        Ok(self)
    }
}

fn complete(object: &mut Value, name: &str) -> Result<()> {
    let fields = object.as_object_mut().context("a manifest is an object")?;
    let version = match fields.get("kind").and_then(Value::as_str).context("a manifest has a kind")? {
        "WatchNamespaceGrant" => "gateway-operator.konghq.com/v1alpha1",
        "ReferenceGrant" => "gateway.networking.k8s.io/v1beta1",
        "Gateway" | "GatewayClass" => "gateway.networking.k8s.io/v1",
        _ => "gateway-operator.konghq.com/v1beta1",
    };
    fields.entry("apiVersion").or_insert_with(|| json!(version));
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    metadata.as_object_mut().context("metadata is an object")?.entry("name").or_insert_with(|| json!(name));
    Ok(())
}

/// The whole table, topics by their names.
pub fn all() -> Result<Vec<Topic>> {
    let folder: PathBuf = artifacts::root().join("tests/tests/admission/cases");
    let files: std::io::Result<BTreeSet<_>> =
        std::fs::read_dir(&folder)?.map(|file| Ok(file?.path())).collect();
    let topics: Result<Vec<_>> = files?.iter().map(|file| read(file)).collect();
    let topics = topics?;
    let mut names = BTreeSet::new();
    for case in topics.iter().flat_map(|topic| &topic.cases) {
        ensure!(names.insert(case.slug()), "two cases are called {:?}", case.name);
    }
    Ok(topics)
}

fn read(file: &Path) -> Result<Topic> {
    let text = std::fs::read_to_string(file)?;
    let cases: Vec<Case> = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
    let cases: Result<Vec<_>> = cases.into_iter().map(Case::complete).collect();
    let name = file.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
    Ok(Topic { name, cases: cases? })
}
