//! Kinds whose definition may be absent, or come and go while the process runs.
//!
//! In: a kind, and what to do while it is served. Out: that task, started within moments of the definition and
//! dropped when it goes. An absent kind costs one idle watch, on the name of its definition. Where definitions may
//! not be watched, discovery, which is open to everybody, is asked now and then.

use std::error::Error;
use std::time::Duration;

use crds::k8s::{APIResourceList, CustomResourceDefinition};
use futures::future::ready;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::{Request, StatusCode};
use kube::client::Body;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};

use crate::bare::Bare;

/// First pause between a definition's appearance and a look whether it is served; it doubles.
const SOON: Duration = Duration::from_millis(50);
/// Longest pause between two looks.
const SELDOM: Duration = Duration::from_secs(30);
/// How long after a change of a definition discovery shows it at the latest.
const SHOWN: Duration = Duration::from_secs(2);

/// What is known of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    /// It is there, or has changed.
    There,
    /// It is not there.
    Gone,
    /// We may not know.
    Blind,
}

/// Name of the definition of a kind.
pub fn definition<K: Resource<DynamicType = ()>>() -> String {
    format!("{}.{}", K::plural(&()), K::group(&()))
}

/// Runs `task` whenever the kind is served, and drops it when it no longer is; `tell` hears which of the two.
/// It ends only when a task does.
pub async fn while_served<K, T>(client: Client, tell: impl Fn(bool), task: impl Fn() -> T)
where
    K: Resource<DynamicType = ()>,
    T: Future,
{
    let mut hints = hints(&client, &definition::<K>());
    let mut now = hints.next().await.unwrap_or(Hint::Blind);
    loop {
        // Discovery may still show a definition that has just gone.
        if now == Hint::Gone || is_served::<K>(&client).await != Some(true) {
            tell(false);
            now = appeared::<K>(&client, &mut hints, now).await;
        }
        tell(true);
        tokio::select! {
            _ = task() => return,
            last = vanished::<K>(&client, &mut hints, now) => now = last,
        }
    }
}

/// Waits until the kind is served; returns what was last known of its definition.
async fn appeared<K: Resource<DynamicType = ()>>(
    client: &Client,
    hints: &mut BoxStream<'static, Hint>,
    mut now: Hint,
) -> Hint {
    let mut pause = SOON;
    loop {
        tokio::select! {
            Some(hint) = hints.next() => (now, pause) = (hint, SOON),
            // Of a definition that is watched every change is told: one that is there for long and not served, such as
            // of another version, is not asked for again.
            () = tokio::time::sleep(pause), if now == Hint::Blind || (now == Hint::There && pause < SELDOM) => {
                pause = (pause * 2).min(SELDOM);
            }
        }
        if now != Hint::Gone && is_served::<K>(client).await == Some(true) {
            return now;
        }
    }
}

/// Waits until the kind is no longer served; returns what was last known of its definition.
async fn vanished<K: Resource<DynamicType = ()>>(
    client: &Client,
    hints: &mut BoxStream<'static, Hint>,
    mut now: Hint,
) -> Hint {
    // A change may be that the version is no longer served.
    let mut look = None;
    loop {
        let pause = look.take().or((now == Hint::Blind).then_some(SELDOM));
        tokio::select! {
            Some(hint) = hints.next() => {
                (now, look) = (hint, Some(SHOWN));
                if now == Hint::Gone {
                    return now;
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                if is_served::<K>(client).await == Some(false) {
                    return now;
                }
            }
        }
    }
}

/// Whether discovery lists the kind in its version; `None` where the API server does not say.
async fn is_served<K: Resource<DynamicType = ()>>(client: &Client) -> Option<bool> {
    let said = async {
        // Sent as it is: a version that is not served has a page in plain text, which is an answer too.
        let request = Request::get(format!("/apis/{}", K::api_version(&()))).body(Body::empty())?;
        let answer = client.send(request).await?;
        match answer.status() {
            StatusCode::OK => {
                let list: APIResourceList =
                    serde_json::from_slice(&answer.into_body().collect_bytes().await?)?;
                Ok(list.resources.iter().any(|resource| resource.name == K::plural(&())))
            }
            StatusCode::NOT_FOUND => Ok(false),
            other => Err(format!("discovery answers {other}").into()),
        }
    };
    let said: Result<_, Box<dyn Error + Send + Sync>> = said.await;
    said.inspect_err(
        |error| tracing::warn!(kind = %K::kind(&()), %error, "whether it is served is not known"),
    )
    .ok()
}

/// What the watch of a definition tells. Where it is not allowed, only that.
fn hints(client: &Client, name: &str) -> BoxStream<'static, Hint> {
    let all: Api<Bare<CustomResourceDefinition>> = Api::all(client.clone());
    let one = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = kube::runtime::watcher(all, one).default_backoff();
    seen(events.take_while(|event| ready(!event.as_ref().is_err_and(is_refused))))
        .chain(stream::once(ready(Hint::Blind)))
        .chain(stream::pending())
        .boxed()
}

fn seen<K: Send>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
) -> impl Stream<Item = Hint> + Send {
    let hints = events.scan(false, |listed, event| {
        let hint = match event {
            Ok(Event::Init) => {
                *listed = false;
                None
            }
            Ok(Event::InitApply(_)) => {
                *listed = true;
                None
            }
            Ok(Event::InitDone) => Some(if *listed { Hint::There } else { Hint::Gone }),
            Ok(Event::Apply(_)) => Some(Hint::There),
            Ok(Event::Delete(_)) => Some(Hint::Gone),
            Err(_) => None,
        };
        ready(Some(hint))
    });
    hints.filter_map(ready)
}

fn is_refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.is_forbidden(),
        _ => false,
    }
}
