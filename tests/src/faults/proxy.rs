//! A proxy between one operator and the API server.
//!
//! In: the operator's requests, over plain HTTP inside the box. Out: the same requests to the API server, with the
//! operator's own token, and what the script makes of them and of their answers. It shows the operator one
//! namespace only, so that several operators work side by side, each as if it had the cluster for itself. It never
//! makes a request of its own.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Cluster;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::service::service_fn;
use hyper::{Request, Response, http};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::asked::{Asked, dated};
use super::fault::Fault;
use super::stream::{Command, Order, ordered};

/// How long the first half of an answer has to get through before the connection is reset.
const HALF: Duration = Duration::from_millis(20);

type Script = Box<dyn FnMut(&Asked) -> Fault + Send>;
type Reply = UnsyncBoxBody<Bytes, Cut>;

/// The connection ends here, without another word.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    client: Client,
    namespace: String,
    script: Mutex<Script>,
    written: Mutex<Vec<Asked>>,
    commands: watch::Sender<Command>,
    held: watch::Sender<bool>,
    away: AtomicBool,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Starts one that shows `namespace`, and what is asked by name, such as what is in the operator's own.
    ///
    /// # Errors
    /// When it cannot listen in the box.
    pub async fn start(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let listener = cluster.listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            client: anonymous(cluster).await?,
            namespace: namespace.to_owned(),
            script: Mutex::new(Box::new(|_| Fault::None)),
            written: Mutex::default(),
            commands: watch::Sender::default(),
            held: watch::Sender::default(),
            away: AtomicBool::default(),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, server })
    }

    /// What a kubeconfig inside the box has to name as the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `script` decides what is done to each request.
    pub fn script(&self, script: impl FnMut(&Asked) -> Fault + Send + 'static) {
        self.shared.held.send_replace(false);
        *lock(&self.shared.script) = Box::new(script);
    }

    /// Lets `number` requests that are `meant` through, holds the answer to the last of them, and lets none through
    /// after it.
    pub fn hold_after(&self, number: usize, meant: impl Fn(&Asked) -> bool + Send + 'static) {
        let mut left = number;
        self.script(move |asked| {
            if !meant(asked) {
                return Fault::None;
            }
            let fault = match left {
                0 => Fault::Withheld,
                1 => Fault::Held,
                _ => Fault::None,
            };
            left = left.saturating_sub(1);
            fault
        });
    }

    /// From now on nothing is done to any request.
    pub fn calm(&self) {
        self.script(|_| Fault::None);
    }

    /// Waits until the answer to a request is held.
    ///
    /// # Errors
    /// Never: the proxy lives as long as it is borrowed.
    pub async fn held(&self) -> Result<()> {
        self.shared.held.subscribe().wait_for(|held| *held).await.context("the proxy has ended").map(drop)
    }

    /// Orders something for watches of these resources; without any, for all watches.
    pub fn watches(&self, order: Order, resources: &'static [&'static str]) {
        self.shared.commands.send_replace(Command { order, resources });
    }

    /// Whether the API server is away: no request gets through, and no watch goes on.
    pub fn away(&self, away: bool) {
        self.shared.away.store(away, Ordering::Release);
        self.watches(if away { Order::Drop } else { Order::Flow }, &[]);
    }

    /// The writes the API server has done since the last call, in their order.
    pub fn written(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.shared.written))
    }
}

/// A client without any rights: the operator's token comes with its requests.
async fn anonymous(cluster: &Cluster) -> Result<Client> {
    let mut file = Kubeconfig::read_from(cluster.kubeconfig())?;
    for user in &mut file.auth_infos {
        user.auth_info = Some(AuthInfo::default());
    }
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    // Whoever asks tries again, or does not; a watch may be silent.
    config.default_retry = false;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Ended with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&shared)));
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Closing then resets it, as a machine that is gone would.
    let _ = stream.set_zero_linger().and_then(|()| stream.set_nodelay(true));
    let service = service_fn(|request| shared.clone().request(request));
    // It ends by an error where it is cut.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    async fn request(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Reply>, Cut> {
        if self.away.load(Ordering::Acquire) {
            return Err(Cut);
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let asked = Asked::of(&head.method, &head.uri, &body);
        let fault = (*lock(&self.script))(&asked);
        match fault {
            Fault::Refused(refusal) => Ok(refusal.answer().map(whole)),
            Fault::Reset => Err(Cut),
            Fault::Lost => {
                let answer = self.forward(asked, head, body).await?;
                // The answer has come whole: what was asked for is done.
                answer.into_body().collect().await?;
                Err(Cut)
            }
            Fault::Truncated => half(self.forward(asked, head, body).await?).await,
            Fault::Late(by) => {
                tokio::time::sleep(by).await;
                self.forward(asked, head, body).await
            }
            Fault::AsOf(version) if asked.verb == "list" => {
                let mut head = head;
                head.uri = dated(&head.uri, version).parse().map_err(|_| Cut)?;
                self.forward(asked, head, body).await
            }
            Fault::None | Fault::AsOf(_) => self.forward(asked, head, body).await,
            Fault::Held => {
                self.forward(asked, head, body).await?.into_body().collect().await?;
                self.held.send_replace(true);
                std::future::pending().await
            }
            Fault::Withheld => std::future::pending().await,
        }
    }

    async fn forward(
        &self,
        asked: Asked,
        mut head: http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Reply>, Cut> {
        head.uri = asked.narrowed(&head.uri, &self.namespace).parse().map_err(|_| Cut)?;
        head.headers.remove(HOST);
        let request = Request::from_parts(head, Body::from(body));
        let answer = self.client.send(request).await.map_err(|_| Cut)?;
        if asked.is_write() && answer.status().is_success() {
            lock(&self.written).push(asked.clone());
        }
        Ok(answer.map(|body| match asked.verb {
            "watch" => {
                StreamBody::new(ordered(body, asked.resource, self.commands.subscribe())).boxed_unsync()
            }
            _ => body.map_err(|_| Cut).boxed_unsync(),
        }))
    }
}

fn lock<T: ?Sized>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn whole(body: String) -> Reply {
    Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync()
}

/// The first half of an answer, and then the end of the connection.
async fn half(answer: Response<Reply>) -> Result<Response<Reply>, Cut> {
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let first = stream::iter([Ok(Frame::data(body.slice(..body.len() / 2)))]);
    let end = stream::once(async {
        tokio::time::sleep(HALF).await;
        Err(Cut)
    });
    let frames = futures::StreamExt::chain(first, end);
    Ok(Response::from_parts(head, StreamBody::new(frames).boxed_unsync()))
}
