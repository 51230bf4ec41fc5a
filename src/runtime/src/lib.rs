//! The Kubernetes toolkit: everything between a pure decision and the API server.
//!
//! In: objects as they are wanted, reconcilers, and a client. Out: writes, status, events, metrics.
//! It knows nothing of Kong and takes no decision about what an object should look like.

mod bare;
pub mod client;
pub mod clock;
pub mod drift;
pub mod drive;
pub mod events;
pub mod failure;
pub mod guard;
pub mod health;
pub mod hub;
pub mod lease;
pub mod listen;
pub mod metrics;
pub mod optional;
mod process;
pub mod queue;
pub mod shutdown;
pub mod writer;

pub use drive::{Next, Outcome, Reconciler};
pub use failure::{Failure, Impact};
pub use hub::Hub;
pub use writer::Writer;
