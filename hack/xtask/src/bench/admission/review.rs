//! Reviews as the API server sends them, of a given size.
//!
//! In: a size. Out: the body of a request whose object is allowed and has something to default. The object is a
//! DataPlane as `kubectl` leaves it: what fills it up is one third annotations, one third managed fields and one third
//! variables of the proxy's environment, which are what people's large objects are large by.

use serde_json::{Map, Value, json};

/// The uid of every review; the answer has it too.
pub const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A review of a creation, of so many bytes.
pub fn body(bytes: usize) -> Vec<u8> {
    let (one, two) = (filled(1).len(), filled(2).len());
    let entries = if bytes < one { 0 } else { 1 + (bytes - one) / (two - one) };
    let mut body = filled(entries);
    // JSON takes any space around its tokens; a little of it makes the size exact.
    body.resize(body.len().max(bytes), b' ');
    body
}

fn filled(entries: usize) -> Vec<u8> {
    review(&Filling::of(entries)).to_string().into_bytes()
}

/// What fills an object up: as many entries of each kind, all of one length.
#[derive(Default)]
struct Filling {
    annotations: Map<String, Value>,
    managed: Map<String, Value>,
    environment: Vec<Value>,
}

impl Filling {
    fn of(entries: usize) -> Self {
        let mut filling = Self::default();
        for number in 0..entries {
            let (word, value) = (format!("{number:06}"), format!("value-of-entry-{number:06}-of-many"));
            filling.environment.push(json!({ "name": format!("EXAMPLE_{word}"), "value": value }));
            filling.annotations.insert(format!("example.com/{word}"), value.into());
            filling.managed.insert(format!("f:{word}-of-a-field-that-somebody-manages"), json!({}));
        }
        filling
    }
}

fn review(filling: &Filling) -> Value {
    let mut environment = vec![json!({ "name": "KONG_LOG_LEVEL", "value": "warn" })];
    environment.extend(filling.environment.iter().cloned());
    let proxy = json!({ "name": "proxy", "image": "kong:3.9", "env": environment });
    let mut metadata = json!({ "name": "reviewed", "namespace": "default" });
    if let Some(members) = metadata.as_object_mut().filter(|_| !filling.annotations.is_empty()) {
        members.insert("annotations".into(), filling.annotations.clone().into());
        let fields = json!({ "manager": "kubectl", "operation": "Apply", "apiVersion": "gateway-operator.konghq.com/v1beta1",
            "fieldsType": "FieldsV1", "fieldsV1": filling.managed });
        members.insert("managedFields".into(), json!([fields]));
    }
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": { "group": "gateway-operator.konghq.com", "version": "v1beta1", "kind": "DataPlane" },
            "resource": { "group": "gateway-operator.konghq.com", "version": "v1beta1", "resource": "dataplanes" },
            "name": "reviewed",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": { "username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"] },
            "object": {
                "apiVersion": "gateway-operator.konghq.com/v1beta1",
                "kind": "DataPlane",
                "metadata": metadata,
                "spec": {
                    "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } },
                    "network": { "services": { "ingress": { "annotations": {} } } },
                },
            },
            "oldObject": null,
            "dryRun": true,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_has_the_size_that_was_asked_for() {
        for bytes in [1_000, 9_000, 100_000, 1_000_000] {
            let body = body(bytes);
            assert_eq!(body.len(), bytes, "{bytes}");
            let spaces = body.iter().rev().take_while(|byte| **byte == b' ').count();
            assert!(spaces < filled(2).len() - filled(1).len(), "{spaces} of {bytes} are spaces");
            let review: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(review["request"]["uid"], UID);
        }
    }

    #[test]
    fn the_object_is_one_of_its_kind() {
        let review: Value = serde_json::from_slice(&body(9_000)).unwrap();
        let object: crds::DataPlane = serde_json::from_value(review["request"]["object"].clone()).unwrap();
        assert!(object.spec.network.is_some());
    }
}
