//! `HTTPRoute`s as services, routes, plugins and upstreams.
//! In: a route that was let in. Out: entities, or the words for what cannot be done; then there is none of them.

use gateway_api::apis::standard::httproutes::{
    HttpRouteRules, HttpRouteRulesMatches, HttpRouteRulesMatchesHeadersType,
    HttpRouteRulesMatchesQueryParamsType,
};
use serde_json::{Map, Value, json};

use super::backends::{self, Backend};
use super::content::Content;
use super::view::{LetIn, View};
use super::{expressions, filters, paths};
use crate::cluster::route::{self, Rules};
use crate::settings::values;

/// A rule with its number.
type Numbered<'a> = (usize, &'a HttpRouteRules);

/// Adds what a route asks for.
///
/// # Errors
/// Where a match or a filter cannot be translated.
pub fn add(view: View<'_>, let_in: &LetIn, content: &mut Content) -> Result<(), String> {
    let Rules::Http(rules) = &let_in.route.read.rules else { return Ok(()) };
    let groups = grouped(rules);
    let mut translated = Vec::new();
    for group in &groups {
        let mut routes = Vec::new();
        for (number, rule) in group {
            routes.extend(routes_of(view, let_in, *number, rule)?);
        }
        translated.push(routes);
    }
    for (group, routes) in groups.iter().zip(translated) {
        if let Some((number, rule)) = group.first() {
            service(view, let_in, (*number, rule), routes, content);
        }
    }
    Ok(())
}

/// Rules with the same backends and timeouts share a service, which is named after the first.
fn grouped(rules: &[HttpRouteRules]) -> Vec<Vec<Numbered<'_>>> {
    let same =
        |a: &HttpRouteRules, b: &HttpRouteRules| a.backend_refs == b.backend_refs && a.timeouts == b.timeouts;
    let mut groups: Vec<Vec<Numbered<'_>>> = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let known = groups.iter_mut().find(|group| group.first().is_some_and(|(_, first)| same(first, rule)));
        match known {
            Some(group) => group.push((number, rule)),
            None => groups.push(vec![(number, rule)]),
        }
    }
    groups
}

fn service(
    view: View<'_>,
    let_in: &LetIn,
    (number, rule): Numbered<'_>,
    routes: Vec<Value>,
    content: &mut Content,
) {
    let object = &let_in.route.read.object;
    let name = format!("httproute.{}.{}.{number}", object.namespace, object.name);
    let resolved: Vec<Backend> = route::backends(rule)
        .iter()
        .filter_map(|one| backends::resolve(view.snapshot, "HTTPRoute", &object.namespace, one).ok())
        // A weight is told for each as soon as it is not the only one.
        .map(|one| Backend { weight: one.weight.or(Some(1)), ..one })
        .collect();
    let timeout =
        rule.timeouts.as_ref().and_then(|all| all.backend_request.as_deref().or(all.request.as_deref()));
    let millis = timeout.and_then(values::duration).map_or(60_000, |time| time.as_millis().max(1));
    let mut service = json!({
        "name": name, "host": name, "port": 80, "protocol": "http", "retries": 5,
        "connect_timeout": millis, "read_timeout": millis, "write_timeout": millis, "tags": object.tags(),
    });
    if resolved.is_empty()
        && let Some(service) = service.as_object_mut()
    {
        let config = json!({"status_code": 500, "message": "no existing backendRef provided"});
        service.insert("plugins".to_owned(), json!([{"name": "request-termination", "config": config}]));
    }
    content.service(service, routes);
    content.upstream(&name, &backends::targets(view, "TCP", &resolved), &object.tags());
}

