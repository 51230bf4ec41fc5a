//! An object of each kind, for `alm-examples`.
//!
//! In: nothing. Out: objects that can be applied as they are, but for the attempt, which the operator makes itself. Never: a
//! field that the definitions do not know: the API types read them.

use anyhow::Context as _;
use crds::{ControlPlane, DataPlane, GatewayConfiguration, GatewayRollout, WatchNamespaceGrant};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const GROUP: &str = "gateway-operator.konghq.com";

/// All of them.
///
/// # Errors
/// When a type does not know an example.
pub fn all() -> anyhow::Result<Vec<Value>> {
    Ok(vec![
        example::<DataPlane>("v1beta1", "DataPlane", &json!({ "deployment": { "replicas": 2 } }))?,
        example::<ControlPlane>("v1beta1", "ControlPlane", &json!({ "dataplane": "example" }))?,
        example::<GatewayConfiguration>("v1beta1", "GatewayConfiguration", &configuration())?,
        example::<GatewayRollout>("v1alpha1", "GatewayRollout", &attempt())?,
        example::<WatchNamespaceGrant>("v1alpha1", "WatchNamespaceGrant", &grant())?,
    ])
}

fn example<K: DeserializeOwned>(version: &str, kind: &str, spec: &Value) -> anyhow::Result<Value> {
    let object = json!({
        "apiVersion": format!("{GROUP}/{version}"), "kind": kind, "metadata": { "name": "example" }, "spec": spec,
    });
    serde_json::from_value::<K>(object.clone()).with_context(|| format!("the example of {kind}"))?;
    Ok(object)
}

fn configuration() -> Value {
    json!({ "dataPlaneOptions": { "deployment": { "replicas": 2 } } })
}

/// The operator makes these; a person changes only `action`.
fn attempt() -> Value {
    json!({
        "target": { "kind": "DataPlane", "name": "example" },
        "from": { "track": "a", "revision": "08f44b07b5901a25", "podTemplateSpec": {} },
        "to": { "track": "b", "revision": "5c1f0e9ab2d34476", "podTemplateSpec": {} },
        "strategy": { "canary": { "steps": [{ "name": "some", "weight": 10, "hold": "5m" }, { "name": "half", "weight": 50, "hold": "5m" }] } },
    })
}

fn grant() -> Value {
    json!({ "from": [{ "group": GROUP, "kind": "ControlPlane", "namespace": "team-a" }] })
}
