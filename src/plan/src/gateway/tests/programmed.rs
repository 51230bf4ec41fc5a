//! The Gateway as a whole: parameters, addresses, and that what is served stays programmed.

use crds::conditions;

use super::*;

fn plain() -> Gateway {
    listening(json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]))
}

fn status_of(object: &Gateway, seen: &Seen<'_>) -> GatewayStatus {
    judged(object, &known(&Around::default())).status(seen)
}

#[test]
fn it_is_programmed_when_its_data_plane_serves_and_has_an_address() {
    let address = json!([{ "value": "192.0.2.1", "sourceType": "PublicLoadBalancer" }]);
    let inner = json!([{ "value": "10.0.0.1", "sourceType": "PrivateIP" }]);
    let good = [("Ready", "True"), ("RolledOut", "True")];
    for (conditions, addresses, wanted) in [
        (&good[..], &address, ("True", "Programmed")),
        (&good[..], &inner, ("False", "AddressNotAssigned")),
        (&[("Ready", "False")][..], &address, ("False", "Pending")),
        (&[][..], &address, ("False", "Pending")),
        (&[("Ready", "True"), ("RolledOut", "False")][..], &address, ("False", "Pending")),
    ] {
        let dataplane = dataplane(conditions, addresses.clone());
        let status = status_of(&plain(), &seen(&dataplane));
        assert_eq!(of_gateway_status(&status, PROGRAMMED), wanted, "{conditions:?} {addresses}");
        let all = status
            .conditions
            .iter()
            .flatten()
            .chain(status.listeners.iter().flatten().flat_map(|l| &l.conditions));
        assert!(all.into_iter().all(|condition| condition.observed_generation == Some(3)));
    }
    let none = Seen { dataplane: None, ..seen_none() };
    assert_eq!(of_gateway_status(&status_of(&plain(), &none), PROGRAMMED), ("False", "Pending"));
}

#[test]
fn how_far_its_data_plane_is_makes_no_other_status_and_what_is_wrong_with_it_does() {
    let said = |reason: &str, words: &str| {
        let mut dataplane = dataplane(&[("Ready", "False")], json!([]));
        let conditions = dataplane.status.as_mut().unwrap().conditions.as_mut().unwrap();
        (conditions[0].reason, conditions[0].message) = (reason.into(), words.into());
        status_of(&plain(), &seen(&dataplane))
    };
    let first = said("WaitingToBecomeReady", "0 of 2 replicas serve");
    assert_eq!(first, said("WaitingToBecomeReady", "1 of 2 replicas serve"));
    assert_eq!(first, status_of(&plain(), &seen(&dataplane(&[], json!([])))), "nor that it has begun");
    let wrong = said("ImagePullFailed", "no such image");
    let programmed = conditions::get(wrong.conditions.as_deref().unwrap(), PROGRAMMED).unwrap();
    assert!(programmed.message.contains("no such image"), "{}", programmed.message);
    assert_ne!(wrong, said("ImagePullFailed", "no such registry"));
    let kept = said("ScaledToZero", "raise it").conditions.unwrap();
    assert!(conditions::get(&kept, PROGRAMMED).unwrap().message.contains("raise it"));
}

fn seen_none() -> Seen<'static> {
    Seen { dataplane: None, controlplane: None, before: &[], now: now() }
}

#[test]
fn what_is_served_stays_programmed_while_pods_are_rolled_and_what_is_new_waits() {
    let serving = serving();
    let mut object = plain();
    object.status = Some(status_of(&object, &seen(&serving)));
    let before: Vec<crds::dataplane::IngressPort> = serde_json::from_value(
        json!([{ "name": "http", "port": 80, "protocol": "HTTP", "targetPort": 8000 }]),
    )
    .unwrap();
    let rolling = dataplane(
        &[("Ready", "True"), ("RolledOut", "False")],
        json!([{ "value": "192.0.2.1", "sourceType": "PublicLoadBalancer" }]),
    );
    object.metadata.generation = Some(4);
    object
        .spec
        .listeners
        .push(serde_json::from_value(json!({ "name": "new", "port": 8080, "protocol": "HTTP" })).unwrap());
    let during = Seen { before: &before, ..seen(&rolling) };
    let status = status_of(&object, &during);
    assert_eq!(of_listener(&status, "http", PROGRAMMED), ("True", "Programmed"));
    assert_eq!(of_listener(&status, "new", PROGRAMMED), ("False", "Pending"));
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"));
    // Another port under the same name is a new one.
    object.spec.listeners[0].port = 81;
    assert_eq!(of_listener(&status_of(&object, &during), "http", PROGRAMMED), ("False", "Pending"));
}

