//! Objects as snapshots, validation as tables; the status in a module of its own.

#![expect(clippy::needless_pass_by_value, reason = "literals of JSON are handed over")]

use serde_json::{Value, json};

use crds::names::annotations;

use super::*;

mod admission;
mod status;
mod template;

fn dataplane(spec: Value) -> DataPlane {
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": {"name": "edge", "namespace": "team", "uid": "u-1", "generation": 3},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn certificate() -> Certificate {
    let clients =
        Clients { certificate: "CLIENTS".into(), key: "CLIENTS KEY".into(), trusted: "CLIENTS".into() };
    Certificate { chain: "CHAIN".into(), key: "KEY".into(), authority: "CA".into(), clients }
}

/// All children.
struct Objects {
    certificate: Wanted<Secret>,
    clients: Wanted<Secret>,
    admin: Wanted<Service>,
    ingress: Wanted<Service>,
    disruption_budget: Option<Wanted<PodDisruptionBudget>>,
    deployment: Wanted<Deployment>,
    autoscaler: Option<Wanted<HorizontalPodAutoscaler>>,
}

fn planned_for(object: &DataPlane) -> Objects {
    let settings = Settings { image: "kong:test".into() };
    let valid = valid(&settings, object).unwrap();
    let Network { certificate: secret, clients, admin, ingress, disruption_budget } =
        valid.network(&certificate());
    let Workload { deployment, autoscaler, .. } = valid.workload(&certificate(), Families::default());
    Objects { certificate: secret, clients, admin, ingress, disruption_budget, deployment, autoscaler }
}

fn planned(spec: Value) -> Objects {
    planned_for(&dataplane(spec))
}

fn refused(spec: Value) -> Vec<(String, String)> {
    let (settings, object) = (Settings::default(), dataplane(spec));
    let Err(Invalid(problems)) = valid(&settings, &object).map(drop) else {
        panic!("it was accepted");
    };
    problems.into_iter().map(|p| (p.path, p.message)).collect()
}

fn proxy(objects: &Objects) -> Value {
    objects.deployment.body()["spec"]["template"]["spec"]["containers"][0].clone()
}

fn pod_spec(spec: Value) -> Value {
    json!({"deployment": {"podTemplateSpec": {"spec": spec}}})
}

#[test]
fn an_empty_specification_gives_everything() {
    let Objects { certificate, clients, admin, ingress, disruption_budget, deployment, autoscaler } =
        planned(json!({}));
    assert!(disruption_budget.is_none() && autoscaler.is_none(), "these are asked for");
    insta::assert_json_snapshot!("certificate", certificate.body());
    insta::assert_json_snapshot!("clients", clients.body());
    insta::assert_json_snapshot!("admin", admin.body());
    insta::assert_json_snapshot!("ingress", ingress.body());
    insta::assert_json_snapshot!("deployment", deployment.body());
}

#[test]
fn pods_under_a_control_plane_are_ready_when_they_are_configured() {
    let path = |objects: &Objects| proxy(objects)["readinessProbe"]["httpGet"]["path"].clone();
    let noted = |objects: &Objects| {
        objects.deployment.body()["metadata"]["annotations"].get(annotations::CONFIGURED).is_some()
    };
    let settings = Settings { image: "kong:test".into() };
    let object = dataplane(json!({}));
    let workload = |configured: bool| {
        let valid = valid(&settings, &object).unwrap().configured(configured);
        valid.workload(&certificate(), Families::default()).deployment
    };
    let [alone, under] = [false, true].map(|configured| {
        let mut objects = planned_for(&object);
        objects.deployment = workload(configured);
        objects
    });
    assert!(path(&alone) == "/status" && !noted(&alone));
    assert!(
        path(&under) == "/status/ready" && noted(&under),
        "what it says is kept when the control plane goes"
    );
    let mut of_gateway = object.clone();
    let owner = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "door",
        "uid": "g", "controller": true });
    of_gateway.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
    assert_eq!(path(&planned_for(&of_gateway)), "/status/ready", "its control plane is on its way");
}

#[test]
fn the_same_resource_always_gives_the_same_objects() {
    let spec = json!({"deployment": {"replicas": 2}});
    assert_eq!(planned(spec.clone()).deployment.digest(), planned(spec).deployment.digest());
}

