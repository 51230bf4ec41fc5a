//! Faults between an operator and the API server, and what is left when they are over.
//!
//! In: a script that decides what becomes of each request, and orders for watches. Out: an operator of its own for a
//! scenario, that sees nothing but the scenario's namespace, through a proxy; and the state that it leaves, without
//! what differs from run to run, so that two runs can be compared.

mod asked;
mod fault;
mod lane;
mod proxy;
mod state;
mod stream;

pub use asked::Asked;
pub use fault::{Dice, Fault, Refusal};
pub use lane::Lane;
pub use proxy::Proxy;
pub use state::{State, Told, events, revision};
pub use stream::Order;
