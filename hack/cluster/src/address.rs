//! The addresses of a box. Every box has the same ones: each lives in a network namespace of its own.
//!
//! In: a node's number. Out: addresses and ranges. Never configures anything.

use std::net::{Ipv4Addr, SocketAddr};

/// Range of all pods, and of the nodes, whose address is their bridge's.
pub(crate) const PODS: &str = "10.88.0.0/16";
/// Range of Service addresses.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// Address of the Service `default/kubernetes`, always the first of the range.
pub(crate) const KUBERNETES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Address of the cluster's DNS Service.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// First three bytes of the addresses given to Services of type `LoadBalancer`.
pub(crate) const BALANCERS: [u8; 3] = [10, 97, 0];
/// The port of the API server on the first node.
pub(crate) const API_PORT: u16 = 6443;
/// The port, on the first node, of the proxy to registries.
pub(crate) const EGRESS_PORT: u16 = 3128;

/// The range of the pods of a node, numbered from 1.
pub(crate) fn pods_of(node: u8) -> String {
    format!("10.88.{}.0/24", node - 1)
}

/// The address of a node, which is also the gateway of its pods.
pub(crate) fn node(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 88, number - 1, 1)
}

/// Where the API server listens inside the box.
pub(crate) fn api() -> SocketAddr {
    (node(1), API_PORT).into()
}

/// The name of a node.
pub(crate) fn node_name(number: u8) -> String {
    format!("node-{number}")
}
