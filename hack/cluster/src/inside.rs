//! What happens inside a box.
//!
//! In: a [`Layout`](crate::config::Layout), the API listener as standard input. Out: a running cluster
//! and events on standard output. Never runs outside the namespaces that [`crate::launch`] made.

mod balancer;
mod boot;
mod certificates;
mod cluster;
mod definitions;
mod dns;
mod forward;
mod images;
mod init;
mod metrics;
mod mounts;
mod network;
mod pki;
mod pool;
mod prepare;
mod simulation;
mod supervise;
mod tools;

pub(crate) use boot::boot;
pub(crate) use init::init;
