//! More pods, and fewer.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::traffic::Kind;
use tests::world::Scenario;

use crate::stage::{CALM, Stage};

pub async fn fewer_and_more_replicas(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let none = json!({});
    let (mut one, mut three) = tokio::try_join!(stage.edge("one", 1, &none), stage.edge("three", 3, &none))?;
    let scaled = |replicas: i32| json!({ "spec": { "deployment": { "replicas": replicas } } });
    let (more, fewer) = (scaled(3), scaled(1));
    let up_and_down = async {
        stage.change(&one.name, &more).await?;
        stage.rolled_out(&crate::stage::first_track(&one.name), 3).await?;
        one.steady(CALM).await?;
        stage.change(&one.name, &fewer).await
    };
    tokio::try_join!(up_and_down, stage.change(&three.name, &fewer))?;
    "1 to 3 to 1".clone_into(&mut one.replicas);
    "3 to 1".clone_into(&mut three.replicas);
    let (one, three) = tokio::join!(stage.conclude("scaling", one, 1), stage.conclude("scaling", three, 1));
    one?;
    let three = three?;
    ensure!(three.after.is_subset(&three.before), "{:?} became {:?}", three.before, three.after);
    stage.end().await
}
