//! One webhook configuration.
//!
//! In: the configuration as its watch shows it, and as it is wanted. Out: a write where they differ, and whether they
//! do. Never: a fight: what the API server makes something else of at once is left, and what others change again and
//! again is written at growing intervals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::k8s::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use crds::names::WEBHOOK_CONFIGURATION;
use kube::core::ClusterResourceScope;
use kube::{Api, Resource, ResourceExt};
use runtime::hub::Watched;
use runtime::writer::Error;
use runtime::{Writer, failure};
use serde::Serialize;
use serde_json::{Value, json};

use super::compare::{self, Difference};
use super::keep::is_conflict;
use super::lead::Registration;
use super::want::{is_injected, trusts, want};
use super::watched::{News, Watch};

/// How long the watch may take to show a write.
const SHOWN: Duration = Duration::from_secs(5);
/// Pause after a write, before the next to the same configuration; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so long without a write the pauses begin anew.
const CALM: Duration = Duration::from_mins(2);

/// The two kinds.
pub trait Configuration: Watched + Resource<Scope = ClusterResourceScope> + Serialize {
    /// Its place among what a registration wants.
    const INDEX: usize;
}

impl Configuration for MutatingWebhookConfiguration {
    const INDEX: usize = 0;
}

impl Configuration for ValidatingWebhookConfiguration {
    const INDEX: usize = 1;
}

/// What is known of a configuration.
enum Live<K> {
    Unknown,
    Absent,
    Here(Arc<K>),
}

/// How a configuration stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is not there.
    Absent,
    /// It is as wanted; the API server has shown it so.
    Holds,
    /// It is not yet, or not known to be.
    Pending(Option<Instant>),
    /// It cannot be made so, in words for people.
    Ill(String, Instant),
    /// Nobody is known yet who could have signed the certificate.
    Unsigned,
}

impl Settled {
    /// Whether every client that goes by it trusts what is published.
    pub fn trusts(&self) -> bool {
        matches!(self, Self::Absent | Self::Holds)
    }

    /// When it should be looked at again.
    pub fn again(&self) -> Option<Instant> {
        match self {
            Self::Pending(at) => *at,
            Self::Ill(_, at) => Some(*at),
            Self::Absent | Self::Holds | Self::Unsigned => None,
        }
    }

    /// What is wrong.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Ill(words, _) => Some(words.clone()),
            _ => None,
        }
    }
}

/// One configuration.
pub struct Side<K> {
    /// What the metrics call it.
    pub name: &'static str,
    watch: Watch<K>,
    live: Live<K>,
    broken: Option<String>,
    /// The version that the last write was decided on, and when.
    decided: Option<(Option<String>, Instant)>,
    /// What the API server at once made of what was written, and what that was.
    kept: Option<(Value, Vec<Difference>)>,
    /// What was written last, and how often in a row.
    last: Option<Value>,
    writes: u32,
    wrote: Option<bool>,
    /// Whether it would refuse more if the webhooks were known to be reached.
    lenient: bool,
}

impl<K: Configuration> Side<K> {
    pub fn new(name: &'static str, api: Api<K>) -> Self {
        Self {
            name,
            watch: Watch::new(api, WEBHOOK_CONFIGURATION),
            live: Live::Unknown,
            broken: None,
            decided: None,
            kept: None,
            last: None,
            writes: 0,
            wrote: None,
            lenient: false,
        }
    }

    /// Waits for news of it.
    pub async fn heard(&mut self) {
        match self.watch.next().await {
            News::Found(Some(object)) => (self.live, self.broken) = (Live::Here(Arc::new(*object)), None),
            News::Found(None) => {
                if !matches!(self.live, Live::Absent) {
                    let (kind, name) = (K::kind(&()), WEBHOOK_CONFIGURATION);
                    tracing::warn!(%kind, name, "not there, so the API server does not ask: apply manifests/webhook");
                }
                (self.live, self.broken) = (Live::Absent, None);
            }
            News::Broken(why) => self.broken = Some(why),
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self.live, Live::Absent)
    }

    /// Whether it waits for a self-test.
    pub fn is_lenient(&self) -> bool {
        self.lenient && matches!(self.live, Live::Here(_))
    }

    /// Whether the last look wrote, and whether that went well.
    pub fn wrote(&mut self) -> Option<bool> {
        self.wrote.take()
    }

    /// Makes it what is wanted.
    pub async fn settle(
        &mut self,
        writer: &Writer,
        registration: &Registration,
        bundle: Option<&str>,
        tested: bool,
    ) -> Settled {
        let live = match (&self.live, &self.broken) {
            (Live::Absent, None) => return Settled::Absent,
            (_, Some(why)) => {
                let words = format!("{} {WEBHOOK_CONFIGURATION:?} cannot be read: {why}", K::kind(&()));
                return Settled::Ill(words, Instant::now() + LONGEST_PAUSE);
            }
            (Live::Unknown, None) => return Settled::Pending(None),
            (Live::Here(live), None) => Arc::clone(live),
        };
        let injected = is_injected(live.as_ref());
        if bundle.is_none() && !injected {
            return Settled::Unsigned;
        }
        let shown = serde_json::to_value(live.as_ref()).unwrap_or_default();
        let Some(want) = want::<K>(&shown, registration, bundle.filter(|_| !injected), tested) else {
            return Settled::Unsigned;
        };
        let strict = registration.wanted(None, true).into_iter().nth(K::INDEX).unwrap_or_default();
        self.lenient = compare::refusing(&want) != compare::refusing(&strict);
        match self.differs(&want, &shown, injected) {
            None if bundle.is_some_and(|bundle| !trusts(&shown, &want, bundle)) => {
                let (kind, at) = (K::kind(&()), Instant::now() + LONGEST_PAUSE);
                Settled::Ill(
                    format!("{kind} {WEBHOOK_CONFIGURATION:?}: caBundle lacks an authority in use"),
                    at,
                )
            }
            None => Settled::Holds,
            Some(path) => self.write(writer, live.as_ref(), want, &path).await,
        }
    }

