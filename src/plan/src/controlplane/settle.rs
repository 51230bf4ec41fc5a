//! Defaults of ours that give way to what a user wrote beside them.
//!
//! In: the merged template and the user's. Out: the merged template, changed where one of our defaults would contradict a
//! value of the user's. A value of the user's is never changed.

use serde_json::{Map, Value, json};

use super::container::{controller, field_mut};

/// All of it.
pub fn all(template: &mut Value, patch: &Value) {
    resources(template, patch);
    identity(template, patch);
}

/// A limit below our request, or a request above our limit, would be refused: where the user names one of the two for a
/// resource, our default of the other one goes.
fn resources(template: &mut Value, patch: &Value) {
    let named = |field: &str| -> Vec<String> {
        let theirs = controller(patch)
            .and_then(|controller| controller.pointer(&format!("/resources/{field}")))
            .and_then(Value::as_object);
        theirs.into_iter().flat_map(|resources| resources.keys().cloned()).collect()
    };
    let (requests, limits) = (named("requests"), named("limits"));
    for (field, given, other) in [("limits", &limits, &requests), ("requests", &requests, &limits)] {
        let ours = field_mut(template, &format!("/resources/{field}")).and_then(Value::as_object_mut);
        if let Some(ours) = ours {
            ours.retain(|resource, _| given.contains(resource) || !other.contains(resource));
        }
    }
}

/// A container's own security context wins over the pod's: where the user says for the pod who runs it, ours says nothing
/// for the container.
fn identity(template: &mut Value, patch: &Value) {
    let of = |context: Option<&Value>| -> Map<String, Value> {
        context.and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let pod = of(patch.pointer("/spec/securityContext"));
    let container = of(controller(patch).and_then(|controller| controller.get("securityContext")));
    let Some(ours) = field_mut(template, "/securityContext").and_then(Value::as_object_mut) else { return };
    for field in ["runAsGroup", "runAsNonRoot", "runAsUser"] {
        if pod.contains_key(field) && !container.contains_key(field) {
            ours.remove(field);
        }
    }
    let user = container.get("runAsUser").or_else(|| pod.get("runAsUser"));
    if user == Some(&json!(0)) && !container.contains_key("runAsNonRoot") {
        ours.remove("runAsNonRoot");
    }
}
