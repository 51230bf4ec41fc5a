//! Objects as snapshots; namespaces, versions, a user's values and the status as tables.

#![expect(clippy::needless_pass_by_value, reason = "literals of JSON are handed over")]

use crds::conditions::{self, reasons, types};
use crds::controlplane::ControlPlaneStatus;
use crds::k8s::Timestamp;
use serde_json::json;

use super::*;

fn controlplane(spec: Value) -> ControlPlane {
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "ControlPlane",
        "metadata": { "name": "edge", "namespace": "team", "uid": "u-1", "generation": 3 },
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn dataplane() -> DataPlane {
    serde_json::from_value(json!({ "metadata": { "name": "kong", "namespace": "team" }, "spec": {} }))
        .unwrap()
}

fn settings() -> Settings {
    Settings { image: "kong/kubernetes-ingress-controller:3.5.13".into(), controller: "konghq.com/x".into() }
}

fn certificate() -> Certificate {
    Certificate { chain: "CHAIN".into(), key: "KEY".into(), authority: "CA".into() }
}

/// Found with a `DataPlane` and all definitions.
fn found(dataplane: &DataPlane) -> Found<'_> {
    let definitions = DEFINITIONS.iter().map(|name| (*name).to_owned()).collect();
    Found { dataplane: Some(dataplane), definitions, ..Found::default() }
}

fn template(object: &ControlPlane, found: &Found<'_>) -> Value {
    let valid = valid(&settings(), object, found).unwrap();
    valid.deployment(&certificate()).body()["spec"]["template"].clone()
}

fn variable(template: &Value, name: &str) -> Option<String> {
    let variables = template["spec"]["containers"][0]["env"].as_array().unwrap();
    let found = variables.iter().find(|variable| variable["name"] == format!("CONTROLLER_{name}"))?;
    Some(found["value"].as_str().unwrap().to_owned())
}

/// A specification whose container `controller` has these fields.
fn with(fields: Value) -> Value {
    let mut container = json!({ "name": "controller" });
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "dataplane": "kong", "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } })
}

fn image(tag: &str) -> Value {
    with(json!({ "image": format!("kong/kubernetes-ingress-controller:{tag}") }))
}

#[test]
fn each_further_dataplane_gets_a_controlplane_with_the_same_options() {
    let kong = dataplane();
    let found = found(&kong);
    let spec = json!({ "dataplane": "kong", "dataplanes": ["inner", "a.b"], "ingressClass": "all" });
    let object = controlplane(spec);
    let valid = valid(&settings(), &object, &found).unwrap();
    let beside = valid.beside();
    let names: Vec<_> = beside.iter().map(Wanted::name).collect();
    assert_eq!(names[0], "edge-inner");
    assert!(names[1].starts_with("edge-a-b-"), "{names:?}");
    let spec = &beside[0].body()["spec"];
    assert_eq!(spec, &json!({ "dataplane": "inner", "ingressClass": "all" }));
    let own = variable(&template(&object, &found), "UPDATE_STATUS");
    assert_eq!(own, None);
    let mut other = controlplane(spec.clone());
    other.metadata.owner_references =
        serde_json::from_value(beside[0].body()["metadata"]["ownerReferences"].clone()).unwrap();
    let template = template(&other, &found);
    assert_eq!(variable(&template, "UPDATE_STATUS").as_deref(), Some("false"));
    assert_eq!(variable(&template, "ADMISSION_WEBHOOK_LISTEN").as_deref(), Some("off"));
}

fn rules(role: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    let each = |rule: &Value| {
        let group = text(&rule["apiGroups"][0]);
        let verbs = list(&rule["verbs"]);
        list(&rule["resources"])
            .into_iter()
            .map(move |kind| (group.clone(), kind, verbs.clone()))
            .collect::<Vec<_>>()
    };
    role["rules"].as_array().unwrap().iter().flat_map(each).collect()
}

fn allows(role: &Value, kind: &str) -> bool {
    rules(role).iter().any(|(_, resource, _)| resource == kind)
}

#[test]
fn the_least_specification_gives_everything() {
    let (object, dataplane) = (controlplane(json!({ "dataplane": "kong" })), dataplane());
    let found = found(&dataplane);
    let valid = valid(&settings(), &object, &found).unwrap();
    let Access { account, own, cluster, abroad } = valid.access();
    assert!(abroad.is_empty() && valid.admits() && valid.references().is_empty());
    let Admission { certificate: secret, service, configuration } = valid.admission(&certificate());
    insta::assert_json_snapshot!("account", account.unwrap().body());
    insta::assert_json_snapshot!("role", own.0.body());
    insta::assert_json_snapshot!("binding", own.1.body());
    insta::assert_json_snapshot!("cluster_role", cluster.0.body());
    insta::assert_json_snapshot!("cluster_binding", cluster.1.body());
    insta::assert_json_snapshot!("certificate", valid.certificate(&certificate()).body());
    insta::assert_json_snapshot!("webhook_certificate", secret.body());
    insta::assert_json_snapshot!("webhook_service", service.body());
    insta::assert_json_snapshot!("webhook_configuration", configuration.body());
    insta::assert_json_snapshot!("deployment", valid.deployment(&certificate()).body());
}

