//! KIC's controllers: lets objects in and keeps statuses.
//! In: changes in the cluster, results of pushes. Out: what is let in, statuses. Writes nothing that is there already.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::attach::conditions::{condition, set};
use crate::attach::routes::{self, Report, Verdict};
use crate::attach::unmanaged::{self, Surroundings};
use crate::attach::{addresses, contract};
use crate::cluster::caches::Snapshot;
use crate::cluster::kinds::{self, Kind};
use crate::log;
use crate::settings::values::Named;
use crate::shared::Shared;
use crate::translate::ingress;
use crate::translate::view::{Admitted, View};

/// Changes that come together are looked at together.
const TOGETHER: Duration = Duration::from_millis(50);
/// When a write failed, it is tried again after this time.
const AGAIN: Duration = Duration::from_secs(2);
/// The annotation of a Gateway that KIC serves by itself.
const PUBLISH: &str = "konghq.com/publish-service";

/// A write that is due.
struct Due {
    kind: Kind,
    object: DynamicObject,
    /// The new status; none replaces the object itself.
    status: Option<Value>,
}

/// Looks at every change for ever.
pub async fn run(shared: Arc<Shared>) -> Result<(), String> {
    let mut changes = shared.changed.subscribe();
    // Versions of objects that were written over, so that a late cache is not a reason to write again.
    let mut written: BTreeMap<String, String> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        let mut good = true;
        for due in look(&shared) {
            good &= write(&shared, due, &mut written).await;
        }
        let later = tokio::time::sleep(if good { Duration::MAX } else { AGAIN });
        tokio::select! {
            told = changes.changed() => told.map_err(|error| error.to_string())?,
            () = later => written.clear(),
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Decides what is let in, and what is to be written.
fn look(shared: &Shared) -> Vec<Due> {
    let snapshot = shared.caches.snapshot();
    let before = shared.admitted();
    let mut due = classes(shared, &snapshot);
    due.extend(gateways(shared, &snapshot));
    let mut now = Admitted {
        classes: contract::classes(&snapshot, &shared.options),
        gateways: contract::gateways(&snapshot, &shared.options, &before.gateways),
        routes: BTreeMap::new(),
    };
    for entry in &snapshot.routes {
        let route = &entry.read;
        let key = (route.object.kind.clone(), route.named());
        let status = match routes::judge(&snapshot, &shared.options, entry) {
            Verdict::Foreign => routes::withdrawn(&shared.options, route),
            Verdict::Waiting => {
                now.routes.extend(before.routes.get(&key).cloned().map(|kept| (key, kept)));
                None
            }
            Verdict::Judged { let_in, parents } => {
                let updates = shared.settings.truth("update-status");
                let report = shared.report(&key.0, &key.1, route.generation).filter(|_| updates);
                now.routes.extend(let_in.map(|let_in| (key, let_in)));
                let said = (parents.as_slice(), report);
                match routes::statuses(&snapshot, &shared.options, route, said, Timestamp::now()) {
                    Ok(status) => status,
                    Err(panic) => {
                        log::error(&panic);
                        None
                    }
                }
            }
        };
        let kind = kind_of(&route.object.kind);
        due.extend(status.zip(kind).map(|(parents, kind)| Due {
            kind,
            object: entry.raw.clone(),
            status: Some(json!({ "parents": parents })),
        }));
    }
    due.extend(ingresses(shared, &snapshot, &now));
    *shared.admitted.lock().unwrap_or_else(PoisonError::into_inner) = now;
    due
}

fn kind_of(name: &str) -> Option<Kind> {
    let all = [kinds::HTTP_ROUTE, kinds::TCP_ROUTE, kinds::TLS_ROUTE, kinds::UDP_ROUTE];
    all.into_iter().find(|kind| kind.name == name)
}

/// Accepts classes of ours that nobody accepted; before 3.1 only unmanaged ones.
fn classes(shared: &Shared, snapshot: &Snapshot) -> Vec<Due> {
    let ours = snapshot.classes.values().filter(|entry| {
        let class = &entry.read;
        class.spec.controller_name == shared.options.controller
            && !contract::accepted(class)
            && (shared.options.release.since(1, 0) || contract::unmanaged(class))
    });
    ours.map(|entry| {
        let generation = entry.read.metadata.generation.unwrap_or(0);
        let mut status = json!(entry.read.status.clone().unwrap_or_default());
        let known = status.get("conditions").cloned().unwrap_or_default();
        let mut conditions = serde_json::from_value(known).unwrap_or_default();
        let wanted = Condition {
            message: "the gatewayclass has been accepted by the controller".to_owned(),
            ..condition("Accepted", "True", "Accepted", generation)
        };
        set(&mut conditions, wanted, Timestamp::now());
        if let Some(object) = status.as_object_mut() {
            object.insert("conditions".to_owned(), json!(conditions));
        }
        Due { kind: kinds::GATEWAY_CLASS, object: entry.raw.clone(), status: Some(status) }
    })
    .collect()
}

/// The Gateways that nobody else serves: first the annotation, then the status.
fn gateways(shared: &Shared, snapshot: &Snapshot) -> Vec<Due> {
    let settings = &shared.settings;
    let publish = settings.named("publish-service");
    let udp = settings.named("publish-service-udp");
    let services: Vec<_> = [&publish, &udp]
        .into_iter()
        .filter_map(|name| Some(&snapshot.services.get(name.as_ref()?)?.read))
        .collect();
    let served = unmanaged::served(&services, &shared.root);
    let given = settings.list("publish-status-address");
    let found = match services.first() {
        _ if !given.is_empty() => addresses::of(None, &given),
        Some(service) => addresses::balanced(service),
        None => Vec::new(),
    };
    let around = Surroundings { snapshot, options: &shared.options, served: &served, addresses: &found };
    let mut due = Vec::new();
    for (_, entry, class) in contract::ours(snapshot, &shared.options) {
        if !contract::unmanaged(class) {
            continue;
        }
        let annotations = entry.read.metadata.annotations.as_ref();
        let annotated = annotations.is_some_and(|all| all.contains_key(PUBLISH));
        if let (false, Some(publish)) = (annotated, &publish) {
            let mut object = entry.raw.clone();
            object
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(PUBLISH.to_owned(), publish.to_string());
            due.push(Due { kind: kinds::GATEWAY_KIND, object, status: None });
        } else if let Some(status) = unmanaged::status(&around, &entry.read, Timestamp::now()) {
            due.push(Due { kind: kinds::GATEWAY_KIND, object: entry.raw.clone(), status: Some(status) });
        }
    }
    due
}

/// Ingresses that are configured get the addresses of the publish Service.
fn ingresses(shared: &Shared, snapshot: &Snapshot, admitted: &Admitted) -> Vec<Due> {
    let settings = &shared.settings;
    if !settings.truth("update-status") {
        return Vec::new();
    }
    let service = settings.named("publish-service").and_then(|name| snapshot.services.get(&name));
    let found = addresses::of(service.map(|entry| &entry.read), &settings.list("publish-status-address"));
    let wanted = json!(found.iter().map(addresses::Address::of_ingress).collect::<Vec<_>>());
    let none = std::collections::BTreeSet::new();
    let view = View { snapshot, admitted, options: &shared.options, without: &none };
    let served = snapshot.ingresses.iter().filter(|(key, entry)| {
        let generation = entry.read.metadata.generation.unwrap_or(0);
        let known =
            entry.raw.data.pointer("/status/loadBalancer/ingress").cloned().unwrap_or_else(|| json!([]));
        let configured = shared.report("Ingress", key, generation) == Some(Report::Configured);
        configured && ingress::serves(view, &entry.read) && known != wanted
    });
    served
        .map(|(_, entry)| Due {
            kind: kinds::INGRESS,
            object: entry.raw.clone(),
            status: Some(json!({"loadBalancer": {"ingress": wanted}})),
        })
        .collect()
}

/// Writes, and says whether that need not be tried again.
async fn write(shared: &Shared, due: Due, written: &mut BTreeMap<String, String>) -> bool {
    let Due { kind, mut object, status } = due;
    let key = Named::new(
        object.metadata.namespace.as_deref().unwrap_or_default(),
        object.metadata.name.as_deref().unwrap_or_default(),
    );
    let (what, version) = (format!("{} {key}", kind.name), object.metadata.resource_version.clone());
    let version = version.unwrap_or_default();
    if written.get(&what) == Some(&version) {
        return true;
    }
    let resource = kind.resource();
    let api: Api<DynamicObject> = if kind.namespaced {
        Api::namespaced_with(shared.client.clone(), &key.namespace, &resource)
    } else {
        Api::all_with(shared.client.clone(), &resource)
    };
    let parameters = PostParams::default();
    let done = match status {
        None => api.replace(&key.name, &parameters, &object).await,
        Some(status) => {
            if let Some(data) = object.data.as_object_mut() {
                data.insert("status".to_owned(), status);
            }
            api.replace_status(&key.name, &parameters, &object).await
        }
    };
    match done {
        Ok(_) => {
            written.insert(what, version);
            true
        }
        // What changed or went meanwhile comes through its watch.
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => true,
        Err(error) => {
            log::error(&format!("failed to update {what}: {error}"));
            false
        }
    }
}
