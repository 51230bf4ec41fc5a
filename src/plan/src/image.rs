//! References to images.
//!
//! In: a reference as a manifest has it. Out: its parts, or why it is none, by the grammar that container runtimes share
//! (`github.com/distribution/reference`); and of Kong's own images the version that a tag names. Never: a look at a
//! registry.

/// An image, by its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// The repository without the registry: `library/kong`, `kong/kong-gateway`.
    pub path: &'a str,
    /// The tag.
    pub tag: Option<&'a str>,
    /// The digest, with its algorithm.
    pub digest: Option<&'a str>,
}

/// Images of one of Kong's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: &'static str,
    /// The ends of the repositories that Kong publishes it in; behind a mirror, more may stand before them.
    pub repositories: &'static [&'static str],
    /// The oldest version that works.
    pub oldest: [u64; 3],
}

/// Kong Gateway; the same oldest version as with Kong Gateway Operator 1.6.
pub const GATEWAY: Product = Product {
    name: "Kong",
    repositories: &["kong", "library/kong", "kong/kong", "kong-gateway", "kong/kong-gateway"],
    oldest: [3, 0, 0],
};

/// Kong Ingress Controller; the same oldest version as with Kong Gateway Operator 1.6.
pub const CONTROLLER: Product = Product {
    name: "Kong Ingress Controller",
    repositories: &["kubernetes-ingress-controller", "kong/kubernetes-ingress-controller"],
    oldest: [3, 1, 2],
};

/// Longest repository, with its registry.
const LONGEST: usize = 255;
/// Longest tag.
const LONGEST_TAG: usize = 128;

impl<'a> Image<'a> {
    /// Reads a reference.
    ///
    /// # Errors
    /// What of the grammar it breaks.
    pub fn read(text: &'a str) -> Result<Self, &'static str> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is that of the registry's port.
        let name_end = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(name_end..).and_then(|last| last.split_once(':')) {
            Some((last, tag)) => (rest.get(..name_end + last.len()).unwrap_or_default(), Some(tag)),
            None => (rest, None),
        };
        let path = repository(name)?;
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("a tag has up to 128 letters, digits, \"_\", \".\" and \"-\"");
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("a digest is \"sha256:\" and 64 hexadecimal digits");
        }
        Ok(Self { path, tag, digest })
    }

    /// Whether the same reference may mean another image tomorrow, without anybody saying so.
    pub fn floats(&self) -> bool {
        self.digest.is_none() && self.tag.is_none_or(|tag| tag == "latest")
    }

    /// Whether it is from one of the repositories of `product`.
    pub fn is_of(&self, product: &Product) -> bool {
        product.repositories.iter().any(|repository| match self.path.strip_suffix(repository) {
            Some("") => true,
            // One word is the name of many a repository of others; two are a mirror's.
            Some(before) => repository.contains('/') && before.ends_with('/'),
            None => false,
        })
    }

    /// Whether its tag names a version of `product` that is too old. Custom images and other tags are nobody's to
    /// judge.
    pub fn is_too_old(&self, product: &Product) -> bool {
        let version = self.tag.filter(|_| self.is_of(product)).and_then(version);
        // A tag of fewer parts floats: `3.1` is the newest of them.
        version.is_some_and(|given| {
            given.iter().zip(&product.oldest).find(|(a, b)| a != b).is_some_and(|(a, b)| a < b)
        })
    }
}

/// The path of a repository, without the registry.
fn repository(name: &str) -> Result<&str, &'static str> {
    if name.is_empty() {
        return Err("the repository is missing");
    }
    if name.len() > LONGEST {
        return Err("a repository has up to 255 characters");
    }
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => {
            if !is_registry(host) {
                return Err("the registry is a host name or address, and perhaps a port");
            }
            path
        }
        _ => name,
    };
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("a repository is written in lower case");
    }
    if !path.split('/').all(is_component) {
        return Err(
            "a repository has lower case letters and digits, with \".\", \"_\" or \"-\" between them",
        );
    }
    if !name.contains('/') && name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are an image's ID: give its repository");
    }
    Ok(path)
}

/// What is before the first slash is a registry only where it looks like one.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.chars().any(|c| c.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_part = |part: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    let named = match six {
        Some(address) => !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':'),
        None => host.split('.').all(is_part),
    };
    named && port.is_none_or(|port| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()))
}

