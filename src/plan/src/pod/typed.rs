//! Fields that no pod template has, and fields of the wrong type.
//!
//! In: a template as it was written. Out: every field that Kubernetes' type does not know, or else the first that does
//! not have its type. The type is that of the newest Kubernetes that this product knows.

use crds::k8s::PodTemplateSpec;
use serde_ignored::Path;
use serde_json::Value;

use crate::invalid::{Cause, Problem};
use crate::merge;

/// What is said of a field that no pod template has.
pub const UNKNOWN: &str = "unknown field: correct its name or remove it";

/// All of them, in the template that stands at `path`.
pub fn problems(written: &Value, path: &str) -> Vec<Problem> {
    // Nearly every template reads as it is; only what is removed by a null, or a quantity that is a number, does not.
    unknown(written, path).unwrap_or_else(|| {
        let mut given = merge::counted(written);
        crds::quantity::spell(&mut given);
        unknown(&given, path).unwrap_or_else(|| mistyped(&given, path).into_iter().collect())
    })
}

/// Every field that is not known; nothing where a field does not have its type.
fn unknown(given: &Value, path: &str) -> Option<Vec<Problem>> {
    let mut problems = Vec::new();
    let told = |at: Path<'_>| {
        let mut field = path.to_owned();
        let value = follow(&at, given, &mut field);
        let says_something = value.is_some_and(|value| !value.is_null());
        if says_something && !matches!(&at, Path::Map { key, .. } if key == merge::DIRECTIVE) {
            problems.push(Problem::at(field, UNKNOWN));
        }
    };
    let known: Result<PodTemplateSpec, _> = serde_ignored::deserialize(given, told);
    known.is_ok().then_some(problems)
}

/// The value at the place, whose name is added to `field`.
fn follow<'v>(at: &Path<'_>, root: &'v Value, field: &mut String) -> Option<&'v Value> {
    match at {
        Path::Root => Some(root),
        Path::Seq { parent, index } => {
            let list = follow(parent, root, field);
            field.extend(["[", &index.to_string(), "]"]);
            list?.get(index)
        }
        Path::Map { parent, key } => {
            let members = follow(parent, root, field);
            field.extend([".", key.as_str()]);
            members?.get(key)
        }
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            follow(parent, root, field)
        }
    }
}

fn mistyped(given: &Value, path: &str) -> Option<Problem> {
    // The path is looked for only where there is something to tell: keeping it costs time.
    let error = serde_path_to_error::deserialize::<_, PodTemplateSpec>(given).err()?;
    let field = format!("{path}.{}", error.path());
    let message = format!("{}: correct the type of the field", error.inner());
    Some(Problem::at(field, message).because(Cause::TypeInvalid))
}
