//! Waiting on watches, with a deadline and with words for what did not come.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use kube::api::Api;
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Waits until the object fulfils `done`, and returns it as it then was.
///
/// # Errors
/// When the deadline passes; the error shows the object as it is.
pub async fn until<K>(api: &Api<K>, name: &str, deadline: Duration, done: impl Fn(&K) -> bool) -> Result<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let there = |object: Option<&K>| object.is_some_and(&done);
    match tokio::time::timeout(deadline, await_condition(api.clone(), name, there)).await {
        Ok(found) => found?.context("a watch ended without the object"),
        Err(_) => Err(late(api, name, deadline).await),
    }
}

/// Waits until the object is gone.
///
/// # Errors
/// When the deadline passes; the error shows the object as it is.
pub async fn gone<K>(api: &Api<K>, name: &str, deadline: Duration) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let absent = |object: Option<&K>| object.is_none();
    match tokio::time::timeout(deadline, await_condition(api.clone(), name, absent)).await {
        Ok(found) => found.map(drop).map_err(Into::into),
        Err(_) => Err(late(api, name, deadline).await),
    }
}

/// Waits until any object of the namespace fulfils `done`, and returns it.
///
/// # Errors
/// When the deadline passes.
pub async fn any<K>(api: &Api<K>, deadline: Duration, done: impl Fn(&K) -> bool) -> Result<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let objects = kube::runtime::watcher(api.clone(), watcher::Config::default()).applied_objects();
    let mut found = std::pin::pin!(objects.try_filter(|object| std::future::ready(done(object))));
    let first = tokio::time::timeout(deadline, found.try_next()).await;
    let first = first.with_context(|| format!("no {} is as awaited after {deadline:?}", K::kind(&())))?;
    first?.context("a watch ended without the object")
}

async fn late<K>(api: &Api<K>, name: &str, deadline: Duration) -> anyhow::Error
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    let now = match api.get_opt(name).await {
        Ok(Some(mut object)) => {
            object.managed_fields_mut().clear();
            serde_json::to_string_pretty(&object).unwrap_or_default()
        }
        Ok(None) => "absent".to_owned(),
        Err(error) => error.to_string(),
    };
    anyhow::anyhow!("{} {name:?} is not as awaited after {deadline:?}; it is: {now}", K::kind(&()))
}
