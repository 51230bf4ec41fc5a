//! The table, three ways with one expectation: through the webhook by `kubectl`, by the definitions alone, and by
//! `silverback validate`.
//!
//! In: the cases. Out: nothing where each says what it should; the words of `kubectl` are snapshots to be read.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crds::names::NAMESPACE;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tests::world::Scenario;

use crate::case::{self, Because, By, Case, Topic};
use crate::kubectl::{self, Said};
use crate::{gateways, live, snapshot};

/// Each `kubectl` takes a tenth of a second of processor time, and other scenarios run beside these.
const AT_A_TIME: usize = 2;
/// Watch stores, by which other objects are known, may lag behind what was just made.
const KNOWN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

pub async fn through_the_webhook(s: Scenario) -> Result<()> {
    gateways::served(&s).await?;
    live::reviewed(&s).await?;
    let topics = case::all()?;
    let mut faults = Vec::new();
    for Topic { name, cases } in topics {
        let asked = cases.into_iter().map(|case| asked(&s, case));
        let heard: Vec<Heard> = stream::iter(asked).buffered(AT_A_TIME).try_collect().await?;
        faults.extend(heard.iter().flat_map(|heard| heard.told(&name)));
        let told = heard.iter().filter(|heard| !heard.said.err.is_empty());
        let told: Vec<_> = told.map(|heard| heard.page(&s.namespace)).collect();
        snapshot::compare(&name, &told.join("\n"), &mut faults);
    }
    snapshot::end(&faults)
}

/// What was said of a case, and how that differs from what was expected.
struct Heard {
    case: Case,
    said: Said,
    faults: Vec<String>,
}

impl Heard {
    fn told(&self, topic: &str) -> Vec<String> {
        self.faults.iter().map(|fault| format!("{topic}, {:?}: {fault}", self.case.name)).collect()
    }

    /// To be read: what kubectl writes to standard error. The API server goes through a schema in no order, so that
    /// bullets come in any.
    fn page(&self, namespace: &str) -> String {
        let kind = self.case.object["kind"].as_str().unwrap_or_default();
        let (mut bullets, lines): (Vec<_>, Vec<_>) =
            self.said.err.lines().partition(|line| line.starts_with("* "));
        bullets.sort_unstable();
        let said = [lines, bullets].concat().join("\n").replace(namespace, "<namespace>");
        format!("# {kind}: {}\n{said}\n", self.case.name)
    }
}

/// Asks until what is said is what was expected, or as long as a watch may take.
async fn asked(s: &Scenario, case: Case) -> Result<Heard> {
    let namespace = place(s, &case).await.with_context(|| case.name.clone())?;
    let verb = if case.old.is_some() { "replace" } else { "create" };
    let arguments = [verb, "--dry-run=server", "--namespace", &namespace, "--filename", "-"];
    let begun = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval(PAUSE);
    loop {
        ticks.tick().await;
        let said = kubectl::run(&s.world.cluster, &arguments, std::slice::from_ref(&case.object)).await?;
        let faults = faults(&case, &said);
        if faults.is_empty() || !case.has_past() || begun.elapsed() > KNOWN {
            return Ok(Heard { case, said, faults });
        }
    }
}

/// The namespace that the case is about, with what stands before it.
async fn place(s: &Scenario, case: &Case) -> Result<String> {
    if let Some(namespace) = case.namespace() {
        given(s, namespace, &case.given).await?;
        return Ok(namespace.to_owned());
    }
    if !case.has_past() {
        return Ok(s.namespace.clone());
    }
    let namespace = case.slug();
    live::namespace(s, &namespace).await?;
    let before: Vec<_> = case.given.iter().chain(&case.old).cloned().collect();
    given(s, &namespace, &before).await?;
    Ok(namespace)
}

async fn given(s: &Scenario, namespace: &str, objects: &[Value]) -> Result<()> {
    for object in objects {
        let own = object.pointer("/metadata/namespace").and_then(Value::as_str);
        let arguments = ["create", "--namespace", own.unwrap_or(namespace), "--filename", "-"];
        kubectl::run(&s.world.cluster, &arguments, std::slice::from_ref(object)).await?.well()?;
    }
    Ok(())
}

