//! A Gateway that is left to KIC, and an Ingress beside it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::world::Scenario;

use crate::calls;
use crate::manifests::{class, gateway, prefix, route};
use crate::stage::{Stage, holds};

pub async fn a_gateway_and_an_ingress_are_served(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    stage.serve(1, &[]).await?;
    let class = class(&own, true);
    stage.apply(&class).await?;
    let mut gateway = gateway(&own);
    let udp = json!({ "name": "udp", "port": 9000, "protocol": "UDP" });
    gateway["spec"]["listeners"].as_array_mut().context("no listeners")?.push(udp);
    stage.apply(&gateway).await?;
    stage.apply(&route("r", &prefix("/gateway"))).await?;
    stage.answers("/gateway", 200).await?;
    let seen = stage.until(&gateway, |g| g["status"]["listeners"][0]["attachedRoutes"] == 1).await?;
    let conditions = &seen["status"]["conditions"];
    ensure!(holds(conditions, "Programmed", "True", "Programmed"), "{conditions}");
    let publish = format!("{own}/kong-proxy");
    ensure!(seen["metadata"]["annotations"]["konghq.com/publish-service"] == publish, "{}", seen["metadata"]);
    let udp = &seen["status"]["listeners"][1]["conditions"];
    ensure!(holds(udp, "Accepted", "False", "UnsupportedProtocol"), "{udp}");
    let ingress = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "i" },
        "spec": { "ingressClassName": own, "rules": [{ "http": { "paths": [{ "path": "/ingress", "pathType": "Prefix",
            "backend": { "service": { "name": "echo", "port": { "number": 80 } } } }] } }] } });
    stage.apply(&ingress).await?;
    stage.answers("/ingress", 200).await?;
    let address = stage.proxy().await?.ip().to_string();
    stage.until(&ingress, |i| i["status"]["loadBalancer"]["ingress"][0]["ip"] == address).await?;
    calls::are_few(&stage).await?;
    stage.delete(&class).await?;
    stage.end().await
}
