//! The connections of a listener, from the first byte to the last.
//!
//! In: connections and routes. Out: answered requests. A client that says nothing, or says it slowly, is left; where
//! there are too many, one that never asked for anything goes first, then one that rests. Never: a request that is cut
//! because the process ends, unless it takes longer than [`DRAIN`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Told;
use super::heads::{Heads, IDLE, Noted};

/// How long requests under way may take once a listener drains.
pub const DRAIN: Duration = Duration::from_secs(5);
/// How many connections there are at a time. An API server keeps a few to each replica.
pub const MOST: usize = 1024;
/// Requests at a time on one connection of HTTP/2.
const STREAMS: u32 = 128;
/// How much of an HTTP/1 head is read.
const HEAD: usize = 64 * 1024;

/// Serves until `told.drain`, and then what is under way.
pub async fn serve<L: Listener>(mut listener: L, routes: Router, told: Told) -> io::Result<()> {
    let leave = told.leave.clone();
    let routes =
        routes.layer(middleware::from_fn(move |request, next| parting(leave.clone(), request, next)));
    let mut connections = Connections::default();
    loop {
        tokio::select! {
            (stream, _) = listener.accept() => connections.take(stream, &routes),
            Some(_) = connections.tasks.join_next() => {}
            () = told.drain.cancelled() => break,
        }
    }
    drop(listener);
    connections.end().await;
    Ok(())
}

/// Tells HTTP/1.1 clients with their answer that the connection closes after it.
async fn parting(leave: CancellationToken, request: Request, next: Next) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    if leave.is_cancelled() && version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// In the order in which they came.
    open: Vec<Open>,
}

/// A connection as its listener knows it.
#[derive(Clone, Default)]
struct Open {
    /// Asks it to end, or says that it has.
    end: CancellationToken,
    used: Arc<Use>,
}

/// What a connection is used for.
#[derive(Default)]
struct Use {
    requests: AtomicUsize,
    under_way: AtomicUsize,
}

impl Open {
    /// The lower, the sooner it is asked to go.
    fn rank(&self) -> (bool, bool) {
        let is_some = |count: &AtomicUsize| count.load(Ordering::Relaxed) > 0;
        (is_some(&self.used.under_way), is_some(&self.used.requests))
    }
}

impl Connections {
    fn take<S>(&mut self, stream: S, routes: &Router)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        self.open.retain(|open| !open.end.is_cancelled());
        while self.open.len() >= MOST {
            let first =
                self.open.iter().enumerate().min_by_key(|(_, open)| open.rank()).map(|(index, _)| index);
            let Some(first) = first else { break };
            self.open.remove(first).end.cancel();
        }
        let open = Open::default();
        self.open.push(open.clone());
        self.tasks.spawn(one(stream, routes.clone(), open));
    }

    /// Lets all of them finish, for as long as that may take.
    async fn end(mut self) {
        self.open.iter().for_each(|open| open.end.cancel());
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, finished).await.is_err() {
            tracing::warn!("requests that did not end in time are cut");
        }
    }
}

/// One connection, until either side ends it.
async fn one<S>(stream: S, routes: Router, open: Open)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (heads, counted) = (Heads::new(), Arc::clone(&open.used));
    let (came, used) = (heads.clone(), Arc::clone(&open.used));
    let is_asked = move || used.under_way.load(Ordering::Relaxed) > 0;
    let stream = Noted::new(stream, heads.clone(), is_asked);
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        came.came();
        counted.requests.fetch_add(1, Ordering::Relaxed);
        let (routes, busy) = (routes.clone(), Busy::begin(&counted));
        async move {
            let answer = routes.oneshot(request.map(Body::new)).await;
            drop(busy);
            answer
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS).keep_alive_interval(IDLE);
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => log(ended),
        () = heads.late() => tracing::debug!("a client that was slow to ask is left"),
        () = open.end.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // What is under way is answered; a client that dribbles is not waited for.
            let ended = tokio::time::timeout(DRAIN, connection.as_mut()).await;
            log(ended.unwrap_or(Ok(())));
        }
    }
    open.end.cancel();
}

/// A request that is under way, for as long as this lives.
struct Busy(Arc<Use>);

impl Busy {
    fn begin(connection: &Arc<Use>) -> Self {
        connection.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn log<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
