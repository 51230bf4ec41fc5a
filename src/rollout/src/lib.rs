//! Pure: how a new revision of a gateway takes over from an old one, and when it must not.
//!
//! In: a plan, a state, what was observed and the time. Out: the next state and everything that is wanted of the
//! cluster. Never: a clock, a network, an object of Kubernetes; whoever calls has those, and a simulator may.

pub mod judge;
pub mod machine;
pub mod observation;
pub mod plan;
pub mod simulate;
pub mod state;
pub mod wanted;
pub mod weight;

pub use machine::step;
pub use observation::Observation;
pub use plan::{Plan, Strategy};
pub use state::State;
pub use wanted::Wanted;
