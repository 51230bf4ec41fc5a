//! The grammar of `proxy_listen`, `admin_listen`, `status_listen` and `stream_listen`.
//! In: the text of one setting. Out: the listeners, or Kong's own words for what is wrong. Never opens a socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

/// Flags that nginx' `http` subsystem knows, in the order in which Kong prints them.
const HTTP_FLAGS: [&str; 7] =
    ["ssl", "http2", "proxy_protocol", "deferred", "bind", "reuseport", "backlog=%d+"];
/// Flags of the `stream` subsystem.
const STREAM_FLAGS: [&str; 6] = ["udp", "ssl", "proxy_protocol", "bind", "reuseport", "backlog=%d+"];

/// Which subsystem a setting belongs to, and so which flags it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// Proxy, admin and status listeners.
    Http,
    /// Listeners for TCP, TLS and UDP.
    Stream,
}

impl Subsystem {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Http => &HTTP_FLAGS,
            Self::Stream => &STREAM_FLAGS,
        }
    }
}

/// One address to listen on, with its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address as written, IPv6 in brackets.
    pub host: String,
    /// The address to bind.
    pub address: SocketAddr,
    /// Flags in the order in which Kong prints them, `backlog=N` with its number.
    pub flags: Vec<String>,
}

impl Listen {
    /// Whether the flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// Connections that wait to be accepted, 511 unless said otherwise, as in nginx.
    pub fn backlog(&self) -> i32 {
        let given = self.flags.iter().find_map(|flag| flag.strip_prefix("backlog="));
        given.and_then(|number| number.parse().ok()).unwrap_or(511)
    }

    /// The entry of `configuration.proxy_listeners` and its siblings at `GET /`.
    pub fn to_json(&self, subsystem: Subsystem) -> Value {
        let mut entry = serde_json::Map::new();
        for flag in subsystem.flags() {
            match flag.strip_suffix("%d+") {
                None => {
                    entry.insert((*flag).to_owned(), json!(self.has(flag)));
                }
                Some(prefix) => {
                    let given = self.flags.iter().find(|given| given.starts_with(prefix));
                    entry.insert(
                        given.map_or(*flag, |given| given.as_str()).to_owned(),
                        json!(given.is_some()),
                    );
                }
            }
        }
        entry.insert("ip".into(), json!(self.host));
        entry.insert("port".into(), json!(self.address.port()));
        entry.insert("listener".into(), json!(self.to_string()));
        Value::Object(entry)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.address.port())?;
        self.flags.iter().try_for_each(|flag| write!(f, " {flag}"))
    }
}

/// Reads a setting such as `0.0.0.0:8000 reuseport, [::]:8443 ssl http2`; `off` means none.
///
/// # Errors
/// Kong's text: `<name> must be of form: …`.
pub fn parse(name: &str, text: &str, subsystem: Subsystem) -> Result<Vec<Listen>, String> {
    let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.first() == Some(&"off") {
        return Ok(Vec::new());
    }
    let all: Option<Vec<Listen>> = entries.iter().map(|entry| one(entry, subsystem)).collect();
    match all {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(usage(name, subsystem)),
    }
}

fn usage(name: &str, subsystem: Subsystem) -> String {
    let flags = subsystem.flags().join("] [");
    format!("{name} must be of form: [off] | <ip>:<port> [{flags}], [... next entry ...]")
}

fn one(entry: &str, subsystem: Subsystem) -> Option<Listen> {
    let mut address = None;
    let mut given = Vec::new();
    for word in entry.split_whitespace() {
        if is_flag(word, subsystem) {
            given.push(word.to_owned());
        } else if address.replace(word).is_some() {
            return None;
        }
    }
    let (host, address) = split(address?)?;
    let flags = subsystem.flags().iter().filter_map(|flag| find_flag(&given, flag)).collect();
    Some(Listen { host, address, flags })
}

fn is_flag(word: &str, subsystem: Subsystem) -> bool {
    subsystem.flags().iter().any(|flag| flag_matches(word, flag))
}

fn find_flag(given: &[String], flag: &str) -> Option<String> {
    given.iter().find(|word| flag_matches(word, flag)).cloned()
}

fn flag_matches(word: &str, flag: &str) -> bool {
    let Some(prefix) = flag.strip_suffix("%d+") else {
        return word == flag;
    };
    let number = word.strip_prefix(prefix);
    number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `ip:port` or `[ipv6]:port`; a host name is taken as well, as nginx does, and means every address here.
fn split(text: &str) -> Option<(String, SocketAddr)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let host = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
        return Some((host, address));
    }
    let (host, port) = text.rsplit_once(':')?;
    let named =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte));
    let looks_like_ip = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !named || looks_like_ip {
        return None;
    }
    let ip = if host == "localhost" { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    Some((host.to_owned(), SocketAddr::new(IpAddr::V4(ip), port.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_flags_an_operator_sets() {
        let list = parse(
            "proxy_listen",
            "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384, [::]:8000",
            Subsystem::Http,
        )
        .unwrap();
        assert_eq!(list[0].to_string(), "0.0.0.0:8000 reuseport backlog=16384");
        assert_eq!(list[1].to_string(), "0.0.0.0:8443 ssl http2 reuseport backlog=16384");
        assert_eq!(list[2].to_string(), "[::]:8000");
        assert_eq!(list[1].backlog(), 16384);
        assert_eq!(list[2].backlog(), 511);
        assert!(list[1].has("http2") && !list[0].has("ssl"));
    }

    #[test]
    fn off_means_no_listener() {
        assert_eq!(parse("admin_listen", "off", Subsystem::Http), Ok(Vec::new()));
    }

    #[test]
    fn refuses_in_kongs_words() {
        for bad in ["", "1.2.3.4", "0.0.0.0:8000 nosuch", "0.0.0.0:x", "0.0.0.0:8000 backlog=", "1.2.3:80"] {
            let error = parse("proxy_listen", bad, Subsystem::Http).unwrap_err();
            assert_eq!(
                error,
                "proxy_listen must be of form: [off] | <ip>:<port> [ssl] [http2] [proxy_protocol] [deferred] \
                 [bind] [reuseport] [backlog=%d+], [... next entry ...]",
                "for {bad:?}"
            );
        }
        let error = parse("stream_listen", "0.0.0.0:9000 http2", Subsystem::Stream).unwrap_err();
        assert!(
            error.starts_with("stream_listen must be of form: [off] | <ip>:<port> [udp] [ssl]"),
            "{error}"
        );
    }

    #[test]
    fn shows_itself_as_kong_does() {
        let list = parse("proxy_listen", "0.0.0.0:8443 ssl http2", Subsystem::Http).unwrap();
        let entry = list[0].to_json(Subsystem::Http);
        assert_eq!(entry["listener"], "0.0.0.0:8443 ssl http2");
        assert_eq!(entry["ssl"], true);
        assert_eq!(entry["port"], 8443);
        assert_eq!(entry["backlog=%d+"], false);
    }
}
