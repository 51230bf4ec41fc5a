//! What of a user's template wins, what gives way, and what cannot be had.

use serde_json::{Value, json};

use super::*;

fn variable(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn with(fields: Value) -> Value {
    let mut container = json!({"name": "proxy"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    pod_spec(json!({"containers": [container]}))
}

fn variables(variables: Value) -> Value {
    with(json!({"env": variables}))
}

#[test]
fn a_conflict_with_what_the_product_needs_is_named() {
    let beside =
        json!({"containers": [{"name": "sidecar", "image": "s", "ports": [{"containerPort": 8100}]}]});
    let bare = json!({"volumeMounts": [{"mountPath": "/kong_prefix", "$patch": "delete"}]});
    for (spec, field, words) in [
        (pod_spec(beside), "spec.containers[0].ports[0].containerPort", "status listener"),
        (with(bare), "volumeMounts", "\"/kong_prefix\""),
        (with(json!({"image": ""})), "containers[0].image", "is empty"),
        (with(json!({"image": null})), "containers[0].image", "leave the field out"),
        (
            pod_spec(json!({"volumes": [{"name": "cluster-certificate", "$patch": "delete"}]})),
            "spec.volumes",
            "KONG_ADMIN_SSL_CERT",
        ),
        (
            json!({"network": {"services": {"ingress": {"name": "dataplane-admin-edge"}}}}),
            "ingress.name",
            "admin API",
        ),
        (
            variables(json!([variable("KONG_ADMIN_LISTEN", "127.0.0.1:8444 ssl")])),
            "containers[0].env[0].value",
            "0.0.0.0:8444 ssl",
        ),
        (
            variables(json!([variable("KONG_ADMIN_LISTEN", "off")])),
            "containers[0].env[0].value",
            "Kong Ingress Controller",
        ),
        (
            variables(json!([variable("KONG_STATUS_LISTEN", "0.0.0.0:8007")])),
            "containers[0].env[0].value",
            "readinessProbe",
        ),
        (
            variables(json!([variable("KONG_DATABASE", "postgres")])),
            "containers[0].env[0].value",
            "\"postgres\"",
        ),
        (
            variables(json!([{"name": "KONG_DATABASE", "$patch": "delete"}])),
            "containers[0].env[0]",
            "Postgres",
        ),
        (
            pod_spec(json!({"volumes": [{"name": "cluster-certificate", "$patch": "delete"}]})),
            "spec.volumes",
            "KONG_ADMIN_SSL_CERT",
        ),
    ] {
        let problems = refused(spec.clone());
        assert_eq!(problems.len(), 1, "{spec}: {problems:?}");
        let (path, message) = &problems[0];
        assert!(path.ends_with(field) && message.contains(words), "{path}: {message}");
    }
}

#[test]
fn a_listen_that_has_what_is_needed_and_more_is_fine() {
    let probe = json!({"httpGet": {"path": "/status", "port": 8007}});
    let moved = json!({"env": [variable("KONG_STATUS_LISTEN", "0.0.0.0:8007")], "readinessProbe": probe, "livenessProbe": probe});
    for spec in [
        variables(json!([variable("KONG_ADMIN_LISTEN", "127.0.0.1:8001, 0.0.0.0:8444 ssl http2")])),
        variables(json!([variable("KONG_STATUS_LISTEN", "0.0.0.0:8100 reuseport, 0.0.0.0:8101 ssl")])),
        variables(
            json!([{"name": "KONG_ADMIN_LISTEN", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
        ),
        with(moved),
    ] {
        drop(planned(spec));
    }
}

#[test]
fn an_empty_database_is_none() {
    let proxy = proxy(&planned(variables(json!([variable("KONG_DATABASE", "")]))));
    let found = proxy["env"].as_array().unwrap().iter().find(|v| v["name"] == "KONG_DATABASE").unwrap();
    assert_eq!(found["value"], "off");
}

#[test]
fn an_empty_word_is_none() {
    let pod = |word: Option<&str>| {
        let mut port = json!({"containerPort": 8000, "hostPort": 80});
        let mut request = json!({"path": "/"});
        let mut spec = json!({});
        for (of, field) in [(&mut port, "protocol"), (&mut request, "scheme"), (&mut spec, "dnsPolicy")] {
            of.as_object_mut().unwrap().extend(word.map(|word| (field.to_owned(), json!(word))));
        }
        spec["containers"] =
            json!([{"name": "proxy", "ports": [port], "livenessProbe": {"httpGet": request}}]);
        planned(pod_spec(spec)).deployment.body()["spec"]["template"].clone()
    };
    assert_eq!(pod(Some("")), pod(None));
}

#[test]
fn who_runs_the_pod_is_said_by_the_user_for_all_containers() {
    let ours = json!({"runAsGroup": 1000, "runAsNonRoot": true, "runAsUser": 1000});
    let context = |spec: Value| {
        let context = proxy(&planned(spec))["securityContext"].clone();
        let kept = context.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("runAs"));
        Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    assert_eq!(context(json!({})), ours);
    assert_eq!(
        context(pod_spec(json!({"securityContext": {"runAsUser": 0, "runAsNonRoot": false}}))),
        json!({"runAsGroup": 1000})
    );
    assert_eq!(
        context(with(json!({"securityContext": {"runAsUser": 2000}}))),
        json!({"runAsGroup": 1000, "runAsNonRoot": true, "runAsUser": 2000})
    );
    let sidecar = planned(pod_spec(json!({"containers": [{"name": "sidecar", "image": "s"}]})));
    let pod = &sidecar.deployment.body()["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"], json!({"seccompProfile": {"type": "RuntimeDefault"}}));
}

#[test]
fn the_prefix_is_writable_wherever_the_user_puts_it() {
    let mounts = |fields: Value| -> Vec<(String, String)> {
        let proxy = proxy(&planned(with(fields)));
        let mounts = proxy["volumeMounts"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        mounts.map(|mount| (text(&mount["name"]), text(&mount["mountPath"]))).collect()
    };
    let moved = json!([variable("KONG_PREFIX", "/usr/local/kong")]);
    assert!(mounts(json!({"env": moved})).contains(&("kong-prefix".into(), "/usr/local/kong".into())));
    let theirs =
        mounts(json!({"env": moved, "volumeMounts": [{"name": "tmp", "mountPath": "/usr/local/kong"}]}));
    assert!(theirs.contains(&("tmp".into(), "/usr/local/kong".into())));
    assert!(!theirs.iter().any(|(name, _)| name == "kong-prefix"), "{theirs:?}");
    assert!(mounts(json!({})).contains(&("kong-prefix".into(), "/kong_prefix".into())));
}

#[test]
fn on_two_families_kong_listens_on_both() {
    let object = dataplane(
        json!({"network": {"services": {"ingress": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}}}}),
    );
    let settings = Settings::default();
    let valid = valid(&settings, &object).unwrap();
    let ingress = valid.network(&certificate()).ingress;
    assert_eq!(ingress.body()["spec"]["ipFamilyPolicy"], "RequireDualStack");
    let got: Service = serde_json::from_value(json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}})).unwrap();
    let workload = valid.workload(&certificate(), Families::of([&got]));
    let env = workload.deployment.body()["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    for name in ["KONG_ADMIN_LISTEN", "KONG_PROXY_LISTEN", "KONG_STATUS_LISTEN"] {
        let value = env.as_array().unwrap().iter().find(|v| v["name"] == name).unwrap()["value"].clone();
        let value = value.as_str().unwrap();
        assert!(value.contains("0.0.0.0:") && value.contains("[::]:"), "{name}={value}");
    }
}

#[test]
fn services_select_what_the_annotation_says() {
    let mut object = dataplane(json!({}));
    let other = "app=other,tier=edge".to_owned();
    object.metadata.annotations = Some([(names::annotations::SELECTOR_OVERRIDE.to_owned(), other)].into());
    let objects = planned_for(&object);
    for body in [objects.ingress.body(), objects.admin.body()] {
        assert_eq!(body["spec"]["selector"], json!({"app": "other", "tier": "edge"}));
    }
    let selector = &objects.deployment.body()["spec"]["selector"]["matchLabels"];
    assert_eq!(selector["app"], "edge", "a Deployment keeps its own pods");
    object.metadata.annotations =
        Some([(names::annotations::SELECTOR_OVERRIDE.to_owned(), "x".into())].into());
    let settings = Settings::default();
    let Err(Invalid(problems)) = valid(&settings, &object).map(drop) else { panic!("it was accepted") };
    assert!(problems[0].path.starts_with("metadata.annotations["), "{problems:?}");
}

#[test]
fn what_a_template_refers_to_is_told_and_ours_is_not() {
    let object = dataplane(with(json!({"envFrom": [{"secretRef": {"name": "tokens"}}]})));
    let settings = Settings::default();
    let workload = valid(&settings, &object).unwrap().workload(&certificate(), Families::default());
    let told: Vec<_> = workload.references.iter().map(|reference| reference.name.as_str()).collect();
    assert_eq!(told, ["tokens"]);
}

#[test]
fn quantities_may_be_numbers_and_a_variable_named_twice_counts_once() {
    let container = proxy(&planned(with(json!({
        "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
        "env": [variable("A", "1"), variable("B", "x"), variable("A", "2")],
    }))));
    assert_eq!(container["resources"]["limits"]["cpu"], "1");
    let values: Vec<_> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| v["name"] == "A")
        .map(|v| v["value"].clone())
        .collect();
    assert_eq!(values, ["2"]);
}

#[test]
fn what_contradicts_our_security_context_wins() {
    let context =
        |fields: Value| proxy(&planned(with(json!({"securityContext": fields}))))["securityContext"].clone();
    assert_eq!(context(json!({"runAsUser": 0})).get("runAsNonRoot"), None);
    assert_eq!(context(json!({"privileged": true})).get("allowPrivilegeEscalation"), None);
    let admin = context(json!({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}));
    assert_eq!(admin.get("allowPrivilegeEscalation"), None);
    assert_eq!(
        context(json!({"capabilities": {"add": ["NET_BIND_SERVICE"]}}))["allowPrivilegeEscalation"],
        false
    );
}

#[test]
fn who_names_a_service_account_gets_its_token() {
    let pod = |spec: Value| planned(pod_spec(spec)).deployment.body()["spec"]["template"]["spec"].clone();
    assert_eq!(pod(json!({}))["automountServiceAccountToken"], false);
    assert_eq!(pod(json!({"serviceAccountName": "vault"})).get("automountServiceAccountToken"), None);
    let both = json!({"serviceAccountName": "vault", "automountServiceAccountToken": false});
    assert_eq!(pod(both)["automountServiceAccountToken"], false);
}

#[test]
fn probes_and_hooks_of_ours_follow_the_users() {
    let moved = proxy(&planned(with(json!({
        "env": [variable("KONG_STATUS_LISTEN", "0.0.0.0:8007 ssl")],
        "readinessProbe": {"httpGet": {"path": "/status/ready", "port": 8007, "scheme": "HTTPS"}},
    }))));
    assert_eq!(
        moved["livenessProbe"]["httpGet"],
        json!({"path": "/status", "port": 8007, "scheme": "HTTPS"})
    );
    let at_once = proxy(&planned(pod_spec(json!({"terminationGracePeriodSeconds": 0}))));
    assert_eq!(at_once["lifecycle"].get("preStop"), None);
    let empty = proxy(&planned(variables(json!([variable("KONG_DECLARATIVE_CONFIG", "")]))));
    assert_eq!(empty["readinessProbe"]["httpGet"]["path"], "/status");
}

#[test]
fn a_listen_of_ones_own_is_kept_and_what_the_service_leads_to_is_added() {
    let listen = |variables_: Value, ports: Value, name: &str| -> Value {
        let mut spec = variables(variables_);
        spec["network"] = json!({"services": {"ingress": {"ports": ports}}});
        let proxy = proxy(&planned(spec));
        proxy["env"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap()["value"].clone()
    };
    let own = json!([variable("KONG_PROXY_LISTEN", "0.0.0.0:8000 proxy_protocol")]);
    let ports = json!([{"name": "http", "port": 80}, {"name": "https", "port": 443}]);
    assert_eq!(
        listen(own, ports, "KONG_PROXY_LISTEN"),
        "0.0.0.0:8000 proxy_protocol, 0.0.0.0:8443 http2 ssl reuseport backlog=16384"
    );
    let own = json!([variable("KONG_STREAM_LISTEN", "0.0.0.0:9000")]);
    let ports = json!([{"name": "a", "port": 9000}, {"name": "db", "port": 5432, "protocol": "TCP"}]);
    assert_eq!(
        listen(own, ports, "KONG_STREAM_LISTEN"),
        "0.0.0.0:9000, 0.0.0.0:5432 reuseport backlog=16384"
    );
}

#[test]
fn a_port_name_of_ours_gives_way() {
    let container = proxy(&planned(with(json!({"ports": [{"name": "metrics", "containerPort": 9542}]}))));
    let named: Vec<_> =
        container["ports"].as_array().unwrap().iter().filter(|p| p["name"] == "metrics").collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["containerPort"], 9542);
}
