//! An HTTP backend for tests: answers every request with what it was asked, as JSON.
//! In: HTTP/1.1 and HTTP/2 without TLS on `HTTP_PORT` (3000, as Gateway API's
//! echo-basic, under whose name it runs). Out: the echo, a status, a pause, or WebSocket frames.
//! Never keeps state, so that any number of replicas answer alike but for their name.

mod echo;

use std::sync::Arc;

use echo::{Place, answer};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port: u16 = std::env::var("HTTP_PORT").unwrap_or_else(|_| "3000".to_owned()).parse()?;
    let socket = bind(port).await?;
    println!("listening on port {}", socket.local_addr()?.port());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let place = Arc::new(Place::from_environment());
    loop {
        let accepted = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            accepted = socket.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            tasks.spawn(serve(stream, place.clone(), stop.clone(), tasks.clone()));
        }
    }
    drop(socket);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Both families where the machine has both.
async fn bind(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind(("::", port)).await {
        Ok(socket) => Ok(socket),
        Err(_) => TcpListener::bind(("0.0.0.0", port)).await,
    }
}

/// Serves a connection; when the process is told to end, it ends after the answer in flight.
async fn serve(stream: TcpStream, place: Arc<Place>, stop: CancellationToken, tasks: TaskTracker) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(place.clone(), tasks.clone(), request));
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
