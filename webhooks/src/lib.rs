//! Admission: what is asked of every object before it is stored, and the answers.
//!
//! In: reviews from the API server, or manifests from a file, and what is known of other objects. Out: defaults as a
//! JSON patch, verdicts with all problems and warnings at once. Never: a request to the API server, a write, or a look
//! at anything that was not handed in.

pub mod configuration;
pub mod fields;
pub mod kinds;
pub mod review;
pub mod router;
pub mod routes;
pub mod rules;
pub mod verdict;
pub mod world;

pub use kinds::{Kind, Subject, default, judge};
pub use router::{Server, router};
pub use verdict::Verdict;
pub use world::{Found, World};