#[test]
fn a_gateway_that_waits_for_a_certificate_stays_programmed_when_it_comes() {
    let https = json!({ "name": "x", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "c" }] } });
    let mut object = listening(json!([https]));
    let address = json!([{ "value": "192.0.2.1", "sourceType": "PublicLoadBalancer" }]);
    let rolling = dataplane(&[("Ready", "True"), ("RolledOut", "False")], address);
    let around = Around::with_certificate("team/c");
    let fresh = judged(&object, &known(&around)).status(&seen(&rolling));
    assert_eq!(of_gateway_status(&fresh, PROGRAMMED), ("False", "Pending"), "its port is not open yet");
    object.status = Some(status_of(&object, &seen(&serving())));
    let judged = judged(&object, &known(&around));
    let status = judged.status(&seen(&rolling));
    assert_eq!(of_listener(&status, "x", PROGRAMMED), ("False", "Pending"));
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"));
    let down = dataplane(&[("Ready", "False")], json!([]));
    assert_eq!(of_gateway_status(&judged.status(&seen(&down)), PROGRAMMED), ("False", "Pending"));
}

#[test]
fn parameters_that_lead_nowhere_and_addresses_of_no_known_type_are_not_accepted() {
    let around = Around::default();
    let broken =
        Known { parameters: Err("GatewayConfiguration a/b does not exist".into()), ..known(&around) };
    let object = plain();
    let judged = judged(&object, &broken);
    assert!(judged.children().is_none());
    let status = judged.status(&seen(&serving()));
    assert_eq!(of_gateway_status(&status, ACCEPTED), ("False", "InvalidParameters"));
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("False", "Invalid"));
    let listeners = json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]);
    for (addresses, accepted, programmed) in [
        (
            json!([{ "type": "example.com/x", "value": "y" }]),
            ("False", "UnsupportedAddress"),
            ("False", "Invalid"),
        ),
        (json!([{ "value": "198.51.100.7" }]), ("True", "Accepted"), ("False", "AddressNotUsable")),
        (
            json!([{ "type": "Hostname", "value": "192.0.2.1" }]),
            ("True", "Accepted"),
            ("False", "AddressNotUsable"),
        ),
        (
            json!([{ "type": "IPAddress", "value": "192.0.2.1" }]),
            ("True", "Accepted"),
            ("True", "Programmed"),
        ),
        (json!([{ "type": "IPAddress" }]), ("True", "Accepted"), ("True", "Programmed")),
    ] {
        let status =
            status_of(&gateway(json!({ "listeners": listeners, "addresses": addresses })), &seen(&serving()));
        assert_eq!(of_gateway_status(&status, ACCEPTED), accepted, "{addresses}");
        assert_eq!(of_gateway_status(&status, PROGRAMMED), programmed, "{addresses}");
    }
}

#[test]
fn nothing_changes_where_nothing_has_changed_and_conditions_of_others_stay() {
    let (serving, mut object) = (serving(), plain());
    let mut status = status_of(&object, &seen(&serving));
    let foreign = Condition {
        type_: "example.com/Checked".into(),
        status: "True".into(),
        reason: "Fine".into(),
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: crds::k8s::Time(now()),
    };
    status.conditions.as_mut().unwrap().push(foreign.clone());
    object.status = Some(status.clone());
    let later = Seen { now: Timestamp::from_second(1_900_000_000).unwrap(), ..seen(&serving) };
    let sorted = |status: &GatewayStatus| {
        let mut all = status.conditions.clone().unwrap();
        all.sort_by(|a, b| a.type_.cmp(&b.type_));
        all
    };
    let again = status_of(&object, &later);
    assert_eq!(sorted(&again), sorted(&status));
    assert_eq!(again.listeners, status.listeners);
    object.status = Some(again.clone());
    assert_eq!(status_of(&object, &later), again, "and the order settles");
}

