//! Filters of an `HTTPRoute` as plugins.
//! In: filters of a rule, the match they act on. Out: plugins, or the words for what cannot be done.

use gateway_api::apis::standard::httproutes::{
    HttpRouteRulesFilters as Filter, HttpRouteRulesFiltersRequestHeaderModifier as RequestHeaders,
    HttpRouteRulesFiltersRequestRedirect as Redirect, HttpRouteRulesFiltersRequestRedirectScheme as Scheme,
    HttpRouteRulesFiltersResponseHeaderModifier as ResponseHeaders, HttpRouteRulesFiltersType as Type,
    HttpRouteRulesFiltersUrlRewrite as Rewrite,
};
use serde_json::{Value, json};

use crate::version::Release;

/// The first Kong that has a plugin for redirects.
const REDIRECTS: Release = Release(3, 9, 0);

/// The plugins of a rule.
///
/// # Errors
/// Where a filter is not supported.
pub fn plugins(filters: &[Filter], kong: Release, host: Option<&str>) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut request = Transform::default();
    for filter in filters {
        match filter.r#type {
            Type::RequestHeaderModifier => {
                filter.request_header_modifier.iter().for_each(|one| request.headers(one));
            }
            Type::UrlRewrite => filter.url_rewrite.iter().for_each(|one| request.rewrite(one)),
            Type::ResponseHeaderModifier => {
                all.extend(filter.response_header_modifier.as_ref().map(response));
            }
            Type::RequestRedirect => {
                filter.request_redirect.iter().for_each(|one| all.extend(redirect(one, kong, host)));
            }
            Type::RequestMirror | Type::ExtensionRef | Type::Cors => {
                return Err(format!("httpFilter {:?} unsupported", filter.r#type));
            }
        }
    }
    all.extend(request.plugin());
    Ok(all)
}

/// What `request-transformer` is to do.
#[derive(Default)]
struct Transform {
    add: Vec<String>,
    append: Vec<String>,
    remove: Vec<String>,
    replace: Vec<String>,
    uri: Option<String>,
}

impl Transform {
    fn headers(&mut self, one: &RequestHeaders) {
        for set in one.set.iter().flatten() {
            // Replacing acts on headers that are there, adding on those that are not.
            self.add.push(format!("{}:{}", set.name, set.value));
            self.replace.push(format!("{}:{}", set.name, set.value));
        }
        self.append.extend(one.add.iter().flatten().map(|add| format!("{}:{}", add.name, add.value)));
        self.remove.extend(one.remove.iter().flatten().cloned());
    }

    fn rewrite(&mut self, one: &Rewrite) {
        self.replace.extend(one.hostname.as_ref().map(|host| format!("host:{host}")));
        let Some(path) = &one.path else { return };
        let prefix = |to: &String| {
            let to = to.trim_end_matches('/');
            if to.is_empty() {
                "$(uri_captures[1] or \"/\")".to_owned()
            } else {
                format!("{to}$(uri_captures[1])")
            }
        };
        self.uri = path.replace_full_path.clone().or_else(|| path.replace_prefix_match.as_ref().map(prefix));
    }

    fn plugin(self) -> Option<Value> {
        let mut config = json!({});
        let object = config.as_object_mut()?;
        for (name, list) in [("add", self.add), ("append", self.append), ("remove", self.remove)] {
            if !list.is_empty() {
                object.insert(name.to_owned(), json!({ "headers": list }));
            }
        }
        let mut replace = json!({});
        if !self.replace.is_empty() {
            replace.as_object_mut()?.insert("headers".to_owned(), json!(self.replace));
        }
        if let Some(uri) = self.uri {
            replace.as_object_mut()?.insert("uri".to_owned(), json!(uri));
        }
        if replace != json!({}) {
            object.insert("replace".to_owned(), replace);
        }
        (!object.is_empty()).then(|| json!({"name": "request-transformer", "config": config}))
    }
}

fn response(one: &ResponseHeaders) -> Value {
    let set: Vec<_> = one.set.iter().flatten().map(|set| format!("{}:{}", set.name, set.value)).collect();
    let add: Vec<_> = one.add.iter().flatten().map(|add| format!("{}:{}", add.name, add.value)).collect();
    let remove: Vec<_> = one.remove.iter().flatten().cloned().collect();
    json!({"name": "response-transformer", "config": {
        "add": {"headers": set}, "replace": {"headers": set}, "append": {"headers": add}, "remove": {"headers": remove},
    }})
}

fn redirect(one: &Redirect, kong: Release, host: Option<&str>) -> Vec<Value> {
    let code = one.status_code.unwrap_or(302);
    let scheme = if one.scheme == Some(Scheme::Https) { "https" } else { "http" };
    let host = one.hostname.as_deref().or(host).unwrap_or_default();
    let port = one.port.map(|port| format!(":{port}")).unwrap_or_default();
    let path = one
        .path
        .as_ref()
        .and_then(|path| path.replace_full_path.as_deref().or(path.replace_prefix_match.as_deref()));
    let location = format!("{scheme}://{host}{port}{}", path.unwrap_or_default());
    if kong >= REDIRECTS {
        let config = json!({"status_code": code, "location": location, "keep_incoming_path": path.is_none()});
        return vec![json!({"name": "redirect", "config": config})];
    }
    vec![
        json!({"name": "request-termination", "config": {"status_code": code}}),
        json!({"name": "response-transformer", "config": {"add": {"headers": [format!("Location: {location}")]}}}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(filters: Value, kong: Release) -> Result<Vec<Value>, String> {
        plugins(&serde_json::from_value::<Vec<Filter>>(filters).unwrap(), kong, Some("h"))
    }

    #[test]
    fn header_filters_of_a_rule_are_one_plugin() {
        let filters = json!([
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {
                "set": [{"name": "a", "value": "1"}], "add": [{"name": "b", "value": "2"}], "remove": ["c"]}},
            {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/n"}}},
        ]);
        let wanted = json!([{"name": "request-transformer", "config": {
            "add": {"headers": ["a:1"]}, "append": {"headers": ["b:2"]}, "remove": {"headers": ["c"]},
            "replace": {"headers": ["a:1"], "uri": "/n$(uri_captures[1])"}}}]);
        assert_eq!(json!(of(filters, Release(3, 9, 3)).unwrap()), wanted);
    }

    #[test]
    fn redirects_have_a_plugin_from_kong_3_9_on() {
        let filters = || json!([{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}]);
        let new = of(filters(), Release(3, 9, 3)).unwrap();
        let config = json!({"status_code": 301, "location": "https://h", "keep_incoming_path": true});
        assert_eq!(new, [json!({"name": "redirect", "config": config})]);
        assert_eq!(of(filters(), Release(3, 8, 0)).unwrap()[0]["name"], "request-termination");
    }

    #[test]
    fn a_mirror_is_not_supported() {
        let filters =
            json!([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "a", "port": 80}}}]);
        assert!(of(filters, Release(3, 9, 3)).is_err());
    }
}
