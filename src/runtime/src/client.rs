//! The client every part of the process shares.

use std::time::Duration;

use kube::{Client, Config};

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
/// kube's own retries are off: a call could otherwise hang for minutes inside a reconcile; the
/// reconciler's growing pauses do the same where they can be seen.
///
/// # Errors
/// When no configuration is found or it is not usable.
pub async fn connect(user_agent: &str) -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|e| Error::Config(Box::new(e)))?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    if let Ok(agent) = user_agent.parse() {
        config.headers.push((http::header::USER_AGENT, agent));
    }
    Client::try_from(config).map_err(|e| Error::Client(Box::new(e)))
}
