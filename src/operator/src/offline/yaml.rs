//! YAML as `kubectl` reads it, and where each value stands.
//!
//! In: the text of a file. Out: its documents as trees of marked values, or what is wrong with them and where. Never:
//! a document that is lost because the one before it is broken.

mod place;
mod scalar;
mod tree;

pub use place::{exact, holds, mark};
pub use tree::{Held, Mark, Node};

use tree::Builder;

/// What cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Where.
    pub at: Mark,
    /// What is wrong.
    pub words: String,
}

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it holds.
    pub root: Node,
    /// What is wrong with it although it can be read: keys that are given twice.
    pub faults: Vec<Broken>,
}

/// The documents of a text; empty ones are none.
pub fn documents(text: &str) -> Vec<Result<Document, Broken>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    parts(text).into_iter().flat_map(|(line, part)| read(line, part)).collect()
}

/// Lines of `---` part documents, as `kubectl` parts them before it reads any. With the number of lines before each.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut from, mut line_of_from, mut at) = (Vec::new(), 0, 0, 0);
    for (line, content) in text.split_inclusive('\n').enumerate() {
        let rest = content.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            parts.push((line_of_from, text.get(from..at).unwrap_or_default()));
            (from, line_of_from) = (at, line);
        }
        at += content.len();
    }
    parts.push((line_of_from, text.get(from..).unwrap_or_default()));
    parts.retain(|(_, part)| part.lines().any(says_something));
    parts
}

/// Comments and directives (`%YAML`) are no document.
fn says_something(line: &str) -> bool {
    let line = line.strip_prefix("---").unwrap_or(line).trim();
    !line.is_empty() && !line.starts_with(['#', '%'])
}

fn read(lines: usize, part: &str) -> Vec<Result<Document, Broken>> {
    let mut builder = Builder::new(part, lines);
    let mut read = Vec::new();
    loop {
        match builder.document() {
            Ok(Some(document)) if document.root.is_null() => {}
            Ok(Some(document)) => read.push(Ok(document)),
            Ok(None) => return read,
            Err(broken) => {
                read.push(Err(broken));
                return read;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn values(text: &str) -> Vec<Result<Value, (usize, usize)>> {
        let of = |document: Result<Document, Broken>| {
            document
                .map(|document| document.root.value())
                .map_err(|broken| (broken.at.line, broken.at.column))
        };
        documents(text).into_iter().map(of).collect()
    }

    fn faults(text: &str) -> Vec<(usize, usize, String)> {
        let found = documents(text).into_iter().filter_map(Result::ok).flat_map(|document| document.faults);
        found.map(|fault| (fault.at.line, fault.at.column, fault.words)).collect()
    }

    #[test]
    fn documents_are_parted_and_a_broken_one_costs_no_other() {
        let text = "# head\n---\na: 1\n--- # second\nb: [1\n---\n---\nc: 3\n...\n---  \n# nothing\n";
        let read = values(text);
        assert_eq!(read.len(), 3, "{read:?}");
        assert_eq!(read[0], Ok(json!({ "a": 1 })));
        assert_eq!(read[2], Ok(json!({ "c": 3 })));
        let (line, _) = *read[1].as_ref().unwrap_err();
        assert!((4..=6).contains(&line), "{line}");
        assert_eq!(values(""), []);
        assert_eq!(values("%YAML 1.1\n---\na: 1\n"), [Ok(json!({ "a": 1 }))]);
        assert_eq!(values("\u{feff}a: 1\r\nb: 2\r\n"), [Ok(json!({ "a": 1, "b": 2 }))]);
    }

    #[test]
    fn json_is_read_too() {
        let text = "{\n\t\"a\": \"\\u00e4\\/\\ud83d\\ude00\",\n\t\"b\": [1, 2.5, true, null]\n}\n";
        assert_eq!(values(text), [Ok(json!({ "a": "ä/😀", "b": [1, 2.5, true, null] }))]);
    }

    #[test]
    fn anchors_and_merges_are_filled_in() {
        let text = "x: &x {a: 1, b: 2}\nw:\n  <<: *x\n  b: 3\nz:\n  - *x\n";
        assert_eq!(
            values(text),
            [Ok(json!({ "x": { "a": 1, "b": 2 }, "w": { "a": 1, "b": 3 }, "z": [{ "a": 1, "b": 2 }] }))]
        );
        assert!(values("a: *nothing\n")[0].is_err());
        assert!(values("a: &a [*a]\n")[0].is_err());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let level = |level: usize| {
            let before = format!("*a{}", level - 1);
            format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "))
        };
        let levels: Vec<_> = (1..9).map(level).collect();
        let text = format!("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}", levels.concat());
        assert!(values(&text)[0].is_err());
    }

    #[test]
    fn keys_that_are_given_twice_are_told() {
        assert_eq!(
            faults("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n"),
            [
                (4, 3, "the key \"c\" is given twice".to_owned()),
                (5, 1, "the key \"a\" is given twice".to_owned())
            ]
        );
        assert_eq!(values("a: 1\na: 2\n"), [Ok(json!({ "a": 2 }))]);
    }

    #[test]
    fn every_value_has_its_place() {
        let text = "# one\n---\nspec:\n  list:\n  - name: proxy\n    env:\n    - {name: A, value: x}\n  notes:\n    a.b/c: y\n";
        let document = documents(text).remove(0).unwrap();
        let at = |path: &str| {
            let mark = mark(&document.root, path);
            (mark.line, mark.column)
        };
        assert_eq!(at("spec"), (3, 1));
        assert_eq!(at("spec.list[0]"), (5, 5));
        assert_eq!(at("spec.list[proxy].env[A].value"), (7, 17));
        assert_eq!(at("spec.list[0].env"), (6, 5));
        assert_eq!(at("spec.notes[a.b/c]"), (9, 5));
        assert_eq!(at("spec.notes.a.b/c"), (9, 5));
        assert_eq!(at("spec.list[proxy].image"), (5, 5), "what is missing is missing in its parent");
        assert_eq!(at("status.nothing"), (3, 1));
    }
}
