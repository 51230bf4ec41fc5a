//! For code hosts: SARIF 2.1.0 (OASIS), one run, a result per problem and warning.

use std::fmt::Write;

use serde_json::{Value, json};

use super::super::check::{By, Checked, Checks, Finding, Warning};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// The rule of warnings.
const WARNING: &str = "warning";

/// The whole report.
pub fn report(checks: &Checks, quiet: bool) -> Value {
    let results: Vec<_> = checks.objects.iter().flat_map(|object| results(object, quiet)).collect();
    let driver = driver(env!("CARGO_PKG_REPOSITORY"));
    let run = json!({ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results });
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })
}

/// This program; `home` is its address, where it has one.
fn driver(home: &str) -> Value {
    let mut driver = json!({ "name": "silverback", "version": env!("CARGO_PKG_VERSION"), "rules": rules() });
    if let Some(members) = driver.as_object_mut().filter(|_| !home.is_empty()) {
        members.insert("informationUri".to_owned(), home.into());
    }
    driver
}

fn rules() -> Vec<Value> {
    let rule = |id: &str, words: &str, level: &str| json!({ "id": id, "shortDescription": { "text": words }, "defaultConfiguration": { "level": level } });
    let of = |by: By| match by {
        By::Syntax => "The manifest cannot be read",
        By::Field => "A field that the kind does not have",
        By::Schema => "A value that the schema of the kind does not take",
        By::Rule => "A rule of the custom resource definition is broken",
        By::Webhook => "The operator would refuse the object at admission",
    };
    let problems = By::ALL.into_iter().map(|by| rule(by.as_str(), of(by), "error"));
    problems.chain([rule(WARNING, "Legal, and probably not what is meant", "warning")]).collect()
}

fn results(object: &Checked, quiet: bool) -> Vec<Value> {
    let problem = |finding: &Finding| {
        let Finding { at, path, message, by, .. } = finding;
        let colon = if path.is_empty() { "" } else { ": " };
        let words = format!("{path}{colon}{message}");
        result((by.as_str(), "error", &words), object, (at.line, at.column, path))
    };
    let warning = |warning: &Warning| {
        let Warning { at, message } = warning;
        result((WARNING, "warning", message), object, (at.line, at.column, ""))
    };
    let warnings = object.warnings.iter().filter(|_| !quiet).map(warning);
    object.problems.iter().map(problem).chain(warnings).collect()
}

fn result(said: (&str, &str, &str), object: &Checked, at: (usize, usize, &str)) -> Value {
    let ((id, level, words), (line, column, field)) = (said, at);
    let physical = json!({
        "artifactLocation": { "uri": uri(&object.file) },
        "region": { "startLine": line, "startColumn": column },
    });
    let kind = if object.kind.is_empty() { "document" } else { &object.kind };
    let parts = [&object.namespace, kind, &object.name, field];
    let whole: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let logical = json!({ "fullyQualifiedName": whole.join("/") });
    json!({
        "ruleId": id,
        "level": level,
        "message": { "text": words },
        "locations": [{ "physicalLocation": physical, "logicalLocations": [logical] }],
    })
}

/// A path as a URI reference (RFC 3986): what is not allowed there is spelt in percent.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::{driver, uri};
    use serde_json::json;

    #[test]
    fn an_address_is_told_where_there_is_one() {
        assert_eq!(driver("https://example.com/x")["informationUri"], json!("https://example.com/x"));
        // An empty one is no absolute URI, which the specification asks for.
        assert_eq!(driver("").get("informationUri"), None);
    }

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("./a b/ä.yaml"), "a%20b/%C3%A4.yaml");
        assert_eq!(uri("/x/y-1.yaml"), "/x/y-1.yaml");
    }
}
