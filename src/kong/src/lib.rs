//! Talks to a running Kong and to what configures it.
//!
//! In: addresses. Out: what was answered, read into values. It decides nothing, and it never speaks to Kubernetes.

pub mod admin;
pub mod attended;
pub mod controller;
mod exchange;
pub mod exposition;
pub mod figures;
pub mod hook;
mod lines;
pub mod parity;
pub mod scrape;
