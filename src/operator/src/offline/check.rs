//! What is to be said about manifests.
//!
//! In: manifests. Out: for each object of our kinds what is wrong with it and what surprises, each with its place; what
//! could not be read; how many objects of other kinds were passed over. The order is that of a cluster: unknown fields,
//! defaults, schema, CEL, webhook. Unlike there, what one of them finds does not keep the next from being asked.

use std::collections::BTreeMap;
use std::rc::Rc;

use plan::dataplane::Settings;
use plan::{Cause, Problem};
use serde_json::Value;
use webhooks::world::{Found, World};
use webhooks::{Kind, Subject, fields, kinds};

use super::databases;
use super::definitions::Definitions;
use super::known::{self, Known, Seen};
use super::manifest::{Item, Manifest, Other};
use super::metadata;
use super::schema::{self, Fault};
use super::yaml::{self, Mark};

/// Who found a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The reader: this is no YAML, or a key is given twice.
    Syntax,
    /// A field that nobody knows.
    Field,
    /// The schema, or what holds for every object.
    Schema,
    /// A rule of the definition, in CEL.
    Rule,
    /// What the webhook would say.
    Webhook,
}

impl Checks {
    /// How many objects are refused.
    pub fn invalid(&self) -> usize {
        self.objects.iter().filter(|object| !object.problems.is_empty()).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.objects.iter().map(|object| object.warnings.len()).sum()
    }
}

impl Checks {
    /// What is said about the object of a file that begins there.
    pub fn of(&self, file: &str, at: Mark) -> Option<&Checked> {
        self.objects.iter().find(|object| (&*object.file, object.at) == (file, at))
    }
}

impl By {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Syntax, Self::Field, Self::Schema, Self::Rule, Self::Webhook];

    /// The word for it in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Field => "field",
            Self::Schema => "schema",
            Self::Rule => "rule",
            Self::Webhook => "webhook",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where it stands.
    pub at: Mark,
    /// Path of the field; empty where it is about the whole document.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The reason of a `StatusCause`.
    pub cause: &'static str,
    /// Who found it.
    pub by: By,
}

/// Something that is legal, and surprises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where its field stands, or its object.
    pub at: Mark,
    /// What it is.
    pub message: String,
}

/// What is said about one object, or about a document that is none.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Its file.
    pub file: Rc<str>,
    /// Where it begins.
    pub at: Mark,
    /// Its kind as it is written; empty where it could not be read.
    pub kind: String,
    /// Its namespace, where one is given.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Finding>,
    /// What surprises.
    pub warnings: Vec<Warning>,
}

/// What is said about all of it.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// Object by object.
    pub objects: Vec<Checked>,
    /// Objects of other kinds.
    pub passed: BTreeMap<String, usize>,
}

/// What the checks follow, besides the manifests.
#[derive(Debug, Clone)]
pub struct Premises {
    /// What the operator is told.
    pub settings: Settings,
    /// `spec.controllerName` of the classes that are ours.
    pub controller: String,
    /// Image of Kong Ingress Controller where none is named.
    pub controller_image: String,
    /// Namespace of objects that give none.
    pub namespace: String,
}

/// Looks at everything.
pub fn all(items: &[Item], premises: &Premises) -> Checks {
    let (definitions, known) = (Definitions::new(), Known::of(items, &premises.namespace));
    let mut checks = Checks::default();
    for item in items {
        match item {
            Item::Ours(manifest) if is_ours(manifest, premises, &known.seen_by(manifest)) => {
                checks.objects.push(one(manifest, premises, &definitions, &known.seen_by(manifest)));
            }
            Item::Ours(manifest) => *checks.passed.entry(manifest.kind.name().to_owned()).or_default() += 1,
            Item::Other(other) => match misspelt(other) {
                Some(checked) => checks.objects.push(checked),
                None => *checks.passed.entry(other.kind().to_owned()).or_default() += 1,
            },
            Item::Broken(file, broken) => checks.objects.push(unread(file, broken)),
        }
    }
    checks
}

/// Gateways and their classes belong to whoever's controller they name.
fn is_ours(manifest: &Manifest, premises: &Premises, seen: &Seen<'_>) -> bool {
    match manifest.kind {
        Kind::GatewayClass => manifest.text("/spec/controllerName") == premises.controller,
        Kind::Gateway => match seen.gateway_class(manifest.text("/spec/gatewayClassName")) {
            Found::Here(class) => class.spec.controller_name == premises.controller,
            Found::Absent | Found::Unknown => false,
        },
        _ => true,
    }
}

fn unread(file: &Rc<str>, broken: &yaml::Broken) -> Checked {
    let finding = syntax(broken);
    Checked {
        file: Rc::clone(file),
        at: broken.at,
        kind: String::new(),
        namespace: String::new(),
        name: String::new(),
        problems: vec![finding],
        warnings: Vec::new(),
    }
}

