//! `GatewayRollout`: one attempt to bring a change of a `DataPlane`'s pods to its traffic.
//!
//! In: stanzas of manifests, Deployments, pods and the last attempt as they are. Out: the plan that the machine of `rollout`
//! follows, the tracks that a `DataPlane` is to have, what is seen of pods, and the status that tells of it. Never: a
//! decision about a rollout; those are the machine's.

mod course;
mod hook;
mod pods;
mod stanza;
mod status;
mod words;

pub use course::{Course, Live, Track, is_staged, latest, revision, serving};
pub use hook::{Asking, ended};
pub use pods::{Serving, pods};
pub use stanza::{problems, strategy};
pub use status::{Probed, Seen, state, status};
pub use words::{Told, told};
