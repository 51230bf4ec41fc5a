//! The expression language of routes.
//! In: text such as `http.path ^= "/x" && http.method == "GET"`. Out: whether a request fits. Never orders routes.

use std::cell::RefCell;
use std::net::IpAddr;

use regex::Regex;

use super::Asked;
use super::matcher::{contains, network};

/// A parsed expression.
#[derive(Debug)]
pub enum Expression {
    /// `a || b`
    Or(Vec<Expression>),
    /// `a && b`
    And(Vec<Expression>),
    /// `!(a)`
    Not(Box<Expression>),
    /// One comparison.
    Compare(Compare),
}

/// A field, an operator, a literal.
#[derive(Debug)]
pub struct Compare {
    field: String,
    lower: bool,
    operator: Operator,
}

#[derive(Debug)]
enum Operator {
    Equal(String),
    NotEqual(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Matches(Regex),
    Number(&'static str, i64),
    In((IpAddr, u32), bool),
}

impl Expression {
    /// Parses a text.
    ///
    /// # Errors
    /// Says at which token it failed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0 };
        let parsed = parser.or()?;
        match parser.tokens.get(parser.at) {
            None => Ok(parsed),
            Some(rest) => Err(format!("unexpected {rest}")),
        }
    }

    /// The matched part of the path where the request fits.
    pub fn fits(&self, asked: &Asked<'_>) -> Option<String> {
        let prefix = RefCell::new(String::new());
        self.holds(asked, &prefix).then(|| prefix.into_inner())
    }

    fn holds(&self, asked: &Asked<'_>, prefix: &RefCell<String>) -> bool {
        match self {
            Self::Or(all) => all.iter().any(|one| one.holds(asked, prefix)),
            Self::And(all) => all.iter().all(|one| one.holds(asked, prefix)),
            Self::Not(one) => !one.holds(asked, &RefCell::default()),
            Self::Compare(one) => one.holds(asked, prefix),
        }
    }
}

impl Compare {
    fn holds(&self, asked: &Asked<'_>, prefix: &RefCell<String>) -> bool {
        values(&self.field, asked).iter().any(|value| {
            let value = if self.lower { value.to_lowercase() } else { value.clone() };
            let matched = self.operator.holds(&value);
            if let (Some(part), "http.path") = (&matched, self.field.as_str()) {
                prefix.replace(part.clone());
            }
            matched.is_some()
        })
    }
}

impl Operator {
    /// The matched part of the value.
    fn holds(&self, value: &str) -> Option<String> {
        let whole = |fits: bool| fits.then(|| value.to_owned());
        match self {
            Self::Equal(wanted) => whole(value == wanted),
            Self::NotEqual(wanted) => whole(value != wanted),
            Self::Prefix(wanted) => value.starts_with(wanted).then(|| wanted.clone()),
            Self::Suffix(wanted) => whole(value.ends_with(wanted)),
            Self::Contains(wanted) => whole(value.contains(wanted)),
            Self::Matches(regex) => regex.find(value).map(|found| found.as_str().to_owned()),
            Self::Number(sign, wanted) => whole(value.parse::<i64>().is_ok_and(|given| match *sign {
                ">=" => given >= *wanted,
                ">" => given > *wanted,
                "<=" => given <= *wanted,
                "<" => given < *wanted,
                _ => given == *wanted,
            })),
            Self::In((net, bits), wanted) => whole(
                value.parse().is_ok_and(|ip: IpAddr| contains(*net, *bits, ip.to_canonical()) == *wanted),
            ),
        }
    }
}

/// The values of a field in a request.
fn values(field: &str, asked: &Asked<'_>) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    match field {
        "http.method" => one(asked.method),
        "http.host" => one(asked.host),
        "http.path" => one(asked.path),
        "net.protocol" => one(if asked.https { "https" } else { "http" }),
        "tls.sni" => asked.sni.map(one).unwrap_or_default(),
        "net.src.ip" => one(&asked.source.ip().to_string()),
        "net.src.port" => one(&asked.source.port().to_string()),
        "net.dst.ip" => one(&asked.destination.ip().to_string()),
        "net.dst.port" | "net.port" => one(&asked.destination.port().to_string()),
        "http.path.segments.len" => one(&segments(asked.path).len().to_string()),
        _ => dynamic(field, asked),
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn dynamic(field: &str, asked: &Asked<'_>) -> Vec<String> {
    if let Some(name) = field.strip_prefix("http.headers.") {
        let given = asked.headers.iter().filter(|(header, _)| header.as_str().replace('-', "_") == name);
        return given.filter_map(|(_, value)| value.to_str().ok().map(str::to_owned)).collect();
    }
    if let Some(name) = field.strip_prefix("http.queries.") {
        let pairs = asked.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        return pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect();
    }
    let range = field.strip_prefix("http.path.segments.").unwrap_or_default();
    let (first, last) = range.split_once('_').unwrap_or((range, range));
    let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return Vec::new();
    };
    segments(asked.path).get(first..=last).map(|found| vec![found.join("/")]).unwrap_or_default()
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("unexpected end")?;
        self.at += 1;
        Ok(token)
    }