#[test]
fn a_list_gives_rights_in_what_is_granted_and_nowhere_else() {
    let watched = json!({ "type": "list", "list": ["open", "shut"] });
    let (object, dataplane) =
        (controlplane(json!({ "dataplane": "kong", "watchNamespaces": watched })), dataplane());
    let found = Found { granted: BTreeSet::from(["open".to_owned()]), ..found(&dataplane) };
    let valid = valid(&settings(), &object, &found).unwrap();
    let access = valid.access();
    assert_eq!(access.abroad.keys().collect::<Vec<_>>(), ["open"]);
    let (role, binding) = &access.abroad["open"];
    assert_eq!(role.name(), "controlplane.team.edge");
    assert_eq!(role.body()["metadata"]["namespace"], "open");
    assert!(role.body()["metadata"].get("ownerReferences").is_none(), "an owner is of the same namespace");
    assert_eq!(role.body()["metadata"]["annotations"][names::annotations::OWNER], "u-1");
    assert_eq!(binding.body()["subjects"][0]["namespace"], "team");
    let cluster = access.cluster.0.body();
    for namespaced in ["secrets", "services", "httproutes", "endpointslices", "kongplugins", "leases"] {
        assert!(!allows(cluster, namespaced), "{namespaced} in the whole cluster");
    }
    assert!(allows(cluster, "ingressclasses") && allows(access.own.0.body(), "secrets"));
    assert!(allows(role.body(), "secrets") && !allows(role.body(), "leases"));
    assert_eq!(
        variable(&template(&object, &found), "WATCH_NAMESPACE").as_deref(),
        Some("open,team"),
        "its own namespace is always among them"
    );
    let admission = valid.admission(&certificate());
    let selector = &admission.configuration.body()["webhooks"][0]["namespaceSelector"];
    assert_eq!(selector["matchExpressions"][0]["operator"], "In");
    assert_eq!(selector["matchExpressions"][0]["values"], json!(["open", "team"]));
}

#[test]
fn each_version_gets_what_it_knows() {
    let dataplane = dataplane();
    let found = found(&dataplane);
    for (tag, gate, strategy, configmaps, entities) in [
        ("3.1.2", false, true, false, false),
        ("3.3.1", false, true, false, true),
        ("3.4.2", true, true, true, true),
        ("3.4.8", true, false, true, true),
        ("3.5", true, false, true, true),
        ("latest", false, true, true, true),
    ] {
        let object = controlplane(image(tag));
        let template = template(&object, &found);
        assert_eq!(variable(&template, "FEATURE_GATES").is_some(), gate, "{tag}");
        assert_eq!(variable(&template, "GATEWAY_DISCOVERY_DNS_STRATEGY").is_some(), strategy, "{tag}");
        let valid = valid(&settings(), &object, &found).unwrap();
        let role = valid.access().cluster.0;
        assert_eq!(allows(role.body(), "configmaps"), configmaps, "{tag}");
        assert_eq!(allows(role.body(), "kongcustomentities"), entities, "{tag}");
        let configuration = valid.admission(&certificate()).configuration;
        let asked = configuration.body()["webhooks"].to_string();
        assert_eq!(asked.contains("kongcustomentities"), entities, "{tag}");
    }
}

#[test]
fn a_users_values_win() {
    let dataplane = dataplane();
    let found = found(&dataplane);
    let variables = json!([
        { "name": "CONTROLLER_ADMISSION_WEBHOOK_LISTEN", "value": "off" },
        { "name": "CONTROLLER_ELECTION_ID", "value": "mine" },
        { "name": "CONTROLLER_FEATURE_GATES", "value": "GatewayAlpha=true" },
        { "name": "CONTROLLER_METRICS_ACCESS_FILTER", "value": "rbac" },
    ]);
    let mut spec = with(json!({ "env": variables, "resources": { "requests": { "memory": "1Gi" } } }));
    spec["deployment"]["replicas"] = json!(2);
    spec["deployment"]["podTemplateSpec"]["spec"]["serviceAccountName"] = json!("somebody");
    let object = controlplane(spec);
    let valid = valid(&settings(), &object, &found).unwrap();
    assert!(!valid.admits());
    let template = template(&object, &found);
    assert_eq!(variable(&template, "FEATURE_GATES").as_deref(), Some("GatewayAlpha=true"));
    let resources = &template["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"], json!({ "cpu": "100m", "memory": "1Gi" }));
    assert_eq!(resources["limits"], json!({}), "our limit would be below the request");
    assert_eq!(valid.deployment(&certificate()).body()["spec"]["replicas"], 2);
    let access = valid.access();
    assert!(access.account.is_none(), "it is the user's");
    assert_eq!(access.cluster.1.body()["subjects"][0]["name"], "somebody");
    let role = access.own.0.body();
    let lease = role["rules"].as_array().unwrap().iter().find(|rule| rule.get("resourceNames").is_some());
    assert_eq!(lease.unwrap()["resourceNames"], json!(["mine"]));
    assert!(allows(access.cluster.0.body(), "tokenreviews"));
}

