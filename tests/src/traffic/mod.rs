//! Traffic on a fixed schedule, and what became of each request.
//!
//! In: addresses, a way to connect to them, what to send and how often. Out: a tally for each kind. Requests begin
//! when the schedule says so, however slow the answers are, and their latency counts from then. Never sends a
//! request again that the server may have looked at, and ends by itself.

mod answer;
mod http1;
mod http2;
mod metered;
pub mod report;
mod schedule;
pub mod tally;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use schedule::{Books, Pace};
use tally::Tally;

/// Connects to an address.
pub type Dial = Arc<dyn Fn(SocketAddr) -> BoxFuture<'static, Result<TcpStream>> + Send + Sync>;

/// WebSocket clients side by side, each with one connection.
pub const WEBSOCKETS: usize = 5;
/// How long steady traffic may take to come: other work on the machine may have to end first.
const STEADY: Duration = Duration::from_mins(1);

/// Where requests go: to each address in turn.
#[derive(Clone)]
pub struct Target {
    /// The way there.
    pub dial: Dial,
    /// For HTTP/1.1 and WebSocket.
    pub plain: Vec<SocketAddr>,
    /// For HTTP/2 over TLS.
    pub secure: Vec<SocketAddr>,
}

/// A kind of traffic.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// HTTP/1.1, each request over a connection of its own.
    Fresh,
    /// HTTP/1.1 over a pool of connections that are kept.
    Kept,
    /// HTTP/1.1 over kept connections, with answers that take seconds.
    Long,
    /// HTTP/2 over TLS, several streams at a time on each connection.
    Http2,
    /// Messages over WebSocket connections that their clients renew, each in its turn.
    WebSocket,
    /// Messages over WebSocket connections that no client ever closes.
    EndlessWebSocket,
}

impl Kind {
    /// All whose every request must be answered, whatever happens to the pods.
    pub const ALL: &[Self] = &[Self::Fresh, Self::Kept, Self::Long, Self::Http2, Self::WebSocket];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "HTTP/1.1, new connections",
            Self::Kept => "HTTP/1.1, kept connections",
            Self::Long => "HTTP/1.1, answers of 3 s",
            Self::Http2 => "HTTP/2",
            Self::WebSocket => "WebSocket",
            Self::EndlessWebSocket => "WebSocket, never closed",
        }
    }

    fn pace(self) -> Pace {
        let (interval, wait) = match self {
            Self::Fresh | Self::Kept => (60, 0),
            Self::Long => (500, 3000),
            Self::Http2 => (60, 200),
            Self::WebSocket | Self::EndlessWebSocket => (100, 0),
        };
        Pace { interval: Duration::from_millis(interval), wait: Duration::from_millis(wait) }
    }
}

/// Traffic that flows until it is finished.
pub struct Traffic {
    began: Instant,
    stop: CancellationToken,
    flows: Vec<Flow>,
}

struct Flow {
    kind: Kind,
    books: Books,
    task: AbortOnDropHandle<()>,
}

impl Traffic {
    /// Begins to send.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn start(target: &Target, kinds: &[Kind]) -> Result<Self> {
        let (began, stop) = (Instant::now(), CancellationToken::new());
        let mut flows = Vec::new();
        for kind in kinds.iter().copied() {
            let books = Books { tally: Arc::default(), began, pace: kind.pace() };
            let order = Order { target: target.clone(), stop: stop.clone(), books: books.clone() };
            flows.push(Flow { kind, books, task: AbortOnDropHandle::new(order.begin(kind)?) });
        }
        Ok(Self { began, stop, flows })
    }

    /// How long it flows.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until each kind has had as many further answers as come in `time`, all of them promptly.
    ///
    /// # Errors
    /// When they do not come; says of which kind.
    pub async fn steady(&self, time: Duration) -> Result<()> {
        for flow in &self.flows {
            let Books { tally, pace, .. } = &flow.books;
            let more = usize::try_from((time.as_millis() / pace.interval.as_millis()).max(1))?;
            let (mut seen, before) = (tally.subscribe(), tally.borrow().answered());
            let steady = |tally: &Tally| tally.answered() >= before + more && tally.prompt >= more;
            let reached = tokio::time::timeout(STEADY, seen.wait_for(steady)).await;
            let now = || report::line(&tally.borrow());
            reached.with_context(|| {
                format!("{}: not steady within {STEADY:?}: {}", flow.kind.name(), now())
            })??;
        }
        Ok(())
    }

    /// Sends nothing more, waits for what is under way, and tells what became of everything.
    ///
    /// # Errors
    /// When the generator itself broke.
    pub async fn finish(self) -> Result<Vec<(Kind, Tally)>> {
        self.stop.cancel();
        let mut tallies = Vec::new();
        for flow in self.flows {
            flow.task.await.with_context(|| format!("{} broke", flow.kind.name()))?;
            tallies.push((flow.kind, flow.books.tally.borrow().clone()));
        }
        Ok(tallies)
    }
}

/// What one flow needs.
struct Order {
    target: Target,
    stop: CancellationToken,
    books: Books,
}

impl Order {
    fn begin(self, kind: Kind) -> Result<tokio::task::JoinHandle<()>> {
        let target = self.target.clone();
        Ok(match kind {
            Kind::Fresh => tokio::spawn(self.run(move |number| http1::fresh(target.clone(), number))),
            Kind::Kept | Kind::Long => {
                let pool = Arc::new(http1::Pool::new(target, self.books.pace.wait));
                tokio::spawn(self.run(move |number| Arc::clone(&pool).ask(number)))
            }
            Kind::Http2 => {
                let client = Arc::new(http2::Client::new(target, self.books.pace.wait)?);
                tokio::spawn(self.run(move |number| Arc::clone(&client).ask(number)))
            }
            Kind::WebSocket => tokio::spawn(websocket::run(self, Some(websocket::LIFE))),
            Kind::EndlessWebSocket => tokio::spawn(websocket::run(self, None)),
        })
    }
}

impl Target {
    async fn connect(&self, list: &[SocketAddr], number: usize) -> Result<TcpStream, String> {
        let address = number.checked_rem(list.len()).and_then(|turn| list.get(turn));
        let Some(address) = address else { return Err("no address to connect to".to_owned()) };
        let stream = (self.dial)(*address).await.map_err(|error| format!("{error:#}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(stream)
    }
}
