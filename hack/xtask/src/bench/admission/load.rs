//! Reviews one after the other on some connections, or at fixed times.
//!
//! In: connections, a path, a body, how long. Out: how long each review took, in any order. In the open loop that counts
//! from when it was to begin, so that one that had to wait for others is not made to look quick.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use cluster::Cluster;
use hyper::body::Bytes;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::wire::{Connection, Way};

/// Reviews on each connection that are not counted: the first ones on a connection are slower.
const WARM: usize = 5;
/// Connections of the open loop: more than are ever needed at a time where goals are met.
const OPEN: usize = 32;

/// What is asked, and for how long.
#[derive(Clone)]
pub struct Ask {
    /// Of the webhook.
    pub path: &'static str,
    /// The review.
    pub body: Bytes,
    /// How long new ones are begun.
    pub lasts: Duration,
}

/// Open connections that are warm.
pub struct Ready(Vec<Connection>);

/// Opens so many connections, and has something reviewed on each.
pub async fn ready(cluster: &Cluster, way: &Way, connections: usize, ask: &Ask) -> Result<Ready> {
    // All at once: the operator closes a connection on which nothing is asked for long.
    let all = (0..connections).map(|_| warm(cluster, way, ask));
    Ok(Ready(futures::future::try_join_all(all).await?))
}

async fn warm(cluster: &Cluster, way: &Way, ask: &Ask) -> Result<Connection> {
    let mut connection = way.open(cluster).await?;
    for _ in 0..WARM {
        connection.review(ask.path, ask.body.clone()).await?;
    }
    Ok(connection)
}

/// The same, as many as the open loop takes.
pub async fn ready_for_open(cluster: &Cluster, way: &Way, ask: &Ask) -> Result<Ready> {
    ready(cluster, way, OPEN, ask).await
}

impl Ready {
    /// On each connection one review after the other.
    pub async fn closed(self, ask: &Ask) -> Result<Vec<Duration>> {
        let ends = Instant::now() + ask.lasts;
        let mut all = JoinSet::new();
        for mut connection in self.0 {
            let ask = ask.clone();
            all.spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < ends {
                    let began = Instant::now();
                    connection.review(ask.path, ask.body.clone()).await?;
                    took.push(began.elapsed());
                }
                anyhow::Ok(took)
            });
        }
        joined(all).await
    }

    /// So many a second, each at its time on whatever connection is free then.
    pub async fn open(self, ask: &Ask, per_second: u32) -> Result<Vec<Duration>> {
        let (sender, times) = unbounded_channel();
        let lasts = ask.lasts;
        // The runtime's own clock rounds up to the next millisecond, which is much of what is to be measured.
        let pacer = std::thread::spawn(move || {
            let (began, pace) = (Instant::now(), Duration::from_secs(1) / per_second);
            let mut due = Duration::ZERO;
            while due < lasts {
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                if sender.send(began + due).is_err() {
                    return;
                }
                due += pace;
            }
        });
        let times = Arc::new(Mutex::new(times));
        let mut all = JoinSet::new();
        for connection in self.0 {
            all.spawn(serve(connection, ask.clone(), Arc::clone(&times)));
        }
        let took = joined(all).await;
        // It ends by itself, or when nobody takes its times any more.
        let _ = pacer.join();
        took
    }
}

/// Takes one time after the other, and begins a review at each.
async fn serve(
    mut connection: Connection,
    ask: Ask,
    times: Arc<Mutex<UnboundedReceiver<Instant>>>,
) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    loop {
        let Some(due) = times.lock().await.recv().await else { return Ok(took) };
        connection.review(ask.path, ask.body.clone()).await?;
        took.push(due.elapsed());
    }
}

async fn joined(mut all: JoinSet<Result<Vec<Duration>>>) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while let Some(one) = all.join_next().await {
        took.extend(one??);
    }
    Ok(took)
}
