//! The watch of one kind in one place, that never ends by itself.
//!
//! In: a client and a selector. Out: kube's watch events. A broken watch is begun again after growing pauses;
//! one that the API server refuses waits until it no longer does. It keeps nothing.
//!
//! Why a watch cannot go stale unnoticed: each asks for bookmarks, which the API server sends every minute or so,
//! and ends by itself after 290 s; kube gives up a watch that shows nothing for 295 s and begins it again from
//! the last version it saw.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::api::{Api, ListParams};
use kube::core::{NamespaceResourceScope, Status};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event, InitialListStrategy};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use super::Watched;
use super::coverage::Coverage;
use super::place::Place;
use crate::metrics::Metrics;

/// The API server's status code for a request that should come again later.
const TOO_MANY_REQUESTS: u16 = 429;
/// The API server's status code for a version that it has no longer.
const GONE: u16 = 410;
/// First and longest pause before a watch that was refused is asked for again; the longest of any broken one.
const SOON: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_secs(5);
/// Objects a page where the first list cannot be streamed: more would only raise the peak of memory.
const PAGE: u32 = 50;

/// Where the events of a kind come from.
#[derive(Clone)]
pub struct Source {
    /// The client.
    pub client: Client,
    /// Where to look.
    pub place: Place,
    /// What of it: labels, fields.
    pub selector: watcher::Config,
    /// Where it is noted how the watch stands.
    pub coverage: Coverage,
    /// Counts broken watches.
    pub metrics: Metrics,
}

/// A kind whose objects can be streamed from one namespace or from all.
pub trait Streamed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}
impl<K> Streamed for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Events of a kind, noted in the coverage under the name `known_as`.
pub(super) fn events<K: Watched>(
    source: Source,
    api: Api<K>,
    known_as: String,
) -> impl Stream<Item = Event<K>> + Send {
    source.coverage.expect(&source.place, &known_as);
    // One object at a time instead of pages: a first list costs no more memory than what is kept of it.
    let selector = source.selector.clone().streaming_lists();
    let watch = Watch { source, known_as, selector, api, events: None, pause: SOON };
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await;
        Some((event, watch))
    })
}

type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

struct Watch<K> {
    source: Source,
    known_as: String,
    selector: watcher::Config,
    api: Api<K>,
    /// None before it is known that there is something to watch.
    events: Option<Events<K>>,
    /// How long to wait before asking again; it grows until there is a list.
    pause: Duration,
}

impl<K: Watched> Watch<K> {
    async fn next(&mut self) -> Event<K> {
        loop {
            if self.events.is_none() {
                self.admitted().await;
                let watch = kube::runtime::watcher(self.api.clone(), self.selector.clone());
                self.events = Some(watch.backoff(Pauses(DefaultBackoff::default())).boxed());
            }
            let Some(events) = &mut self.events else { continue };
            match events.next().await {
                Some(Ok(event)) => {
                    if matches!(event, Event::InitDone) {
                        self.pause = SOON;
                        self.source.coverage.listed(&self.source.place, &self.known_as);
                    }
                    return event;
                }
                Some(Err(error)) => self.broken(&error).await,
                None => self.events = None,
            }
        }
    }

    /// Waits until the API server lists the kind. Asked for by a list of one: kube's watcher logs each refusal by
    /// itself, and of a metadata-only watch it cannot read the answer that refuses it.
    async fn admitted(&mut self) {
        loop {
            match self.api.list(&ListParams::default().limit(1)).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if is_refusal(&status) => self.refused(&status),
                Err(error) => self.warn(&error),
            }
            self.wait().await;
        }
    }

    async fn broken(&mut self, error: &watcher::Error) {
        let said = status(error);
        if said.is_some_and(Status::is_invalid) && self.is_streaming() {
            // Before Kubernetes 1.34 streamed lists are a feature that may be off.
            tracing::debug!(kind = %K::kind(&()), "first lists are not streamed here, so they come in pages");
            self.selector.initial_list_strategy = InitialListStrategy::ListWatch;
            self.selector.page_size = Some(PAGE);
            self.events = None;
        } else if let Some(status) = said.filter(|status| is_refusal(status)) {
            self.refused(status);
            self.begin_again().await;
        } else if said.is_some_and(|status| status.code == TOO_MANY_REQUESTS) && self.is_new() {
            // The API server takes some 0.2 s to set up the store of a definition that has just been made, and
            // kube's first pause would be a second.
            self.begin_again().await;
        } else {
            self.warn(error);
            if is_dead_end(error) {
                self.begin_again().await;
            }
        }
    }

    fn refused(&self, status: &Status) {
        self.source.coverage.refused(&self.source.place, &self.known_as, &status.message);
    }

    fn warn(&self, error: &(dyn std::error::Error + 'static)) {
        let kind = K::kind(&());
        tracing::warn!(%kind, place = %self.source.place, error, "watch broken, trying again");
        self.source.metrics.watch_broken(&kind);
    }

    async fn begin_again(&mut self) {
        self.events = None;
        self.wait().await;
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(SELDOM);
    }

    fn is_streaming(&self) -> bool {
        self.selector.initial_list_strategy == InitialListStrategy::StreamingList
    }

    fn is_new(&self) -> bool {
        !self.source.coverage.is_listed(&self.source.place, &self.known_as)
    }
}

/// kube's growing pauses with less of them at the end: after half a minute without an API server, drift would wait
/// for as long again.
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(SELDOM))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

fn is_refusal(status: &Status) -> bool {
    status.is_forbidden() || status.is_not_found()
}

/// Whether kube would ask for the same thing for ever. That a version is too old it takes from an event of the watch,
/// and not from the status of the answer, by which API servers may say so too.
fn is_dead_end(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchFailed(kube::Error::SerdeError(_)) => true,
        watcher::Error::WatchStartFailed(kube::Error::Api(said))
        | watcher::Error::WatchFailed(kube::Error::Api(said)) => said.code == GONE,
        _ => false,
    }
}

/// What the API server said, where it said something.
fn status(error: &watcher::Error) -> Option<&Status> {
    let cause = match error {
        watcher::Error::WatchError(status) => return Some(status),
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::NoResourceVersion => return None,
    };
    match cause {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds_and_no_further() {
        let mut pauses = Pauses(DefaultBackoff::default());
        let all: Vec<_> = pauses.by_ref().take(10).collect();
        assert!(all.iter().all(|pause| *pause <= SELDOM) && all.last() == Some(&SELDOM), "{all:?}");
        pauses.reset();
        assert!(pauses.next().is_some_and(|pause| pause < SELDOM));
    }

    #[test]
    fn an_answer_that_the_version_is_gone_ends_the_asking_for_it() {
        let said = |code| {
            let status = Status { code, ..Status::default() };
            watcher::Error::WatchFailed(kube::Error::Api(Box::new(status)))
        };
        assert!(is_dead_end(&said(410)) && !is_dead_end(&said(503)));
    }
}
