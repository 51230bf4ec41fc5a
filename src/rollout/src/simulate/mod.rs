//! Rollouts without a cluster: the machine and the judge in a fleet that is made up, a thousand times.
//!
//! In: a scene and a seed. Out: how rollouts end in it. Never: anything of the product; it is for tests and for
//! measuring.

pub mod fleet;
mod random;
pub mod rivals;
pub mod run;
pub mod scene;
mod traffic;
