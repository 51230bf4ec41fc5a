//! What the `ClusterServiceVersion` says of itself to people and catalogues.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{is_semver, is_subdomain, items, text};

const CAPABILITIES: [&str; 5] =
    ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"];
const CATEGORIES: [&str; 16] = [
    "AI/Machine Learning",
    "Application Runtime",
    "Big Data",
    "Cloud Provider",
    "Developer Tools",
    "Database",
    "Integration & Delivery",
    "Logging & Tracing",
    "Monitoring",
    "Modernization & Migration",
    "Networking",
    "OpenShift Optional",
    "Security",
    "Storage",
    "Streaming & Messaging",
    "Observability",
];
const PICTURES: [&str; 4] = ["image/gif", "image/jpeg", "image/png", "image/svg+xml"];
/// Annotations that have to be there and say something.
const ANNOTATIONS: [&str; 7] =
    ["categories", "capabilities", "containerImage", "createdAt", "description", "repository", "support"];

/// Every rule that does not hold.
pub fn wrong(version: &Value) -> Vec<String> {
    let said =
        [named(version), annotated(version), shown(&version["spec"]), people(&version["spec"])].concat();
    said.into_iter().map(|line| format!("ClusterServiceVersion: {line}")).collect()
}

fn named(version: &Value) -> Vec<String> {
    let name = text(&version["metadata"]["name"]);
    let number = text(&version["spec"]["version"]);
    let wanted = format!("silverback.v{number}");
    let kubernetes = text(&version["spec"]["minKubeVersion"]);
    let rules = [
        (version["apiVersion"] == "operators.coreos.com/v1alpha1", "apiVersion is not v1alpha1".to_owned()),
        (
            is_subdomain(name) && name.len() <= 63,
            format!("metadata.name {name:?} cannot be the value of a label"),
        ),
        (name == wanted, format!("metadata.name is {name:?}, not {wanted:?}")),
        (is_semver(number), format!("spec.version {number:?} is no semantic version")),
        (is_semver(kubernetes), format!("spec.minKubeVersion {kubernetes:?} is no semantic version")),
    ];
    broken(rules)
}

fn annotated(version: &Value) -> Vec<String> {
    let annotations = &version["metadata"]["annotations"];
    let mut wrong = Vec::new();
    for name in ANNOTATIONS.iter().filter(|name| text(&annotations[**name]).is_empty()) {
        wrong.push(format!("annotation {name} is not there"));
    }
    let capabilities = text(&annotations["capabilities"]);
    if !CAPABILITIES.contains(&capabilities) {
        wrong.push(format!(
            "annotation capabilities: {capabilities:?} is none of {}",
            CAPABILITIES.join(", ")
        ));
    }
    for category in
        text(&annotations["categories"]).split(',').filter(|one| !CATEGORIES.contains(&one.trim()))
    {
        wrong.push(format!("annotation categories: {category:?} is none of {}", CATEGORIES.join(", ")));
    }
    if !is_time(text(&annotations["createdAt"])) {
        wrong.push("annotation createdAt is no time as in 2026-01-31T00:00:00Z".to_owned());
    }
    for key in annotations.as_object().into_iter().flatten().map(|(key, _)| key) {
        let meant = ["alm-examples", "containerImage", "createdAt"].into_iter().chain(ANNOTATIONS);
        if meant.into_iter().any(|known| known != key && known.eq_ignore_ascii_case(key)) {
            wrong.push(format!("annotation {key}: its letter case is not the one that is known"));
        }
    }
    wrong
}

/// `2026-01-31T00:00:00Z`, by its digits and signs.
fn is_time(text: &str) -> bool {
    let sample = "0000-00-00T00:00:00Z";
    let same =
        |(found, wanted): (char, char)| if wanted == '0' { found.is_ascii_digit() } else { found == wanted };
    text.len() == sample.len() && text.chars().zip(sample.chars()).all(same)
}

fn shown(spec: &Value) -> Vec<String> {
    let name = text(&spec["displayName"]).chars().count();
    let modes: Vec<_> = items(&spec["installModes"]).collect();
    let supported = modes.iter().filter(|mode| mode["supported"] == true);
    let everywhere = supported.clone().any(|mode| mode["type"] == "AllNamespaces");
    let icons: Vec<_> = items(&spec["icon"]).collect();
    let good = |icon: &&Value| {
        let bytes = BASE64_STANDARD.decode(text(&icon["base64data"])).unwrap_or_default();
        !bytes.is_empty() && PICTURES.contains(&text(&icon["mediatype"]))
    };
    broken([
        ((3..=50).contains(&name), format!("spec.displayName has {name} letters, not 3 to 50")),
        (text(&spec["description"]).len() >= 20, "spec.description is shorter than 20 letters".to_owned()),
        (modes.len() == 4, "spec.installModes names not all four modes".to_owned()),
        (supported.count() > 0, "spec.installModes supports none".to_owned()),
        (everywhere, "spec.installModes: OLM 1 installs for AllNamespaces only".to_owned()),
        (icons.len() == 1 && icons.iter().all(good), "spec.icon has to be one picture in base64".to_owned()),
    ])
}

fn people(spec: &Value) -> Vec<String> {
    let maintainers: Vec<_> = items(&spec["maintainers"]).collect();
    let links: Vec<_> = items(&spec["links"]).collect();
    let mail = |one: &&Value| {
        let at = text(&one["email"]).split_once('@');
        !text(&one["name"]).is_empty() && at.is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
    };
    let address = |one: &&Value| {
        let parsed = text(&one["url"]).parse::<http::Uri>();
        !text(&one["name"]).is_empty()
            && parsed.is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some())
    };
    broken([
        (
            text(&spec["provider"]["name"]).len() >= 3,
            "spec.provider.name is shorter than 3 letters".to_owned(),
        ),
        (
            !maintainers.is_empty() && maintainers.iter().all(mail),
            "spec.maintainers: at least one, each with a name and an address of mail".to_owned(),
        ),
        (
            !links.is_empty() && links.iter().all(address),
            "spec.links: at least one, each with a name and a URL".to_owned(),
        ),
    ])
}

/// The texts of those that do not hold.
pub fn broken<const N: usize>(rules: [(bool, String); N]) -> Vec<String> {
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, text)| text).collect()
}
