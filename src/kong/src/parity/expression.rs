//! What a request must have for a route's expression to fit it.
//!
//! In: an expression of Kong's router. Out: host, path, headers and protocol that fit, one choice of them at a time. Never: a
//! guess; an expression with a part that is not understood, or that says what must not be, gives nothing.
//! (Kong 3.x, flavour `expressions`; Kong Ingress Controller writes comparisons, `&&`, `||` and parentheses.)

use super::sample;

/// The deepest that parentheses may stand in each other.
const DEEPEST: u32 = 32;

/// What fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    /// The host; none where any will do.
    pub host: Option<String>,
    /// The path, not escaped; none where any will do.
    pub path: Option<String>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// `http` or `https`; none where both will do.
    pub protocol: Option<String>,
    /// The name to ask for in TLS; none where any will do.
    pub sni: Option<String>,
}

/// A parsed expression.
#[derive(Debug, PartialEq, Eq)]
pub enum Expression {
    /// One of them has to hold.
    Any(Vec<Expression>),
    /// Each of them has to hold.
    All(Vec<Expression>),
    /// A field, an operator and a text.
    Compare(String, String, String),
}

impl Expression {
    /// Reads an expression; nothing where it says more than is understood here.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = words(text)?.into_iter().peekable();
        let read = any(&mut words, 0)?;
        words.next().is_none().then_some(read)
    }

    /// How many choices there are at the place where there are most.
    pub fn widest(&self) -> usize {
        let deeper = |inner: &[Self]| inner.iter().map(Self::widest).max().unwrap_or(1);
        match self {
            Self::Any(inner) => deeper(inner).max(inner.len()),
            Self::All(inner) => deeper(inner),
            Self::Compare(..) => 1,
        }
    }

    /// What fits, where of several possibilities the one of that number is taken, counted round and round.
    pub fn fit(&self, choice: usize) -> Option<Fit> {
        let mut fit = Fit::default();
        self.write(choice, &mut fit).map(|()| fit)
    }

    fn write(&self, choice: usize, fit: &mut Fit) -> Option<()> {
        match self {
            Self::Any(inner) => inner.iter().cycle().nth(choice % inner.len().max(1))?.write(choice, fit),
            Self::All(inner) => inner.iter().try_for_each(|one| one.write(choice, fit)),
            Self::Compare(field, operator, text) => compare(field, operator, text, fit),
        }
    }
}

fn compare(field: &str, operator: &str, text: &str, fit: &mut Fit) -> Option<()> {
    let value = match operator {
        // What begins so begins with itself.
        "==" | "^=" => text.to_owned(),
        "=^" => format!("parity{text}"),
        "~" => sample::of(text)?,
        _ => return None,
    };
    match field {
        "http.host" => put(&mut fit.host, value),
        "http.path" => put(&mut fit.path, value),
        "net.protocol" if operator == "==" => put(&mut fit.protocol, value),
        "tls.sni" => put(&mut fit.sni, value),
        "http.method" if value == "GET" => Some(()),
        _ => {
            let name = field.strip_prefix("http.headers.")?.replace('_', "-");
            fit.headers.push((name, value));
            Some(())
        }
    }
}

/// Two demands on one field may contradict each other.
fn put(slot: &mut Option<String>, value: String) -> Option<()> {
    let wanted = value.clone();
    (*slot.get_or_insert(value) == wanted).then_some(())
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Sign(String),
    Name(String),
    Text(String),
}

type Words = std::iter::Peekable<std::vec::IntoIter<Word>>;

fn any(words: &mut Words, depth: u32) -> Option<Expression> {
    let mut inner = vec![all(words, depth)?];
    while words.next_if_eq(&Word::Sign("||".to_owned())).is_some() {
        inner.push(all(words, depth)?);
    }
    one_of(inner, Expression::Any)
}

fn all(words: &mut Words, depth: u32) -> Option<Expression> {
    let mut inner = vec![unit(words, depth)?];
    while words.next_if_eq(&Word::Sign("&&".to_owned())).is_some() {
        inner.push(unit(words, depth)?);
    }
    one_of(inner, Expression::All)
}

