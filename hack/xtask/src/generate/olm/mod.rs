//! `manifests/olm`: the operator for Operator Lifecycle Manager, as a bundle and as a catalogue that offers it.
//!
//! In: the definitions, the rights, the routes of the webhooks and the Deployment of `manifests/base`. Out: a bundle of
//! the form `registry+v1` and a file-based catalogue. Never: anything that OLM makes itself: namespace, account,
//! bindings, the webhooks' Service, configurations and certificates.
#![expect(
    clippy::indexing_slicing,
    reason = "objects made here have the members, and null stands for one they lack"
)]

mod describe;
mod examples;
mod version;

use serde_json::{Value, json};

use super::{File, access, install, yaml};

/// Name of the package in a catalogue.
pub const PACKAGE: &str = "silverback";
/// The channel, and the one that is followed by default. The first part of its name is one of the three that catalogues
/// know: there is no release yet that is more than a candidate.
pub const CHANNEL: &str = "candidate-v0";
/// Where the bundle is, below the root.
pub const BUNDLE: &str = "manifests/olm/bundle";
/// Where the source is, and whom to write to: whoever publishes a release changes both, as the images. Names below
/// `.example` are nobody's (RFC 2606).
const REPOSITORY: &str = "https://silverback.example/source";
const CONTACT: &str = "maintainers@silverback.example";
/// Image of the bundle, which the catalogue names.
const BUNDLE_IMAGE: &str = concat!("localhost/silverback/silverback-bundle:", env!("CARGO_PKG_VERSION"));
/// Runs the checks of a bundle in a cluster.
const SCORECARD: &str = "quay.io/operator-framework/scorecard-test:v1.42.3";
/// The checks of the scorecard that look at a bundle alone, with the suite of each.
const CHECKS: [(&str, &str); 6] = [
    ("basic", "basic-check-spec"),
    ("olm", "olm-bundle-validation"),
    ("olm", "olm-crds-have-validation"),
    ("olm", "olm-crds-have-resources"),
    ("olm", "olm-spec-descriptors"),
    ("olm", "olm-status-descriptors"),
];

/// All files of the folder.
pub fn files() -> anyhow::Result<Vec<File>> {
    let mut files = vec![
        bundled("manifests/silverback.clusterserviceversion", &version::object()?)?,
        bundled("manifests/silverback-metrics-reader.clusterrole", &access::reader())?,
        bundled("manifests/silverback-metrics.service", &unplaced(install::metrics()))?,
        bundled("manifests/silverback.poddisruptionbudget", &unplaced(install::budget()))?,
        bundled("metadata/annotations", &json!({ "annotations": labels() }))?,
        bundled("tests/scorecard/config", &scorecard())?,
        File::new("manifests/olm/bundle.Dockerfile", dockerfile()),
        File::new("manifests/olm/catalog/silverback/catalog.yaml", yaml::documents("", &catalogue()?)?),
    ];
    for definition in crds::definitions() {
        let name = format!("manifests/{}.crd", definition.spec.names.plural);
        files.push(bundled(&name, &yaml::value(&definition)?)?);
    }
    Ok(files)
}

fn bundled(name: &str, object: &Value) -> anyhow::Result<File> {
    Ok(File::new(format!("{BUNDLE}/{name}.yaml"), yaml::documents("", std::slice::from_ref(object))?))
}

/// An object of the namespace that OLM installs into.
fn unplaced(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("namespace");
    }
    object
}

/// What tells OLM where in the image of the bundle everything is.
fn labels() -> Value {
    json!({
        "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
        "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
        "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
        "operators.operatorframework.io.bundle.package.v1": PACKAGE,
        "operators.operatorframework.io.bundle.channels.v1": CHANNEL,
        "operators.operatorframework.io.bundle.channel.default.v1": CHANNEL,
        "operators.operatorframework.io.test.mediatype.v1": "scorecard+v1",
        "operators.operatorframework.io.test.config.v1": "tests/scorecard/",
    })
}

fn dockerfile() -> String {
    let labels = labels();
    let labels = labels.as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| format!("LABEL {key}={}", value.as_str().unwrap_or_default()));
    let copies =
        ["manifests", "metadata", "tests/scorecard"].map(|folder| format!("COPY bundle/{folder} /{folder}/"));
    let lines: Vec<_> = ["FROM scratch".to_owned()].into_iter().chain(labels).chain(copies).collect();
    format!("{}{}\n", yaml::NOTICE, lines.join("\n"))
}

fn scorecard() -> Value {
    let tests = CHECKS.map(|(suite, test)| {
        json!({
            "image": SCORECARD, "entrypoint": ["scorecard-test", test],
            "labels": { "suite": suite, "test": format!("{test}-test") },
        })
    });
    json!({
        "apiVersion": "scorecard.operatorframework.io/v1alpha3", "kind": "Configuration",
        "metadata": { "name": "config" },
        "stages": [{ "parallel": true, "tests": tests }],
    })
}

/// The package, its channel, and the one bundle that is in it.
fn catalogue() -> anyhow::Result<[Value; 3]> {
    let version = version::object()?;
    let provided = crds::definitions().into_iter().flat_map(|definition| {
        let names = definition.spec.names;
        let group = definition.spec.group;
        definition.spec.versions.into_iter().map(move |version| {
            json!({ "type": "olm.gvk", "value": { "group": group, "kind": names.kind, "version": version.name } })
        })
    });
    let package = json!({
        "type": "olm.package",
        "value": { "packageName": PACKAGE, "version": env!("CARGO_PKG_VERSION") },
    });
    let metadata = json!({ "type": "olm.csv.metadata", "value": version::metadata(&version) });
    let properties: Vec<_> = provided.chain([package, metadata]).collect();
    let name = version::name();
    Ok([
        json!({
            "schema": "olm.package", "name": PACKAGE, "defaultChannel": CHANNEL,
            "description": describe::SHORT,
            "icon": { "base64data": version::icon(), "mediatype": version::ICON_TYPE },
        }),
        json!({
            "schema": "olm.channel", "package": PACKAGE, "name": CHANNEL, "entries": [{ "name": name }],
        }),
        json!({
            "schema": "olm.bundle", "package": PACKAGE, "name": name, "image": BUNDLE_IMAGE,
            "properties": properties, "relatedImages": version["spec"]["relatedImages"],
        }),
    ])
}
