//! Listeners: each reason of each condition, and that one bad listener leaves the others alone.

use super::*;

fn status_of(object: &Gateway, around: &Around) -> GatewayStatus {
    judged(object, &known(around)).status(&seen(&serving()))
}

fn http(name: &str, port: u16, host: &str) -> Value {
    json!({ "name": name, "port": port, "protocol": "HTTP", "hostname": host })
}

fn https(name: &str, reference: Value) -> Value {
    json!({ "name": name, "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [reference] } })
}

#[test]
fn a_listener_that_is_wrong_is_told_why_and_hurts_no_other() {
    let pass = json!({ "mode": "Passthrough" });
    let end = json!({ "mode": "Terminate", "certificateRefs": [{ "name": "c" }] });
    for (wrong, type_, reason) in [
        (json!({ "name": "x", "port": 1111, "protocol": "INVALID" }), ACCEPTED, "UnsupportedProtocol"),
        (json!({ "name": "x", "port": 8443, "protocol": "TLS", "tls": end }), ACCEPTED, "UnsupportedValue"),
        (json!({ "name": "x", "port": 443, "protocol": "HTTPS", "tls": pass }), ACCEPTED, "UnsupportedValue"),
        (https("x", json!({ "name": "absent" })), "ResolvedRefs", "InvalidCertificateRef"),
        (
            https("x", json!({ "name": "ok", "group": "wrong.example" })),
            "ResolvedRefs",
            "InvalidCertificateRef",
        ),
        (https("x", json!({ "name": "ok", "kind": "WrongKind" })), "ResolvedRefs", "InvalidCertificateRef"),
        (https("x", json!({ "name": "ok", "namespace": "other" })), "ResolvedRefs", "RefNotPermitted"),
        (json!({ "name": "x", "port": 443, "protocol": "HTTPS" }), "ResolvedRefs", "InvalidCertificateRef"),
        (
            json!({ "name": "x", "port": 81, "protocol": "HTTP", "allowedRoutes": { "kinds": [{ "kind": "InvalidRoute" }] } }),
            "ResolvedRefs",
            "InvalidRouteKinds",
        ),
    ] {
        let around = Around::with_certificate("team/ok");
        let status = status_of(&listening(json!([http("good", 80, ""), wrong])), &around);
        assert_eq!(of_listener(&status, "x", type_), ("False", reason), "{wrong}");
        assert_eq!(of_listener(&status, "x", PROGRAMMED), ("False", "Invalid"), "{wrong}");
        assert_eq!(of_listener(&status, "x", "Conflicted"), ("False", "NoConflicts"), "{wrong}");
        for (type_, reason) in
            [(ACCEPTED, "Accepted"), (PROGRAMMED, "Programmed"), ("ResolvedRefs", "ResolvedRefs")]
        {
            assert_eq!(of_listener(&status, "good", type_), ("True", reason), "{wrong}");
        }
        assert_eq!(of_gateway_status(&status, ACCEPTED), ("True", "ListenersNotValid"), "{wrong}");
        assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"), "{wrong}");
        let alone = status_of(&listening(json!([wrong])), &around);
        let (accepted, programmed) = if type_ == ACCEPTED {
            (("False", "ListenersNotValid"), ("False", "Invalid"))
        } else {
            // Its port is open: only what it refers to is missing, and routes are to be judged all the same.
            (("True", "ListenersNotValid"), ("True", "Programmed"))
        };
        assert_eq!(of_gateway_status(&alone, ACCEPTED), accepted, "{wrong}");
        assert_eq!(of_gateway_status(&alone, PROGRAMMED), programmed, "{wrong}");
        assert_eq!(of_listener(&alone, "x", PROGRAMMED), ("False", "Invalid"), "{wrong}");
    }
}

#[test]
fn a_secret_that_cannot_be_served_is_told_in_words() {
    for (unusable, words) in [
        (Unusable::Absent, "does not exist"),
        (Unusable::OtherType, "kubernetes.io/tls"),
        (Unusable::Wrong("is over".into()), "is over"),
    ] {
        let around =
            Around { certificates: [("team/c".to_owned(), Err(unusable))].into(), ..Around::default() };
        let status = status_of(&listening(json!([https("x", json!({ "name": "c" }))])), &around);
        let listener = &status.listeners.unwrap()[0];
        let found = crds::conditions::get(&listener.conditions, "ResolvedRefs").unwrap();
        assert!(found.message.contains("team/c") && found.message.contains(words), "{found:?}");
    }
}

#[test]
fn where_certificates_are_served_the_gateway_is_accepted_for_the_reason_that_kic_asks_for() {
    let around = Around::with_certificate("team/ok");
    let bad = json!({ "name": "x", "port": 1111, "protocol": "INVALID" });
    let status = status_of(&listening(json!([https("tls", json!({ "name": "ok" })), bad])), &around);
    assert_eq!(of_gateway_status(&status, ACCEPTED), ("True", "Accepted"));
    let words = &crds::conditions::get(status.conditions.as_deref().unwrap(), ACCEPTED).unwrap().message;
    assert!(words.contains("x (UnsupportedProtocol)"), "{words}");
}

#[test]
fn a_grant_lets_a_gateway_refer_to_another_namespace() {
    let grant = |from: Value, to: Value| -> Arc<ReferenceGrant> {
        let spec = json!({ "from": [from], "to": [to] });
        Arc::new(
            serde_json::from_value(
                json!({ "metadata": { "name": "g", "namespace": "other" }, "spec": spec }),
            )
            .unwrap(),
        )
    };
    let group = "gateway.networking.k8s.io";
    let ours = json!({ "group": group, "kind": "Gateway", "namespace": "team" });
    let secrets = json!({ "group": "", "kind": "Secret" });
    for (from, to, permitted) in [
        (ours.clone(), secrets.clone(), true),
        (ours.clone(), json!({ "group": "", "kind": "Secret", "name": "c" }), true),
        (ours.clone(), json!({ "group": "", "kind": "Secret", "name": "other" }), false),
        (ours.clone(), json!({ "group": "", "kind": "ConfigMap" }), false),
        (json!({ "group": group, "kind": "HTTPRoute", "namespace": "team" }), secrets.clone(), false),
        (json!({ "group": group, "kind": "Gateway", "namespace": "elsewhere" }), secrets.clone(), false),
        (json!({ "group": "wrong", "kind": "Gateway", "namespace": "team" }), secrets, false),
    ] {
        let mut around = Around::with_certificate("other/c");
        around.grants.push(grant(from.clone(), to.clone()));
        let object = listening(json!([https("x", json!({ "name": "c", "namespace": "other" }))]));
        let status = status_of(&object, &around);
        let wanted = if permitted { ("True", "ResolvedRefs") } else { ("False", "RefNotPermitted") };
        assert_eq!(of_listener(&status, "x", "ResolvedRefs"), wanted, "{from} {to}");
        assert_eq!(of_listener(&status, "x", PROGRAMMED).0 == "True", permitted, "{from} {to}");
    }
}

#[test]
fn supported_kinds_are_those_of_the_protocol_that_were_asked_for() {
    let around = Around::default();
    for (protocol, tls, kinds, supported) in [
        ("HTTP", Value::Null, json!(null), json!(["HTTPRoute", "GRPCRoute"])),
        ("TCP", Value::Null, json!(null), json!(["TCPRoute"])),
        ("UDP", Value::Null, json!(null), json!(["UDPRoute"])),
        ("TLS", json!({ "mode": "Passthrough" }), json!(null), json!(["TLSRoute"])),
        (
            "TLS",
            json!({ "mode": "Passthrough" }),
            json!([{ "kind": "TCPRoute" }, { "kind": "TLSRoute" }]),
            json!(["TLSRoute"]),
        ),
        (
            "HTTP",
            Value::Null,
            json!([{ "kind": "HTTPRoute" }, { "kind": "InvalidRoute" }]),
            json!(["HTTPRoute"]),
        ),
        ("HTTP", Value::Null, json!([{ "kind": "HTTPRoute", "group": "wrong" }]), json!([])),
        ("INVALID", Value::Null, json!(null), json!([])),
    ] {
        let mut listener = json!({ "name": "x", "port": 443, "protocol": protocol });
        if !tls.is_null() {
            listener["tls"] = tls;
        }
        if !kinds.is_null() {
            listener["allowedRoutes"] = json!({ "kinds": kinds });
        }
        let status = status_of(&listening(json!([listener])), &around);
        let shown = json!(status.listeners.unwrap()[0].supported_kinds.as_ref().unwrap());
        let names: Vec<_> = shown.as_array().unwrap().iter().map(|kind| kind["kind"].clone()).collect();
        assert_eq!(json!(names), supported, "{listener}");
        assert!(shown.as_array().unwrap().iter().all(|kind| kind["group"] == "gateway.networking.k8s.io"));
    }
}

#[test]
fn a_listener_with_some_wrong_kinds_serves_the_others() {
    let kinds = json!({ "kinds": [{ "kind": "HTTPRoute" }, { "kind": "InvalidRoute" }] });
    let listener = json!({ "name": "x", "port": 80, "protocol": "HTTP", "allowedRoutes": kinds });
    let status = status_of(&listening(json!([listener])), &Around::default());
    assert_eq!(of_listener(&status, "x", "ResolvedRefs"), ("False", "InvalidRouteKinds"));
    assert_eq!(of_listener(&status, "x", PROGRAMMED), ("True", "Programmed"));
}

#[test]
fn conflicts_are_by_port_protocol_and_host_name_and_have_no_winner() {
    let tcp = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "TCP" });
    let udp = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "UDP" });
    let tls = json!({ "name": "s", "port": 443, "protocol": "TLS", "hostname": "s.com", "tls": { "mode": "Passthrough" } });
    let (one, reason) = (https("a", json!({ "name": "ok" })), "ProtocolConflict");
    for (listeners, conflicted) in [
        (json!([http("a", 80, "a.com"), http("b", 80, "b.com"), http("c", 8080, "a.com")]), vec![]),
        (
            json!([http("a", 80, "a.com"), http("b", 80, "A.com"), http("c", 80, "c.com")]),
            vec![("a", "HostnameConflict"), ("b", "HostnameConflict")],
        ),
        (json!([http("a", 80, ""), tcp("b", 80), http("c", 81, "")]), vec![("a", reason), ("b", reason)]),
        (
            json!([http("a", 80, "a.com"), http("b", 80, "b.com"), tcp("c", 80)]),
            vec![("a", reason), ("b", reason), ("c", reason)],
        ),
        (json!([one, tls]), vec![("a", reason), ("s", reason)]),
        (json!([one, http("b", 443, "b.com")]), vec![("a", reason), ("b", reason)]),
        // The defect of the peer: one host name on two ports.
        (json!([one, http("b", 80, "")]), vec![]),
        (json!([tcp("a", 53), udp("b", 53)]), vec![]),
        (json!([udp("a", 53), udp("b", 53)]), vec![("a", reason), ("b", reason)]),
        (json!([{ "name": "x", "port": 80, "protocol": "INVALID" }, http("b", 80, "")]), vec![]),
    ] {
        let status = status_of(&listening(listeners.clone()), &Around::with_certificate("team/ok"));
        for listener in status.listeners.as_deref().unwrap() {
            let name = listener.name.as_str();
            let wanted = conflicted.iter().find(|(known, _)| *known == name);
            let Some((_, reason)) = wanted else {
                assert_eq!(of_listener(&status, name, "Conflicted"), ("False", "NoConflicts"), "{listeners}");
                continue;
            };
            assert_eq!(of_listener(&status, name, "Conflicted"), ("True", *reason), "{name}: {listeners}");
            assert_eq!(of_listener(&status, name, ACCEPTED), ("False", *reason), "{name}: {listeners}");
            assert_eq!(of_listener(&status, name, PROGRAMMED), ("False", *reason), "{name}: {listeners}");
        }
    }
}

