//! Matches one route by its fields.
//! In: hosts, paths, methods, headers, SNIs, addresses. Out: the matched part of the path. Never orders routes.

use std::net::{IpAddr, SocketAddr};

use regex::Regex;
use serde_json::Value;

use super::Asked;

#[derive(Debug)]
enum Text {
    Exact(String),
    Starts(String),
    Ends(String),
    Pattern(Regex),
}

impl Text {
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => value == wanted,
            Self::Starts(wanted) => value.starts_with(wanted),
            Self::Ends(wanted) => value.ends_with(wanted),
            Self::Pattern(regex) => regex.is_match(value),
        }
    }
}

/// Addresses: an IP or a network, a port, or both.
#[derive(Debug)]
pub struct Net {
    network: Option<(IpAddr, u32)>,
    port: Option<u16>,
}

impl Net {
    /// Reads an entry of `sources` or `destinations`.
    pub fn new(item: &Value) -> Self {
        let port = item["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Self { network: item["ip"].as_str().and_then(network), port }
    }

    /// Whether an address is meant.
    pub fn fits(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.port.is_none_or(|port| port == address.port())
            && self.network.is_none_or(|(network, bits)| contains(network, bits, ip))
    }
}

/// An address with or without a mask.
pub fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().ok()?;
    let full = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(full), |bits| bits.parse().ok().filter(|bits| *bits <= full))?;
    Some((ip, bits))
}

/// Whether a network contains an address.
pub fn contains(network: IpAddr, bits: u32, ip: IpAddr) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            (network.to_bits() ^ ip.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            (network.to_bits() ^ ip.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// The fields of a route; one that is empty fits everything.
#[derive(Debug)]
pub struct Matcher {
    methods: Vec<String>,
    hosts: Vec<(Text, Option<u16>)>,
    paths: Vec<Text>,
    headers: Vec<(String, Vec<Text>)>,
    snis: Vec<String>,
    sources: Vec<Net>,
    destinations: Vec<Net>,
}

impl Matcher {
    /// Compiles a route with these of its paths.
    pub fn new(item: &Value, paths: &[&str]) -> Self {
        let headers = item["headers"].as_object();
        Self {
            methods: texts(&item["methods"]),
            hosts: texts(&item["hosts"]).iter().map(|host| host_rule(host)).collect(),
            paths: paths.iter().filter_map(|path| path_rule(path)).collect(),
            headers: headers
                .into_iter()
                .flatten()
                .map(|(name, values)| {
                    (
                        name.to_ascii_lowercase(),
                        texts(values).iter().map(|value| header_rule(value)).collect(),
                    )
                })
                .collect(),
            snis: texts(&item["snis"])
                .iter()
                .map(|sni| sni.trim_end_matches('.').to_ascii_lowercase())
                .collect(),
            sources: nets(&item["sources"]),
            destinations: nets(&item["destinations"]),
        }
    }

    /// The matched part of the path where everything fits.
    pub fn fits(&self, asked: &Asked<'_>) -> Option<String> {
        let port = asked.destination.port();
        let host = |(rule, on): &(Text, Option<u16>)| rule.fits(asked.host) && on.is_none_or(|on| on == port);
        let sni = |wanted: &String| asked.sni.is_some_and(|sni| sni.eq_ignore_ascii_case(wanted));
        let fine = any(&self.methods, |method| method == asked.method)
            && any(&self.hosts, host)
            && (!asked.https || any(&self.snis, sni))
            && any(&self.sources, |net| net.fits(asked.source))
            && any(&self.destinations, |net| net.fits(asked.destination))
            && self.headers.iter().all(|(name, values)| header_fits(name, values, asked));
        if !fine {
            return None;
        }
        if self.paths.is_empty() {
            Some(String::new())
        } else {
            self.paths.iter().find_map(|rule| prefix(rule, asked.path))
        }
    }
}

fn any<T>(rules: &[T], fits: impl Fn(&T) -> bool) -> bool {
    rules.is_empty() || rules.iter().any(fits)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn nets(value: &Value) -> Vec<Net> {
    value.as_array().into_iter().flatten().map(Net::new).collect()
}

fn host_rule(text: &str) -> (Text, Option<u16>) {
    let lower = text.to_ascii_lowercase();
    let split = lower.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = split.map_or((lower.as_str(), None), |(host, port)| (host, Some(port)));
    let rule = if let Some(rest) = host.strip_prefix('*') {
        Text::Ends(rest.to_owned())
    } else if let Some(rest) = host.strip_suffix('*') {
        Text::Starts(rest.to_owned())
    } else {
        Text::Exact(host.to_owned())
    };
    (rule, port)
}

/// `~` begins a regex that is anchored at its start only; everything else is a string prefix.
fn path_rule(path: &str) -> Option<Text> {
    match path.strip_prefix('~') {
        Some(pattern) => Regex::new(&format!("^(?:{pattern})")).ok().map(Text::Pattern),
        None => Some(Text::Starts(path.to_owned())),
    }
}

fn header_rule(value: &str) -> Text {
    let lower = value.to_lowercase();
    let pattern = lower.strip_prefix("~*").and_then(|pattern| Regex::new(pattern).ok());
    pattern.map_or(Text::Exact(lower), Text::Pattern)
}

fn header_fits(name: &str, values: &[Text], asked: &Asked<'_>) -> bool {
    let given = asked.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    given.map(str::to_lowercase).any(|given| values.iter().any(|value| value.fits(&given)))
}

fn prefix(rule: &Text, path: &str) -> Option<String> {
    match rule {
        Text::Pattern(regex) => regex.find(path).map(|found| found.as_str().to_owned()),
        Text::Starts(wanted) => path.starts_with(wanted).then(|| wanted.clone()),
        Text::Exact(_) | Text::Ends(_) => None,
    }
}
