//! Releases of KIC and Kong, compared.
//! In: texts such as `3.5.13` or `3.10.0.2`. Out: ordered releases. Never guesses: what is no release is none.

use std::fmt;

/// A release; Kong's fourth part is dropped, as KIC does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32, pub u32);

impl Release {
    /// Reads a release; what follows a `-` is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.trim_start_matches('v').split(['-', '+']).next()?;
        let mut parts = plain.split('.').map(|part| part.parse::<u32>().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?))
    }

    /// Whether it is this release or a later one.
    pub fn since(self, minor: u32, patch: u32) -> bool {
        self >= Self(3, minor, patch)
    }

    /// Whether it has a change that came with these patches of 3.4 and 3.5, the two lines that are maintained.
    pub fn carries(self, of_three_four: u32, of_three_five: u32) -> bool {
        match self {
            Self(3, 4, patch) => patch >= of_three_four,
            Self(3, 5, patch) => patch >= of_three_five,
            other => other > Self(3, 5, 0),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_compared() {
        assert_eq!(Release::parse("3.10.0.2"), Some(Release(3, 10, 0)));
        assert_eq!(Release::parse("v3.5.0-rc.1"), Some(Release(3, 5, 0)));
        assert_eq!(Release::parse("3.5"), Some(Release(3, 5, 0)));
        assert_eq!(Release::parse("edge"), None);
        assert!(Release(3, 10, 0) > Release(3, 9, 3));
    }

    #[test]
    fn a_change_is_carried_by_two_lines() {
        let fixed = |text: &str| Release::parse(text).unwrap().carries(16, 9);
        assert_eq!(
            ["3.4.15", "3.4.16", "3.5.8", "3.5.9", "3.3.1", "3.6.0"].map(fixed),
            [false, true, false, true, false, true]
        );
    }
}
