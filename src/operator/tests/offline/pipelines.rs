//! The action for GitHub and the hooks for pre-commit, run as these would run them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{code, manifests, root, text};

/// Fields of a hook that pre-commit knows, of those that are used.
const FIELDS: [&str; 9] =
    ["description", "entry", "id", "language", "name", "require_serial", "stages", "types_or", "verbose"];

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(root().join(file)).unwrap()).unwrap()
}

/// Runs the script of the action as a runner would, with these in the place of its inputs' defaults.
fn action(given: &[(&str, &str)]) -> Output {
    let action = yaml("action.yml");
    let step = &action["runs"]["steps"][0];
    assert_eq!((&action["runs"]["using"], &step["shell"]), (&json!("composite"), &json!("bash")));
    let mut bash = Command::new("bash");
    // What GitHub makes of `shell: bash`.
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
    bash.current_dir(manifests()).env("KUBECONFIG", "/nowhere");
    let env = step["env"].as_object().unwrap();
    for (name, value) in env {
        let input = value.as_str().unwrap().trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        let default = &action["inputs"][input]["default"];
        assert!(default.is_string(), "{name} is {value}, which is no input");
        bash.env(name, default.as_str().unwrap());
    }
    // Every input comes by the environment, but for that of the step that uploads.
    assert_eq!(env.len() + 1, action["inputs"].as_object().unwrap().len());
    bash.env("PROGRAM", env!("CARGO_BIN_EXE_silverback")).envs(given.iter().copied()).output().unwrap()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn the_action_reports_and_fails_as_the_program_does() {
    let folder = tempfile::tempdir().unwrap();
    let sarif = folder.path().join("report.sarif");
    let report = sarif.to_str().unwrap();
    assert_eq!(action(&[("FILES", "good.yaml folder")]).status.code(), Some(0));
    let broken = action(&[("FILES", "good.yaml broken.yaml"), ("SARIF", report), ("STORED", "/nowhere/x")]);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(text(&broken.stdout).contains("* spec.deployment.replica: unknown field"), "{broken:?}");
    let report: Value = serde_json::from_str(&read(&sarif)).unwrap();
    assert_eq!(report["version"], "2.1.0");
    let warned = action(&[("FILES", "warned.yaml"), ("WARNINGS_AS_ERRORS", "true")]);
    assert_eq!(warned.status.code(), Some(1));
    // A name is a name, whatever is in it.
    let odd = action(&[("FILES", "$(touch${IFS}pwned)")]);
    assert_eq!(odd.status.code(), Some(2), "{odd:?}");
    assert!(!manifests().join("pwned").exists());
}

#[test]
fn the_action_writes_what_would_be_stored_and_made() {
    let folder = tempfile::tempdir().unwrap();
    let (stored, rendered) = (folder.path().join("stored.yaml"), folder.path().join("rendered.yaml"));
    let paths = (stored.to_str().unwrap(), rendered.to_str().unwrap());
    let found =
        action(&[("FILES", "good.yaml"), ("NAMESPACE", "other"), ("STORED", paths.0), ("RENDERED", paths.1)]);
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    assert!(read(&stored).contains("kind: DataPlane\n"), "{}", read(&stored));
    assert!(read(&rendered).contains("kind: Deployment\n"), "{}", read(&rendered));
}

/// Without a cluster nothing is told, and that nothing changes least of all.
#[test]
fn the_action_fails_where_the_cluster_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.md");
    let given =
        [("FILES", "good.yaml"), ("DIFF", "true"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let found = action(&given);
    assert_eq!(found.status.code(), Some(2), "{found:?}");
    assert!(read(&summary).contains("\n```diff\n"), "{}", read(&summary));
}

/// The lines that would run the image, with a program in the place of docker that says how it was called.
#[test]
fn the_action_lets_an_image_reach_the_cluster_only_for_the_comparison() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (docker, calls) = (folder.path().join("docker"), folder.path().join("calls"));
    std::fs::write(&docker, "#!/bin/sh\nprintf '%s\\n' \"$*\" >> \"$CALLS\"\n").unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let config = manifests().join("good.yaml");
    let found = action(&[
        ("PROGRAM", ""),
        ("IMAGE", "silverback:1"),
        ("FILES", "good.yaml"),
        ("DIFF", "true"),
        ("CLUSTER", config.to_str().unwrap()),
        ("PATH", &path),
        ("CALLS", calls.to_str().unwrap()),
    ]);
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    let calls = read(&calls);
    let calls: Vec<_> = calls.lines().collect();
    let ends =
        ["validate --namespace default -- good.yaml", "render --diff --namespace default -- good.yaml"];
    assert_eq!(calls.len(), ends.len(), "{calls:?}");
    assert!(
        calls.iter().zip(ends).all(|(call, end)| call.ends_with(&format!("silverback:1 {end}"))),
        "{calls:?}"
    );
    assert!(calls[0].contains("--network none") && !calls[0].contains("/kubeconfig"), "{calls:?}");
    let mount = format!("--volume {}:/kubeconfig:ro --env KUBECONFIG=/kubeconfig", config.display());
    assert!(calls[1].contains("--network host") && calls[1].contains(&mount), "{calls:?}");
}

#[test]
fn the_hooks_run_what_they_say() {
    let wanted = [
        ("silverback-validate", [0, 0, 1]),
        ("silverback-validate-strict", [0, 1, 1]),
        ("silverback-default", [0, 0, 1]),
        ("silverback-render", [0, 0, 1]),
        // There is no cluster here.
        ("silverback-diff", [2, 2, 2]),
    ];
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hooks = hooks.as_array().unwrap();
    assert_eq!(hooks.len(), wanted.len());
    for (hook, (id, codes)) in hooks.iter().zip(wanted) {
        assert_eq!(hook["id"], id);
        for field in ["name", "entry", "language"] {
            assert!(hook[field].is_string(), "{field}");
        }
        let unknown: Vec<_> =
            hook.as_object().unwrap().keys().filter(|field| !FIELDS.contains(&field.as_str())).collect();
        assert_eq!(unknown, [] as [&str; 0], "{id}");
        // What changes nothing and judges nothing is run when somebody asks for it, and then shows what it found.
        let is_asked = hook["stages"] == json!(["manual"]);
        assert_eq!((is_asked, hook["verbose"] == json!(true)), (!id.contains("validate"), is_asked), "{id}");
        let entry: Vec<_> = hook["entry"].as_str().unwrap().split(' ').collect();
        assert_eq!(entry[0], "silverback");
        let with = |file: &'static str| code(&[&entry[1..], &[file]].concat());
        assert_eq!(["good.yaml", "warned.yaml", "broken.yaml"].map(with), codes, "{id}");
    }
}
