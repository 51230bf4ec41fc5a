//! Active health checks: probes of targets at their intervals.
//! In: an upstream. Out: events reported to it. Ends by itself when its configuration is replaced.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::health::{Event, Health};
use super::{Seen, Upstream, resolve, split};

/// Starts probing where the upstream asks for it.
pub fn start(upstream: &Arc<Upstream>) {
    if upstream.checks.probes() {
        tokio::spawn(run(Arc::downgrade(upstream)));
    }
}

async fn run(upstream: Weak<Upstream>) {
    while let Some(live) = upstream.upgrade() {
        for (index, seen) in live.seen().into_iter().enumerate() {
            let unhealthy = seen.health == Health::Unhealthy;
            let interval =
                if unhealthy { live.checks.unhealthy_interval } else { live.checks.healthy_interval };
            if !interval.is_zero() {
                let event = probe(&live, &seen).await;
                live.report(index, event);
            }
        }
        let shortest = [live.checks.healthy_interval, live.checks.unhealthy_interval];
        let pause = shortest.into_iter().filter(|interval| !interval.is_zero()).min();
        drop(live);
        sleep(pause.unwrap_or(Duration::from_secs(1))).await;
    }
}

async fn probe(upstream: &Upstream, seen: &Seen) -> Event {
    let limit = upstream.checks.timeout;
    match timeout(limit, ask(upstream, seen)).await {
        Ok(Some(event)) => event,
        Ok(None) => Event::ProbeFailure,
        Err(_) => Event::ProbeTimeout,
    }
}

/// A probe of kind `tcp` only connects; one of kind `https` is counted as `tcp` here.
async fn ask(upstream: &Upstream, seen: &Seen) -> Option<Event> {
    let (host, port) = split(&seen.name, 8000);
    let mut stream = TcpStream::connect(resolve(&host, port).await?).await.ok()?;
    if upstream.checks.kind != "http" {
        return Some(Event::Probe(200));
    }
    let request = format!(
        "GET {} HTTP/1.0\r\nConnection: close\r\nHost: {}\r\n\r\n",
        upstream.checks.path, upstream.name
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).await.ok()?;
    let code = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    Some(Event::Probe(code))
}
