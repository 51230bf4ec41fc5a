//! Cuts what comes in pieces into lines.
//!
//! In: pieces of a text, cut anywhere. Out: its lines, one by one. Never: the whole text, or a line that has no end; of a
//! text of any length, no more than one line is held.

/// The longest line, in bytes. Longer ones are passed over: labels of Kong's figures are names of Kubernetes objects, of
/// which none is longer than 253 bytes.
const LONGEST: usize = 16 << 10;

/// Lines of a text that comes in pieces.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// Whether the line that is coming is too long.
    skips: bool,
}

impl Lines {
    /// Takes a piece, and tells `each` of every line that it ends.
    pub fn take(&mut self, piece: &[u8], mut each: impl FnMut(&str)) {
        let mut left = piece;
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = left.split_at(end);
            self.hold(line);
            self.end(&mut each);
            left = rest.get(1..).unwrap_or_default();
        }
        self.hold(left);
    }

    /// What is left is a line too.
    pub fn finish(mut self, mut each: impl FnMut(&str)) {
        self.end(&mut each);
    }

    fn hold(&mut self, part: &[u8]) {
        self.skips |= self.begun.len() + part.len() > LONGEST;
        if self.skips {
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(&str)) {
        // What is no text is no line that anybody could read.
        if let Ok(line) = std::str::from_utf8(&self.begun)
            && !line.is_empty()
        {
            each(line);
        }
        self.begun.clear();
        self.skips = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_are_the_same_wherever_the_text_is_cut() {
        let text = "a 1\n\nb{c=\"\u{e4}\"} 2\nlast".as_bytes();
        for size in 1..=text.len() {
            assert_eq!(of(text.chunks(size)), ["a 1", "b{c=\"\u{e4}\"} 2", "last"], "{size}");
        }
    }

    #[test]
    fn endless_lines_and_those_of_no_text_cost_only_themselves() {
        let long = vec![b'x'; LONGEST + 1];
        for size in [1000, LONGEST, LONGEST + 7] {
            let text = [b"a\n", long.as_slice(), b"\nb\n\xff\nc\n"].concat();
            assert_eq!(of(text.chunks(size)), ["a", "b", "c"], "{size}");
        }
        let fits = vec![b'x'; LONGEST];
        assert_eq!(of([fits.as_slice()]).len(), 1);
    }
}
