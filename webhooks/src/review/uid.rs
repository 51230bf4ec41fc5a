//! The uid of a request that cannot be read as a whole.
//!
//! In: the beginning of a review. Out: `request.uid`, when that much can be read; the API server writes it first.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

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

impl Member<'_> {
    /// Keeps the last text, as JSON of which a member is there twice is read.
    fn note(&self, uid: Value) {
        if let Value::String(uid) = uid {
            *self.found.borrow_mut() = uid;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
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
                (true, None) => self.note(members.next_value()?),
                (false, _) => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    // A member may be there twice, and only once be an object: whatever else it is says nothing.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
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

    #[test]
    fn a_request_that_is_there_twice_has_the_uid_of_the_one_that_is_an_object() {
        for other in ["1", "-1", "0.5", "true", "null", r#""text""#, r#"[{"uid":"x"}]"#, "{}"] {
            let twice = format!(r#"{{"request":{other},"request":{{"uid":7,"uid":"mine"}}}}"#);
            assert_eq!(of(twice.as_bytes()), "mine", "{other}");
        }
    }
}
