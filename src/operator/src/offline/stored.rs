//! `silverback default`: manifests as a cluster would store them.
//!
//! In: manifests. Out: the same in order, ours with what is defaulted at admission and without what nobody knows; those
//! of other kinds as they are. Comments are lost. Never: what only a cluster adds (uid, timestamps, managed fields).

use serde_json::Value;

use super::definitions::Definitions;
use super::manifest::{Item, Manifest};
use super::schema;

/// What comes out.
pub struct Stored {
    /// The manifests.
    pub text: String,
    /// What could not be read.
    pub broken: Vec<String>,
}

/// All of them.
///
/// # Errors
/// When something cannot be written as YAML.
pub fn all(items: &[Item]) -> Result<Stored, serde_saphyr::ser::Error> {
    let definitions = Definitions::new();
    let (mut texts, mut broken) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Ours(manifest) => texts.push(document(&stored(manifest, &definitions))?),
            Item::Other(other) => texts.push(document(&other.object)?),
            Item::Broken(file, what) => {
                broken.push(format!(
                    "{file}:{}:{}: cannot be read: {}",
                    what.at.line, what.at.column, what.words
                ));
            }
        }
    }
    Ok(Stored { text: texts.join("---\n"), broken })
}

fn stored(manifest: &Manifest, definitions: &Definitions) -> Value {
    let mut object = definitions.stored(manifest.kind, &manifest.object);
    if let Some(definition) = definitions.of(manifest.kind) {
        // The schema says nothing about these: every object has them.
        let members = ["apiVersion", "kind", "metadata"];
        let kept: Vec<_> = members
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), object.get(*name)?.clone())))
            .collect();
        schema::prune(&definition.schema, &mut object);
        object.as_object_mut().map(|members| members.extend(kept)).unwrap_or_default();
    }
    object
}

/// One YAML document.
///
/// # Errors
/// When the value cannot be written as YAML.
pub fn document(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    let text = serde_saphyr::to_string(value)?;
    Ok(if text.ends_with('\n') { text } else { format!("{text}\n") })
}
