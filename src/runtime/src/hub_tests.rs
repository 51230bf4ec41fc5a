//! A hub over a hand-fed stream of watch events.

use std::time::Duration;

use super::*;
use crds::k8s::ConfigMap;
use futures::channel::mpsc;
use futures::{SinkExt, pin_mut};

fn object(name: &str, version: &str) -> ConfigMap {
    let mut object = ConfigMap::default();
    object.metadata.name = Some(name.into());
    object.metadata.namespace = Some("ns".into());
    object.metadata.resource_version = Some(version.into());
    object.metadata.uid = Some(format!("uid-{name}"));
    object
}

fn key(name: &str) -> ObjectRef<ConfigMap> {
    ObjectRef::new(name).within("ns")
}

struct Fed {
    feed: mpsc::Sender<Event<ConfigMap>>,
    hub: Hub<ConfigMap>,
}

async fn fed(initial: Vec<ConfigMap>) -> Fed {
    let (feed, events) = mpsc::channel(16);
    let (hub, drive) = Hub::over(events);
    tokio::spawn(drive);
    let mut begun = Fed { feed, hub };
    begun.list(initial).await;
    begun.hub.synced().await;
    begun
}

impl Fed {
    async fn send(&mut self, event: Event<ConfigMap>) {
        self.feed.send(event).await.unwrap();
    }

    async fn list(&mut self, objects: Vec<ConfigMap>) {
        self.send(Event::Init).await;
        for object in objects {
            self.send(Event::InitApply(object)).await;
        }
        self.send(Event::InitDone).await;
    }
}

async fn next(touches: impl Stream<Item = Touch<ConfigMap>>) -> String {
    pin_mut!(touches);
    match tokio::time::timeout(Duration::from_secs(5), touches.next()).await.unwrap().unwrap() {
        Touch::Object(object) => object.name_any(),
        Touch::Resync => "resync".into(),
    }
}

#[tokio::test]
async fn a_late_reader_gets_what_exists_and_then_deletes() {
    let mut fed = fed(vec![object("a", "1")]).await;
    let touches = fed.hub.touched();
    pin_mut!(touches);
    assert_eq!(next(&mut touches).await, "a");
    fed.send(Event::Delete(object("a", "2"))).await;
    assert_eq!(next(&mut touches).await, "a");
    assert!(fed.hub.get(&key("a")).is_none());
}

#[tokio::test]
async fn what_vanished_in_a_relist_is_told_and_what_did_not_change_is_not() {
    let mut fed = fed(vec![object("gone", "1"), object("same", "1"), object("new", "1")]).await;
    let touches = fed.hub.touched().skip(3);
    pin_mut!(touches);
    fed.list(vec![object("same", "1"), object("new", "2")]).await;
    let mut told = vec![next(&mut touches).await, next(&mut touches).await];
    told.sort();
    assert_eq!(told, ["gone", "new"]);
}

#[tokio::test]
async fn a_slow_reader_is_told_to_look_at_everything() {
    let mut fed = fed(vec![]).await;
    let touches = fed.hub.touched();
    pin_mut!(touches);
    for version in 0..=DEPTH {
        fed.send(Event::Apply(object("a", &version.to_string()))).await;
    }
    fed.send(Event::Apply(object("b", "9999"))).await;
    let settled = async {
        while fed.hub.get(&key("b")).is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), settled).await.unwrap();
    assert_eq!(next(&mut touches).await, "resync");
}

fn seen(fed: &Fed, name: &str) -> Option<String> {
    fed.hub.get(&key(name)).and_then(|object| object.resource_version())
}

#[tokio::test]
async fn an_answer_to_a_write_stands_in_until_the_watch_catches_up() {
    let mut fed = fed(vec![object("a", "1")]).await;
    fed.hub.note(object("a", "5"));
    assert_eq!(seen(&fed, "a").as_deref(), Some("5"));
    let touches = fed.hub.touched().skip(1);
    pin_mut!(touches);
    fed.send(Event::Apply(object("other", "4"))).await;
    next(&mut touches).await;
    assert_eq!(seen(&fed, "a").as_deref(), Some("5"), "the watch is not there yet");
    fed.send(Event::Apply(object("a", "6"))).await;
    next(&mut touches).await;
    assert_eq!(seen(&fed, "a").as_deref(), Some("6"));
    fed.hub.note(object("a", "5"));
    assert_eq!(seen(&fed, "a").as_deref(), Some("6"), "an old answer is ignored");
}

#[tokio::test]
async fn an_answer_that_comes_after_the_delete_is_no_ghost() {
    let mut fed = fed(vec![]).await;
    let touches = fed.hub.touched();
    pin_mut!(touches);
    fed.send(Event::Apply(object("a", "10"))).await;
    fed.send(Event::Delete(object("a", "11"))).await;
    next(&mut touches).await;
    next(&mut touches).await;
    fed.hub.note(object("a", "10"));
    assert_eq!(seen(&fed, "a"), None);
}

#[tokio::test]
async fn a_relist_keeps_answers_that_are_newer() {
    let mut fed = fed(vec![object("a", "1")]).await;
    fed.hub.note(object("a", "5"));
    let touches = fed.hub.touched().skip(1);
    pin_mut!(touches);
    fed.list(vec![object("a", "1"), object("b", "3")]).await;
    assert_eq!(next(&mut touches).await, "b");
    assert_eq!(seen(&fed, "a").as_deref(), Some("5"));
}

