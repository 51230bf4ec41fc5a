//! The uid of a request that cannot be read as a whole.
//!
//! In: the beginning of a review. Out: `request.uid`, when that much can be read; the API server writes it first.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The uid, or nothing.
pub fn of(body: &[u8]) -> String {
    let found = RefCell::new(String::new());
    let mut reader = serde_json::Deserializer::from_slice(body);
    // What comes after the uid may be cut or broken: what was found stays found.
    let _ = Member {
        name: "request",
        inner: Some(&Member { name: "uid", inner: None, found: &found }),
        found: &found,
    }
    .deserialize(&mut reader);
    found.into_inner()
}

/// A member of an object: a text that is wanted, or an object that holds one.
#[derive(Clone, Copy)]
struct Member<'a> {
    name: &'static str,
    inner: Option<&'a Self>,
    found: &'a RefCell<String>,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match (name == self.name, self.inner) {
                (true, Some(inner)) => members.next_value_seed(*inner)?,
                (true, None) => *self.found.borrow_mut() = members.next_value()?,
                (false, _) => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_from_whatever_begins_as_a_review() {
        let whole = r#"{"kind":"AdmissionReview","request":{"uid":"a-b","object":{"x":[1,2]}}}"#;
        for end in [whole.len(), whole.len() - 1, whole.len() - 10, 48] {
            assert_eq!(of(&whole.as_bytes()[..end]), "a-b", "{end}");
        }
        assert_eq!(of(br#"{"request":{"uid":"late","object":nonsense"#), "late");
        assert_eq!(of(br#"{"request":{"object":{"uid":"inner"},"uid":"mine"}}"#), "mine");
        for wrong in ["", "[]", "{", r#"{"request":1}"#, r#"{"uid":"x"}"#, r#"{"request":{"uid":7}}"#] {
            assert_eq!(of(wrong.as_bytes()), "", "{wrong}");
        }
    }
}
