//! HTTP/2 over TLS.
//!
//! In: a number. Out: what became of its request, one stream among others of a connection. A connection that says
//! that it goes away gets no new streams.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::Target;
use super::answer::{self, judge, told};
use super::tally::Outcome;
use super::tls::connector;

/// Connections, in turn.
const CONNECTIONS: usize = 4;
/// Connections that may go away in a row without having looked at a request.
const TRIES: usize = 5;

type Sender = SendRequest<Empty<Bytes>>;

/// A client with a few connections of many streams.
pub struct Client {
    target: Target,
    /// What the backend waits, so that streams overlap.
    wait: Duration,
    connector: TlsConnector,
    slots: [Mutex<Option<Sender>>; CONNECTIONS],
}

impl Client {
    pub fn new(target: Target, wait: Duration) -> anyhow::Result<Self> {
        Ok(Self { target, wait, connector: connector()?, slots: Default::default() })
    }

    /// Asks over the next connection in turn. What the server says that it did not look at is sent again, as clients
    /// of HTTP/2 do whatever the method.
    pub async fn ask(self: Arc<Self>, number: usize) -> Outcome {
        let mut answered = Outcome::Answered;
        for _ in 0..TRIES {
            let mut sender = match self.sender(number).await {
                Ok(sender) => sender,
                Err(cause) => return Outcome::Failed(cause),
            };
            if sender.ready().await.is_err() {
                self.forget(number, &sender).await;
                continue;
            }
            match sender.try_send_request(answer::request(number, self.wait)).await {
                Ok(response) => {
                    return judge(response, number).await.map_or_else(Outcome::Failed, |()| answered);
                }
                Err(error) if error.message().is_some() => self.forget(number, &sender).await,
                Err(error) if was_left_out(error.error()) => answered = Outcome::Crossed,
                Err(error) => return Outcome::Failed(told(error.error())),
            }
        }
        Outcome::Failed(format!("{TRIES} connections took no request"))
    }

    async fn sender(&self, number: usize) -> Result<Sender, String> {
        let turn = number % CONNECTIONS;
        let Some(slot) = self.slots.get(turn) else { return Err("no such connection".to_owned()) };
        // Held while connecting: the others of this connection wait for it.
        let mut slot = slot.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = self.open(turn).await?;
        Ok(slot.insert(sender).clone())
    }

    async fn open(&self, turn: usize) -> Result<Sender, String> {
        let stream = self.target.connect(&self.target.secure, turn).await?;
        let name = ServerName::try_from("traffic.test").map_err(|error| told(&error))?;
        let stream = self.connector.connect(name, stream).await.map_err(|error| told(&error))?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("the server does not speak HTTP/2".to_owned());
        }
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, driver) = shaken.map_err(|error| told(&error))?;
        // Ends with the connection; its errors come out of the requests that they concern.
        tokio::spawn(driver);
        Ok(sender)
    }

    /// A connection that takes no more streams gives its place to a new one, unless it has already.
    async fn forget(&self, number: usize, sender: &Sender) {
        let Some(slot) = self.slots.get(number % CONNECTIONS) else { return };
        if sender.is_closed() {
            slot.lock().await.take_if(|held| held.is_closed());
        }
    }
}

/// Whether the server says that it did not look at the stream (RFC 9113 §6.8 and §8.7).
fn was_left_out(error: &hyper::Error) -> bool {
    let chain = std::iter::successors(std::error::Error::source(error), |error| error.source());
    chain.filter_map(|error| error.downcast_ref::<h2::Error>()).any(|error| {
        let reason = error.reason();
        error.is_remote()
            && (error.is_go_away() && reason == Some(h2::Reason::NO_ERROR)
                || reason == Some(h2::Reason::REFUSED_STREAM))
    })
}
