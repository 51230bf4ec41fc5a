//! The objects of a Gateway, and what of a configuration reaches them.

use crds::GatewayConfiguration;

use super::*;

fn children_of(object: &Gateway, spec: Value) -> Children {
    let around = Around::with_certificate("team/ok");
    let parameters = Ok(serde_json::from_value(spec).unwrap());
    judged(object, &Known { parameters, ..known(&around) }).children().unwrap()
}

fn ports(listeners: Value, spec: Value) -> Value {
    let children = children_of(&listening(listeners), spec);
    children.dataplane.body()["spec"]["network"]["services"]["ingress"]["ports"].clone()
}

#[test]
fn a_gateway_gets_a_data_plane_a_control_plane_and_a_policy() {
    let listeners = json!([
        { "name": "http", "port": 80, "protocol": "HTTP" },
        { "name": "https", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "ok" }] } },
    ]);
    let infrastructure = json!({
        "labels": { "team": "a", "app": "mine", "gateway-operator.konghq.com/track": "9" },
        "annotations": { "example.com/cost": "7" },
    });
    let object = gateway(json!({ "listeners": listeners, "infrastructure": infrastructure }));
    let Children { policy, dataplane, controlplane } = children_of(&object, json!({}));
    insta::assert_json_snapshot!("dataplane", dataplane.body());
    insta::assert_json_snapshot!("controlplane", controlplane.body());
    insta::assert_json_snapshot!("policy", policy.body());
}

#[test]
fn a_data_plane_of_a_gateway_can_be_provisioned() {
    let tls = json!({ "mode": "Passthrough" });
    let listeners = json!([
        { "name": "http", "port": 80, "protocol": "HTTP" },
        { "name": "alt", "port": 8080, "protocol": "HTTP" },
        { "name": "eight", "port": 8000, "protocol": "HTTP" },
        { "name": "https", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "ok" }] } },
        { "name": "admin", "port": 8444, "protocol": "TLS", "tls": tls },
        { "name": "db", "port": 5432, "protocol": "TCP" },
        { "name": "dns", "port": 53, "protocol": "UDP" },
        { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
    ]);
    let body = children_of(&listening(listeners), json!({})).dataplane.body().clone();
    let mut object: crds::DataPlane = serde_json::from_value(body).unwrap();
    object.metadata.uid = Some("u-2".into());
    let settings = crate::dataplane::Settings::default();
    let valid = crate::dataplane::valid(&settings, &object).unwrap_or_else(|invalid| panic!("{invalid}"));
    let pem = || "pem".to_owned();
    let clients = crate::dataplane::Clients { certificate: pem(), key: pem(), trusted: pem() };
    let certificate = crate::dataplane::Certificate { chain: pem(), key: pem(), authority: pem(), clients };
    let deployment = valid.workload(&certificate, crate::dataplane::Families::default()).deployment;
    let env = &deployment.body()["spec"]["template"]["spec"]["containers"][0]["env"];
    let value = |name: &str| {
        env.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["value"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let queue = "reuseport backlog=16384";
    assert_eq!(
        value("KONG_PROXY_LISTEN"),
        format!(
            "0.0.0.0:8000 {queue}, 0.0.0.0:8443 http2 ssl {queue}, 0.0.0.0:18000 {queue}, 0.0.0.0:8080 {queue}"
        )
    );
    assert_eq!(
        value("KONG_STREAM_LISTEN"),
        format!(
            "0.0.0.0:10053 {queue}, 0.0.0.0:10053 udp reuseport, 0.0.0.0:5432 {queue}, 0.0.0.0:18444 ssl {queue}"
        )
    );
    assert_eq!(
        value("KONG_PORT_MAPS"),
        "53:10053, 80:8000, 443:8443, 5432:5432, 8000:18000, 8080:8080, 8444:18444"
    );
}

#[test]
fn the_order_of_listeners_does_not_matter_and_one_more_moves_no_other() {
    let all = [
        json!({ "name": "a", "port": 80, "protocol": "HTTP" }),
        json!({ "name": "b", "port": 8080, "protocol": "HTTP" }),
        json!({ "name": "c", "port": 9000, "protocol": "TCP" }),
    ];
    let forth = ports(json!(all), json!({}));
    let back: Vec<_> = all.iter().rev().collect();
    assert_eq!(ports(json!(back), json!({})), forth);
    let fewer = ports(json!([all[1], all[2]]), json!({}));
    assert_eq!(fewer, json!([forth[1], forth[2]]));
    let shared = json!([{ "name": "x", "port": 80, "protocol": "HTTP", "hostname": "x.com" }, { "name": "y", "port": 80, "protocol": "HTTP", "hostname": "y.com" }]);
    assert_eq!(
        ports(shared, json!({})),
        json!([{ "name": "x", "port": 80, "protocol": "HTTP", "targetPort": 8000 }])
    );
}

#[test]
fn a_port_of_another_container_is_not_taken_from_it() {
    let side = json!({ "name": "side", "ports": [{ "containerPort": 8080 }] });
    let spec = json!({ "dataPlaneOptions": { "deployment": { "podTemplateSpec": { "spec": { "containers": [side] } } } } });
    let found = ports(json!([{ "name": "a", "port": 8080, "protocol": "HTTP" }]), spec);
    assert_eq!(found[0]["targetPort"], 8081);
}

#[test]
fn listeners_that_are_not_accepted_open_no_port_and_those_without_a_certificate_do() {
    let listeners = json!([
        { "name": "a", "port": 80, "protocol": "HTTP" },
        { "name": "b", "port": 81, "protocol": "NONE" },
        { "name": "c", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "later" }] } },
    ]);
    let found = ports(listeners, json!({}));
    let numbers: Vec<_> =
        found.as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [80, 443]);
}