#[test]
fn the_ingress_service_is_as_asked_for() {
    let ingress = json!({"type": "NodePort", "name": "mine", "annotations": {"a": "b"}, "externalTrafficPolicy": "Local",
        "ports": [{"name": "http", "port": 8080, "targetPort": 8000, "nodePort": 30080}]});
    let objects = planned(json!({"network": {"services": {"ingress": ingress}}}));
    let body = objects.ingress.body();
    assert_eq!(body["metadata"]["name"], "mine");
    assert_eq!(body["metadata"]["annotations"], json!({"a": "b"}));
    assert_eq!(body["spec"]["type"], "NodePort");
    assert_eq!(body["spec"]["externalTrafficPolicy"], "Local");
    assert_eq!(
        body["spec"]["ports"],
        json!([{"name": "http", "port": 8080, "targetPort": 8000, "protocol": "TCP", "nodePort": 30080}])
    );
    let listen =
        proxy(&objects)["env"].as_array().unwrap().iter().find(|v| v["name"] == "KONG_PROXY_LISTEN").cloned();
    assert_eq!(
        listen.unwrap()["value"],
        "0.0.0.0:8000 reuseport backlog=16384",
        "nobody can reach 8443, so Kong does not listen there"
    );
}

#[test]
fn replicas_are_ours_only_when_they_are_given() {
    assert_eq!(planned(json!({})).deployment.body()["spec"].get("replicas"), None);
    let two = planned(json!({"deployment": {"replicas": 2}}));
    assert_eq!(two.deployment.body()["spec"]["replicas"], 2);
    let template = |objects: &Objects| objects.deployment.body()["spec"]["template"].clone();
    assert_eq!(template(&two), template(&planned(json!({}))), "another number of pods does not roll them");
    let spread = &two.deployment.body()["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
    let scaled = planned(json!({"deployment": {"scaling": {"horizontal": {"maxReplicas": 3}}}}));
    assert_eq!(scaled.deployment.body()["spec"].get("replicas"), None);
}

#[test]
fn an_autoscaler_and_a_budget_are_made_as_asked_for() {
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}});
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 60}});
    let objects = planned(json!({
        "deployment": {"scaling": {"horizontal": {"minReplicas": 2, "maxReplicas": 5, "metrics": [metric], "behavior": behavior}}},
        "resources": {"podDisruptionBudget": {"spec": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}}},
    }));
    insta::assert_json_snapshot!("autoscaler", objects.autoscaler.unwrap().body());
    insta::assert_json_snapshot!("disruption_budget", objects.disruption_budget.unwrap().body());
}

