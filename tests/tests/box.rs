//! The box itself: what it offers, that boxes do not disturb each other, and that nothing is left of one.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::image::Archive;
use cluster::{Cluster, Options};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(60);
const IMAGE: &str = "silverback.dev/answer:test";

/// A program of the package `cluster`, which cargo puts beside `box`.
fn program(name: &str) -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/box");
    let launcher = std::env::var_os("SILVERBACK_BOX").map_or_else(built, PathBuf::from);
    let path = launcher.with_file_name(name);
    assert!(path.is_file(), "{} is missing: run the suites by `cargo xtask test`, which makes it", path.display());
    path
}

fn archive(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("answer.tar");
    let archive = Archive { references: vec![IMAGE.into()], program: program("answer"), ..Archive::default() };
    archive.write(&path)?;
    Ok(path)
}

/// A namespace that refuses pods which are not restricted.
async fn namespace(cluster: &Cluster, name: &str) -> Result<()> {
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    let object = serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } }))?;
    let namespaces: Api<Namespace> = Api::all(cluster.client().await?);
    namespaces.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn pod(name: &str, node: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": "answer" } },
        "spec": {
            "nodeName": node,
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "answer",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "ports": [{ "containerPort": 8080 }],
                "resources": { "requests": { "cpu": "10m" }, "limits": { "memory": "64Mi" } },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "readOnlyRootFilesystem": true,
                },
                "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1 },
            }],
        },
    })
}

/// Starts pods, one a node, and waits until they are ready; their addresses.
async fn run_pods(cluster: &Cluster, namespace: &str, nodes: &[(&str, &str)]) -> Result<Vec<IpAddr>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, namespace);
    for (name, node) in nodes {
        pods.create(&PostParams::default(), &serde_json::from_value(pod(name, node))?).await?;
    }
    let started = nodes.iter().map(async |(name, _)| {
        let ready = tokio::time::timeout(SOON, await_condition(pods.clone(), name, is_ready)).await;
        ready.with_context(|| format!("the pod {name} is not ready"))??;
        let address = pods.get(name).await?.status.and_then(|status| status.pod_ip);
        Ok(address.context("a ready pod has an address")?.parse()?)
    });
    try_join_all(started).await
}

