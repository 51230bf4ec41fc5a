//! `silverback validate`, `default` and `render` as they are run: what they print and their exit codes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that finds nothing fails")]

#[path = "offline/entrances.rs"]
mod entrances;
#[path = "offline/pipelines.rs"]
mod pipelines;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The manifests that the tests read.
fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn silverback(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_silverback"));
    command.args(arguments).current_dir(manifests()).stdin(Stdio::null());
    // No test may depend on a cluster that happens to be near.
    command.env("KUBECONFIG", "/nowhere").env_remove("SILVERBACK_DATA_PLANE_IMAGE");
    command
}

fn run(arguments: &[&str]) -> Output {
    silverback(arguments).output().unwrap()
}

fn piped(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = silverback(arguments);
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

fn code(arguments: &[&str]) -> i32 {
    run(arguments).status.code().unwrap()
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_slice(&run(arguments).stdout).unwrap()
}

#[test]
fn people_get_a_block_per_object_and_a_place_per_problem() {
    insta::assert_snapshot!(
        "text",
        text(&run(&["validate", "broken.yaml", "warned.yaml", "good.yaml"]).stdout)
    );
}

#[test]
fn programs_get_json() {
    let report = json_of(&["validate", "broken.yaml", "warned.yaml", "--output=json"]);
    insta::assert_json_snapshot!("json", report);
}

#[test]
fn code_hosts_get_sarif() {
    let told = text(&run(&["validate", "broken.yaml", "warned.yaml", "--output=sarif"]).stdout);
    insta::assert_snapshot!("sarif", told);
    // What the specification (OASIS, SARIF 2.1.0) asks of results: rules that are declared, regions that begin at 1.
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["version"], "2.1.0");
    let run = &report["runs"][0];
    let rules: Vec<_> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = run["results"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        assert!(rules.contains(&&result["ruleId"]), "{result}");
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        let physical = &result["locations"][0]["physicalLocation"];
        assert!(physical["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(physical["region"]["startColumn"].as_u64().unwrap() > 0);
        assert!(!physical["artifactLocation"]["uri"].as_str().unwrap().contains(' '));
    }
}

#[test]
fn exit_codes_are_those_of_the_page() {
    for (arguments, wanted) in [
        (&["validate", "good.yaml"][..], 0),
        (&["validate", "warned.yaml"], 0),
        (&["validate", "warned.yaml", "--warnings-as-errors"], 1),
        (&["validate", "warned.yaml", "--strict"], 1),
        (&["validate", "broken.yaml"], 1),
        (&["validate", "good.yaml", "broken.yaml", "--quiet"], 1),
        (&["validate", "folder"], 0),
        (&["validate", "nowhere.yaml"], 2),
        (&["validate"], 2),
        (&["validate", "good.yaml", "--output=xml"], 2),
        (&["default", "good.yaml"], 0),
        (&["default", "broken.yaml"], 1),
        (&["default", "nowhere.yaml"], 2),
        (&["render", "good.yaml"], 0),
        (&["render", "broken.yaml"], 1),
        (&["render", "--diff", "broken.yaml"], 2),
        (&["render", "--diff", "good.yaml"], 2),
    ] {
        assert_eq!(code(arguments), wanted, "{arguments:?}");
    }
    let missing = run(&["validate", "nowhere.yaml"]);
    assert!(text(&missing.stderr).starts_with("silverback: nowhere.yaml cannot be read: "), "{missing:?}");
}

#[test]
fn the_quiet_one_says_only_what_is_wrong() {
    assert_eq!(text(&run(&["validate", "--quiet", "good.yaml", "warned.yaml"]).stdout), "");
    let broken = text(&run(&["validate", "--quiet", "broken.yaml"]).stdout);
    assert!(
        broken.contains("* spec.deployment.replica: ")
            && !broken.contains("Warning")
            && !broken.contains("objects:")
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let given = std::fs::read(manifests().join("broken.yaml")).unwrap();
    let piped = piped(&["validate", "-"], &given);
    assert_eq!(piped.status.code(), Some(1));
    let named = text(&run(&["validate", "broken.yaml"]).stdout).replace("broken.yaml", "stdin");
    assert_eq!(text(&piped.stdout), named);
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let mut child = silverback(&["render", "good.yaml"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn folders_are_read_and_other_kinds_counted() {
    let report = json_of(&["validate", "folder", "good.yaml", "folder/deeper/one.json", "--output=json"]);
    let files: Vec<_> = report["objects"].as_array().unwrap().iter().map(|object| &object["file"]).collect();
    assert_eq!(files, ["folder/deeper/one.json", "good.yaml", "good.yaml"]);
    assert_eq!(report["passedOver"], json!({ "Deployment": 1, "no kind": 1 }));
}

#[test]
fn every_sample_is_valid() {
    let samples = root().join("manifests/samples");
    let found = run(&["validate", samples.to_str().unwrap()]);
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stdout));
}

#[test]
fn defaults_are_filled_in_once_and_the_rest_stays() {
    let once = run(&["default", "good.yaml"]);
    insta::assert_snapshot!("default", text(&once.stdout));
    let twice = piped(&["default", "-"], &once.stdout);
    assert_eq!(text(&twice.stdout), text(&once.stdout));
    let broken = run(&["default", "broken.yaml"]);
    assert!(text(&broken.stderr).starts_with("broken.yaml:42:4: cannot be read: "), "{broken:?}");
}

#[test]
fn what_is_printed_is_read_back_by_kubectl_as_it_was() {
    // YAML 1.1 takes some plain words for something else.
    let words = [
        "yes",
        "off",
        "0777",
        "1_000",
        "1e3",
        "~",
        "null",
        "0x1F",
        "",
        " a",
        "a: b",
        "# c",
        "12:30",
        "2026-01-02",
    ];
    let data: serde_json::Map<_, _> = words.iter().map(|word| (format!("k{word}"), json!(word))).collect();
    let given = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": data });
    let once = piped(&["default", "-"], given.to_string().as_bytes());
    let twice = piped(&["default", "-"], &once.stdout);
    assert_eq!(text(&once.stdout), text(&twice.stdout));
    let read: Value = serde_saphyr::from_str(&text(&twice.stdout)).unwrap();
    assert_eq!(read, given);
}

#[test]
fn objects_are_rendered_in_the_order_in_which_they_are_applied() {
    let printed = text(&run(&["render", "good.yaml"]).stdout);
    let kinds: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    let of_dataplane = ["Secret", "Secret", "Service", "Service", "Deployment"];
    let roles = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
    let running = ["Secret", "Secret", "Service", "Lease", "Deployment", "ValidatingWebhookConfiguration"];
    assert_eq!(kinds, [&of_dataplane[..], &roles, &running].concat());
    for mark in [
        "<uid of the DataPlane>",
        "<uid of the ControlPlane>",
        "<hash of the certificate>",
        "<private key of the admin API, made in the cluster>",
        "<private key, made in the cluster>",
    ] {
        assert!(printed.contains(mark), "{mark}");
    }
    assert!(!printed.contains("00000000-0000"), "{printed}");
    let documents = printed.split("---\n").skip(1).filter(|document| document.contains("\nkind: "));
    for document in documents {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        let kind = object["kind"].as_str().unwrap();
        let everywhere = kind.starts_with("Cluster") || kind == "ValidatingWebhookConfiguration";
        let namespace = if everywhere { Value::Null } else { json!("team") };
        assert_eq!(object["metadata"]["namespace"], namespace, "{document}");
    }
}

#[test]
fn a_name_that_only_the_cluster_knows_is_marked() {
    let given = std::fs::read_to_string(manifests().join("good.yaml")).unwrap();
    let given = given.replacen("name: edge", "generateName: edge-", 1) + "---\n" + &given;
    let found = piped(&["render", "-"], given.as_bytes());
    let printed = text(&found.stdout);
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    let note = "# DataPlane team/edge- (stdin:1)\n# Only the cluster knows its name: xxxxx stands for what";
    assert_eq!(printed.matches(note).count(), 5, "{printed}");
    assert_eq!(printed.matches("\n# Only the cluster").count(), 5, "the one with a name needs no note");
    for name in ["dataplane-ingress-edge-xxxxx", "dataplane-ingress-edge"] {
        assert!(printed.contains(&format!("  name: {name}\n")), "{name} in {printed}");
    }
}

#[test]
fn an_image_and_a_namespace_go_without_saying() {
    let printed = text(&run(&["render", "folder", "--data-plane-image=my/kong:3.9", "-n", "other"]).stdout);
    assert!(printed.contains("image: my/kong:3.9") && printed.contains("namespace: other"), "{printed}");
}

#[test]
fn a_database_is_found_where_the_manifests_tell_of_it() {
    let told = |kind: &str, held: &Value, name: &str| {
        let reference = if kind == "Secret" { "secretKeyRef" } else { "configMapKeyRef" };
        let from = json!({ reference: { "name": "mode", "key": "database" } });
        let proxy = json!({ "name": "proxy", "env": [{ "name": "KONG_DATABASE", "valueFrom": from }] });
        let spec = json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } });
        let mut source = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
        source.as_object_mut().unwrap().extend(held.as_object().unwrap().clone());
        let dataplane = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
            "metadata": { "name": "edge" }, "spec": spec,
        });
        let list = json!({ "kind": "List", "items": [source, dataplane] }).to_string();
        let report: Value =
            serde_json::from_slice(&piped(&["validate", "-", "--output=json"], list.as_bytes()).stdout)
                .unwrap();
        report["objects"][0].clone()
    };
    let wrong = told("ConfigMap", &json!({ "data": { "database": "postgres" } }), "mode");
    let problem = &wrong["problems"][0];
    assert!(problem["message"].as_str().unwrap().contains("\"postgres\" is not supported"), "{wrong}");
    let field = problem["field"].as_str().unwrap();
    assert!(field.ends_with(".containers[0].env[0].valueFrom"), "{wrong}");
    // In base64: `postgres`, and `off`.
    let secret = told("Secret", &json!({ "data": { "database": "cG9zdGdyZXM=" } }), "mode");
    assert!(secret["valid"] == false && !secret.to_string().contains("postgres"), "{secret}");
    assert!(secret.to_string().contains("what Secret mode holds"), "{secret}");
    let fine = told("Secret", &json!({ "data": { "database": "b2Zm" } }), "mode");
    assert_eq!((&fine["valid"], &fine["warnings"]), (&json!(true), &json!([])));
    let elsewhere = told("ConfigMap", &json!({ "data": { "database": "off" } }), "other");
    let warning = elsewhere["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("holds is not known here"), "{elsewhere}");
}
