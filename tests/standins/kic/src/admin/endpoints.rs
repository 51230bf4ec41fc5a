//! Which endpoints of the admin Service count.
//! In: `EndpointSlice`s. Out: addresses. Readiness is ignored, as in KIC from 2.11 on.

use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::EndpointSlice;

/// An admin API to configure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its URL, without a path.
    pub base: String,
    /// The name that its certificate must have; none with a plain or a fixed URL.
    pub name: Option<String>,
}

/// The endpoints of slices.
///
/// # Errors
/// Where a slice does not say which Service owns it.
pub fn of<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    ports: &[String],
) -> Result<BTreeSet<Endpoint>, String> {
    let mut found = BTreeSet::new();
    for slice in slices {
        found.extend(in_slice(slice, ports)?);
    }
    Ok(found)
}

fn in_slice(slice: &EndpointSlice, names: &[String]) -> Result<Vec<Endpoint>, String> {
    let owners = slice.metadata.owner_references.iter().flatten();
    let service = owners.into_iter().find(|owner| owner.kind == "Service" && owner.api_version == "v1");
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    let Some(service) = service else {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        return Err(format!("EndpointSlice {namespace}/{name} has no Service as an owner"));
    };
    let counted = |name: Option<&String>| name.is_some_and(|name| names.contains(name));
    let ports = slice.ports.iter().flatten().filter(|port| counted(port.name.as_ref()));
    let ports: Vec<i32> = ports.filter_map(|port| port.port).collect();
    let counts = slice.endpoints.iter().flatten().filter(|endpoint| {
        let terminating = endpoint.conditions.as_ref().is_some_and(|all| all.terminating == Some(true));
        let pod = endpoint.target_ref.as_ref().is_some_and(|target| target.kind.as_deref() == Some("Pod"));
        pod && !terminating
    });
    let addresses: Vec<&String> = counts.filter_map(|endpoint| endpoint.addresses.first()).collect();
    let at = |address: &str, port: i32| Endpoint {
        base: if address.contains(':') {
            format!("https://[{address}]:{port}")
        } else {
            format!("https://{address}:{port}")
        },
        name: Some(format!("pod.{}.{namespace}.svc", service.name)),
    };
    Ok(ports.iter().flat_map(|port| addresses.iter().map(|address| at(address, *port))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(change: impl Fn(&mut Value)) -> EndpointSlice {
        let mut value = json!({
            "metadata": {"name": "s", "namespace": "ns",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "admin", "uid": "u"}]},
            "addressType": "IPv4",
            "ports": [{"name": "admin", "port": 8444}, {"name": "other", "port": 1}],
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false},
                "targetRef": {"kind": "Pod", "name": "p"}}],
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn found(slice: &EndpointSlice) -> Vec<Endpoint> {
        of([slice].into_iter(), &["admin".to_owned()]).unwrap().into_iter().collect()
    }

    #[test]
    fn an_endpoint_that_is_not_ready_counts() {
        let wanted = Endpoint { base: "https://10.0.0.1:8444".into(), name: Some("pod.admin.ns.svc".into()) };
        assert_eq!(found(&slice(|_| {})), [wanted]);
    }

    #[test]
    fn one_that_ends_or_is_no_pod_does_not() {
        assert!(found(&slice(|s| s["endpoints"][0]["conditions"]["terminating"] = json!(true))).is_empty());
        assert!(found(&slice(|s| s["endpoints"][0]["targetRef"]["kind"] = json!("Node"))).is_empty());
        assert!(found(&slice(|s| s["ports"][0]["name"] = json!("admin-tls"))).is_empty());
    }

    #[test]
    fn an_address_of_version_six_is_in_brackets() {
        let found = found(&slice(|s| s["endpoints"][0]["addresses"] = json!(["fd00::1"])));
        assert_eq!(found[0].base, "https://[fd00::1]:8444");
    }

    #[test]
    fn a_slice_without_an_owner_is_an_error() {
        let orphan = slice(|s| s["metadata"]["ownerReferences"] = json!([]));
        assert!(of([&orphan].into_iter(), &["admin".to_owned()]).is_err());
    }
}
