//! What Kong and its nginx refuse at start.
//! In: settings. Out: nothing, or the text of the refusal. Reads files; never writes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;

use super::settings::Settings;
use crate::tls::certs;
use crate::tls::clients::ClientCa;

/// Settings that take one of a few words.
const CHOICES: [(&str, &[&str]); 5] = [
    ("database", &["postgres", "cassandra", "off"]),
    ("log_level", &["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]),
    ("role", &["data_plane", "control_plane", "traditional"]),
    ("router_flavor", &["traditional", "traditional_compatible", "expressions"]),
    ("worker_consistency", &["strict", "eventual"]),
];

/// Plugins that come with Kong 3.9.
pub const BUNDLED: &str = include_str!("plugins.txt");
/// Directives that the nginx of Kong knows.
const DIRECTIVES: &str = include_str!("directives.txt");
/// Blocks of nginx' configuration into which `nginx_<block>_<directive>` is written.
const BLOCKS: [&str; 11] = [
    "admin_gui",
    "main",
    "events",
    "http",
    "upstream",
    "proxy",
    "location",
    "status",
    "admin",
    "stream",
    "sproxy",
];

/// Judges words and the database.
pub fn values(settings: &Settings) -> Result<(), String> {
    for (key, choices) in CHOICES {
        let value = settings.get(key).unwrap_or_default();
        if !choices.contains(&value.as_str()) {
            return Err(format!("{key} has an invalid value: '{value}' ({})", choices.join(", ")));
        }
    }
    if settings.get("database").as_deref() != Some("off") {
        // This stand-in has no database to reach, so it ends as Kong does where there is none.
        return Err(
            "[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: connection refused".into(),
        );
    }
    Ok(())
}

/// The plugins that may be configured: bundled ones, and others that the package path holds.
pub fn plugins(settings: &Settings) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for name in settings.list("plugins") {
        match name.as_str() {
            "off" => {}
            "bundled" => all.extend(BUNDLED.lines().map(|line| plugin_name(line).to_owned())),
            _ if BUNDLED.lines().any(|line| plugin_name(line) == name) => all.push(name),
            _ if installed(settings, &name) => all.push(name),
            _ => {
                return Err(format!(
                    "{name} plugin is enabled but not installed;\nmodule 'kong.plugins.{name}.handler' not found"
                ));
            }
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// The name in a line `name version priority`.
pub fn plugin_name(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

fn installed(settings: &Settings, name: &str) -> bool {
    let path = settings.get("lua_package_path").unwrap_or_default();
    let module = format!("kong/plugins/{name}/handler");
    path.split(';')
        .filter(|entry| entry.contains('?'))
        .any(|entry| Path::new(&entry.replace('?', &module)).exists())
}

/// Judges directives given by `KONG_NGINX_<BLOCK>_<DIRECTIVE>`.
pub fn nginx_directives(settings: &Settings) -> Result<(), String> {
    for (key, _) in settings.given() {
        let Some(rest) = key.strip_prefix("nginx_") else {
            continue;
        };
        let block = BLOCKS.iter().find_map(|block| rest.strip_prefix(block)?.strip_prefix('_'));
        let Some(directive) = block else { continue };
        if !DIRECTIVES.split_whitespace().any(|known| known == directive) {
            return Err(format!(
                "nginx configuration is invalid (exit code 1):\nnginx: [emerg] unknown directive \"{directive}\""
            ));
        }
    }
    Ok(())
}

/// The certificate of a listener: `<key>` and `<key>_key`, files or PEM text.
pub fn certificate(settings: &Settings, key: &str) -> Result<Option<Arc<CertifiedKey>>, String> {
    let key_name = format!("{key}_key");
    let certificates = settings.list(key);
    let keys = settings.list(&key_name);
    let (Some(certificate), Some(secret)) = (certificates.first(), keys.first()) else {
        return match (certificates.is_empty(), keys.is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Err(format!("{key} must be specified")),
            (false, _) => Err(format!("{key_name} must be specified")),
        };
    };
    let pem = content(certificate)
        .ok_or_else(|| format!("{key}: failed loading certificate from {certificate}"))?;
    let chain =
        certs::chain(&pem).map_err(|_| format!("{key}: failed loading certificate from {certificate}"))?;
    let pem = content(secret).ok_or_else(|| format!("{key_name}: failed loading key from {secret}"))?;
    let private = certs::key(&pem).map_err(|_| format!("{key_name}: failed loading key from {secret}"))?;
    let pair = certs::pair(chain, private).map_err(|_| {
        format!("nginx: [emerg] SSL_CTX_use_PrivateKey(\"{secret}\") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)")
    })?;
    Ok(Some(Arc::new(pair)))
}

/// Who may call the admin API.
pub fn client_ca(settings: &Settings) -> Result<Option<ClientCa>, String> {
    let mode = settings.get("nginx_admin_ssl_verify_client").unwrap_or_default();
    let file = settings.get("nginx_admin_ssl_client_certificate");
    let load = |path: &str| {
        let failed = || format!("nginx: [emerg] SSL_CTX_load_verify_locations(\"{path}\") failed");
        ClientCa::new(&certs::chain(&content(path).ok_or_else(failed)?).map_err(|_| failed())?, mode == "on")
            .map_err(|_| failed())
    };
    match (mode.as_str(), file) {
        ("on" | "optional", None) => {
            Err("nginx: [emerg] no ssl_client_certificate for ssl_verify_client".into())
        }
        ("on" | "optional", Some(path)) => load(&path).map(Some),
        ("" | "off" | "optional_no_ca", None) => Ok(None),
        ("" | "off" | "optional_no_ca", Some(path)) => load(&path).map(|_| None),
        _ => Err(format!("nginx: [emerg] invalid value \"{mode}\"")),
    }
}

/// A path's content, or the text itself where it is PEM.
fn content(path: &str) -> Option<String> {
    if path.contains("-----BEGIN") { Some(path.to_owned()) } else { fs::read_to_string(path).ok() }
}

/// A time as nginx writes it: `3s`, `500ms`, `1m`, or bare seconds.
pub fn nginx_time(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.saturating_mul(60))),
        "h" => Some(Duration::from_secs(number.saturating_mul(3600))),
        _ => None,
    }
}

/// A size as nginx writes it: `10m`, `8k`, `1g`, or bare bytes; `0` is no limit.
pub fn nginx_size(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let units = [("k", 10), ("m", 20), ("g", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift)))
        .unwrap_or((lower.as_str(), 0));
    let bytes = number.parse::<usize>().ok()?.checked_shl(shift)?;
    Some(if bytes == 0 { usize::MAX } else { bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
    }

    #[test]
    fn words_are_judged_in_kongs_words() {
        let table = [
            (("KONG_DATABASE", "foo"), "database has an invalid value: 'foo' (postgres, cassandra, off)"),
            (
                ("KONG_LOG_LEVEL", "loud"),
                "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)",
            ),
        ];
        for (pair, text) in table {
            assert_eq!(values(&settings(&[pair])).unwrap_err(), text);
        }
        assert!(values(&settings(&[])).unwrap_err().contains("PostgreSQL"));
        assert_eq!(values(&settings(&[("KONG_DATABASE", "off")])), Ok(()));
    }

    #[test]
    fn plugins_must_be_installed() {
        let found = plugins(&settings(&[("KONG_PLUGINS", "bundled")])).unwrap();
        assert!(found.contains(&"prometheus".to_owned()) && found.len() > 30);
        let error = plugins(&settings(&[("KONG_PLUGINS", "bundled,nosuch")])).unwrap_err();
        assert!(error.starts_with("nosuch plugin is enabled but not installed"), "{error}");
    }

    #[test]
    fn a_custom_plugin_is_found_on_the_package_path() {
        let folder = tempfile::tempdir().unwrap();
        let handler = folder.path().join("kong/plugins/mine");
        fs::create_dir_all(&handler).unwrap();
        fs::write(handler.join("handler.lua"), "return {}").unwrap();
        let path = format!("{}/?.lua;;", folder.path().display());
        let found = plugins(&settings(&[("KONG_PLUGINS", "mine"), ("KONG_LUA_PACKAGE_PATH", &path)]));
        assert_eq!(found, Ok(vec!["mine".to_owned()]));
    }

    #[test]
    fn directives_must_exist() {
        let known = settings(&[
            ("KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE", "8k"),
            ("KONG_NGINX_ADMIN_SSL_VERIFY_DEPTH", "3"),
            ("KONG_NGINX_WORKER_PROCESSES", "2"),
        ]);
        assert_eq!(nginx_directives(&known), Ok(()));
        let error = nginx_directives(&settings(&[("KONG_NGINX_PROXY_BOGUS", "1")])).unwrap_err();
        assert!(error.contains("unknown directive \"bogus\""), "{error}");
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(nginx_time("3s"), Some(Duration::from_secs(3)));
        assert_eq!(nginx_time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(nginx_time("x"), None);
        assert_eq!(nginx_size("10m"), Some(10 << 20));
        assert_eq!(nginx_size("0"), Some(usize::MAX));
    }
}
