//! A complete, real Kubernetes in a box: started by one call, ended with its caller.
//!
//! In: [`Options`]. Out: a [`Cluster`] whose API server answers on 127.0.0.1, into which images are
//! imported, whose Service and pod addresses are reached by [`Cluster::connect`], and in whose
//! namespaces programs run by [`Cluster::command`]. It never touches the host's routes, mounts,
//! packet filters or container engines, and never outlives its parent.
//!
//! The box itself is the program `box` of this package ([`launch`]); this library starts it, talks
//! to it, and builds what it runs ([`toolchain`], [`image`]).

mod address;
mod attach;
mod cgroup;
mod closure;
mod config;
mod egress;
mod handle;
pub mod image;
mod inside;
pub mod launch;
mod layer;
mod options;
mod packages;
mod progress;
mod socket;
mod state;
pub mod toolchain;

pub use attach::{Attached, attach, list};
pub use handle::Cluster;
pub use options::{Families, Images, Options};
pub use packages::to_run as prepare;
pub use progress::Progress;
pub use state::{Facts, Node};
