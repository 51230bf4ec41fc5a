//! Paths as Kong's traditional router takes them.
//! In: matches of `HTTPRoute`s and Ingresses. Out: paths; `~` marks a regular expression.

use gateway_api::apis::standard::httproutes::{
    HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType as Type,
};

/// The paths of a match of an `HTTPRoute`.
pub fn of_match(path: Option<&HttpRouteRulesMatchesPath>) -> Vec<String> {
    let value = path.and_then(|path| path.value.as_deref()).unwrap_or("/");
    match path.and_then(|path| path.r#type.as_ref()).unwrap_or(&Type::PathPrefix) {
        Type::Exact => vec![format!("~{value}$")],
        Type::RegularExpression => vec![format!("~{value}")],
        Type::PathPrefix => match value.trim_end_matches('/') {
            "" => vec!["/".to_owned()],
            prefix => vec![format!("~{prefix}$"), format!("{prefix}/")],
        },
    }
}

/// The paths of a match whose prefix is replaced: what follows it is captured.
pub fn captured(prefix: &str) -> Vec<String> {
    match prefix.trim_end_matches('/') {
        "" => vec!["~/(.*)".to_owned()],
        prefix => vec![format!("~{prefix}$"), format!("~{prefix}(/.*)")],
    }
}

/// The paths of an Ingress, by type.
pub fn of_ingress(kind: &str, path: &str) -> Vec<String> {
    let path = if path.is_empty() { "/" } else { path };
    match kind {
        "Exact" => vec![format!("~{path}$")],
        "Prefix" => match path.trim_end_matches('/') {
            "" => vec!["/".to_owned()],
            prefix => vec![format!("{prefix}/"), format!("~{prefix}$")],
        },
        // A leading `/~` is how an Ingress says that it means a regular expression.
        _ => vec![path.strip_prefix("/~").map_or_else(|| path.to_owned(), |regex| format!("~{regex}"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Type, value: &str) -> Vec<String> {
        of_match(Some(&HttpRouteRulesMatchesPath { r#type: Some(kind), value: Some(value.into()) }))
    }

    #[test]
    fn matches_become_paths_as_the_real_one_was_seen_to_write_them() {
        assert_eq!(of(Type::PathPrefix, "/x"), ["~/x$", "/x/"]);
        assert_eq!(of(Type::PathPrefix, "/x/"), ["~/x$", "/x/"]);
        assert_eq!(of(Type::PathPrefix, "/"), ["/"]);
        assert_eq!(of(Type::Exact, "/x"), ["~/x$"]);
        assert_eq!(of(Type::RegularExpression, "/x[0-9]"), ["~/x[0-9]"]);
        assert_eq!(of_match(None), ["/"]);
    }

    #[test]
    fn an_ingress_has_its_own_order() {
        assert_eq!(of_ingress("Prefix", "/i"), ["/i/", "~/i$"]);
        assert_eq!(of_ingress("Prefix", "/"), ["/"]);
        assert_eq!(of_ingress("Exact", "/i"), ["~/i$"]);
        assert_eq!(of_ingress("ImplementationSpecific", "/i"), ["/i"]);
        assert_eq!(of_ingress("ImplementationSpecific", "/~/i[0-9]"), ["~/i[0-9]"]);
    }
}
