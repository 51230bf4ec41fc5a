//! `silverback rollout`: rollouts as people follow and steer them; installed as `kubectl-silverback`, `kubectl silverback rollout`.
//!
//! In: the name of a `DataPlane` or a `Gateway`, and a verb. Out: a tree or JSON on standard output, and an exit code that a
//! pipeline can go by: 0 where the new revision serves, 1 where it does not, 2 where it could not be looked, 3 while it is
//! under way. Never: more than `spec.action` of a rollout.

mod options;
mod tree;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use crds::conditions::{self, types};
use crds::rollout::{RolloutAction, RolloutVerb};
use crds::{DataPlane, GatewayRollout};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use runtime::metrics::Metrics;
use serde_json::json;

pub use options::Rollout;
use options::{Command, Format, Named};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const USER_AGENT: &str = concat!("kubectl-silverback/", env!("CARGO_PKG_VERSION"));

/// How often `watch` looks.
const TICK: Duration = Duration::from_secs(1);

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The new revision serves, or none is asked for.
    Serves,
    /// It does not, and will not by itself.
    Failed,
    /// It is under way.
    UnderWay,
}

/// Runs `silverback rollout`.
pub fn rollout(options: &Rollout) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(error.into())),
    };
    ended(runtime.block_on(run(options)))
}

fn ended(found: Result<Found, Failed>) -> ExitCode {
    match found {
        Ok(Found::Serves) => ExitCode::SUCCESS,
        Ok(Found::Failed) => ExitCode::from(1),
        Ok(Found::UnderWay) => ExitCode::from(3),
        Err(error) => {
            eprintln!("silverback: {}", runtime::failure::chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

async fn run(options: &Rollout) -> Result<Found, Failed> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already")?;
    let named = options.command.named();
    let client = runtime::client::connect(USER_AGENT, &Metrics::new(env!("CARGO_PKG_VERSION"))).await?;
    let namespace = named.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let looked = Looked { client, namespace, name: named.name.clone() };
    match &options.command {
        Command::Status(shown) => {
            let all = looked.rollouts().await?;
            looked.show(&all, shown.output).await
        }
        Command::Watch(watched) => looked.watch(watched.timeout).await,
        Command::History(_) => {
            let all = looked.rollouts().await?;
            write(&tree::history(&all))?;
            Ok(Found::Serves)
        }
        Command::Promote(promoted) => {
            let verb = if promoted.full { RolloutVerb::PromoteFull } else { RolloutVerb::Promote };
            looked.act(verb, promoted.step.clone()).await
        }
        Command::Pause(_) => looked.act(RolloutVerb::Pause, None).await,
        Command::Resume(_) => looked.act(RolloutVerb::Resume, None).await,
        Command::Abort(_) => looked.act(RolloutVerb::Abort, None).await,
        Command::Retry(_) => looked.act(RolloutVerb::Retry, None).await,
        Command::Undo(_) => looked.act(RolloutVerb::Rollback, None).await,
    }
}

/// Where it is looked.
struct Looked {
    client: Client,
    namespace: String,
    name: String,
}

impl Looked {
    /// The rollouts of the `DataPlane`, which has the name of its `Gateway`; the last one first.
    async fn rollouts(&self) -> Result<Vec<GatewayRollout>, Failed> {
        let api: Api<GatewayRollout> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut all = api.list(&ListParams::default()).await?.items;
        all.retain(|rollout| rollout.spec.target.name == self.name);
        all.sort_by_key(|rollout| std::cmp::Reverse(rollout.creation_timestamp()));
        Ok(all)
    }

    async fn pods(&self) -> Result<Vec<crds::k8s::Pod>, Failed> {
        let api: Api<crds::k8s::Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let of = format!(
            "{}={},{}={}",
            crds::names::labels::APP,
            crds::names::label_value(&self.name),
            crds::names::labels::MANAGED_BY,
            crds::names::values::DATAPLANE
        );
        Ok(api.list(&ListParams::default().labels(&of)).await?.items)
    }

    async fn show(&self, all: &[GatewayRollout], format: Format) -> Result<Found, Failed> {
        let Some(latest) = all.first() else {
            let api: Api<DataPlane> = Api::namespaced(self.client.clone(), &self.namespace);
            let Some(_) = api.get_opt(&self.name).await? else {
                return Err(format!(
                    "there is no DataPlane {:?} in namespace {:?}",
                    self.name, self.namespace
                )
                .into());
            };
            write(&format!("DataPlane {:?} has had no rollout\n", self.name))?;
            return Ok(Found::Serves);
        };
        match format {
            Format::Text => write(&tree::tree(latest, &self.pods().await?, runtime::clock::now()))?,
            Format::Json => write(&format!("{}\n", serde_json::to_string_pretty(latest)?))?,
        }
        Ok(found(latest))
    }

    /// Shows the tree at each change, until the rollout is over.
    async fn watch(&self, timeout: Option<Duration>) -> Result<Found, Failed> {
        let end = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        let mut shown = String::new();
        loop {
            let all = self.rollouts().await?;
            let Some(latest) = all.first() else { return self.show(&all, Format::Text).await };
            let text = tree::tree(latest, &self.pods().await?, runtime::clock::now());
            if text != shown {
                write(&format!("{text}\n"))?;
                shown = text;
            }
            let found = found(latest);
            if found != Found::UnderWay || end.is_some_and(|end| tokio::time::Instant::now() >= end) {
                return Ok(found);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Writes what is wanted, for the revision and, where one is named, the step that was seen.
    async fn act(&self, verb: RolloutVerb, step: Option<String>) -> Result<Found, Failed> {
        let all = self.rollouts().await?;
        let latest = all.first().ok_or_else(|| format!("DataPlane {:?} has had no rollout", self.name))?;
        let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
        let action = RolloutAction { verb, revision: latest.spec.to.revision.clone(), step, by };
        let api: Api<GatewayRollout> = Api::namespaced(self.client.clone(), &self.namespace);
        let body = json!({
            "metadata": { "resourceVersion": latest.resource_version() },
            "spec": { "action": action },
        });
        let (name, params, patch) = (latest.name_any(), PatchParams::default(), Patch::Merge(&body));
        #[expect(clippy::disallowed_methods, reason = "a person's wish, and not the operator's write")]
        let sent = api.patch(&name, &params, &patch);
        sent.await?;
        write(&format!("GatewayRollout {name:?}: {verb:?} is asked for\n"))?;
        Ok(Found::Serves)
    }
}

fn found(rollout: &GatewayRollout) -> Found {
    use crds::conditions::reasons::{PROMOTED, PROMOTED_BY_OVERRIDE};
    let conditions =
        rollout.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    match conditions::get(conditions, types::COMPLETED) {
        Some(over)
            if over.status == "True" && [PROMOTED, PROMOTED_BY_OVERRIDE].contains(&over.reason.as_str()) =>
        {
            Found::Serves
        }
        Some(over) if over.status == "True" => Found::Failed,
        _ => Found::UnderWay,
    }
}

fn write(text: &str) -> Result<(), Failed> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

impl Command {
    /// Whose rollouts.
    fn named(&self) -> &Named {
        match self {
            Self::Status(shown) => &shown.named,
            Self::Watch(watched) => &watched.named,
            Self::Promote(promoted) => &promoted.named,
            Self::History(named)
            | Self::Pause(named)
            | Self::Resume(named)
            | Self::Abort(named)
            | Self::Retry(named)
            | Self::Undo(named) => named,
        }
    }
}
