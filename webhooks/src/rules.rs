//! Rules that several kinds share.
//!
//! In: objects and what is known of others. Out: problems and warnings. Never: a rule that the reconciler needs too;
//! those are in `plan`.

pub mod applied;
pub mod budget;
pub mod meant;
pub mod others;
pub mod read;
pub mod standing;
