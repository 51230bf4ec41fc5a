//! Connections to the world: directly, or through another proxy.
//!
//! In: host and port. Out: a connection. Reads the environment only through what it is given.

use std::io::{self, Error, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::config::base64;

const PATIENCE: Duration = Duration::from_secs(15);
/// More than any head that a registry's client sends.
const LONGEST: usize = 64 * 1024;

/// How the world is reached.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Direct,
    Proxy {
        /// Host and port of the proxy.
        address: String,
        /// `user:password`, where the proxy's URL has it.
        login: Option<String>,
        /// Hosts that are reached directly, with everything below them.
        except: Vec<String>,
    },
}

impl Way {
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, in upper or lower case.
    pub(super) fn from_env(read: impl Fn(&str) -> Option<String>) -> Self {
        let either =
            |name: &str| read(name).or_else(|| read(&name.to_lowercase())).filter(|value| !value.is_empty());
        let Some(url) = either("HTTPS_PROXY").or_else(|| either("HTTP_PROXY")) else {
            return Self::Direct;
        };
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/');
        let (login, address) =
            rest.rsplit_once('@').map_or((None, rest), |(login, address)| (Some(login.to_owned()), address));
        let except = either("NO_PROXY").unwrap_or_default();
        let except = except.split(',').map(|host| host.trim().trim_start_matches('.').to_owned());
        Self::Proxy {
            address: address.to_owned(),
            login,
            except: except.filter(|host| !host.is_empty()).collect(),
        }
    }

    pub(super) fn dial(&self, authority: &str) -> io::Result<TcpStream> {
        match self {
            Self::Proxy { address, login, except } if !is_excepted(except, authority) => {
                tunnel(connect(address)?, authority, login.as_deref())
            }
            _ => connect(authority),
        }
    }
}

fn is_excepted(except: &[String], authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let below = |host: &str, of: &str| {
        host.strip_suffix(of).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    except.iter().any(|one| one == "*" || below(host, one))
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut last = Error::other(format!("{authority} has no address"));
    for address in
        authority.to_socket_addrs().map_err(|error| Error::other(format!("{authority}: {error}")))?
    {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Error::other(format!("{authority}: {error}")),
        }
    }
    Err(last)
}

fn tunnel(mut stream: TcpStream, authority: &str, login: Option<&str>) -> io::Result<TcpStream> {
    let login =
        login.map(|login| format!("proxy-authorization: Basic {}\r\n", base64(login))).unwrap_or_default();
    write!(stream, "CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{login}\r\n")?;
    let answer = read_head(&stream)?;
    let first = answer.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(Error::other(format!("the proxy refuses {authority}: {first}")));
    }
    Ok(stream)
}

/// Reads up to the empty line, and not a byte more: what follows belongs to others.
pub(super) fn read_head(mut stream: &TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut one)? == 0 || bytes.len() > LONGEST {
            return Err(Error::other("a head without an end"));
        }
        bytes.extend(one);
    }
    String::from_utf8(bytes).map_err(|_| Error::other("a head that is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excepted_hosts_are_reached_directly() {
        let except = ["example.com".to_owned(), "10.0.0.1".to_owned()];
        for (authority, excepted) in [
            ("example.com:443", true),
            ("a.example.com:443", true),
            ("badexample.com:443", false),
            ("10.0.0.1:80", true),
            ("10.0.0.11:80", false),
        ] {
            assert_eq!(is_excepted(&except, authority), excepted, "{authority}");
        }
        assert!(is_excepted(&["*".to_owned()], "x:1"));
    }

    #[test]
    fn the_environment_is_read_in_both_cases() {
        let way = Way::from_env(|name| match name {
            "https_proxy" => Some("http://me:secret@proxy:3128/".into()),
            "no_proxy" => Some(".local, example.com".into()),
            _ => None,
        });
        let Way::Proxy { address, login, except } = way else { panic!("{way:?}") };
        assert_eq!((address.as_str(), login.as_deref()), ("proxy:3128", Some("me:secret")));
        assert_eq!(except, ["local", "example.com"]);
        assert!(matches!(Way::from_env(|_| None), Way::Direct));
    }
}