fn configuration(spec: Value) -> GatewayConfiguration {
    serde_json::from_value(json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
        "metadata": { "name": "c", "namespace": "n" }, "spec": spec,
    }))
    .unwrap()
}

#[test]
fn of_two_configurations_the_gateways_wins_field_by_field() {
    let proxy = |fields: Value| {
        let mut container = json!({ "name": "proxy" });
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({ "spec": { "containers": [container] } })
    };
    let class = configuration(json!({
        "dataPlaneOptions": {
            "deployment": { "replicas": 2, "podTemplateSpec": proxy(json!({ "image": "kong:3.8", "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "1" }] })) },
            "network": { "services": { "ingress": { "type": "NodePort", "annotations": { "a": "1", "b": "1" } } } },
        },
        "controlPlaneOptions": { "watchNamespaces": { "type": "list", "list": ["x"] }, "ingressClass": "kong" },
        "listenersOptions": [{ "name": "http", "nodePort": 30080 }, { "name": "https", "nodePort": 30443 }],
    }));
    let gateway = configuration(json!({
        "dataPlaneOptions": {
            "deployment": { "scaling": { "horizontal": { "maxReplicas": 5 } }, "podTemplateSpec": proxy(json!({ "image": "kong:3.9", "env": [{ "name": "B", "value": "2" }], "livenessProbe": null })) },
            "network": { "services": { "ingress": { "annotations": { "b": "2" } } } },
        },
        "controlPlaneOptions": { "watchNamespaces": { "type": "own" } },
        "listenersOptions": [{ "name": "http", "nodePort": 30081 }],
    }));
    let both = json!(combined(Some(&class), Some(&gateway)));
    let data = &both["dataPlaneOptions"];
    assert_eq!(data["deployment"].get("replicas"), None, "scaling excludes it");
    assert_eq!(data["deployment"]["scaling"]["horizontal"]["maxReplicas"], 5);
    let container = &data["deployment"]["podTemplateSpec"]["spec"]["containers"];
    let env = json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }]);
    assert_eq!(
        *container,
        json!([{ "name": "proxy", "image": "kong:3.9", "env": env, "livenessProbe": null }])
    );
    assert_eq!(
        data["network"]["services"]["ingress"],
        json!({ "type": "NodePort", "annotations": { "a": "1", "b": "2" } })
    );
    assert_eq!(
        both["controlPlaneOptions"],
        json!({ "watchNamespaces": { "type": "own" }, "ingressClass": "kong" })
    );
    assert_eq!(
        both["listenersOptions"],
        json!([{ "name": "http", "nodePort": 30081 }, { "name": "https", "nodePort": 30443 }])
    );
    assert_eq!(combined(Some(&class), None), class.spec);
    assert_eq!(combined(None, None), GatewayConfigurationSpec::default());
}

#[test]
fn every_field_of_a_configuration_reaches_the_children() {
    let spec = json!({
        "dataPlaneOptions": {
            "deployment": { "replicas": 2, "podTemplateSpec": { "metadata": { "labels": { "mine": "1" } } } },
            "network": { "services": { "ingress": {
                "type": "NodePort", "name": "front", "annotations": { "a": "1" }, "externalTrafficPolicy": "Local",
                "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"],
            } } },
            "resources": { "podDisruptionBudget": { "spec": { "minAvailable": 1 } } },
        },
        "controlPlaneOptions": {
            "deployment": { "replicas": 2, "podTemplateSpec": { "metadata": { "labels": { "theirs": "1" } } } },
            "watchNamespaces": { "type": "own" }, "ingressClass": "kong", "gatewayClass": "kong",
        },
        "listenersOptions": [{ "name": "http", "nodePort": 30080 }],
    });
    let Children { dataplane, controlplane, .. } =
        children_of(&listening(json!([{ "name": "http", "port": 80, "protocol": "HTTP" }])), spec.clone());
    let (data, control) = (&dataplane.body()["spec"], &controlplane.body()["spec"]);
    let mut ingress = data["network"]["services"]["ingress"].clone();
    assert_eq!(ingress["ports"][0]["nodePort"], 30080);
    for own in ["ports", "labels"] {
        ingress.as_object_mut().unwrap().remove(own);
    }
    assert_eq!(ingress, spec["dataPlaneOptions"]["network"]["services"]["ingress"]);
    assert_eq!(data["resources"], spec["dataPlaneOptions"]["resources"]);
    assert_eq!(data["deployment"]["replicas"], 2);
    assert_eq!(data["deployment"]["podTemplateSpec"]["metadata"]["labels"]["mine"], "1");
    assert_eq!(control["deployment"]["podTemplateSpec"]["metadata"]["labels"]["theirs"], "1");
    for field in ["watchNamespaces", "ingressClass", "gatewayClass"] {
        assert_eq!(control[field], spec["controlPlaneOptions"][field], "{field}");
    }
    assert_eq!(
        (control["deployment"]["replicas"].clone(), control["dataplane"].clone()),
        (json!(2), json!("edge"))
    );
}

