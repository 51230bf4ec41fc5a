//! Paths: how Kong normalises one, and what it sends to the upstream.
//! In: the path of a request. Out: the path matched, and the path sent. Never looks at routes.

/// Normalises as RFC 3986 §6.2.2 with slashes merged: unreserved characters decoded, dot segments removed.
pub fn normalize(raw: &str) -> String {
    let decoded = decode(raw);
    let mut segments: Vec<&str> = Vec::new();
    let parts: Vec<&str> = decoded.split('/').skip(1).collect();
    let last = parts.len().saturating_sub(1);
    for (at, part) in parts.iter().enumerate() {
        match *part {
            "." | "" if at < last => {}
            "." => segments.push(""),
            ".." => {
                segments.pop();
                if at == last {
                    segments.push("");
                }
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Decodes what stands for an unreserved character; other escapes stay, in upper case.
fn decode(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = if *byte == b'%' { bytes.get(at + 1..at + 3).and_then(hex) } else { None };
        match escape {
            Some(value) if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => {
                out.push(char::from(value));
            }
            Some(value) => out.extend(["%".to_owned(), format!("{value:02X}")]),
            None => out.push(char::from(*byte)),
        }
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The path to the upstream by `path_handling` v0. `prefix` is the matched part, `base` the path of the service.
pub fn upstream(base: &str, prefix: &str, path: &str, strip: bool) -> String {
    let rest = path.strip_prefix(prefix).unwrap_or(path);
    match (base.strip_suffix('/'), strip) {
        (Some(short), true) => match rest {
            "" if base == "/" => "/".to_owned(),
            "" if path.ends_with('/') => base.to_owned(),
            "" => short.to_owned(),
            _ if rest.starts_with('/') => format!("{short}{rest}"),
            _ => format!("{base}{rest}"),
        },
        (Some(short), false) => format!("{short}{path}"),
        (None, true) => match rest {
            "" if path.len() > 1 && path.ends_with('/') => format!("{base}/"),
            "" => base.to_owned(),
            _ if rest.starts_with('/') => format!("{base}{rest}"),
            _ => format!("{base}/{rest}"),
        },
        (None, false) => format!("{base}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes() {
        for (raw, wanted) in [
            ("/a/./b/../c", "/a/c"),
            ("/a//b", "/a/b"),
            ("/%61%2f", "/a%2F"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/", "/"),
            ("/../x", "/x"),
            ("/a%zz", "/a%zz"),
        ] {
            assert_eq!(normalize(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn joins_service_and_request() {
        for (base, prefix, path, strip, wanted) in [
            ("/", "/x", "/x/y", true, "/y"),
            ("/", "/x", "/x", true, "/"),
            ("/", "/x", "/xy", true, "/y"),
            ("/", "/x", "/x/y", false, "/x/y"),
            ("/s", "/x", "/x/y", true, "/s/y"),
            ("/s", "/x", "/x", true, "/s"),
            ("/s", "/x/", "/x/", true, "/s/"),
            ("/s/", "/x", "/x", true, "/s"),
            ("/s/", "/x", "/x/y", true, "/s/y"),
            ("/s/", "/x", "/xy", true, "/s/y"),
            ("/s", "/x", "/x/y", false, "/s/x/y"),
            ("/s/", "/x", "/x/y", false, "/s/x/y"),
        ] {
            assert_eq!(upstream(base, prefix, path, strip), wanted, "{base} {prefix} {path} {strip}");
        }
    }
}
