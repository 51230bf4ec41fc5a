//! How two texts differ, for a person.
//!
//! In: a file as it is and as it should be. Out: the first lines that differ. Never: a full diff;
//! `git diff` after `cargo xtask generate` shows that.

use std::path::Path;

/// Lines shown of one file.
const SHOWN: usize = 12;

/// Nothing when the texts are equal; else the path, how many lines differ, and the first of them:
/// `-` for what is there, `+` for what should be.
pub fn summary(path: &Path, there: &str, wanted: &str) -> Option<String> {
    if there == wanted {
        return None;
    }
    let (old, new): (Vec<_>, Vec<_>) = (there.lines().collect(), wanted.lines().collect());
    let before = common(old.iter(), new.iter());
    let rest = old.len().min(new.len()) - before;
    let after = common(old.iter().rev(), new.iter().rev()).min(rest);
    let gone = old.iter().take(old.len() - after).skip(before).map(|line| format!("-{line}"));
    let come = new.iter().take(new.len() - after).skip(before).map(|line| format!("+{line}"));
    let lines: Vec<_> = gone.chain(come).collect();
    let shown: Vec<_> = lines.iter().take(SHOWN).map(|line| format!("    {line}")).collect();
    let more = lines.len().saturating_sub(SHOWN);
    let tail = if more == 0 { String::new() } else { format!("\n    … and {more} more lines") };
    let number = before + 1;
    Some(format!("{}: differs from line {number}\n{}{tail}", path.display(), shown.join("\n")))
}

fn common<'a>(one: impl Iterator<Item = &'a &'a str>, two: impl Iterator<Item = &'a &'a str>) -> usize {
    one.zip(two).take_while(|(one, two)| one == two).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(there: &str, wanted: &str) -> Option<String> {
        summary(Path::new("f"), there, wanted)
    }

    #[test]
    fn equal_texts_say_nothing() {
        assert_eq!(differs("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(differs("a\nb\nc\n", "a\nx\nc\n").unwrap(), "f: differs from line 2\n    -b\n    +x");
        assert_eq!(differs("", "a\n").unwrap(), "f: differs from line 1\n    +a");
        assert_eq!(differs("a\na\n", "a\n").unwrap(), "f: differs from line 2\n    -a");
        let long = "a\n".repeat(20);
        assert!(differs("", &long).unwrap().ends_with("… and 8 more lines"));
    }
}
