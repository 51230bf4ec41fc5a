//! Requests without a pause, from outside the box, until they are ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tests::http;
use tests::world::Scenario;
use tokio::task::JoinSet;

/// Clients at a time; each asks again as soon as it is answered.
const CLIENTS: usize = 4;

/// Load that goes on until it is ended.
pub struct Load {
    clients: JoinSet<()>,
    answered: Arc<AtomicU32>,
}

impl Load {
    /// Begins, over a new connection for each request, so that new pods get their share.
    pub fn begin(s: &Scenario, to: SocketAddr) -> Self {
        let answered = Arc::new(AtomicU32::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (world, answered) = (Arc::clone(&s.world), Arc::clone(&answered));
            clients.spawn(async move {
                loop {
                    // Without a configuration Kong answers 404, which costs it what any answer costs.
                    if http::get(&world.cluster, to, "any", "/").await.is_ok() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        Self { clients, answered }
    }

    /// Ends it; how many requests were answered.
    pub async fn end(mut self) -> u32 {
        self.clients.shutdown().await;
        self.answered.load(Ordering::Relaxed)
    }
}
