//! Tests of users' own that have a say in a rollout: by HTTP and by Job.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use crds::conditions::reasons;
use crds::k8s::{Job, Service};
use crds::names::values;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use tests::traffic::Kind;
use tests::world::Scenario;

use crate::attempt::{change, edge, environment, is_gone, over, selected};
use crate::stage::Stage;

/// A Job whose container ends at once, with 0 or not.
fn job(arguments: &Value) -> Value {
    let security = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let container = json!({ "name": "test", "image": "docker.io/library/kong:3.9", "command": ["kong"],
        "args": arguments, "resources": { "requests": { "cpu": "10m" } }, "securityContext": security });
    let security =
        json!({ "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } });
    let pod = json!({ "containers": [container], "securityContext": security });
    json!({ "spec": { "template": { "spec": pod } } })
}

/// The first step with those hooks, and then half of the traffic.
fn steps(hooks: &Value) -> Value {
    json!([{ "name": "preview", "weight": 0, "hooks": hooks }, { "name": "half", "weight": 50 }])
}

/// Where the backend answers as the path asks.
async fn backend(stage: &Stage) -> Result<String> {
    let service: Service = stage.scenario.api().get("echo").await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?;
    Ok(format!("http://{address}"))
}

pub async fn hooks_that_say_yes_complete_the_upgrade(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Fresh, Kind::Kept]).await?;
    let to = backend(&stage).await?;
    let hooks = json!([{ "name": "suite", "job": job(&json!(["version"])) },
        { "name": "page", "url": format!("{to}/status/204"), "when": "Exit" }]);
    let mut edge = edge(&stage, &steps(&hooks), &json!({})).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    let status = over(&stage, "edge-1").await?.status.context("no status")?;
    let completion = status.completion.context("not over")?;
    ensure!(completion.status == reasons::PROMOTED, "{completion:?}");
    let mut said: Vec<_> = status.hooks.into_iter().flatten().map(|hook| (hook.name, hook.answer)).collect();
    said.sort();
    let passed = ["preview/page", "preview/suite"].map(|name| (name.to_owned(), "Passed".to_owned()));
    ensure!(said == passed, "{said:?}");
    let jobs = stage.scenario.api::<Job>().list(&ListParams::default()).await?.items;
    ensure!(jobs.len() == 1, "{:?}", jobs.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
    is_gone(&stage, values::FIRST_TRACK).await?;
    edge.track = values::SECOND_TRACK;
    stage.conclude("canary with hooks", edge, 2).await?;
    stage.end().await
}

pub async fn hooks_that_say_no_roll_it_back(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Fresh, Kind::Kept]).await?;
    let to = backend(&stage).await?;
    let no = json!({ "name": "page", "url": format!("{to}/status/422") });
    let silent = json!({ "name": "page", "url": format!("{to}/status/503"), "timeout": "8s" });
    let failing = json!({ "name": "suite", "job": job(&json!(["no-such-command"])) });
    let hooks =
        [("a URL that says no", no), ("a URL that never answers", silent), ("a Job that fails", failing)];
    let edge = edge(&stage, &steps(&json!([])), &json!({})).await?;
    for (nth, (what, hook)) in hooks.into_iter().enumerate() {
        let (name, begun) = (format!("edge-{}", nth + 1), Instant::now());
        let strategy = crate::attempt::strategy(&steps(&json!([hook])), &json!({}));
        crate::attempt::replan(&stage, &strategy).await?;
        change(&stage, &environment("KONG_NGINX_WORKER_CONNECTIONS", &format!("{}", 1000 + nth))).await?;
        let status = over(&stage, &name).await?.status.context("no status")?;
        let completion = status.completion.context("not over")?;
        println!("{what}: {} after {:.1} s", completion.reason, begun.elapsed().as_secs_f64());
        ensure!(
            (completion.status.as_str(), completion.reason.as_str()) == (reasons::ROLLED_BACK, "HookRefused"),
            "{completion:?}"
        );
        ensure!(selected(&stage).await?.as_deref() == Some(values::FIRST_TRACK), "{what}");
        is_gone(&stage, values::SECOND_TRACK).await?;
    }
    let pods = stage.conclude("hooks that say no", edge, 2).await?;
    ensure!(pods.before == pods.after, "{:?} became {:?}", pods.before, pods.after);
    stage.end().await
}
