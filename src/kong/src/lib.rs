//! Talks to a running Kong and to what configures it.
//!
//! In: addresses. Out: what was answered, read into values. It decides nothing, and it never speaks to Kubernetes.

pub mod controller;
pub mod exposition;
pub mod scrape;
