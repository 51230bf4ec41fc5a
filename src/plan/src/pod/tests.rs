//! Templates that Kubernetes would refuse, with the place and the words.

use serde_json::{Value, json};

use super::*;

const ROLE: Role = Role { container: "proxy", volumes: &["tmp"], product: &image::GATEWAY };

/// Fields of the container `proxy`, the cause, the field below the container, and words of the message.
const CONTAINERS: &str = r#"
{"image": "Kong:3"} | Invalid | image | lower case
{"image": "kong:2.8"} | NotSupported | image | Kong 3.0.0 or newer
{"volumeMounts": [{"name": "v", "mountPath": "/x"}]} | NotFound | volumeMounts[0].name | "v"
{"volumeMounts": [{"name": "tmp"}]} | Required | volumeMounts[0].mountPath | missing
{"volumeMounts": [{"name": "tmp", "mountPath": "a:b"}]} | Invalid | volumeMounts[0].mountPath | colon
{"ports": [{"name": "x"}]} | Required | ports[0].containerPort | missing
{"ports": [{"containerPort": 70000}]} | Invalid | ports[0].containerPort | 70000
{"ports": [{"containerPort": 1, "hostPort": -1}]} | Invalid | ports[0].hostPort | -1
{"ports": [{"containerPort": 1, "name": "Web"}]} | Invalid | ports[0].name | "Web"
{"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]} | Duplicate | ports[1].name | port 0
{"ports": [{"containerPort": 1, "protocol": "HTTP"}]} | NotSupported | ports[0].protocol | SCTP, TCP, UDP
{"env": [{"value": "x"}]} | Required | env[0].name | missing
{"env": [{"name": "A=B"}]} | Invalid | env[0].name | "A=B"
{"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {}}}]} | Forbidden | env[0].valueFrom | value
{"env": [{"name": "A", "valueFrom": {}}]} | Invalid | env[0].valueFrom | 0 sources
{"env": [{"name": "A", "$patch": "delete"}, {"name": "B", "value": 1}]} | TypeInvalid | env[1].value | integer
{"resources": {"limits": {"cpu": "a lot"}}} | Invalid | resources.limits[cpu] | "a lot"
{"resources": {"limits": {"cpu": 1}, "requests": {"cpu": "1500m"}}} | Invalid | resources.requests[cpu] | above the limit of 1
{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "S", "key": "k"}}}]} | Invalid | env[0].valueFrom.secretKeyRef.name | "S"
{"envFrom": [{"configMapRef": {"name": "C"}}]} | Invalid | envFrom[0].configMapRef.name | "C"
{"startupProbe": {"periodSeconds": 1}} | Required | startupProbe | httpGet
{"readinessProbe": {"exec": {}, "httpGet": {"port": "x"}}} | Forbidden | readinessProbe | exec and httpGet
{"livenessProbe": {"successThreshold": 2}} | Invalid | livenessProbe.successThreshold | 2 cannot
{"livenessProbe": {"periodSeconds": -1}} | Invalid | livenessProbe.periodSeconds | negative
{"livenessProbe": {"httpGet": {"port": 0}}} | Invalid | livenessProbe.httpGet.port | 0 is no port
{"imagePullPolicy": "Sometimes"} | NotSupported | imagePullPolicy | IfNotPresent
{"imge": "x"} | Invalid | imge | unknown field
"#;

/// Templates, the cause, the field and words of the message.
const TEMPLATES: &str = r#"
{"spec": {"containers": [{"name": "proxy"}, {"name": "side"}]}} | Required | spec.containers[1].image | "proxy"
{"spec": {"initContainers": [{"name": "init"}]}} | Required | spec.initContainers[0].image | missing
{"spec": {"initContainers": [{"name": "proxy", "image": "x"}]}} | Duplicate | spec.initContainers[0].name | operator brings
{"spec": {"containers": [{"name": "b", "image": "x"}], "initContainers": [{"name": "b", "image": "x"}]}} | Duplicate | spec.initContainers[0].name | 0 of containers
{"spec": {"hostname": "a.b"}} | Invalid | spec.hostname | "a.b"
{"spec": {"serviceAccountName": "Kong"}} | Invalid | spec.serviceAccountName | "Kong"
{"spec": {"nodeSelector": {"a b": "c"}}} | Invalid | spec.nodeSelector[a b] | no key
{"spec": {"nodeSelector": {"a": "b c"}}} | Invalid | spec.nodeSelector[a] | "b c"
{"spec": {"terminationGracePeriodSeconds": -1}} | Invalid | spec.terminationGracePeriodSeconds | negative
{"spec": {"tolerations": [{"operator": "In"}]}} | NotSupported | spec.tolerations[0].operator | Equal, Exists
{"spec": {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 0, "whenUnsatisfiable": "DoNotSchedule"}]}} | Invalid | spec.topologySpreadConstraints[0].maxSkew | 1 or more
{"spec": {"volumes": [{"name": "v", "secret": {"secretName": "A"}}]}} | Invalid | spec.volumes[0].secret.secretName | "A"
{"spec": {"volumes": [{"name": "v", "configMap": {}}]}} | Required | spec.volumes[0].configMap.name | missing
{"spec": {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "a_b"}}]}}]}} | Invalid | spec.volumes[0].projected.sources[0].secret.name | "a_b"
{"spec": {"imagePullSecrets": [{"name": "a/b"}]}} | Invalid | spec.imagePullSecrets[0].name | "a/b"
{"spec": {"containers": [{"image": "x"}]}} | Required | spec.containers[0].name | missing
{"spec": {"containers": [{"name": "A", "image": "x"}]}} | Invalid | spec.containers[0].name | "A"
{"spec": {"containers": [{"name": "proxy"}, {"name": "proxy"}]}} | Duplicate | spec.containers[1].name | item 0
{"spec": {"containers": [{"name": "b", "image": "y", "readinessProbe": {}}]}} | Required | spec.containers[0].readinessProbe | httpGet
{"spec": {"volumes": [{"name": "v"}, {"name": "v"}]}} | Duplicate | spec.volumes[1].name | "v"
{"spec": {"volumes": [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]}} | Forbidden | spec.volumes[0] | emptyDir and secret
{"spec": {"tolerations": [{"effect": "NoRun"}]}} | NotSupported | spec.tolerations[0].effect | NoSchedule
{"spec": {"restartPolicy": "Never"}} | NotSupported | spec.restartPolicy | "Never"
{"spec": {"activeDeadlineSeconds": 5}} | Forbidden | spec.activeDeadlineSeconds | without an end
{"spec": {"ephemeralContainers": []}} | Forbidden | spec.ephemeralContainers | kubectl debug
{"metadata": {"labels": {"a b": "c"}}} | Invalid | metadata.labels[a b] | no key
{"metadata": {"labels": {"a": "b c"}}} | Invalid | metadata.labels[a] | "b c"
{"metadata": {"annotations": {"": "x"}}} | Invalid | metadata.annotations[] | no key
"#;

