//! What Kong or Kubernetes would refuse, and what is only surprising.

use super::*;

fn variables(variables: Value, ports: Value) -> Value {
    let mut spec = pod_spec(
        json!({"containers": [{"name": "sidecar", "image": "s:1"}, {"name": "proxy", "env": variables}]}),
    );
    spec["network"] = json!({"services": {"ingress": {"ports": ports}}});
    spec
}

fn one(name: &str, value: &str) -> Value {
    json!([{"name": name, "value": value}])
}

fn surprises(spec: Value) -> Vec<String> {
    let (settings, object) = (Settings::default(), dataplane(spec));
    valid(&settings, &object).unwrap().surprises()
}

#[test]
fn variables_that_kong_would_refuse_are_told_where_they_stand() {
    let ports = json!([{"name": "a", "port": 80, "targetPort": 9000}]);
    let spoken =
        |protocol: &str| json!([{"name": "a", "port": 80, "targetPort": 9000, "protocol": protocol}]);
    for (spec, words) in [
        (variables(one("KONG_PROXY_LISTEN", "8000"), json!([])), "\"8000\" is no address"),
        (variables(one("KONG_STREAM_LISTEN", "0.0.0.0:9000 udp, ::1:9001"), json!([])), "\"::1:9001\""),
        (variables(one("KONG_ROLE", "control_plane"), json!([])), "needs a database"),
        (variables(one("KONG_PROXY_LISTEN", "off"), ports.clone()), "port 80 of the Service"),
        (
            variables(one("KONG_PROXY_LISTEN", "[::]:9000"), spoken("HTTPS")),
            "9000 has to speak HTTPS for port 80 of the Service: write it with ssl",
        ),
        (variables(one("KONG_PROXY_LISTEN", "0.0.0.0:9000 ssl"), spoken("HTTP")), "without ssl"),
        (variables(one("KONG_STREAM_LISTEN", "0.0.0.0:9000"), spoken("TLS")), "9000 has to speak TLS"),
        (variables(one("KONG_PORT_MAPS", "80"), json!([])), "\"80\" is no pair of ports"),
        (variables(one("KONG_PORT_MAPS", "80:8000"), ports), "add \"80:9000\""),
    ] {
        let problems = refused(spec.clone());
        assert_eq!(problems.len(), 1, "{spec}: {problems:?}");
        let (path, message) = &problems[0];
        assert_eq!(path, "spec.deployment.podTemplateSpec.spec.containers[1].env[0].value", "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn other_containers_that_run_kong_run_without_a_database_too() {
    let check = |list: &str, image: &str, fields: Value| {
        let mut container = json!({"name": "check", "image": image});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        pod_spec(json!({ list: [container] }))
    };
    let with = |value: &str| json!({"env": one("KONG_DATABASE", value)});
    for list in ["containers", "initContainers"] {
        for image in ["kong:3.9", "team/gateway:1"] {
            let problems = refused(check(list, image, with("postgres")));
            let path = format!("spec.deployment.podTemplateSpec.spec.{list}[0].env[0].value");
            assert_eq!(problems.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&path], "{problems:?}");
        }
        for fine in ["off", ""] {
            assert_eq!(surprises(check(list, "kong:3.9", with(fine))), [] as [&str; 0], "{fine:?}");
        }
        let secret = json!({"secretRef": {"name": "s"}});
        for hidden in [
            json!({"env": [{"name": "KONG_DATABASE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
            json!({"envFrom": [secret]}),
            with("$(MODE)"),
        ] {
            let told = surprises(check(list, "kong:3.9", hidden.clone()));
            assert!(
                told.len() == 1
                    && told[0].starts_with(&format!("{list}[check]: what the source of KONG_DATABASE")),
                "{told:?}"
            );
            assert_eq!(surprises(check(list, "team/tool:1", hidden)), [] as [&str; 0]);
        }
    }
}

#[test]
fn listens_in_all_their_forms_agree_with_the_ports() {
    let ports = json!([{"name": "a", "port": 80, "targetPort": 9000, "protocol": "HTTP"}, {"name": "b", "port": 443, "protocol": "HTTPS"}]);
    for env in [
        one("KONG_PROXY_LISTEN", "[::]:9000 reuseport, 0.0.0.0:9000, 0.0.0.0:8443 ssl http2"),
        one("KONG_PROXY_LISTEN", "$(HOST):9000"),
        one("KONG_PORT_MAPS", "80:9000, 443:8443"),
        json!([{"name": "KONG_PORT_MAPS", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
    ] {
        drop(planned(variables(env, ports.clone())));
    }
    drop(planned(variables(one("KONG_PROXY_LISTEN", "off"), json!([]))));
}

#[test]
fn what_is_wrong_with_scaling_budget_and_service_is_told_at_once() {
    let spec = json!({
        "deployment": {"scaling": {"horizontal": {"minReplicas": 0, "maxReplicas": 3}}},
        "network": {"services": {"ingress": {"annotations": {"a b": "c"}}}},
        "resources": {"podDisruptionBudget": {"spec": {"minAvailable": "half"}}},
    });
    let paths: Vec<_> = refused(spec).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "spec.network.services.ingress.annotations[a b]",
            "spec.deployment.scaling.horizontal.minReplicas",
            "spec.resources.podDisruptionBudget.spec.minAvailable",
        ]
    );
}

#[test]
fn what_is_legal_but_surprising_is_told_in_a_sentence() {
    let nothing = json!([]);
    let hidden =
        |name: &str| json!([{"name": name, "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}}]);
    let ingress = |fields: Value| json!({"network": {"services": {"ingress": fields}}});
    let outside = json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}});
    let to_zero = json!({"deployment": {"scaling": {"horizontal": {"minReplicas": 0, "maxReplicas": 2, "metrics": [outside]}}}});
    for (spec, words) in [
        (
            json!({"resources": {"podDisruptionBudget": {"spec": {"minAvailable": 1}}}}),
            "no node can be drained",
        ),
        (json!({"deployment": {"replicas": 0}}), "serves nothing"),
        (json!({"deployment": {"scaling": {}}}), "does nothing"),
        (to_zero, "HPAScaleToZero"),
        (
            json!({"deployment": {"replicas": 2, "rollout": {"strategy": {"canary": {"steps": [{"name": "first", "weight": 5}]}}}}}),
            "5 % of step \"first\" is 33 % with 2 pods",
        ),
        (ingress(json!({"type": "NodePort"})), "externalTrafficPolicy"),
        (ingress(json!({"ports": [{"port": 80, "nodePort": 8080}]})), "8080 is not in 30000-32767"),
        (pod_spec(json!({"containers": [{"name": "proxy", "image": "kong"}]})), "\"kong\" may be another"),
        (
            pod_spec(
                json!({"containers": [{"name": "proxy", "envFrom": [{"prefix": "KONG_", "secretRef": {"name": "s"}}]}]}),
            ),
            "envFrom",
        ),
        (
            variables(hidden("KONG_DATABASE"), nothing.clone()),
            "KONG_DATABASE: what its source holds is not known",
        ),
        (
            variables(hidden("KONG_PROXY_LISTEN"), nothing.clone()),
            "KONG_PROXY_LISTEN: its value cannot be checked",
        ),
        (variables(one("KONG_ROLE", "data_plane"), nothing.clone()), "hybrid"),
        (variables(one("KONG_KONNECT_MODE", "on"), nothing.clone()), "Konnect"),
        (variables(one("KONG_PROXY_LISTEN", "off"), nothing.clone()), "nobody listens for port 80"),
        (variables(one("KONG_PROXY_LISTEN", "127.0.0.1:8000"), nothing.clone()), "inside of the pod only"),
        (variables(one("KONG_PORT_MAPS", "8080:8000, 443:8443"), nothing), "port 8080, clients see 80"),
    ] {
        let told = surprises(spec.clone());
        assert_eq!(told.len(), 1, "{spec}: {told:?}");
        assert!(told[0].contains(words) && told[0].len() <= 120, "{} {told:?}", told[0].len());
    }
    assert_eq!(surprises(json!({})), [] as [&str; 0]);
}
