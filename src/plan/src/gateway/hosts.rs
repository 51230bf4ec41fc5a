//! Host names of listeners and routes.
//!
//! In: names, of which a first label `*` stands for one or more labels. Out: whether any request could be for both.

/// Whether a request could be for both; `None` stands for every name.
pub fn intersect(one: Option<&str>, other: Option<&str>) -> bool {
    let (Some(one), Some(other)) = (given(one), given(other)) else { return true };
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (None, None) => one == other,
        (Some(end), None) => other.ends_with(end) && other.len() > end.len(),
        (None, Some(end)) => one.ends_with(end) && one.len() > end.len(),
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
    }
}

/// Whether a listener of that name takes requests for one of a route's; a route without names takes what comes.
pub fn attaches(listener: Option<&str>, route: &[String]) -> bool {
    route.is_empty() || route.iter().any(|name| intersect(listener, Some(name)))
}

/// Whether both are the very same name.
pub fn same(one: Option<&str>, other: Option<&str>) -> bool {
    given(one) == given(other)
}

/// An empty name is none; case does not matter.
fn given(name: Option<&str>) -> Option<String> {
    name.filter(|name| !name.is_empty()).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet_as_gateway_api_says() {
        for (one, other, meet) in [
            (None, None, true),
            (None, Some("a.com"), true),
            (Some("a.com"), Some("A.com"), true),
            (Some("a.com"), Some("b.com"), false),
            (Some("*.a.com"), Some("b.a.com"), true),
            (Some("*.a.com"), Some("c.b.a.com"), true),
            (Some("*.a.com"), Some("a.com"), false),
            (Some("*.a.com"), Some("ba.com"), false),
            (Some("*.a.com"), Some("*.a.com"), true),
            (Some("*.a.com"), Some("*.b.a.com"), true),
            (Some("*.a.com"), Some("*.b.com"), false),
            (Some(""), Some("a.com"), true),
        ] {
            assert_eq!(intersect(one, other), meet, "{one:?} {other:?}");
            assert_eq!(intersect(other, one), meet, "{other:?} {one:?}");
        }
        assert!(attaches(Some("a.com"), &[]) && !attaches(Some("a.com"), &["b.com".into()]));
        assert!(same(None, Some("")) && same(Some("A"), Some("a")) && !same(None, Some("a")));
    }
}
