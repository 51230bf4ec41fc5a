//! What the suites share: a box with the operator in it, deadlines, requests.
//!
//! In: a box of `hack/cluster`, and the programs and images that `cargo xtask test` made. Out: the operator
//! running as a process in the box under its own service account. Nothing here waits without a deadline.

pub mod artifacts;
pub mod audit;
pub mod endpoints;
pub mod faults;
pub mod http;
pub mod install;
pub mod operator;
pub mod reviews;
pub mod traffic;
pub mod wait;
pub mod world;

pub use operator::{Operator, Setup};

/// Names scenarios after their functions, as [`world::run`] takes them.
/// A function of a module is named without it.
#[macro_export]
macro_rules! scenarios {
    ($($name:path),+ $(,)?) => {
        &[$((stringify!($name), |scenario| ::std::boxed::Box::pin($name(scenario)))),+]
    };
}
