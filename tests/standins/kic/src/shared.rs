//! What the parts of a running KIC share.
//! In: settings, what was found at the start. Out: one value behind an `Arc`. Never acts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::admin::nodes::Nodes;
use crate::admin::root::Root;
use crate::attach::routes::Report;
use crate::cluster::caches::Caches;
use crate::cluster::informers::Changed;
use crate::cluster::recorder::Recorder;
use crate::serve::metrics::Metrics;
use crate::settings::Settings;
use crate::settings::values::Named;
use crate::translate::object::Object;
use crate::translate::view::{Admitted, Options};

/// Results of the last good push, by kind and name, with the generation they are of.
pub type Reports = BTreeMap<(String, Named), (i64, Report)>;

/// What is shared.
pub struct Shared {
    /// Settings.
    pub settings: Arc<Settings>,
    /// What translations ask of the settings and of Kong.
    pub options: Options,
    /// What Kong said of itself at the start.
    pub root: Root,
    /// Kubernetes.
    pub client: kube::Client,
    /// What is in the cluster.
    pub caches: Arc<Caches>,
    /// The instances of Kong.
    pub nodes: Arc<Nodes>,
    /// Writes Events.
    pub recorder: Recorder,
    /// The own pod, if it was found.
    pub pod: Option<Object>,
    /// Figures.
    pub metrics: Metrics,
    /// What the controllers let in.
    pub admitted: Mutex<Admitted>,
    /// What the last good push said.
    pub reports: Mutex<Reports>,
    /// Told of each change that the controllers look at.
    pub changed: Changed,
    /// Whether this process leads.
    pub leads: AtomicBool,
    /// Whether a round was good since the start.
    pub applied: AtomicBool,
}

impl Shared {
    /// What was let in.
    pub fn admitted(&self) -> Admitted {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the last good push says of an object of that generation.
    pub fn report(&self, kind: &str, key: &Named, generation: i64) -> Option<Report> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reports.get(&(kind.to_owned(), key.clone()));
        found.filter(|(of, _)| *of == generation).map(|(_, report)| *report)
    }

    /// A leader is ready after its first good round, anybody else always.
    pub fn ready(&self) -> bool {
        !self.leads.load(Ordering::Relaxed) || self.applied.load(Ordering::Relaxed)
    }
}
