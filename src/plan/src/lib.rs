//! Pure: a resource and what was found go in, the exact Kubernetes objects and status wanted come out.
//!
//! Nothing here reads, writes, waits or knows the time; a caller passes in all of it. What is refused is
//! refused with the path of the field, its value and the remedy.

pub mod attempt;
pub mod controlplane;
pub mod dataplane;
pub mod gateway;
pub mod image;
pub mod invalid;
mod merge;
mod path;
pub mod pod;

pub use invalid::{Cause, Invalid, Problem};
