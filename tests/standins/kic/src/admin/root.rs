//! What Kong says of itself.
//! In: the body of `GET /`. Out: what KIC reads of it, or why it cannot. Never asks itself.

use serde_json::Value;

use crate::version::Release;

/// The oldest Kong that KIC 3.x takes.
const OLDEST: Release = Release(3, 4, 1);

/// A listener of Kong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its port.
    pub port: i32,
    /// Whether it has TLS.
    pub ssl: bool,
}

/// What Kong says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its release.
    pub release: Release,
    /// `traditional`, `traditional_compatible` or `expressions`.
    pub flavor: String,
    /// Listeners for HTTP.
    pub proxy: Vec<Listener>,
    /// Listeners for streams.
    pub stream: Vec<Listener>,
}

/// The version, if KIC takes it: the only thing that is read while a client is made.
///
/// # Errors
/// Where it is missing or too old.
pub fn version(body: &Value) -> Result<Release, String> {
    let release = body.get("version").and_then(Value::as_str).and_then(Release::parse);
    let release = release.ok_or("Kong's root has no version")?;
    if release < OLDEST {
        return Err(format!("Kong {release} is too old: {OLDEST} is the oldest that is taken"));
    }
    Ok(release)
}

/// Everything that is read of a root.
///
/// # Errors
/// Where KIC would end: no database, another than `off`, no flavour.
pub fn read(body: &Value) -> Result<Root, String> {
    let text = |field: &str| body.pointer(&format!("/configuration/{field}")).and_then(Value::as_str);
    let database = text("database").ok_or("invalid root configuration, expected a string db-mode")?;
    if !matches!(database, "off" | "") {
        return Err(format!(
            "Kong runs with database {database:?}: this stand-in configures DB-less Kong alone"
        ));
    }
    let flavor =
        text("router_flavor").ok_or("invalid root configuration, expected a string router_flavor")?;
    let listeners = |field: &str| -> Vec<Listener> {
        // Kong writes an empty list as `{}`.
        let all = body.pointer(&format!("/configuration/{field}")).and_then(Value::as_array);
        let read = |one: &Value| {
            let port = i32::try_from(one.get("port")?.as_i64()?).ok()?;
            Some(Listener { port, ssl: one.get("ssl").and_then(Value::as_bool).unwrap_or(false) })
        };
        all.into_iter().flatten().filter_map(read).collect()
    };
    Ok(Root {
        release: version(body)?,
        flavor: flavor.to_owned(),
        proxy: listeners("proxy_listeners"),
        stream: listeners("stream_listeners"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        json!({"version": "3.9.3", "configuration": {"database": "off", "router_flavor": "traditional_compatible",
            "proxy_listeners": [{"port": 8000, "ssl": false}, {"port": 8443, "ssl": true}], "stream_listeners": {}}})
    }

    #[test]
    fn listeners_are_read_and_an_empty_list_may_be_an_object() {
        let root = read(&body()).unwrap();
        assert_eq!(root.proxy, [Listener { port: 8000, ssl: false }, Listener { port: 8443, ssl: true }]);
        assert!(root.stream.is_empty());
    }

    #[test]
    fn what_kic_needs_must_be_there() {
        for field in ["database", "router_flavor"] {
            let mut body = body();
            body["configuration"].as_object_mut().unwrap().remove(field);
            assert!(read(&body).is_err(), "{field}");
        }
        let mut old = body();
        old["version"] = json!("3.3.0");
        assert!(version(&old).is_err());
    }
}
