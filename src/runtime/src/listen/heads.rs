//! How long a client may take to ask.
//!
//! In: what it sends. Out: when it is too late: long after the connection, or soon after the first byte of a head of
//! HTTP/1. Never: a word about a request whose head is there; whoever reads its body looks at the clock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long a connection may stand before its first request, and between two. Clients that Kubernetes is made of give up
/// idle connections after 90 s: whoever closes first must be the one that knows that nothing is on its way.
pub const IDLE: Duration = Duration::from_mins(2);
/// How long the head of a request may take from its first byte on. The API server gives up a review before that.
pub const HEAD: Duration = Duration::from_secs(10);
/// How a connection of HTTP/2 begins (RFC 9113, 3.4); its pings keep it from standing for nothing.
const HTTP_2: &[u8] = b"PRI";

/// Until when something has to come from a client.
#[derive(Clone)]
pub struct Heads(Arc<watch::Sender<Due>>);

#[derive(Clone, Copy, PartialEq)]
enum Due {
    /// Nothing has been asked yet.
    First(Instant),
    /// A head has begun.
    Rest(Instant),
    /// Nothing is waited for here.
    Never,
}

impl Heads {
    /// Of a connection that is new.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Due::First(Instant::now() + IDLE))))
    }

    /// A head is there.
    pub fn came(&self) {
        self.0.send_replace(Due::Never);
    }

    fn begins(&self) {
        let due = Due::Rest(Instant::now() + HEAD);
        self.0.send_if_modified(|known| {
            let is_new = !matches!(known, Due::Rest(_));
            *known = if is_new { due } else { *known };
            is_new
        });
    }

    /// Returns when the client is too late.
    pub async fn late(&self) {
        let mut all = self.0.subscribe();
        loop {
            let due = *all.borrow_and_update();
            let until = async {
                match due {
                    Due::First(at) | Due::Rest(at) => sleep_until(at).await,
                    Due::Never => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until => return,
                // The sender is ours: there is always one.
                _ = all.changed() => {}
            }
        }
    }
}

/// A stream of which is noted when heads begin. `is_asked` says whether a request is under way: what comes then is its
/// body.
pub struct Noted<S, F> {
    stream: S,
    heads: Heads,
    is_asked: F,
    /// The first bytes, until it is known what is spoken.
    first: Vec<u8>,
}

impl<S, F> Noted<S, F> {
    /// Notes in `heads` what comes by `stream`.
    pub const fn new(stream: S, heads: Heads, is_asked: F) -> Self {
        Self { stream, heads, is_asked, first: Vec::new() }
    }
}

impl<S, F: Fn() -> bool> Noted<S, F> {
    fn note(&mut self, came: &[u8]) {
        let room = HTTP_2.len() - self.first.len();
        self.first.extend(came.iter().take(room));
        if !came.is_empty() && self.first != HTTP_2 && !(self.is_asked)() {
            self.heads.begins();
        }
    }
}

impl<S: AsyncRead + Unpin, F: Fn() -> bool + Unpin> AsyncRead for Noted<S, F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        if read.is_ready() {
            this.note(into.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, F: Unpin> AsyncWrite for Noted<S, F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::{bind, plain};
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;

    /// How long a connection stands on which that is sent, after everything before it was answered.
    async fn stands(sent: &[&[u8]]) -> Duration {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "done" }));
        let serving = tokio::spawn(plain(listener, routes, CancellationToken::new()));
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut answer = vec![0; 4096];
        for (index, bytes) in sent.iter().enumerate() {
            client.write_all(bytes).await.unwrap();
            if index + 1 < sent.len() {
                assert!(client.read(&mut answer).await.unwrap() > 0);
            }
        }
        let began = Instant::now();
        while client.read(&mut answer).await.is_ok_and(|read| read > 0) {}
        serving.abort();
        began.elapsed()
    }

    const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_not_waited_for() {
        for sent in [&[b"G".as_slice()][..], &[b"GET / HTTP/1.1\r\nhost: a\r\nx"], &[WHOLE, b"GET / HT"]] {
            let stood = stands(sent).await;
            assert!(stood <= HEAD + Duration::from_secs(1), "{stood:?} after {sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_stays_longer_than_clients_keep_it() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for sent in [&[][..], &[WHOLE, b""], &[preface.as_slice()]] {
            let stood = stands(sent).await;
            let wanted = Duration::from_secs(90)..=IDLE + Duration::from_secs(1);
            assert!(wanted.contains(&stood), "{stood:?} after {sent:?}");
        }
    }
}
