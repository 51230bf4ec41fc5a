//! Marks in angle brackets where only a cluster knows the value.
//!
//! In: an object that was planned with placeholders. Out: the same with a mark in the place of each.

use crds::k8s::ByteString;
use serde_json::{Value, json};

use crate::offline::UID;

/// What stands for the hash of the certificate.
const HASH: &str = "<hash of the certificate>";

/// The placeholders of one object's children.
pub struct Marks<'a> {
    /// Kind of their owner.
    pub owner: &'a str,
    /// Texts that are marks already; in objects they are in base64.
    pub texts: &'a [&'a str],
    /// The hash of the certificate that nobody issued.
    pub hash: String,
}

impl Marks<'_> {
    /// The object with its marks.
    pub fn put(&self, mut body: Value) -> Value {
        let encoded: Vec<_> =
            self.texts.iter().map(|text| (json!(ByteString(text.as_bytes().to_vec())), *text)).collect();
        let owner = format!("<uid of the {}>", self.owner);
        let known = |text: &str| {
            let made = encoded.iter().find(|(encoded, _)| encoded == text).map(|(_, made)| *made);
            let hashed = (text == self.hash).then_some(HASH);
            made.or(hashed).or((text == UID).then_some(owner.as_str())).map(str::to_owned)
        };
        replace(&mut body, &known);
        body
    }
}

fn replace(value: &mut Value, known: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(mark) = known(text) {
                *text = mark;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, known)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, known)),
        _ => {}
    }
}
