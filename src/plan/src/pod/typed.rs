//! Fields that no pod template has, and fields of the wrong type.
//!
//! In: a template as it was written. Out: every field that Kubernetes' type does not know, or else the first that does
//! not have its type. The type is that of the newest Kubernetes that this product knows.

use crds::k8s::PodTemplateSpec;
use serde::Deserialize;
use serde_json::Value;

use crate::invalid::{Cause, Problem};
use crate::merge;

/// What is said of a field that no pod template has.
pub const UNKNOWN: &str = "unknown field: correct its name or remove it";

/// All of them, in the template that stands at `path`.
pub fn problems(written: &Value, path: &str) -> Vec<Problem> {
    let mut given = merge::counted(written);
    crds::quantity::spell(&mut given);
    // The path is looked for only where there is something to tell: keeping it costs time.
    let Ok(known) = PodTemplateSpec::deserialize(&given) else {
        return mistyped(&given, path).into_iter().collect();
    };
    let mut problems = Vec::new();
    if let Ok(known) = serde_json::to_value(known) {
        unknown(&given, &known, path, &mut problems);
    }
    problems
}

fn mistyped(given: &Value, path: &str) -> Option<Problem> {
    let error = serde_path_to_error::deserialize::<_, PodTemplateSpec>(given).err()?;
    let field = format!("{path}.{}", error.path());
    let message = format!("{}: correct the type of the field", error.inner());
    Some(Problem::at(field, message).because(Cause::TypeInvalid))
}

fn unknown(given: &Value, known: &Value, path: &str, problems: &mut Vec<Problem>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                match known.get(name) {
                    Some(found) if value.is_object() || value.is_array() => {
                        unknown(value, found, &format!("{path}.{name}"), problems);
                    }
                    Some(_) => {}
                    None => problems.push(Problem::at(format!("{path}.{name}"), UNKNOWN)),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                unknown(given, known, &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}
