//! The operator is killed after every single write, in turn.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::faults::{Lane, State, events, revision};
use tests::world::Scenario;

use crate::{delete, first, idle, no_more_than, second};

/// How long a write may stay away that came in the undisturbed run: how many there are depends on when pods start.
const LATE: Duration = Duration::from_secs(2);
/// How many writes of a run that was killed may come on top of those of the undisturbed run: a status in between
/// for the pods, and one more write of what was not answered.
const MORE: usize = 3;

pub async fn a_kill_after_each_write_of_a_create_ends_as_undisturbed(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    lane.apply("calm", first()).await?;
    lane.settled("calm").await?;
    let undisturbed = State::of(&lane.scenario, "calm").await?;
    let told = events(&lane.scenario).await?.remove("calm").unwrap_or_default();
    let writes = written(&lane, "calm");
    println!("a create of {writes} writes makes {:?}", undisturbed.objects().collect::<Vec<_>>());
    for number in 1.. {
        let name = format!("kill{number:02}");
        hold_after(&lane, number, &name);
        lane.apply(&name, first()).await?;
        let killed = killed(&mut lane, &name, number <= writes).await?;
        lane.settled(&name).await?;
        undisturbed.reached(&lane.scenario, &name).await?;
        ensure!(revision(&lane.scenario, &name).await? == 1, "the pods of {name} were replaced");
        let again = events(&lane.scenario).await?.remove(&name).unwrap_or_default();
        ensure!(no_more_than(&told, &again), "{name}: undisturbed {told:?}, now {again:?}");
        let count = written(&lane, &name);
        ensure!(count <= writes + MORE, "{count} writes after a kill at {number}, {writes} undisturbed");
        delete(&lane, &name).await?;
        if !killed && number > writes {
            println!("killed after each of {} writes of a create", number - 1);
            break;
        }
    }
    lane.at_rest().await?;
    lane.end().await
}

pub async fn a_kill_after_each_write_of_an_update_ends_as_undisturbed(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    let (there, back) = undisturbed_update(&lane, "calm").await?;
    lane.apply("killed", first()).await?;
    lane.settled("killed").await?;
    for number in 1.. {
        let mut any = false;
        for (spec, undisturbed) in [(second("killed"), &there), (first(), &back)] {
            let before = revision(&lane.scenario, "killed").await?;
            hold_after(&lane, number, "killed");
            lane.apply("killed", spec).await?;
            any |= killed(&mut lane, "killed", number <= undisturbed.writes).await?;
            lane.settled("killed").await?;
            undisturbed.state.reached(&lane.scenario, "killed").await?;
            let rolls = revision(&lane.scenario, "killed").await? - before;
            ensure!(rolls == 1, "after a kill at {number} the pods were replaced {rolls} times");
            any |= number < undisturbed.writes;
        }
        if !any {
            println!("killed after each of {} writes of an update, and of the way back", number - 1);
            break;
        }
    }
    lane.at_rest().await?;
    lane.end().await
}

pub async fn an_update_interrupted_and_taken_back_leaves_nothing(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    let (there, back) = undisturbed_update(&lane, "calm").await?;
    lane.apply("undone", first()).await?;
    lane.settled("undone").await?;
    let never = State::of(&lane.scenario, "undone").await?;
    for number in 1.. {
        hold_after(&lane, number, "undone");
        lane.apply("undone", second("undone")).await?;
        let held = held(&lane, "undone", number <= there.writes).await?;
        lane.kill().await?;
        lane.apply("undone", first()).await?;
        lane.start().await?;
        lane.settled("undone").await?;
        // As if it had never begun, or gone there and back: who owned the number of replicas in between stays to be seen.
        State::reached_one_of(&[&never, &back.state], &lane.scenario, &["undone"]).await?;
        if !held && number > there.writes {
            println!("taken back after each of {} writes of an update", number - 1);
            break;
        }
    }
    lane.at_rest().await?;
    lane.end().await
}

pub async fn a_delete_after_each_write_of_a_create_leaves_nothing(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    for number in 1.. {
        let name = format!("gone{number:02}");
        hold_after(&lane, number, &name);
        lane.apply(&name, idle()).await?;
        let held = held(&lane, &name, true).await?;
        // The operator that starts may find it, find it being deleted, or not find it any more.
        if number % 2 == 0 {
            delete(&lane, &name).await?;
            lane.crash().await?;
        } else {
            lane.kill().await?;
            delete(&lane, &name).await?;
            lane.start().await?;
        }
        State::default().reached(&lane.scenario, &name).await?;
        if !held {
            println!("deleted after each of {} writes of a create", number - 1);
            break;
        }
    }
    lane.at_rest().await?;
    lane.end().await
}

struct Undisturbed {
    state: State,
    writes: usize,
}

/// What an update leaves, and what its way back leaves.
async fn undisturbed_update(lane: &Lane, name: &str) -> Result<(Undisturbed, Undisturbed)> {
    lane.apply(name, first()).await?;
    lane.settled(name).await?;
    let there = undisturbed(lane, name, second(name)).await?;
    let back = undisturbed(lane, name, first()).await?;
    println!("an update of {} writes, and back of {}", there.writes, back.writes);
    Ok((there, back))
}

async fn undisturbed(lane: &Lane, name: &str, spec: serde_json::Value) -> Result<Undisturbed> {
    lane.proxy.written();
    lane.apply(name, spec).await?;
    lane.settled(name).await?;
    Ok(Undisturbed { state: State::of(&lane.scenario, name).await?, writes: written(lane, name) })
}

/// Lets `number` writes about `name` through, and no more.
pub fn hold_after(lane: &Lane, number: usize, name: &str) {
    let name = name.to_owned();
    lane.proxy.written();
    lane.proxy.hold_after(number, move |asked| asked.is_write() && asked.concerns(&name));
}

/// Waits until the answer is held. Returns false when so many writes did not come; `expected` gives them a little time
/// after everything is settled, because events come last.
async fn held(lane: &Lane, name: &str, expected: bool) -> Result<bool> {
    tokio::select! {
        biased;
        held = lane.proxy.held() => held.map(|()| true),
        settled = lane.settled(name) => {
            settled?;
            Ok(expected && tokio::time::timeout(LATE, lane.proxy.held()).await.is_ok())
        }
    }
}

/// The same, and then kills the operator and starts it again.
async fn killed(lane: &mut Lane, name: &str, expected: bool) -> Result<bool> {
    let held = held(lane, name, expected).await?;
    if held {
        lane.crash().await?;
    } else {
        lane.proxy.calm();
    }
    Ok(held)
}

/// How many writes about `name` were done since the last look.
fn written(lane: &Lane, name: &str) -> usize {
    lane.proxy.written().iter().filter(|asked| asked.concerns(name)).count()
}