fn one_of(mut inner: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Option<Expression> {
    if inner.len() > 1 { Some(several(inner)) } else { inner.pop() }
}

fn unit(words: &mut Words, depth: u32) -> Option<Expression> {
    match words.next()? {
        Word::Sign(sign) if sign == "(" && depth < DEEPEST => {
            let inner = any(words, depth + 1)?;
            words.next_if_eq(&Word::Sign(")".to_owned())).map(|_| inner)
        }
        Word::Name(field) => match (words.next()?, words.next()?) {
            (Word::Sign(operator), Word::Text(text)) => Some(Expression::Compare(field, operator, text)),
            _ => None,
        },
        _ => None,
    }
}

/// Cuts an expression into words. `lower(…)` changes what is compared, so it is not understood; nor are numbers, addresses
/// and raw texts.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut found = Vec::new();
    let mut left = text.trim_start();
    while let Some(first) = left.chars().next() {
        let length = match first {
            '"' => {
                let (text, length) = quoted(left)?;
                found.push(Word::Text(text));
                length
            }
            '(' | ')' | '~' => sign(&mut found, left, 1)?,
            '|' | '&' | '=' | '^' | '!' => sign(&mut found, left, 2)?,
            _ => {
                let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._*".contains(letter);
                let length = left.find(|letter| !is_name(letter)).unwrap_or(left.len());
                found.push(Word::Name(left.get(..length).filter(|name| !name.is_empty())?.to_owned()));
                length
            }
        };
        left = left.get(length..)?.trim_start();
    }
    Some(found)
}

fn sign(found: &mut Vec<Word>, left: &str, length: usize) -> Option<usize> {
    found.push(Word::Sign(left.get(..length)?.to_owned()));
    Some(length)
}

/// A text in quotes, and how long it is with them.
fn quoted(left: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut letters = left.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, at + 1)),
            '\\' => match letters.next()?.1 {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                other => text.push(other),
            },
            _ => text.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_fits() {
        let text = r#"(net.protocol == "https") && (http.host == "a.b" || http.host =^ ".c") &&
            (http.path ~ "^/x\"\\.y$" || http.path ^= "/x/" || http.path == "/z") && (http.method == "GET") &&
            http.headers.x_a == "1" && tls.sni == "a.b""#;
        let read = Expression::read(text).unwrap();
        assert_eq!(read.widest(), 3);
        let seen: Vec<_> = (0..3).map(|choice| read.fit(choice).unwrap()).collect();
        let pairs: Vec<_> =
            seen.iter().map(|fit| (fit.host.as_deref().unwrap(), fit.path.as_deref().unwrap())).collect();
        assert_eq!(pairs, [("a.b", "/x\".y"), ("parity.c", "/x/"), ("a.b", "/z")]);
        let rest = Fit {
            host: None,
            path: None,
            headers: vec![("x-a".to_owned(), "1".to_owned())],
            protocol: Some("https".to_owned()),
            sni: Some("a.b".to_owned()),
        };
        assert_eq!(Fit { host: None, path: None, ..seen[2].clone() }, rest);
    }

    #[test]
    fn what_is_not_understood_gives_nothing() {
        let deep = "(".repeat(9000) + "http.path == \"/\"" + &")".repeat(9000);
        for text in [
            "",
            "http.path",
            "http.path == ",
            "http.path == \"/",
            "(http.path == \"/\"",
            "http.path == \"/\" http.host == \"a\"",
            "!(http.path == \"/\")",
            "lower(http.path) == \"/\"",
            "net.src.ip in 10.0.0.0/8",
            "net.dst.port == 443",
            "http.path == r#\"/\"#",
            deep.as_str(),
        ] {
            assert_eq!(Expression::read(text), None, "{}", text.get(..30).unwrap_or(text));
        }
        for text in [
            "http.path != \"/\"",
            "http.method == \"POST\"",
            "http.queries.q == \"1\"",
            "http.path == \"/a\" && http.path == \"/b\"",
            "http.path ~ \"(?=no)\"",
            "net.src.ip == \"10.0.0.1\"",
        ] {
            assert_eq!(Expression::read(text).unwrap().fit(0), None, "{text}");
        }
    }
}
