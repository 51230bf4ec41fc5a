//! The stand-in for Kong Ingress Controller on a real cluster, with the stand-in for Kong behind it and without the
//! operator's help: each scenario makes what the operator would make, by hand.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod calls;
mod ends;
mod faults;
mod lease;
mod managed;
mod manifests;
mod routes;
mod stage;
mod streams;
mod unmanaged;
mod webhook;

use std::process::ExitCode;

use cluster::Options;
use tests::{artifacts, scenarios, world};

fn main() -> ExitCode {
    let archives = artifacts::image("kic").into_iter().collect();
    world::run(
        Options { gateway_api: true, archives, ..Options::default() },
        // The longest first.
        scenarios![
            faults::the_last_valid_configuration_outlives_its_controller,
            lease::a_leader_that_is_replaced_is_waited_for,
            faults::one_bad_route_blocks_the_others_until_the_fallback_is_on,
            ends::what_the_real_one_does_not_survive,
            streams::streams_and_certificates_are_served,
            routes::weights_and_filters_act,
            managed::a_route_is_served_once_its_gateway_is_programmed,
            unmanaged::a_gateway_and_an_ingress_are_served,
            webhook::a_route_that_kong_refuses_is_not_let_in,
        ],
    )
}
