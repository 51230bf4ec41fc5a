//! What a translation looks at.
//! In: caches and settings. Out: one value that holds all of it. Never changes while it is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_api::apis::standard::gateways::Gateway;

use super::object::Object;
use crate::cluster::cache::Entry;
use crate::cluster::caches::Snapshot;
use crate::cluster::route::Route;
use crate::settings::Settings;
use crate::settings::values::Named;
use crate::version::Release;

/// What was configured, as far as translations ask.
#[derive(Clone, Debug)]
pub struct Options {
    /// The release of KIC.
    pub release: Release,
    /// The release of Kong.
    pub kong: Release,
    /// Whether Kong's router takes expressions.
    pub expressions: bool,
    /// Class of Ingresses.
    pub ingress_class: String,
    /// Name of the controller of Gateway classes.
    pub controller: String,
    /// The only Gateway, where there is one.
    pub gateway: Option<Named>,
    /// Whether endpoints that end are kept with weight 0.
    pub drains: bool,
}

impl Options {
    /// What these settings say, for a Kong of that release and flavour.
    pub fn new(settings: &Settings, kong: Release, flavor: &str) -> Self {
        Self {
            release: settings.release,
            kong,
            expressions: flavor == "expressions",
            ingress_class: settings.text("ingress-class").to_owned(),
            controller: settings.text("gateway-api-controller-name").to_owned(),
            gateway: settings.named("gateway-to-reconcile"),
            drains: settings.truth("enable-drain-support"),
        }
    }
}

/// A listener that a route is attached to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// `HTTP`, `HTTPS`, `TLS`, `TCP` or `UDP`.
    pub protocol: String,
    /// Its port.
    pub port: i32,
}

/// A route that was let in.
#[derive(Clone, Debug)]
pub struct LetIn {
    /// It, as it was then.
    pub route: Arc<Entry<Route>>,
    /// Its hostnames, as far as the listeners share them.
    pub hostnames: Vec<String>,
    /// The listeners.
    pub listeners: BTreeSet<Listening>,
}

/// What the controllers let into the translation, kept from one look to the next.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// Names of classes.
    pub classes: BTreeSet<String>,
    /// Gateways.
    pub gateways: BTreeMap<Named, Arc<Entry<Gateway>>>,
    /// Routes by kind and name.
    pub routes: BTreeMap<(String, Named), LetIn>,
}

/// Everything a translation looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is in the cluster.
    pub snapshot: &'a Snapshot,
    /// What was let in.
    pub admitted: &'a Admitted,
    /// What was configured.
    pub options: &'a Options,
    /// Objects that are left out, because Kong refused what was made of them.
    pub without: &'a BTreeSet<Object>,
}
