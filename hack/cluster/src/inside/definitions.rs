//! Kinds that are no part of Kubernetes.
//!
//! In: a folder of definitions. Out: an API server that serves them. Never starts what acts on their objects.

use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, Client, ResourceExt};

use super::tools;
use crate::config::Layout;

/// Applies the folder, and returns when every kind of the group is served.
pub(crate) async fn apply(layout: &Layout, client: &Client, folder: &Path, group: &str) -> Result<()> {
    tools::apply_folder(layout, folder).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = definitions.list(&ListParams::default()).await?;
    for one in all.iter().filter(|one| one.spec.group == group) {
        let name = one.name_any();
        await_condition(definitions.clone(), &name, conditions::is_crd_established())
            .await
            .with_context(|| format!("waiting for {name}"))?;
    }
    Ok(())
}
