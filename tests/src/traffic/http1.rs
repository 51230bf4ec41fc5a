//! HTTP/1.1: over a connection for each request, and over kept ones.
//!
//! In: a number. Out: what became of its request. A request is sent again only if not a byte of it was written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use super::Target;
use super::answer::{self, judge, told};
use super::metered::Metered;
use super::tally::Outcome;

/// Idle connections that a pool goes round. In turn, so that none is idle for long and all are in use when a
/// server closes them.
const KEPT: usize = 6;

/// A connection with room for one request at a time.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    received: Arc<AtomicUsize>,
    used: bool,
}

/// What came back.
enum Reply {
    Answered,
    /// The connection was closed before a byte of the request was written.
    Unsent,
    /// The request was written, and no byte came.
    Silent(String),
    Wrong(String),
}

/// Asks over a connection of its own.
pub async fn fresh(target: Target, number: usize) -> Outcome {
    let mut connection = match Connection::open(&target, number).await {
        Ok(connection) => connection,
        Err(cause) => return Outcome::Failed(cause),
    };
    match connection.ask(number, Duration::ZERO, false).await {
        Reply::Answered => Outcome::Answered,
        reply => Outcome::Failed(reply.cause()),
    }
}

/// Connections that are kept between requests.
pub struct Pool {
    target: Target,
    wait: Duration,
    idle: Mutex<VecDeque<Connection>>,
}

impl Pool {
    pub fn new(target: Target, wait: Duration) -> Self {
        Self { target, wait, idle: Mutex::default() }
    }

    /// Asks over the connection that has been idle for longest, once there are enough.
    pub async fn ask(self: Arc<Self>, number: usize) -> Outcome {
        loop {
            let mut connection = match self.connection(number).await {
                Ok(connection) => connection,
                Err(cause) => return Outcome::Failed(cause),
            };
            match connection.ask(number, self.wait, true).await {
                Reply::Answered => {
                    connection.used = true;
                    self.idle.lock().await.push_back(connection);
                    return Outcome::Answered;
                }
                Reply::Unsent if connection.used => {}
                Reply::Silent(_) if connection.used => return Outcome::Crossed,
                reply => return Outcome::Failed(reply.cause()),
            }
        }
    }

    async fn connection(&self, number: usize) -> Result<Connection, String> {
        {
            let mut idle = self.idle.lock().await;
            idle.retain(|connection| !connection.sender.is_closed());
            if idle.len() >= KEPT
                && let Some(connection) = idle.pop_front()
            {
                return Ok(connection);
            }
        }
        Connection::open(&self.target, number).await
    }
}

impl Connection {
    async fn open(target: &Target, number: usize) -> Result<Self, String> {
        let (stream, received) = Metered::new(target.connect(&target.plain, number).await?);
        let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
        // Ends with the connection; its errors come out of the request that they concern.
        tokio::spawn(driver);
        Ok(Self { sender, received, used: false })
    }

    async fn ask(&mut self, number: usize, wait: Duration, keep: bool) -> Reply {
        if self.sender.ready().await.is_err() {
            return Reply::Unsent;
        }
        let mut request = answer::request(number, wait);
        request.headers_mut().insert(HOST, HeaderValue::from_static("traffic.test"));
        // Origin form, as a server is asked.
        *request.uri_mut() = request.uri().path_and_query().cloned().map(Into::into).unwrap_or_default();
        if !keep {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let before = self.received.load(Ordering::Relaxed);
        match self.sender.try_send_request(request).await {
            Ok(response) => judge(response, number).await.map_or_else(Reply::Wrong, |()| Reply::Answered),
            Err(error) if error.message().is_some() => Reply::Unsent,
            Err(error) if self.received.load(Ordering::Relaxed) == before => {
                Reply::Silent(told(error.error()))
            }
            Err(error) => Reply::Wrong(told(error.error())),
        }
    }
}

impl Reply {
    fn cause(self) -> String {
        match self {
            Self::Answered => "answered".to_owned(),
            Self::Unsent => "a new connection was closed before a request could be written".to_owned(),
            Self::Silent(cause) | Self::Wrong(cause) => cause,
        }
    }
}
