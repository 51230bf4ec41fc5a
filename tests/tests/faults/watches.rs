//! Watches break, expire, go silent, and the API server goes away, while children are deleted and edited.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crds::k8s::{Deployment, PodDisruptionBudget, Secret, Service};
use crds::names;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tests::faults::{Fault, Lane, Order, Refusal, State};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{delete, idle};

/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(20);
/// How soon all has to be well when it is back.
const BACK: Duration = Duration::from_secs(30);

pub async fn broken_watches_lose_nothing(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    lane.apply("broken", idle()).await?;
    lane.settled("broken").await?;
    let undisturbed = State::of(&lane.scenario, "broken").await?;
    for (order, refusal) in [
        // They are resumed, and tell what happened meanwhile.
        (Order::Drop, Refusal::Unavailable),
        // They cannot be resumed: what is gone is missing in a new list, and nothing tells of it.
        (Order::Drop, Refusal::Gone),
        (Order::Expire, Refusal::Unavailable),
    ] {
        lane.proxy.script(move |asked| match asked.verb {
            "watch" => Fault::Refused(refusal),
            "list" => Fault::Refused(Refusal::Unavailable),
            _ => Fault::None,
        });
        lane.proxy.watches(order, &[]);
        harm(&lane.scenario, "broken").await?;
        if refusal == Refusal::Gone {
            expire_once(&lane);
        } else {
            lane.proxy.calm();
        }
        let began = Instant::now();
        undisturbed.reached(&lane.scenario, "broken").await?;
        println!("{order:?} and {refusal:?}: all as before after {:?}", began.elapsed());
    }
    lane.end().await
}

/// Refuses the next watch of each kind, because its version is too old.
fn expire_once(lane: &Lane) {
    let mut told = std::collections::BTreeSet::new();
    lane.proxy.script(move |asked| {
        let first = asked.verb == "watch" && told.insert(asked.resource.clone());
        if first { Fault::Refused(Refusal::Gone) } else { Fault::None }
    });
}

pub async fn silent_watches_are_caught_up_with(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    lane.apply("silent", idle()).await?;
    lane.settled("silent").await?;
    let undisturbed = State::of(&lane.scenario, "silent").await?;
    lane.proxy.watches(Order::Silence, &[]);
    harm(&lane.scenario, "silent").await?;
    // Nobody has told the operator; nor of this change and its end.
    let mut other = idle();
    other["network"]["services"]["ingress"]["name"] = json!("other-silent");
    lane.apply("silent", other).await?;
    lane.apply("silent", idle()).await?;
    lane.proxy.watches(Order::Flow, &[]);
    undisturbed.reached(&lane.scenario, "silent").await?;
    // It has seen itself delete the old one, and nothing of this.
    lane.settled("silent").await?;
    undisturbed.reached(&lane.scenario, "silent").await?;
    lane.end().await
}

pub async fn a_dataplane_deleted_unseen_leaves_nothing(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    lane.apply("unseen", idle()).await?;
    let first = lane.settled("unseen").await?.metadata.uid;
    let undisturbed = State::of(&lane.scenario, "unseen").await?;
    lane.proxy.watches(Order::Silence, &["dataplanes"]);
    lane.proxy.written();
    delete(&lane, "unseen").await?;
    // What the garbage collector takes away is missed, and made again for an owner that is no more.
    wait::gone(&lane.scenario.api::<Deployment>(), &names::deployment("unseen", "1"), SOON).await?;
    lane.proxy.watches(Order::Flow, &[]);
    State::default().reached(&lane.scenario, "unseen").await?;

    lane.apply("unseen", idle()).await?;
    lane.settled("unseen").await?;
    lane.proxy.watches(Order::Silence, &["dataplanes"]);
    delete(&lane, "unseen").await?;
    lane.apply("unseen", idle()).await?;
    lane.proxy.watches(Order::Flow, &[]);
    let second = lane.settled("unseen").await?.metadata.uid;
    ensure!(first != second);
    undisturbed.reached(&lane.scenario, "unseen").await?;
    lane.end().await
}

pub async fn an_api_server_that_is_away_is_waited_for(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    lane.apply("away", idle()).await?;
    lane.settled("away").await?;
    let undisturbed = State::of(&lane.scenario, "away").await?;
    lane.proxy.away(true);
    harm(&lane.scenario, "away").await?;
    lane.apply("new", idle()).await?;
    // Not a wait for something: this is how long it lasts.
    tokio::time::sleep(AWAY).await;
    lane.proxy.away(false);
    let began = Instant::now();
    undisturbed.reached(&lane.scenario, "away").await?;
    undisturbed.reached(&lane.scenario, "new").await?;
    let took = began.elapsed();
    println!("the API server was away for {AWAY:?}; all was well {took:?} after it came back");
    ensure!(took < BACK, "it took {took:?}");
    let starts = lane.log()?.matches("silverback starts").count();
    ensure!(starts == 1, "the operator ended");
    lane.at_rest().await?;
    lane.end().await
}

/// Deletes three children and edits another two ways.
async fn harm(s: &Scenario, dataplane: &str) -> Result<()> {
    let background = DeleteParams::background();
    let (secret, budget) = (names::admin_certificate(dataplane), names::disruption_budget(dataplane));
    s.api::<Secret>().delete(&secret, &background).await?;
    s.api::<PodDisruptionBudget>().delete(&budget, &background).await?;
    s.api::<Service>().delete(&names::admin_service(dataplane), &background).await?;
    let services: Api<Service> = s.api();
    let divert = json!({ "spec": { "selector": { "stolen": "yes" } } });
    services.patch(&names::ingress_service(dataplane), &PatchParams::default(), &Patch::Merge(&divert)).await?;
    let deployments: Api<Deployment> = s.api();
    let loosen = json!({ "spec": { "template": { "spec": { "automountServiceAccountToken": true } } } });
    deployments
        .patch(&names::deployment(dataplane, "1"), &PatchParams::default(), &Patch::Merge(&loosen))
        .await?;
    Ok(())
}
