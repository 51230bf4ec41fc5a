//! The router for HTTP, flavour `traditional_compatible`, with expressions beside it.
//! In: routes of the configuration, and what a request asks for. Out: the first route that fits. Never proxies.

pub mod expression;
pub mod matcher;
pub mod path;
pub mod priority;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use regex::Regex;
use serde_json::Value;

use crate::config::load::Entities;
use crate::config::{items, reference};
use crate::proxy::transform;
use expression::Expression;
use matcher::Matcher;

/// What a request asks for, as the router sees it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a str,
    /// Host in lower case, without its port.
    pub host: &'a str,
    /// Normalised path.
    pub path: &'a str,
    /// Query, without the question mark.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Whether it came over TLS.
    pub https: bool,
    /// The name asked for in TLS.
    pub sni: Option<&'a str>,
    /// Who asks.
    pub source: SocketAddr,
    /// Where it was asked, with the port of the Service.
    pub destination: SocketAddr,
}

/// A route, as far as proxying needs it.
#[expect(clippy::struct_excessive_bools, reason = "four independent fields of a route")]
#[derive(Debug)]
pub struct Route {
    /// Id.
    pub id: String,
    /// Name, else id, as metrics show it.
    pub label: String,
    /// Id of its service.
    pub service: Option<String>,
    /// Whether only TLS will do, and what is answered otherwise.
    pub https_only: bool,
    /// Status for plain HTTP where only TLS will do.
    pub redirect: u16,
    /// Whether the matched prefix is cut off.
    pub strip_path: bool,
    /// Whether the upstream gets the Host of the request.
    pub preserve_host: bool,
    /// Whether the request is read whole before it is sent on.
    pub buffered: bool,
    /// The regular expressions among its paths, for what they capture.
    pub patterns: Vec<Regex>,
}

impl Route {
    fn new(item: &Value) -> Self {
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        let protocols: Vec<&str> =
            item["protocols"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        Self {
            label: item["name"].as_str().unwrap_or(&id).to_owned(),
            id,
            service: reference(item, "service").map(str::to_owned),
            https_only: protocols.iter().all(|name| ["https", "grpcs"].contains(name)),
            redirect: item["https_redirect_status_code"]
                .as_u64()
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(426),
            strip_path: item["strip_path"].as_bool().unwrap_or(true),
            preserve_host: item["preserve_host"].as_bool().unwrap_or(false),
            buffered: item["request_buffering"].as_bool().unwrap_or(true),
            patterns: transform::patterns(item),
        }
    }
}

#[derive(Debug)]
enum Rule {
    Fields(Matcher),
    Expression(Expression),
}

#[derive(Debug)]
struct Entry {
    priority: u64,
    route: Arc<Route>,
    rule: Rule,
}

/// A route and the part of the path that it matched.
#[derive(Debug)]
pub struct Found {
    /// The route.
    pub route: Arc<Route>,
    /// The matched part of the path; empty where paths did not matter.
    pub prefix: String,
}

/// Routes in the order in which they are tried.
#[derive(Debug, Default)]
pub struct Router {
    entries: Vec<Entry>,
}

impl Router {
    /// Compiles the routes of HTTP.
    pub fn new(entities: &Entities) -> Self {
        let mut entries: Vec<Entry> =
            items(entities, "routes").filter(|item| is_http(item)).flat_map(compile).collect();
        // Of two routes with the same priority, the greater id goes first.
        entries.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| b.route.id.cmp(&a.route.id)));
        Self { entries }
    }

    /// The first route that fits.
    pub fn find(&self, asked: &Asked<'_>) -> Option<Found> {
        self.entries.iter().find_map(|entry| {
            let prefix = match &entry.rule {
                Rule::Fields(matcher) => matcher.fits(asked),
                Rule::Expression(expression) => expression.fits(asked),
            };
            prefix.map(|prefix| Found { route: entry.route.clone(), prefix })
        })
    }
}

fn is_http(item: &Value) -> bool {
    let mut protocols = item["protocols"].as_array().into_iter().flatten().filter_map(Value::as_str);
    protocols.any(|name| ["http", "https", "grpc", "grpcs"].contains(&name))
}

/// A route becomes one entry for each kind of path it has, since regexes and lengths differ in priority.
fn compile(item: &Value) -> Vec<Entry> {
    let route = Arc::new(Route::new(item));
    if let Some(text) = item["expression"].as_str() {
        let priority = item["priority"].as_u64().unwrap_or(0);
        let parsed = Expression::parse(text).ok();
        return parsed
            .map(|parsed| Entry { priority, route, rule: Rule::Expression(parsed) })
            .into_iter()
            .collect();
    }
    let group = |paths: &[&str]| Entry {
        priority: priority::of(item, paths.first().copied()),
        route: route.clone(),
        rule: Rule::Fields(Matcher::new(item, paths)),
    };
    let paths: Vec<&str> = item["paths"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if paths.is_empty() { vec![group(&[])] } else { paths.iter().map(|path| group(&[path])).collect() }
}
