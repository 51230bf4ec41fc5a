//! `silverback render`: the objects that the operator would make.
//!
//! In: manifests. Out: for each what is made of it, in the order in which it is applied, as YAML: of a Gateway its
//! `DataPlane` and its `ControlPlane`, and what is made of those. What only a cluster knows stands in angle brackets.
//! Never: an object for what makes none; that is said instead.

mod around;
pub mod controlplane;
pub mod dataplane;
pub mod gateway;
mod marks;

use plan::Invalid;
use serde_json::Value;
use webhooks::Kind;

use super::manifest::Manifest;
use super::stored;

pub use around::{Around, Scene, is_of};

/// What is said where only `generateName` is given.
const UNNAMED: &str =
    "# Only the cluster knows its name: xxxxx stands for what is appended to generateName.\n";

/// What is made of one manifest.
#[derive(Debug)]
pub enum Made {
    /// Nothing, and why.
    Nothing(String),
    /// Objects, in groups: of whom they are, and themselves.
    Objects(Vec<Group>),
}

/// The children of one object.
#[derive(Debug)]
pub struct Group {
    /// Whose they are, in words that precede the manifest's; empty where they are the manifest's own.
    pub of: String,
    /// What has to be known to read them; empty where nothing has.
    pub note: String,
    /// Themselves.
    pub objects: Vec<Value>,
}

impl Made {
    fn nothing(words: impl Into<String>) -> Self {
        Self::Nothing(words.into())
    }
}

impl Group {
    fn own(objects: Vec<Value>) -> Self {
        Self { of: String::new(), note: String::new(), objects }
    }
}

/// What is made of a manifest, where it can be read.
///
/// # Errors
/// What cannot be provisioned.
pub fn made(around: &Around<'_>, manifest: &Manifest) -> Result<Option<Made>, Invalid> {
    match manifest.kind {
        Kind::DataPlane => around.object(manifest).map(|object| dataplane::made(around, &object)).transpose(),
        Kind::ControlPlane => {
            around.object(manifest).map(|object| controlplane::made(around, &object)).transpose()
        }
        Kind::Gateway => around.object(manifest).map(|object| gateway::made(around, &object)).transpose(),
        Kind::GatewayClass | Kind::GatewayConfiguration => {
            Ok(Some(Made::nothing("no objects by itself: it says how those of a Gateway are made")))
        }
        Kind::WatchNamespaceGrant => Ok(Some(Made::nothing("no objects: it is a permission"))),
    }
}

/// One object after the other, under comments that say what they belong to.
///
/// # Errors
/// When something cannot be written as YAML.
pub fn documents(manifest: &Manifest, group: &Group) -> Result<String, serde_saphyr::ser::Error> {
    let Group { of, note, objects } = group;
    let title = title(manifest);
    let named = !manifest.text("/metadata/name").is_empty();
    let unnamed = if named { "" } else { UNNAMED };
    let texts = objects.iter().map(|object| {
        let text = stored::document(object)?;
        Ok(format!("---\n# {of}{title}\n{note}{unnamed}{text}"))
    });
    texts.collect()
}

/// As in `DataPlane team/edge (edge.yaml:3)`.
pub fn title(manifest: &Manifest) -> String {
    let place = format!("{}:{}", manifest.file, manifest.at().line);
    named(manifest.kind, (manifest.text("/metadata/namespace"), manifest.name()), &place)
}

/// The same of an object that is elsewhere.
pub fn named(kind: Kind, (namespace, name): (&str, &str), place: &str) -> String {
    let gap = if namespace.is_empty() { "" } else { "/" };
    format!("{} {namespace}{gap}{name} ({place})", kind.name())
}
