//! Whether a canary is worse than what it is to replace, from the counters of both.
//!
//! In: windows of what each pod counted. Out: an alarm at any time, a verdict at the end of a step. Never: an action;
//! the machine decides what a verdict leads to.

pub mod control;
pub mod counters;
mod dispersion;
mod evidence;
mod metric;
mod number;
mod record;
mod sequential;

pub use counters::{Arm, Counters, Delta, Meter, PodWindow, Sample, Window};
pub use dispersion::Dispersion;
pub use evidence::{Evidence, Limits};
pub use metric::{BUCKETS, Histogram, Metric};
pub use number::{count, real, upper_bound};
pub use record::{Alarm, Record, Shortfall, Verdict, limits};
pub use sequential::{Counts, Pair, Soundness, Worsening};
