//! The types of conditions.
//!
//! In: nothing. Out: one constant per type, and the table of all with their meaning, from which the
//! reference is written. Never: a reason.

words! {
    /// Every object is in place and enough pods serve.
    READY = "Ready";
    /// Every pod is of the specification's last revision; during a roll the old ones may still serve.
    ROLLED_OUT = "RolledOut";
    /// What became of the rollout of a Gateway's pods; says nothing about what is served.
    GATEWAY_ROLLED_OUT = "gateway-operator.konghq.com/RolledOut";
    /// The ingress Service has the address that its type promises; says nothing about the pods.
    ADDRESS_ASSIGNED = "AddressAssigned";
    /// Every Secret and ConfigMap that the pod template refers to exists.
    RESOLVED_REFS = "ResolvedRefs";
    /// Every object of a ControlPlane is in place and its pods are ready.
    PROVISIONED = "Provisioned";
    /// The DataPlane of a ControlPlane has a configuration that Kong accepted.
    PROGRAMMED = "Programmed";
    /// Kong took the last configuration whole, and every object could be translated into one.
    CONFIGURATION_ACCEPTED = "ConfigurationAccepted";
    /// Every namespace that a ControlPlane is to watch lets itself be read.
    WATCH_NAMESPACE_GRANT_VALID = "WatchNamespaceGrantValid";
    /// Every definition of Kong's own kinds is installed, so that none is left out.
    KONG_KINDS_AVAILABLE = "KongKindsAvailable";
    /// A rollout goes on by itself; `False` while it waits for somebody, and when it is over.
    PROGRESSING = "Progressing";
    /// The pods of a canary run, take their configuration and answer as stable does.
    CANARY_HEALTHY = "CanaryHealthy";
    /// What was measured says something about a canary.
    ANALYSIS_CONCLUSIVE = "AnalysisConclusive";
    /// A rollout is over; the reason tells how.
    COMPLETED = "Completed";
}