/// Letters and digits, and between them one dot, one or two underscores, or dashes.
fn is_component(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = text.starts_with(is_inner) && text.ends_with(is_inner);
    let mut gaps = text.split(is_inner);
    ends && gaps.all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.chars().all(|c| c == '-'))
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= LONGEST_TAG
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else { return false };
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let long_enough = match algorithm {
        "sha256" => digits.len() == 64,
        "sha384" => digits.len() == 96,
        "sha512" => digits.len() == 128,
        _ => return false,
    };
    long_enough && digits.chars().all(hexadecimal)
}

/// The numbers of a tag that is a version: one to four of them, and perhaps a flavour (`3.9.1-ubuntu`).
pub(crate) fn version(tag: &str) -> Option<Vec<u64>> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let numbers = tag.split('-').next()?;
    let numbers: Vec<u64> = numbers.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() <= 4).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:76c14b93e989f7f4418039f7f9789ca32564016211c86ac1a18022f4788e7b9c";

    #[test]
    fn references_are_read_by_the_grammar() {
        for (text, path, tag) in [
            ("kong", "kong", None),
            ("kong:3.9", "kong", Some("3.9")),
            ("docker.io/library/kong:3.9.1-ubuntu", "library/kong", Some("3.9.1-ubuntu")),
            ("registry.example.com:5000/team/kong:3.9", "team/kong", Some("3.9")),
            ("registry.example.com:5000/kong", "kong", None),
            ("localhost/kong:x", "kong", Some("x")),
            ("[2001:db8::1]:5000/a/b:1", "a/b", Some("1")),
            ("team/my__kong-image.v2:1_0", "team/my__kong-image.v2", Some("1_0")),
        ] {
            assert_eq!(Image::read(text), Ok(Image { path, tag, digest: None }), "{text}");
            let pinned = format!("{text}@{DIGEST}");
            assert_eq!(Image::read(&pinned), Ok(Image { path, tag, digest: Some(DIGEST) }), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told_why() {
        for (text, why) in [
            ("", "missing"),
            (":3.9", "missing"),
            ("Kong:3.9", "lower case"),
            ("docker.io/Kong:3.9", "lower case"),
            ("kong:", "a tag"),
            ("kong:3.9 ", "a tag"),
            (" kong:3.9", "between"),
            ("kong:a/b:c:d", "registry"),
            ("a/b:c:d", "a tag"),
            ("kong@sha256:abc", "a digest"),
            ("kong@md5:76c14b93e989f7f4418039f7f9789ca3", "a digest"),
            ("kong--:1", "between"),
            ("a//b", "between"),
            ("https://kong", "registry"),
            ("a..b.example.com/kong", "registry"),
            ("76c14b93e989f7f4418039f7f9789ca32564016211c86ac1a18022f4788e7b9c", "image's ID"),
        ] {
            let error = Image::read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Image::read(&format!("kong:{}", "x".repeat(129))).is_err());
        assert!(Image::read(&"x".repeat(256)).is_err());
    }

    #[test]
    fn kongs_own_images_have_an_oldest_version() {
        for (text, old) in [
            ("kong:2.8", true),
            ("kong:2", true),
            ("docker.io/library/kong:2.8.5-alpine", true),
            ("kong/kong-gateway:2.8.4.13", true),
            ("mirror.example.com:5000/hub/kong/kong-gateway:v2.8.4.13", true),
            ("mirror.example.com/kong:2.8", true),
            ("kong:3", false),
            ("kong:3.0.0", false),
            ("kong:3.9.1-ubuntu", false),
            ("kong/kong-gateway:3.4.3.5-20240101", false),
            ("kong:latest", false),
            ("kong:nightly-ubuntu", false),
            ("kong", false),
            ("team/kong:1.0", false),
            ("team/kong-with-plugins:0.1.0", false),
            ("kong:2024.01.01.1.2", false),
        ] {
            assert_eq!(Image::read(text).unwrap().is_too_old(&GATEWAY), old, "{text}");
        }
        for (tag, old) in [
            ("3.1.1", true),
            ("3.0", true),
            ("2.12.5", true),
            ("3.1", false),
            ("3.1.2", false),
            ("3.4.8", false),
        ] {
            let text = format!("kong/kubernetes-ingress-controller:{tag}");
            assert_eq!(Image::read(&text).unwrap().is_too_old(&CONTROLLER), old, "{text}");
        }
    }

    #[test]
    fn without_a_tag_nobody_knows_what_runs_tomorrow() {
        let floats = |text: &str| Image::read(text).unwrap().floats();
        assert!(floats("kong") && floats("kong:latest"));
        assert!(
            !floats("kong:3.9")
                && !floats(&format!("kong@{DIGEST}"))
                && !floats(&format!("kong:latest@{DIGEST}"))
        );
    }
}
