//! The values of Kong's listen variables, such as `KONG_PROXY_LISTEN`.
//!
//! In: ports, flags and the IP families of a pod; or a value that a user wrote. Out: the value; or the addresses in
//! it. It knows as much of the grammar as it takes to see who listens where; Kong itself refuses what is wrong.

use crds::dataplane::Protocol;
use crds::k8s::Deployment;
use crds::k8s::Service;
use crds::names::PROXY_CONTAINER;

use super::ports::Listener;

/// One accept queue per worker, as long as the peer's and the chart's. UDP has no queue of connections, and nginx
/// refuses to set one.
const QUEUE: &str = "reuseport backlog=16384";

/// The IP families that pods are reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    v4: bool,
    v6: bool,
}

impl Default for Families {
    /// IPv4 alone.
    fn default() -> Self {
        Self { v4: true, v6: false }
    }
}

impl Families {
    /// The families that the API server gave to Services of the pods. nginx binds an IPv6 wildcard for IPv6 alone,
    /// and cannot bind one where the kernel has none, so Kong has to be told exactly.
    pub fn of<'a>(services: impl IntoIterator<Item = &'a Service>) -> Self {
        let given: Vec<&str> = services
            .into_iter()
            .filter_map(|service| service.spec.as_ref()?.ip_families.as_deref())
            .flatten()
            .map(String::as_str)
            .collect();
        let found = Self { v4: given.contains(&"IPv4"), v6: given.contains(&"IPv6") };
        if found.v4 || found.v6 { found } else { Self::default() }
    }

    fn wildcards(self) -> impl Iterator<Item = &'static str> {
        [(self.v4, "0.0.0.0"), (self.v6, "[::]")]
            .into_iter()
            .filter_map(|(wanted, host)| wanted.then_some(host))
    }
}

/// The value of `KONG_DNS_ORDER`, where Kong's own would not do: it never asks for IPv6 addresses (Kong 3.9,
/// `dns_order`).
pub fn dns_order(families: Families) -> Option<&'static str> {
    match (families.v4, families.v6) {
        (true, true) => Some("LAST,SRV,A,AAAA,CNAME"),
        (false, true) => Some("LAST,SRV,AAAA,A,CNAME"),
        (_, false) => None,
    }
}

/// The value for one port on all addresses, with these flags.
pub fn everywhere(port: impl Into<i32>, flags: &str, families: Families) -> String {
    let (port, gap) = (port.into(), if flags.is_empty() { "" } else { " " });
    families.wildcards().map(|host| format!("{host}:{port}{gap}{flags}")).collect::<Vec<_>>().join(", ")
}

/// The value of `KONG_ADMIN_LISTEN`.
pub fn admin(families: Families) -> String {
    everywhere(crds::defaults::ADMIN_PORT, &format!("ssl {QUEUE}"), families)
}

/// The value of `KONG_STATUS_LISTEN`.
pub fn status(families: Families) -> String {
    everywhere(crds::defaults::STATUS_PORT, "", families)
}

/// The value for those of the listeners that `belongs` names, `None` where there are none.
pub fn value(listeners: &[Listener], families: Families, belongs: fn(Protocol) -> bool) -> Option<String> {
    let of = |listener: &Listener| {
        let flags = match listener.protocol {
            Protocol::Http | Protocol::Tcp => QUEUE.to_owned(),
            Protocol::Https => format!("http2 ssl {QUEUE}"),
            Protocol::Tls => format!("ssl {QUEUE}"),
            Protocol::Udp => "udp reuseport".to_owned(),
        };
        everywhere(listener.port, &flags, families)
    };
    let all: Vec<_> = listeners.iter().filter(|listener| belongs(listener.protocol)).map(of).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Who reaches an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everybody: it is on all addresses of the pod.
    All,
    /// Whoever reaches that one address.
    Some,
    /// Containers of the pod.
    Pod,
}

/// An address of a listen variable that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The port.
    pub port: u16,
    /// Who reaches it.
    pub reach: Reach,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whether it takes datagrams.
    pub udp: bool,
}

/// The addresses in a listen variable; what cannot be read is left to Kong.
pub fn read(value: &str) -> Vec<Listen> {
    let one = |entry: &str| {
        let mut words = entry.split_whitespace();
        let (host, port) = words.next()?.rsplit_once(':')?;
        let flags: Vec<&str> = words.collect();
        Some(Listen {
            port: port.parse().ok()?,
            reach: reach(host),
            tls: flags.contains(&"ssl"),
            udp: flags.contains(&"udp"),
        })
    };
    value.split(',').filter_map(one).collect()
}

