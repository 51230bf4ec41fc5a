//! Keeping Kong configured.
//! In: translations. Out: pushes, Events, figures. Never translates.

pub mod faults;
pub mod push;
pub mod recovery;
pub mod rounds;
