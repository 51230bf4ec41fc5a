//! Events as client-go's recorder writes them.
//! In: what happened to which object. Out: one Event for each different thing, counted up when it happens again, and not
//! more of one object than client-go's filter lets through. A failure is logged and forgotten.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::log;
use crate::translate::object::Object;

/// Who reports.
const REPORTER: &str = "kong-client";
/// Events of one object in a burst.
const BURST: f64 = 25.0;
/// Events of one object afterwards, in a second.
const RATE: f64 = 1.0 / 300.0;

/// What an Event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A configuration was taken; of the pod.
    Succeeded,
    /// A configuration was refused.
    ApplyFailed,
    /// An object could not be translated.
    TranslationFailed,
    /// The last valid configuration, or one without broken objects, was taken.
    FallbackSucceeded,
    /// That was refused too.
    FallbackFailed,
}

impl Happened {
    fn reason(self) -> &'static str {
        match self {
            Self::Succeeded => "KongConfigurationSucceeded",
            Self::ApplyFailed => "KongConfigurationApplyFailed",
            Self::TranslationFailed => "KongConfigurationTranslationFailed",
            Self::FallbackSucceeded => "FallbackKongConfigurationSucceeded",
            Self::FallbackFailed => "FallbackKongConfigurationApplyFailed",
        }
    }

    fn severity(self) -> &'static str {
        if matches!(self, Self::Succeeded | Self::FallbackSucceeded) { "Normal" } else { "Warning" }
    }
}

/// Writes Events.
pub struct Recorder {
    client: Client,
    host: String,
    on: bool,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    /// Name and count by object, reason and text.
    known: BTreeMap<(Object, &'static str, String), (String, i32)>,
    /// What each object may still have, and since when.
    budgets: BTreeMap<Object, (f64, Instant)>,
}

impl Recorder {
    /// Writes Events unless they are turned off.
    pub fn new(client: Client, host: String, on: bool) -> Self {
        Self { client, host, on, written: Mutex::default() }
    }

    /// Tells what happened to an object.
    pub async fn tell(&self, object: &Object, happened: Happened, text: &str) {
        if !self.on {
            return;
        }
        let mut written = self.written.lock().await;
        if !spend(&mut written.budgets, object, Instant::now()) {
            return;
        }
        // Events of objects without a namespace land in `default`.
        let namespace = if object.namespace.is_empty() { "default" } else { &object.namespace };
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let key = (object.clone(), happened.reason(), text.to_owned());
        let told = match written.known.get(&key).cloned() {
            Some((name, count)) => again(&api, &name, count + 1).await,
            None => self.create(&api, &key, happened.severity()).await,
        };
        match told {
            Ok(known) => drop(written.known.insert(key, known)),
            Err(error) => {
                written.known.remove(&key);
                log::error(&format!("Server rejected event: {error}"));
            }
        }
    }

    async fn create(
        &self,
        api: &Api<Event>,
        (object, reason, text): &(Object, &'static str, String),
        severity: &str,
    ) -> Result<(String, i32), kube::Error> {
        let now = Timestamp::now();
        let name = format!("{}.{:x}", object.name, now.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            involved_object: reference(object),
            reason: Some((*reason).to_owned()),
            message: Some(text.clone()),
            type_: Some(severity.to_owned()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource {
                component: Some(REPORTER.to_owned()),
                host: Some(self.host.clone()).filter(|host| !host.is_empty()),
            }),
            reporting_component: Some(REPORTER.to_owned()),
            ..Event::default()
        };
        api.create(&PostParams::default(), &event).await?;
        Ok((name, 1))
    }
}

async fn again(api: &Api<Event>, name: &str, count: i32) -> Result<(String, i32), kube::Error> {
    let change = serde_json::json!({ "count": count, "lastTimestamp": Time(Timestamp::now()) });
    api.patch(name, &PatchParams::default(), &Patch::Strategic(change)).await?;
    Ok((name.to_owned(), count))
}

fn reference(object: &Object) -> ObjectReference {
    let group = &object.group;
    ObjectReference {
        api_version: Some(if group.is_empty() {
            object.version.clone()
        } else {
            format!("{group}/{}", object.version)
        }),
        kind: Some(object.kind.clone()),
        name: Some(object.name.clone()),
        namespace: Some(object.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        uid: Some(object.uid.clone()).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    }
}

/// Takes one Event from what an object may have.
fn spend(budgets: &mut BTreeMap<Object, (f64, Instant)>, object: &Object, now: Instant) -> bool {
    let (left, since) = budgets.get(object).copied().unwrap_or((BURST, now));
    let left = (left + now.duration_since(since).as_secs_f64() * RATE).min(BURST);
    let good = left >= 1.0;
    budgets.insert(object.clone(), (if good { left - 1.0 } else { left }, now));
    good
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_object_has_a_burst_and_then_one_event_in_five_minutes() {
        let mut budgets = BTreeMap::new();
        let (object, begin) = (Object::default(), Instant::now());
        let passed = (0..100).filter(|_| spend(&mut budgets, &object, begin)).count();
        assert_eq!(passed, 25);
        let later = begin + Duration::from_secs(301);
        assert!(spend(&mut budgets, &object, later));
        assert!(!spend(&mut budgets, &object, later));
    }
}
