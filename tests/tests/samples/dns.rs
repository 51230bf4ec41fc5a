//! One question to a name server, and whether it was answered.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// For one try; a datagram may get lost, or be refused, while a node's rules change.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(10);
const ID: [u8; 2] = [0x5b, 0x5b];

/// Asks by datagrams until one is answered.
pub async fn over_udp(cluster: &Cluster, to: SocketAddr) -> Result<()> {
    let mut last = String::new();
    let asked = async {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            match tokio::time::timeout(PATIENCE, once(cluster, to)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => last = error.to_string(),
                Err(late) => last = late.to_string(),
            }
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.with_context(|| format!("no answer: {last}"))
}

async fn once(cluster: &Cluster, to: SocketAddr) -> Result<()> {
    let socket = cluster.datagrams(to).await?;
    socket.send(&question()).await?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).await?;
    answered(answer.get(..length).unwrap_or_default())
}

/// Asks over a connection, where a length stands before each message.
pub async fn over_tcp(cluster: &Cluster, to: SocketAddr) -> Result<()> {
    let asked = async {
        let mut stream = cluster.connect(to).await?;
        let question = question();
        stream.write_u16(u16::try_from(question.len())?).await?;
        stream.write_all(&question).await?;
        let mut answer = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut answer).await?;
        answered(&answer)
    };
    tokio::time::timeout(PATIENCE * 5, asked).await.context("no answer in time")?
}

/// For the address of `kubernetes.default.svc.cluster.local` (RFC 1035, 4.1).
fn question() -> Vec<u8> {
    let mut message = Vec::from(ID);
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in ["kubernetes", "default", "svc", "cluster", "local"] {
        message.push(u8::try_from(label.len()).unwrap_or_default());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// It is the answer to our question, without an error, and has an address.
fn answered(message: &[u8]) -> Result<()> {
    let head = message.get(..8).context("too short")?;
    ensure!(head.starts_with(&ID), "another question's answer: {head:?}");
    ensure!(
        head[2] & 0x80 != 0 && head[3].trailing_zeros() >= 4 && (head[6], head[7]) != (0, 0),
        "no address: {head:?}"
    );
    Ok(())
}
