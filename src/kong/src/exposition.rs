//! Reads the text in which Prometheus is told of figures, version 0.0.4.
//!
//! In: the body of an answer. Out: samples, one by one, borrowed from it. What is no sample is passed over: a figure that
//! somebody writes wrongly costs that figure and no other.
//! (prometheus.io, "Exposition formats", text-based format.)

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// The name of the metric.
    pub name: &'a str,
    /// What is between the braces.
    labels: &'a str,
    /// Its value.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label; what was escaped in it is as it was before.
    pub fn label(&self, name: &str) -> Option<String> {
        pairs(self.labels).find(|(own, _)| *own == name).map(|(_, value)| unescaped(value))
    }
}

/// Every sample of `text`, in its order.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(|letter: char| letter == '{' || letter.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => inner.split_at_checked(closing(inner)?)?,
        None => ("", rest),
    };
    let rest = rest.strip_prefix('}').unwrap_or(rest);
    // A time may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Where the labels end: at the first closing brace that is not inside a value.
fn closing(labels: &str) -> Option<usize> {
    let (mut inside, mut escaped) = (false, false);
    for (place, letter) in labels.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '}' if !inside => return Some(place),
            _ => {}
        }
    }
    None
}

/// Names and values, these still escaped.
fn pairs(labels: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut left = labels;
    std::iter::from_fn(move || {
        let (name, rest) = left.split_once("=\"")?;
        let end = quote(rest)?;
        let (value, after) = rest.split_at_checked(end)?;
        left = after.get(1..)?.trim_start_matches([',', ' ']);
        Some((name.trim(), value))
    })
}

/// Where a value ends: at the first quote that is not escaped.
fn quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(place, letter)| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(place)
    })
}

fn unescaped(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            _ => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Sample<'_> {
        let mut all = samples(text);
        let first = all.next().unwrap();
        assert_eq!(all.next(), None, "{text}");
        first
    }

    #[test]
    fn a_sample_has_a_name_labels_and_a_value() {
        let sample = only("pushes{dataplane=\"https://10.0.0.5:8444\",success=\"true\",} 1027 1395066363000");
        assert_eq!((sample.name, sample.value), ("pushes", 1027.0));
        assert_eq!(sample.label("dataplane").as_deref(), Some("https://10.0.0.5:8444"));
        assert_eq!(sample.label("success").as_deref(), Some("true"));
        assert_eq!(sample.label("other"), None);
        let bare = only("  up   1.5e3 ");
        assert_eq!((bare.name, bare.value, bare.label("a")), ("up", 1500.0, None));
    }

    #[test]
    fn braces_commas_and_quotes_may_stand_in_a_value() {
        let sample = only(r#"a{path="C:\\D\"}, {x=\"",next="line\nend"} 3"#);
        assert_eq!(sample.label("path").as_deref(), Some(r#"C:\D"}, {x=""#));
        assert_eq!(sample.label("next").as_deref(), Some("line\nend"));
        assert!((sample.value - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn comments_and_broken_lines_are_passed_over() {
        let text = "# HELP a it says \"b{c}\" 1\n# TYPE a counter\n\na 1\nb{c=\"d\" 2\nc{d=\"e\"} none\nd\ne{f=\"g} 1\nf +Inf\n";
        let found: Vec<_> = samples(text).map(|sample| (sample.name, sample.value)).collect();
        assert_eq!(found, [("a", 1.0), ("f", f64::INFINITY)]);
    }
}
