//! Asks a pod for its figures.
//!
//! In: its address, a port and a path. Out: the text that it answered, or its lines while they come. A pod that hangs or
//! never ends its answer costs a bounded time and a bounded room; nothing is asked twice.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::lines::Lines;

/// The longest that an answer may take, from the connection to its last byte.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest answer, in bytes. Kong Ingress Controller's is some hundred kB; whoever can make a pod that passes for one
/// must not be able to fill the operator's memory with it.
const LIMIT: usize = 4 << 20;

/// The longest answer that is read line by line, in bytes. Kong's is some MB where there are thousands of routes; of it, no
/// more than a line is held, so this bounds the work and not the room.
const LONG: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered, or not to the end.
    #[error("{0} did not answer")]
    Unanswered(SocketAddr, #[source] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("{0} did not answer to the end")]
    Broken(SocketAddr, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("{0} did not answer within {limit:?}", limit = DEADLINE)]
    Late(SocketAddr),
    /// The answer is longer than anything that would be expected here.
    #[error("{0} answered more than {1} bytes")]
    Long(SocketAddr, usize),
    /// It answered something else.
    #[error("{0} answered {1}")]
    Status(SocketAddr, StatusCode),
    /// It answered no text.
    #[error("{0} answered no text")]
    NoText(SocketAddr),
}

/// Asks pods. Cloning shares what it is made of.
#[derive(Clone)]
pub struct Scraper {
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Default for Scraper {
    fn default() -> Self {
        // Pods come and go, and are asked seldom: a connection that is kept would only be one more to look after.
        Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http() }
    }
}

impl Scraper {
    /// What a pod answers to `GET`.
    ///
    /// # Errors
    /// No answer, none in time, a longer one than is believed, another status than 200, or no text.
    pub async fn get(&self, address: IpAddr, port: u16, path: &str) -> Result<String, Error> {
        let address = SocketAddr::new(address, port);
        let answer = tokio::time::timeout(DEADLINE, self.ask(address, path)).await;
        answer.unwrap_or(Err(Error::Late(address)))
    }

    /// The lines that a pod answers to `GET`, one by one as they come. What is no text among them is passed over.
    ///
    /// # Errors
    /// No answer, none in time, a longer one than is believed, or another status than 200. Lines may have been told before.
    pub async fn lines(
        &self,
        address: IpAddr,
        port: u16,
        path: &str,
        each: impl FnMut(&str) + Send,
    ) -> Result<(), Error> {
        let address = SocketAddr::new(address, port);
        let answer = tokio::time::timeout(DEADLINE, self.ask_lines(address, path, each)).await;
        answer.unwrap_or(Err(Error::Late(address)))
    }

    async fn ask(&self, address: SocketAddr, path: &str) -> Result<String, Error> {
        let answer = self.begun(address, path, LIMIT).await?;
        let read = Limited::new(answer.into_body(), LIMIT).collect().await;
        let body = read.map_err(|error| broken(address, LIMIT, error))?;
        String::from_utf8(body.to_bytes().into()).map_err(|_| Error::NoText(address))
    }

    async fn ask_lines(
        &self,
        address: SocketAddr,
        path: &str,
        mut each: impl FnMut(&str) + Send,
    ) -> Result<(), Error> {
        let answer = self.begun(address, path, LONG).await?;
        let mut body = Limited::new(answer.into_body(), LONG);
        let mut lines = Lines::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(address, LONG, error))?;
            if let Some(piece) = frame.data_ref() {
                lines.take(piece, &mut each);
            }
        }
        lines.finish(each);
        Ok(())
    }

    /// An answer that is one, and that does not say that it is too long.
    async fn begun(
        &self,
        address: SocketAddr,
        path: &str,
        limit: usize,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = format!("http://{address}{path}").parse().unwrap_or_default();
        let unanswered = |error| Error::Unanswered(address, error);
        let answer = self.client.request(request).await.map_err(unanswered)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::Status(address, answer.status()));
        }
        if answer.body().size_hint().lower() > limit as u64 {
            return Err(Error::Long(address, limit));
        }
        Ok(answer)
    }
}

fn broken(address: SocketAddr, limit: usize, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match error.downcast::<LengthLimitError>() {
        Ok(_) => Error::Long(address, limit),
        Err(error) => Error::Broken(address, error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What is said of somebody who answers so, and then closes or hangs.
    async fn answered(answer: &'static [u8], hangs: bool) -> Result<String, Error> {
        asked(answer, hangs, async |scraper, at| scraper.get(at.ip(), at.port(), "/metrics").await).await
    }

    /// The same, line by line; with the lines that were told.
    async fn lines(answer: &'static [u8]) -> (Vec<String>, Result<(), Error>) {
        asked(answer, false, async |scraper, at| {
            let mut told = Vec::new();
            let each = |line: &str| told.push(line.to_owned());
            let done = scraper.lines(at.ip(), at.port(), "/metrics", each).await;
            (told, done)
        })
        .await
    }

    async fn asked<T>(
        answer: &'static [u8],
        hangs: bool,
        ask: impl AsyncFnOnce(Scraper, SocketAddr) -> T,
    ) -> T {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"GET /metrics HTTP/1.1\r\n"));
            stream.write_all(answer).await.unwrap();
            if hangs {
                std::future::pending::<()>().await;
            }
        };
        let asking = ask(Scraper::default(), address);
        tokio::pin!(asking);
        tokio::select! {
            answer = &mut asking => answer,
            () = serving => asking.await,
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        let text = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nup 1", true).await.unwrap();
        assert_eq!(text, "up 1");
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        let refused = answered(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", true).await;
        assert!(matches!(refused, Err(Error::Status(_, StatusCode::FORBIDDEN))), "{refused:?}");
        let broken = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nup", false).await;
        assert!(matches!(broken, Err(Error::Broken(..))), "{broken:?}");
        let binary = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff", true).await;
        assert!(matches!(binary, Err(Error::NoText(_))), "{binary:?}");
        let long = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", true).await;
        assert!(matches!(long, Err(Error::Long(_, LIMIT))), "{long:?}");
    }

    #[tokio::test]
    async fn lines_are_told_as_they_come() {
        let (told, done) = lines(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na 1\n\nb 2\n").await;
        assert!(done.is_ok() && told == ["a 1", "b 2"], "{told:?} {done:?}");
        let chunks =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na 1\r\n2\r\n\nb\r\n0\r\n\r\n";
        let (told, done) = lines(chunks).await;
        assert!(done.is_ok() && told == ["a 1", "b"], "{told:?} {done:?}");
        let (told, done) = lines(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\na 1\nb").await;
        assert!(matches!(done, Err(Error::Broken(..))) && told == ["a 1"], "{told:?} {done:?}");
        let (told, done) = lines(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\na 1\n").await;
        assert!(matches!(done, Err(Error::Long(_, LONG))) && told.is_empty(), "{told:?} {done:?}");
    }
}
