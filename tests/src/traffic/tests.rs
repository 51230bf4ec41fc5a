//! Servers that misbehave in one way each, and what the generator calls it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::*;

const MOMENT: Duration = Duration::from_millis(500);

/// What a server does with the request of that number on a connection, counted from zero.
type Manners = fn(usize) -> Manner;

enum Manner {
    Answer,
    AnswerAndClose,
    Close,
    HalfAnAnswer,
    Refuse,
    Silence,
}

struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    async fn start(manners: Manners) -> Self {
        let asked = Arc::new(AtomicUsize::default());
        let counted = Arc::clone(&asked);
        Self::serving(asked, move |stream| talk(stream, manners, Arc::clone(&counted)).boxed()).await
    }

    /// With a task for each connection.
    async fn serving(
        asked: Arc<AtomicUsize>,
        serve: impl Fn(TcpStream) -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { address, asked, _task: AbortOnDropHandle::new(task) }
    }

    fn traffic(&self, kind: Kind) -> Traffic {
        let dial: Dial = Arc::new(|to| async move { Ok(TcpStream::connect(to).await?) }.boxed());
        let target = Target { dial, plain: vec![self.address], secure: vec![self.address] };
        Traffic::start(&target, &[kind]).unwrap()
    }

    /// The tally of traffic over a moment, in which so many requests were asked of it.
    async fn tally(&self, kind: Kind) -> (Tally, usize) {
        let traffic = self.traffic(kind);
        tokio::time::sleep(MOMENT).await;
        let tally = traffic.finish().await.unwrap().remove(0).1;
        assert!(tally.sent() > 2, "{tally:?}");
        (tally, self.asked.load(Ordering::Relaxed))
    }
}

/// Serves one connection of HTTP/1.1.
async fn talk(stream: TcpStream, manners: Manners, asked: Arc<AtomicUsize>) {
    let mut stream = BufReader::new(stream);
    for turn in 0.. {
        let Some(number) = head(&mut stream).await else { return };
        asked.fetch_add(1, Ordering::Relaxed);
        let body = format!("{{\"query\":\"n={number}\"}}");
        let answer = |status: &str, length: usize| {
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
        };
        let (text, on) = match manners(turn) {
            Manner::Answer => (answer("200 OK", body.len()), true),
            Manner::AnswerAndClose => (answer("200 OK", body.len()), false),
            Manner::HalfAnAnswer => (answer("200 OK", body.len() + 1), false),
            Manner::Refuse => (answer("503 Service Unavailable", body.len()), true),
            Manner::Close => return,
            Manner::Silence => return std::future::pending().await,
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        if !on {
            return;
        }
    }
}

/// The number in the next request's path.
async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut number = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some((_, rest)) = line.split_once("?n=") {
            number = rest.split_once(' ').map(|(number, _)| number.to_owned());
        }
        if line == "\r\n" {
            return number;
        }
    }
}

#[tokio::test]
async fn what_is_answered_is_answered() {
    let server = Server::start(|_| Manner::Answer).await;
    for kind in [Kind::Fresh, Kind::Kept] {
        let (tally, _) = server.tally(kind).await;
        assert_eq!((tally.answered(), tally.crossed), (tally.sent(), 0), "{tally:?}");
        assert!(tally.latency(50) <= tally.latency(99), "{tally:?}");
    }
}

#[tokio::test]
async fn a_used_connection_that_closes_on_a_request_is_crossed_and_the_request_is_not_sent_again() {
    let server = Server::start(|turn| if turn == 0 { Manner::Answer } else { Manner::Close }).await;
    let (tally, asked) = server.tally(Kind::Kept).await;
    assert!(tally.crossed > 0 && tally.failures.is_empty(), "{tally:?}");
    assert_eq!(asked, tally.sent());
}

#[tokio::test]
async fn a_new_connection_that_closes_on_a_request_is_a_failure() {
    let server = Server::start(|_| Manner::Close).await;
    for kind in [Kind::Fresh, Kind::Kept] {
        let (tally, _) = server.tally(kind).await;
        assert_eq!((tally.failures.len(), tally.crossed), (tally.sent(), 0), "{tally:?}");
    }
}

#[tokio::test]
async fn half_an_answer_is_a_failure_on_a_used_connection_too() {
    let server = Server::start(|turn| if turn == 0 { Manner::Answer } else { Manner::HalfAnAnswer }).await;
    let (tally, _) = server.tally(Kind::Kept).await;
    assert!(!tally.failures.is_empty() && tally.crossed == 0, "{tally:?}");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let server = Server::start(|_| Manner::AnswerAndClose).await;
    let (tally, asked) = server.tally(Kind::Kept).await;
    assert_eq!((tally.answered(), asked), (tally.sent(), tally.sent()), "{tally:?}");
}

