//! The Kubernetes types that this project uses, in one place.
//!
//! In: k8s-openapi. Out: short names for its types. Never: a type of our own.

use kube::Resource;

pub use k8s_openapi::ByteString;
pub use k8s_openapi::DeepMerge;
pub use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
pub use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentSpec, DeploymentStatus, DeploymentStrategy, ReplicaSet,
    RollingUpdateDeployment,
};
pub use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
pub use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
pub use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
};
pub use k8s_openapi::api::batch::v1::Job;
pub use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
pub use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, ContainerState,
    ContainerStateTerminated, ContainerStatus, EmptyDirVolumeSource, EnvFromSource, EnvVar, EnvVarSource,
    ExecAction, HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler, LoadBalancerIngress,
    LocalObjectReference, Namespace, ObjectReference, Pod, PodCondition, PodSecurityContext, PodSpec,
    PodStatus, PodTemplateSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, Secret,
    SecretVolumeSource, SecurityContext, Service, ServiceAccount, ServicePort, ServiceSpec, ServiceStatus,
    SleepAction, TopologySpreadConstraint, Volume, VolumeMount,
};
pub use k8s_openapi::api::discovery::v1::EndpointSlice;
pub use k8s_openapi::api::events::v1::Event;
pub use k8s_openapi::api::networking::v1::NetworkPolicy;
pub use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
pub use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
pub use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionSpec, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
pub use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    APIResourceList, Condition, LabelSelector, LabelSelectorRequirement, ManagedFieldsEntry, MicroTime,
    ObjectMeta, OwnerReference, Time,
};
pub use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
pub use k8s_openapi::jiff::Timestamp;

/// `group/version` of a kind, as manifests write it.
pub fn api_version<K: Resource<DynamicType = ()>>() -> String {
    K::api_version(&()).into_owned()
}

/// Name of a kind, as manifests write it.
pub fn kind<K: Resource<DynamicType = ()>>() -> String {
    K::kind(&()).into_owned()
}
