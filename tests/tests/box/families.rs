//! Boxes of both families of addresses and of IPv6 alone, and nodes that are simulated.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use cluster::{Cluster, Families, Options};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pods::{ask, is_ready, namespace, run_pods, shell};
use crate::{SOON, archive};

#[tokio::test(flavor = "multi_thread")]
async fn a_box_has_both_families_and_simulated_nodes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        nodes: 2,
        archives: vec![archive(folder.path())?],
        families: Families::Dual,
        simulated_nodes: 2,
        ..Options::default()
    };
    let cluster = Cluster::start_quietly(options).await?;
    namespace(&cluster, "suite").await?;
    run_pods(&cluster, "suite", &[("one", "node-1"), ("two", "node-2")]).await?;
    let one = addresses(&cluster, "one").await?;
    let two = addresses(&cluster, "two").await?;
    assert_eq!(
        [one[0].is_ipv4(), one[1].is_ipv4(), two[0].is_ipv4(), two[1].is_ipv4()],
        [true, false, true, false]
    );

    let (own, given) = expose(&cluster, "RequireDualStack").await?;
    assert_eq!(given, ["10.97.0.1".parse::<IpAddr>()?, "fd00:10:97::1".parse()?]);
    for address in own.iter().chain(&given) {
        answers(&cluster, SocketAddr::from((*address, 80)), "").await?;
    }
    for (from, to) in [(one[0], two[1]), (two[1], one[1])] {
        // From node to node, and to the far end by its own address.
        answers(&cluster, SocketAddr::from((from, 8080)), &format!("dial/{}", SocketAddr::from((to, 8080))))
            .await?;
    }
    for at in ["10.88.0.1:0", "[fd00:10:88::1]:0"] {
        a_pod_reaches_a_listener_outside(&cluster, at.parse()?, two[0]).await?;
    }
    a_tolerant_pod_is_simulated(&cluster).await?;
    cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_has_ipv6_alone_and_every_pod_simulated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        archives: vec![archive(folder.path())?],
        families: Families::Ipv6,
        dns: true,
        simulated_nodes: 1,
        only_simulated: true,
        ..Options::default()
    };
    let cluster = Cluster::start_quietly(options).await?;
    namespace(&cluster, "suite").await?;
    // It names its node, and so is asked for no toleration.
    run_pods(&cluster, "suite", &[("one", "node-1")]).await?;
    let one = addresses(&cluster, "one").await?;
    assert!(matches!(one.as_slice(), [IpAddr::V6(_)]), "{one:?}");
    let (own, given) = expose(&cluster, "SingleStack").await?;
    assert_eq!(given, ["fd00:10:97::1".parse::<IpAddr>()?]);
    for address in own.iter().chain(&given) {
        answers(&cluster, SocketAddr::from((*address, 80)), "").await?;
    }
    answers(&cluster, SocketAddr::from((one[0], 8080)), "dial/answer.suite:80").await?;
    let found = shell(&cluster, "getent ahostsv6 kubernetes.default.svc.cluster.local").await?;
    assert!(found.starts_with("fd00:10:96::1 "), "{found}");
    let simulated = run(&cluster, json!({ "containers": [container()] })).await?;
    assert_eq!(simulated, "simulated-1");
    cluster.stop().await
}

/// A pod's addresses, the first family's first.
async fn addresses(cluster: &Cluster, name: &str) -> Result<Vec<IpAddr>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, "suite");
    let given = pods.get(name).await?.status.and_then(|status| status.pod_ips).unwrap_or_default();
    given.iter().map(|one| Ok(one.ip.parse()?)).collect()
}

/// A Service of type `LoadBalancer` of that family policy: its own addresses, and those of its balancer.
async fn expose(cluster: &Cluster, policy: &str) -> Result<(Vec<IpAddr>, Vec<IpAddr>)> {
    let services: Api<Service> = Api::namespaced(cluster.client().await?, "suite");
    let object = json!({
        "metadata": { "name": "answer" },
        "spec": {
            "type": "LoadBalancer",
            "ipFamilyPolicy": policy,
            "selector": { "app": "answer" },
            "ports": [{ "port": 80, "targetPort": 8080 }],
        },
    });
    services.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let has = |service: Option<&Service>| service.is_some_and(|service| !balancer(service).is_empty());
    let given = await_condition(services, "answer", has);
    let service = tokio::time::timeout(SOON, given).await.context("the Service got no address")??;
    let service = service.context("it was there")?;
    let own = service.spec.as_ref().and_then(|spec| spec.cluster_ips.clone()).unwrap_or_default();
    Ok((own.iter().filter_map(|ip| ip.parse().ok()).collect(), balancer(&service)))
}

fn balancer(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

async fn answers(cluster: &Cluster, at: SocketAddr, path: &str) -> Result<String> {
    let asked = ask(async || cluster.connect(at).await, &format!("/{path}")).await;
    asked.with_context(|| format!("{at} does not answer to /{path}"))
}

/// A program in a pod connects to this process.
async fn a_pod_reaches_a_listener_outside(cluster: &Cluster, at: SocketAddr, pod: IpAddr) -> Result<()> {
    let listener = cluster.listen(at)?;
    let here = listener.local_addr()?;
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await?;
            // Read first: a connection that is closed with something unread is reset.
            if stream.read(&mut [0; 512]).await? > 0 {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfrom outside").await?;
            }
        }
    };
    let to = SocketAddr::from((pod, 8080));
    let path = format!("dial/{here}");
    tokio::select! {
        ended = serve => ended,
        answer = answers(cluster, to, &path) => {
            assert_eq!(answer?, "from outside");
            Ok(())
        }
    }
}

async fn a_tolerant_pod_is_simulated(cluster: &Cluster) -> Result<()> {
    let node = run(
        cluster,
        json!({
            "containers": [container()],
            "nodeSelector": { "silverback.dev/simulated": "true" },
            "tolerations": [{ "key": "silverback.dev/simulated", "operator": "Exists" }],
        }),
    )
    .await?;
    assert!(node.starts_with("simulated-"), "{node}");
    Ok(())
}

/// Runs a pod of an image that is nowhere; the node on which it is Ready.
async fn run(cluster: &Cluster, mut spec: Value) -> Result<String> {
    spec["securityContext"] = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, "suite");
    let object = json!({ "metadata": { "name": "nothing" }, "spec": spec });
    pods.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let ready = tokio::time::timeout(SOON, await_condition(pods, "nothing", is_ready)).await;
    let pod = ready.context("the pod is not simulated")??.context("it was there")?;
    pod.spec.and_then(|spec| spec.node_name).context("a ready pod has a node")
}

fn container() -> Value {
    json!({ "name": "nothing", "image": "localhost/nowhere:1",
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } })
}
