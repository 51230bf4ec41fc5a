//! Admission through a real API server, real TLS and the real `kubectl`: a table of good and bad manifests, and the ways
//! in which people and `GitOps` controllers apply them.

#![allow(clippy::indexing_slicing, reason = "a test that finds nothing fails")]

mod apply;
mod case;
mod documented;
mod gateways;
mod gitops;
mod kubectl;
mod live;
mod managers;
mod offline;
mod snapshot;
mod table;
mod verbs;

use std::process::ExitCode;

use cluster::{Families, Options};
use tests::scenarios;
use tests::world;

use apply::{applied_twice_a_sample_is_unchanged, applied_twice_every_good_manifest_is_unchanged};
use documented::every_documented_rule_has_a_case;
use gitops::{argo_cd_sees_no_drift, flux_sees_no_drift_and_corrects_what_drifted};
use managers::{two_managers_do_not_fight, two_managers_of_different_fields_keep_theirs};
use offline::by_silverback_validate;
use table::{by_the_definitions_alone, it_is_large_enough, through_the_webhook};
use verbs::{
    a_dry_run_has_no_effect, a_misspelt_field_that_is_not_validated_is_warned_of,
    edit_patch_replace_and_scale, what_is_stored_already_can_always_be_touched,
};

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        it_is_large_enough,
        every_documented_rule_has_a_case,
        through_the_webhook,
        by_the_definitions_alone,
        by_silverback_validate,
        applied_twice_every_good_manifest_is_unchanged,
        applied_twice_a_sample_is_unchanged,
        two_managers_do_not_fight,
        two_managers_of_different_fields_keep_theirs,
        argo_cd_sees_no_drift,
        flux_sees_no_drift_and_corrects_what_drifted,
        edit_patch_replace_and_scale,
        a_dry_run_has_no_effect,
        a_misspelt_field_that_is_not_validated_is_warned_of,
        what_is_stored_already_can_always_be_touched,
    ];
    world::run(Options { families: Families::Dual, ..Options::default() }, scenarios)
}
