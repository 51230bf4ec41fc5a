//! What is admitted of a `ControlPlane`, or of a configuration of Gateways, can be made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::gatewayapi::ReferenceGrant;
use crds::k8s::{ClusterRole, Deployment, Role, Service, ValidatingWebhookConfiguration};
use crds::{ControlPlane, DataPlane, GatewayConfigurationSpec};
use gateway_api::gateways::Gateway;
use plan::controlplane::{self, Certificate, Found, Settings};
use plan::gateway::{Known, Unusable, World};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use webhooks::{Kind, default};

use super::objects::{configuration, control};
use super::{judged, provision};

const CONTROLLER: &str = "konghq.com/gateway-operator";

fn object(spec: &Value) -> Value {
    json!({ "metadata": { "name": "edge", "namespace": "team", "uid": "u" }, "spec": spec })
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, TestCaseError> {
    serde_json::from_value(value.clone()).map_err(|error| TestCaseError::fail(format!("{error}: {value}")))
}

/// Makes every object of a `ControlPlane`; each is read back as Kubernetes' type.
fn control_is_provisioned(object: &ControlPlane) -> Result<(), TestCaseError> {
    let settings =
        Settings { image: crds::defaults::CONTROLLER_IMAGE.to_owned(), controller: CONTROLLER.to_owned() };
    let found = Found {
        dataplane: None,
        granted: BTreeSet::from(["other".to_owned()]),
        definitions: BTreeSet::new(),
        controller: None,
        kong: None,
    };
    let valid = controlplane::valid(&settings, object, &found)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let certificate = Certificate { chain: "C".into(), key: "K".into(), authority: "A".into() };
    let deployment: Deployment = read(valid.deployment(&certificate).body())?;
    let pod = deployment.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
    prop_assert!(pod.containers.iter().any(|container| container.name == "controller"));
    let access = valid.access();
    read::<Role>(access.own.0.body())?;
    read::<ClusterRole>(access.cluster.0.body())?;
    let admission = valid.admission(&certificate);
    read::<Service>(admission.service.body())?;
    read::<ValidatingWebhookConfiguration>(admission.configuration.body())?;
    Ok(())
}

/// A world in which there is nothing else.
struct Empty;

impl World for Empty {
    fn labels(&self, _: &str) -> Option<BTreeMap<String, String>> {
        None
    }

    fn grants(&self, _: &str) -> Vec<Arc<ReferenceGrant>> {
        Vec::new()
    }

    fn certificate(&self, _: &str, _: &str) -> Result<(), Unusable> {
        Err(Unusable::Absent)
    }
}

fn gateway_is_provisioned(configuration: GatewayConfigurationSpec) -> Result<(), TestCaseError> {
    let gateway: Gateway = read(&json!({
        "metadata": { "name": "edge", "namespace": "team", "uid": "u" },
        "spec": { "gatewayClassName": "kong", "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] },
    }))?;
    let known = Known {
        controller: CONTROLLER,
        parameters: Ok(configuration),
        sets: None,
        routes: &[],
        world: &Empty,
    };
    let children = plan::gateway::judged(&gateway, &known).children();
    let children = children.ok_or_else(|| TestCaseError::fail("the Gateway is not accepted"))?;
    let owned = |body: &Value| {
        let mut body = body.clone();
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("uid".to_owned(), json!("u"));
        }
        body
    };
    // What contradicts the listeners only a Gateway can show: its DataPlane is refused then, and the Gateway says so.
    let dataplane = owned(children.dataplane.body());
    if judged(Kind::DataPlane, &dataplane, None).allowed() {
        provision(&read::<DataPlane>(&dataplane)?)?;
    }
    let controlplane = owned(children.controlplane.body());
    prop_assert!(judged(Kind::ControlPlane, &controlplane, None).allowed(), "{}", controlplane);
    control_is_provisioned(&read::<ControlPlane>(&controlplane)?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_admitted_of_a_control_plane_can_be_provisioned(spec in control()) {
        let mut object = object(&spec);
        default(Kind::ControlPlane, &mut object);
        if judged(Kind::ControlPlane, &object, None).allowed() {
            control_is_provisioned(&read(&object)?)?;
        }
    }

    #[test]
    fn what_is_admitted_of_a_configuration_makes_a_gateway(spec in configuration()) {
        let mut object = object(&spec);
        default(Kind::GatewayConfiguration, &mut object);
        if judged(Kind::GatewayConfiguration, &object, None).allowed() {
            gateway_is_provisioned(read(&object["spec"])?)?;
        }
    }
}

#[test]
fn some_of_these_are_admitted_and_some_are_not() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let planes = (0..400)
        .filter(|_| {
            let spec = control().new_tree(&mut runner).unwrap().current();
            judged(Kind::ControlPlane, &object(&spec), None).allowed()
        })
        .count();
    let configurations = (0..400)
        .filter(|_| {
            let spec = configuration().new_tree(&mut runner).unwrap().current();
            judged(Kind::GatewayConfiguration, &object(&spec), None).allowed()
        })
        .count();
    assert!((20..380).contains(&planes), "{planes} of 400");
    assert!((10..380).contains(&configurations), "{configurations} of 400");
}