    /// The first difference that a write may undo.
    fn differs(&self, want: &Value, shown: &Value, injected: bool) -> Option<String> {
        let kept = self.kept.as_ref().filter(|(of, _)| of == want).map(|(_, kept)| kept.as_slice());
        let found = compare::differences(want, shown, injected);
        found.into_iter().find(|one| !kept.unwrap_or_default().contains(one)).map(|one| one.path)
    }

    async fn write(&mut self, writer: &Writer, live: &K, want: Value, path: &str) -> Settled {
        let version = live.resource_version();
        if self.last.as_ref() != Some(&want) {
            // Something new is no fight.
            (self.last, self.writes) = (Some(want.clone()), 0);
        }
        if let Some((decided, at)) = &self.decided {
            let next = *at + if *decided == version { SHOWN } else { pause(self.writes) };
            if at.elapsed() > CALM {
                self.writes = 0;
            } else if next > Instant::now() {
                return Settled::Pending(Some(next));
            }
        }
        tracing::info!(kind = %K::kind(&()), field = path, "applying the webhook configuration");
        let answer = send(writer, &want, live).await;
        (self.wrote, self.writes) = (Some(answer.is_ok()), self.writes.saturating_add(1));
        match answer {
            Ok(written) => {
                self.learn(want, &written);
                let same = written.resource_version() == version;
                self.decided = Some((version, Instant::now())).filter(|_| !same);
                Settled::Pending(Some(Instant::now() + if same { Duration::ZERO } else { SHOWN }))
            }
            Err(error) => {
                self.decided = None;
                let at = Instant::now() + pause(self.writes + 3);
                if is_conflict(&error) {
                    Settled::Pending(Some(at))
                } else {
                    Settled::Ill(failure::chain(&error), at)
                }
            }
        }
    }

    /// Remembers what the API server made of a write: writing it again would change nothing, for ever. Whatever else
    /// becomes different, even in the same place, is somebody's doing and is put back.
    fn learn(&mut self, want: Value, written: &K) {
        let shown = serde_json::to_value(written).unwrap_or_default();
        let kept = compare::differences(&want, &shown, is_injected(written));
        for Difference { path, .. } in &kept {
            tracing::warn!(kind = %K::kind(&()), field = path, "the API server keeps another value, left alone");
        }
        self.kept = Some((want, kept));
    }
}

/// By server-side apply. What others have added to our webhooks only goes by replacing them.
async fn send<K: Configuration>(writer: &Writer, want: &Value, live: &K) -> Result<K, Error> {
    let written: K = writer.apply_global(WEBHOOK_CONFIGURATION, &addressed(want, live)).await?;
    let shown = serde_json::to_value(&written).unwrap_or_default();
    if compare::differences(want, &shown, is_injected(live)).is_empty() || is_injected(live) {
        return Ok(written);
    }
    let fields = json!({
        "metadata": { "uid": written.uid(), "resourceVersion": written.resource_version() },
        "webhooks": want.get("webhooks"),
    });
    writer.merge_global(WEBHOOK_CONFIGURATION, &fields).await
}

/// How long after so many writes the next one has to wait. A handful is what a rotation or a first start needs.
fn pause(writes: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.pow(writes.saturating_sub(5).min(9))).min(LONGEST_PAUSE)
}

/// The same for just that object in just that version.
fn addressed<K: Resource>(want: &Value, live: &K) -> Value {
    let mut body = want.clone();
    if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".to_owned(), json!(live.uid()));
        metadata.insert("resourceVersion".to_owned(), json!(live.resource_version()));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::want::tests::registration;
    use super::*;

    #[tokio::test]
    async fn what_the_api_server_keeps_hides_nothing_else() {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let api = Api::all(kube::Client::try_from(config).unwrap());
        let mut side = Side::<ValidatingWebhookConfiguration>::new("validating", api);
        let want = registration().wanted(Some("eA=="), true)[1].clone();
        let with = |webhook: usize, field: &str, value: Value| {
            let mut shown = want.clone();
            shown["webhooks"][0]["timeoutSeconds"] = json!(3);
            shown["webhooks"][webhook][field] = value;
            shown
        };
        let kept = with(0, "timeoutSeconds", json!(3));
        assert_eq!(side.differs(&want, &kept, false).as_deref(), Some(".webhooks[a].timeoutSeconds"));
        side.kept = Some((want.clone(), compare::differences(&want, &kept, false)));
        assert_eq!(side.differs(&want, &kept, false), None);
        for (webhook, field, value, at) in [
            (0, "timeoutSeconds", json!(1), ".webhooks[a].timeoutSeconds"),
            (0, "matchConditions", json!([{ "name": "never" }]), ".webhooks[a].matchConditions"),
            (1, "failurePolicy", json!("Ignore"), ".webhooks[test].failurePolicy"),
        ] {
            assert_eq!(side.differs(&want, &with(webhook, field, value), false).as_deref(), Some(at));
        }
        let other = registration().wanted(Some("eQ=="), true)[1].clone();
        assert!(side.differs(&other, &kept, false).is_some(), "something else is wanted");
    }

    #[test]
    fn a_fight_is_not_fought() {
        let pauses: Vec<_> = (0..20).map(pause).collect();
        assert!(pauses.is_sorted() && pauses[5] == FIRST_PAUSE && pauses[19] == LONGEST_PAUSE);
    }
}
