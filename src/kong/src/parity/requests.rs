//! Which requests show that a gateway knows its routes.
//!
//! In: a declarative configuration. Out: requests that change nothing, one for each host and each path of each route, and how
//! much of it could not be asked. Never: another method than GET; what a route does behind a POST is nobody's to try.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expression::{Expression, Fit};
use super::sample;

/// The most requests. All of them are asked of two pods, each time a canary is looked at.
pub const MOST: usize = 200;

/// What stands for the part of a name that a wildcard leaves open.
const ANY: &str = "parity";

/// The host where a route takes any; a name that nobody has (RFC 6761).
const NOBODY: &str = "parity.invalid";

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The route that it is for, for words.
    pub route: String,
    /// The Host header.
    pub host: String,
    /// The path, escaped.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Over plain HTTP where that will do.
    pub plain: bool,
    /// Over TLS, with this name, where that will do; the name is empty where any will.
    pub tls: Option<String>,
}

/// Requests of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// Those to be asked; [`MOST`] at most.
    pub asks: Vec<Ask>,
    /// Routes, hosts and paths for which no request could be written down: methods other than GET, callers from certain
    /// addresses, expressions that are not understood or of which no text is known.
    pub skipped: u32,
    /// How many more there would have been.
    pub left_off: u32,
}