    fn accept(&mut self, wanted: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|token| token == wanted);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.and()?];
        while self.accept("||") {
            all.push(self.and()?);
        }
        Ok(Expression::Or(all))
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.unary()?];
        while self.accept("&&") {
            all.push(self.unary()?);
        }
        Ok(Expression::And(all))
    }

    fn unary(&mut self) -> Result<Expression, String> {
        if self.accept("!") {
            return Ok(Expression::Not(Box::new(self.unary()?)));
        }
        if self.accept("(") {
            let inner = self.or()?;
            return if self.accept(")") { Ok(inner) } else { Err("expected )".to_owned()) };
        }
        self.compare().map(Expression::Compare)
    }

    fn compare(&mut self) -> Result<Compare, String> {
        let mut field = self.next()?;
        let (mut lower, mut open) = (false, 0);
        while field == "lower" || field == "any" {
            lower |= field == "lower";
            if !self.accept("(") {
                return Err("expected (".to_owned());
            }
            open += 1;
            field = self.next()?;
        }
        for _ in 0..open {
            if !self.accept(")") {
                return Err("expected )".to_owned());
            }
        }
        let operator = self.operator()?;
        Ok(Compare { field, lower, operator })
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let sign = self.next()?;
        let sign = if sign == "not" { format!("not {}", self.next()?) } else { sign };
        let token = self.next()?;
        let text = token.strip_prefix('"').unwrap_or(&token).to_owned();
        let number = || text.parse::<i64>().map_err(|_| format!("expected a number, got {text}"));
        let net = || network(&text).ok_or_else(|| format!("expected a network, got {text}"));
        Ok(match sign.as_str() {
            "==" => Operator::Equal(text),
            "!=" => Operator::NotEqual(text),
            "^=" => Operator::Prefix(text),
            "=^" => Operator::Suffix(text),
            "contains" => Operator::Contains(text),
            "~" => Operator::Matches(Regex::new(&text).map_err(|error| error.to_string())?),
            ">=" => Operator::Number(">=", number()?),
            ">" => Operator::Number(">", number()?),
            "<=" => Operator::Number("<=", number()?),
            "<" => Operator::Number("<", number()?),
            "in" => Operator::In(net()?, true),
            "not in" => Operator::In(net()?, false),
            other => return Err(format!("unknown operator {other}")),
        })
    }
}

/// Words, signs and literals; a string literal keeps a leading quote, so that it is no word.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    const SIGNS: [&str; 14] = ["||", "&&", "==", "!=", "^=", "=^", ">=", "<=", ">", "<", "~", "!", "(", ")"];
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, after) = if let Some(raw) = rest.strip_prefix("r#\"") {
            let (body, after) = raw.split_once("\"#").ok_or("unterminated string")?;
            (format!("\"{body}"), after)
        } else if let Some(quoted) = rest.strip_prefix('"') {
            quote(quoted)?
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            ((*sign).to_owned(), rest.get(sign.len()..).unwrap_or_default())
        } else {
            let end = rest.find(|letter: char| !(letter.is_alphanumeric() || "._-:/*".contains(letter)));
            let (word, after) = end.and_then(|end| rest.split_at_checked(end)).unwrap_or((rest, ""));
            if word.is_empty() {
                return Err(format!("unexpected {rest}"));
            }
            (word.to_owned(), after)
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn quote(text: &str) -> Result<(String, &str), String> {
    let mut out = "\"".to_owned();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((out, text.get(at + 1..).unwrap_or_default())),
            '\\' => match letters.next().map(|(_, escaped)| escaped) {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(escaped) => out.push(escaped),
                None => break,
            },
            _ => out.push(letter),
        }
    }
    Err("unterminated string".to_owned())
}
