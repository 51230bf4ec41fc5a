//! The webhook Service of an operator that is a process of the box, and no pod.
//!
//! In: a port of the first node. Out: an `EndpointSlice` of the Service, beside the empty one that Kubernetes keeps.

use anyhow::{Context, Result};
use crds::k8s::EndpointSlice;
use crds::names::{NAMESPACE, WEBHOOK_SERVICE};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

/// Tells the cluster that operator `number` answers on this port of the first node.
///
/// # Errors
/// The API server's.
pub async fn publish(client: &Client, number: u16, port: u16) -> Result<()> {
    let address = node(client).await?;
    let name = name(number);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/service-name": WEBHOOK_SERVICE,
                "endpointslice.kubernetes.io/managed-by": "silverback-tests",
            },
        },
        "addressType": if address.contains(':') { "IPv6" } else { "IPv4" },
        "ports": [{ "name": "webhooks", "port": port, "protocol": "TCP" }],
        "endpoints": [{ "addresses": [address], "conditions": { "ready": true } }],
    });
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    slices.patch(&name, &PatchParams::apply("silverback-tests").force(), &Patch::Apply(slice)).await?;
    Ok(())
}

/// Tells the cluster that operator `number` answers no more.
///
/// # Errors
/// The API server's.
pub async fn withdraw(client: &Client, number: u16) -> Result<()> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    slices.delete(&name(number), &DeleteParams::default()).await?;
    Ok(())
}

fn name(number: u16) -> String {
    format!("{WEBHOOK_SERVICE}-process-{number}")
}

/// The first address of the first node.
async fn node(client: &Client) -> Result<String> {
    let node = Api::<Node>::all(client.clone()).get("node-1").await?;
    let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
    let internal = addresses.into_iter().find(|address| address.type_ == "InternalIP");
    Ok(internal.context("the node has no address")?.address)
}