fn told(template: &Value) -> Vec<String> {
    let problems = problems(template, "t", &ROLE);
    problems.iter().map(|p| format!("{} {}: {}", p.cause.as_str(), p.path, p.message)).collect()
}

fn container(fields: &Value) -> Value {
    let mut container = json!({ "name": "proxy" });
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "spec": { "containers": [container] } })
}

fn each(table: &str, below: &str, template: fn(&Value) -> Value) {
    for row in table.lines().filter(|row| !row.is_empty()) {
        let [given, cause, path, words] = row.split(" | ").collect::<Vec<_>>().try_into().unwrap();
        let told = told(&template(&serde_json::from_str(given).unwrap()));
        assert_eq!(told.len(), 1, "{row}: {told:?}");
        let start = format!("FieldValue{cause} t.{below}{path}: ");
        assert!(told[0].starts_with(&start) && told[0].contains(words), "{row}: {told:?}");
    }
}

#[test]
fn each_problem_of_a_container_has_its_cause_its_place_and_its_words() {
    each(CONTAINERS, "spec.containers[0].", container);
}

#[test]
fn each_problem_of_a_template_has_its_cause_its_place_and_its_words() {
    each(TEMPLATES, "", Value::clone);
}

#[test]
fn what_kubernetes_takes_is_no_problem() {
    for fields in [
        r#"{"image": "kong:3.9", "resources": {"limits": {"cpu": 1}, "requests": {"cpu": "1000m", "memory": null}}}"#,
        r#"{"livenessProbe": {"periodSeconds": 3}, "readinessProbe": null, "startupProbe": {"httpGet": {"path": "/", "port": 8100}}}"#,
        r#"{"env": [{"name": "A"}, {"name": "B", "$patch": "delete"}, {"name": "scheme", "value": "x"}]}"#,
        r#"{"env": [{"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}"#,
        r#"{"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"mountPath": "/tmp", "subPath": "x"}]}"#,
        r#"{"ports": [{"$patch": "replace"}, {"containerPort": 53, "protocol": "UDP"}]}"#,
    ] {
        assert_eq!(told(&container(&serde_json::from_str(fields).unwrap())), [] as [&str; 0], "{fields}");
    }
    for template in [
        "{}",
        r#"{"metadata": {"labels": {"a.b/c": ""}, "annotations": {"x": "any text"}}, "spec": null}"#,
        r#"{"spec": {"initContainers": [{"name": "a", "image": "busybox", "restartPolicy": "Always"}]}}"#,
        r#"{"spec": {"volumes": [{"name": "gone", "$patch": "delete"}], "nodeSelector": {"effect": "x"}}}"#,
        r#"{"spec": {"containers": [{"name": "proxy", "$patch": "delete"}]}}"#,
        r#"{"spec": {"dnsPolicy": "", "restartPolicy": "", "hostname": "", "tolerations": [{"operator": "", "effect": ""}, {"operator": "Exists"}]}}"#,
        r#"{"spec": {"containers": [{"name": "proxy", "imagePullPolicy": "", "terminationMessagePolicy": "", "ports": [{"containerPort": 1, "protocol": ""}]}]}}"#,
        r#"{"spec": {"nodeSelector": {"a.b/c": "", "gone": null}, "serviceAccountName": "a.b", "imagePullSecrets": [{"name": ""}]}}"#,
        r#"{"spec": {"containers": [{"name": "b", "image": "y", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}]}}"#,
    ] {
        assert_eq!(told(&serde_json::from_str(template).unwrap()), [] as [&str; 0], "{template}");
    }
}
