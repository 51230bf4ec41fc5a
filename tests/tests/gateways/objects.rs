//! The objects of a Gateway.

use crds::k8s::{NetworkPolicy, Pod, Service};
use crds::{ControlPlane, DataPlane, names};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};

use super::{BACK, change, class, gateway, http, listener, of_listener, programmed, said, until};
use anyhow::{Result, ensure};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

pub async fn what_is_changed_by_hand_comes_back(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    let dataplanes: Api<DataPlane> = s.api();
    let type_ = |dataplane: &DataPlane| dataplane.ingress().and_then(|ingress| ingress.type_);
    let before = wait::until(&dataplanes, "edge", SOON, |dataplane| type_(dataplane).is_some()).await?;
    let merge = PatchParams::default();
    let edit = json!({ "spec": { "network": { "services": { "ingress": { "type": "NodePort" } } } }, "metadata": { "labels": { "theirs": "1" } } });
    dataplanes.patch("edge", &merge, &Patch::Merge(edit)).await?;
    let back = wait::until(&dataplanes, "edge", BACK, |dataplane| type_(dataplane) == type_(&before)).await?;
    ensure!(back.labels().get("theirs").is_some_and(|value| value == "1"), "what others add stays");
    let controlplanes: Api<ControlPlane> = s.api();
    controlplanes.patch("edge", &merge, &Patch::Merge(json!({ "spec": { "dataplane": "other" } }))).await?;
    wait::until(&controlplanes, "edge", BACK, |found| found.spec.dataplane.as_deref() == Some("edge"))
        .await?;
    let policies: Api<NetworkPolicy> = s.api();
    let name = names::network_policy("edge");
    policies.patch(&name, &merge, &Patch::Merge(json!({ "spec": { "ingress": [{}] } }))).await?;
    let rules = |policy: &NetworkPolicy| {
        policy.spec.as_ref().and_then(|spec| spec.ingress.as_ref()).map_or(0, Vec::len)
    };
    wait::until(&policies, &name, BACK, |policy| rules(policy) == 2).await?;
    policies.delete(&name, &DeleteParams::default()).await?;
    wait::until(&policies, &name, BACK, |policy| rules(policy) == 2).await?;
    let uid = before.uid();
    dataplanes.delete("edge", &DeleteParams::default()).await?;
    wait::until(&dataplanes, "edge", SOON, |dataplane| dataplane.uid() != uid).await?;
    Ok(())
}

pub async fn one_bad_listener_hurts_only_itself(s: Scenario) -> Result<()> {
    class(&s).await?;
    let bad = json!({ "name": "bad", "port": 1111, "protocol": "INVALID" });
    gateway(&s, "mixed", json!({ "listeners": [http("http", 80), bad] })).await?;
    gateway(&s, "only", json!({ "listeners": [bad] })).await?;
    let object = programmed(&s, "mixed").await?;
    ensure!(said(&object, "Accepted") == Some(("True", "ListenersNotValid")), "{:?}", object.status);
    ensure!(
        of_listener(&object, "bad", "Accepted") == Some(("False", "UnsupportedProtocol")),
        "{:?}",
        object.status
    );
    let kinds = listener(&object, "bad").and_then(|found| found.supported_kinds.clone());
    ensure!(kinds == Some(Vec::new()), "supportedKinds is null, or names something: {kinds:?}");
    let object =
        until(&s, "only", |object| said(object, "Accepted") == Some(("False", "ListenersNotValid"))).await?;
    ensure!(said(&object, "Programmed") == Some(("False", "Invalid")), "{:?}", object.status);
    ensure!(s.api::<DataPlane>().get_opt("only").await?.is_none(), "a data plane without a listener");
    change(&s, "only", json!({ "listeners": [http("http", 80)] })).await?;
    programmed(&s, "only").await.map(drop)
}

pub async fn infrastructure_reaches_everything(s: Scenario) -> Result<()> {
    class(&s).await?;
    let infrastructure = json!({ "labels": { "cost": "7" }, "annotations": { "example.com/owner": "me" } });
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)], "infrastructure": infrastructure })).await?;
    programmed(&s, "edge").await?;
    let labelled = ListParams::default().labels("gateway.networking.k8s.io/gateway-name=edge,cost=7");
    let noted = |notes: &std::collections::BTreeMap<String, String>| {
        notes.get("example.com/owner").is_some_and(|value| value == "me")
    };
    let pods = s.api::<Pod>().list(&labelled).await?.items;
    let services = s.api::<Service>().list(&labelled).await?.items;
    ensure!(!pods.is_empty() && pods.iter().all(|pod| noted(pod.annotations())), "{} pods", pods.len());
    ensure!(services.len() == 1 && noted(services[0].annotations()), "{} services", services.len());
    ensure!(s.api::<DataPlane>().list(&labelled).await?.items.len() == 1, "the data plane has no labels");
    Ok(())
}
