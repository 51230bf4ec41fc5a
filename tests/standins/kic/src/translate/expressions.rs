//! Routes for Kong's router of expressions.
//! In: a route with the fields of the traditional router. Out: the same as an expression with a priority.

use serde_json::{Value, json};

/// A parameter of a query: name, value, whether that is a regular expression.
pub type Query = (String, String, bool);

/// The fields that an expression stands for.
const REPLACED: [&str; 7] =
    ["hosts", "paths", "methods", "headers", "regex_priority", "path_handling", "snis"];

/// Rewrites a route.
pub fn of(route: &Value, queries: &[Query]) -> Value {
    let mut rewritten = route.clone();
    let Some(object) = rewritten.as_object_mut() else { return rewritten };
    object.retain(|field, _| !REPLACED.contains(&field.as_str()));
    let parts: Vec<String> = [
        any(route, "protocols", |protocol| format!("net.protocol == {}", quoted(protocol))),
        any(route, "hosts", host),
        any(route, "snis", |name| format!("tls.sni == {}", quoted(name))),
        any(route, "paths", path),
        any(route, "methods", |method| format!("http.method == {}", quoted(method))),
    ]
    .into_iter()
    .chain(headers(route))
    .chain(queries.iter().map(|query| Some(parameter(query))))
    .flatten()
    .collect();
    object.insert("expression".to_owned(), json!(parts.join(" && ")));
    object.insert("priority".to_owned(), json!(priority(route, queries)));
    rewritten
}

fn texts<'a>(route: &'a Value, field: &str) -> Vec<&'a str> {
    route.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn any(route: &Value, field: &str, one: impl Fn(&str) -> String) -> Option<String> {
    let all: Vec<_> = texts(route, field).into_iter().map(one).collect();
    (!all.is_empty()).then(|| format!("({})", all.join(" || ")))
}

fn host(host: &str) -> String {
    match host.strip_prefix('*') {
        Some(suffix) => format!("http.host =^ {}", quoted(suffix)),
        None => format!("http.host == {}", quoted(host)),
    }
}

fn path(path: &str) -> String {
    match path.strip_prefix('~') {
        Some(regex) => format!("http.path ~ {}", quoted(&format!("^{regex}"))),
        None => format!("http.path ^= {}", quoted(path)),
    }
}

fn headers(route: &Value) -> Vec<Option<String>> {
    let all = route.get("headers").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .map(|(name, values)| {
            let field = format!("http.headers.{}", name.to_lowercase().replace('-', "_"));
            let value = values.pointer("/0").and_then(Value::as_str)?;
            Some(match value.strip_prefix("~*") {
                Some(regex) => format!("{field} ~ {}", quoted(regex)),
                None => format!("{field} == {}", quoted(value)),
            })
        })
        .collect()
}

fn parameter((name, value, regex): &Query) -> String {
    format!("http.queries.{name} {} {}", if *regex { "~" } else { "==" }, quoted(value))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// More of a host before more of a path, exact paths before prefixes, then a method, headers, parameters. The real one
/// has the same order, with other numbers.
fn priority(route: &Value, queries: &[Query]) -> u64 {
    let longest =
        |field: &str| texts(route, field).iter().map(|text| text.len()).max().unwrap_or(0).min(1023);
    let precise = texts(route, "hosts").iter().any(|host| !host.starts_with('*'));
    let exact = texts(route, "paths").iter().all(|path| path.starts_with('~'));
    let headers = route.get("headers").and_then(Value::as_object).map_or(0, serde_json::Map::len).min(31);
    let fields = [
        (usize::from(precise), 1),
        (longest("hosts"), 10),
        (usize::from(exact), 1),
        (longest("paths"), 10),
        (usize::from(!texts(route, "methods").is_empty()), 1),
        (headers, 5),
        (queries.len().min(31), 5),
    ];
    fields.iter().fold(0, |sum, (value, bits)| (sum << bits) | u64::try_from(*value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_a_part() {
        let route = json!({"name": "r", "hosts": ["a.b", "*.c"], "paths": ["~/x$", "/x/"], "methods": ["GET"],
            "headers": {"X-A": ["1"]}, "protocols": ["http"]});
        let query = ("q".to_owned(), "v\"".to_owned(), false);
        let got = of(&route, &[query]);
        let wanted = "(net.protocol == \"http\") && (http.host == \"a.b\" || http.host =^ \".c\") && \
                      (http.path ~ \"^/x$\" || http.path ^= \"/x/\") && (http.method == \"GET\") && \
                      http.headers.x_a == \"1\" && http.queries.q == \"v\\\"\"";
        assert_eq!(got["expression"], wanted);
        assert!(got.get("paths").is_none());
    }

    #[test]
    fn an_exact_path_comes_before_a_prefix_and_a_host_before_both() {
        let of = |route: Value| priority(&route, &[]);
        let prefix = of(json!({"paths": ["/long/prefix/"]}));
        let exact = of(json!({"paths": ["~/x$"]}));
        let host = of(json!({"hosts": ["a.b"], "paths": ["/"]}));
        assert!(host > exact && exact > prefix);
    }
}
