//! Certificates: make an authority, let it issue, and judge whether what is there may stay.
//!
//! In: names, PEM and the time. Out: PEM and verdicts. Never: a clock, a file, a network, a
//! Kubernetes object, or a private key in a `Debug` text.

mod authority;
#[cfg(feature = "resolver")]
pub mod client;
mod error;
mod judge;
mod read;
mod request;
#[cfg(feature = "resolver")]
mod resolver;
pub mod rotation;

pub use authority::{AUTHORITY_LIFE, Authority, LEAF_LIFE};
pub use error::Error;
pub use judge::{Reason, Verdict, begins, ends, holds, judge, judge_authority, serviceable};
pub use request::{Pair, Purpose, Request};
#[cfg(feature = "resolver")]
pub use resolver::Resolver;