impl Asks {
    /// What is to be asked of whoever has this configuration, as `GET /config` shows it or as it is pushed.
    pub fn of(configuration: &Value) -> Self {
        let list = |holder: &Value, name: &str| {
            holder.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let inside = list(configuration, "services").into_iter().flat_map(|service| list(&service, "routes"));
        let routes = list(configuration, "routes").into_iter().chain(inside);
        let mut all = Self::default();
        let by_route: Vec<_> = routes.filter(speaks_http).map(|route| all.of_route(&route)).collect();
        let longest = by_route.iter().map(Vec::len).max().unwrap_or(0);
        // Each route once before any route twice.
        let rounds = (0..longest).flat_map(|round| by_route.iter().filter_map(move |asks| asks.get(round)));
        let mut seen = BTreeSet::new();
        let (mut kept, mut left_off) = (Vec::new(), 0_u32);
        for ask in rounds {
            let same = (&ask.host, &ask.path, &ask.headers, &ask.tls, ask.plain);
            if !seen.insert(same) {
                continue;
            }
            if kept.len() < MOST { kept.push(ask.clone()) } else { left_off = left_off.saturating_add(1) }
        }
        (all.asks, all.left_off) = (kept, left_off);
        all
    }

    fn of_route(&mut self, route: &Value) -> Vec<Ask> {
        if let Some(text) = route.get("expression").and_then(Value::as_str) {
            let asks = of_expression(route, text);
            self.skipped = self.skipped.saturating_add(u32::from(asks.is_empty()));
            return asks;
        }
        let Some(headers) = headers(route).filter(|_| is_askable(route)) else {
            self.skipped = self.skipped.saturating_add(1);
            return Vec::new();
        };
        let (mut hosts, mut paths) = (texts(route, "hosts"), texts(route, "paths"));
        let given = hosts.len() + paths.len();
        let wanted_hosts: Vec<_> = hosts.drain(..).filter_map(host).collect();
        let wanted_paths: Vec<_> = paths.drain(..).filter_map(path).collect();
        let lost = given - wanted_hosts.len() - wanted_paths.len();
        self.skipped = self.skipped.saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
        let hosts = or(wanted_hosts, texts(route, "hosts").is_empty(), NOBODY);
        let paths = or(wanted_paths, texts(route, "paths").is_empty(), "/");
        if hosts.is_empty() || paths.is_empty() {
            return Vec::new();
        }
        // Each host and each path once; all pairs of them would be many, and the router looks at each for itself.
        let pairs = hosts.iter().cycle().zip(paths.iter().cycle()).take(hosts.len().max(paths.len()));
        let sni = texts(route, "snis").first().map(|name| name.trim_end_matches('.'));
        pairs
            .map(|(host, path)| Ask {
                route: name(route),
                host: host.clone(),
                path: path.clone(),
                headers: headers.clone(),
                // Names of TLS are not looked at where there is none.
                plain: takes(route, "http"),
                tls: takes(route, "https").then(|| sni.unwrap_or(host).to_owned()),
            })
            .collect()
    }
}

/// Requests for the choices that an expression leaves, each choice once.
fn of_expression(route: &Value, text: &str) -> Vec<Ask> {
    let Some(read) = Expression::read(text) else { return Vec::new() };
    let ask = |fit: Fit| {
        let host = host(fit.host.as_deref().unwrap_or(NOBODY))?;
        let path = fit.path.unwrap_or_else(|| "/".to_owned());
        let takes = |protocol: &str| {
            fit.protocol.as_deref().is_none_or(|own| own == protocol) && takes(route, protocol)
        };
        let ask = Ask {
            route: name(route),
            path: path.starts_with('/').then(|| escaped(&path))?,
            headers: fit.headers.clone(),
            plain: takes("http") && fit.sni.is_none(),
            tls: takes("https").then(|| fit.sni.clone().unwrap_or_else(|| host.clone())),
            host,
        };
        (ask.plain || ask.tls.is_some()).then_some(ask)
    };
    (0..read.widest().min(MOST)).filter_map(|choice| read.fit(choice)).filter_map(ask).collect()
}

fn name(route: &Value) -> String {
    route.get("name").or_else(|| route.get("id")).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whether a route takes a protocol; one that names none takes both.
fn takes(route: &Value, protocol: &str) -> bool {
    let all = texts(route, "protocols");
    all.is_empty() || all.contains(&protocol)
}

fn or(found: Vec<String>, any: bool, usual: &str) -> Vec<String> {
    if any { vec![usual.to_owned()] } else { found }
}

/// Routes of streams and of gRPC are none of HTTP requests.
fn speaks_http(route: &Value) -> bool {
    takes(route, "http") || takes(route, "https")
}

fn is_askable(route: &Value) -> bool {
    let methods = texts(route, "methods");
    // Kong writes an empty list as an empty object.
    let is_set = |field: &str| match route.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    (methods.is_empty() || methods.contains(&"GET")) && !["sources", "destinations"].into_iter().any(is_set)
}

fn texts<'a>(route: &'a Value, field: &str) -> Vec<&'a str> {
    route.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// One value of each header; `~*` begins an expression.
fn headers(route: &Value) -> Option<Vec<(String, String)>> {
    let all = route.get("headers").and_then(Value::as_object).into_iter().flatten();
    all.map(|(name, values)| {
        let value = values.get(0).and_then(Value::as_str)?;
        let value = value.strip_prefix("~*").map_or_else(|| Some(value.to_owned()), sample::of)?;
        Some((name.clone(), value))
    })
    .collect()
}

/// A name that a host of a route fits: `*.example.com` or `example.*` stand for many.
fn host(host: &str) -> Option<String> {
    let name = match (host.strip_prefix("*."), host.strip_suffix(".*")) {
        (Some(suffix), _) => format!("{ANY}.{suffix}"),
        (_, Some(prefix)) => format!("{prefix}.{ANY}"),
        _ => host.to_owned(),
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

/// A path that a path of a route fits: `~` begins an expression, and all others are prefixes.
fn path(path: &str) -> Option<String> {
    let plain = path.strip_prefix('~').map_or_else(|| Some(path.to_owned()), sample::of)?;
    plain.starts_with('/').then(|| escaped(&plain))
}

/// What may stand in the path of a request as it is (RFC 3986 §3.3); Kong takes back the escapes of the rest.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(letter) {
            text.push(letter);
        } else {
            text.extend(["%".to_owned(), format!("{byte:02X}")]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(route: &Value) -> Asks {
        Asks::of(&json!({ "routes": [route] }))
    }

    fn shown(asks: &Asks) -> Vec<String> {
        asks.asks.iter().map(|ask| format!("{}{}", ask.host, ask.path)).collect()
    }

    #[test]
    fn each_host_and_each_path_is_asked_for() {
        for (route, wanted, skipped) in [
            (json!({}), vec!["parity.invalid/"], 0),
            (
                json!({ "hosts": ["a.b", "*.c.d", "e.*"], "paths": ["/x"] }),
                vec!["a.b/x", "parity.c.d/x", "e.parity/x"],
                0,
            ),
            (json!({ "hosts": ["a.b"], "paths": ["~/x$", "/x/"] }), vec!["a.b/x", "a.b/x/"], 0),
            (json!({ "hosts": ["a.b:8443"], "paths": [] }), vec!["a.b:8443/"], 0),
            (
                json!({ "paths": ["/x y/\u{e4}?", "/%20"] }),
                vec!["parity.invalid/x%20y/%C3%A4%3F", "parity.invalid/%20"],
                0,
            ),
            (json!({ "paths": ["/ok", "~/(?=no)"] }), vec!["parity.invalid/ok"], 1),
            (json!({ "paths": ["~/(?=no)"] }), vec![], 1),
            (json!({ "hosts": ["bad host"] }), vec![], 1),
            (json!({ "methods": ["POST"] }), vec![], 1),
            (json!({ "methods": ["POST", "GET"] }), vec!["parity.invalid/"], 0),
            (
                json!({ "expression": "http.path == \"/z\" || http.host == \"a.b\"" }),
                vec!["parity.invalid/z", "a.b/"],
                0,
            ),
            (json!({ "expression": "http.method == \"POST\"" }), vec![], 1),
            (json!({ "expression": "!(http.path == \"/z\")" }), vec![], 1),
            (json!({ "expression": "http.path ~ \"x\"" }), vec![], 1),
            (json!({ "expression": "net.protocol == \"tcp\"" }), vec![], 1),
            (json!({ "sources": [{ "ip": "10.0.0.0/8" }] }), vec![], 1),
            (json!({ "sources": {}, "destinations": [], "expression": null }), vec!["parity.invalid/"], 0),
            (json!({ "headers": { "x-a": ["~*\\bno"] } }), vec![], 1),
            (json!({ "protocols": ["tcp"] }), vec![], 0),
            (json!({ "protocols": ["grpc", "grpcs"] }), vec![], 0),
        ] {
            let asks = of(&route);
            assert_eq!(
                (shown(&asks), asks.skipped),
                (wanted.iter().map(ToString::to_string).collect(), skipped),
                "{route}"
            );
        }
    }

    #[test]
    fn headers_and_tls_are_those_of_the_route() {
        let asks = of(
            &json!({ "name": "r", "hosts": ["a.b"], "headers": { "x-a": ["1", "2"], "x-b": ["~*v[0-9]"] } }),
        );
        let headers = [("x-a".to_owned(), "1".to_owned()), ("x-b".to_owned(), "v0".to_owned())];
        let ask = asks.asks[0].clone();
        assert_eq!((ask.headers.as_slice(), ask.route.as_str()), (headers.as_slice(), "r"));
        assert_eq!((ask.plain, ask.tls.as_deref()), (true, Some("a.b")));
        let only = |route| of(&route).asks[0].clone();
        let secure = only(json!({ "hosts": ["a.b"], "protocols": ["https"], "snis": ["c.d."] }));
        assert_eq!((secure.plain, secure.tls.as_deref()), (false, Some("c.d")));
        let plain = only(json!({ "hosts": ["a.b"], "protocols": ["http"] }));
        assert_eq!((plain.plain, plain.tls), (true, None));
    }

    #[test]
    fn routes_are_found_beside_services_and_inside_them_and_asked_once() {
        let routes = json!([{ "name": "r", "paths": ["/x"] }, { "name": "same", "paths": ["/x"] }]);
        let asks =
            Asks::of(&json!({ "routes": [{ "paths": ["/y"] }], "services": [{ "routes": routes }, {}] }));
        assert_eq!(shown(&asks), ["parity.invalid/y", "parity.invalid/x"]);
        assert_eq!(Asks::of(&json!({})), Asks::default());
    }

    #[test]
    fn of_too_many_each_route_has_its_share() {
        let route = |number: usize| json!({ "hosts": [format!("h{number}")], "paths": ["/a", "/b", "/c"] });
        let asks = Asks::of(&json!({ "routes": (0..90).map(route).collect::<Vec<_>>() }));
        assert_eq!((asks.asks.len(), asks.left_off, asks.skipped), (MOST, 70, 0));
        let hosts: BTreeSet<_> = asks.asks.iter().map(|ask| &ask.host).collect();
        assert_eq!(hosts.len(), 90);
    }
}
