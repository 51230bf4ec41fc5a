//! A text that a regular expression matches.
//!
//! In: an expression as Kong's router takes it. Out: the shortest plain text that fits it, where one is easily found. Never:
//! a guess; what cannot be written down for sure is none.
//! (Kong 3.x compiles the regular expressions of routes with Rust's `regex`; flavours before had those of PCRE.)

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The longest text, in bytes.
const LONGEST: usize = 1024;

/// Letters that are tried where several fit, the plainest first.
const PLAIN: &str = "a0A-_.~/x1";

/// A text that `pattern` matches.
pub fn of(pattern: &str) -> Option<String> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).nest_limit(64).build();
    let mut sample = Sample::default();
    sample.write(&parser.parse(pattern).ok()?)?;
    String::from_utf8(sample.text).ok()
}

#[derive(Default)]
struct Sample {
    text: Vec<u8>,
    /// Whether it has to end here.
    ends: bool,
}

impl Sample {
    fn write(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.push(&literal.0)?,
            HirKind::Class(class) => self.push(&[letter(class)?])?,
            HirKind::Look(Look::Start | Look::StartLF | Look::StartCRLF) if self.text.is_empty() => {}
            HirKind::Look(Look::End | Look::EndLF | Look::EndCRLF) => self.ends = true,
            HirKind::Look(_) => return None,
            HirKind::Repetition(repetition) => {
                // What is repeated may be empty, and so be no bound.
                usize::try_from(repetition.min).ok().filter(|times| *times <= LONGEST)?;
                (0..repetition.min).try_for_each(|_| self.write(&repetition.sub))?;
            }
            HirKind::Capture(capture) => self.write(&capture.sub)?,
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.write(part))?,
            HirKind::Alternation(all) => self.write(all.first()?)?,
        }
        Some(())
    }

    fn push(&mut self, more: &[u8]) -> Option<()> {
        self.text.extend_from_slice(more);
        (!self.ends && self.text.len() <= LONGEST).then_some(())
    }
}

fn letter(class: &Class) -> Option<u8> {
    let fits = |letter: u8| match class {
        Class::Bytes(bytes) => {
            bytes.ranges().iter().any(|range| (range.start()..=range.end()).contains(&letter))
        }
        Class::Unicode(letters) => {
            letters.ranges().iter().any(|range| (range.start()..=range.end()).contains(&char::from(letter)))
        }
    };
    PLAIN.bytes().chain(b'!'..=b'~').find(|letter| fits(*letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plainest_text_that_fits() {
        for (pattern, wanted) in [
            ("/x$", Some("/x")),
            ("^/x$", Some("/x")),
            ("/(.*)", Some("/")),
            ("/api/v[0-9]+/users/(?<id>[^/]+)$", Some("/api/v0/users/a")),
            (r"/a\.b/\d{3}(/.*)?", Some("/a.b/000")),
            ("/(?:one|two)/[A-Z]{2,}", Some("/one/AA")),
            ("(?i)/Case", Some("/CaSE")),
            ("/[^a-zA-Z0-9_.~/-]", Some("/!")),
            (r"/\w+\s", None),
            (r"/x\b", None),
            ("/(?!no)x", None),
            ("/(a)\\1", None),
            ("/a{2000}", None),
            ("/(", None),
            ("/x^/", None),
            ("/x$/y", None),
            ("/(?:a?){4000000000}", None),
        ] {
            assert_eq!(of(pattern).as_deref(), wanted, "{pattern}");
        }
    }
}
