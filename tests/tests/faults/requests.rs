//! Single requests go wrong: each in each way; many at random; and all of one kind, for as long as it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{self, reasons, types};
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::runtime::{WatchStreamExt, watcher};
use tests::faults::{Dice, Fault, Lane, Refusal, State, events};
use tests::world::Scenario;

use crate::{delete, first, idle, second};

/// Everything that can happen to one request.
const FAULTS: &[Fault] = &[
    Fault::Refused(Refusal::Conflict),
    Fault::Refused(Refusal::TooManyRequests),
    Fault::Refused(Refusal::Internal),
    Fault::Refused(Refusal::Unavailable),
    Fault::Reset,
    Fault::Lost,
    Fault::Truncated,
    Fault::Late(Duration::from_secs(1)),
];
/// How many of a hundred requests go wrong in a storm.
const SHARE: u64 = 20;
/// Sets the storm; without it, the clock does.
const SEED: &str = "SILVERBACK_SEED";

pub async fn each_fault_at_each_request_of_a_create(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    let counted = Arc::new(Mutex::new(0));
    let count = Arc::clone(&counted);
    lane.proxy.script(move |asked| {
        *count.lock().unwrap_or_else(PoisonError::into_inner) += u32::from(asked.concerns("calm"));
        Fault::None
    });
    lane.apply("calm", idle()).await?;
    lane.settled("calm").await?;
    let undisturbed = State::of(&lane.scenario, "calm").await?;
    let told = events(&lane.scenario, "calm").await?;
    let requests = *counted.lock().unwrap_or_else(PoisonError::into_inner);

    let mut planned = BTreeMap::new();
    for (kind, fault) in FAULTS.iter().enumerate() {
        for number in 1..=requests {
            planned.insert(format!("fault{kind}at{number:02}"), (number, *fault));
        }
    }
    let names: Vec<_> = planned.keys().cloned().collect();
    let open = Arc::new(Mutex::new(planned));
    let script = Arc::clone(&open);
    lane.proxy.script(move |asked| strike(&mut script.lock().unwrap_or_else(PoisonError::into_inner), &asked.name));
    let began = Instant::now();
    for name in &names {
        lane.apply(name, idle()).await?;
    }
    for name in &names {
        lane.settled(name).await?;
        undisturbed.reached(&lane.scenario, name).await?;
        let again = events(&lane.scenario, name).await?;
        ensure!(again.iter().all(|(reason, count)| told.get(reason) >= Some(count)), "{name}: {again:?}");
    }
    let left: Vec<_> = open.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
    ensure!(left.is_empty(), "these faults never struck: {left:?}");
    println!("{} faults, one each in {} creates, survived in {:?}", names.len(), names.len(), began.elapsed());
    lane.end().await
}

/// Counts down to the request of a `DataPlane` that its fault is for.
fn strike(open: &mut BTreeMap<String, (u32, Fault)>, name: &str) -> Fault {
    let Some((key, (left, fault))) = open.iter_mut().find(|(key, _)| name.contains(key.as_str())) else {
        return Fault::None;
    };
    *left -= 1;
    if *left > 0 {
        return Fault::None;
    }
    let (key, fault) = (key.clone(), *fault);
    open.remove(&key);
    fault
}

pub async fn a_storm_over_creates_updates_and_deletes(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    lane.apply("calm", first()).await?;
    lane.settled("calm").await?;
    lane.apply("calm", second("calm")).await?;
    lane.settled("calm").await?;
    let undisturbed = State::of(&lane.scenario, "calm").await?;
    delete(&lane, "calm").await?;

    let seed = seed()?;
    println!("a storm of seed {seed}: {SEED}={seed} brings it again");
    let (mut dice, struck) = (Dice::new(seed), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&struck);
    lane.proxy.script(move |_| match dice.percent(SHARE) {
        true => {
            *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            dice.one_of(FAULTS).unwrap_or(Fault::None)
        }
        false => Fault::None,
    });
    let (stay, go) = (["storm1", "storm2", "storm3"], ["storm4", "storm5"]);
    for name in stay.iter().chain(&go) {
        lane.apply(name, first()).await?;
    }
    lane.settled(stay[0]).await?;
    for name in stay {
        lane.apply(name, second(name)).await?;
    }
    for name in go {
        delete(&lane, name).await?;
    }
    lane.settled(stay[1]).await?;
    lane.proxy.calm();
    for name in stay {
        lane.settled(name).await?;
        undisturbed.reached(&lane.scenario, name).await?;
    }
    for name in go {
        State::default().reached(&lane.scenario, name).await?;
    }
    println!("{} requests went wrong", struck.lock().unwrap_or_else(PoisonError::into_inner));
    lane.at_rest().await?;
    lane.end().await
}

fn seed() -> Result<u64> {
    match std::env::var(SEED) {
        Ok(given) => given.parse().with_context(|| format!("{SEED}={given} is no number")),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()),
    }
}

pub async fn a_fault_shows_when_it_lasts_and_is_told_once(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    let mut left = 2;
    let refused = Arc::new(Mutex::new(0));
    let count = Arc::clone(&refused);
    lane.proxy.script(move |asked| {
        if asked.verb != "patch" || asked.resource != "deployments" {
            return Fault::None;
        }
        let passing = asked.concerns("passing") && left > 0;
        left -= u32::from(passing);
        let lasting = asked.concerns("lasting");
        *count.lock().unwrap_or_else(PoisonError::into_inner) += u32::from(lasting);
        if passing || lasting { Fault::Refused(Refusal::Internal) } else { Fault::None }
    });
    let seen = reasons_of(&lane.scenario);
    lane.apply("passing", idle()).await?;
    lane.apply("lasting", idle()).await?;
    lane.settled("passing").await?;
    let began = Instant::now();
    let shown = lane.scenario.reason("lasting", types::READY, reasons::UNABLE_TO_PROVISION).await?;
    ensure!(shown.message.contains("Deployment \"dataplane-lasting-1\""), "{}", shown.message);
    ensure!(shown.message.contains("etcdserver: request timed out"), "{}", shown.message);
    let tries = *refused.lock().unwrap_or_else(PoisonError::into_inner);
    println!("shown after {tries} tries and {:?}: {}", began.elapsed(), shown.message);
    lane.proxy.calm();
    lane.settled("lasting").await?;

    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let passing = seen.get("passing").cloned().unwrap_or_default();
    ensure!(!passing.contains(&reasons::UNABLE_TO_PROVISION.to_owned()), "a passing fault was shown: {passing:?}");
    ensure!(events(&lane.scenario, "passing").await?.keys().all(|told| !told.starts_with("Warning Unable")));
    let told = events(&lane.scenario, "lasting").await?;
    let warning = told.get(&format!("Warning {}", reasons::UNABLE_TO_PROVISION));
    ensure!(warning == Some(&1), "a fault was told {warning:?} times: {told:?}");
    lane.end().await
}

type Reasons = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Every reason that the condition Ready of each `DataPlane` has had, from now on.
fn reasons_of(s: &Scenario) -> Reasons {
    let seen = Reasons::default();
    let noted = Arc::clone(&seen);
    let all = watcher(s.api::<DataPlane>(), watcher::Config::default()).applied_objects();
    tokio::spawn(all.try_for_each(move |dataplane| {
        let ready = conditions::get(dataplane.conditions(), types::READY).map(|c| c.reason.clone());
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.entry(dataplane.name_any()).or_default().extend(ready);
        futures::future::ready(Ok(()))
    }));
    seen
}
