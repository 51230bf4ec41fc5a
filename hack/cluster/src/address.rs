//! The addresses of a box. Every box has the same ones: each lives in a network namespace of its own.
//!
//! In: a family, a node's number. Out: addresses and ranges. Never configures anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::options::Families;

/// The port of the API server on the first node.
pub(crate) const API_PORT: u16 = 6443;
/// The port, on the first node, of the proxy to registries.
pub(crate) const EGRESS_PORT: u16 = 3128;
/// How many Services of type `LoadBalancer` have an address at the same time.
pub(crate) const BALANCERS: u16 = 65_534;
/// Range of the addresses that simulated pods say they have; nobody answers there.
pub(crate) const SIMULATED: &str = "10.89.0.1/16";

/// A family of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Its name in the fields of a Service.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Range of all pods, and of the nodes, whose address is their bridge's.
    pub(crate) fn pods(self) -> &'static str {
        match self {
            Self::V4 => "10.88.0.0/16",
            Self::V6 => "fd00:10:88::/48",
        }
    }

    /// The range of the pods of a node, numbered from 1.
    pub(crate) fn pods_of(self, node: u8) -> String {
        match self {
            Self::V4 => format!("10.88.{}.0/24", node - 1),
            Self::V6 => format!("fd00:10:88:{}::/64", node - 1),
        }
    }

    /// The length of the prefix of a node's range.
    pub(crate) fn prefix(self) -> u8 {
        match self {
            Self::V4 => 24,
            Self::V6 => 64,
        }
    }

    /// The address of a node, which is also the gateway of its pods.
    pub(crate) fn node(self, number: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 88, number - 1, 1).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0x10, 0x88, u16::from(number - 1), 0, 0, 0, 1).into(),
        }
    }

    /// Range of Service addresses.
    pub(crate) fn services(self) -> &'static str {
        match self {
            Self::V4 => "10.96.0.0/16",
            Self::V6 => "fd00:10:96::/112",
        }
    }

    /// Address of the Service `default/kubernetes`, always the first of the range.
    pub(crate) fn kubernetes(self) -> IpAddr {
        self.service(1)
    }

    /// Address of the cluster's DNS Service.
    pub(crate) fn dns(self) -> IpAddr {
        self.service(10)
    }

    fn service(self, number: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 96, 0, number).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, number.into()).into(),
        }
    }

    /// An address for Services of type `LoadBalancer`, numbered from 1.
    pub(crate) fn balancer(self, number: u16) -> IpAddr {
        let [high, low] = number.to_be_bytes();
        match self {
            Self::V4 => Ipv4Addr::new(10, 97, high, low).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0x10, 0x97, 0, 0, 0, 0, number).into(),
        }
    }

    /// The number of an address of [`Family::balancer`]; nothing of another.
    pub(crate) fn balancer_number(address: IpAddr) -> Option<u16> {
        let (family, number) = match address {
            IpAddr::V4(address) => {
                let [_, _, high, low] = address.octets();
                (Self::V4, u16::from_be_bytes([high, low]))
            }
            IpAddr::V6(address) => {
                let [.., last] = address.segments();
                (Self::V6, last)
            }
        };
        ((1..=BALANCERS).contains(&number) && family.balancer(number) == address).then_some(number)
    }

    /// The loopback address.
    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// The address that stands for all of a machine's.
    pub(crate) fn every(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// Where the API server listens inside the box.
pub(crate) fn api(families: Families) -> SocketAddr {
    (families.first().node(1), API_PORT).into()
}

/// The name of a node.
pub(crate) fn node_name(number: u8) -> String {
    format!("node-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_either_family_leads_to_its_number_and_a_foreign_one_to_none() {
        for (address, expected) in [
            ("10.97.0.30", Some(30)),
            ("10.97.1.2", Some(258)),
            ("fd00:10:97::1e", Some(30)),
            ("127.0.0.1", None),
            ("10.97.255.255", None),
            ("fd00:10:96::1e", None),
        ] {
            assert_eq!(Family::balancer_number(address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(Family::V6.balancer(258).to_string(), "fd00:10:97::102");
    }
}
