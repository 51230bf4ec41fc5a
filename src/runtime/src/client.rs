//! The client every part of the process shares.
//!
//! In: a kubeconfig or a service account. Out: a client whose requests are counted and that waits when the API
//! server asks for it. Never: a rate limit or a retry of its own.

mod call;
mod counted;
mod hold;

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};

pub use call::Call;
use counted::Count;
use hold::Hold;

use crate::metrics::Metrics;

/// Longest wait for an answer that is not a watch. A watch ends after 290 s by itself.
const READ_TIMEOUT: Duration = Duration::from_secs(295);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a kubeconfig nor a service account was found.
    #[error("no configuration for the API server: set KUBECONFIG, or run in a pod with a service account")]
    Config(#[source] Box<kube::config::InferConfigError>),
    /// The configuration was read but cannot be used.
    #[error("the configuration for the API server cannot be used")]
    Client(#[source] Box<kube::Error>),
}

/// Makes a client from `KUBECONFIG`, or in a pod from its service account.
///
/// # Errors
/// When no configuration is found or it is not usable.
pub async fn connect(user_agent: &str, metrics: &Metrics) -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|e| Error::Config(Box::new(e)))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    if let Ok(agent) = user_agent.parse() {
        config.headers.push((http::header::USER_AGENT, agent));
    }
    make(config, metrics)
}

/// kube's own retries are off: a call could otherwise hang for minutes inside a reconcile; the reconciler's growing
/// pauses do the same where they can be seen. Rate limits kube has none.
fn make(mut config: Config, metrics: &Metrics) -> Result<Client, Error> {
    config.default_retry = false;
    let layer = Count { metrics: metrics.clone(), hold: Hold::default() };
    let builder = ClientBuilder::try_from(config).map_err(|e| Error::Client(Box::new(e)))?;
    Ok(builder.with_layer(&layer).build())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
