//! Names over a hand-fed stream of watch events.

use std::time::Duration;

use crds::k8s::ConfigMap;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;

type Object = Bare<ConfigMap>;

fn object(namespace: &str, name: &str) -> Object {
    let metadata = json!({ "name": name, "namespace": namespace, "resourceVersion": "7" });
    serde_json::from_value(json!({ "metadata": metadata })).unwrap()
}

/// Names of `place`, and what feeds them.
fn fed(names: &Names, place: Place) -> mpsc::Sender<Event<Object>> {
    let (feed, events) = mpsc::channel(16);
    tokio::spawn(follow(place, events, names.clone()));
    feed
}

async fn list(feed: &mut mpsc::Sender<Event<Object>>, objects: Vec<Object>) {
    feed.send(Event::Init).await.unwrap();
    for object in objects {
        feed.send(Event::InitApply(object)).await.unwrap();
    }
    feed.send(Event::InitDone).await.unwrap();
}

async fn told(touches: impl Stream<Item = Touch<Name>>, count: usize) -> Vec<String> {
    let told = touches.take(count).map(|touch| match touch {
        Touch::Object(name) => format!("{}/{}", name.namespace, name.name),
        Touch::Resync => "resync".into(),
    });
    let mut told: Vec<_> = tokio::time::timeout(Duration::from_secs(5), told.collect()).await.unwrap();
    told.sort();
    told
}

#[tokio::test]
async fn what_comes_and_goes_is_told_and_what_only_changes_is_not() {
    let names = Names::default();
    let mut touches = Box::pin(names.touched());
    let mut feed = fed(&names, Place::Everywhere);
    list(&mut feed, vec![object("ns", "a"), object("ns", "b")]).await;
    assert_eq!(told(&mut touches, 2).await, ["ns/a", "ns/b"]);
    assert!(names.contains("ns", "a") && !names.contains("ns", "c") && !names.contains("other", "a"));
    feed.send(Event::Apply(object("ns", "a"))).await.unwrap();
    feed.send(Event::Delete(object("ns", "b"))).await.unwrap();
    feed.send(Event::Apply(object("ns", "c"))).await.unwrap();
    assert_eq!(told(&mut touches, 2).await, ["ns/b", "ns/c"]);
    assert!(!names.contains("ns", "b") && names.contains("ns", "c"));
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn a_list_of_one_namespace_neither_loses_nor_revives_names_of_another() {
    let names = Names::default();
    let (mut a, mut b) =
        (fed(&names, Place::Namespace("a".into())), fed(&names, Place::Namespace("b".into())));
    let mut touches = Box::pin(names.touched());
    list(&mut a, vec![object("a", "one"), object("a", "two")]).await;
    list(&mut b, vec![object("b", "one")]).await;
    told(&mut touches, 3).await;
    list(&mut a, vec![object("a", "two")]).await;
    assert_eq!(told(&mut touches, 1).await, ["a/one"]);
    assert!(names.contains("b", "one") && names.contains("a", "two"));
    b.send(Event::Delete(object("b", "one"))).await.unwrap();
    assert_eq!(told(&mut touches, 1).await, ["b/one"]);
    list(&mut a, vec![]).await;
    assert_eq!(told(&mut touches, 1).await, ["a/two"]);
    assert!(names.is_empty());
}
