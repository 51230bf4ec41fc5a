//! Clients of the webhooks' listener that are slow, or too many, over real TLS; and HTTP/2, as the API server speaks it.
//!
//! In: a replica and the authority that it is trusted by. Out: nothing where each is answered, sent away or left as it
//! should be, and others are answered all the while.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use certs::client::{Trusts, client};
use crds::names::{NAMESPACE, WEBHOOK_SERVICE};
use futures::future::{try_join, try_join_all};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tests::world::{Scenario, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::stage::{Stage, text};

/// The largest body that is read.
const LARGEST: usize = 7 << 20;
/// How many of the largest bodies there is room for, in 64 MiB; a smaller one takes the rest.
const MANY: usize = 9;
/// Where reviews are posted.
const PATH: &str = "/validate/dataplanes";
/// How long a head may take, with time for a busy machine.
const HEAD: Duration = Duration::from_secs(30);
/// How often a crowd is tried: its bodies have to be there within the deadline of the first.
const TRIES: usize = 5;

pub async fn slow_and_crowding_clients_keep_nobody_out(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.alone(None).await?;
    stage.strict().await?;
    let secret = stage.at_rest().await?;
    let door = Door { world: stage.world, authority: text(&secret, "ca.crt") };
    let version_2 = door.by_http_2("by-http-2").await?;
    ensure!(version_2.pointer("/response/uid") == Some(&json!("by-http-2")), "{version_2}");
    let (stood, late) = try_join(door.slow_head(), door.late_body("too-late")).await?;
    ensure!(stood < HEAD, "a head that did not end was waited for {stood:?}");
    ensure!(late.pointer("/response/uid") == Some(&json!("too-late")), "{late}");
    ensure!(late.pointer("/response/status/code") == Some(&json!(408)), "{late}");
    ensure!(late.pointer("/response/allowed") == Some(&json!(false)), "{late}");
    let mut tries = 0;
    while !door.crowded().await? {
        tries += 1;
        ensure!(tries < TRIES, "nobody was sent away in {TRIES} crowds");
    }
    let after = door.ask("afterwards").await?;
    ensure!(after.contains("\"uid\":\"afterwards\"") && after.contains("\"allowed\":true"), "{after}");
    println!("a slow head was left after {stood:.1?}; sent away in crowd {}", tries + 1);
    stage.end().await
}

/// The listener of the first replica.
struct Door<'a> {
    world: &'a World,
    authority: String,
}

impl Door<'_> {
    async fn connect(&self, protocol: &str) -> Result<TlsStream<TcpStream>> {
        let mut config = client(Trusts::Authorities(&self.authority), SystemTime::now())?;
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = format!("{WEBHOOK_SERVICE}.{NAMESPACE}.svc").try_into()?;
        let stream = self.world.cluster.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, 9443))).await?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }

    /// Sends the beginning of a request whose body is to be that long.
    async fn begin(&self, length: usize, beginning: &[u8]) -> Result<TlsStream<TcpStream>> {
        let mut stream = self.connect("http/1.1").await?;
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(beginning).await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// The answer to a small review.
    async fn ask(&self, uid: &str) -> Result<String> {
        let body = review(uid).to_string();
        all(self.begin(body.len(), body.as_bytes()).await?).await
    }

    async fn by_http_2(&self, uid: &str) -> Result<Value> {
        let stream = TokioIo::new(self.connect("h2").await?);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        let running = tokio::spawn(connection);
        let request = Request::post(format!("https://localhost{PATH}"));
        let answer = sender.send_request(request.body(body(&review(uid)))?).await?;
        let answer = answer.into_body().collect().await?.to_bytes();
        running.abort();
        Ok(serde_json::from_slice(&answer)?)
    }

    /// How long a head is waited for that does not end.
    async fn slow_head(&self) -> Result<Duration> {
        let mut stream = self.connect("http/1.1").await?;
        stream.write_all(format!("POST {PATH} HTTP/1.1\r\nhost: a\r\nx-").as_bytes()).await?;
        let began = Instant::now();
        let told = tokio::time::timeout(HEAD, all(stream)).await.context("it is waited for")??;
        ensure!(told.is_empty(), "{told}");
        Ok(began.elapsed())
    }

    /// The answer to a review of which only the beginning comes.
    async fn late_body(&self, uid: &str) -> Result<Value> {
        // The API server writes the uid first.
        let beginning =
            format!(r#"{{"apiVersion":"admission.k8s.io/v1","request":{{"uid":"{uid}","object":{{"#);
        let told = all(self.begin(LARGEST, beginning.as_bytes()).await?).await?;
        let (_, answer) = told.split_once("\r\n\r\n").with_context(|| format!("no answer: {told:?}"))?;
        Ok(serde_json::from_str(answer)?)
    }

    /// Takes all the room there is for bodies; whether a further one was sent away meanwhile.
    async fn crowded(&self) -> Result<bool> {
        let filler = vec![b' '; LARGEST - 1];
        let rest = filler.get(..1023 << 10).context("it is longer")?;
        let large = (0..MANY).map(|_| self.begin(LARGEST, &filler));
        let (held, one) = try_join(try_join_all(large), self.begin(LARGEST, rest)).await?;
        let mut away = false;
        // The room is free again when the first of them is answered that it is late.
        let mut first = one;
        let over = all_of(&mut first);
        tokio::pin!(over);
        loop {
            tokio::select! {
                told = &mut over => { told?; break }
                told = self.ask("one-more") => {
                    let told = told?;
                    let is_away = told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 1");
                    ensure!(is_away || told.starts_with("HTTP/1.1 200 "), "{told}");
                    away |= is_away;
                }
            }
        }
        try_join_all(held.into_iter().map(all)).await?;
        Ok(away)
    }
}

async fn all(mut stream: TlsStream<TcpStream>) -> Result<String> {
    all_of(&mut stream).await
}

/// Everything until the other side ends, which it may without a farewell.
async fn all_of(stream: &mut TlsStream<TcpStream>) -> Result<String> {
    let mut told = Vec::new();
    let _ = stream.read_to_end(&mut told).await;
    Ok(String::from_utf8(told)?)
}

fn body(review: &Value) -> Full<Bytes> {
    Full::new(Bytes::from(review.to_string()))
}

fn review(uid: &str) -> Value {
    let kind = json!({ "group": crds::names::GROUP, "version": "v1beta1", "kind": "DataPlane" });
    let object = json!({ "metadata": { "name": "edge", "namespace": "team" }, "spec": {} });
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": { "uid": uid, "kind": kind, "name": "edge", "namespace": "team", "operation": "CREATE", "object": object },
    })
}
