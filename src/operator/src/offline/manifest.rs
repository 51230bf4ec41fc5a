//! Objects in texts.
//!
//! In: texts. Out: every object in order, those of lists each by itself, told apart by whether their kind is ours, and
//! what could not be read. Never: a word about what an object says.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use webhooks::Kind;

use super::sources::Source;
use super::yaml::{self, Broken, Held, Mark, Node};

/// One object, or what should have been one.
#[derive(Debug)]
pub enum Item {
    /// Of a kind that is looked at.
    Ours(Manifest),
    /// Of another kind.
    Other(Other),
    /// A document that cannot be read.
    Broken(Rc<str>, Broken),
}

/// An object of a kind that is looked at.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file that it is in.
    pub file: Rc<str>,
    /// The folder of that file.
    pub folder: Arc<Path>,
    /// Its kind.
    pub kind: Kind,
    /// Its tree, by which fields are found.
    pub node: Node,
    /// Itself.
    pub object: Value,
    /// Keys that are given twice.
    pub faults: Vec<Broken>,
}

/// An object of another kind.
#[derive(Debug, Clone)]
pub struct Other {
    /// The file that it is in.
    pub file: Rc<str>,
    /// The folder of that file.
    pub folder: Arc<Path>,
    /// Where it begins.
    pub at: Mark,
    /// Itself.
    pub object: Value,
}

impl Manifest {
    /// A text at that pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name, or what its name is made of.
    pub fn name(&self) -> &str {
        let name = self.text("/metadata/name");
        if name.is_empty() { self.text("/metadata/generateName") } else { name }
    }

    /// Where it begins.
    pub fn at(&self) -> Mark {
        yaml::mark(&self.node, "")
    }
}

impl Other {
    /// Its kind, as a count names it.
    pub fn kind(&self) -> &str {
        text(&self.object, "kind").unwrap_or("no kind")
    }
}

/// The objects of all texts.
pub fn items(sources: &[Source]) -> Vec<Item> {
    sources.iter().flat_map(of_source).collect()
}

fn of_source(source: &Source) -> Vec<Item> {
    let file: Rc<str> = source.name.as_str().into();
    let text = match std::str::from_utf8(&source.bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = source.bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            let words = "the text is not UTF-8".to_owned();
            return vec![Item::Broken(file, Broken { at: Mark { line, column: 1 }, words })];
        }
    };
    let folder: Arc<Path> = source.folder.as_path().into();
    let mut items = Vec::new();
    for document in yaml::documents(text) {
        match document {
            Ok(document) => open((&file, &folder), document.root, &document.faults, &mut items),
            Err(broken) => items.push(Item::Broken(Rc::clone(&file), broken)),
        }
    }
    items
}

/// An object, or those of a list.
fn open(place: (&Rc<str>, &Arc<Path>), node: Node, faults: &[Broken], items: &mut Vec<Item>) {
    let object = node.value();
    let listed = text(&object, "kind").is_some_and(|kind| kind.ends_with("List"));
    if let (true, Held::Map(entries)) = (listed, &node.held)
        && let Some(Held::List(nodes)) = entries.iter().find(|e| e.key == "items").map(|e| &e.value.held)
    {
        for node in nodes {
            open(place, node.clone(), faults, items);
        }
        return;
    }
    let (file, folder) = (Rc::clone(place.0), Arc::clone(place.1));
    let at = node.at;
    items.push(if !object.is_object() {
        let words = "this is no object: a manifest has apiVersion, kind and metadata".to_owned();
        Item::Broken(file, Broken { at, words })
    } else if let Some(kind) = kind(&object) {
        let within = |fault: &&Broken| yaml::holds(&node, fault.at);
        let faults = faults.iter().filter(within).cloned().collect();
        Item::Ours(Manifest { file, folder, kind, node, object, faults })
    } else {
        Item::Other(Other { file, folder, at, object })
    });
}

/// The kind that is meant. One without a group is taken for ours where its name is: only then can it be told that the
/// group is missing.
fn kind(object: &Value) -> Option<Kind> {
    let name = text(object, "kind")?;
    let group = text(object, "apiVersion").unwrap_or_default().split('/').next().unwrap_or_default();
    Kind::ALL.into_iter().find(|kind| {
        let ours = kind.resource().group == crds::names::GROUP;
        kind.name() == name && (kind.resource().group == group || (ours && group.is_empty()))
    })
}

fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let source = Source { name: "x.yaml".to_owned(), folder: "".into(), bytes: text.as_bytes().to_vec() };
        let told = |item: &Item| match item {
            Item::Ours(ours) => format!("{} {} {}", ours.kind.name(), ours.name(), ours.at().line),
            Item::Other(other) => format!("other {} {}", other.kind(), other.at.line),
            Item::Broken(_, broken) => format!("broken {}", broken.at.line),
        };
        items(&[source]).iter().map(told).collect()
    }

    #[test]
    fn kinds_are_told_apart_and_lists_opened() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: gateway-operator.konghq.com/v1beta1\n  kind: DataPlane\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Secret\n---\nkind: ControlPlane\nmetadata: {generateName: b-}\n---\njust words\n---\na: 1\n---\napiVersion: other.example/v1\nkind: DataPlane\n";
        assert_eq!(
            told(text),
            [
                "DataPlane a 4",
                "other Secret 7",
                "ControlPlane b- 10",
                "broken 13",
                "other no kind 15",
                "other DataPlane 17"
            ]
        );
    }

    #[test]
    fn what_is_not_utf8_is_told_with_its_line() {
        let source = Source { name: "x".to_owned(), folder: "".into(), bytes: b"a: 1\nb: \xff\n".to_vec() };
        let items = items(&[source]);
        assert!(matches!(&items[..], [Item::Broken(_, broken)] if broken.at.line == 2), "{items:?}");
    }
}
