//! Kubernetes' kinds of names (`k8s.io/apimachinery/pkg/util/validation`).
//!
//! In: text. Out: whether it is such a name, and in words what such a name is.

/// What a DNS label is.
pub const LABEL: &str = "use up to 63 lower case letters, digits and \"-\", the first and the last no \"-\"";
/// What a DNS subdomain is.
pub const SUBDOMAIN: &str =
    "use up to 253 lower case letters, digits, \"-\" and \".\", each part with a letter or digit at its ends";
/// What a port's name is.
pub const PORT: &str = "use up to 15 lower case letters, digits and single \"-\", at least one letter, the first and the last no \"-\"";
/// What a label's value is.
pub const LABEL_VALUE: &str =
    "use up to 63 letters, digits, \"-\", \"_\" and \".\", the first and the last a letter or digit";
/// What a label's or an annotation's key is.
pub const QUALIFIED: &str =
    "write it as name or domain/name, the name of up to 63 letters, digits, \"-\", \"_\" and \".\"";

/// Whether it is a DNS label (RFC 1123): the name of a container, a volume, a namespace.
pub fn is_label(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_inner = |c: char| is_end(c) || c == '-';
    text.len() <= 63 && text.starts_with(is_end) && text.ends_with(is_end) && text.chars().all(is_inner)
}

/// Whether it is a DNS subdomain (RFC 1123): the name of most objects.
pub fn is_subdomain(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_end) && part.ends_with(is_end) && part.chars().all(|c| is_end(c) || c == '-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

/// Whether it is the name of a port.
pub fn is_port(text: &str) -> bool {
    is_label(text)
        && text.len() <= 15
        && text.contains(|c: char| c.is_ascii_lowercase())
        && !text.contains("--")
}

/// Whether it is the value of a label.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_word(text)
}

/// Whether it is the key of a label or an annotation.
pub fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(&domain.to_ascii_lowercase()) && is_word(name),
        None => is_word(text),
    }
}

/// Whether it is the name of a variable: printable, and without an equals sign.
pub fn is_variable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c) && c != '=')
}

fn is_word(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_end(c) || "-_.".contains(c);
    text.len() <= 63 && text.starts_with(is_end) && text.ends_with(is_end) && text.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        let long = "x".repeat(64);
        for (is, good, bad) in [
            (
                is_label as fn(&str) -> bool,
                ["a", "a-1", "0"].as_slice(),
                ["", "A", "-a", "a-", "a.b", &long].as_slice(),
            ),
            (is_subdomain, &["a", "a.b-c", &long], &["", "a..b", ".a", "a.-b", "A"]),
            (
                is_port,
                &["http", "h2-c", "x1"],
                &["", "80", "a--b", "sixteen-letters-", "aaaaaaaaaaaaaaaa", "A"],
            ),
            (is_label_value, &["", "a", "A_b.c"], &["-a", "a/b", "a b", &long]),
            (is_qualified, &["app", "a.b/c_D", "Kong"], &["", "/a", "a/", "a/b/c", "a b", "-a"]),
            (is_variable, &["A", "a.b", "A-B"], &["", "A=B", "Ä", "A\n"]),
        ] {
            for text in good {
                assert!(is(text), "{text:?}");
            }
            for text in bad {
                assert!(!is(text), "{text:?}");
            }
        }
    }
}
