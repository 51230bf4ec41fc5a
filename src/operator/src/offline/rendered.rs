//! `silverback render` from its command line to its output.

use std::path::Path;

use kube::Client;
use runtime::metrics::Metrics;
use serde_json::Value;
use webhooks::Kind;

use super::change::Change;
use super::check::{self, Checks, Premises};
use super::cluster::{Affected, Compared, Group};
use super::definitions::Definitions;
use super::manifest::{Item, Manifest};
use super::options::Render;
use super::render::{Around, Made, Scene};
use super::{Failed, Outcome, cluster, items, print, render, report, tell};

/// Name of this program towards the API server.
const USER_AGENT: &str = concat!("silverback/", env!("CARGO_PKG_VERSION"));

/// What is at the head of the objects.
const NOTICE: &str = concat!(
    "# What silverback ",
    env!("CARGO_PKG_VERSION"),
    " makes of these manifests. What stands in <angle brackets> only the cluster knows.\n"
);

/// All of it.
///
/// # Errors
/// What keeps it from looking; with `--diff`, also a manifest that is invalid.
pub fn run(options: &Render) -> Result<Outcome, Failed> {
    let (items, premises) = (items(&options.manifests)?, options.manifests.premises());
    let checks = check::all(&items, &premises);
    let refused: Vec<_> =
        checks.objects.iter().map(report::problems).filter(|text| !text.is_empty()).collect();
    for text in &refused {
        tell(text.trim_end());
    }
    if options.diff {
        if !refused.is_empty() {
            return Err("nothing is compared while manifests are invalid".into());
        }
        return compared(&items, &premises);
    }
    let (mut text, definitions) = (NOTICE.to_owned(), Definitions::new());
    let scene = Scene { items: &items, premises: &premises, definitions: &definitions, cluster: None };
    for manifest in ours(&items) {
        let around = Around::of(&manifest.folder, &scene);
        text += &objects(manifest, &around, &checks)?;
    }
    print(&text)?;
    Ok(if refused.is_empty() { Outcome::Fine } else { Outcome::Found })
}

fn ours(items: &[Item]) -> impl Iterator<Item = &Manifest> {
    items.iter().filter_map(|item| if let Item::Ours(manifest) = item { Some(manifest) } else { None })
}

/// The objects of one manifest, or why there are none. What is wrong with it has been told already.
fn objects(manifest: &Manifest, around: &Around<'_>, checks: &Checks) -> Result<String, Failed> {
    let title = render::title(manifest);
    let valid = checks.of(&manifest.file, manifest.at()).is_none_or(|checked| checked.problems.is_empty());
    let made = if valid { render::made(around, manifest)? } else { None };
    match made {
        None => Ok(format!("---\n# {title}: is invalid.\n")),
        Some(Made::Nothing(words)) => Ok(format!("---\n# {title}: {words}.\n")),
        Some(Made::Objects(groups)) => {
            let texts = groups.iter().map(|group| Ok(render::documents(manifest, group)?));
            texts.collect()
        }
    }
}

fn compared(items: &[Item], premises: &Premises) -> Result<Outcome, Failed> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = runtime::client::connect(USER_AGENT, &Metrics::new(env!("CARGO_PKG_VERSION"))).await?;
        let (found, definitions) = (cluster::surroundings(&client, items).await?, Definitions::new());
        let scene = Scene { items, premises, definitions: &definitions, cluster: Some(&found) };
        let mut outcome = Outcome::Fine;
        for manifest in ours(items) {
            let title = render::title(manifest);
            if manifest.text("/metadata/name").is_empty() {
                return Err(format!("{title}: without a name nothing can be compared").into());
            }
            let around = Around::of(&manifest.folder, &scene);
            outcome =
                outcome.or(difference(&client, &around, (manifest.kind, &title, &manifest.object)).await?);
        }
        let around = Around::of(Path::new(""), &scene);
        for Affected { kind, object } in cluster::affected(&around, &found) {
            let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let names = (text("/metadata/namespace"), text("/metadata/name"));
            let title = render::named(kind, names, "in the cluster");
            outcome = outcome.or(difference(&client, &around, (kind, &title, &object)).await?);
        }
        Ok(outcome)
    })
}

/// Prints what would change for one object.
async fn difference(
    client: &Client,
    around: &Around<'_>,
    (kind, title, object): (Kind, &str, &Value),
) -> Result<Outcome, Failed> {
    let found = cluster::compared(client, around, kind, object).await;
    let Compared { words, groups } = found.map_err(|error| format!("{title}: {error}"))?;
    if !words.is_empty() {
        print(&format!("# {title}: {words}.\n"))?;
    }
    let mut outcome = Outcome::Fine;
    for Group { of, changes } in groups.iter().filter(|group| words.is_empty() || !group.changes.is_empty()) {
        let differences = changes.iter().map(Change::difference).collect::<Result<Vec<_>, _>>()?;
        let refused: Vec<_> = changes.iter().filter_map(|change| change.refused.clone()).collect();
        if !refused.is_empty() || !differences.iter().all(String::is_empty) {
            outcome = Outcome::Found;
        }
        let pods = changes.iter().filter_map(Change::pods);
        let notes: Vec<_> = refused.into_iter().chain(pods).map(|line| format!("# {line}\n")).collect();
        print(&format!("# {of}{title}\n{}{}", differences.concat(), notes.concat()))?;
    }
    Ok(outcome)
}
