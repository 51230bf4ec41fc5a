//! Releases that are worse than what serves, each in another way: all of them are rolled back.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use crds::conditions::reasons;
use crds::k8s::ConfigMap;
use crds::names::values;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::traffic::Kind;
use tests::world::Scenario;

use crate::attempt::{change, edge, environment, is_gone, over, selected};
use crate::stage::Stage;

/// A release that is worse, and why it has to be rolled back.
struct Worse {
    what: &'static str,
    container: Value,
    reason: &'static str,
}

/// Those that show it before the first request of anybody's.
fn before_traffic() -> Vec<Worse> {
    let leaks = |mut container: Value| {
        container["resources"] = json!({ "limits": { "memory": "96Mi" } });
        container
    };
    let empty =
        json!({ "env": [{ "name": "KONG_DECLARATIVE_CONFIG", "value": "/kong-configuration/none.yaml" }] });
    vec![
        Worse {
            what: "a container that ends again and again",
            container: environment("STANDIN_CRASH_AFTER", "3"),
            reason: reasons::CRASH_LOOP,
        },
        Worse {
            what: "a leak of 20 MB a second",
            container: leaks(environment("STANDIN_LEAK", "20000000")),
            reason: reasons::OUT_OF_MEMORY,
        },
        Worse {
            what: "routes that stable has are missing",
            container: empty,
            reason: reasons::ROUTE_MISMATCH,
        },
    ]
}

/// Rolls each out, and tells how long it took until it was back.
async fn rolled_back(stage: &Stage, all: Vec<Worse>) -> Result<()> {
    for (nth, Worse { what, container, reason }) in all.into_iter().enumerate() {
        let (name, begun) = (format!("edge-{}", nth + 1), Instant::now());
        change(stage, &container).await?;
        let status = over(stage, &name).await?.status.context("no status")?;
        let completion = status.completion.context("not over")?;
        println!("{what}: {} after {:.1} s", completion.reason, begun.elapsed().as_secs_f64());
        ensure!(completion.status == reasons::ROLLED_BACK, "{what}: {completion:?}");
        ensure!(completion.reason == reason, "{what}: {completion:?}");
        ensure!(selected(stage).await?.as_deref() == Some(values::FIRST_TRACK), "{what}");
        is_gone(stage, values::SECOND_TRACK).await?;
    }
    Ok(())
}

pub async fn what_shows_before_traffic_is_rolled_back(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Fresh, Kind::Kept]).await?;
    let other = "_format_version: \"3.0\"\nservices: [{ name: other, url: \"http://127.0.0.1:9\", \
                 routes: [{ name: other, paths: [\"/other\"] }] }]";
    let none = json!({ "data": { "none.yaml": other } });
    stage.scenario.api::<ConfigMap>().patch("kong", &PatchParams::default(), &Patch::Merge(none)).await?;
    let steps = json!([{ "name": "preview", "weight": 0, "hold": "20s" }, { "name": "half", "weight": 50 }]);
    let gates = json!({ "preflight": { "routeParity": { "mode": "Enforce" } } });
    let edge = edge(&stage, &steps, &gates).await?;
    rolled_back(&stage, before_traffic()).await?;
    let pods = stage.conclude("canaries that never serve", edge, 2).await?;
    ensure!(pods.before == pods.after, "{:?} became {:?}", pods.before, pods.after);
    stage.end().await
}

pub async fn a_slower_release_is_rolled_back(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Fresh]).await?;
    let analysis = json!({ "analysis": { "profile": "Standard", "minRequests": 50 } });
    let steps = json!([{ "name": "half", "weight": 50, "hold": "90s" }]);
    let edge = edge(&stage, &steps, &analysis).await?;
    let slower = Worse {
        what: "20 ms slower",
        container: environment("STANDIN_LATENCY", "20"),
        reason: reasons::ANALYSIS_FAILED,
    };
    rolled_back(&stage, vec![slower]).await?;
    stage.conclude("canary that is slower", edge, 2).await?;
    stage.end().await
}
