//! The environment of Kong's container.
//!
//! In: the listeners and the IP families of the pods. Out: our defaults, sorted by name. A user's variable of the same name takes the place
//! of ours when the templates are merged.

use serde_json::Value;

use super::listen::{self, Families};
use super::ports::{self, Mapped};
use crate::dataplane::pod::{CERTIFICATE_DIR, PREFIX_DIR};

/// The variables, sorted by name so that the pod template does not change by itself.
pub fn variables(ports: &[Mapped], families: Families) -> Vec<Value> {
    let certificate = format!("{CERTIFICATE_DIR}/tls.crt");
    let key = format!("{CERTIFICATE_DIR}/tls.key");
    let mut all: Vec<(&str, String)> =
        FIXED.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    all.extend([
        ("KONG_ADMIN_LISTEN", listen::admin(families)),
        ("KONG_ADMIN_SSL_CERT", certificate.clone()),
        ("KONG_ADMIN_SSL_CERT_KEY", key.clone()),
        ("KONG_CLUSTER_CERT", certificate),
        ("KONG_CLUSTER_CERT_KEY", key),
        ("KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE", format!("{CERTIFICATE_DIR}/client-ca.crt")),
        ("KONG_PORT_MAPS", ports::port_maps(ports)),
        ("KONG_PREFIX", PREFIX_DIR.to_owned()),
        ("KONG_PROXY_LISTEN", ports::proxy_listen(ports, families)),
        ("KONG_STATUS_LISTEN", listen::status(families)),
    ]);
    all.extend(listen::dns_order(families).map(|order| ("KONG_DNS_ORDER", order.to_owned())));
    all.extend(ports::stream_listen(ports, families).map(|listen| ("KONG_STREAM_LISTEN", listen)));
    all.sort();
    all.into_iter()
        .map(|(name, value)| Value::from_iter([("name", name.to_owned()), ("value", value)]))
        .collect()
}

/// As Kong Gateway Operator 1.6 sets them, but for: the admin GUI, which is off (Kong 3.4 and later would
/// open two ports for it); the status listener's logs, which would fill the prefix; and anonymous reports.
const FIXED: &[(&str, &str)] = &[
    ("KONG_ADMIN_ACCESS_LOG", "/dev/stdout"),
    ("KONG_ADMIN_ERROR_LOG", "/dev/stderr"),
    ("KONG_ADMIN_GUI_ACCESS_LOG", "/dev/stdout"),
    ("KONG_ADMIN_GUI_ERROR_LOG", "/dev/stderr"),
    ("KONG_ADMIN_GUI_LISTEN", "off"),
    ("KONG_ANONYMOUS_REPORTS", "off"),
    ("KONG_CLUSTER_LISTEN", "off"),
    ("KONG_DATABASE", "off"),
    ("KONG_NGINX_ADMIN_SSL_VERIFY_CLIENT", "on"),
    ("KONG_NGINX_ADMIN_SSL_VERIFY_DEPTH", "3"),
    ("KONG_NGINX_WORKER_PROCESSES", "2"),
    ("KONG_PLUGINS", "bundled"),
    ("KONG_PORTAL_API_ACCESS_LOG", "/dev/stdout"),
    ("KONG_PORTAL_API_ERROR_LOG", "/dev/stderr"),
    ("KONG_PROXY_ACCESS_LOG", "/dev/stdout"),
    ("KONG_PROXY_ERROR_LOG", "/dev/stderr"),
    ("KONG_STATUS_ACCESS_LOG", "off"),
    ("KONG_STATUS_ERROR_LOG", "/dev/stderr"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::claims::Claims;

    #[test]
    fn sorted_and_each_once() {
        let all = variables(
            &ports::mapped(&crds::defaults::ports(), &Claims::default()).unwrap(),
            Families::default(),
        );
        let names: Vec<_> = all.iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect();
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(names, sorted);
    }
}
