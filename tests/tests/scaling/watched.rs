//! A `DataPlane` that is watched all the time: it must be Ready all of it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use crds::DataPlane;
use crds::conditions::{self, types};
use futures::TryStreamExt;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::task::JoinHandle;

/// The watch; it ends when this is dropped.
pub struct Watched {
    task: JoinHandle<()>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    /// Begins to watch.
    pub fn begin(api: Api<DataPlane>, name: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let objects = watcher(api, config).default_backoff().applied_objects();
            let noted = objects.try_for_each(|dataplane| {
                if !conditions::holds(dataplane.conditions(), types::READY) {
                    let told = conditions::get(dataplane.conditions(), types::READY);
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{told:?}"));
                }
                std::future::ready(Ok(()))
            });
            // A watch that is lost is begun again by itself; there is no other end.
            let _ = noted.await;
        });
        Self { task, seen }
    }

    /// Ends the watch.
    ///
    /// # Errors
    /// When it was not Ready at some time.
    pub fn was_always_ready(self) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(seen.is_empty(), "it was not Ready: {seen:?}");
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}
