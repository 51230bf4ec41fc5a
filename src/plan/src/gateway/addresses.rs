//! The addresses of a Gateway.
//!
//! In: what it asks for, and what the Service of its `DataPlane` has. Out: what it is reached by, or what is missing. An
//! address that is asked for is never given by the operator: a load balancer gives it, asked by its own annotations.

use crds::DataPlane;
use crds::dataplane::{Address, AddressSource, AddressType, ServiceType};
use gateway_api::gateways::{Gateway, GatewayStatusAddresses};

use super::words::{ADDRESS_NOT_ASSIGNED, ADDRESS_NOT_USABLE};

/// Types of addresses that Services have.
const TYPES: [&str; 2] = ["IPAddress", "Hostname"];
/// As many as a status has room for.
const MOST: usize = 16;

/// What is said of an address of a type that no Service has.
pub fn unsupported(gateway: &Gateway) -> Option<String> {
    let mut asked = gateway.spec.addresses.iter().flatten();
    let one = asked.find(|address| !TYPES.contains(&address.r#type.as_deref().unwrap_or("IPAddress")))?;
    let type_ = one.r#type.as_deref().unwrap_or_default();
    Some(format!("spec.addresses: type {type_:?} is not supported: use {}", TYPES.join(" or ")))
}

/// What the Gateway is reached by.
///
/// # Errors
/// The reason and the words of its condition `Programmed`, where that is not what it asks for.
pub fn of(
    gateway: &Gateway,
    dataplane: &DataPlane,
) -> Result<Vec<GatewayStatusAddresses>, (&'static str, String)> {
    let found = given(dataplane);
    let asked: Vec<_> = gateway
        .spec
        .addresses
        .iter()
        .flatten()
        .filter_map(|address| {
            Some((address.r#type.as_deref().unwrap_or("IPAddress"), address.value.as_deref()?))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if found.is_empty() {
        let service =
            dataplane.status.as_ref().and_then(|status| status.service.as_deref()).unwrap_or_default();
        let words = format!(
            "Service {service:?} of type LoadBalancer has no address yet. If none comes, the cluster has no load balancer controller: install one, or set another type in a GatewayConfiguration"
        );
        return Err((ADDRESS_NOT_ASSIGNED, words));
    }
    let is_there = |(type_, value): &(&str, &str)| {
        found.iter().any(|one| one.value == *value && one.r#type.as_deref() == Some(type_))
    };
    if let Some((_, missing)) = asked.iter().find(|asked| !is_there(asked)) {
        let words = format!(
            "spec.addresses: {missing} is not an address of the Service. Ask the load balancer for it by annotations of the Service in a GatewayConfiguration, or remove it"
        );
        return Err((ADDRESS_NOT_USABLE, words));
    }
    let wanted =
        |one: &GatewayStatusAddresses| asked.is_empty() || asked.iter().any(|(_, value)| one.value == *value);
    Ok(found.into_iter().filter(wanted).collect())
}

/// What the Service has: the load balancer's addresses, or those of the cluster where it is of another type.
fn given(dataplane: &DataPlane) -> Vec<GatewayStatusAddresses> {
    let all = dataplane.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let type_ = dataplane.ingress().and_then(|ingress| ingress.type_).unwrap_or(ServiceType::LoadBalancer);
    let is_balanced = type_ == ServiceType::LoadBalancer;
    let fits = |address: &&Address| {
        let from_balancer = matches!(
            address.source_type,
            AddressSource::PublicLoadBalancer | AddressSource::PrivateLoadBalancer
        );
        from_balancer == is_balanced
    };
    let shown = |address: &Address| GatewayStatusAddresses {
        r#type: Some(match address.type_ {
            Some(AddressType::Hostname) => "Hostname".to_owned(),
            Some(AddressType::IpAddress) | None => "IPAddress".to_owned(),
        }),
        value: address.value.clone(),
    };
    all.iter().filter(fits).map(shown).take(MOST).collect()
}
