//! One configuration to one instance of Kong.
//! In: the configuration as text. Out: what became of it. Nothing is sent that the instance has, as far as it says so.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::faults::{self, Broken};
use crate::admin::nodes::Node;

/// Where configurations are pushed.
const PATH: &str = "/config?check_hash=1&flatten_errors=1";
/// What `/status` says of an instance without a configuration.
const NOTHING: &str = "00000000000000000000000000000000";

/// What became of a push.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// The instance has it already.
    Same,
    /// It was taken, in so much time.
    Taken(Duration),
    /// It was refused with 400.
    Refused(Vec<Broken>, Duration, String),
    /// There was no good answer.
    Failed(String),
}

impl Pushed {
    /// Whether the instance has the configuration now.
    pub fn good(&self) -> bool {
        matches!(self, Self::Same | Self::Taken(_))
    }
}

/// Pushes a configuration unless the instance has it.
pub async fn push(node: &Node, config: &Arc<str>) -> Pushed {
    let taken = node.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if taken.as_ref() == Some(config) {
        match has_some(node).await {
            Ok(true) => return Pushed::Same,
            Ok(false) => {}
            Err(error) => return Pushed::Failed(error),
        }
    }
    let began = Instant::now();
    let answer = match node.client.post(PATH, config.to_string()).await {
        Ok(answer) => answer,
        Err(error) => return Pushed::Failed(error),
    };
    let status = answer.status.as_u16();
    match status {
        200..=399 => {
            *node.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(config));
            Pushed::Taken(began.elapsed())
        }
        400 => {
            let body = answer.json();
            let message = body.get("message").and_then(Value::as_str).unwrap_or("bad request");
            let text = format!("HTTP status 400 (message: {message:?})");
            Pushed::Refused(faults::broken(&body), began.elapsed(), text)
        }
        _ => Pushed::Failed(format!("failed posting new config to /config: got status code {status}")),
    }
}

/// Whether the instance has any configuration; one that does not say is taken to have.
async fn has_some(node: &Node) -> Result<bool, String> {
    let answer = node.client.get("/status").await?;
    if !answer.status.is_success() {
        return Err(format!("failed to fetch status of {}: {}", node.client.base, answer.status));
    }
    Ok(answer.json().get("configuration_hash").and_then(Value::as_str) != Some(NOTHING))
}

/// Whether the instance says that it has a configuration.
///
/// # Errors
/// Where it does not answer.
pub async fn configured(node: &Node) -> Result<bool, String> {
    has_some(node).await
}
