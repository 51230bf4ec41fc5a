//! Single requests go wrong: each in each way; many at random; and all of one kind, for as long as it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{self, reasons, types};
use crds::k8s::Service;
use crds::names;
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tests::faults::{Dice, Fault, Lane, Refusal, State, Told, events};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{delete, first, idle, no_more_than, other, second};

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
/// Who is left in peace.
const CALM: &str = "calm";
/// How long a `DataPlane` without pods may take while another waits for an answer.
const QUICK: Duration = Duration::from_secs(15);
/// How many of a hundred requests go wrong in a storm.
const SHARE: u64 = 20;
/// Sets the storm; without it, the clock does.
const SEED: &str = "SILVERBACK_SEED";

pub async fn each_fault_at_each_request(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    let create = undisturbed(&lane, idle()).await?;
    let update = undisturbed(&lane, other(CALM)).await?;
    disturbed(&lane, &create, |_| idle()).await?;
    disturbed(&lane, &update, other).await?;
    lane.end().await
}

/// How it goes when nothing is wrong.
struct Undisturbed {
    state: State,
    told: Told,
    /// Reads and writes, of the `DataPlane` and its children.
    requests: u32,
}

async fn undisturbed(lane: &Lane, spec: Value) -> Result<Undisturbed> {
    let counted = Arc::new(Mutex::new(0));
    let count = Arc::clone(&counted);
    lane.proxy.script(move |asked| {
        *lock(&count) += u32::from(asked.concerns(CALM));
        Fault::None
    });
    lane.apply(CALM, spec).await?;
    lane.settled(CALM).await?;
    let state = State::of(&lane.scenario, CALM).await?;
    let told = events(&lane.scenario).await?.remove(CALM).unwrap_or_default();
    let requests = *lock(&counted);
    Ok(Undisturbed { state, told, requests })
}

/// As many `DataPlane`s as there are faults and requests: each has one fault at one of its requests.
async fn disturbed(lane: &Lane, calm: &Undisturbed, spec: impl Fn(&str) -> Value) -> Result<()> {
    let mut planned = BTreeMap::new();
    for (kind, fault) in FAULTS.iter().enumerate() {
        for number in 1..=calm.requests {
            planned.insert(format!("fault{kind}at{number:02}"), (number, *fault));
        }
    }
    let names: Vec<_> = planned.keys().cloned().collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let open = Arc::new(Mutex::new(planned));
    let script = Arc::clone(&open);
    lane.proxy.script(move |asked| strike(&mut lock(&script), &asked.name));
    let began = Instant::now();
    for name in &names {
        lane.apply(name, spec(name)).await?;
    }
    for name in &names {
        lane.settled(name).await?;
    }
    State::reached_one_of(&[&calm.state], &lane.scenario, &names).await?;
    let took = began.elapsed();
    let told = events(&lane.scenario).await?;
    for name in &names {
        let again = told.get(*name).cloned().unwrap_or_default();
        ensure!(no_more_than(&calm.told, &again), "{name}: undisturbed {:?}, now {again:?}", calm.told);
    }
    let left: Vec<_> = lock(&open).keys().cloned().collect();
    ensure!(left.is_empty(), "these faults never struck: {left:?}");
    println!("{} faults at each of {} requests: survived in {took:.1?}", FAULTS.len(), calm.requests);
    Ok(())
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

/// The first write of a Deployment is neither done nor answered.
pub async fn a_request_without_an_answer_holds_up_nobody_else(s: Scenario) -> Result<()> {
    let lane = Lane::begin(s).await?;
    lane.apply(CALM, idle()).await?;
    lane.settled(CALM).await?;
    let undisturbed = State::of(&lane.scenario, CALM).await?;
    let mut left = 1;
    lane.proxy.script(move |asked| {
        let struck = left > 0 && asked.verb == "patch" && asked.resource == "deployments";
        left -= u32::from(struck);
        if struck { Fault::Withheld } else { Fault::None }
    });
    let began = Instant::now();
    lane.apply("mute", idle()).await?;
    let admin = names::admin_service("mute");
    wait::until(&lane.scenario.api::<Service>(), &admin, SOON, |_| true).await?;
    lane.apply("quick", idle()).await?;
    lane.settled("quick").await?;
    let quick = began.elapsed();
    lane.settled("mute").await?;
    println!("settled after {quick:.1?}, and after {:.1?} where an answer did not come", began.elapsed());
    ensure!(quick < QUICK, "it waited {quick:?} for another's answer");
    for name in ["quick", "mute"] {
        undisturbed.reached(&lane.scenario, name).await?;
    }
    lane.end().await
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
    lane.proxy.script(move |_| {
        let fault = dice.percent(SHARE).then(|| dice.one_of(FAULTS)).flatten();
        *lock(&count) += u32::from(fault.is_some());
        fault.unwrap_or(Fault::None)
    });
    let (stay, go) = (["storm1", "storm2", "storm3"], ["storm4", "storm5", "storm6", "storm7"]);
    for name in stay {
        lane.apply(name, first()).await?;
    }
    for name in go {
        lane.apply(name, idle()).await?;
    }
    for name in stay {
        lane.settled(name).await?;
    }
    for name in stay {
        lane.apply(name, second(name)).await?;
    }
    for name in go {
        delete(&lane, name).await?;
    }
    for name in stay {
        lane.settled(name).await?;
    }
    lane.proxy.calm();
    State::reached_one_of(&[&undisturbed], &lane.scenario, &stay).await?;
    State::reached_one_of(&[&State::default()], &lane.scenario, &go).await?;
    println!("{} requests went wrong", lock(&struck));
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
        *lock(&count) += u32::from(lasting);
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
    let tries = *lock(&refused);
    println!("shown after {tries} tries and {:.1?}: {}", began.elapsed(), shown.message);
    lane.proxy.calm();
    lane.settled("lasting").await?;

    let seen = lock(&seen).clone();
    let passing = seen.get("passing").cloned().unwrap_or_default();
    ensure!(
        !passing.contains(&reasons::UNABLE_TO_PROVISION.to_owned()),
        "a passing fault was shown: {passing:?}"
    );
    let (mut told, warning) =
        (events(&lane.scenario).await?, format!("Warning {}", reasons::UNABLE_TO_PROVISION));
    let passing = told.remove("passing").unwrap_or_default();
    ensure!(!passing.contains_key(&warning), "a passing fault was told: {passing:?}");
    let lasting = told.remove("lasting").unwrap_or_default();
    ensure!(lasting.get(&warning) == Some(&1), "a fault that lasted was told {lasting:?}");
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
        let mut noted = lock(&noted);
        noted.entry(dataplane.name_any()).or_default().extend(ready);
        futures::future::ready(Ok(()))
    }));
    seen
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
