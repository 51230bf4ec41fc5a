//! What is read from and written to Kubernetes.
//! In: watches. Out: caches, a lease, events. Never judges what is found.

pub mod cache;
pub mod caches;
pub mod informers;
pub mod kinds;
pub mod lease;
pub mod recorder;
pub mod route;
