//! In which order routes are tried.
//! In: a route and one of its paths. Out: a number; the greater goes first. Never matches.

use serde_json::Value;

/// A route with plain hosts alone goes before all others.
const PLAIN_HOSTS: u64 = 1 << 60;
/// Next come regex paths.
const REGEX_PATH: u64 = 1 << 51;

/// The priority as Kong 3.9 computes it.
///
/// Kong's source means the number of matching fields to be the highest bits, but shifts it as a 32-bit number, so
/// that it lands below the bits for hosts and regexes. What is seen from outside follows: more fields do not beat
/// a regex path, and plain hosts beat both.
pub fn of(route: &Value, path: Option<&str>) -> u64 {
    let filled = |field: &str| match route.get(field) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        _ => false,
    };
    let fields =
        ["methods", "hosts", "headers", "snis", "paths"].into_iter().filter(|field| filled(field)).count();
    let hosts = route["hosts"].as_array();
    let plain_hosts = hosts
        .is_some_and(|list| list.iter().all(|host| !host.as_str().is_some_and(|host| host.contains('*'))));
    let regex = path.is_some_and(|path| path.starts_with('~'));
    let headers = route["headers"].as_object().map_or(0, serde_json::Map::len).min(255);
    let number = if regex { route["regex_priority"].as_i64().unwrap_or(0) } else { 0 };
    let length = if regex { 0 } else { path.map_or(0, str::len) & 0x7_FFFF };
    let low = [shift(fields, 29), shift(headers, 20), shift_signed(number, 19), length as u64];
    low.into_iter().fold(0, |all, bits| all | bits)
        | if plain_hosts { PLAIN_HOSTS } else { 0 }
        | if regex { REGEX_PATH } else { 0 }
}

/// A left shift of 32 bits whose result keeps its sign when it is widened.
fn shift(number: usize, by: u32) -> u64 {
    shift_signed(i64::try_from(number).unwrap_or(0), by)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the wrapping is what is imitated"
)]
fn shift_signed(number: i64, by: u32) -> u64 {
    i64::from((number as i32).wrapping_shl(by)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_that_was_observed() {
        let host = of(&json!({"hosts": ["a.b"]}), None);
        let regex = of(&json!({"paths": ["~/x"]}), Some("~/x"));
        let long = of(&json!({"paths": ["/plain/long"]}), Some("/plain/long"));
        let short = of(&json!({"paths": ["/plain"]}), Some("/plain"));
        let fields =
            of(&json!({"paths": ["/plain"], "methods": ["GET"], "headers": {"a": ["b"]}}), Some("/plain"));
        assert!(host > regex && regex > fields && fields > long && long > short);
    }

    #[test]
    fn a_wildcard_host_is_no_plain_host() {
        let wild = of(&json!({"hosts": ["*.b"], "paths": ["/x"]}), Some("/x"));
        let plain = of(&json!({"hosts": ["a.b"]}), None);
        assert!(plain > wild);
    }

    #[test]
    fn regex_priority_orders_regexes() {
        let first = of(&json!({"paths": ["~/x"], "regex_priority": 5}), Some("~/x"));
        let second = of(&json!({"paths": ["~/x"], "regex_priority": 1}), Some("~/x"));
        assert!(first > second);
    }
}
