//! What goes well and what does not, told once.
//!
//! In: findings about certificates and registration. Out: a log line and an event when a finding is new: on the Secret
//! where the operator makes certificates, else on the Service of the webhooks. Never: the same words again and again.

use std::sync::{Arc, Mutex, PoisonError};

use crds::conditions::{self, Status, Update};
use crds::k8s::{Condition, ObjectReference};
use runtime::clock;
use runtime::events::Events;

use super::{Mode, Setup};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The certificate that is shown.
    Certificate,
    /// Its renewal, and that of its authority.
    Rotation,
    /// What somebody asks for.
    Ask,
    /// What is read of the Secret or the files.
    Source,
    /// The time.
    Clock,
    /// The configurations.
    Registration,
    /// Whether the API server reaches the webhooks.
    SelfTest,
}

impl About {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "CertificateUsable",
            Self::Rotation => "CertificateRotated",
            Self::Ask => "RotationUnderstood",
            Self::Source => "CertificateSourceRead",
            Self::Clock => "ClockRight",
            Self::Registration => "WebhooksRegistered",
            Self::SelfTest => "WebhooksReached",
        }
    }
}

/// Tells of findings; cloning shares what was told.
#[derive(Clone)]
pub struct Tell {
    events: Events,
    regarding: ObjectReference,
    told: Arc<Mutex<Vec<Condition>>>,
}

impl Tell {
    pub fn new(events: Events, setup: &Setup) -> Self {
        let (kind, name) = match setup.mode {
            Mode::SelfManaged => ("Secret", &setup.secret),
            Mode::Files(_) | Mode::Olm(_) => ("Service", &setup.service),
        };
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(setup.namespace.clone()),
            name: Some(name.clone()),
            ..ObjectReference::default()
        };
        Self { events, regarding, told: Arc::default() }
    }

    /// It is as it should be.
    pub fn well(&self, about: About, words: &str) {
        let before = self.note(about, Status::True, "AsWanted", words);
        if before.is_some_and(|status| status != Status::True.as_str()) {
            tracing::info!(about = about.as_str(), words, "well again");
        }
    }

    /// It is not, and somebody should know.
    pub fn ill(&self, about: About, reason: &'static str, words: &str) {
        if self.note(about, Status::False, reason, words).is_none_or(|before| before != reason) {
            tracing::warn!(about = about.as_str(), reason, words, "not as wanted");
        }
    }

    /// Returns the status of the finding before, or its reason where it was no good one.
    fn note(&self, about: About, status: Status, reason: &'static str, words: &str) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.clone();
        let update =
            Update { type_: about.as_str(), status, reason, message: words.to_owned(), generation: None };
        if conditions::set(&mut told, update, clock::now()) {
            self.events.transitions(&self.regarding, &before, &told);
        }
        let found = conditions::get(&before, about.as_str())?;
        let good = found.status == Status::True.as_str();
        Some(if good { found.status.clone() } else { found.reason.clone() })
    }
}
