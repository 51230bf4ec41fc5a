//! What KIC's controllers decide about classes, Gateways and routes.
//! In: what is in the cluster. Out: what is let into the translation, and the statuses that are to be written. Never
//! writes.

pub mod addresses;
pub mod conditions;
pub mod contract;
pub mod listeners;
pub mod routes;
pub mod unmanaged;

#[cfg(test)]
pub mod stage;