#[test]
fn overlapping_host_names_of_certificates_are_told_and_taken_back() {
    let named = |name: &str, host: &str| json!({ "name": name, "port": 443, "protocol": "HTTPS", "hostname": host, "tls": { "certificateRefs": [{ "name": "ok" }] } });
    let around = Around::with_certificate("team/ok");
    let all =
        json!([named("a", "foo.example.com"), named("b", "foo.example.org"), named("c", "*.example.com")]);
    let mut object = listening(all);
    let status = status_of(&object, &around);
    assert_eq!(of_listener(&status, "a", "OverlappingTLSConfig"), ("True", "OverlappingHostnames"));
    assert_eq!(of_listener(&status, "b", "OverlappingTLSConfig"), ("absent", ""));
    assert_eq!(of_listener(&status, "c", "OverlappingTLSConfig"), ("True", "OverlappingHostnames"));
    object.status = Some(status);
    object.spec.listeners.pop();
    assert_eq!(of_listener(&status_of(&object, &around), "a", "OverlappingTLSConfig"), ("absent", ""));
}

#[test]
fn clients_without_certificates_are_not_let_in_where_they_are_asked_for_them() {
    let validation = json!({ "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": "ca" }] });
    let listeners = json!([https("tls", json!({ "name": "ok" })), http("plain", 80, "")]);
    let around = Around::with_certificate("team/ok");
    let object = gateway(
        json!({ "listeners": listeners, "tls": { "frontend": { "default": { "validation": validation } } } }),
    );
    let status = status_of(&object, &around);
    assert_eq!(of_listener(&status, "tls", ACCEPTED), ("False", "UnsupportedValue"));
    assert_eq!(of_listener(&status, "plain", ACCEPTED), ("True", "Accepted"));
    let port = json!([{ "port": 443, "tls": {} }]);
    let object = gateway(
        json!({ "listeners": listeners, "tls": { "frontend": { "default": { "validation": validation }, "perPort": port } } }),
    );
    assert_eq!(of_listener(&status_of(&object, &around), "tls", ACCEPTED), ("True", "Accepted"));
}
