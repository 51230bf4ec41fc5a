//! Proxies UDP: one session for each caller, ended by silence.
//! In: datagrams. Out: the service's datagrams back to the caller. Never reads their content.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{Asked, address, outer};
use crate::node::Node;

/// A session ends after so long without an answer, as with nginx' `proxy_timeout`.
const SILENCE: Duration = Duration::from_mins(1);
/// Sessions before the closed ones are swept away.
const SWEEP: usize = 1024;

/// Serves until the node stops.
pub async fn serve(node: Arc<Node>, socket: UdpSocket) {
    let Ok(destination) = socket.local_addr() else {
        return;
    };
    let socket = Arc::new(socket);
    let mut sessions: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0_u8; 65_536];
    loop {
        let received = tokio::select! {
            () = node.stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Ok((length, source)) = received else { continue };
        // A session that ended is held by this map alone.
        if sessions.len() > SWEEP
            || sessions.get(&source).is_some_and(|session| Arc::strong_count(session) == 1)
        {
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
        }
        let session = match sessions.get(&source) {
            Some(session) => session.clone(),
            None => match open(&node, source, destination).await {
                Some(session) => {
                    tokio::spawn(answers(socket.clone(), session.clone(), source));
                    sessions.insert(source, session.clone());
                    session
                }
                None => continue,
            },
        };
        if let Some(data) = buffer.get(..length) {
            // A datagram that is lost is lost, here as anywhere.
            let _ = session.send(data).await;
        }
    }
}

async fn open(node: &Node, source: SocketAddr, destination: SocketAddr) -> Option<Arc<UdpSocket>> {
    let snapshot = node.routing.borrow().clone();
    let asked = Asked { protocol: "udp", sni: None, source, destination: outer(node, destination) };
    let service = snapshot.services.get(snapshot.streams.find(&asked)?)?;
    let target = address(&snapshot, service).await?;
    let any: SocketAddr =
        if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let session = UdpSocket::bind(any).await.ok()?;
    session.connect(target).await.ok()?;
    Some(Arc::new(session))
}

async fn answers(socket: Arc<UdpSocket>, session: Arc<UdpSocket>, source: SocketAddr) {
    let mut buffer = vec![0_u8; 65_536];
    while let Ok(Ok(length)) = timeout(SILENCE, session.recv(&mut buffer)).await {
        if let Some(data) = buffer.get(..length) {
            let _ = socket.send_to(data, source).await;
        }
    }
}