#[test]
fn a_users_value_wins_and_the_rest_stays() {
    let objects = planned(pod_spec(json!({
        "containers": [
            {"name": "proxy", "image": "kong:mine", "env": [{"name": "KONG_LOG_LEVEL", "value": "debug"}, {"name": "KONG_NGINX_WORKER_PROCESSES", "value": "1"}],
             "resources": {"limits": {"memory": "2Gi"}}},
            {"name": "sidecar", "image": "s"},
        ],
        "terminationGracePeriodSeconds": 12,
    })));
    let container = proxy(&objects);
    assert_eq!(container["image"], "kong:mine");
    assert_eq!(container["resources"]["limits"], json!({"cpu": "1000m", "memory": "2Gi"}));
    assert_eq!(
        container["resources"]["requests"],
        json!({"cpu": "100m"}),
        "our request might be above their limit"
    );
    let env = container["env"].as_array().unwrap();
    let value = |name: &str| env.iter().find(|v| v["name"] == name).map(|v| v["value"].clone());
    assert_eq!(value("KONG_NGINX_WORKER_PROCESSES"), Some(json!("1")));
    assert_eq!(value("KONG_LOG_LEVEL"), Some(json!("debug")));
    assert_eq!(value("KONG_DATABASE"), Some(json!("off")));
    let pod = &objects.deployment.body()["spec"]["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 12);
    assert_eq!(
        container["lifecycle"]["preStop"]["sleep"]["seconds"], 7,
        "a longer pause than the grace period is refused"
    );
    assert_eq!(pod["containers"].as_array().unwrap().len(), 2);
}

#[test]
fn with_a_configuration_of_its_own_a_pod_is_ready_when_it_is_loaded() {
    let path = |spec| proxy(&planned(spec))["readinessProbe"]["httpGet"]["path"].clone();
    let with = json!([{"name": "proxy", "env": [{"name": "KONG_DECLARATIVE_CONFIG", "value": "/kong.yml"}]}]);
    let own = json!([{"name": "proxy", "env": [{"name": "KONG_DECLARATIVE_CONFIG", "value": "/kong.yml"}],
        "readinessProbe": {"httpGet": {"path": "/status", "port": 8100}}}]);
    assert_eq!(path(json!({})), "/status");
    assert_eq!(path(pod_spec(json!({"containers": with}))), "/status/ready");
    assert_eq!(path(pod_spec(json!({"containers": own}))), "/status");
}

#[test]
fn what_cannot_run_is_refused_with_its_path() {
    let bad = |spec: Value| refused(pod_spec(spec))[0].clone();
    let (path, message) = bad(json!({"containers": [{"name": "proxy", "imge": "x"}]}));
    assert_eq!(path, "spec.deployment.podTemplateSpec.spec.containers[0].imge");
    assert!(message.contains("unknown field"), "{message}");
    let (path, message) = bad(
        json!({"containers": [{"name": "proxy", "env": [{"name": "KONG_DATABASE", "value": "postgres"}]}]}),
    );
    assert_eq!(path, "spec.deployment.podTemplateSpec.spec.containers[0].env[0].value");
    assert!(message.contains("\"postgres\""), "{message}");
    let (path, _) = bad(json!({"containers": [{"name": "proxy", "args": "not a list"}]}));
    assert_eq!(path, "spec.deployment.podTemplateSpec.spec.containers[0].args");
    let (path, _) = bad(json!({"containers": [{"name": "sidecar", "imge": "x"}]}));
    assert_eq!(path, "spec.deployment.podTemplateSpec.spec.containers[0].imge", "as the user counts");
    let all = refused(pod_spec(json!({"containers": [{"name": "proxy", "a": 1, "b": 2}]})));
    assert_eq!(all.len(), 2, "all at once");
}

#[test]
fn what_the_product_needs_cannot_be_taken_away() {
    let template = |template: Value| refused(json!({"deployment": {"podTemplateSpec": template}}))[0].clone();
    let (path, message) = template(json!({"metadata": {"labels": {"app": "mine"}}}));
    assert_eq!(path, "spec.deployment.podTemplateSpec.metadata.labels[app]");
    assert!(message.contains("\"edge\""), "{message}");
    let (path, _) =
        template(json!({"metadata": {"annotations": {"gateway-operator.konghq.com/dataplane": "x"}}}));
    assert_eq!(
        path,
        "spec.deployment.podTemplateSpec.metadata.annotations[gateway-operator.konghq.com/dataplane]"
    );
    let (path, message) = template(json!({"spec": {"containers": [{"name": "proxy", "$patch": "delete"}]}}));
    assert_eq!(path, "spec.deployment.podTemplateSpec.spec.containers");
    assert!(message.contains("\"proxy\""), "{message}");
    let more = planned(
        json!({"deployment": {"podTemplateSpec": {"metadata": {"labels": {"team": "a"}, "annotations": {"b": "c"}}}}}),
    );
    assert_eq!(more.deployment.body()["spec"]["template"]["metadata"]["labels"]["team"], "a");
}

#[test]
fn a_resource_the_user_names_once_has_no_default_of_ours_beside_it() {
    let resources = |resources: Value| {
        proxy(&planned(pod_spec(json!({"containers": [{"name": "proxy", "resources": resources}]}))))["resources"].clone()
    };
    assert_eq!(
        resources(json!({"requests": {"memory": "2Gi"}})),
        json!({"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"cpu": "1000m"}})
    );
    assert_eq!(
        resources(json!({"limits": {"cpu": "50m"}})),
        json!({"requests": {"memory": "256Mi"}, "limits": {"cpu": "50m", "memory": "1000Mi"}})
    );
}

#[test]
fn long_names_still_give_names_that_kubernetes_takes() {
    let mut object = dataplane(json!({}));
    object.metadata.name = Some("x".repeat(253));
    let objects = planned_for(&object);
    for name in
        [objects.deployment.name(), objects.ingress.name(), objects.admin.name(), objects.certificate.name()]
    {
        assert!(name.len() <= 63, "{name}");
    }
    let labels = &objects.deployment.body()["metadata"]["labels"];
    assert!(labels["app"].as_str().unwrap().len() <= 63);
    let annotations = &objects.deployment.body()["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["gateway-operator.konghq.com/dataplane"], "x".repeat(253));
}
