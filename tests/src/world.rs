//! A box with the operator in it, for the scenarios of one suite.
//!
//! In: named scenarios. Out: each run as a test of its own, in a namespace of its own, all in one box; the
//! exit code says whether all passed.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::{Cluster, Options};
use crds::DataPlane;
use crds::conditions::{self, types};
use crds::k8s::{Condition, Namespace};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::operator::{Setup, Webhooks};
use crate::{Operator, artifacts, install, wait};

/// Long enough for a pod to start on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_mins(1);
/// Scenarios at a time: each waits most of its time.
const AT_A_TIME: usize = 4;

/// What scenarios share.
pub struct World {
    /// The box.
    pub cluster: Cluster,
    /// A client with all rights.
    pub client: Client,
    /// The operator; a scenario that ends it has the box for itself.
    pub operator: Mutex<Option<Operator>>,
    /// Where the operator logs to.
    pub folder: tempfile::TempDir,
}

/// One scenario, in a namespace of its own.
pub struct Scenario {
    /// What it shares.
    pub world: Arc<World>,
    /// Its namespace, which enforces the restricted Pod Security standard.
    pub namespace: String,
}

/// A scenario's name and function.
pub type Named = (&'static str, fn(Scenario) -> futures::future::BoxFuture<'static, Result<()>>);

/// Runs the scenarios that the command line asks for.
pub fn run(options: Options, scenarios: &[Named]) -> ExitCode {
    run_as(options, &Setup::default(), scenarios)
}

/// Runs them with an operator that serves no webhooks: what they would refuse reaches the reconciler, and nothing is
/// refused while no operator is there.
pub fn run_without_webhooks(options: Options, scenarios: &[Named]) -> ExitCode {
    run_as(options, &Setup { webhooks: Webhooks::Off, ..Setup::default() }, scenarios)
}

fn run_as(options: Options, setup: &Setup, scenarios: &[Named]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(scenarios, None)).exit_code();
    }
    match begin(options, setup) {
        Ok((runtime, world)) => {
            let conclusion = libtest_mimic::run(&arguments, trials(scenarios, Some((&runtime, &world))));
            if conclusion.has_failed() {
                eprintln!("the operator's log:\n{}", runtime.block_on(log(&world)));
            }
            if let Some(world) = Arc::into_inner(world) {
                runtime.block_on(world.end());
            }
            conclusion.exit_code()
        }
        Err(error) => {
            eprintln!("error: the suite has no cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn begin(options: Options, setup: &Setup) -> Result<(Arc<Runtime>, Arc<World>)> {
    let runtime = Runtime::new()?;
    let world = runtime.block_on(World::begin(options, setup))?;
    Ok((Arc::new(runtime), Arc::new(world)))
}

fn trials(scenarios: &[Named], place: Option<(&Arc<Runtime>, &Arc<World>)>) -> Vec<Trial> {
    let one = |(name, scenario): &Named| {
        let (name, scenario) = (name.rsplit("::").next().unwrap_or(name), *scenario);
        let place = place.map(|(runtime, world)| (Arc::clone(runtime), Arc::clone(world)));
        Trial::test(name, move || {
            let Some((runtime, world)) = place else { return Ok(()) };
            let done = runtime.block_on(async { scenario(Scenario::begin(world, name).await?).await });
            done.map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    scenarios.iter().map(one).collect()
}

async fn log(world: &World) -> String {
    world.operator.lock().await.as_ref().map(Operator::last_words).unwrap_or_default()
}

impl World {
    async fn begin(mut options: Options, setup: &Setup) -> Result<Self> {
        for image in ["kong", "echo"] {
            options.archives.push(artifacts::image(image)?);
        }
        let cluster = Cluster::start_quietly(options).await?;
        let folder = tempfile::tempdir()?;
        install::apply(|| cluster.kubectl()).await?;
        let operator = Operator::start_as(setup, &cluster, &artifacts::operator()?, folder.path()).await?;
        let client = cluster.client().await?;
        Ok(Self { cluster, client, operator: Mutex::new(Some(operator)), folder })
    }

    async fn end(self) {
        drop(self.operator);
        if let Err(error) = self.cluster.stop().await {
            eprintln!("the box did not end well: {error:#}");
        }
    }
}

impl Scenario {
    async fn begin(world: Arc<World>, name: &str) -> Result<Self> {
        let namespace = name.replace('_', "-");
        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let object = json!({ "metadata": { "name": namespace, "labels": labels } });
        let all: Api<Namespace> = Api::all(world.client.clone());
        all.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(Self { world, namespace })
    }

    /// Objects of a kind in the scenario's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.world.client.clone(), &self.namespace)
    }

    /// Makes a `DataPlane` of that specification.
    ///
    /// # Errors
    /// The API server's.
    pub async fn dataplane(&self, name: &str, spec: Value) -> Result<DataPlane> {
        let object = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1",
            "kind": "DataPlane",
            "metadata": { "name": name },
            "spec": spec,
        });
        Ok(self.api().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
    }

    /// Waits until a `DataPlane` is Ready.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn ready(&self, name: &str) -> Result<DataPlane> {
        let holds = |dataplane: &DataPlane| {
            let observed = dataplane.status.as_ref().and_then(|status| status.observed_generation);
            observed == dataplane.metadata.generation
                && conditions::holds(dataplane.conditions(), types::READY)
        };
        wait::until(&self.api(), name, SOON, holds).await
    }

    /// Waits until a condition of a `DataPlane` has a reason, and returns it.
    ///
    /// # Errors
    /// When it does not get it in time.
    pub async fn reason(&self, name: &str, type_: &'static str, reason: &'static str) -> Result<Condition> {
        let told = |dataplane: &DataPlane| {
            conditions::get(dataplane.conditions(), type_).is_some_and(|c| c.reason == reason)
        };
        let dataplane = wait::until(&self.api(), name, SOON, told).await?;
        conditions::get(dataplane.conditions(), type_)
            .cloned()
            .with_context(|| format!("{} lost it", dataplane.name_any()))
    }
}