/// The routes of a rule: matches that differ in their paths alone share one.
fn routes_of(
    view: View<'_>,
    let_in: &LetIn,
    number: usize,
    rule: &HttpRouteRules,
) -> Result<Vec<Value>, String> {
    let all = vec![HttpRouteRulesMatches::default()];
    let matches = rule.matches.as_ref().filter(|matches| !matches.is_empty()).unwrap_or(&all);
    let mut groups: Vec<(usize, Vec<&HttpRouteRulesMatches>)> = Vec::new();
    for (at, one) in matches.iter().enumerate() {
        let same = |other: &HttpRouteRulesMatches| {
            other.method == one.method
                && other.headers == one.headers
                && other.query_params == one.query_params
        };
        let known = groups.iter_mut().find(|(_, group)| group.first().is_some_and(|first| same(first)));
        match known {
            Some((_, group)) => group.push(one),
            None => groups.push((at, vec![one])),
        }
    }
    let object = &let_in.route.read.object;
    let mut routes = Vec::new();
    for (at, group) in groups {
        let name = format!("httproute.{}.{}.{number}.{at}", object.namespace, object.name);
        routes.push(route(view, let_in, &name, rule, &group)?);
    }
    Ok(routes)
}

fn route(
    view: View<'_>,
    let_in: &LetIn,
    name: &str,
    rule: &HttpRouteRules,
    group: &[&HttpRouteRulesMatches],
) -> Result<Value, String> {
    let first = group.first().copied().cloned().unwrap_or_default();
    let queries = first.query_params.unwrap_or_default();
    if !queries.is_empty() && !view.options.expressions {
        return Err("queryparam matching is supported with expression router only".to_owned());
    }
    let filters = rule.filters.as_deref().unwrap_or_default();
    let captures = filters
        .iter()
        .filter_map(|filter| filter.url_rewrite.as_ref()?.path.as_ref())
        .any(|path| path.replace_prefix_match.is_some());
    let path_of = |one: &&HttpRouteRulesMatches| match &one.path {
        path if captures => {
            paths::captured(path.as_ref().and_then(|path| path.value.as_deref()).unwrap_or("/"))
        }
        path => paths::of_match(path.as_ref()),
    };
    let mut route = json!({
        "name": name, "paths": group.iter().flat_map(path_of).collect::<Vec<_>>(), "path_handling": "v0",
        "preserve_host": true, "protocols": protocols(view, let_in), "strip_path": false,
        "https_redirect_status_code": 426, "tags": let_in.route.read.object.tags(),
    });
    let more = Map::from_iter([
        ("hosts".to_owned(), json!(let_in.hostnames)),
        (
            "methods".to_owned(),
            json!(first.method.map(|method| json!(method)).into_iter().collect::<Vec<_>>()),
        ),
        ("headers".to_owned(), headers(first.headers.iter().flatten())),
        ("plugins".to_owned(), json!(filters::plugins(filters, view.options.kong, host(let_in))?)),
    ]);
    if let Some(route) = route.as_object_mut() {
        route.extend(more.into_iter().filter(|(_, value)| *value != json!([]) && *value != json!({})));
    }
    if view.options.expressions {
        let queries = queries.into_iter().map(|one| {
            (one.name, one.value, one.r#type == Some(HttpRouteRulesMatchesQueryParamsType::RegularExpression))
        });
        return Ok(expressions::of(&route, &queries.collect::<Vec<_>>()));
    }
    Ok(route)
}

fn host(let_in: &LetIn) -> Option<&str> {
    let_in.hostnames.first().map(String::as_str).filter(|host| !host.starts_with('*'))
}

/// Releases before 3.4.14 and 3.5.7 served every route by both protocols.
fn protocols(view: View<'_>, let_in: &LetIn) -> Value {
    let has = |protocol: &str| let_in.listeners.iter().any(|one| one.protocol == protocol);
    let both = !view.options.release.carries(14, 7) || has("HTTP") == has("HTTPS");
    json!(match (both, has("HTTPS")) {
        (true, _) => vec!["http", "https"],
        (false, true) => vec!["https"],
        (false, false) => vec!["http"],
    })
}

fn headers<'a>(
    all: impl Iterator<Item = &'a gateway_api::apis::standard::httproutes::HttpRouteRulesMatchesHeaders>,
) -> Value {
    let mut map = Map::new();
    for header in all {
        let regex = header.r#type == Some(HttpRouteRulesMatchesHeadersType::RegularExpression);
        let value = if regex { format!("~*{}", header.value) } else { header.value.clone() };
        // Of headers with the same name in other letters, the first counts.
        if !map.keys().any(|name| name.eq_ignore_ascii_case(&header.name)) {
            map.insert(header.name.clone(), json!([value]));
        }
    }
    Value::Object(map)
}
