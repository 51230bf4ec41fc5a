//! Gives Services of type `LoadBalancer` their addresses.
//!
//! In: a watch of Services. Out: `status.loadBalancer`, with an address of each of a Service's families. kube-proxy does the rest on every node: it
//! routes the addresses it finds there. Services with a `loadBalancerClass` are left to others.

use std::net::IpAddr;
use std::pin::pin;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::pool::Pool;
use crate::address::Family;

/// Serves until the box ends.
pub(crate) async fn run(client: Client) {
    let services: Api<Service> = Api::all(client.clone());
    let mut events = pin!(watcher(services, watcher::Config::default()).default_backoff());
    let mut pool = Pool::default();
    let mut listed = Vec::new();
    loop {
        // An error is followed by a new list, after a pause that the watcher makes.
        let Ok(Some(event)) = events.try_next().await else {
            continue;
        };
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(service) => listed.push(service),
            watcher::Event::InitDone => {
                let uids: Vec<String> = listed.iter().filter_map(ResourceExt::uid).collect();
                pool.keep(&uids);
                // Those that have an address first, so that nobody else is given it.
                listed.sort_by_key(|service| addresses_of(service).is_empty());
                for service in listed.drain(..) {
                    settle(&client, &mut pool, &service);
                }
            }
            watcher::Event::Apply(service) => settle(&client, &mut pool, &service),
            watcher::Event::Delete(service) => pool.release(&service.uid().unwrap_or_default()),
        }
    }
}

/// Writes the status that a Service should have, when it has another.
fn settle(client: &Client, pool: &mut Pool, service: &Service) {
    let Some(status) = decide(pool, service) else {
        return;
    };
    let name = service.name_any();
    let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace().unwrap_or_default());
    let patch = json!({ "metadata": { "uid": service.uid() }, "status": { "loadBalancer": status } });
    // A thousand Services at once must not wait for each other. A conflict, a Service that is gone, and a write
    // that comes after a later one, each bring another event.
    tokio::spawn(async move { api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await });
}

/// The load balancer status to write; nothing when the present one is right.
fn decide(pool: &mut Pool, service: &Service) -> Option<Value> {
    let (uid, has) = (service.uid()?, addresses_of(service));
    let spec = service.spec.as_ref()?;
    let wanted = spec.type_.as_deref() == Some("LoadBalancer")
        && spec.load_balancer_class.is_none()
        && service.metadata.deletion_timestamp.is_none();
    if !wanted {
        pool.release(&uid);
        let ours = has.into_iter().any(|address| Family::balancer_number(address).is_some());
        return ours.then(|| json!({ "ingress": null }));
    }
    let wish = spec.load_balancer_ip.as_deref().and_then(|text| Family::balancer_number(text.parse().ok()?));
    let taken = pool.take(&uid, has.iter().copied().find_map(Family::balancer_number), wish)?;
    let families = spec.ip_families.as_deref().unwrap_or_default();
    let family = |name: &String| [Family::V4, Family::V6].into_iter().find(|family| family.name() == *name);
    let wanted: Vec<_> = families.iter().filter_map(family).map(|family| family.balancer(taken)).collect();
    let entries = || wanted.iter().map(|address| json!({ "ip": address, "ipMode": "VIP" }));
    (has != wanted).then(|| json!({ "ingress": entries().collect::<Vec<_>>() }))
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: &Value, ip: Option<&str>) -> Service {
        let ingress: Vec<_> = ip.iter().map(|ip| json!({ "ip": ip })).collect();
        let object = json!({
            "metadata": { "name": "s", "namespace": "n", "uid": "u" },
            "spec": spec,
            "status": { "loadBalancer": { "ingress": ingress } },
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn an_address_is_given_once() {
        let mut pool = Pool::default();
        let spec = json!({ "type": "LoadBalancer", "ipFamilies": ["IPv4"] });
        let status = decide(&mut pool, &service(&spec, None)).unwrap();
        assert_eq!(status["ingress"][0]["ip"], "10.97.0.1");
        assert_eq!(decide(&mut pool, &service(&spec, Some("10.97.0.1"))), None);
    }

    #[test]
    fn each_family_has_an_address_in_the_order_of_the_service() {
        let mut pool = Pool::default();
        let spec = json!({ "type": "LoadBalancer", "ipFamilies": ["IPv6", "IPv4"] });
        let status = decide(&mut pool, &service(&spec, None)).unwrap();
        let given: Vec<_> =
            status["ingress"].as_array().unwrap().iter().map(|entry| entry["ip"].clone()).collect();
        assert_eq!(given, ["fd00:10:97::1", "10.97.0.1"]);
        // It had one family before.
        assert!(decide(&mut pool, &service(&spec, Some("10.97.0.1"))).is_some());
    }

    #[test]
    fn a_change_of_type_takes_it_back() {
        let mut pool = Pool::default();
        let status = decide(&mut pool, &service(&json!({ "type": "ClusterIP" }), Some("10.97.0.1"))).unwrap();
        assert!(status["ingress"].is_null());
        let foreign = service(&json!({ "type": "ClusterIP" }), Some("192.0.2.1"));
        assert_eq!(decide(&mut pool, &foreign), None);
    }

    #[test]
    fn other_classes_are_left_alone() {
        let classed = json!({ "type": "LoadBalancer", "loadBalancerClass": "example.com/other" });
        assert_eq!(decide(&mut Pool::default(), &service(&classed, None)), None);
    }

    #[test]
    fn a_wish_is_heard() {
        let spec = json!({ "type": "LoadBalancer", "ipFamilies": ["IPv4"], "loadBalancerIP": "10.97.0.40" });
        let status = decide(&mut Pool::default(), &service(&spec, None)).unwrap();
        assert_eq!(status["ingress"][0]["ip"], "10.97.0.40");
    }
}
