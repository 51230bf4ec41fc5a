//! The plugins `redirect`, `request-transformer` and `response-transformer`, as far as KIC makes them of filters.
//! In: a plugin's configuration. Out: a redirect, or changed headers and paths. Query parameters and bodies stay as they
//! are.

use hyper::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use regex::{Captures, Regex};
use serde_json::Value;

use super::{Exchange, errors};
use crate::answer::{Body, empty};

/// The plugin `redirect`.
pub fn redirect(exchange: &Exchange<'_>, config: &Value) -> Response<Body> {
    let status = config["status_code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(301);
    let mut location = config["location"].as_str().unwrap_or_default().to_owned();
    if config["keep_incoming_path"] == true {
        let after = location.find("://").map_or(0, |at| at + 3);
        let end =
            location.get(after..).and_then(|rest| rest.find('/')).map_or(location.len(), |at| after + at);
        location.truncate(end);
        location.push_str(exchange.head.uri.path_and_query().map_or("/", |path| path.as_str()));
    }
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    errors::decorate(exchange, &mut response);
    response
}

/// Changes headers: removes, replaces what is there, adds what is not, appends.
pub fn headers(config: &Value, headers: &mut HeaderMap) {
    for name in list(config, "remove").filter_map(|name| HeaderName::try_from(name).ok()) {
        headers.remove(name);
    }
    for (name, value) in pairs(config, "replace") {
        if headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    for (name, value) in pairs(config, "add") {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    for (name, value) in pairs(config, "append") {
        headers.append(name, value);
    }
}

fn list<'a>(config: &'a Value, action: &str) -> impl Iterator<Item = &'a str> {
    let all = config.get(action).and_then(|action| action.get("headers")).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

fn pairs(config: &Value, action: &str) -> Vec<(HeaderName, HeaderValue)> {
    let pair = |text: &str| {
        let (name, value) = text.split_once(':')?;
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?))
    };
    list(config, action).filter_map(pair).collect()
}

/// The path that replaces the one to the upstream, if the configuration has one. `patterns` are those of the route: what
/// they captured of the path is filled in.
pub fn path(config: &Value, patterns: &[Regex], path: &str) -> Option<String> {
    let template = config.pointer("/replace/uri")?.as_str()?;
    let captures = patterns.iter().find_map(|pattern| pattern.captures(path));
    let expression = Regex::new(r#"\$\(uri_captures\[(\d+)\](?: or "([^"]*)")?\)"#).ok()?;
    let filled = expression.replace_all(template, |asked: &Captures<'_>| {
        let group = asked.get(1).and_then(|number| number.as_str().parse::<usize>().ok()).unwrap_or(0);
        let part = captures.as_ref().and_then(|captures| captures.get(group));
        part.or_else(|| asked.get(2)).map_or_else(String::new, |found| found.as_str().to_owned())
    });
    Some(filled.into_owned())
}

/// The patterns of a route's paths.
pub fn patterns(route: &Value) -> Vec<Regex> {
    let paths = route["paths"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let regexes = paths.filter_map(|path| path.strip_prefix('~'));
    regexes.filter_map(|regex| Regex::new(&format!("^(?:{regex})")).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_change_in_kongs_order() {
        let mut all = HeaderMap::new();
        all.insert("a", HeaderValue::from_static("1"));
        all.insert("gone", HeaderValue::from_static("1"));
        let config = json!({
            "remove": {"headers": ["gone"]}, "replace": {"headers": ["a:2", "b:no"]},
            "add": {"headers": ["a:no", "c:3"]}, "append": {"headers": ["c:4"]},
        });
        headers(&config, &mut all);
        let texts: Vec<_> =
            all.iter().map(|(name, value)| format!("{name}:{}", value.to_str().unwrap())).collect();
        assert_eq!(texts, ["a:2", "c:3", "c:4"]);
    }

    #[test]
    fn a_path_is_filled_with_what_was_captured() {
        let patterns = patterns(&json!({"paths": ["~/x$", "~/x(/.*)", "/plain"]}));
        let of = |uri: &str, asked: &str| path(&json!({"replace": {"uri": uri}}), &patterns, asked).unwrap();
        assert_eq!(of("/new$(uri_captures[1])", "/x/a/b"), "/new/a/b");
        assert_eq!(of("/new$(uri_captures[1])", "/x"), "/new");
        assert_eq!(of("$(uri_captures[1] or \"/\")", "/x"), "/");
        assert_eq!(of("/full", "/x/a"), "/full");
        assert_eq!(path(&json!({}), &patterns, "/x"), None);
    }
}