#[tokio::test]
async fn an_object_that_loses_its_owner_is_told_as_it_was() {
    let mut owned = object("a", "1");
    owned.metadata.owner_references =
        Some(vec![crds::k8s::OwnerReference { uid: "u".into(), ..Default::default() }]);
    let mut fed = fed(vec![owned]).await;
    let touches = fed.hub.touched().skip(1);
    pin_mut!(touches);
    fed.send(Event::Apply(object("a", "2"))).await;
    let Touch::Object(first) = touches.next().await.unwrap() else { panic!("resync") };
    assert_eq!(first.owner_references().len(), 1);
}

#[tokio::test]
async fn managed_fields_are_not_kept() {
    let mut with = object("a", "1");
    with.metadata.managed_fields = Some(vec![]);
    let fed = fed(vec![with]).await;
    assert!(fed.hub.get(&key("a")).unwrap().metadata.managed_fields.is_none());
}

#[tokio::test]
async fn packed_objects_are_read_and_told_of_like_any_other() {
    let hub: Hub<ConfigMap> = Hub::packed();
    let (mut feed, events) = mpsc::channel(16);
    tokio::spawn(hub.follow(Place::Everywhere, events));
    let mut whole = object("a", "1");
    whole.data = Some([("key".to_owned(), "value".to_owned())].into());
    for event in
        [Event::Init, Event::InitApply(whole.clone()), Event::InitApply(object("b", "2")), Event::InitDone]
    {
        feed.send(event).await.unwrap();
    }
    hub.synced().await;
    assert_eq!(hub.get(&key("a")).as_deref(), Some(&whole));
    assert_eq!(hub.select(|object| object.data.is_none()).len(), 1);
    assert_eq!(hub.all().len(), 2);
    let touches = hub.touched().skip(2);
    pin_mut!(touches);
    feed.send(Event::Apply(object("a", "1"))).await.unwrap();
    feed.send(Event::Delete(object("b", "3"))).await.unwrap();
    assert_eq!(next(&mut touches).await, "b", "the same version is no news");
    assert!(hub.get(&key("b")).is_none() && hub.get(&key("a")).is_some());
}

#[tokio::test]
async fn what_is_trimmed_is_not_kept_and_what_a_watch_that_ended_showed_is_told_as_gone() {
    let hub: Hub<ConfigMap> = Hub::trimmed(|object| object.data = None);
    let (mut feed, events) = mpsc::channel(16);
    tokio::spawn(hub.follow(Place::Namespace("ns".into()), events));
    let mut whole = object("a", "1");
    whole.data = Some([("key".to_owned(), "value".to_owned())].into());
    for event in [Event::Init, Event::InitApply(whole.clone()), Event::InitDone] {
        feed.send(event).await.unwrap();
    }
    hub.synced().await;
    whole.metadata.resource_version = Some("5".into());
    hub.note(whole);
    assert!(hub.get(&key("a")).unwrap().data.is_none(), "nor of an answer");
    let touches = hub.touched();
    pin_mut!(touches);
    assert_eq!(next(&mut touches).await, "a", "it exists");
    hub.clear(&Place::Namespace("other".into()));
    hub.clear(&Place::Namespace("ns".into()));
    assert_eq!(next(&mut touches).await, "a");
    assert!(hub.all().is_empty());
}

#[tokio::test]
async fn a_list_of_one_namespace_neither_loses_nor_revives_objects_of_another_namespace() {
    let hub: Hub<ConfigMap> = Hub::default();
    let there = |namespace: &str, name: &str, version: &str| {
        let mut object = object(name, version);
        object.metadata.namespace = Some(namespace.into());
        object
    };
    let feed = |place: &str| {
        let (feed, events) = mpsc::channel(16);
        tokio::spawn(hub.follow(Place::Namespace(place.into()), events));
        Fed { feed, hub: hub.clone() }
    };
    let (mut a, mut b) = (feed("a"), feed("b"));
    a.list(vec![there("a", "one", "1"), there("a", "two", "1")]).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), hub.synced()).await.is_err(), "b is not listed");
    b.list(vec![there("b", "one", "1")]).await;
    hub.synced().await;
    let touches = hub.touched().skip(3);
    pin_mut!(touches);
    b.send(Event::Delete(there("b", "one", "2"))).await;
    assert_eq!(next(&mut touches).await, "one");
    a.list(vec![there("a", "two", "1")]).await;
    assert_eq!(next(&mut touches).await, "one", "it vanished from a");
    assert_eq!(hub.all(), [ObjectRef::new("two").within("a")]);
}

#[test]
fn what_does_not_decode_is_left_alone_and_still_goes() {
    let bad = || Guarded::<ConfigMap>::Bad {
        metadata: Box::new(object("a", "2").metadata),
        error: "no such number".into(),
    };
    let before = |found: &ObjectRef<ConfigMap>| (*found == key("a")).then(|| Arc::new(object("a", "1")));
    assert!(decoded(Event::Apply(bad()), before).is_none(), "what is kept stays as it was");
    let gone = decoded(Event::Delete(bad()), before);
    assert!(matches!(gone, Some(Event::Delete(object)) if object.metadata.name.as_deref() == Some("a")));
    assert!(decoded(Event::Delete(bad()), |_| None).is_none(), "nobody knew it");
}
