//! `silverback render` from its command line to its output.

use crds::DataPlane;
use kube::Client;
use runtime::metrics::Metrics;
use webhooks::Kind;

use super::change::Change;
use super::check::{self, Checks, Premises};
use super::definitions::Definitions;
use super::manifest::{Item, Manifest};
use super::options::Render;
use super::render::{Around, Made};
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
    for manifest in ours(&items) {
        let around = Around::of(manifest, (&items, &premises, &definitions));
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
        let (mut outcome, definitions) = (Outcome::Fine, Definitions::new());
        let mut passed_over = 0;
        for manifest in ours(items) {
            let around = Around::of(manifest, (items, premises, &definitions));
            match difference(&client, manifest, &around).await? {
                Difference::None => {}
                Difference::Some => outcome = Outcome::Found,
                Difference::Unknown => passed_over += 1,
            }
        }
        // Who asks whether anything would change must not be told no.
        if passed_over > 0 && matches!(outcome, Outcome::Fine) {
            return Err(format!("{passed_over} of the manifests make objects that are not compared").into());
        }
        Ok(outcome)
    })
}

/// What would change for one manifest.
enum Difference {
    None,
    Some,
    Unknown,
}

/// Prints what would change for one manifest.
async fn difference(client: &Client, manifest: &Manifest, around: &Around<'_>) -> Result<Difference, Failed> {
    let title = render::title(manifest);
    if manifest.kind != Kind::DataPlane {
        print(&format!("# {title}: is not compared; only objects of a DataPlane are.\n"))?;
        let makes_objects = matches!(manifest.kind, Kind::ControlPlane | Kind::Gateway);
        return Ok(if makes_objects { Difference::Unknown } else { Difference::None });
    }
    if manifest.text("/metadata/name").is_empty() {
        return Err(format!("{title}: without a name nothing can be compared").into());
    }
    let object: DataPlane = around.object(manifest).ok_or("the manifest cannot be read")?;
    let changes = cluster::changes(client, around.settings(), &object).await?;
    let differences = changes.iter().map(Change::difference).collect::<Result<Vec<_>, _>>()?;
    let refused: Vec<_> = changes.iter().filter_map(|change| change.refused.clone()).collect();
    let same = differences.iter().all(String::is_empty) && refused.is_empty();
    let pods = changes.iter().filter_map(Change::pods);
    let notes: Vec<_> = refused.into_iter().chain(pods).map(|line| format!("# {line}\n")).collect();
    print(&format!("# {title}\n{}{}", differences.concat(), notes.concat()))?;
    Ok(if same { Difference::None } else { Difference::Some })
}
