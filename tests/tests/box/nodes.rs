//! Two nodes: every address is reached from both.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use cluster::{Cluster, Options};

use crate::archive;
use crate::pods::{ask, expose, namespace, run_pods, said};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_reach_each_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options { nodes: 2, archives: vec![archive(folder.path())?], ..Options::default() };
    let cluster = Cluster::start_quietly(options).await?;
    namespace(&cluster, "suite").await?;
    let addresses = run_pods(&cluster, "suite", &[("one", "node-1"), ("two", "node-2")]).await?;
    let [one, two] = addresses[..] else { panic!("two pods") };
    let (service, balancer) = expose(&cluster, "suite").await?;

    let from = |node: &'static str, address: IpAddr, port: u16| {
        let cluster = &cluster;
        async move || cluster.connect_from(node, SocketAddr::from((address, port))).await
    };
    for (node, own) in [("node-1", "10.88.0.1"), ("node-2", "10.88.1.1")] {
        assert_eq!(ask(from(node, one, 8080), "/").await?, format!("one {own}"));
        assert_eq!(ask(from(node, two, 8080), "/").await?, format!("two {own}"));
        // Often enough to meet both pods: what leaves the node comes from the node's own address too.
        for address in [service, balancer].repeat(4) {
            let answer = ask(from(node, address, 80), "/").await?;
            assert!(answer.ends_with(own), "{answer}");
        }
    }
    assert_eq!(ask(from("node-1", one, 8080), &format!("/dial/{two}:8080")).await?, format!("two {one}"));
    assert_eq!(ask(from("node-1", two, 8080), &format!("/dial/{one}:8080")).await?, format!("one {two}"));

    let mut logs = cluster.kubectl()?;
    logs.args(["get", "--raw", "/api/v1/nodes/node-2/proxy/healthz"]);
    assert_eq!(said(logs).await?, "ok");
    let mut own = cluster.command_on("node-2", "ip")?;
    own.args(["-brief", "address", "show", "cni0"]);
    assert!(said(own).await?.contains("10.88.1.1/24"));
    cluster.stop().await
}
