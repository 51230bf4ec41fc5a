//! From JSON to a kind's type.
//!
//! In: an object. Out: the object, or what of it cannot be read. Never: a change of what was written, but for what an
//! object gets only when it is stored.

use crds::k8s::ObjectMeta;
use plan::{Cause, Problem};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Name of an object that has none yet.
const NAME: &str = "unnamed";
/// Namespace of an object that names none.
const NAMESPACE: &str = "default";
/// UID of an object that has none yet.
const UID: &str = "00000000-0000-0000-0000-000000000000";

/// Reads an object.
///
/// # Errors
/// The first field that does not have the type of its kind.
pub fn object<K: DeserializeOwned>(object: &Value) -> Result<K, Problem> {
    // The path is looked for only where there is something to tell: keeping it costs time.
    K::deserialize(object).or_else(|_| {
        serde_path_to_error::deserialize(object).map_err(|error| {
            let path = error.path().to_string();
            let message = format!("{}: correct the type of the field", error.inner());
            Problem::at(path, message).because(Cause::TypeInvalid)
        })
    })
}

/// Gives an object that was never stored the name, the namespace and the UID that it lacks.
pub fn complete(metadata: &mut ObjectMeta) {
    let generated = metadata.generate_name.as_ref().map(|prefix| format!("{prefix}xxxxx"));
    metadata.name.get_or_insert_with(|| generated.unwrap_or_else(|| NAME.to_owned()));
    metadata.namespace.get_or_insert_with(|| NAMESPACE.to_owned());
    metadata.uid.get_or_insert_with(|| UID.to_owned());
}
