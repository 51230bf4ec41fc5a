//! An object without what nobody looks at.
//!
//! In: an object as text. Out: the same as JSON, without the parts that make large objects large and that mean nothing
//! to whoever asks: making a tree of them would cost more than judging the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `metadata.managedFields`: no rule looks at who wrote what.
    Judged,
    /// All but `spec`, and pod templates in it: none of them has defaults that are stored.
    Defaulted,
}

impl Part {
    /// Reads an object.
    ///
    /// # Errors
    /// What the JSON is instead.
    pub fn read(self, text: &str) -> serde_json::Result<Value> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let object = Level::Whole(self).deserialize(&mut reader)?;
        reader.end().map(|()| object)
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum Level {
    Whole(Part),
    Metadata,
    Spec,
    /// Where nothing is left out.
    Below,
}

impl Level {
    /// What a member is read as; nothing where it is left out.
    fn member(self, name: &str) -> Option<Self> {
        match (self, name) {
            (Self::Whole(Part::Judged), "metadata") => Some(Self::Metadata),
            (Self::Whole(Part::Defaulted), "spec") => Some(Self::Spec),
            (Self::Whole(Part::Defaulted), _)
            | (Self::Metadata, "managedFields")
            | (Self::Spec, "podTemplateSpec") => None,
            (Self::Spec, _) => Some(Self::Spec),
            _ => Some(Self::Below),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Self::Below => serde::Deserialize::deserialize(deserializer),
            Self::Whole(_) => deserializer.deserialize_map(self),
            Self::Metadata | Self::Spec => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match self.member(&name) {
                Some(level) => drop(kept.insert(name, members.next_value_seed(level)?)),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(kept))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Value {
        json!({
            "apiVersion": "v1",
            "metadata": { "name": "x", "managedFields": [{ "fieldsV1": {} }], "annotations": { "managedFields": "a" } },
            "spec": {
                "managedFields": 1, "metadata": { "managedFields": 2 },
                "list": [{ "podTemplateSpec": {}, "a": [true, -1, 2, 0.5, "text", null] }],
            },
        })
    }

    #[test]
    fn managed_fields_are_left_out_and_nothing_else() {
        let mut expected = object();
        expected["metadata"].as_object_mut().unwrap().remove("managedFields");
        assert_eq!(Part::Judged.read(&object().to_string()).unwrap(), expected);
    }

    #[test]
    fn of_a_specification_pod_templates_are_left_out() {
        let mut expected = json!({ "spec": object()["spec"] });
        expected["spec"]["list"][0].as_object_mut().unwrap().remove("podTemplateSpec");
        assert_eq!(Part::Defaulted.read(&object().to_string()).unwrap(), expected);
    }

    #[test]
    fn other_json_is_no_object() {
        for text in ["[]", "1", "\"x\"", "{", "{} {}", ""] {
            assert!(Part::Judged.read(text).is_err(), "{text}");
        }
        assert_eq!(Part::Defaulted.read(r#"{"spec":null}"#).unwrap(), json!({ "spec": null }));
    }
}
