//! What a Kong Ingress Controller may do, as the API server answers.

use anyhow::{Context, Result, ensure};
use crds::WatchNamespaceGrant;
use crds::access::GRANTS;
use crds::conditions::{reasons, types};
use crds::k8s::{ClusterRole, Namespace, Role, ServiceAccount};
use crds::names;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tests::world::{SOON, Scenario};
use tests::{audit, wait};

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

/// All that the operator does for a `ControlPlane` it may do, and of what it may do for one it does all.
pub async fn the_operator_holds_what_it_uses_and_no_more(s: Scenario) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let beside = format!("{}-beside", &s.namespace[..12]);
    let namespace = json!({ "metadata": { "name": beside } });
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    grant(&s, &beside).await?;
    pair(&s, "used", json!({ "watchNamespaces": { "type": "list", "list": [beside] } })).await?;
    let accounts: Api<ServiceAccount> = s.api();
    wait::until(&accounts, &names::controller("used"), SOON, |_| true).await?;
    let mine = json!({ "serviceAccountName": "default" });
    change(&s, "used", json!({ "deployment": { "podTemplateSpec": { "spec": mine } } })).await?;
    wait::gone(&accounts, &names::controller("used"), SOON).await?;
    delete(&s, "used").await?;
    let (given, refused) = audit::rights(&s.world.cluster)?;
    let kinds = [
        "controlplanes",
        "controlplanes/status",
        "clusterrolebindings",
        "clusterroles",
        "rolebindings",
        "roles",
        "serviceaccounts",
        "validatingwebhookconfigurations",
    ];
    // A right that was given a moment ago, when the operator was started, may be refused once.
    let is_asked = |right: &&String| kinds.iter().any(|kind| right.ends_with(&format!(" {kind}")));
    let refused: Vec<_> = refused.iter().filter(is_asked).collect();
    ensure!(refused.is_empty(), "the operator was refused: {refused:?}");
    let granted = GRANTS.iter().filter(|grant| kinds.contains(&grant.resource));
    let all = granted.flat_map(|grant| {
        // To apply what is not there yet is a patch that needs the right to create.
        let verbs = grant.verbs.iter().filter(|verb| **verb != "create");
        verbs.map(move |verb| format!("{verb} {} {}", grant.group, grant.resource))
    });
    // Those of Gateways are read and deleted; here there are none.
    let of_gateways = ["delete", "get"].map(|verb| format!("{verb} {} controlplanes", crds::names::GROUP));
    let all = all.filter(|right| !of_gateways.contains(right));
    let unused: Vec<_> = all.filter(|right| !given.contains(right)).collect();
    ensure!(unused.is_empty(), "rights that are never used: {unused:?}");
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