#[tokio::test]
async fn another_status_is_a_failure_with_its_words() {
    let server = Server::start(|_| Manner::Refuse).await;
    let (tally, _) = server.tally(Kind::Fresh).await;
    assert_eq!(tally.failures.len(), tally.sent());
    assert!(tally.failures.iter().all(|failure| failure.cause.contains("503")), "{tally:?}");
}

#[tokio::test]
async fn requests_begin_on_time_though_none_is_answered() {
    let server = Server::start(|_| Manner::Silence).await;
    let _traffic = server.traffic(Kind::Fresh);
    let all = async {
        // A second's; the first of them waits for much longer.
        while server.asked.load(Ordering::Relaxed) < 16 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
}

/// How a WebSocket server ends.
#[derive(Clone, Copy)]
enum End {
    Never,
    CloseFrame,
    NoCloseFrame,
    LosesOne,
}

async fn websocket(end: End) -> Tally {
    let serve = move |stream| {
        async move {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            for turn in 0.. {
                let Some(Ok(message)) = socket.next().await else { return };
                if message.is_close() {
                    continue;
                }
                let last = turn == 2 && !matches!(end, End::Never);
                if !(last && matches!(end, End::LosesOne)) {
                    socket.send(message).await.unwrap();
                }
                if last {
                    if !matches!(end, End::NoCloseFrame) {
                        socket.close(None).await.unwrap();
                        while socket.next().await.is_some() {}
                    }
                    return;
                }
            }
        }
        .boxed()
    };
    Server::serving(Arc::default(), serve).await.tally(Kind::WebSocket).await.0
}

#[tokio::test]
async fn messages_that_come_back_are_answered() {
    let tally = websocket(End::Never).await;
    assert_eq!(tally.answered(), tally.sent(), "{tally:?}");
}

#[tokio::test]
async fn a_server_may_close_with_a_close_frame() {
    let tally = websocket(End::CloseFrame).await;
    // A message may have been under way; on a busy machine one is.
    assert!(tally.failures.iter().all(|failure| failure.cause.contains("message lost")), "{tally:?}");
    assert!(tally.answered() > WEBSOCKETS, "{tally:?}");
}

#[tokio::test]
async fn a_websocket_without_a_close_frame_is_a_failure() {
    let tally = websocket(End::NoCloseFrame).await;
    assert!(tally.failures.iter().any(|failure| failure.cause.contains("close frame")), "{tally:?}");
}

#[tokio::test]
async fn a_message_that_does_not_come_back_is_lost() {
    let tally = websocket(End::LosesOne).await;
    assert!(!tally.failures.is_empty(), "{tally:?}");
    assert!(tally.failures.iter().all(|failure| failure.cause.contains("message lost")), "{tally:?}");
}

/// A server of HTTP/2 that ends each connection after some requests: it goes away, or is cut.
async fn http2(goes_away: bool) -> Tally {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serve = move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let (enough, mut count) = watch::channel(0);
            let service = service_fn(move |request: Request<Incoming>| {
                enough.send_modify(|count| *count += 1);
                let cut = !goes_away && *enough.borrow() >= 3;
                let body = format!("{:?}", request.uri().query().unwrap_or_default());
                async move {
                    if cut {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, std::convert::Infallible>(Response::new(body))
                }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = count.wait_for(|count| *count >= 3) => {}
            }
            if goes_away {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
        .boxed()
    };
    Server::serving(Arc::default(), serve).await.tally(Kind::Http2).await.0
}

#[tokio::test]
async fn a_connection_that_goes_away_loses_no_stream() {
    let tally = http2(true).await;
    assert_eq!(tally.answered() + tally.crossed, tally.sent(), "{tally:?}");
    assert!(tally.answered() > tally.crossed, "{tally:?}");
}

#[tokio::test]
async fn a_connection_that_is_cut_loses_streams() {
    let tally = http2(false).await;
    assert!(!tally.failures.is_empty(), "{tally:?}");
}

#[tokio::test]
async fn steady_answers_are_waited_for_and_missed() {
    let server = Server::start(|_| Manner::Answer).await;
    let traffic = server.traffic(Kind::Kept);
    traffic.steady(MOMENT).await.unwrap();
    let tally = traffic.finish().await.unwrap().remove(0).1;
    assert!(tally.answered() >= 8, "{tally:?}");
}
