//! WebSocket: numbered messages, each of which must come back.
//!
//! In: a pace. Out: each message counted, and each connection that ended without a close frame counted as a failure.
//! A message that was sent and did not come back before its connection ended is lost: it is never sent again.

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::join_all;
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::answer::told;
use super::schedule::LONGEST;
use super::tally::Outcome;
use super::{Order, WEBSOCKETS};

/// How long a client keeps a WebSocket that it renews: longer than a pod waits before Kong begins to stop, so that
/// some are open when it does.
pub const LIFE: Duration = Duration::from_secs(20);

/// Runs all clients until told to stop.
pub async fn run(order: Order, life: Option<Duration>) {
    join_all((0..WEBSOCKETS).map(|number| Client::new(&order, number, life).run())).await;
}

/// One client with one connection at a time.
struct Client<'a> {
    order: &'a Order,
    number: usize,
    life: Option<Duration>,
    /// The next message.
    next: usize,
    /// Messages that have not come back.
    out: VecDeque<usize>,
}

type Socket = WebSocketStream<TcpStream>;

impl<'a> Client<'a> {
    fn new(order: &'a Order, number: usize, life: Option<Duration>) -> Self {
        Self { order, number, life, next: 0, out: VecDeque::new() }
    }

    async fn run(mut self) {
        // Turns are taken: the first life of each is shorter by its number.
        let share = self.life.map_or(Duration::ZERO, |life| life / u32::try_from(WEBSOCKETS).unwrap_or(1));
        let mut shorter = share * u32::try_from(self.number).unwrap_or(0);
        while !self.order.stop.is_cancelled() && self.order.books.began.elapsed() < LONGEST {
            let until = self.life.map(|life| Instant::now() + life.saturating_sub(shorter));
            shorter = Duration::ZERO;
            let opened = timeout(self.order.books.pace.deadline(), self.open()).await;
            let ended = match opened.unwrap_or_else(|_| Err("no handshake in time".to_owned())) {
                Ok(socket) => self.serve(socket, until).await,
                Err(cause) => {
                    // The message whose turn it is could not be sent.
                    sleep_until(self.order.due(self.next)).await;
                    self.out.push_back(self.next);
                    self.next += 1;
                    Err(cause)
                }
            };
            self.settle(ended);
        }
    }

    async fn open(&self) -> Result<Socket, String> {
        let target = &self.order.target;
        let stream = target.connect(&target.plain, self.number).await?;
        let shaken = tokio_tungstenite::client_async("ws://traffic.test/", stream).await;
        shaken.map(|(socket, _)| socket).map_err(|error| told(&error))
    }

    /// Sends and receives until either side closes. An error if there was no close frame.
    async fn serve(&mut self, mut socket: Socket, until: Option<Instant>) -> Result<(), String> {
        let stop = self.order.stop.clone();
        let end = until.unwrap_or_else(|| Instant::now() + LONGEST);
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.close(socket).await,
                () = sleep_until(end) => return self.close(socket).await,
                () = sleep_until(self.order.due(self.next)) => {
                    let text = self.next.to_string();
                    self.out.push_back(self.next);
                    self.next += 1;
                    socket.send(Message::text(text)).await.map_err(|error| told(&error))?;
                }
                came = socket.next() => if self.take(came)? {
                    // The server closes; the close frame that answers it goes out by this.
                    let _ = socket.flush().await;
                    return Ok(());
                }
            }
        }
    }

    /// Waits for what is out, then closes as the protocol wants it.
    async fn close(&mut self, mut socket: Socket) -> Result<(), String> {
        let deadline = self.order.books.pace.deadline();
        let closing = async {
            while !self.out.is_empty() {
                let came = socket.next().await;
                if self.take(came)? {
                    return Ok(());
                }
            }
            socket.close(None).await.map_err(|error| told(&error))?;
            while !self.take(socket.next().await)? {}
            Ok(())
        };
        let closed = timeout(deadline, closing).await;
        closed.unwrap_or_else(|_| Err("no close frame in time".to_owned()))
    }

    /// Takes what came; true after a close frame.
    fn take(&mut self, came: Option<Result<Message, Error>>) -> Result<bool, String> {
        match came {
            Some(Ok(Message::Text(text))) => self.came_back(&text).map(|()| false),
            Some(Ok(Message::Close(_))) => Ok(true),
            Some(Ok(_)) => Ok(false),
            Some(Err(error)) => Err(format!("closed without a close frame: {}", told(&error))),
            None => Err("closed without a close frame".to_owned()),
        }
    }

    fn came_back(&mut self, text: &str) -> Result<(), String> {
        match self.out.pop_front() {
            Some(number) if number.to_string() == *text => {
                self.count(number, Outcome::Answered);
                Ok(())
            }
            other => Err(format!("the message {text:?} came back instead of {other:?}")),
        }
    }

    /// Counts what a connection left behind.
    fn settle(&mut self, ended: Result<(), String>) {
        while let Some(number) = self.out.pop_front() {
            let why = ended.as_ref().err().map_or("closed before it came back", String::as_str);
            self.count(number, Outcome::Failed(format!("message lost: {why}")));
        }
        if let Err(cause) = ended {
            self.count(self.next, Outcome::Failed(cause));
        }
    }

    fn count(&self, number: usize, outcome: Outcome) {
        self.order.books.count(self.order.due(number), outcome);
    }
}
