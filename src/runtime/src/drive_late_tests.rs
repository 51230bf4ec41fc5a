//! Statuses that may wait: the loop over a store and an API server of the test's own, which is sent them.

use crds::DataPlane;
use crds::dataplane::{DataPlaneSpec, DataPlaneStatus};
use crds::k8s::{Time, Timestamp};
use futures::SinkExt;
use futures::channel::mpsc;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::postpone::LONGEST;
use super::*;
use crate::lease::Claim;

/// How long each look is content to wait for the next one.
const SOON: Duration = Duration::from_mins(1);

/// A pod that starts: each look finds another number of seconds, until it is ready.
#[derive(Clone)]
struct Starts {
    began: Instant,
    ready: Duration,
    end: End,
}

/// What the last look finds.
#[derive(Clone, Copy)]
enum End {
    Ready,
    Fails,
    /// Nothing is under way any more, and nothing but the words is other than before.
    Idle,
}

#[derive(Debug, thiserror::Error)]
#[error("made to fail")]
struct Never;

impl Failure for Never {
    fn impact(&self) -> Impact {
        Impact::User
    }

    fn reason(&self) -> &'static str {
        "MadeToFail"
    }
}

fn status(status: &str, reason: &str, words: String) -> DataPlaneStatus {
    let ready = Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: words,
        observed_generation: Some(1),
        reason: reason.into(),
        status: status.into(),
        type_: "Ready".into(),
    };
    DataPlaneStatus { conditions: Some(vec![ready]), ..DataPlaneStatus::default() }
}

impl Reconciler for Starts {
    type Kind = DataPlane;
    type Status = DataPlaneStatus;
    type Error = Never;

    async fn reconcile(&self, _: Arc<DataPlane>) -> Result<Outcome<DataPlaneStatus>, Never> {
        let since = self.began.elapsed();
        let words = format!("{} ms", since.as_millis());
        if since < self.ready {
            let status = status("False", "WaitingToBecomeReady", words);
            return Ok(Outcome { status, next: Next::Waiting(SOON) });
        }
        let next = Next::Settled { again: None };
        match self.end {
            End::Fails => Err(Never),
            End::Ready => Ok(Outcome { status: status("True", "Ready", String::new()), next }),
            End::Idle => Ok(Outcome { status: status("False", "WaitingToBecomeReady", "idle".into()), next }),
        }
    }

    fn failed(&self, _: &DataPlane, reason: &'static str, words: String) -> DataPlaneStatus {
        status("False", reason, words)
    }

    fn conditions(status: &DataPlaneStatus) -> &[Condition] {
        status.conditions.as_deref().unwrap_or_default()
    }
}

/// When each status was sent, and what it says: the reason of its condition, and its words.
type Sent = Arc<Mutex<Vec<(Duration, String, String)>>>;

/// An API server that takes every status but the first `refusals`, and keeps when each came.
fn client(sent: &Sent, began: Instant, refusals: u64) -> Client {
    let (sent, asked) = (Arc::clone(sent), Arc::new(AtomicU64::new(0)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (sent, number) = (Arc::clone(&sent), asked.fetch_add(1, Ordering::Relaxed));
        async move {
            let body = axum::body::Body::new(request.into_body());
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let answer = |status: u16, body: Value| {
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                Ok::<_, Never>(Response::builder().status(status).body(body).unwrap())
            };
            if number < refusals {
                return answer(500, json!({}));
            }
            let said = |field: &str| body["status"]["conditions"][0][field].as_str().unwrap().to_owned();
            sent.lock().unwrap().push((began.elapsed(), said("reason"), said("message")));
            let mut stored = json!(object(number + 2));
            stored["status"] = body["status"].clone();
            answer(200, stored)
        }
    });
    Client::new(service, "ns")
}

fn object(version: u64) -> DataPlane {
    let mut object = DataPlane::new("edge", DataPlaneSpec::default());
    object.metadata.namespace = Some("ns".into());
    object.metadata.uid = Some("uid".into());
    object.metadata.resource_version = Some(version.to_string());
    object
}