#[test]
fn a_condition_of_a_newer_generation_is_left_alone() {
    let (serving, mut object) = (serving(), plain());
    object.metadata.generation = Some(9);
    object.status = Some(status_of(&object, &seen(&serving)));
    object.metadata.generation = Some(3);
    let down = dataplane(&[("Ready", "False")], json!([]));
    let status = status_of(&object, &seen(&down));
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"));
}

#[test]
fn a_failed_write_is_told_and_what_is_served_is_served() {
    let (serving, mut object) = (serving(), plain());
    let first = failed(&object, ("NameTaken", "taken".into()), now());
    assert_eq!(of_gateway_status(&first, PROGRAMMED), ("False", "Pending"));
    object.status = Some(status_of(&object, &seen(&serving)));
    let status = failed(&object, ("NameTaken", "taken".into()), now());
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"));
    assert_eq!(of_gateway_status(&status, "Provisioned"), ("False", "NameTaken"));
}

#[test]
fn a_class_is_accepted_by_its_parameters_and_lists_features_in_order() {
    let class = |annotations: Value| -> gateway_api::gatewayclasses::GatewayClass {
        serde_json::from_value(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": { "name": "kong", "generation": 2, "annotations": annotations },
            "spec": { "controllerName": CONTROLLER },
        }))
        .unwrap()
    };
    let managed = class(json!({}));
    let status = class_status(&managed, Ok(()), Some("v1.6.3"), now());
    let conditions = status.conditions.as_deref().unwrap();
    assert_eq!(told(conditions, ACCEPTED), ("True", "Accepted"));
    assert_eq!(told(conditions, "SupportedVersion"), ("True", "SupportedVersion"));
    assert!(conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    let names: Vec<_> = status.supported_features.unwrap().into_iter().map(|feature| feature.name).collect();
    assert!(names.is_sorted() && names.len() > 3 && names.contains(&"Gateway".to_owned()), "{names:?}");
    let status = class_status(&managed, Err("wrong".into()), Some("v2.0.0"), now());
    let conditions = status.conditions.as_deref().unwrap();
    assert_eq!(told(conditions, ACCEPTED), ("False", "InvalidParameters"));
    assert_eq!(told(conditions, "SupportedVersion"), ("False", "UnsupportedVersion"));
    assert_eq!(class_status(&managed, Ok(()), Some("v1.2.1"), now()).supported_features, None);
    let left = class(json!({ UNMANAGED: "ns/service" }));
    assert!(is_unmanaged(&left) && !is_unmanaged(&managed));
    let status = class_status(&left, Ok(()), None, now());
    let accepted = conditions::get(status.conditions.as_deref().unwrap(), ACCEPTED).unwrap();
    assert_eq!(accepted.message, "the gatewayclass has been accepted by the controller");
}

#[test]
fn references_to_parameters_name_a_configuration_in_a_namespace() {
    let class = |reference: Value| -> gateway_api::gatewayclasses::GatewayClass {
        let spec = json!({ "controllerName": CONTROLLER, "parametersRef": reference });
        serde_json::from_value(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": { "name": "kong" }, "spec": spec,
        }))
        .unwrap()
    };
    let group = "gateway-operator.konghq.com";
    let good = json!({ "group": group, "kind": "GatewayConfiguration", "name": "c", "namespace": "n" });
    assert_eq!(of_class(&class(good)).unwrap().unwrap(), Place { namespace: "n".into(), name: "c".into() });
    for wrong in [
        json!({ "group": group, "kind": "GatewayConfiguration", "name": "c" }),
        json!({ "group": group, "kind": "ConfigMap", "name": "c", "namespace": "n" }),
        json!({ "group": "", "kind": "GatewayConfiguration", "name": "c", "namespace": "n" }),
    ] {
        assert!(of_class(&class(wrong.clone())).is_err(), "{wrong}");
    }
    let listeners = json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]);
    let reference = json!({ "group": group, "kind": "GatewayConfiguration", "name": "own" });
    let object = gateway(json!({ "listeners": listeners, "infrastructure": { "parametersRef": reference } }));
    assert_eq!(of_gateway(&object).unwrap().unwrap().namespace, "team");
}

