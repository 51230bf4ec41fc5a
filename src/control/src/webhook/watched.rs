//! One object by name, as a watch shows it.
//!
//! In: an API and a name. Out: the object whenever it changes, or that it is not there. Never: another object of that
//! kind; the right to read it can be given for the name alone.

use std::fmt::Debug;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use runtime::failure;
use runtime::hub::Watched;

/// What a watch says of its object.
pub enum News<K> {
    /// It is there, as it is now, or it is not.
    Found(Option<Box<K>>),
    /// It cannot be watched, and is tried again.
    Broken(String),
}

/// What is heard of one object.
pub struct Watch<K> {
    events: BoxStream<'static, watcher::Result<Event<K>>>,
    /// What a list under way has shown.
    listed: Option<Box<K>>,
    /// How often in a row it could not be begun.
    failures: u32,
}

/// A watch that could not be begun so many times in a row, that is after some seconds, is told of.
const LASTING: u32 = 3;

impl<K: Watched + Debug> Watch<K> {
    pub fn new(api: Api<K>, name: &str) -> Self {
        let one = Config::default().fields(&format!("metadata.name={name}"));
        Self { events: watcher(api, one).default_backoff().boxed(), listed: None, failures: 0 }
    }

    /// Waits for news. It may be given up and called again: nothing is lost.
    pub async fn next(&mut self) -> News<K> {
        loop {
            match self.events.next().await {
                Some(Ok(Event::Init)) => self.listed = None,
                Some(Ok(Event::InitApply(object))) => self.listed = Some(Box::new(object)),
                Some(Ok(Event::InitDone)) => {
                    self.failures = 0;
                    return News::Found(self.listed.take());
                }
                Some(Ok(Event::Apply(object))) => return News::Found(Some(Box::new(object))),
                Some(Ok(Event::Delete(_))) => return News::Found(None),
                Some(Err(error)) => {
                    let why = failure::chain(&error);
                    tracing::debug!(kind = %K::kind(&()), error = why, "the watch broke, and is begun again");
                    // Any other break ends without news where nothing has changed.
                    if matches!(error, watcher::Error::InitialListFailed(_)) {
                        self.failures += 1;
                        if self.failures >= LASTING {
                            return News::Broken(why);
                        }
                    }
                }
                // It is begun again for ever.
                None => std::future::pending().await,
            }
        }
    }
}