#[test]
fn its_control_plane_serves_that_gateway_alone_and_leaves_its_status_to_the_operator() {
    let made =
        children_of(&listening(json!([{ "name": "http", "port": 80, "protocol": "HTTP" }])), json!({}));
    let mut object: crds::ControlPlane = serde_json::from_value(made.controlplane.body().clone()).unwrap();
    object.metadata.uid = Some("u-3".into());
    let settings = crate::controlplane::Settings {
        image: "kong/kubernetes-ingress-controller:3.5.13".into(),
        controller: CONTROLLER.into(),
    };
    let rights_and_variables = |object: &crds::ControlPlane| {
        let found = crate::controlplane::Found::default();
        let valid = crate::controlplane::valid(&settings, object, &found)
            .unwrap_or_else(|invalid| panic!("{invalid}"));
        let pem = || "pem".to_owned();
        let certificate = crate::controlplane::Certificate { chain: pem(), key: pem(), authority: pem() };
        let env =
            valid.deployment(&certificate).body()["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        let (role, _) = valid.access().cluster;
        (role.body()["rules"].to_string(), env)
    };
    let value = |env: &Value, name: &str| {
        env.as_array().unwrap().iter().find(|one| one["name"] == name).map(|one| one["value"].clone())
    };
    let (rights, env) = rights_and_variables(&object);
    assert_eq!(value(&env, "CONTROLLER_GATEWAY_TO_RECONCILE"), Some(json!("team/edge")));
    assert_eq!(value(&env, "CONTROLLER_GATEWAY_API_CONTROLLER_NAME"), Some(json!(CONTROLLER)));
    assert_eq!(
        value(&env, "CONTROLLER_FEATURE_GATES"),
        Some(json!("FallbackConfiguration=true,GatewayAlpha=true"))
    );
    assert!(rights.contains("\"gatewayclasses\"") && !rights.contains("gatewayclasses/status"), "{rights}");
    object.metadata.owner_references = None;
    let (rights, env) = rights_and_variables(&object);
    assert!(
        rights.contains("gatewayclasses/status"),
        "one that a user made writes the status of unmanaged classes"
    );
    assert_eq!(value(&env, "CONTROLLER_FEATURE_GATES"), Some(json!("FallbackConfiguration=true")));
}