#[test]
fn without_a_class_it_serves_no_gateway() {
    let dataplane = dataplane();
    let tells_classes = |controller: Option<&str>| {
        let found = Found { controller: controller.map(str::to_owned), ..found(&dataplane) };
        let object = controlplane(json!({ "dataplane": "kong" }));
        let answers_to = variable(&template(&object, &found), "GATEWAY_API_CONTROLLER_NAME");
        let valid = valid(&settings(), &object, &found).unwrap();
        let rules = valid.access().cluster.0.body()["rules"].to_string();
        (answers_to.unwrap_or_default(), rules.contains("gatewayclasses/status"))
    };
    assert_eq!(tells_classes(None), ("konghq.com/team.edge".to_owned(), true));
    assert_eq!(tells_classes(Some("example.com/theirs")), ("example.com/theirs".to_owned(), true));
    // The operator says whether its classes are accepted.
    assert_eq!(tells_classes(Some("konghq.com/x")), ("konghq.com/x".to_owned(), false));
}

#[test]
fn classes_and_the_gateway_are_honoured() {
    let dataplane = dataplane();
    let found = Found { controller: Some("example.com/theirs".into()), ..found(&dataplane) };
    let mut object = controlplane(json!({ "dataplane": "kong", "ingressClass": "inside" }));
    let owner = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "door",
        "uid": "g", "controller": true });
    object.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
    let template = template(&object, &found);
    assert_eq!(variable(&template, "GATEWAY_API_CONTROLLER_NAME").as_deref(), Some("konghq.com/x"));
    assert_eq!(variable(&template, "INGRESS_CLASS").as_deref(), Some("inside"));
    assert_eq!(variable(&template, "GATEWAY_TO_RECONCILE").as_deref(), Some("team/door"));
    let valid = valid(&settings(), &object, &found).unwrap();
    let configuration = valid.admission(&certificate()).configuration;
    let condition = |name: &str| {
        let webhooks = configuration.body()["webhooks"].as_array().unwrap();
        let webhook = webhooks.iter().find(|webhook| webhook["name"].as_str().unwrap().starts_with(name));
        webhook.unwrap()["matchConditions"][0]["expression"].as_str().unwrap().to_owned()
    };
    assert!(condition("httproutes.").contains("p.name == 'door'"), "{}", condition("httproutes."));
    assert!(
        condition("ingresses.").contains("== 'inside'") && condition("kongconsumers.").contains("'inside'")
    );
}

#[test]
fn what_has_no_definition_is_off_and_another_kong_rolls() {
    let (object, dataplane) = (controlplane(json!({ "dataplane": "kong" })), dataplane());
    let mut found = Found { dataplane: Some(&dataplane), ..Found::default() };
    let before = template(&object, &found);
    assert_eq!(variable(&before, "ENABLE_CONTROLLER_KONGPLUGIN").as_deref(), Some("false"));
    assert_eq!(valid(&settings(), &object, &found).unwrap().missing_definitions().len(), DEFINITIONS.len());
    found.kong = Some("3.9".into());
    assert_ne!(template(&object, &found)["metadata"], before["metadata"]);
}

#[test]
fn what_is_wrong_is_refused() {
    let (object, found) = (controlplane(image("2.12")), Found::default());
    let Err(Invalid(problems)) = valid(&settings(), &object, &found).map(drop) else {
        panic!("it was accepted");
    };
    assert!(problems[0].message.contains("3.1.2 or newer"), "{problems:?}");
}

fn deployment(wanted: i32, available: i32) -> Deployment {
    let status = json!({ "availableReplicas": available, "replicas": wanted });
    serde_json::from_value(json!({ "metadata": {}, "spec": {
        "replicas": wanted, "selector": {}, "template": {} }, "status": status }))
    .unwrap()
}

fn told(status: &ControlPlaneStatus, type_: &str) -> (String, String, String) {
    let found = conditions::get(status.conditions.as_deref().unwrap(), type_).unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

/// A `DataPlane` that is ready.
fn serving() -> DataPlane {
    let mut kong = dataplane();
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Ready", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z" });
    kong.status = serde_json::from_value(json!({ "conditions": [ready] })).unwrap();
    kong
}

