//! What a settled operator costs: at rest, and killed and started again.
//!
//! In: a place where everything is settled. Out: requests, times and the process's own figures, and lines that show them.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::place::Place;
use super::requests::Requests;
use super::usage::Usage;

/// Standing still.
#[derive(Serialize)]
pub struct Rest {
    seconds: u64,
    requests: Requests,
    pub writes: u32,
    pub reads: u32,
    processor_ms: f64,
    pub process: Usage,
}

/// Killed and started again.
#[derive(Serialize)]
pub struct Restart {
    /// Until it is ready, its stores filled.
    ready_ms: f64,
    /// Until the killed one's lease ran out and every object was looked at.
    settled_seconds: f64,
    requests: Requests,
    pub writes: u32,
    reads: u32,
    process: Usage,
}

/// Watches it for a while; `before` is the process as it was.
pub async fn rest(place: &mut Place, seconds: u64, before: &Usage) -> Result<Rest> {
    place.log.news()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (requests, process) = (place.log.news()?, place.usage().await?);
    Ok(Rest {
        seconds,
        writes: requests.writes(),
        reads: requests.reads(),
        processor_ms: (process.processor_seconds - before.processor_seconds) * 1000.0,
        requests,
        process,
    })
}

/// Kills it and starts it again, until it has looked at so many objects of each of these kinds.
pub async fn restart(place: &mut Place, kinds: &[&str], count: usize) -> Result<Restart> {
    place.kill().await?;
    place.log.news()?;
    let began = Instant::now();
    place.start_only().await?;
    let ready = began.elapsed();
    for kind in kinds {
        place.looked_at(kind, count).await?;
    }
    let settled = began.elapsed();
    let (requests, _) = place.log.settled().await?;
    Ok(Restart {
        ready_ms: ready.as_secs_f64() * 1000.0,
        settled_seconds: settled.as_secs_f64(),
        writes: requests.writes(),
        reads: requests.reads(),
        requests,
        process: place.usage().await?,
    })
}

/// What both are shown as.
pub fn rows(rest: &Rest, restart: &Restart) -> Vec<(String, String)> {
    let looked = "restart: until the lease ran out and all were looked at";
    vec![
        (format!("requests in {} s at rest", rest.seconds), rest.requests.text()),
        ("processor time at rest".into(), format!("{:.0} ms", rest.processor_ms)),
        ("process after that".into(), rest.process.text()),
        ("restart: until ready".into(), format!("{:.0} ms", restart.ready_ms)),
        (looked.into(), format!("{:.1} s", restart.settled_seconds)),
        ("requests at the restart".into(), restart.requests.text()),
        ("process after the restart".into(), restart.process.text()),
    ]
}