/// A kind of our group that is nearly one of ours.
fn misspelt(other: &Other) -> Option<Checked> {
    let text = |pointer| other.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), other.kind());
    let ours = version.split('/').next() == Some(crds::names::GROUP);
    let names =
        Kind::ALL.into_iter().filter(|kind| kind.resource().group == crds::names::GROUP).map(Kind::name);
    let meant = fields::nearest(names, kind).filter(|_| ours)?;
    let message = format!("Invalid value: {kind:?}: no such kind in {version}, did you mean {meant:?}?");
    let (at, path) = (other.at, "kind".to_owned());
    let finding = Finding { at, path, message, cause: "FieldValueNotSupported", by: By::Schema };
    Some(Checked {
        file: Rc::clone(&other.file),
        at,
        kind: kind.to_owned(),
        namespace: text("/metadata/namespace").to_owned(),
        name: text("/metadata/name").to_owned(),
        problems: vec![finding],
        warnings: Vec::new(),
    })
}

fn syntax(broken: &yaml::Broken) -> Finding {
    let (path, message) = (String::new(), broken.words.clone());
    Finding { at: broken.at, path, message, cause: "FieldValueInvalid", by: By::Syntax }
}

fn one(manifest: &Manifest, premises: &Premises, definitions: &Definitions, seen: &Seen<'_>) -> Checked {
    let mut problems: Vec<_> = manifest.faults.iter().map(syntax).collect();
    let found = |fault: Fault, by: By| {
        let Fault { cause, path, message } = fault;
        Finding { at: yaml::mark(&manifest.node, &path), path, message, cause, by }
    };
    let unknown = fields::unknown(manifest.kind, &manifest.object).into_iter();
    problems.extend(unknown.map(|problem| found(fault(problem), By::Field)));
    let faults = metadata::faults(manifest.kind, &manifest.object).into_iter();
    problems.extend(faults.map(|fault| found(fault, By::Schema)));

    let stored = definitions.stored(manifest.kind, &manifest.object);
    if let Some(definition) = definitions.of(manifest.kind) {
        let faults = schema::faults(&definition.schema, &stored);
        let broken = definition.rules.broken(&stored, faults.is_empty());
        problems.extend(faults.into_iter().map(|fault| found(fault, By::Schema)));
        problems.extend(broken.into_iter().map(|fault| found(fault, By::Rule)));
    }
    let verdict = judged(manifest, readable(manifest.kind, stored, &problems), premises, seen);
    let undecoded = |problem: &Problem| problem.cause == Cause::TypeInvalid;
    let told = !problems.is_empty();
    // What does not decode has been told by the schema, in words that people know.
    let said = verdict.problems.into_iter().filter(|problem| !(told && undecoded(problem)));
    problems.extend(said.map(|problem| found(fault(problem), By::Webhook)));
    problems.sort();
    problems.dedup_by(|a, b| (&a.path, &a.message) == (&b.path, &b.message));
    Checked {
        file: Rc::clone(&manifest.file),
        at: manifest.at(),
        kind: manifest.kind.name().to_owned(),
        namespace: manifest.text("/metadata/namespace").to_owned(),
        name: manifest.name().to_owned(),
        problems,
        warnings: verdict.warnings.into_iter().map(|message| warning(manifest, message)).collect(),
    }
}

/// A warning begins with its field, which may be one of the pod template.
fn warning(manifest: &Manifest, message: String) -> Warning {
    const WITHIN: [&str; 2] = ["", "spec.deployment.podTemplateSpec.spec."];
    let field = message.split_once(": ").map_or("", |(field, _)| field);
    let mut places =
        WITHIN.iter().filter_map(|within| yaml::exact(&manifest.node, &format!("{within}{field}")));
    let at = places.next().filter(|_| !field.is_empty()).unwrap_or_else(|| manifest.at());
    Warning { at, message }
}

/// The object without the values that cannot be read, so that the webhook has a say about the rest of it.
fn readable(kind: Kind, mut object: Value, problems: &[Finding]) -> Value {
    let unread =
        |finding: &&Finding| ["FieldValueTypeInvalid", "FieldValueNotSupported"].contains(&finding.cause);
    let paths: Vec<_> = problems.iter().filter(unread).map(|finding| finding.path.as_str()).collect();
    if !paths.is_empty() {
        schema::without(&mut object, &paths);
        webhooks::default(kind, &mut object);
    }
    object
}

fn judged(manifest: &Manifest, mut object: Value, premises: &Premises, seen: &Seen<'_>) -> webhooks::Verdict {
    known::complete(&mut object, &premises.namespace);
    let namespace =
        object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    let moved = match manifest.kind {
        Kind::DataPlane => databases::resolve(&mut object, &|entry| seen.held(&namespace, entry)),
        _ => Vec::new(),
    };
    let judge = kinds::Judge { settings: &premises.settings, controller: &premises.controller, world: seen };
    let mut verdict = kinds::judge(&Subject { kind: manifest.kind, object: &object, old: None }, &judge);
    for problem in &mut verdict.problems {
        if let Some((_, from)) = moved.iter().find(|(to, _)| *to == problem.path) {
            problem.path.clone_from(from);
        }
    }
    verdict
}

fn fault(problem: Problem) -> Fault {
    let Problem { cause, path, message } = problem;
    Fault { cause: cause.as_str(), path, message }
}
