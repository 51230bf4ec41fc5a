//! The types of conditions.
//!
//! In: nothing. Out: one constant per type, and the table of all with their meaning, from which the
//! reference is written. Never: a reason.

words! {
    /// Every object is in place and enough pods serve.
    READY = "Ready";
    /// Every pod is of the specification's last revision; during a roll the old ones may still serve.
    ROLLED_OUT = "RolledOut";
    /// The ingress Service has the address that its type promises; says nothing about the pods.
    ADDRESS_ASSIGNED = "AddressAssigned";
    /// Every Secret and ConfigMap that the pod template refers to exists.
    RESOLVED_REFS = "ResolvedRefs";
}
