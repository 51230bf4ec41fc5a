//! `silverback validate`, `default` and `render` as they are run: what they print and their exit codes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that finds nothing fails")]

#[path = "offline/entrances.rs"]
mod entrances;

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

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(root().join(file)).unwrap()).unwrap()
}

/// Runs the script of the action as a runner would.
fn action(files: &str, warnings_as_errors: &str, sarif: &Path) -> Output {
    let action = yaml("action.yml");
    let step = &action["runs"]["steps"][0];
    assert_eq!((&action["runs"]["using"], &step["shell"]), (&json!("composite"), &json!("bash")));
    let mut bash = Command::new("bash");
    // What GitHub makes of `shell: bash`.
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
    bash.current_dir(manifests());
    for (name, value) in step["env"].as_object().unwrap() {
        let input = value.as_str().unwrap().trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        let default = &action["inputs"][input]["default"];
        assert!(default.is_string(), "{name} is {value}, which is no input");
        bash.env(name, default.as_str().unwrap());
    }
    bash.env("PROGRAM", env!("CARGO_BIN_EXE_silverback")).env("FILES", files);
    bash.env("WARNINGS_AS_ERRORS", warnings_as_errors).env("SARIF", sarif).output().unwrap()
}

#[test]
fn the_action_reports_and_fails_as_the_program_does() {
    let folder = tempfile::tempdir().unwrap();
    let sarif = folder.path().join("report.sarif");
    assert_eq!(action("good.yaml folder", "false", Path::new("")).status.code(), Some(0));
    let broken = action("good.yaml broken.yaml", "false", &sarif);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(text(&broken.stdout).contains("* spec.deployment.replica: unknown field"), "{broken:?}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&sarif).unwrap()).unwrap();
    assert_eq!(report["version"], "2.1.0");
    assert_eq!(action("warned.yaml", "true", Path::new("")).status.code(), Some(1));
    // A name is a name, whatever is in it.
    let odd = action("$(touch${IFS}pwned)", "false", Path::new(""));
    assert_eq!(odd.status.code(), Some(2), "{odd:?}");
    assert!(!manifests().join("pwned").exists());
}

#[test]
fn the_hooks_run_what_they_say() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hooks = hooks.as_array().unwrap();
    assert_eq!(hooks.len(), 2);
    for (hook, warned) in hooks.iter().zip([0, 1]) {
        for field in ["id", "name", "entry", "language"] {
            assert!(hook[field].is_string(), "{field}");
        }
        let entry: Vec<_> = hook["entry"].as_str().unwrap().split(' ').collect();
        assert_eq!(entry[0], "silverback");
        let with = |file: &'static str| code(&[&entry[1..], &[file]].concat());
        assert_eq!((with("good.yaml"), with("warned.yaml"), with("broken.yaml")), (0, warned, 1));
    }
}
