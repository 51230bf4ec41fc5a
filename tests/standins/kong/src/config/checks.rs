//! Rules beyond types: what a text must look like.
//! In: a text and the name of its rule. Out: Kong's message. Never looks at other fields.

use regex::Regex;

use crate::router::expression::Expression;
use crate::tls::certs;

/// Judges a text by the named rule.
///
/// # Errors
/// Kong's message.
pub fn text(rule: &str, value: &str, plugins: &[String]) -> Result<(), String> {
    match rule {
        "name" => name(value),
        "host" => host(value),
        "host_with_port" => host(value.rsplit_once(':').map_or(value, |(host, _)| host)),
        "upstream_name" => upstream_name(value),
        "route_host" | "wildcard_host" => wildcard_host(value, rule == "route_host"),
        "sni" => sni(value),
        "path" => path(value),
        "router_path" => router_path(value),
        "header_name" => header_name(value),
        "tag" => tag(value),
        "target" => target(value),
        "plugin" if !plugins.iter().any(|known| known == value) => {
            Err(format!("plugin '{value}' not enabled; add it to the 'plugins' configuration property"))
        }
        "expression" => Expression::parse(value)
            .map(drop)
            .map_err(|error| format!("Router Expression failed validation: {error}")),
        "certificate" => {
            certs::chain(value).map(drop).map_err(|error| format!("invalid certificate: {error}"))
        }
        "key" => certs::key(value).map(drop).map_err(|error| format!("invalid key: {error}")),
        _ => Ok(()),
    }
}

fn name(value: &str) -> Result<(), String> {
    let fine = value.chars().all(|letter| letter.is_alphanumeric() || ".-_~".contains(letter));
    let message = "it must only contain alphanumeric and '., -, _, ~' characters";
    if fine { Ok(()) } else { Err(format!("invalid value '{value}': {message}")) }
}

fn is_host(value: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !value.is_empty() && value.chars().all(letters) && !value.starts_with('.') && !value.contains("..")
}

fn host(value: &str) -> Result<(), String> {
    if value.parse::<std::net::IpAddr>().is_ok() || is_host(value) {
        return Ok(());
    }
    let with_port =
        value.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u32>().is_ok());
    Err(if with_port { "must not have a port".to_owned() } else { format!("invalid value: {value}") })
}

fn upstream_name(value: &str) -> Result<(), String> {
    if value.parse::<std::net::IpAddr>().is_ok() {
        return Err("Invalid name; no ip addresses allowed".to_owned());
    }
    match value.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u32>().is_ok() => {
            Err("Invalid name; no port allowed".to_owned())
        }
        _ if is_host(value) => Ok(()),
        _ => Err("Invalid name; must be a valid hostname".to_owned()),
    }
}

fn wildcard_host(value: &str, port_allowed: bool) -> Result<(), String> {
    let bare = if port_allowed {
        value.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(value, |(host, _)| host)
    } else {
        value
    };
    let stars = bare.matches('*').count();
    if stars > 1 {
        return Err("only one wildcard must be specified".to_owned());
    }
    if stars == 1 && !bare.starts_with("*.") && !bare.ends_with(".*") && bare != "*" {
        return Err("wildcard must be leftmost or rightmost character".to_owned());
    }
    if stars == 0 && bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if is_host(&bare.replace('*', "a")) { Ok(()) } else { Err(format!("invalid value: {value}")) }
}

fn sni(value: &str) -> Result<(), String> {
    if value.parse::<std::net::IpAddr>().is_ok() {
        return Err("must not be an IP".to_owned());
    }
    host(value)
}

fn path(value: &str) -> Result<(), String> {
    if value.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    plain_path(value)
}

fn plain_path(value: &str) -> Result<(), String> {
    let reserved = "-._~:/?#[]@!$&'()*+,;=%";
    if !value.chars().all(|letter| letter.is_ascii_alphanumeric() || reserved.contains(letter)) {
        return Err(format!(
            "invalid path: '{value}' (characters outside of the reserved list of RFC 3986 found)"
        ));
    }
    let bytes = value.as_bytes();
    for (at, _) in value.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            let end = value.len().min(at + 3);
            return Err(format!("invalid url-encoded value: '{}'", value.get(at..end).unwrap_or("%")));
        }
    }
    Ok(())
}

fn router_path(value: &str) -> Result<(), String> {
    if let Some(pattern) = value.strip_prefix('~') {
        return match Regex::new(&format!("^(?:{pattern})")) {
            Ok(_) => Ok(()),
            Err(error) => {
                let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
                Err(format!("invalid regex: '{pattern}' (PCRE returned: {reason})"))
            }
        };
    }
    if !value.starts_with('/') {
        return Err("should start with: / (fixed path) or ~/ (regex path)".to_owned());
    }
    path(value)
}

fn header_name(value: &str) -> Result<(), String> {
    let fine = value.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    if value.eq_ignore_ascii_case("host") {
        return Err(
            "cannot contain 'host' header, which must be specified in the 'hosts' attribute".to_owned()
        );
    }
    let allowed = "allowed characters: A-Z, a-z, 0-9, '_', and '-'";
    if fine { Ok(()) } else { Err(format!("bad header name '{value}', {allowed}")) }
}

fn tag(value: &str) -> Result<(), String> {
    if value.contains([',', '/']) {
        return Err(format!(
            "invalid tag '{value}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
        ));
    }
    Ok(())
}

fn target(value: &str) -> Result<(), String> {
    let bare = value.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(ip, _)| ip);
    if value.parse::<std::net::SocketAddr>().is_ok()
        || bare.is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok())
    {
        return Ok(());
    }
    let host_only = value
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(value, |(host, _)| host);
    host(host_only).map_err(|_| "Invalid target; not a valid hostname or ip address".to_owned())
}
