//! No request is lost while pods change: an open loop of requests goes on through every event.
//!
//! Each event happens to a `DataPlane` of one replica and to one of three. A request that is neither answered nor
//! crossed the close of a connection fails the scenario.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod acted;
mod attempt;
mod canary;
mod disruptions;
mod hooks;
mod regressions;
mod rollouts;
mod scaling;
mod shaken;
mod stage;

use std::process::ExitCode;

use cluster::Options;
use tests::traffic::report;
use tests::{scenarios, world};

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        rollouts::an_image,
        rollouts::an_environment_variable,
        rollouts::a_certificate,
        rollouts::endless_websockets,
        scaling::fewer_and_more_replicas,
        disruptions::an_eviction,
        disruptions::a_node_that_is_drained,
        canary::a_good_release_is_promoted,
        canary::blue_and_green_wait_for_the_annotation,
        canary::an_abort_at_each_step,
        canary::an_image_that_cannot_be_pulled,
        canary::a_release_that_fails_requests,
        canary::an_operator_that_is_killed_in_each_phase,
        acted::annotations_act_on_a_rollout,
        shaken::pods_go_while_both_serve,
        hooks::hooks_that_say_yes_complete_the_upgrade,
        hooks::hooks_that_say_no_roll_it_back,
        regressions::what_shows_before_traffic_is_rolled_back,
        regressions::a_slower_release_is_rolled_back,
        shaken::an_autoscaler_grows_what_serves,
        rollouts::an_operator_that_is_killed,
    ];
    let code = world::run(Options { nodes: 2, ..Options::default() }, scenarios);
    let rows = stage::rows();
    if !rows.is_empty() {
        println!("\n{}", report::table(&rows));
    }
    code
}
