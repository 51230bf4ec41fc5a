//! How a node ends: by SIGTERM, by SIGQUIT, by `kong quit` and `kong drain`.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::backend::Backend;
use crate::harness::{Kong, Reply, ask, connect, get, receive, send, until};

const MILLI: Duration = Duration::from_millis(1);

fn routed(extra: &[(&str, &str)]) -> (Kong, Backend) {
    let backend = Backend::start("one");
    let kong = Kong::start(extra);
    kong.configure(&json!({"services": [{"name": "a", "host": "127.0.0.1", "port": backend.port,
        "routes": [{"name": "r", "paths": ["/"], "strip_path": false}]}]}));
    (kong, backend)
}

/// Sends a slow request and waits until the upstream has it.
fn in_flight(kong: &Kong, backend: &Backend, path: &str) -> TcpStream {
    let before = backend.seen();
    let mut stream = connect(kong.proxy).unwrap();
    send(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
    until("the upstream", || (backend.seen() > before).then_some(()));
    stream
}

/// A connection that has had its answer and waits for more.
fn idle(kong: &Kong) -> TcpStream {
    let mut stream = connect(kong.proxy).unwrap();
    send(&mut stream, "GET /idle HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(receive(&mut stream).unwrap().header("connection"), Some("keep-alive"));
    stream
}

fn answer(mut stream: TcpStream) -> Option<Reply> {
    receive(&mut stream)
}

fn refused(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

#[test]
fn terminate_cuts_what_is_in_flight() {
    let (mut kong, backend) = routed(&[]);
    let stream = in_flight(&kong, &backend, "/slow/9000");
    let rest = idle(&kong);
    kong.signal(Signal::SIGTERM);
    let begun = Instant::now();
    assert!(answer(stream).is_none(), "cut without an answer");
    assert!(answer(rest).is_none());
    let (status, _) = kong.end();
    assert!(status.success());
    let took = begun.elapsed();
    assert!(took < 4000 * MILLI, "{took:?}");
}

#[test]
fn quit_finishes_what_is_in_flight() {
    let (mut kong, backend) = routed(&[]);
    let stream = in_flight(&kong, &backend, "/slow/2500");
    let rest = idle(&kong);
    let begun = Instant::now();
    kong.signal(Signal::SIGQUIT);
    assert!(answer(rest).is_none(), "an idle connection is closed at once");
    assert!(begun.elapsed() < 2000 * MILLI, "{:?}", begun.elapsed());
    for port in [kong.proxy, kong.tls, kong.admin, kong.status] {
        until("the listeners to close", || refused(port).then_some(()));
    }
    assert!(begun.elapsed() < 2000 * MILLI, "{:?}", begun.elapsed());
    let reply = answer(stream).expect("the answer in flight");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("connection"), Some("close"));
    let (status, after) = kong.end();
    assert!(status.success());
    assert!(after < 2000 * MILLI, "{after:?}");
}

#[test]
fn quit_with_nothing_in_flight_takes_less_than_a_second() {
    let (mut kong, _backend) = routed(&[]);
    kong.signal(Signal::SIGQUIT);
    let (status, took) = kong.end();
    assert!(status.success());
    assert!(took > 500 * MILLI && took < 4000 * MILLI, "{took:?}");
}

#[test]
fn a_connection_that_never_sent_anything_holds_a_quit() {
    let (mut kong, _backend) = routed(&[]);
    let silent = connect(kong.proxy).unwrap();
    // Seen by the node, not only by the kernel.
    until("the connection", || {
        let active = get(kong.status, "/status").json()["server"]["connections_active"].as_u64().unwrap();
        (active >= 2).then_some(())
    });
    kong.signal(Signal::SIGQUIT);
    until("the listener to close", || refused(kong.proxy).then_some(()));
    let begun = Instant::now();
    while begun.elapsed() < 1200 * MILLI {
        assert!(kong.child.try_wait().unwrap().is_none(), "ended though a connection is open");
        thread::sleep(20 * MILLI);
    }
    drop(silent);
    assert!(kong.end().0.success());
}

#[test]
fn the_shutdown_timeout_cuts() {
    let (mut kong, backend) = routed(&[("KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT", "1s")]);
    let stream = in_flight(&kong, &backend, "/slow/8000");
    let begun = Instant::now();
    kong.signal(Signal::SIGQUIT);
    assert!(answer(stream).is_none());
    let cut = begun.elapsed();
    assert!(cut > 900 * MILLI && cut < 5000 * MILLI, "{cut:?}");
    assert!(kong.end().0.success());
}

#[test]
fn the_quit_command_serves_while_it_waits() {
    let (mut kong, _backend) = routed(&[]);
    let mut rest = idle(&kong);
    let begun = Instant::now();
    let output = thread::scope(|scope| {
        let command = scope.spawn(|| kong.command(&["quit", "--wait=1", "--timeout=10"]));
        while begun.elapsed() < 700 * MILLI {
            assert_eq!(get(kong.proxy, "/").status, 200, "served normally");
            assert_eq!(get(kong.status, "/status/ready").status, 200, "and ready");
        }
        send(&mut rest, "GET /again HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(receive(&mut rest).unwrap().status, 200, "idle connections stay open");
        command.join().unwrap()
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Kong stopped (gracefully)\n");
    assert!(begun.elapsed() > 1000 * MILLI);
    assert!(kong.end().0.success());
}

#[test]
fn the_quit_command_ends_by_force_after_its_timeout() {
    let (mut kong, backend) = routed(&[]);
    let stream = in_flight(&kong, &backend, "/slow/15000");
    let output = kong.command(&["quit", "--timeout", "1"]);
    assert!(output.status.success());
    assert!(answer(stream).is_none());
    assert!(kong.end().0.success());
}

#[test]
fn drain_makes_unready_and_serves_on() {
    let (mut kong, _backend) = routed(&[]);
    let output = kong.command(&["drain"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(get(kong.status, "/status/ready").json(), json!({"message": "draining"}));
    assert_eq!(get(kong.proxy, "/").status, 200);
    assert!(kong.command(&["health"]).status.success());
    let stopped = kong.command(&["stop"]);
    assert_eq!(String::from_utf8_lossy(&stopped.stdout), "Kong stopped\n");
    assert!(kong.end().0.success());
    assert!(!kong.command(&["health"]).status.success());
}

#[test]
fn start_in_the_background_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let port = crate::harness::free_port();
    let run = |arguments: &[&str]| {
        let mut command = crate::harness::program(folder.path());
        command.env("KONG_PROXY_LISTEN", "off").env("KONG_ADMIN_LISTEN", "off");
        command.env("KONG_STATUS_LISTEN", format!("127.0.0.1:{port}"));
        // The node outlives the command, so it must not hold the pipes of this test.
        command
            .args(arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
    };
    assert!(run(&["start"]).success());
    assert!(!run(&["start"]).success(), "already running");
    assert_eq!(ask(port, "GET", "/status", &[], "").status, 200);
    assert!(run(&["stop"]).success());
    assert!(refused(port));
}
