//! Opens listening sockets with nginx' options.
//! In: listen entries. Out: sockets, or nginx' words for why not. Never accepts.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::Role;
use crate::conf::Listeners;
use crate::conf::listen::Listen;
use crate::store::reason;

/// nginx tries so often, with a pause of half a second between.
const TRIES: u32 = 5;

/// Sockets of one node.
#[derive(Debug, Default)]
pub struct Sockets {
    /// HTTP.
    pub http: Vec<(Role, Listen, TcpListener)>,
    /// TCP and TLS streams.
    pub stream: Vec<(Listen, TcpListener)>,
    /// UDP streams.
    pub udp: Vec<UdpSocket>,
}

/// Opens every listener.
///
/// # Errors
/// The lines that nginx prints.
pub fn all(listeners: &Listeners) -> Result<Sockets, String> {
    let mut lines = Vec::new();
    for _ in 0..TRIES {
        match once(listeners) {
            Ok(sockets) => return Ok(sockets),
            Err((address, error)) => {
                let (number, text) = (error.raw_os_error().unwrap_or(0), reason(&error));
                lines.push(format!("nginx: [emerg] bind() to {address} failed ({number}: {text})"));
                if error.kind() != ErrorKind::AddrInUse {
                    return Err(lines.join("\n"));
                }
            }
        }
        sleep(Duration::from_millis(500));
    }
    lines.push("nginx: [emerg] still could not bind()".to_owned());
    Err(lines.join("\n"))
}

fn once(listeners: &Listeners) -> Result<Sockets, (SocketAddr, io::Error)> {
    let mut sockets = Sockets::default();
    let mut taken = BTreeSet::new();
    let roles =
        [(Role::Proxy, &listeners.proxy), (Role::Admin, &listeners.admin), (Role::Status, &listeners.status)];
    for (role, entries) in roles {
        // The same address twice is one socket to nginx, served by whoever comes first.
        for entry in entries.iter().filter(|entry| entry.address.port() == 0 || taken.insert(entry.address)) {
            sockets.http.push((role, entry.clone(), tcp(entry).map_err(|error| (entry.address, error))?));
        }
    }
    for entry in &listeners.stream {
        if entry.has("udp") {
            sockets.udp.push(udp(entry.address).map_err(|error| (entry.address, error))?);
        } else {
            sockets.stream.push((entry.clone(), tcp(entry).map_err(|error| (entry.address, error))?));
        }
    }
    Ok(sockets)
}

fn tcp(entry: &Listen) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(entry.address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if entry.has("reuseport") {
        socket.set_reuse_port(true)?;
    }
    if entry.address.is_ipv6() {
        // nginx listens with `ipv6only=on`, so that both families can have the same port.
        socket.set_only_v6(true)?;
    }
    socket.bind(&entry.address.into())?;
    socket.listen(entry.backlog())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