/// Drives one object for so long, touched at these times; what was sent meanwhile.
async fn driven(
    reconciler: Starts,
    touched: impl Iterator<Item = Duration>,
    (lasts, refusals): (Duration, u64),
) -> Vec<(Duration, String, String)> {
    let (mut feed, events) = mpsc::channel(16);
    let (hub, follow) = Hub::over(events);
    tokio::spawn(follow);
    for event in [Event::Init, Event::InitApply(object(1)), Event::InitDone] {
        feed.send(event).await.unwrap();
    }
    let (sent, began, metrics) = (Sent::default(), reconciler.began, Metrics::new("x"));
    let silent =
        tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Never>>());
    let of = |client: Client| Writer::new(client, metrics.clone(), Claim::forever());
    let events = Events::new(of(Client::new(silent, "ns")), "test");
    let writer = of(client(&sent, began, refusals));
    let kit = Kit { writer, events, metrics: metrics.clone(), live: Checks::default() };
    let (touch, triggers) = mpsc::unbounded();
    let stop = CancellationToken::new();
    let driven = tokio::spawn(drive(reconciler, hub, triggers, kit, stop.clone()));
    for at in touched {
        tokio::time::sleep_until(began + at).await;
        touch.unbounded_send(ObjectRef::new("edge").within("ns")).unwrap();
    }
    tokio::time::sleep_until(began + lasts).await;
    stop.cancel();
    driven.await.unwrap();
    drop(feed);
    sent.lock().unwrap().clone()
}

fn starts(ready: Duration) -> Starts {
    Starts { began: Instant::now(), ready, end: End::Ready }
}

const SECOND: Duration = Duration::from_secs(1);
/// What scheduling may add, in the test's own time.
const TICK: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn words_that_change_without_end_are_written_now_and_then_and_what_counts_at_once() {
    let touched = (0..=100).map(|number| SECOND / 10 * number);
    let sent = driven(starts(SECOND * 9), touched, (SECOND * 20, 0)).await;
    let (last, before) = sent.split_last().unwrap();
    assert_eq!(before.len(), 4, "{sent:?}");
    for (number, (at, reason, words)) in (1..).zip(before) {
        assert!(*at >= LONGEST * number && *at < LONGEST * number + SECOND / 2, "{sent:?}");
        assert_eq!(reason, "WaitingToBecomeReady");
        assert_eq!(*words, format!("{} ms", at.as_millis()), "they are as new as the write");
    }
    assert!(last.0 >= SECOND * 9 && last.0 <= SECOND * 9 + TICK && last.1 == "Ready", "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_written_though_nothing_more_happens() {
    let sent = driven(starts(SECOND * 600), [Duration::ZERO].into_iter(), (SECOND * 30, 0)).await;
    let [(at, reason, _)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(*at >= LONGEST && *at < LONGEST + TICK && reason == "WaitingToBecomeReady", "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_wait_and_takes_what_waits_with_it() {
    let fails = Starts { end: End::Fails, ..starts(SECOND / 2) };
    let touched = [Duration::ZERO, SECOND / 2];
    let sent = driven(fails, touched.into_iter(), (SECOND * 30, 0)).await;
    let [(at, reason, _)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(*at >= SECOND / 2 && *at < SECOND / 2 + TICK && reason == "MadeToFail", "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_does_not_wait() {
    let idle = Starts { end: End::Idle, ..starts(SECOND / 2) };
    let touched = [Duration::ZERO, SECOND / 2];
    let sent = driven(idle, touched.into_iter(), (SECOND * 30, 0)).await;
    let [(at, _, words)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(*at >= SECOND / 2 && *at < SECOND / 2 + TICK && words == "idle", "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waited_and_was_refused_waits_no_longer_than_any_other() {
    let sent = driven(starts(SECOND * 600), [Duration::ZERO].into_iter(), (SECOND * 30, 1)).await;
    let [(at, _, _)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(*at > LONGEST && *at < LONGEST + SECOND, "{sent:?}");
}
