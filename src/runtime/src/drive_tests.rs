//! The loop around a reconciler of the test's own, over a hand-fed store.

use std::collections::BTreeMap;

use crds::DataPlane;
use crds::dataplane::DataPlaneStatus;
use futures::SinkExt;
use futures::channel::mpsc;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::watcher::Event;

use super::turns::FAREWELL;
use super::*;
use crate::lease::Claim;

/// How each object fares, by its name.
#[derive(Clone, Default)]
struct Fake {
    turns: Arc<Mutex<BTreeMap<String, u32>>>,
    shown: Arc<Mutex<Vec<(String, &'static str)>>>,
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

impl Reconciler for Fake {
    type Kind = DataPlane;
    type Status = DataPlaneStatus;
    type Error = Never;

    async fn reconcile(&self, object: Arc<DataPlane>) -> Result<Outcome<DataPlaneStatus>, Never> {
        let name = object.name_any();
        *self.turns.lock().unwrap().entry(name.clone()).or_default() += 1;
        match name.split('-').next().unwrap_or_default() {
            "hangs" => std::future::pending().await,
            "panics" => panic!("as it was told"),
            "fails" => Err(Never),
            "slow" => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(settled(&object))
            }
            _ => Ok(settled(&object)),
        }
    }

    fn failed(&self, object: &DataPlane, reason: &'static str, _words: String) -> DataPlaneStatus {
        self.shown.lock().unwrap().push((object.name_any(), reason));
        object.status.clone().unwrap_or_default()
    }

    fn conditions(_status: &DataPlaneStatus) -> &[Condition] {
        &[]
    }
}

/// The status that the object has: nothing is written.
fn settled(object: &DataPlane) -> Outcome<DataPlaneStatus> {
    let status = object.status.clone().unwrap_or_default();
    Outcome { status, next: Next::Settled { again: None } }
}

impl Fake {
    fn turns(&self, name: &str) -> u32 {
        self.turns.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    /// Waits, in the test's own time, until it holds.
    async fn until(&self, holds: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_hours(1), waited).await.unwrap();
        began.elapsed()
    }
}

struct World {
    fake: Fake,
    metrics: Metrics,
    live: Checks,
    triggers: mpsc::UnboundedSender<ObjectRef<DataPlane>>,
    stop: CancellationToken,
    driven: tokio::task::JoinHandle<()>,
}

fn key(name: &str) -> ObjectRef<DataPlane> {
    ObjectRef::new(name).within("ns")
}

fn object(name: &str) -> DataPlane {
    let mut object = DataPlane::new(name, crds::dataplane::DataPlaneSpec::default());
    object.metadata.namespace = Some("ns".into());
    object.metadata.uid = Some(format!("uid-{name}"));
    object.status = Some(DataPlaneStatus::default());
    object
}

fn kit(metrics: &Metrics, live: &Checks) -> Kit {
    let silent =
        tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Never>>());
    let writer = Writer::new(Client::new(silent, "ns"), metrics.clone(), Claim::forever());
    Kit { events: Events::new(writer.clone(), "test"), writer, metrics: metrics.clone(), live: live.clone() }
}

/// A loop with these objects in its store, each of which was touched once.
async fn world(names: &[String]) -> World {
    let (mut feed, events) = mpsc::channel(16);
    let (hub, follow) = Hub::over(events);
    tokio::spawn(follow);
    feed.send(Event::Init).await.unwrap();
    for name in names {
        feed.send(Event::InitApply(object(name))).await.unwrap();
    }
    feed.send(Event::InitDone).await.unwrap();
    let (triggers, asked) = mpsc::unbounded();
    for name in names {
        triggers.unbounded_send(key(name)).unwrap();
    }
    let (fake, metrics, live, stop) =
        (Fake::default(), Metrics::new("x"), Checks::default(), CancellationToken::new());
    let driven = drive(fake.clone(), hub, asked, kit(&metrics, &live), stop.clone());
    // The feed must not end before the loop does.
    let driven = tokio::spawn(async move {
        driven.await;
        drop(feed);
    });
    World { fake, metrics, live, triggers, stop, driven }
}