fn seen(
    deployment: Option<&Deployment>,
    dataplane: Option<&DataPlane>,
    watched: &Watched,
    definitions: &[String],
) -> ControlPlaneStatus {
    let object = controlplane(json!({ "dataplane": "kong" }));
    let now = Timestamp::from_second(100).unwrap();
    let seen = Seen {
        deployment,
        dataplane,
        pods: &[],
        beside: &[],
        verdict: None,
        missing: &[],
        watched,
        definitions,
        now,
    };
    status(&object, &seen)
}

#[test]
fn all_is_well_when_everything_runs() {
    let good = seen(Some(&deployment(1, 1)), Some(&serving()), &Watched::Everywhere, &[]);
    for type_ in [
        types::READY,
        types::PROVISIONED,
        types::PROGRAMMED,
        types::WATCH_NAMESPACE_GRANT_VALID,
        types::KONG_KINDS_AVAILABLE,
    ] {
        assert_eq!(told(&good, type_).0, "True", "{type_}");
    }
    assert_eq!(good.observed_generation, Some(3));
}

#[test]
fn the_status_tells_what_is_not_as_it_should_be() {
    use reasons as r;
    let shut = Watched::Only { namespaces: BTreeSet::from(["team".into()]), closed: vec!["shut".into()] };
    let (up, starting, none) = (deployment(1, 1), deployment(1, 0), deployment(0, 0));
    let (kong, bare) = (serving(), dataplane());
    let lacking = ["kongplugins.x".to_owned()];
    let of = |deployment, dataplane| seen(deployment, dataplane, &shut, &lacking);
    for (status, type_, reason, words) in [
        (of(None, None), types::READY, r::NO_DATA_PLANE, "there is no DataPlane \"kong\""),
        (of(None, None), types::PROVISIONED, r::NO_DATA_PLANE, "correct spec.dataplane"),
        (of(None, Some(&bare)), types::READY, r::DEPENDENCIES_NOT_READY, "no authority"),
        (of(Some(&starting), Some(&bare)), types::READY, r::WAITING_TO_BECOME_READY, "0 of 1"),
        (of(Some(&starting), Some(&bare)), types::PROVISIONED, r::PODS_NOT_READY, "0 of 1"),
        (of(Some(&up), Some(&bare)), types::PROGRAMMED, r::NOT_PROGRAMMED, "is not ready"),
        (of(Some(&none), Some(&bare)), types::READY, r::SCALED_TO_ZERO, "Raise it"),
        (
            of(Some(&up), Some(&kong)),
            types::WATCH_NAMESPACE_GRANT_VALID,
            r::WATCH_NAMESPACE_GRANT_INVALID,
            "not watched: shut",
        ),
        (of(Some(&up), Some(&kong)), types::KONG_KINDS_AVAILABLE, r::DEFINITIONS_MISSING, "kongplugins.x"),
    ] {
        let (value, found, message) = told(&status, type_);
        assert!(
            value == "False" && found == reason && message.contains(words),
            "{type_}: {found}: {message}"
        );
    }
}

#[test]
fn how_far_its_dataplane_is_makes_no_other_status_and_what_is_wrong_with_it_does() {
    let (everywhere, up) = (Watched::Everywhere, deployment(1, 1));
    let of = |reason: &str, words: &str| {
        let mut kong = serving();
        let ready = &mut kong.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
        (ready.status, ready.reason, ready.message) = ("False".into(), reason.into(), words.into());
        let status = seen(Some(&up), Some(&kong), &everywhere, &[]);
        told(&status, types::PROGRAMMED).2
    };
    let first = of(reasons::WAITING_TO_BECOME_READY, "0 of 2 replicas serve");
    assert_eq!(first, of(reasons::WAITING_TO_BECOME_READY, "1 of 2 replicas serve"));
    assert!(of(reasons::IMAGE_PULL_FAILED, "no such image").contains("no such image"));
}

#[test]
fn a_failure_is_told_and_the_rest_stays() {
    let mut object = controlplane(json!({ "dataplane": "kong" }));
    let before = json!({ "type": "Programmed", "status": "True", "reason": "Programmed", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z" });
    object.status = serde_json::from_value(json!({ "conditions": [before] })).unwrap();
    let now = Timestamp::from_second(100).unwrap();
    let status = failed(&object, (reasons::VALIDATION_FAILED, "why".into()), now);
    assert_eq!(
        told(&status, types::READY),
        ("False".into(), reasons::VALIDATION_FAILED.into(), "why".into())
    );
    assert_eq!(told(&status, types::PROGRAMMED).0, "True");
}
