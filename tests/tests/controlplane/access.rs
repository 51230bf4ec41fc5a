//! What a Kong Ingress Controller may do, as the API server answers.

use anyhow::{Context, Result, ensure};
use crds::WatchNamespaceGrant;
use crds::conditions::{reasons, types};
use crds::k8s::{ClusterRole, Namespace, Role};
use crds::names;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{BACK, change, delete, pair, told};

/// Whether the account of a `ControlPlane` may list a kind, in a namespace or everywhere.
async fn may_list(s: &Scenario, name: &str, resource: &str, namespace: Option<&str>) -> Result<bool> {
    let attributes = ResourceAttributes {
        verb: Some("list".into()),
        resource: Some(resource.into()),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let user = format!("system:serviceaccount:{}:{}", s.namespace, names::controller(name));
    let spec = SubjectAccessReviewSpec {
        user: Some(user),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(s.world.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.context("no answer")?.allowed)
}

async fn grant(s: &Scenario, namespace: &str) -> Result<()> {
    let from =
        json!({ "group": "gateway-operator.konghq.com", "kind": "ControlPlane", "namespace": s.namespace });
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1alpha1",
        "kind": "WatchNamespaceGrant",
        "metadata": { "name": "reader" },
        "spec": { "from": [from] },
    });
    let grants: Api<WatchNamespaceGrant> = Api::namespaced(s.world.client.clone(), namespace);
    grants
        .create(&PostParams::default(), &serde_json::from_value(object)?)
        .await
        .map(drop)
        .map_err(Into::into)
}

pub async fn rights_follow_the_list_and_its_grants(s: Scenario) -> Result<()> {
    let (open, shut) = (format!("{}-open", &s.namespace[..10]), format!("{}-shut", &s.namespace[..10]));
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    for name in [&open, &shut] {
        let namespace = json!({ "metadata": { "name": name } });
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    }
    grant(&s, &open).await?;
    pair(&s, "reader", json!({ "watchNamespaces": { "type": "list", "list": [open, shut] } })).await?;
    let said = told(&s, "reader", types::WATCH_NAMESPACE_GRANT_VALID, reasons::WATCH_NAMESPACE_GRANT_INVALID)
        .await?;
    ensure!(said.message.contains(&shut) && !said.message.contains(&open), "{said:?}");
    let own = s.namespace.clone();
    for (namespace, want) in
        [(Some(open.as_str()), true), (Some(&own), true), (Some(&shut), false), (None, false)]
    {
        ensure!(may_list(&s, "reader", "secrets", namespace).await? == want, "secrets in {namespace:?}");
    }
    // A grant that comes opens a namespace, and one that goes closes it, rights and all.
    let role = names::controller_abroad(&s.namespace, "reader");
    let of = |namespace: &str| -> Api<Role> { Api::namespaced(s.world.client.clone(), namespace) };
    grant(&s, &shut).await?;
    wait::until(&of(&shut), &role, BACK, |_| true).await?;
    told(&s, "reader", types::WATCH_NAMESPACE_GRANT_VALID, reasons::WATCH_NAMESPACE_GRANT_VALID).await?;
    let grants: Api<WatchNamespaceGrant> = Api::namespaced(s.world.client.clone(), &open);
    grants.delete("reader", &DeleteParams::default()).await?;
    wait::gone(&of(&open), &role, BACK).await?;
    ensure!(!may_list(&s, "reader", "secrets", Some(&open)).await?, "it may still read what is closed");
    // Its own namespace alone, and then all of them.
    change(&s, "reader", json!({ "watchNamespaces": { "type": "own", "list": null } })).await?;
    wait::gone(&of(&shut), &role, BACK).await?;
    change(&s, "reader", json!({ "watchNamespaces": { "type": "all" } })).await?;
    let roles: Api<ClusterRole> = Api::all(s.world.client.clone());
    let whole =
        |role: &ClusterRole| serde_json::to_string(role).is_ok_and(|text| text.contains("\"secrets\""));
    wait::until(&roles, &role, BACK, whole).await?;
    ensure!(may_list(&s, "reader", "secrets", None).await?, "it may not read all");
    delete(&s, "reader").await?;
    wait::gone(&roles, &role, BACK).await?;
    ensure!(!may_list(&s, "reader", "secrets", None).await?, "its rights outlived it");
    Ok(())
}

pub async fn a_version_gets_the_rights_that_it_needs(s: Scenario) -> Result<()> {
    let container = json!({ "name": "controller", "image": "kong/kubernetes-ingress-controller:3.1.2" });
    let old = json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } });
    pair(&s, "old", old).await?;
    let roles: Api<ClusterRole> = Api::all(s.world.client.clone());
    let role = names::controller_abroad(&s.namespace, "old");
    wait::until(&roles, &role, SOON, |role| !format!("{role:?}").contains("kongcustomentities")).await?;
    let newer = json!([{ "name": "controller", "image": "kong/kubernetes-ingress-controller:3.2.0" }]);
    let spec = json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": newer } } } });
    change(&s, "old", spec).await?;
    wait::until(&roles, &role, BACK, |role| format!("{role:?}").contains("kongcustomentities"))
        .await
        .map(drop)
}
