//! Watches break, expire, go silent, and the API server goes away, while children are deleted and edited.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::k8s::{Deployment, PodDisruptionBudget, Secret, Service};
use crds::names;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tests::faults::{Fault, Lane, Order, Refusal, State, events};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{delete, idle, no_more_than, other};

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
            expire(&lane);
        } else {
            lane.proxy.calm();
        }
        let began = Instant::now();
        undisturbed.reached(&lane.scenario, "broken").await?;
        println!("{order:?} and {refusal:?}: all as before after {:.1?}", began.elapsed());
    }
    lane.end().await
}

/// Refuses to resume the watch of a kind, because its version is too old, until the kind is listed anew.
fn expire(lane: &Lane) {
    let mut listed = BTreeSet::new();
    lane.proxy.script(move |asked| {
        if asked.streams_list {
            listed.insert(asked.resource.clone());
        }
        let stale = asked.verb == "watch" && !listed.contains(&asked.resource);
        if stale { Fault::Refused(Refusal::Gone) } else { Fault::None }
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

/// As with a replica of the API server that lags behind with one kind: first it tells of long ago, and then, for a
/// while, nothing. (With all kinds from the same time there is nothing to do.)
pub async fn an_operator_that_starts_from_old_lists_catches_up(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    for name in ["changed", "gone"] {
        lane.apply(name, idle()).await?;
        lane.settled(name).await?;
    }
    let dataplanes: Api<DataPlane> = lane.scenario.api();
    let then = dataplanes.list(&ListParams::default()).await?.metadata.resource_version;
    let then = then.context("no version")?.parse()?;
    lane.apply("changed", other("changed")).await?;
    lane.settled("changed").await?;
    let undisturbed = State::of(&lane.scenario, "changed").await?;
    delete(&lane, "gone").await?;
    State::default().reached(&lane.scenario, "gone").await?;

    lane.kill().await?;
    lane.proxy.script(move |asked| match (asked.resource.as_str(), asked.streams_list) {
        ("dataplanes", true) => Fault::Refused(Refusal::Invalid),
        ("dataplanes", false) => Fault::AsOf(then),
        _ => Fault::None,
    });
    lane.proxy.watches(Order::Silence, &["dataplanes"]);
    lane.start().await?;
    // It believes what it sees, and makes again what is no longer wanted.
    let services: Api<Service> = lane.scenario.api();
    wait::until(&services, &names::ingress_service("changed"), SOON, |_| true).await?;
    lane.proxy.calm();
    lane.proxy.watches(Order::Flow, &[]);
    let began = Instant::now();
    undisturbed.reached(&lane.scenario, "changed").await?;
    let caught_up = began.elapsed();
    State::default().reached(&lane.scenario, "gone").await?;
    println!(
        "caught up after {caught_up:.1?}; what was made for nobody is gone after {:.1?}",
        began.elapsed()
    );
    lane.at_rest().await?;
    lane.end().await
}

pub async fn an_api_server_that_is_away_is_waited_for(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    lane.apply("away", idle()).await?;
    lane.settled("away").await?;
    let undisturbed = State::of(&lane.scenario, "away").await?;
    let told = events(&lane.scenario).await?.remove("away").unwrap_or_default();
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
    println!("the API server was away for {AWAY:?}; all was well {took:.1?} after it came back");
    ensure!(took < BACK, "it took {took:?}");
    let starts = lane.log()?.matches("silverback starts").count();
    ensure!(starts == 1, "the operator ended");
    for (name, again) in events(&lane.scenario).await? {
        ensure!(no_more_than(&told, &again), "{name}: undisturbed {told:?}, now {again:?}");
    }
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
    services
        .patch(&names::ingress_service(dataplane), &PatchParams::default(), &Patch::Merge(&divert))
        .await?;
    let deployments: Api<Deployment> = s.api();
    let loosen = json!({ "spec": { "template": { "spec": { "automountServiceAccountToken": true } } } });
    deployments
        .patch(&names::deployment(dataplane, "1"), &PatchParams::default(), &Patch::Merge(&loosen))
        .await?;
    Ok(())
}