/// How what was said differs from what was expected.
fn faults(case: &Case, said: &Said) -> Vec<String> {
    let mut faults = Vec::new();
    if (said.code == Some(0)) != case.is_good() {
        faults.push(format!("exit code {:?}", said.code));
    }
    let heard = case.heard();
    faults.extend(
        heard
            .iter()
            .filter(|because| !is_told(because, said))
            .map(|because| format!("not told: * {}: …{}", because.field, because.says)),
    );
    // The schema says some things twice; what the webhook says is all meant.
    let exact = heard.iter().all(|because| because.by == By::Webhook);
    if exact && said.causes().len() != heard.len() {
        faults.push(format!("{} causes instead of {}", said.causes().len(), heard.len()));
    }
    let warnings = said.warnings();
    let is_missing = |words: &&str| !warnings.iter().any(|warning| warning.contains(*words));
    let missing = case.warns.iter().map(|warns| warns.says.as_str()).filter(is_missing);
    faults.extend(missing.map(|words| format!("no warning of {words:?}")));
    if case.is_good() && warnings.len() != case.warns.len() {
        faults.push(format!("{} warnings instead of {}", warnings.len(), case.warns.len()));
    }
    if !faults.is_empty() {
        faults.push(format!("said: {}", said.err.trim()));
    }
    faults
}

fn is_told(because: &Because, said: &Said) -> bool {
    if because.by == By::Field {
        return said.err.contains(&format!("unknown field \"{}\"", because.field));
    }
    // The API server spells some paths with a dot before them.
    let about = format!("{}: ", because.field);
    said.causes().iter().any(|cause| {
        cause.trim_start_matches('.').strip_prefix(&about).is_some_and(|words| words.contains(&because.says))
    })
}

/// The operator's own namespace is left out of its webhooks: there the definitions speak alone.
pub async fn by_the_definitions_alone(s: Scenario) -> Result<()> {
    let (mut faults, mut left) = (Vec::new(), Vec::new());
    for Topic { name, cases } in case::all()? {
        let cases = cases.into_iter().filter(Case::is_ours).map(|case| alone(&s, case));
        let judged: Vec<(Case, bool)> = stream::iter(cases).buffered(AT_A_TIME).try_collect().await?;
        for (case, refused) in
            judged.iter().filter(|(case, refused)| *refused != case.is_refused_without_webhook())
        {
            let word = if *refused { "refused" } else { "let through" };
            faults.push(format!("{name}, {:?}: {word} by the definitions alone", case.name));
        }
        let through = judged.iter().filter(|(case, refused)| !refused && !case.is_good());
        let through: Vec<_> = through.map(|(case, _)| case.name.as_str()).collect();
        if !through.is_empty() {
            left.push(format!("# {name}\n{}\n", through.join("\n")));
        }
    }
    println!("what only the webhook refuses:\n{}", left.concat());
    snapshot::compare("without-the-webhook", &left.concat(), &mut faults);
    snapshot::end(&faults)
}

async fn alone(s: &Scenario, case: Case) -> Result<(Case, bool)> {
    let text = |field: &str| case.object[field].as_str().unwrap_or_default();
    let plural = format!("{}s", text("kind").to_lowercase());
    let mut object = case.object.clone();
    object["metadata"]["namespace"] = json!(NAMESPACE);
    let path = format!(
        "/apis/{}/namespaces/{NAMESPACE}/{plural}?dryRun=All&fieldValidation=Strict",
        text("apiVersion")
    );
    let request = http::Request::post(path).header("content-type", "application/json");
    let answer = s.world.client.request::<Value>(request.body(serde_json::to_vec(&object)?)?).await;
    match answer {
        Ok(_) => Ok((case, false)),
        Err(kube::Error::Api(status)) if [400, 422].contains(&status.code) => Ok((case, true)),
        Err(error) => bail!("{}: {error}", case.name),
    }
}

pub async fn it_is_large_enough(_: Scenario) -> Result<()> {
    let topics = case::all()?;
    for kind in ["DataPlane", "ControlPlane", "GatewayConfiguration", "WatchNamespaceGrant"] {
        let of: Vec<_> =
            topics.iter().flat_map(|topic| &topic.cases).filter(|case| case.object["kind"] == kind).collect();
        ensure!(of.iter().any(|case| case.is_good()) && of.iter().any(|case| !case.is_good()), "{kind}");
    }
    let (good, bad): (Vec<_>, Vec<_>) =
        topics.iter().flat_map(|topic| &topic.cases).partition(|case| case.is_good());
    println!("{} good manifests, {} bad ones", good.len(), bad.len());
    ensure!(good.len() >= 60 && bad.len() >= 150, "{} good, {} bad", good.len(), bad.len());
    Ok(())
}
