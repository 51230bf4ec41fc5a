//! Sets of listeners.

use crds::DataPlane;
use gateway_api::listenersets::ListenerSet;
use kube::api::DeleteParams;

use super::{change, class, current, gateway, http, of_listener, until};
use anyhow::{Context, Result, ensure};
use crds::conditions;
use gateway_api::gateways::Gateway;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

async fn set(s: &Scenario, name: &str, listeners: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ListenerSet",
        "metadata": { "name": name },
        "spec": { "parentRef": { "name": "edge" }, "listeners": listeners },
    });
    s.api::<ListenerSet>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Has the set name another Gateway.
async fn moved(s: &Scenario, gateway: &str) -> Result<()> {
    let change = json!({ "spec": { "parentRef": { "name": gateway } } });
    let api: Api<ListenerSet> = s.api();
    api.patch("more", &PatchParams::default(), &Patch::Merge(change)).await.map(drop).map_err(Into::into)
}

fn counts(wanted: i32) -> impl Fn(&Gateway) -> bool {
    move |object| object.status.as_ref().is_some_and(|status| status.attached_listener_sets == Some(wanted))
}

fn of_set<'a>(set: &'a ListenerSet, type_: &str) -> Option<(&'a str, &'a str)> {
    let all = set.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    current(all, type_, set.metadata.generation)
}

pub async fn sets_are_let_in_and_told_apart(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    set(&s, "more", json!([http("clash", 80), http("alt", 8080)])).await?;
    let api: Api<ListenerSet> = s.api();
    let is = |type_: &'static str, wanted: (&'static str, &'static str)| {
        move |set: &ListenerSet| of_set(set, type_) == Some(wanted)
    };
    wait::until(&api, "more", SOON, is("Accepted", ("False", "NotAllowed"))).await?;
    until(&s, "edge", |object| {
        object.status.as_ref().is_some_and(|status| status.attached_listener_sets == Some(0))
    })
    .await?;
    change(&s, "edge", json!({ "allowedListeners": { "namespaces": { "from": "Same" } } })).await?;
    let found = wait::until(&api, "more", SOON, is("Programmed", ("True", "Programmed"))).await?;
    ensure!(of_set(&found, "Accepted") == Some(("True", "ListenersNotValid")), "{:?}", found.status);
    let listeners = found.status.and_then(|status| status.listeners).unwrap_or_default();
    let clash = listeners.iter().find(|listener| listener.name == "clash").context("no entry")?;
    let conflict = conditions::get(&clash.conditions, "Conflicted").context("no condition")?;
    ensure!(
        (conflict.status.as_str(), conflict.reason.as_str()) == ("True", "HostnameConflict"),
        "{conflict:?}"
    );
    let is_attached = |object: &Gateway| {
        object.status.as_ref().is_some_and(|status| status.attached_listener_sets == Some(1))
            && of_listener(object, "http", "Programmed") == Some(("True", "Programmed"))
    };
    until(&s, "edge", is_attached).await?;
    let ports = |dataplane: &DataPlane| {
        dataplane.ingress().and_then(|ingress| ingress.ports.as_ref()).map_or(0, Vec::len)
    };
    ensure!(ports(&s.api::<DataPlane>().get("edge").await?) == 2, "its port is not open");
    // It moves to another Gateway, and is counted there alone.
    gateway(
        &s,
        "other",
        json!({ "listeners": [http("http", 80)], "allowedListeners": { "namespaces": { "from": "Same" } } }),
    )
    .await?;
    moved(&s, "other").await?;
    until(&s, "other", counts(1)).await?;
    until(&s, "edge", counts(0)).await?;
    wait::until(&s.api(), "edge", SOON, |dataplane: &DataPlane| ports(dataplane) == 1).await?;
    moved(&s, "edge").await?;
    until(&s, "edge", is_attached).await?;
    api.delete("more", &DeleteParams::default()).await?;
    wait::until(&s.api(), "edge", SOON, |dataplane: &DataPlane| ports(dataplane) == 1).await?;
    Ok(())
}
