//! The API of Silverback: Kubernetes kinds, their schemas and rules, defaults, names and conditions.
//!
//! In: nothing but values. Out: types, custom resource definitions, pure functions over them.
//! Never: input or output, a clock, an async runtime, a Kubernetes client.

#[macro_use]
mod words;

pub mod access;
pub mod conditions;
pub mod controlplane;
pub mod dataplane;
pub mod defaults;
pub mod gatewayapi;
pub mod gatewayconfiguration;
pub mod grant;
pub mod k8s;
pub mod lists;
pub mod names;
pub mod pod_template;
pub mod port;
pub mod quantity;
pub mod rollout;
mod schema;
pub mod wanted;

pub use controlplane::{ControlPlane, ControlPlaneSpec};
pub use dataplane::{DataPlane, DataPlaneSpec};
pub use gatewayconfiguration::{GatewayConfiguration, GatewayConfigurationSpec};
pub use grant::{WatchNamespaceGrant, WatchNamespaceGrantSpec};
pub use pod_template::PodTemplatePatch;
pub use port::Port;
pub use rollout::{GatewayRollout, GatewayRolloutSpec};
pub use schema::definitions;
