//! `manifests/samples`: manifests to begin with.
//!
//! The first ones stand here, those that show one feature of a data plane each in [`features`], those of Gateway API in
//! [`gateways`].
//!
//! In: the API types. Out: one file for each, under a comment that says what it shows. Never: a field
//! that the types do not know.

use crds::DataPlane;
use crds::k8s::{ConfigMap, Deployment, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{File, yaml};

mod features;
mod gateways;

/// Image of the backend in samples: it answers with the request that it got.
const ECHO_IMAGE: &str = "registry.k8s.io/gateway-api/echo-basic:v1.5.1";
/// Port on which that image answers plain HTTP.
const ECHO_PORT: u16 = 3000;

/// A sample that can be applied and then asked something.
pub struct Shown {
    /// Its file below `manifests/samples`.
    pub file: &'static str,
    /// Namespace of all that is in it.
    pub namespace: &'static str,
    /// Name of its `Gateway`, which is that of the `DataPlane` made for it.
    pub gateway: &'static str,
    /// Name of the Deployment behind it.
    pub backend: &'static str,
    /// Path of a request that the backend answers.
    pub path: &'static str,
}

/// The sample that `cargo xtask up` shows.
pub const SHOWN: Shown = Shown {
    file: "gateway-http.yaml",
    namespace: "default",
    gateway: "edge",
    backend: "backend",
    path: "/echo",
};

/// Kong's configuration of the sample, in its declarative format.
const KONG_CONFIGURATION: &str = r#"_format_version: "3.0"
services:
  - name: echo
    url: http://echo.default.svc.cluster.local:80
    routes:
      - name: echo
        paths:
          - /echo
"#;

/// A sample: the name of its file, what it shows, and the objects in it.
#[derive(Clone)]
struct Sample {
    name: &'static str,
    shows: &'static str,
    objects: Vec<Value>,
}

/// All files of the folder.
pub fn files() -> anyhow::Result<Vec<File>> {
    let all = [vec![minimal()?, declarative()?], features::samples()?, gateways::samples()?].concat();
    all.iter().map(|Sample { name, shows, objects }| file(name, shows, objects)).collect()
}

fn minimal() -> anyhow::Result<Sample> {
    Ok(Sample {
        name: "dataplane-minimal",
        shows: "The smallest DataPlane: Kong behind a Service of type LoadBalancer, with nothing to proxy yet.",
        objects: vec![typed::<DataPlane>(&dataplane("minimal", &json!({})))?],
    })
}

const DECLARATIVE: &str = "A DataPlane that proxies /echo to a backend: Kong reads its configuration from a ConfigMap.\n\
     Try it with: curl http://ADDRESS/echo, where ADDRESS is in `kubectl get dataplane declarative-config -o wide`.";

fn declarative() -> anyhow::Result<Sample> {
    let volume = json!({ "name": "kong-configuration", "configMap": { "name": "kong-configuration" } });
    let proxy = json!({
        "name": crds::names::PROXY_CONTAINER,
        "env": [{ "name": "KONG_DECLARATIVE_CONFIG", "value": "/kong-configuration/kong.yaml" }],
        "volumeMounts": [{ "name": "kong-configuration", "mountPath": "/kong-configuration", "readOnly": true }],
    });
    let template = json!({ "spec": { "containers": [proxy], "volumes": [volume] } });
    let objects = vec![
        typed::<Deployment>(&echo_deployment("echo"))?,
        typed::<Service>(&echo_service("echo"))?,
        typed::<ConfigMap>(&config_map("kong-configuration", &json!({ "kong.yaml": KONG_CONFIGURATION })))?,
        typed::<DataPlane>(&dataplane(
            "declarative-config",
            &json!({ "deployment": { "podTemplateSpec": template } }),
        ))?,
    ];
    Ok(Sample { name: "dataplane-declarative-config", shows: DECLARATIVE, objects })
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name), "data": data })
}

fn dataplane(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": format!("{}/v1beta1", crds::names::GROUP), "kind": "DataPlane",
        "metadata": metadata(name), "spec": spec,
    })
}

/// A backend of that name.
fn echo_deployment(name: &str) -> Value {
    let pod_security = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
    });
    let field =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let container = json!({
        "name": "echo",
        "image": ECHO_IMAGE,
        "env": [field("POD_NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace")],
        "ports": [{ "name": "http", "containerPort": ECHO_PORT }],
        "readinessProbe": { "periodSeconds": 2, "tcpSocket": { "port": "http" } },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [container], "securityContext": pod_security },
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(name),
        "spec": { "selector": { "matchLabels": { "app": name } }, "template": template },
    })
}

fn echo_service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(name),
        "spec": { "selector": { "app": name }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] },
    })
}

fn metadata(name: &str) -> Value {
    json!({ "name": name, "namespace": "default" })
}

/// The object again, once its type has read and written it; an error where that lost something.
fn typed<T: Serialize + DeserializeOwned>(object: &Value) -> anyhow::Result<Value> {
    let read: T = serde_json::from_value(object.clone())?;
    let again = yaml::value(&read)?;
    anyhow::ensure!(again == *object, "a sample has fields that its type does not know: {object}");
    Ok(again)
}

fn file(name: &str, comment: &str, objects: &[Value]) -> anyhow::Result<File> {
    let comment = format!("# {}\n", comment.replace('\n', "\n# "));
    Ok(File::new(format!("manifests/samples/{name}.yaml"), yaml::documents(&comment, objects)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_caught() {
        assert!(typed::<DataPlane>(&dataplane("x", &json!({ "deployment": { "replicas": 1 } }))).is_ok());
        assert!(typed::<DataPlane>(&dataplane("x", &json!({ "deployment": { "replica": 1 } }))).is_err());
        assert!(
            typed::<Service>(&json!({ "apiVersion": "v1", "kind": "Service", "metadata": {}, "sepc": {} }))
                .is_err()
        );
    }

    #[test]
    fn the_declarative_sample_hangs_together() {
        let objects = declarative().unwrap().objects;
        let [deployment, service, configuration, dataplane] = objects.as_slice() else {
            panic!("{objects:?}")
        };
        assert_eq!(service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]);
        let template = &dataplane["spec"]["deployment"]["podTemplateSpec"]["spec"];
        assert_eq!(template["volumes"][0]["configMap"]["name"], configuration["metadata"]["name"]);
        let kong: Value = serde_saphyr::from_str(KONG_CONFIGURATION).unwrap();
        assert_eq!(kong["services"][0]["url"], "http://echo.default.svc.cluster.local:80");
        let path = template["containers"][0]["env"][0]["value"].as_str().unwrap();
        assert!(configuration["data"].get(path.rsplit('/').next().unwrap()).is_some(), "{path}");
    }
}
