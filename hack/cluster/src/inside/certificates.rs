//! cert-manager: the definitions of its kinds, and the process that serves them.
//!
//! In: the program `cert-manager`, with the definitions beside it. Out: a cluster that takes Issuers and Certificates,
//! and whose Certificates get their Secrets. It never waits for the first of them.

use anyhow::Result;
use kube::Client;

use super::definitions;
use super::supervise::Supervisor;
use crate::config::{self, Layout};

/// The group of the kinds that the process watches; it would try again in vain for seconds were they not served when
/// it starts.
const WATCHED: &str = "cert-manager.io";

/// Has its kinds served, and starts it.
pub(crate) async fn start(layout: &Layout, supervisor: &Supervisor, client: &Client) -> Result<()> {
    let Some(line) = config::cert_manager(layout) else { return Ok(()) };
    let folder = line.program.with_file_name("crds");
    definitions::apply(layout, client, &folder, WATCHED).await?;
    supervisor.start(&line)
}
