//! A listener for datagrams.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use crds::k8s::{EndpointSlice, Service};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use tests::world::Scenario;
use tokio::net::UdpSocket;

use super::routed::{CONFIGURED, class_of_kic, configured};
use super::streams::{serve_old, stream};
use super::{address, gateway, listener, until};

/// How long one datagram may be on its way there and back; then it is taken for lost.
const LOST: Duration = Duration::from_secs(1);

pub async fn datagrams_reach_their_backend(s: Scenario) -> Result<()> {
    serve_old(&s, "udproutes").await?;
    class_of_kic(&s).await?;
    let backend = s.world.cluster.listen_for_datagrams(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    backend_at(&s, backend.local_addr()?.port()).await?;
    let answering = tokio::spawn(echoed(backend));
    gateway(&s, "edge", json!({ "listeners": [{ "name": "udp", "port": 5353, "protocol": "UDP" }] })).await?;
    stream(&s, "UDPRoute", json!({ "name": "edge", "sectionName": "udp" }), ("datagrams", 53)).await?;
    let object = configured(&s, "edge").await?;
    let to = SocketAddr::new(address(&object)?, 5353);
    let asked = async {
        // Each from a port of its own: a node goes on sending where it sent the first one of a port.
        while asked(&s, to).await.is_err() {}
    };
    tokio::time::timeout(CONFIGURED, asked).await.context("no datagram comes back")?;
    until(&s, "edge", |object| listener(object, "udp").is_some_and(|found| found.attached_routes == 1))
        .await?;
    answering.abort();
    Ok(())
}

async fn asked(s: &Scenario, to: SocketAddr) -> Result<()> {
    let socket = s.world.cluster.datagrams(to).await?;
    socket.send(b"there and back").await?;
    let mut answer = [0; 64];
    let length = tokio::time::timeout(LOST, socket.recv(&mut answer)).await??;
    anyhow::ensure!(answer.get(..length) == Some(b"there and back".as_slice()), "another answer");
    Ok(())
}

/// Sends back what comes.
async fn echoed(socket: UdpSocket) -> Result<()> {
    let mut datagram = [0; 64];
    loop {
        let (length, from) = socket.recv_from(&mut datagram).await?;
        socket.send_to(datagram.get(..length).unwrap_or_default(), from).await?;
    }
}

/// A Service of what listens on that port of the first node.
async fn backend_at(s: &Scenario, port: u16) -> Result<()> {
    let nodes: Api<Node> = Api::all(s.world.client.clone());
    let node = nodes.list(&ListParams::default()).await?.items.into_iter().next().context("no node")?;
    let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
    let own = addresses.into_iter().find(|found| found.type_ == "InternalIP").context("no address")?;
    let service = json!({
        "metadata": { "name": "datagrams" },
        "spec": { "ports": [{ "name": "any", "port": 53, "protocol": "UDP", "targetPort": port }] },
    });
    s.api::<Service>().create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    let slice = json!({
        "metadata": { "name": "datagrams", "labels": { "kubernetes.io/service-name": "datagrams" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [own.address], "conditions": { "ready": true } }],
        "ports": [{ "name": "any", "port": port, "protocol": "UDP" }],
    });
    s.api::<EndpointSlice>().create(&PostParams::default(), &serde_json::from_value(slice)?).await?;
    Ok(())
}
