//! Certificates of listeners and Ingresses.
//! In: Gateways that were let in, Ingresses, Secrets, grants. Out: certificates with the names they are shown for. A name
//! has one certificate: that of the oldest Secret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_api::apis::standard::gateways::{Gateway, GatewayListeners, GatewayListenersTlsMode};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::backends::granted;
use super::object::Object;
use super::view::View;
use crate::cluster::cache::Entry;
use crate::cluster::kinds::GATEWAY;
use crate::settings::values::Named;

/// Names by Secret.
type Wanted = BTreeMap<Named, BTreeSet<String>>;

/// The certificates that listeners and Ingresses ask for.
pub fn of(view: View<'_>, ingresses: &[&Ingress]) -> Vec<Value> {
    let mut wanted = Wanted::new();
    for gateway in view.admitted.gateways.values() {
        listeners(view, &gateway.read, &mut wanted);
    }
    for ingress in ingresses {
        let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
        for tls in ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten()) {
            let Some(secret) = &tls.secret_name else { continue };
            let names = wanted.entry(Named::new(namespace, secret)).or_default();
            names.extend(tls.hosts.iter().flatten().cloned());
        }
    }
    let mut found: Vec<(Arc<Entry<Secret>>, BTreeSet<String>)> = wanted
        .into_iter()
        .filter_map(|(key, names)| Some((view.snapshot.secrets.get(&key).cloned()?, names)))
        .filter(|(secret, _)| !view.without.contains(&object(&secret.read)))
        .collect();
    found.sort_by_key(|(secret, _)| secret.read.metadata.creation_timestamp.clone());
    let mut taken = BTreeSet::new();
    let each = found.into_iter().filter_map(|(secret, names)| {
        let free: Vec<String> = names.into_iter().filter(|name| taken.insert(name.clone())).collect();
        entity(&secret.read, &free)
    });
    each.collect()
}

/// What a Secret is in the words of tags.
fn object(secret: &Secret) -> Object {
    Object::of("", "v1", "Secret", &secret.metadata)
}

fn listeners(view: View<'_>, gateway: &Gateway, wanted: &mut Wanted) {
    // Without its class, a Gateway's certificates are dropped.
    if !view.admitted.classes.contains(&gateway.spec.gateway_class_name) {
        return;
    }
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
    for listener in gateway.spec.listeners.iter().filter(|one| listed(view, gateway, one)) {
        let Some(tls) = &listener.tls else { continue };
        let references = tls.certificate_refs.as_deref().unwrap_or_default();
        // Exactly one reference is supported.
        let ([reference], true) = (references, tls.mode != Some(GatewayListenersTlsMode::Passthrough)) else {
            continue;
        };
        let target = Named::new(reference.namespace.as_deref().unwrap_or(namespace), &reference.name);
        // Earlier releases trusted that a listener without a grant is not Programmed.
        let checks = view.options.release.carries(14, 7);
        if checks && !granted(view.snapshot, (GATEWAY, "Gateway", namespace), ("", "Secret"), &target) {
            continue;
        }
        let name =
            listener.hostname.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "*".to_owned());
        wanted.entry(target).or_default().insert(name);
    }
}

/// Whether a listener is in the Gateway's status; before 3.4.9 and 3.5.2 it had to be Programmed too.
fn listed(view: View<'_>, gateway: &Gateway, listener: &GatewayListeners) -> bool {
    let all = gateway.status.iter().flat_map(|status| status.listeners.iter().flatten());
    let Some(status) = all.into_iter().find(|one| one.name == listener.name) else { return false };
    view.options.release.carries(9, 2)
        || status.conditions.iter().any(|one| one.type_ == "Programmed" && one.status == "True")
}

fn entity(secret: &Secret, names: &[String]) -> Option<Value> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key)?;
        Some(String::from_utf8_lossy(&bytes.0).trim().to_owned()).filter(|text| !text.is_empty())
    };
    let id = secret.metadata.uid.clone()?;
    let snis: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "certificate": {"id": id}})).collect();
    let mut entity = json!({
        "id": id, "cert": text("tls.crt")?, "key": text("tls.key")?, "tags": object(secret).tags(),
    });
    if !snis.is_empty() {
        entity.as_object_mut()?.insert("snis".to_owned(), json!(snis));
    }
    Some(entity)
}
