//! One node: pods in containers, addresses, names, programs in the box, and what a lost component tells.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster::{Cluster, Options};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::ends::left_of;
use crate::pods::{ask, ask_once, balancer, expose, namespace, run_pods, said, shell};
use crate::{SOON, archive, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_box_serves_pods_services_and_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut steps = Vec::new();
    let options = Options { dns: true, ..Options::default() };
    let cluster = Cluster::start(options, |step| steps.push((step.message.clone(), step.elapsed))).await?;
    let ready = steps.iter().find(|(message, _)| message == "node-1 is Ready").map(|(_, elapsed)| *elapsed);
    // About 5 s on two idle cores; other tests may keep them busy.
    assert!(ready.is_some_and(|elapsed| elapsed < Duration::from_secs(30)), "{steps:?}");

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

async fn every_address_answers(
    cluster: &Cluster,
    pods: &[IpAddr],
    service: IpAddr,
    balancer: IpAddr,
) -> Result<()> {
    let [one, two] = pods else { panic!("two pods") };
    let to =
        |address: IpAddr, port: u16| async move || cluster.connect(SocketAddr::from((address, port))).await;
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

    nobody_has_inherited_blocked_signals(cluster).await?;
    a_program_ends_with_who_started_it(cluster).await?;
    let nodes: Api<Node> = Api::all(cluster.client().await?);
    let capacity =
        nodes.get("node-1").await?.status.and_then(|status| status.allocatable).context("a node offers")?;
    assert_eq!(capacity["cpu"].0, "32");
    Ok(())
}

/// Neither what runs in the box, nor what runs in its pods: the program `box` blocks them for itself.
async fn nobody_has_inherited_blocked_signals(cluster: &Cluster) -> Result<()> {
    // Not through a shell: some clear what they inherit. Process 2 runs the cluster.
    let mut own = cluster.command("cat")?;
    own.args(["/proc/self/status", "/proc/2/status"]);
    let find =
        "for dir in /proc/[0-9]*; do if grep -q '^Name:.answer' $dir/status; then cat $dir/status; fi; done";
    let all = said(own).await? + "\n" + &shell(cluster, find).await?;
    let blocked: Vec<_> = all.lines().filter_map(|line| line.strip_prefix("SigBlk:\t")).collect();
    assert_eq!(blocked, ["0000000000000000"; 4]);
    Ok(())
}

async fn a_program_ends_with_who_started_it(cluster: &Cluster) -> Result<()> {
    let mut command = cluster.command("cat")?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("cat reads")?;
    input.write_all(b"still here\n").await?;
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().context("cat writes")?);
    output.read_line(&mut line).await?;
    assert_eq!(line, "still here\n");
    child.kill().await?;
    // The other end of cat's output closes when cat is gone, and not when its starter is.
    let rest = tokio::time::timeout(SOON, output.read_line(&mut line)).await;
    assert_eq!(rest.context("cat runs on")??, 0);
    drop(input);
    Ok(())
}

async fn the_balancer_takes_its_address_back(cluster: &Cluster) -> Result<()> {
    let services: Api<Service> = Api::namespaced(cluster.client().await?, "suite");
    let patch = Patch::Merge(json!({ "spec": { "type": "ClusterIP" } }));
    services.patch("answer", &PatchParams::default(), &patch).await?;
    let cleared =
        await_condition(services, "answer", |service: Option<&Service>| balancer(service).is_none());
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
