//! Kong's admin API as KIC uses it.
//! In: settings and endpoints. Out: answers, and which instances of Kong are ready. Never decides what is pushed.

pub mod client;
pub mod discovery;
pub mod endpoints;
pub mod nodes;
pub mod root;
pub mod tls;
