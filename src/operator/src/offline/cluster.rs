//! What a cluster would make of what is made of an object.
//!
//! In: a client, an object and what is around it. Out: each child as it is and as the API server says that it would be, and
//! those of the children. Never: a change: every request that could make one is a dry run.

mod asked;
mod controlplane;
mod dataplane;
mod gateway;
mod surroundings;

use kube::Client;
use serde_json::Value;
use webhooks::Kind;

use super::Failed;
use super::change::Change;
use super::render::Around;

pub use surroundings::{Affected, affected, surroundings};

/// What would become of what is made of one object.
pub struct Compared {
    /// What is to be said before; empty where nothing is.
    pub words: String,
    /// Everything that is made of it, in the order in which it is applied.
    pub groups: Vec<Group>,
}

/// The children of one object.
pub struct Group {
    /// Whose they are, in words that precede the object's; empty where they are its own.
    pub of: String,
    /// What would become of each.
    pub changes: Vec<Change>,
}

impl Compared {
    fn nothing(words: impl Into<String>) -> Self {
        Self { words: words.into(), groups: Vec::new() }
    }
}

/// Compares what is made of an object with what is there.
///
/// # Errors
/// When the API server does not answer, or refuses what would be applied; when the object cannot be provisioned.
pub async fn compared(
    client: &Client,
    around: &Around<'_>,
    kind: Kind,
    object: &Value,
) -> Result<Compared, Failed> {
    let unread = || Failed::from("it cannot be read");
    match kind {
        Kind::DataPlane => {
            let object = around.read(kind, object).ok_or_else(unread)?;
            dataplane::compared(client, around, &object).await
        }
        Kind::ControlPlane => {
            let object = around.read(kind, object).ok_or_else(unread)?;
            controlplane::compared(client, around, &object).await
        }
        Kind::Gateway => {
            let object = around.read(kind, object).ok_or_else(unread)?;
            gateway::compared(client, around, &object).await
        }
        Kind::GatewayClass | Kind::GatewayConfiguration | Kind::WatchNamespaceGrant => {
            Ok(Compared::nothing("makes nothing by itself; what it changes of others follows"))
        }
    }
}
