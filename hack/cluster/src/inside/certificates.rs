//! cert-manager: the definitions of its kinds, and the process that serves them.
//!
//! In: the program `cert-manager`, with the definitions beside it. Out: a cluster that takes Issuers and Certificates,
//! and whose Certificates get their Secrets. It never waits for the first of them.

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, Client};

use super::supervise::Supervisor;
use super::tools;
use crate::config::{self, Layout};

/// The kinds that the process watches; it would try again in vain for seconds were they not served when it starts.
const WATCHED: [&str; 4] = [
    "certificates.cert-manager.io",
    "certificaterequests.cert-manager.io",
    "issuers.cert-manager.io",
    "clusterissuers.cert-manager.io",
];

/// Has its kinds served, and starts it.
pub(crate) async fn start(layout: &Layout, supervisor: &Supervisor, client: &Client) -> Result<()> {
    let Some(line) = config::cert_manager(layout) else { return Ok(()) };
    let folder = line.program.with_file_name("crds");
    tools::apply_folder(layout, &folder).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in WATCHED {
        await_condition(definitions.clone(), name, conditions::is_crd_established())
            .await
            .with_context(|| format!("waiting for {name}"))?;
    }
    supervisor.start(&line)
}
