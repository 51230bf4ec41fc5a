//! Certificates of listeners: whether they can be served, and who may refer to them.

use std::time::{Duration, SystemTime};

use certs::{Authority, Request};
use crds::k8s::{Namespace, Secret};
use kube::api::{ApiResource, DeleteParams, DynamicObject};

use super::{class, gateway, http, listener, of_listener, programmed, said, until};
use anyhow::{Context, Result, ensure};
use crds::conditions;
use gateway_api::gateways::Gateway;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tests::world::Scenario;

const HOUR: Duration = Duration::from_hours(1);
/// Long enough for a Gateway to be made and looked at.
const SHORT: Duration = Duration::from_secs(12);

fn https(reference: &Value) -> Value {
    json!({ "name": "https", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [reference] } })
}

/// A certificate and its key.
pub fn pair() -> Result<(String, String)> {
    let now = SystemTime::now();
    let pair = Authority::make("tests", now)?.issue(&Request::server(&["a.example".to_owned()]), now)?;
    Ok((pair.certificate, pair.key))
}

/// Makes the Secret `site` anew.
pub async fn put(api: &Api<Secret>, type_: &str, certificate: &str, key: &str) -> Result<()> {
    if api.get_opt("site").await?.is_some() {
        api.delete("site", &DeleteParams::default()).await?;
    }
    let object = json!({
        "metadata": { "name": "site" }, "type": type_,
        "stringData": { "tls.crt": certificate, "tls.key": key },
    });
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

pub async fn certificates_are_judged_and_followed(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80), https(&json!({ "name": "site" }))] }))
        .await?;
    let secrets: Api<Secret> = s.api();
    let resolved = |reason: &'static str, words: &'static str| {
        move |object: &Gateway| {
            let found =
                listener(object, "https").map(|found| found.conditions.as_slice()).unwrap_or_default();
            let message = conditions::get(found, "ResolvedRefs").map(|found| found.message.as_str());
            of_listener(object, "https", "ResolvedRefs").is_some_and(|(_, told)| told == reason)
                && message.is_some_and(|message| message.contains(words))
        }
    };
    let invalid = "InvalidCertificateRef";
    until(&s, "edge", resolved(invalid, "does not exist")).await?;
    programmed(&s, "edge").await.context("the other listener is served")?;
    let (certificate, key) = pair()?;
    put(&secrets, "Opaque", &certificate, &key).await?;
    put(&secrets, "kubernetes.io/tls", "Hello world", "Hello world").await?;
    until(&s, "edge", resolved(invalid, "cannot be read")).await?;
    let (_, other) = pair()?;
    put(&secrets, "kubernetes.io/tls", &certificate, &other).await?;
    until(&s, "edge", resolved(invalid, "private key")).await?;
    put(&secrets, "kubernetes.io/tls", &certificate, &key).await?;
    let object = until(&s, "edge", resolved("ResolvedRefs", "")).await?;
    ensure!(said(&object, "Accepted") == Some(("True", "Accepted")), "{:?}", object.status);
    until(&s, "edge", |object| of_listener(object, "https", "Programmed") == Some(("True", "Programmed")))
        .await?;
    secrets.delete("site", &DeleteParams::default()).await?;
    until(&s, "edge", resolved(invalid, "does not exist")).await?;
    Ok(())
}

/// One becomes valid and another one ends while nothing else happens.
pub async fn certificates_are_judged_by_the_clock(s: Scenario) -> Result<()> {
    class(&s).await?;
    let now = SystemTime::now();
    let authority = Authority::make("tests", now)?;
    let request = Request::server(&["a.example".to_owned()]);
    // What is issued is valid from an hour before.
    let later = authority.issue_for(&request, now + HOUR + SHORT, HOUR)?;
    let over = authority.issue_for(&request, now, SHORT)?;
    let secrets: Api<Secret> = s.api();
    for (name, pair) in [("later", &later), ("over", &over)] {
        let object = json!({
            "metadata": { "name": name }, "type": "kubernetes.io/tls",
            "stringData": { "tls.crt": pair.certificate, "tls.key": pair.key },
        });
        secrets.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    }
    let named = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": name }] } });
    // A Gateway each, for what turns at one would have all of it looked at.
    for (name, port) in [("later", 8443), ("over", 9443)] {
        gateway(&s, name, json!({ "listeners": [named(name, port)] })).await?;
    }
    let is = |name: &'static str, wanted: (&'static str, &'static str)| {
        move |object: &Gateway| of_listener(object, name, "ResolvedRefs") == Some(wanted)
    };
    let (good, wrong) = (("True", "ResolvedRefs"), ("False", "InvalidCertificateRef"));
    for (name, told) in [("later", wrong), ("over", good), ("later", good), ("over", wrong)] {
        until(&s, name, is(name, told)).await?;
    }
    Ok(())
}

pub async fn a_grant_gives_leave_and_takes_it_back(s: Scenario) -> Result<()> {
    class(&s).await?;
    let other = format!("{}-keys", s.namespace);
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let object = json!({ "metadata": { "name": other } });
    namespaces.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let (certificate, key) = pair()?;
    put(&Api::namespaced(s.world.client.clone(), &other), "kubernetes.io/tls", &certificate, &key).await?;
    let reference = json!({ "name": "site", "namespace": other });
    gateway(&s, "edge", json!({ "listeners": [https(&reference)] })).await?;
    let refused = |object: &Gateway| {
        of_listener(object, "https", "ResolvedRefs") == Some(("False", "RefNotPermitted"))
            && of_listener(object, "https", "Programmed") == Some(("False", "Invalid"))
    };
    let object = until(&s, "edge", refused).await?;
    ensure!(said(&object, "Accepted") == Some(("True", "ListenersNotValid")), "{:?}", object.status);
    let kind = ApiResource {
        group: "gateway.networking.k8s.io".into(),
        version: "v1beta1".into(),
        api_version: "gateway.networking.k8s.io/v1beta1".into(),
        kind: "ReferenceGrant".into(),
        plural: "referencegrants".into(),
    };
    let grants: Api<DynamicObject> = Api::namespaced_with(s.world.client.clone(), &other, &kind);
    let from = json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": s.namespace }]);
    let grant = json!({
        "apiVersion": kind.api_version, "kind": kind.kind, "metadata": { "name": "leave" },
        "spec": { "from": from, "to": [{ "group": "", "kind": "Secret", "name": "site" }] },
    });
    grants.create(&PostParams::default(), &serde_json::from_value(grant)?).await?;
    until(&s, "edge", |object| of_listener(object, "https", "Programmed") == Some(("True", "Programmed")))
        .await?;
    grants.delete("leave", &DeleteParams::default()).await?;
    until(&s, "edge", refused).await?;
    Ok(())
}
