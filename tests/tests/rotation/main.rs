//! The certificate of the webhooks and their registration: rotations that nobody notices, and repairs.
//!
//! The scenarios take turns, for there is one Secret and one pair of configurations.

mod handshakes;
mod kills;
mod limits;
mod readiness;
mod repairs;
mod rotations;
mod stage;

use std::process::ExitCode;

use cluster::Options;
use tests::scenarios;
use tests::world;

fn main() -> ExitCode {
    world::run(
        Options::default(),
        scenarios![
            rotations::a_thousand_rotations_fail_no_review,
            kills::a_kill_after_each_write_of_a_rotation_ends_as_undisturbed,
            repairs::a_secret_that_is_deleted_or_spoilt_comes_back,
            repairs::what_keeps_a_rotation_from_being_done_is_told,
            repairs::what_people_change_in_the_configurations_is_put_back,
            repairs::nothing_is_refused_before_the_webhooks_are_reached,
            limits::slow_and_crowding_clients_keep_nobody_out,
            readiness::a_replica_is_ready_while_its_certificate_is_trusted,
            readiness::metrics_tell_when_certificates_end
        ],
    )
}
