//! An operator of its own for a scenario, behind a proxy.
//!
//! In: a scenario of a suite. Out: an operator that sees the scenario's namespace only, can be killed and started
//! again, and writes nothing that the proxy does not know of. It ends with the scenario.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{self, reasons, types};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::proxy::Proxy;
use crate::world::{SOON, Scenario};
use crate::{Operator, Setup, artifacts, wait};

/// The number of the next operator; 0 and 1 are those of other suites.
static NEXT: AtomicU16 = AtomicU16::new(2);
/// Who writes the specifications.
const USER: &str = "user";
/// Held by each scenario; by one that takes from the box what the others need, alone.
static BOX: RwLock<()> = RwLock::const_new(());

/// With whom a scenario shares the box.
enum Share {
    Others(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Nobody(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// A scenario with its own operator.
pub struct Lane {
    /// The scenario.
    pub scenario: Scenario,
    /// What is between its operator and the API server.
    pub proxy: Proxy,
    setup: Setup,
    operator: Option<Operator>,
    folder: tempfile::TempDir,
    began: Instant,
    _share: Share,
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Only a scenario that failed still has one.
        if let Some(operator) = &self.operator {
            eprintln!("the operator of {}:\n{}", self.scenario.namespace, operator.last_words());
        }
    }
}

impl Lane {
    /// Starts proxy and operator, side by side with others.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn begin(scenario: Scenario) -> Result<Self> {
        Self::sharing(Share::Others(BOX.read().await), scenario, &[]).await
    }

    /// Starts proxy and operator, which looks after the classes of that controller: classes have no namespace, and every
    /// operator of the box sees them.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn answering_to(controller: &str, scenario: Scenario) -> Result<Self> {
        let arguments = [format!("--controller-name={controller}")];
        Self::sharing(Share::Others(BOX.read().await), scenario, &arguments).await
    }

    /// Waits until all others have ended, and starts proxy and operator.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn alone(scenario: Scenario) -> Result<Self> {
        Self::sharing(Share::Nobody(BOX.write().await), scenario, &[]).await
    }

    async fn sharing(share: Share, scenario: Scenario, more: &[String]) -> Result<Self> {
        // The operator of the box sees all namespaces, and would do this one's work.
        if let Some(other) = scenario.world.operator.lock().await.take() {
            other.kill().await?;
        }
        let proxy = Proxy::start(&scenario.world.cluster, &scenario.namespace).await?;
        let setup = Setup {
            arguments: [&["--no-leader-election".to_owned()], more].concat(),
            server: Some(proxy.url()),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            ..Setup::default()
        };
        let (folder, began) = (tempfile::tempdir()?, Instant::now());
        let mut lane = Self { scenario, proxy, setup, operator: None, folder, began, _share: share };
        lane.start().await?;
        Ok(lane)
    }

    /// Starts the operator, when there is none.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(&mut self) -> Result<()> {
        if self.operator.is_none() {
            let cluster = &self.scenario.world.cluster;
            let program = artifacts::operator()?;
            let operator = Operator::start_as(&self.setup, cluster, &program, self.folder.path()).await?;
            self.operator = Some(operator);
        }
        Ok(())
    }

    /// Ends the operator at once; what it was about to write is not written. From then on nothing disturbs.
    ///
    /// # Errors
    /// When there is none.
    pub async fn kill(&mut self) -> Result<()> {
        self.operator.take().context("no operator to kill")?.kill().await?;
        self.proxy.calm();
        Ok(())
    }

    /// Kills the operator and starts it again.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn crash(&mut self) -> Result<()> {
        self.kill().await?;
        self.start().await
    }

    /// Makes or changes a `DataPlane` as a user does; what the specification does not name goes.
    ///
    /// # Errors
    /// The API server's.
    pub async fn apply(&self, name: &str, spec: Value) -> Result<()> {
        let object = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1",
            "kind": "DataPlane",
            "metadata": { "name": name },
            "spec": spec,
        });
        let params = PatchParams::apply(USER).force();
        self.scenario.api::<DataPlane>().patch(name, &params, &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// Waits until the last specification of a `DataPlane` is rolled out and serves, or is meant not to.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn settled(&self, name: &str) -> Result<DataPlane> {
        let is_settled = |dataplane: &DataPlane| {
            let all = dataplane.conditions();
            let observed = dataplane.status.as_ref().and_then(|status| status.observed_generation);
            let idle =
                conditions::get(all, types::READY).is_some_and(|c| c.reason == reasons::SCALED_TO_ZERO);
            observed == dataplane.metadata.generation
                && (idle || conditions::holds(all, types::READY))
                && conditions::holds(all, types::ROLLED_OUT)
                && conditions::holds(all, types::ADDRESS_ASSIGNED)
        };
        wait::until(&self.scenario.api(), name, SOON, is_settled).await
    }

    /// Whether an operator that starts now finds nothing to do: it says so, and writes nothing.
    ///
    /// # Errors
    /// When it writes, or does not find everything settled.
    pub async fn at_rest(&mut self) -> Result<()> {
        let count = self.scenario.api::<DataPlane>().list(&ListParams::default()).await?.items.len();
        self.crash().await?;
        self.proxy.written();
        let operator = self.operator.as_ref().context("no operator")?;
        if count > 0 {
            operator.settled(&self.scenario.world.cluster, count).await?;
        }
        let written = self.proxy.written();
        ensure!(written.is_empty(), "an operator that found all settled wrote {written:?}");
        Ok(())
    }

    /// The operator's log so far.
    ///
    /// # Errors
    /// When there is no operator.
    pub fn log(&self) -> Result<String> {
        let operator = self.operator.as_ref().context("no operator")?;
        Ok(std::fs::read_to_string(operator.log())?)
    }

    /// Ends a scenario that went well.
    ///
    /// # Errors
    /// When the operator has ended by itself.
    pub async fn end(mut self) -> Result<()> {
        println!("{}: {:.0?}", self.scenario.namespace, self.began.elapsed());
        self.kill().await
    }
}