#[test]
fn a_configuration_tells_its_users_and_its_problems() {
    let configuration = |options: Value| -> crds::GatewayConfiguration {
        serde_json::from_value(json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
            "metadata": { "name": "c", "namespace": "n", "generation": 5, "uid": "u" }, "spec": options,
        }))
        .unwrap()
    };
    let used =
        Use { classes: vec!["kong".into()], gateways: (0..12).map(|n| format!("team/g{n:02}")).collect() };
    let status = configuration_status(&configuration(json!({})), &used, now());
    let accepted = conditions::get(status.conditions.as_deref().unwrap(), ACCEPTED).unwrap();
    assert_eq!((accepted.status.as_str(), status.observed_generation), ("True", Some(5)));
    for words in ["1 GatewayClasses: kong", "12 Gateways: team/g00", "team/g09 and others"] {
        assert!(accepted.message.contains(words), "{}", accepted.message);
    }
    let container = |name: &str| json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [{ "name": name, "imge": "x" }] } } } });
    for (options, path) in [
        (
            json!({ "dataPlaneOptions": container("proxy") }),
            "spec.dataPlaneOptions.deployment.podTemplateSpec.spec.containers[0].imge",
        ),
        (
            json!({ "controlPlaneOptions": container("controller") }),
            "spec.controlPlaneOptions.deployment.podTemplateSpec.spec.containers[0].imge",
        ),
    ] {
        let status = configuration_status(&configuration(options), &Use::default(), now());
        let accepted = conditions::get(status.conditions.as_deref().unwrap(), ACCEPTED).unwrap();
        assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "ValidationFailed"));
        assert!(accepted.message.contains(path), "{}", accepted.message);
    }
}

fn rolled_out(object: &Gateway, dataplane: &crds::DataPlane) -> (String, String) {
    let status = status_of(object, &seen(dataplane));
    let (is, reason) = of_gateway_status(&status, crds::conditions::types::GATEWAY_ROLLED_OUT);
    (is.to_owned(), reason.to_owned())
}

#[test]
fn a_rollout_is_told_of_by_a_condition_of_its_own() {
    let (mut dataplane, mut object) = (serving(), plain());
    assert_eq!(rolled_out(&object, &dataplane).0, "absent", "there was none");
    let rollout = json!({ "name": "edge-1", "phase": "Progressing", "revision": "new" });
    dataplane.status.as_mut().unwrap().rollout = serde_json::from_value(rollout).unwrap();
    assert_eq!(rolled_out(&object, &dataplane), ("False".into(), "Progressing".into()));
    object.status = Some(status_of(&object, &seen(&dataplane)));
    assert_eq!(of_gateway_status(object.status.as_ref().unwrap(), PROGRAMMED).0, "True");
    dataplane.status.as_mut().unwrap().rollout = None;
    assert_eq!(rolled_out(&object, &dataplane), ("True".into(), "RolledOut".into()));
    let conditions = dataplane.status.as_mut().unwrap().conditions.as_mut().unwrap();
    let failed = conditions.iter_mut().find(|condition| condition.type_ == "RolledOut").unwrap();
    (failed.status, failed.reason) = ("False".into(), "RolledBack".into());
    object.status.as_mut().unwrap().conditions = None;
    assert_eq!(rolled_out(&object, &dataplane), ("False".into(), "RolledBack".into()));
}