fn is_ready(pod: Option<&Pod>) -> bool {
    let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// A Service of type LoadBalancer before the pods: its own address, and that of its balancer.
async fn expose(cluster: &Cluster, namespace: &str) -> Result<(IpAddr, IpAddr)> {
    let services: Api<Service> = Api::namespaced(cluster.client().await?, namespace);
    let object = json!({
        "metadata": { "name": "answer" },
        "spec": {
            "type": "LoadBalancer",
            "selector": { "app": "answer" },
            "ports": [{ "port": 80, "targetPort": 8080 }],
        },
    });
    services.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let given = await_condition(services, "answer", |service: Option<&Service>| balancer(service).is_some());
    let service = tokio::time::timeout(SOON, given).await.context("the Service got no address")??;
    let own = service.as_ref().and_then(|service| service.spec.as_ref()?.cluster_ip.clone());
    let own = own.context("a Service has an address")?.parse()?;
    Ok((own, balancer(service.as_ref()).context("it was there")?))
}

fn balancer(service: Option<&Service>) -> Option<IpAddr> {
    let status = service?.status.as_ref()?.load_balancer.as_ref()?;
    status.ingress.as_ref()?.first()?.ip.as_ref()?.parse().ok()
}

/// Asks over a connection made by `connect`, again and again until there is an answer.
///
/// kube-proxy programs a Service's address a moment after its first endpoint is ready.
async fn ask(connect: impl AsyncFn() -> Result<TcpStream>, path: &str) -> Result<String> {
    let deadline = Instant::now() + SOON;
    loop {
        match tokio::time::timeout(Duration::from_secs(5), ask_once(connect().await, path)).await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) if Instant::now() > deadline => return Err(error),
            Err(_) if Instant::now() > deadline => anyhow::bail!("no answer to {path}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn ask_once(stream: Result<TcpStream>, path: &str) -> Result<String> {
    let mut stream = stream?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head and a body")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {text}");
    Ok(body.to_owned())
}

/// What a program in the box says on its standard output.
async fn said(mut command: tokio::process::Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output().await?;
    ensure!(done.status.success(), "{:?}: {}", done.status, String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

async fn shell(cluster: &Cluster, script: &str) -> Result<String> {
    let mut command = cluster.command("sh")?;
    command.args(["-ec", script]);
    said(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_serves_pods_services_and_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut steps = Vec::new();
    let options = Options { dns: true, ..Options::default() };
    let cluster = Cluster::start(options, |step| steps.push(step.message.clone())).await?;
    assert!(steps.iter().any(|step| step == "node-1 is Ready"), "{steps:?}");

    cluster.import(&archive(folder.path())?).await?;
    namespace(&cluster, "suite").await?;
    let addresses = run_pods(&cluster, "suite", &[("one", "node-1"), ("two", "node-1")]).await?;
    let (service, balancer) = expose(&cluster, "suite").await?;
    every_address_answers(&cluster, &addresses, service, balancer).await?;
    names_are_found(&cluster, addresses[0]).await?;
    programs_run_inside(&cluster).await?;
    the_balancer_takes_its_address_back(&cluster).await?;
    a_lost_component_is_told(cluster).await
}

async fn every_address_answers(cluster: &Cluster, pods: &[IpAddr], service: IpAddr, balancer: IpAddr) -> Result<()> {
    let [one, two] = pods else { panic!("two pods") };
    let to = |address: IpAddr, port: u16| async move || cluster.connect(SocketAddr::from((address, port))).await;
    assert_eq!(ask(to(*one, 8080), "/").await?, "one 10.88.0.1");
    for address in [service, balancer] {
        let answer = ask(to(address, 80), "/").await?;
        assert!(["one 10.88.0.1", "two 10.88.0.1"].contains(&answer.as_str()), "{answer}");
    }
    // From pod to pod, and through the Service also to itself: the asker's own address is kept, but for itself.
    assert_eq!(ask(to(*one, 8080), &format!("/dial/{two}:8080")).await?, format!("two {one}"));
    let mut reached = BTreeSet::new();
    let deadline = Instant::now() + SOON;
    while reached.len() < 2 && Instant::now() < deadline {
        let answer = ask(to(*one, 8080), &format!("/dial/{service}:80")).await?;
        reached.insert(answer.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["one", "two"]);
    Ok(())
}

async fn names_are_found(cluster: &Cluster, pod: IpAddr) -> Result<()> {
    let to = async || cluster.connect(SocketAddr::from((pod, 8080))).await;
    for name in ["answer", "answer.suite", "answer.suite.svc.cluster.local"] {
        ask(to, &format!("/dial/{name}:80")).await?;
    }
    let outside = ask_once(to().await, "/dial/example.com:80").await.unwrap_err().to_string();
    assert!(outside.contains("example.com:80: failed to lookup address"), "{outside}");
    let found = shell(cluster, "getent hosts kubernetes.default.svc.cluster.local").await?;
    assert!(found.starts_with("10.96.0.1 "), "{found}");
    Ok(())
}

async fn programs_run_inside(cluster: &Cluster) -> Result<()> {
    let mut kubectl = cluster.kubectl()?;
    kubectl.args(["exec", "--namespace=suite", "one", "--", "/usr/local/bin/answer", "--version"]);
    // The program has no such flag: it finds its port taken, which shows that it ran in the pod.
    let complaint = said(kubectl).await.unwrap_err().to_string();
    assert!(complaint.contains("Address already in use"), "{complaint}");

    let mut versions = cluster.kubectl()?;
    versions.args(["version", "--output=json"]);
    let versions: Value = serde_json::from_str(&said(versions).await?)?;
    assert_eq!(versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]);

    assert_eq!(shell(cluster, "echo $SILVERBACK_BOX_NAME; hostname").await?, {
        format!("{0}\nsilverback-{0}", cluster.name())
    });
    let mut other = cluster.command("sh")?;
    other.args(["-c", "echo $KUBECONFIG; exit 7"]).env("KUBECONFIG", "/mine");
    let done = other.output().await?;
    assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(7), b"/mine\n".as_slice()));

    let nodes: Api<Node> = Api::all(cluster.client().await?);
    let capacity = nodes.get("node-1").await?.status.and_then(|status| status.allocatable).context("a node offers")?;
    assert_eq!(capacity["cpu"].0, "32");
    Ok(())
}

async fn the_balancer_takes_its_address_back(cluster: &Cluster) -> Result<()> {
    let services: Api<Service> = Api::namespaced(cluster.client().await?, "suite");
    let patch = Patch::Merge(json!({ "spec": { "type": "ClusterIP" } }));
    services.patch("answer", &PatchParams::default(), &patch).await?;
    let cleared = await_condition(services, "answer", |service: Option<&Service>| balancer(service).is_none());
    tokio::time::timeout(SOON, cleared).await.context("the Service kept its address")??;
    Ok(())
}

async fn a_lost_component_is_told(cluster: Cluster) -> Result<()> {
    let (name, pid) = (cluster.name().to_owned(), cluster.facts().pid);
    // The pattern is that of the program's own command line, and not of the shell's that looks for it.
    let find = "tr '\\0' ' ' < $dir/cmdline | grep -q '^/[^ ]*/kubernetes kube-scheduler '";
    let script = format!("for dir in /proc/[0-9]*; do if {find}; then kill -KILL ${{dir#/proc/}}; fi; done");
    // The box may end before the shell does.
    let _ended_either_way = shell(&cluster, &script).await;
    until("process 1 ends", || !Path::new(&format!("/proc/{pid}")).exists()).await?;
    let told = cluster.stop().await.unwrap_err().to_string();
    assert!(told.contains("kube-scheduler ended (signal: 9 (SIGKILL))"), "{told}");
    let kept = std::env::temp_dir().join(format!("silverback-box-{name}"));
    if std::env::var_os("SILVERBACK_BOX_LOGS").is_none() {
        assert!(kept.join("kube-scheduler.log").is_file(), "no logs in {}", kept.display());
        std::fs::remove_dir_all(kept)?;
    }
    assert_eq!(left_of(&name), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn boxes_live_side_by_side_and_end_with_their_parents() -> Result<()> {
    let before = footprint();
    let named = |name: &str| Options { name: Some(name.into()), ..Options::default() };
    let (kept, (parent, launched)) = tokio::try_join!(Cluster::start_quietly(named("suite-kept")), orphan("suite-lost"))?;
    let lost = cluster::attach(Some("suite-lost"))?;
    assert_ne!(lost.facts().pid, kept.facts().pid);
    for kubeconfig in [kept.kubeconfig(), lost.facts().kubeconfig.as_path()] {
        namespace_through(kubeconfig).await?;
    }
    let twice = Cluster::start_quietly(named("suite-kept")).await.unwrap_err().to_string();
    assert!(twice.contains("already running"), "{twice}");

    end(parent, "suite-lost").await?;
    wait_for(launched).await?;
    let nodes: Api<Node> = Api::all(kept.client().await?);
    nodes.get("node-1").await.context("the other box was disturbed")?;

    kept.stop().await?;
    assert_eq!(left_of("suite-kept"), Vec::<String>::new());
    assert_eq!(footprint(), before);
    Ok(())
}

/// Makes a namespace through a kubeconfig from outside: each box has one of that name.
async fn namespace_through(kubeconfig: &Path) -> Result<()> {
    let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?;
    let namespaces: Api<Namespace> = Api::all(kube::Client::try_from(config)?);
    let object = serde_json::from_value(json!({ "metadata": { "name": "same" } }))?;
    namespaces.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// A box whose parent is another process: that process, and the program `box`.
async fn orphan(name: &str) -> Result<(Child, Child)> {
    let (input, held) = std::io::pipe()?;
    let parent = Command::new("sleep").arg("600").stdout(held).spawn()?;
    let launched = Command::new(program("box"))
        .args(["run", "--name", name])
        .stdin(input)
        .stdout(Stdio::null())
        .spawn()?;
    until("the box is ready", || cluster::attach(Some(name)).is_ok()).await?;
    Ok((parent, launched))
}

/// Kills a box's parent and waits until nothing is left of the box.
async fn end(mut parent: Child, name: &str) -> Result<()> {
    parent.kill()?;
    parent.wait()?;
    until("nothing is left of the box", || left_of(name).is_empty()).await
        .with_context(|| format!("left: {:#?}", left_of(name)))
}

async fn wait_for(mut child: Child) -> Result<()> {
    until("the program box ends", || matches!(child.try_wait(), Ok(Some(_)))).await?;
    ensure!(child.wait()?.success(), "box failed");
    Ok(())
}

async fn until(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !done() {
        ensure!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Processes, mounts, control groups and files of a box.
fn left_of(name: &str) -> Vec<String> {
    let own = format!("boxes/{name}");
    let mut left = Vec::new();
    for process in list("/proc").iter().filter(|path| path.join("cmdline").exists()) {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&format!("{own}/")) || line.ends_with(&format!("{own} ")) {
            left.push(format!("process {}: {line}", process.display()));
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&own)).map(|line| format!("mount {line}")));
    let group = format!("silverback-{name}");
    let groups = std::iter::once(PathBuf::from("/sys/fs/cgroup")).chain(list("/sys/fs/cgroup"));
    left.extend(groups.map(|root| root.join(&group)).filter(|dir| dir.exists()).map(|dir| dir.display().to_string()));
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/run".into(), PathBuf::from);
    let state = runtime.join("silverback").join(own);
    left.extend(state.exists().then(|| state.display().to_string()));
    left
}

fn list(dir: &str) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// What a box could leave on the machine beyond what has its name: interfaces, and the places where
/// container runtimes and kubelets usually keep things.
fn footprint() -> BTreeSet<PathBuf> {
    const PLACES: [&str; 8] =
        ["/sys/class/net", "/etc/cni", "/opt", "/run/containerd", "/run/netns", "/var/lib", "/var/log", "/var/run/kubernetes"];
    PLACES.into_iter().filter(|dir| Path::new(dir).exists()).flat_map(list).collect()
}

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
        for address in [service, balancer] {
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
