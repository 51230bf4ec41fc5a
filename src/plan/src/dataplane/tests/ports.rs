//! Ports as tables.

use serde_json::{Value, json};

use super::*;

fn read(ports: Value) -> Vec<Mapped> {
    mapped(&serde_json::from_value::<Vec<IngressPort>>(ports).unwrap(), &Claims::default()).unwrap()
}

#[test]
fn the_default_ports_give_the_peers_variables() {
    let ports = mapped(&crds::defaults::ports(), &Claims::default()).unwrap();
    let listen = "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384";
    assert_eq!(proxy_listen(&ports, Families::default()), listen);
    assert_eq!(port_maps(&ports), "80:8000, 443:8443");
}

#[test]
fn custom_ports_move_listeners_maps_and_container_ports_together() {
    let ports = read(json!([
        {"name": "web", "port": 8080, "targetPort": 9000},
        {"name": "web-tls", "port": 9443, "targetPort": 9443, "nodePort": 30443},
        {"name": "alt", "port": 8081, "targetPort": 9001},
    ]));
    let listen = "0.0.0.0:9000 reuseport backlog=16384, 0.0.0.0:9443 http2 ssl reuseport backlog=16384, 0.0.0.0:9001 reuseport backlog=16384";
    assert_eq!(proxy_listen(&ports, Families::default()), listen);
    assert_eq!(port_maps(&ports), "8080:9000, 9443:9443, 8081:9001");
    let names: Vec<_> = container_ports(&listeners(&ports)).iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["proxy", "proxy-ssl", "proxy-9001"]);
    assert_eq!(service_ports(&ports)[1]["nodePort"], 30443);
}

#[test]
fn a_target_is_found_by_name_or_by_what_the_port_speaks() {
    for (port, target, tls) in [
        (json!({"port": 80}), 8000, false),
        (json!({"port": 443}), 8443, true),
        (json!({"name": "https-alt", "port": 9000}), 8443, true),
        (json!({"port": 1, "targetPort": "proxy-ssl"}), 8443, true),
        (json!({"port": 1, "targetPort": "proxy"}), 8000, false),
        (json!({"port": 443, "targetPort": 8000}), 8000, false),
        (json!({"port": 443, "targetPort": 9000}), 9000, true),
    ] {
        let read = read(json!([port]));
        assert_eq!(
            (&read[0].target, read[0].protocol == Protocol::Https),
            (&Target::Ours(target), tls),
            "{port}"
        );
    }
}

#[test]
fn ports_that_no_listener_can_have_are_named() {
    for (ports, path, words) in [
        (json!([{"port": 80, "targetPort": 8444}]), "ports[0].targetPort", "the admin API"),
        (json!([{"port": 80, "targetPort": "https"}]), "ports[0].targetPort", "\"proxy-ssl\""),
        (json!([{"port": 80, "name": "a"}, {"port": 81}]), "ports[1].name", "several ports"),
        (json!([{"port": 8444, "protocol": "TCP"}]), "ports[0].targetPort", "the admin API"),
        (json!([{"port": 8100, "protocol": "TLS"}]), "ports[0].targetPort", "the status listener"),
        (
            json!([{"name": "a", "port": 1, "targetPort": 9000, "protocol": "HTTP"}, {"name": "b", "port": 2, "targetPort": 9000, "protocol": "HTTPS"}]),
            "ports[1].targetPort",
            "HTTPS, and HTTP for port 1",
        ),
        (
            json!([{"name": "a", "port": 1, "targetPort": 9000, "protocol": "TCP"}, {"name": "b", "port": 2, "targetPort": 9000, "protocol": "TCP"}]),
            "ports[1].targetPort",
            "already stands for port 1",
        ),
    ] {
        let problems =
            mapped(&serde_json::from_value::<Vec<IngressPort>>(ports).unwrap(), &Claims::default())
                .unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].path.ends_with(path) && problems[0].message.contains(words), "{problems:?}");
    }
}

#[test]
fn two_ports_may_share_a_listener() {
    let ports = read(
        json!([{"name": "a", "port": 80, "targetPort": 8000}, {"name": "b", "port": 8080, "targetPort": 8000}]),
    );
    assert_eq!(listeners(&ports).len(), 1);
    assert_eq!(port_maps(&ports), "80:8000", "Kong would take the last of two");
}

