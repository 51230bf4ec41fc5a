//! Runs a node from its first listener to its end.
//! In: sockets and signals. Out: an exit code, with the timing of Kong's nginx. Never parses a setting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::cli::start;
use crate::log;
use crate::node::Node;
use crate::server::bind::Sockets;
use crate::server::{self, Listener, Role};
use crate::stream::{self, udp};
use crate::tls;
use crate::tls::resolver::{BySni, Fixed};

/// From the last answer, or from a signal that cuts, to the end of the process.
const LAST: Duration = Duration::from_millis(200);
/// From SIGQUIT to the end where nothing is in flight.
const IDLE: Duration = Duration::from_millis(700);
/// Connections that end within this time had nothing in flight.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Serves until a signal ends it.
///
/// # Errors
/// Where a socket or a signal cannot be used.
pub async fn run(node: Arc<Node>, sockets: Sockets) -> io::Result<()> {
    let mut signals = Signals::new()?;
    listen(&node, sockets)?;
    node.store.write_pid()?;
    misbehave(&node);
    log::notice(&format!("start worker processes, kong {} (stand-in) is listening", node.conf.version));
    loop {
        match signals.next().await {
            Wanted::Reload => reload(&node),
            Wanted::Cut => {
                end(&node);
                sleep(LAST).await;
                break;
            }
            Wanted::Quit => {
                quit(&node, &mut signals).await;
                break;
            }
        }
    }
    node.store.clear_pid();
    Ok(())
}

fn listen(node: &Arc<Node>, sockets: Sockets) -> io::Result<()> {
    for (role, entry, socket) in sockets.http {
        let tls = if entry.has("ssl") { Some(config(node, role, entry.has("http2"))?) } else { None };
        let listener =
            Listener { role, tls, http2: entry.has("http2"), proxy_protocol: entry.has("proxy_protocol") };
        tokio::spawn(server::accept(node.clone(), TcpListener::from_std(socket)?, listener));
    }
    for (entry, socket) in sockets.stream {
        let tls = if entry.has("ssl") { Some(config(node, Role::Proxy, false)?) } else { None };
        tokio::spawn(stream::accept(node.clone(), TcpListener::from_std(socket)?, tls));
    }
    for socket in sockets.udp {
        tokio::spawn(udp::serve(node.clone(), UdpSocket::from_std(socket)?));
    }
    Ok(())
}

fn config(node: &Arc<Node>, role: Role, http2: bool) -> io::Result<Arc<ServerConfig>> {
    let own = &node.conf.certificates;
    let or_localhost = |pair: &Option<Arc<_>>| pair.clone().unwrap_or_else(|| node.localhost.clone());
    let resolver: Arc<dyn ResolvesServerCert> = match role {
        Role::Proxy => {
            Arc::new(BySni { snapshot: node.routing.subscribe(), fallback: or_localhost(&own.proxy) })
        }
        Role::Admin => Arc::new(Fixed(or_localhost(&own.admin))),
        Role::Status => Arc::new(Fixed(or_localhost(&own.status))),
    };
    let ask = role == Role::Admin && own.admin_clients.is_some();
    tls::server(resolver, ask, http2).map_err(io::Error::other)
}

/// Starts the misbehaviour that switches ask for.
fn misbehave(node: &Arc<Node>) {
    let switches = &node.conf.switches;
    if let Some(after) = switches.crash_after {
        tokio::spawn(async move {
            sleep(after).await;
            log::error("worker process exited on signal 11, as asked by STANDIN_CRASH_AFTER");
            std::process::exit(139);
        });
    }
    if switches.leak > 0 {
        let piece = usize::try_from(switches.leak).unwrap_or(usize::MAX);
        tokio::spawn(async move {
            let mut lost: Vec<Vec<u8>> = Vec::new();
            loop {
                // Touched, so that it counts as resident.
                lost.push(vec![1; piece]);
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
}

/// SIGHUP: a configuration file is read again, and draining ends.
fn reload(node: &Arc<Node>) {
    node.draining.store(false, Ordering::SeqCst);
    if let Err(error) = start::declarative(node) {
        log::error(&error);
    }
    log::notice("reconfiguring");
}

/// SIGQUIT: no new connections, answers in flight are finished, within the timeout if there is one.
async fn quit(node: &Arc<Node>, signals: &mut Signals) {
    let begun = Instant::now();
    node.stop.cancel();
    node.tasks.close();
    let limit = node.conf.shutdown_timeout.unwrap_or(Duration::MAX);
    loop {
        tokio::select! {
            () = node.tasks.wait() => break,
            () = sleep(limit.saturating_sub(begun.elapsed())) => {
                end(node);
                break;
            }
            wanted = signals.next() => if wanted == Wanted::Cut {
                end(node);
                break;
            }
        }
    }
    let waited = begun.elapsed();
    let rest = if waited > AT_ONCE { LAST } else { IDLE.saturating_sub(waited) };
    sleep(rest).await;
}

fn end(node: &Node) {
    node.stop.cancel();
    node.cut.cancel();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Quit,
    Cut,
    Reload,
}

/// The signals that nginx knows.
struct Signals {
    quit: Signal,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.quit.recv() => Wanted::Quit,
            _ = self.terminate.recv() => Wanted::Cut,
            _ = self.interrupt.recv() => Wanted::Cut,
            _ = self.hangup.recv() => Wanted::Reload,
        }
    }
}