/// The first plain port and the first TLS port of the proxy that the pods of a Deployment run.
pub fn proxy_ports(deployment: &Deployment) -> (Option<u16>, Option<u16>) {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let containers = template.and_then(|template| template.spec.as_ref()).map(|spec| &spec.containers);
    let proxy = containers.into_iter().flatten().find(|container| container.name == PROXY_CONTAINER);
    let variables = proxy.and_then(|proxy| proxy.env.as_deref()).unwrap_or_default();
    let listens = variables.iter().find(|variable| variable.name == "KONG_PROXY_LISTEN");
    let listens = listens.and_then(|variable| variable.value.as_deref()).map(read).unwrap_or_default();
    let first =
        |tls: bool| listens.iter().find(|listen| listen.tls == tls && !listen.udp).map(|listen| listen.port);
    (first(false), first(true))
}

fn reach(host: &str) -> Reach {
    match host {
        "0.0.0.0" | "[::]" | "*" => Reach::All,
        "localhost" | "[::1]" => Reach::Pod,
        host if host.starts_with("127.") => Reach::Pod,
        _ => Reach::Some,
    }
}

/// Whether it begins with an address that Kong can read; its flags are left to Kong.
pub fn is_address(entry: &str) -> bool {
    let address = entry.split_whitespace().next().and_then(|address| address.rsplit_once(':'));
    address.is_some_and(|(host, port)| {
        let whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && whole && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BOTH: Families = Families { v4: true, v6: true };

    #[test]
    fn listens_are_on_the_families_that_the_services_have() {
        let service = |families: &[&str]| -> Service {
            serde_json::from_value(json!({"spec": {"ipFamilies": families}})).unwrap()
        };
        assert_eq!(Families::of([]), Families::default());
        assert_eq!(Families::of([&service(&["IPv4"])]), Families::default());
        assert_eq!(Families::of([&service(&["IPv6"])]), Families { v4: false, v6: true });
        assert_eq!(Families::of([&service(&["IPv4"]), &service(&["IPv6", "IPv4"])]), BOTH);
        assert_eq!(status(Families::default()), "0.0.0.0:8100");
        assert_eq!(status(BOTH), "0.0.0.0:8100, [::]:8100");
        let admin = admin(Families { v4: false, v6: true });
        assert_eq!(admin, "[::]:8444 ssl reuseport backlog=16384");
        assert_eq!(dns_order(Families::default()), None, "Kong's own");
        assert_eq!(dns_order(BOTH), Some("LAST,SRV,A,AAAA,CNAME"));
    }

    #[test]
    fn what_was_written_is_read() {
        let listens =
            read("0.0.0.0:8001, [::]:8444 ssl reuseport backlog=1, 127.0.0.1:53 udp, off, nonsense:x");
        let found: Vec<_> = listens.iter().map(|l| (l.port, l.reach, l.tls, l.udp)).collect();
        assert_eq!(
            found,
            [
                (8001, Reach::All, false, false),
                (8444, Reach::All, true, false),
                (53, Reach::Pod, false, true)
            ]
        );
    }

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for good in ["0.0.0.0:8000", "[::]:8443 ssl http2", "localhost:0", "127.0.0.1:53 udp"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "8000", ":8000", "0.0.0.0", "0.0.0.0:", "0.0.0.0:80000", "::1:8000", "0.0.0.0:8000;"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let listener = |port, protocol| Listener { port, protocol };
        let all = [
            listener(8000, Protocol::Http),
            listener(8443, Protocol::Https),
            listener(9000, Protocol::Tcp),
            listener(9443, Protocol::Tls),
            listener(9053, Protocol::Udp),
        ];
        let read = read(&value(&all, BOTH, |_| true).unwrap());
        assert_eq!(read.len(), 10);
        for (listen, listener) in read.iter().zip(all.iter().flat_map(|listener| [listener, listener])) {
            assert_eq!((listen.port, listen.reach), (listener.port, Reach::All));
            assert_eq!(listen.tls, matches!(listener.protocol, Protocol::Https | Protocol::Tls));
            assert_eq!(listen.udp, listener.protocol == Protocol::Udp);
        }
        assert_eq!(value(&all[..2], BOTH, |protocol| protocol == Protocol::Udp), None);
    }
}
