//! Versions of Kong Ingress Controller.
//!
//! In: the image. Out: what that version has. An image that does not tell its version may be any: nothing is set for it
//! that an old one would not survive, and nothing is withheld that a new one needs.

use crate::image::{self, CONTROLLER, Image};

/// A version, as far as the image tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// What the tag says; a part that it leaves open is the newest there is.
    Known([u64; 3]),
    /// A digest, another word, or somebody else's image.
    Unknown,
}

impl Version {
    /// That of an image.
    pub fn of(image: &str) -> Self {
        let image = Image::read(image).ok().filter(|image| image.is_of(&CONTROLLER));
        match image.and_then(|image| image.tag).and_then(image::version) {
            Some(numbers) => {
                let part = |index: usize| numbers.get(index).copied().unwrap_or(u64::MAX);
                Self::Known([part(0), part(1), part(2)])
            }
            None => Self::Unknown,
        }
    }

    /// Whether it surely has what came with version `since`.
    pub fn has(self, since: [u64; 3]) -> bool {
        matches!(self, Self::Known(version) if version >= since)
    }

    /// Whether it may have what came with version `since`.
    pub fn may_have(self, since: [u64; 3]) -> bool {
        self == Self::Unknown || self.has(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_the_version_and_nothing_else_does() {
        let of = |tag: &str| Version::of(&format!("kong/kubernetes-ingress-controller{tag}"));
        assert_eq!(of(":3.4.2"), Version::Known([3, 4, 2]));
        assert_eq!(of(":v3.5"), Version::Known([3, 5, u64::MAX]));
        assert!(of(":3.5").has([3, 5, 9]) && !of(":3.5").has([3, 6, 0]));
        assert!(of(":3.4.2").has([3, 4, 0]) && !of(":3.4.2").may_have([3, 4, 3]));
        for unknown in [":latest", "", ":nightly"] {
            let version = of(unknown);
            assert!(version == Version::Unknown && version.may_have([9, 0, 0]) && !version.has([0, 0, 0]));
        }
        assert_eq!(Version::of("team/controller:3.5.1"), Version::Unknown);
    }
}
