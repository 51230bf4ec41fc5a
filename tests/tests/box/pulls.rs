//! A box with `images: Real` pulls from registries, though it has no way out of its own network.

use std::collections::HashMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster::image::Archive;
use cluster::{Cluster, Images, Options};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_pod_running};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{SOON, program};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image as a registry holds it: the manifest, and blobs by their digest.
struct Stored {
    manifest: Vec<u8>,
    blobs: HashMap<String, Vec<u8>>,
}

fn store(archive: &Path) -> Result<Stored> {
    let mut files = HashMap::new();
    for entry in tar::Archive::new(std::fs::File::open(archive)?).entries()? {
        let mut entry = entry?;
        let (name, mut bytes) = (entry.path()?.to_string_lossy().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes)?;
        files.insert(name, bytes);
    }
    let index: Value = serde_json::from_slice(&files["manifest.json"])?;
    let name = index[0]["Config"].as_str().context("an archive names its configuration")?;
    let config = files.remove(name).context("and holds it")?;
    let layer = files.remove("layer.tar").context("an archive has a layer")?;
    // The archive says both digests itself: the one of the layer in the configuration, the other in its name.
    let parsed: Value = serde_json::from_slice(&config)?;
    let layer_digest =
        parsed["rootfs"]["diff_ids"][0].as_str().context("a configuration names layers")?.to_owned();
    let config_digest = format!("sha256:{}", name.trim_end_matches(".json"));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": config_digest },
        "layers": [{ "mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": layer.len(), "digest": layer_digest }],
    });
    Ok(Stored {
        manifest: serde_json::to_vec(&manifest)?,
        blobs: HashMap::from([(config_digest, config), (layer_digest, layer)]),
    })
}

/// Serves one image under every name, until the test ends.
async fn serve(image: Stored, address: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((address, 0)).await?;
    let place = listener.local_addr()?;
    let image = Arc::new(image);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&image)));
        }
    });
    Ok(place)
}

async fn answer(stream: TcpStream, image: Arc<Stored>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut line) = (String::new(), String::from("-"));
    stream.read_line(&mut first).await?;
    while !line.trim().is_empty() {
        line.clear();
        stream.read_line(&mut line).await?;
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let last = path.rsplit('/').next().unwrap_or_default().split('?').next().unwrap_or_default();
    let (status, kind, body) = match path {
        _ if path.contains("/manifests/") => ("200 OK", MANIFEST, Some(&image.manifest)),
        _ if path.contains("/blobs/") => ("200 OK", "application/octet-stream", image.blobs.get(last)),
        _ => ("404 Not Found", "text/plain", None),
    };
    let body = body.map_or([].as_slice(), Vec::as_slice);
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(body).await?;
    }
    Ok(stream.shutdown().await?)
}

/// An address of this machine that is no loopback one: containerd never asks a proxy for those.
fn own_address() -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Nothing is sent: this only chooses a route.
    socket.connect("192.0.2.1:9").context("the machine has no route but to itself")?;
    match socket.local_addr()? {
        SocketAddr::V4(address) => Ok(*address.ip()),
        SocketAddr::V6(address) => anyhow::bail!("{address} is no IPv4 address"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_pulled_through_the_box() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("answer.tar");
    let program = program("answer");
    Archive { references: vec!["unused:1".into()], program, ..Archive::default() }.write(&path)?;
    let registry = serve(store(&path)?, own_address()?).await?;

    let options = Options { images: Images::Real, ..Options::default() };
    let cluster = Cluster::start_quietly(options).await?;
    trust(&cluster, registry).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, "default");
    let pod = json!({
        "metadata": { "name": "pulled" },
        "spec": { "containers": [{ "name": "answer", "image": format!("{registry}/some/answer:1") }] },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let running = tokio::time::timeout(SOON, await_condition(pods.clone(), "pulled", is_pod_running())).await;
    running.with_context(|| "the image was not pulled")??;
    cluster.stop().await
}

/// Tells containerd that this registry speaks plain HTTP.
async fn trust(cluster: &Cluster, registry: SocketAddr) -> Result<()> {
    let dir = cluster.facts().dir.join("data/node-1/registries").join(registry.to_string());
    let script =
        format!("mkdir -p {0} && echo 'server = \"http://{registry}\"' > {0}/hosts.toml", dir.display());
    let done = cluster.command("sh")?.args(["-c", &script]).status().await?;
    ensure!(done.success(), "cannot write {}", dir.display());
    Ok(())
}
