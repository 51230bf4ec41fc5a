//! Offers the API server outside the box.
//!
//! In: a listener that belongs to the outer network, the server's address. Out: every connection to it is one to the API
//! server. Never reads what passes.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use tokio::net::TcpStream;

/// Forwards until the box ends.
pub(crate) fn start(listener: TcpListener, to: SocketAddr) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((outside, _)) => {
                    tokio::spawn(carry(outside, to));
                }
                // Out of files, for example: the next connection may find some.
                Err(_) => tokio::time::sleep(super::cluster::INTERVAL).await,
            }
        }
    });
    Ok(())
}

async fn carry(mut outside: TcpStream, to: SocketAddr) {
    // Errors end the connection on both sides, which tells each what it needs to know.
    if let Ok(mut inside) = TcpStream::connect(to).await {
        let _ = outside.set_nodelay(true).and_then(|()| inside.set_nodelay(true));
        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
    }
}