fn some(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}-{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_touched_without_end_and_some_that_hang_starve_nobody() {
    let mut names = some("hangs", CONCURRENCY - 1);
    names.push("slow-busy".into());
    names.extend(some("quiet", 200));
    let w = world(&names).await;
    let (touch, fake) = (w.triggers.clone(), w.fake.clone());
    let busy = tokio::spawn(async move {
        loop {
            touch.unbounded_send(key("slow-busy")).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let all = |fake: &Fake| (0..200).all(|number| fake.turns(&format!("quiet-{number}")) == 1);
    let took = w.fake.until(all).await;
    // One turn is left for all of them, and the busy one has it for 10 ms as often as it comes round.
    assert!(took < Duration::from_secs(1), "{took:?}, busy {} times", fake.turns("slow-busy"));
    let before = fake.turns("slow-busy");
    fake.until(|fake| fake.turns("slow-busy") > before).await;
    busy.abort();
}

#[tokio::test(start_paused = true)]
async fn many_that_are_touched_without_end_leave_the_others_their_turns() {
    let mut names = some("slow", CONCURRENCY * 4);
    names.extend(some("quiet", 20));
    let w = world(&names).await;
    let touch = w.triggers.clone();
    let busy = tokio::spawn(async move {
        loop {
            for name in some("slow", CONCURRENCY * 4) {
                touch.unbounded_send(key(&name)).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    w.fake.until(|fake| fake.turns("slow-0") > 10).await;
    for round in 2..5 {
        for name in some("quiet", 20) {
            w.triggers.unbounded_send(key(&name)).unwrap();
        }
        let took = w.fake.until(|fake| (0..20).all(|n| fake.turns(&format!("quiet-{n}")) == round)).await;
        // A round of all the busy ones is four times 10 ms.
        assert!(took < Duration::from_millis(100), "{took:?}");
    }
    busy.abort();
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_hangs_ends_in_a_failure_and_is_tried_again() {
    let w = world(&["hangs".into()]).await;
    let took = w.fake.until(|fake| fake.turns("hangs") == 2).await;
    assert!(took >= DEADLINE && took < DEADLINE + Duration::from_secs(2), "{took:?}");
    let line = r#"silverback_reconciles_total{kind="DataPlane",result="DeadlineExceeded"} 1"#;
    assert!(w.metrics.text().contains(line), "{}", w.metrics.text());
    w.fake.until(|fake| !fake.shown.lock().unwrap().is_empty()).await;
    assert_eq!(
        *w.fake.shown.lock().unwrap(),
        [("hangs".to_owned(), "DeadlineExceeded")],
        "shown when it lasts"
    );
    assert_eq!(w.fake.turns("hangs"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_reconcile_only() {
    let w = world(&["panics".into(), "quiet".into()]).await;
    let took = w.fake.until(|fake| fake.turns("panics") == 3 && fake.turns("quiet") == 1).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let line = r#"silverback_reconciles_total{kind="DataPlane",result="Panicked"}"#;
    assert!(w.metrics.text().contains(line), "{}", w.metrics.text());
}

#[tokio::test(start_paused = true)]
async fn a_users_error_is_shown_and_not_tried_again() {
    let w = world(&["fails".into()]).await;
    w.fake.until(|fake| fake.turns("fails") == 1).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(w.fake.turns("fails"), 1);
    assert_eq!(*w.fake.shown.lock().unwrap(), [("fails".to_owned(), "MadeToFail")]);
    w.triggers.unbounded_send(key("fails")).unwrap();
    w.fake.until(|fake| fake.turns("fails") == 2).await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_shown() {
    let mut names = some("hangs", CONCURRENCY);
    names.extend(some("quiet", 3));
    let w = world(&names).await;
    w.fake.until(|fake| fake.turns("hangs-15") == 1).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let text = w.metrics.text();
    for line in [
        r#"silverback_queue_depth{kind="DataPlane"} 3.0"#,
        r#"silverback_reconciles_in_progress{kind="DataPlane"} 16.0"#,
        r#"silverback_queue_wait_seconds_count{kind="DataPlane"} 16"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    let oldest = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"silverback_queue_oldest_seconds{kind="DataPlane"} "#));
    assert!(oldest.unwrap().parse::<f64>().unwrap() >= 10.0, "{text}");
    w.fake.until(|fake| fake.turns("quiet-2") == 1).await;
    assert!(w.metrics.text().contains(r#"silverback_queue_depth{kind="DataPlane"} 0.0"#));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_finishes_and_nothing_new_begins() {
    let w = world(&some("slow", CONCURRENCY + 4)).await;
    w.fake.until(|fake| fake.turns("slow-15") == 1).await;
    w.stop.cancel();
    w.driven.await.unwrap();
    let text = w.metrics.text();
    let line = r#"silverback_reconciles_total{kind="DataPlane",result="settled"} 16"#;
    assert!(text.lines().any(|found| found == line), "{text}");
    assert_eq!(w.fake.turns("slow-16"), 0);
    assert!(w.live.hold(), "a loop that has ended is not stuck");
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_not_waited_for_at_the_end() {
    let w = world(&["hangs".into()]).await;
    w.fake.until(|fake| fake.turns("hangs") == 1).await;
    let began = Instant::now();
    w.stop.cancel();
    w.driven.await.unwrap();
    assert!(began.elapsed() >= FAREWELL && began.elapsed() < FAREWELL * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_has_no_turn() {
    let w = world(&["quiet".into()]).await;
    w.triggers.unbounded_send(key("never-made")).unwrap();
    w.triggers.unbounded_send(key("quiet")).unwrap();
    w.fake.until(|fake| fake.turns("quiet") >= 1).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(w.fake.turns("never-made"), 0);
    assert!(w.metrics.text().contains(r#"silverback_queue_depth{kind="DataPlane"} 0.0"#));
}
