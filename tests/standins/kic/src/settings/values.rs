//! Values as Go's flags read them.
//! In: text. Out: typed values. Never a default.

use std::time::Duration;

use super::flags::Kind;

/// A namespace and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Named {
    /// A namespace and a name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Reads `namespace/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let good = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
        good.then(|| Self::new(namespace, name))
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Says what is wrong with a value, as KIC does.
pub fn judge(kind: Kind, text: &str) -> Result<(), String> {
    let good = match kind {
        Kind::Text => true,
        Kind::Bool => truth(text).is_some(),
        Kind::Int => text.parse::<i64>().is_ok(),
        Kind::Float => text.parse::<f64>().is_ok_and(f64::is_finite),
        Kind::Duration => duration(text).is_some(),
        Kind::Named if text.is_empty() => true,
        Kind::Named => {
            return Named::parse(text)
                .map(drop)
                .ok_or_else(|| "the expected format is namespace/name".to_owned());
        }
        Kind::Controller => {
            let (domain, path) = text.split_once('/').unwrap_or_default();
            return if domain.is_empty() || path.is_empty() {
                Err("the expected format is example.com/controller-name".to_owned())
            } else {
                Ok(())
            };
        }
        Kind::OneOf(words) => words.contains(&text),
    };
    if good { Ok(()) } else { Err("invalid syntax".to_owned()) }
}

/// Go's spellings of a truth value.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A Go duration, such as `1m30s`, `500ms` or `0`.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match rest.get(..unit)? {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = rest.get(unit..)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs_f64(seconds))
}

/// Items of a list, without blanks.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!([duration("5"), duration("5x"), duration("")], [None, None, None]);
    }

    #[test]
    fn names_have_two_parts() {
        assert_eq!(Named::parse("a/b"), Some(Named::new("a", "b")));
        assert_eq!([Named::parse("b"), Named::parse("/b"), Named::parse("a/b/c")], [None, None, None]);
    }

    #[test]
    fn lists_lose_their_blanks() {
        assert_eq!(list(" a, b ,,"), ["a", "b"]);
        assert!(list("").is_empty());
    }
}
