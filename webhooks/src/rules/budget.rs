//! A budget that blocks every eviction.
//!
//! In: a specification and the one before it. Out: a problem where somebody asks for such a budget, a warning where it
//! was there already: what ran with Kong Gateway Operator stays as it is until somebody touches the budget.

use crds::DataPlaneSpec;
use plan::dataplane::blocked_evictions;

use crate::verdict::Verdict;

/// Adds what there is to say. The specification before is asked for only where it matters.
pub fn evictions(now: &DataPlaneSpec, before: impl FnOnce() -> Option<DataPlaneSpec>, verdict: &mut Verdict) {
    let Some(problem) = blocked_evictions(now) else { return };
    if before().and_then(|before| blocked_evictions(&before)).as_ref() == Some(&problem) {
        verdict.warnings.push(format!("{}: {}", problem.path, problem.message));
    } else {
        verdict.problems.push(problem);
    }
}
