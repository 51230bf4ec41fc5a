//! Secrets and `ConfigMaps` that are nobody's business but their owners'.
//!
//! In: how many. Out: as many of each kind in a namespace of their own, about a megabyte each, a quarter of them
//! with most of what metadata may hold.

use anyhow::Result;
use crds::k8s::Namespace;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

/// Bytes of each: the API server takes 1,048,576 of data, and etcd half as much again in one object.
const SIZE: usize = 1_000_000;
/// Of these in annotations, where there are some: the API server takes 262,144 together.
const ANNOTATIONS: usize = 250_000;
/// Each so many has annotations.
const EVERY: usize = 4;
/// Objects that are made at a time.
const AT_A_TIME: usize = 8;

/// Makes `each` Secrets and as many `ConfigMaps`; how many of them have large annotations.
pub async fn make(client: &Client, namespace: &str, each: usize) -> Result<usize> {
    let object = serde_json::from_value(json!({ "metadata": { "name": namespace } }))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let made = stream::iter(0..each).map(async |number| {
        let (secret, map) = (body(number, "stringData"), body(number, "data"));
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
        anyhow::Ok(())
    });
    made.buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
    Ok((0..each).filter(|number| is_annotated(*number)).count() * 2)
}

fn is_annotated(number: usize) -> bool {
    number.is_multiple_of(EVERY)
}

fn body(number: usize, key: &str) -> Value {
    let annotated = if is_annotated(number) { ANNOTATIONS } else { 0 };
    let annotations =
        if annotated > 0 { json!({ "example.com/large": "a".repeat(annotated) }) } else { json!({}) };
    json!({
        "metadata": { "name": format!("foreign-{number}"), "annotations": annotations },
        key: { "large": "b".repeat(SIZE - annotated) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_megabyte_and_a_quarter_has_annotations() {
        let length = |value: &Value| value.as_str().map_or(0, str::len);
        let (plain, annotated) = (body(1, "data"), body(4, "data"));
        assert_eq!(length(&plain["data"]["large"]), SIZE);
        assert_eq!(length(&annotated["metadata"]["annotations"]["example.com/large"]), ANNOTATIONS);
        assert_eq!(length(&annotated["data"]["large"]) + ANNOTATIONS, SIZE);
        assert_eq!((0..300).filter(|number| is_annotated(*number)).count(), 75);
    }
}
