//! Events of the parser, put together.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

use super::scalar;
use super::{Broken, Document};

/// How many values a document may have once its aliases are filled in: more than any object that Kubernetes stores.
const MOST: usize = 500_000;
/// The key that merges a mapping into another one.
const MERGE: &str = "<<";

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line, the first is 1.
    pub line: usize,
    /// Column in characters, the first is 1.
    pub column: usize,
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where.
    pub at: Mark,
    /// What.
    pub held: Held,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Held {
    /// Neither of the others.
    Scalar(Value),
    /// Items.
    List(Vec<Node>),
    /// Members, each key once.
    Map(Vec<Entry>),
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Where the key stands.
    pub at: Mark,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The same as JSON.
    pub fn value(&self) -> Value {
        match &self.held {
            Held::Scalar(value) => value.clone(),
            Held::List(items) => items.iter().map(Self::value).collect(),
            Held::Map(entries) => {
                let members = entries.iter().map(|entry| (entry.key.clone(), entry.value.value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.held, Held::Scalar(Value::Null))
    }

    /// The member of that key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        let Held::Map(entries) = &self.held else { return None };
        entries.iter().find(|entry| entry.key == key)
    }

    fn size(&self) -> usize {
        match &self.held {
            Held::Scalar(_) => 1,
            Held::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Held::Map(entries) => 1 + entries.iter().map(|entry| entry.value.size()).sum::<usize>(),
        }
    }
}

/// Reads one document after the other.
pub struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Lines of the file before the text.
    lines: usize,
    anchors: HashMap<usize, Rc<Node>>,
    count: usize,
    faults: Vec<Broken>,
}

impl<'a> Builder<'a> {
    /// Of a text before which the file has this many lines.
    pub fn new(text: &'a str, lines: usize) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        let parser = Parser::new_from_str_with_options(text, options);
        Self { parser, lines, anchors: HashMap::new(), count: 0, faults: Vec::new() }
    }

    /// The next document.
    ///
    /// # Errors
    /// Where it cannot be read; then nothing more of the text can.
    pub fn document(&mut self) -> Result<Option<Document>, Broken> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (event, span) => {
                    let root = self.node(event, span)?;
                    return Ok(Some(Document { root, faults: std::mem::take(&mut self.faults) }));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Broken> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.scan(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn scan(&self, error: &ScanError) -> Broken {
        let at = Mark { line: self.lines + error.marker().line().max(1), column: error.marker().col() + 1 };
        Broken { at, words: error.info() }
    }

    fn mark(&self, span: Span) -> Mark {
        Mark { line: self.lines + span.start.line().max(1), column: span.start.col() + 1 }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Broken> {
        let at = self.mark(span);
        self.count(1, at)?;
        let (held, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|tag| (tag.handle(), tag.suffix()));
                let value = scalar::value(&text, style == ScalarStyle::Plain, tag);
                (Held::Scalar(value.map_err(|words| Broken { at, words })?), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map()?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, at),
            other => return Err(Broken { at, words: format!("{other:?} is not expected here") }),
        };
        let node = Node { at, held };
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::new(node.clone()));
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, at: Mark) -> Result<(), Broken> {
        self.count += more;
        if self.count <= MOST {
            return Ok(());
        }
        Err(Broken { at, words: format!("the document has more than {MOST} values") })
    }

    fn list(&mut self) -> Result<Held, Broken> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Held::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Held, Broken> {
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => break,
                key => key,
            };
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == MERGE);
            let key_node = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if is_merge {
                merged.extend(mappings(value)?);
            } else {
                self.add(&mut entries, &key_node, value)?;
            }
        }
        for entry in merged {
            // What a mapping says itself wins over what is merged into it, and the first merged over the next.
            if !entries.iter().any(|own: &Entry| own.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok(Held::Map(entries))
    }

    fn add(&mut self, entries: &mut Vec<Entry>, key: &Node, value: Node) -> Result<(), Broken> {
        let at = key.at;
        let Some(key) = name(key) else {
            return Err(Broken { at, words: "a key must be a string, a number or a boolean".to_owned() });
        };
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                self.faults.push(Broken { at, words: format!("the key {key:?} is given twice") });
                *entry = Entry { key, at, value };
            }
            None => entries.push(Entry { key, at, value }),
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Mark) -> Result<Node, Broken> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Broken {
                at,
                words: "an alias cannot stand inside of what it stands for".to_owned(),
            });
        };
        self.count(node.size(), at)?;
        Ok(node.as_ref().clone())
    }
}

/// JSON has only strings for keys: those that are not are spelt.
fn name(key: &Node) -> Option<String> {
    match &key.held {
        Held::Scalar(Value::String(text)) => Some(text.clone()),
        Held::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
        _ => None,
    }
}

fn mappings(value: Node) -> Result<Vec<Entry>, Broken> {
    let at = value.at;
    match value.held {
        Held::Map(entries) => Ok(entries),
        Held::List(items) if items.iter().all(|item| matches!(item.held, Held::Map(_))) => items
            .into_iter()
            .map(mappings)
            .collect::<Result<Vec<_>, _>>()
            .map(|all| all.into_iter().flatten().collect()),
        _ => Err(Broken { at, words: "only mappings can be merged by <<".to_owned() }),
    }
}
