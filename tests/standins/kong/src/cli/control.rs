//! Commands for a running node: quit, stop, drain, reload, health.
//! In: a prefix. Out: signals and requests to the process of its pid file. Never starts one.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Arguments;
use crate::conf::listen::{self, Subsystem};
use crate::conf::prefix;
use crate::conf::settings::Settings;
use crate::store::Store;

/// How often a process is looked at while its end is awaited.
const TURN: Duration = Duration::from_millis(200);

/// The process of a prefix, if it lives.
pub fn running(store: &Store) -> Option<Pid> {
    let pid = Pid::from_raw(store.pid()?);
    // A process of another user lives as well.
    let alive = !matches!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    (alive && pid != Pid::this()).then_some(pid)
}

fn found(settings: &Settings) -> Result<(Store, Pid), String> {
    let folder = prefix(settings);
    if !folder.exists() {
        return Err(format!("no such prefix: {}", folder.display()));
    }
    let store = Store::new(&folder);
    let pid = running(&store).ok_or_else(|| format!("nginx not running in prefix: {}", folder.display()))?;
    Ok((store, pid))
}

fn send(pid: Pid, signal: Signal) -> Result<(), String> {
    kill(pid, signal).map_err(|error| format!("could not signal process {pid}: {error}"))
}

/// Waits until the process is gone; false where it outlives the time.
fn gone(store: &Store, limit: Duration) -> bool {
    let begun = Instant::now();
    while running(store).is_some() {
        if begun.elapsed() >= limit {
            return false;
        }
        sleep(TURN.min(limit.saturating_sub(begun.elapsed()) + Duration::from_millis(1)));
    }
    true
}

/// Waits, then SIGQUIT, then by force after the timeout.
///
/// # Errors
/// Where no process runs in this prefix.
pub fn quit(settings: &Settings, arguments: &Arguments) -> Result<(), String> {
    let (store, _) = found(settings)?;
    sleep(Duration::from_secs(arguments.wait));
    let pid = running(&store).ok_or("nginx not running")?;
    send(pid, Signal::SIGQUIT)?;
    // Kong waits for a second at least.
    if !gone(&store, Duration::from_secs(arguments.timeout.unwrap_or(10).max(1))) {
        return send(pid, Signal::SIGTERM);
    }
    println!("Kong stopped (gracefully)");
    Ok(())
}

/// SIGTERM.
///
/// # Errors
/// Where no process runs in this prefix, or it does not end.
pub fn stop(settings: &Settings, arguments: &Arguments) -> Result<(), String> {
    let (store, pid) = found(settings)?;
    send(pid, Signal::SIGTERM)?;
    if !gone(&store, Duration::from_secs(arguments.timeout.unwrap_or(10).max(1))) {
        return Err(format!("process {pid} did not end"));
    }
    println!("Kong stopped");
    Ok(())
}

/// SIGHUP.
///
/// # Errors
/// Where no process runs in this prefix.
pub fn reload(settings: &Settings) -> Result<(), String> {
    let (_, pid) = found(settings)?;
    send(pid, Signal::SIGHUP)?;
    println!("Kong reloaded");
    Ok(())
}

/// Says whether the process lives.
///
/// # Errors
/// Where it does not.
pub fn health(settings: &Settings) -> Result<(), String> {
    let folder = prefix(settings);
    let lives = running(&Store::new(&folder)).is_some();
    println!("nginx.......{}\n", if lives { "running" } else { "not running" });
    if !lives {
        return Err(format!("Kong is not running at {}", folder.display()));
    }
    println!("Kong is healthy at {}", folder.display());
    Ok(())
}

/// Posts `status=draining` to the status listener of the running process.
///
/// # Errors
/// Where no process runs, or it refuses.
pub fn drain(settings: &Settings) -> Result<(), String> {
    let (store, _) = found(settings)?;
    let kept = store.settings().into_iter().find(|(key, _)| key == "status_listen").map(|(_, value)| value);
    let text = kept.or_else(|| settings.get("status_listen")).unwrap_or_default();
    let listeners = listen::parse("status_listen", &text, Subsystem::Http)?;
    let plain = listeners.iter().find(|entry| !entry.has("ssl"));
    let Some(entry) = plain else {
        println!("No status listeners found in configuration.");
        return Ok(());
    };
    let status = post(reachable(entry.address))
        .map_err(|error| format!("failed to send a request to {entry}: {error}"))?;
    if status != "204" {
        return Err(format!("the status listener answered {status}"));
    }
    println!("Kong's status successfully changed to 'draining'");
    Ok(())
}

/// An address to call: a listener on every address is called on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

fn post(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    let body = "status=draining";
    let head = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
    write!(
        stream,
        "POST /status/ready HTTP/1.1\r\nHost: {address}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_whitespace().nth(1).unwrap_or_default().to_owned())
}