#[test]
fn streams_have_a_listen_of_their_own() {
    let ports = read(json!([
        {"name": "web", "port": 80},
        {"name": "db", "port": 5432, "protocol": "TCP"},
        {"name": "dns", "port": 53, "protocol": "TCP"},
        {"name": "dns-udp", "port": 53, "protocol": "UDP", "targetPort": 10053},
        {"name": "pass", "port": 443, "protocol": "TLS", "targetPort": 9443},
    ]));
    assert_eq!(proxy_listen(&ports, Families::default()), "0.0.0.0:8000 reuseport backlog=16384");
    let queue = "reuseport backlog=16384";
    let wanted = format!(
        "0.0.0.0:5432 {queue}, 0.0.0.0:10053 {queue}, 0.0.0.0:10053 udp reuseport, 0.0.0.0:9443 ssl {queue}"
    );
    assert_eq!(stream_listen(&ports, Families::default()), Some(wanted));
    assert_eq!(port_maps(&ports), "80:8000, 5432:5432, 53:10053, 443:9443");
    let opened: Vec<_> = container_ports(&listeners(&ports))
        .iter()
        .map(|p| format!("{}/{}", p["name"].as_str().unwrap(), p["protocol"].as_str().unwrap()))
        .collect();
    assert_eq!(opened, ["proxy/TCP", "tcp-5432/TCP", "tcp-10053/TCP", "udp-10053/UDP", "tls-9443/TCP"]);
    assert_eq!(service_ports(&ports)[3]["protocol"], "UDP");
    let only = read(json!([{"name": "db", "port": 5432, "protocol": "TCP"}]));
    assert_eq!(proxy_listen(&only, Families::default()), "off");
    assert_eq!(stream_listen(&read(json!([{"port": 80}])), Families::default()), None);
}

#[test]
fn one_listener_cannot_speak_two_protocols() {
    let ports = json!([{"name": "a", "port": 80, "targetPort": 9000}, {"name": "b", "port": 81, "targetPort": 9000, "protocol": "TCP"}]);
    let ports: Vec<IngressPort> = serde_json::from_value(ports).unwrap();
    let problems = mapped(&ports, &Claims::default()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].path.ends_with("ports[1].targetPort"), "{problems:?}");
    assert!(problems[0].message.contains("TCP") && problems[0].message.contains("HTTP for port 80"));
}

#[test]
fn what_listens_already_gets_the_traffic() {
    let claims = Claims::of(&json!({"spec": {"containers": [
        {"name": "proxy", "ports": [{"name": "named", "containerPort": 9005}], "env": [{"name": "KONG_STREAM_LISTEN", "value": "0.0.0.0:9000"}]},
        {"name": "sidecar", "ports": [{"name": "side", "containerPort": 9100}]},
    ]}}));
    let ports = json!([
        {"name": "a", "port": 80, "targetPort": 8000},
        {"name": "b", "port": 81, "targetPort": 9000},
        {"name": "c", "port": 82, "targetPort": 9100},
        {"name": "d", "port": 83, "targetPort": "side"},
        {"name": "e", "port": 84, "targetPort": "named"},
    ]);
    let ports = mapped(&serde_json::from_value::<Vec<IngressPort>>(ports).unwrap(), &claims).unwrap();
    let queue = "reuseport backlog=16384";
    assert_eq!(
        proxy_listen(&ports, Families::default()),
        format!("0.0.0.0:8000 {queue}, 0.0.0.0:9005 {queue}"),
        "nobody listens twice on one port"
    );
    assert_eq!(port_maps(&ports), "80:8000, 81:9000, 84:9005");
    let targets: Vec<_> = service_ports(&ports).iter().map(|p| p["targetPort"].clone()).collect();
    assert_eq!(targets, [json!(8000), json!(9000), json!(9100), json!("side"), json!(9005)]);
}

#[test]
fn the_status_port_may_be_offered_and_is_no_listener_of_the_proxy() {
    for target in [json!(8100), json!("metrics")] {
        let ports = read(
            json!([{"name": "http", "port": 80}, {"name": "health", "port": 8100, "targetPort": target}]),
        );
        assert_eq!(listeners(&ports).len(), 1);
        assert_eq!(port_maps(&ports), "80:8000");
        assert_eq!(service_ports(&ports)[1]["targetPort"], target);
    }
}
