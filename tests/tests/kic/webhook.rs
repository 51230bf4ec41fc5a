//! The admission webhook, which asks Kong about routes.

use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};

use crate::manifests::{class, gateway, prefix, refused, route};
use crate::stage::Stage;

/// Between two tries.
const LOOK: Duration = Duration::from_millis(200);

fn configuration(own: &str, authority: &str) -> Value {
    json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": own }, "webhooks": [{
            "name": "httproutes.validation.ingress-controller.konghq.com", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "matchPolicy": "Equivalent",
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": own } },
            "clientConfig": { "caBundle": STANDARD.encode(authority),
                "service": { "name": "kic-webhook", "namespace": own } },
            "rules": [{ "apiGroups": ["gateway.networking.k8s.io"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["httproutes", "grpcroutes"] }] }] })
}

/// Applies an object, again while the rules of the node lag behind the endpoint of the webhook.
async fn let_in(stage: &Stage, object: &Value) -> Result<()> {
    let applied = async {
        while let Err(error) = stage.apply(object).await {
            ensure!(format!("{error:#}").contains("failed calling webhook"), "{error:#}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    tokio::time::timeout(SOON, applied).await?
}

pub async fn a_route_that_kong_refuses_is_not_let_in(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    let listen = [
        ("CONTROLLER_ADMISSION_WEBHOOK_LISTEN", "0.0.0.0:8080"),
        ("CONTROLLER_ADMISSION_WEBHOOK_CERT_FILE", "/tls/webhook/tls.crt"),
        ("CONTROLLER_ADMISSION_WEBHOOK_KEY_FILE", "/tls/webhook/tls.key"),
    ];
    stage.serve(1, &listen).await?;
    let (class, configuration) = (class(&own, true), configuration(&own, &stage.authority));
    for object in [&class, &gateway(&own), &configuration] {
        stage.apply(object).await?;
    }
    // Both are let in: one is good, the other of nobody's Gateway.
    let mut foreign = route("foreign", &refused());
    foreign["spec"]["parentRefs"][0]["name"] = json!("elsewhere");
    let_in(&stage, &route("good", &prefix("/x"))).await?;
    stage.apply(&foreign).await?;
    let bad = stage.apply(&route("bad", &refused())).await;
    let words = bad.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(words.contains("HTTPRoute failed schema validation"), "not refused for its path: {words:?}");
    let unknown = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute", "metadata": { "name": "g" },
        "spec": { "parentRefs": [{ "name": "gw" }] } });
    let words = stage.apply(&unknown).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(
        words.contains("unknown resource type to validate") || words.contains("500"),
        "a kind it does not know: {words:?}"
    );
    stage.delete(&configuration).await?;
    stage.delete(&class).await?;
    stage.end().await
}
