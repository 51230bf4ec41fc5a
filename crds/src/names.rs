//! The words by which objects are known: group, labels, annotations, field managers, names of children.
//!
//! In: the name of a resource. Out: names that Kubernetes takes, the same on every run. Never: a
//! random part, so that children are found, adopted and restored by name.

/// API group of every kind.
pub const GROUP: &str = "gateway-operator.konghq.com";

/// Value of `GatewayClass.spec.controllerName` by default; that of Kong Gateway Operator.
pub const CONTROLLER: &str = "konghq.com/gateway-operator";

/// Namespace that the manifests install into.
pub const NAMESPACE: &str = "silverback-system";

/// The operator's own pods, by the label [`labels::NAME`].
pub const OPERATOR: &str = "silverback";

/// The container of a `DataPlane` pod that runs Kong.
pub const PROXY_CONTAINER: &str = "proxy";

/// Name of the port of the admin Service; Kong Ingress Controller looks for it.
pub const ADMIN_PORT: &str = "admin";

/// Service in front of the operator's webhooks.
pub const WEBHOOK_SERVICE: &str = "silverback-webhook";

/// Secret with the authority and the certificate of the webhooks, in the operator's namespace.
pub const WEBHOOK_SECRET: &str = "silverback-webhook";

/// Name of both webhook configurations.
pub const WEBHOOK_CONFIGURATION: &str = "silverback";

/// Label keys.
pub mod labels {
    /// Name of the owner; the selector of Services, Deployments and autoscalers rests on it.
    pub const APP: &str = "app";
    /// Kind of the owner, in lower case: `dataplane`.
    pub const MANAGED_BY: &str = "gateway-operator.konghq.com/managed-by";
    /// What a Service is for: `admin` or `ingress`.
    pub const SERVICE_TYPE: &str = "gateway-operator.konghq.com/dataplane-service-type";
    /// Whether a Service serves (`live`) or waits for promotion (`preview`).
    pub const SERVICE_STATE: &str = "gateway-operator.konghq.com/dataplane-service-state";
    /// Whether a Deployment serves (`live`) or waits for promotion (`preview`).
    pub const DEPLOYMENT_STATE: &str = "gateway-operator.konghq.com/dataplane-deployment-state";
    /// Name of the owner, where an owner reference is not possible.
    pub const OWNER_NAME: &str = "gateway-operator.konghq.com/managed-by-name";
    /// Namespace of the owner, where an owner reference is not possible.
    pub const OWNER_NAMESPACE: &str = "gateway-operator.konghq.com/managed-by-namespace";
    /// The program that an object belongs to: Kubernetes' own label.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Name of the Gateway that an object serves: Gateway API's own label.
    pub const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
    /// On a certificate Secret: the Service whose name it certifies.
    pub const SERVICE_SECRET: &str = "gateway-operator.konghq.com/service-secret";
    /// The track, that is the Deployment, that a pod belongs to; fixed when the track is made.
    pub const TRACK: &str = "gateway-operator.konghq.com/track";
    /// On a `DataPlane` that is never stored: the operator asks whether its webhooks are reached.
    pub const SELF_TEST: &str = "gateway-operator.konghq.com/self-test";
}

/// Values of our labels.
pub mod values {
    /// [`super::labels::MANAGED_BY`] on children of a `DataPlane`.
    pub const DATAPLANE: &str = "dataplane";
    /// [`super::labels::MANAGED_BY`] on children of a `ControlPlane`.
    pub const CONTROLPLANE: &str = "controlplane";
    /// [`super::labels::MANAGED_BY`] on what is made for a `Gateway`.
    pub const GATEWAY: &str = "gateway";
    /// [`super::labels::SERVICE_TYPE`] of the Service that takes traffic.
    pub const INGRESS: &str = "ingress";
    /// [`super::labels::SERVICE_TYPE`] of the Service of the admin API.
    pub const ADMIN: &str = "admin";
    /// The state of what serves.
    pub const LIVE: &str = "live";
    /// The state of what waits for promotion.
    pub const PREVIEW: &str = "preview";
    /// [`super::labels::TRACK`] of the first track of a `DataPlane`. The label says which track it is, not
    /// what it does: after a promotion another one serves, under its own name.
    pub const FIRST_TRACK: &str = "1";
    /// [`super::labels::TRACK`] of the other one, which a rollout makes beside the first.
    pub const SECOND_TRACK: &str = "2";
}

/// Annotation keys.
pub mod annotations {
    /// On a `DataPlane`: `"true"` promotes the waiting pods once they are ready.
    pub const PROMOTE_WHEN_READY: &str = "gateway-operator.konghq.com/promote-when-ready";
    /// Before the verb in annotations of a `DataPlane` by which people act on its rollout. Their value is the revision that the
    /// verb is meant for.
    pub const ROLLOUT_VERBS: &str = "rollout.gateway-operator.konghq.com/";
    /// On a `DataPlane`: `key=value,…` replaces the selector of its Services.
    pub const SELECTOR_OVERRIDE: &str = "gateway-operator.konghq.com/service-selector-override";
    /// On a Deployment of a `DataPlane`: the revision of its pods, that is the hash of the user's pod template.
    pub const REVISION: &str = "gateway-operator.konghq.com/revision";
    /// On a Deployment of a `DataPlane`: the user's pod template that its pods were made from, so that a rollout can keep it
    /// while the specification asks for another.
    pub const POD_TEMPLATE: &str = "gateway-operator.konghq.com/pod-template";
    /// On a pod: the whole name of its `DataPlane`, which the label `app` holds cut where it is long.
    pub const DATAPLANE: &str = "gateway-operator.konghq.com/dataplane";
    /// On a pod: the whole name of its `ControlPlane`.
    pub const CONTROLPLANE: &str = "gateway-operator.konghq.com/controlplane";
    /// On an object that can have no owner reference: the uid of its owner, which alone decides whose it is.
    pub const OWNER: &str = "gateway-operator.konghq.com/owner-uid";
    /// On a pod of a `ControlPlane`: tells one version and router of Kong from another, which Kong Ingress Controller
    /// asks for once.
    pub const KONG: &str = "gateway-operator.konghq.com/kong";
    /// On a Deployment of a `DataPlane`: its pods are ready when a control plane has configured them.
    pub const CONFIGURED: &str = "gateway-operator.konghq.com/configured-by";
    /// On a pod template: hash of the admin certificate, so that a new one rolls the pods.
    pub const CERTIFICATE_HASH: &str = "gateway-operator.konghq.com/certificate-hash";
    /// On a Deployment: the number of replicas that its owner's specification gives; absent while an autoscaler,
    /// or nobody, decides.
    pub const REPLICAS: &str = "gateway-operator.konghq.com/replicas";
    /// On the Secret of the webhooks: `leaf` or `authority` is replaced now, and the annotation goes.
    pub const ROTATE: &str = "gateway-operator.konghq.com/rotate";
    /// Set by `kubectl rollout restart` on the pod template; never ours.
    pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
}

/// Field managers of server-side apply, one per concern: `managedFields` then reads as documentation.
pub mod managers {
    /// The Deployment, Services and other children of a `DataPlane`.
    pub const DATAPLANE: &str = "silverback/dataplane";
    /// The children of a `ControlPlane`, and its finalizer.
    pub const CONTROLPLANE: &str = "silverback/controlplane";
    /// The children of a `Gateway`.
    pub const GATEWAY: &str = "silverback/gateway";
    /// The `GatewayRollout`s of a `DataPlane`.
    pub const ROLLOUTS: &str = "silverback/rollouts";
    /// The number of replicas of a Deployment, while it passes from a user to an autoscaler.
    pub const AUTOSCALING: &str = "silverback/autoscaling";
    /// The certificates.
    pub const CERTIFICATES: &str = "silverback/certificates";
    /// The status of our own kinds.
    pub const STATUS: &str = "silverback/status";
    /// The webhook configurations.
    pub const WEBHOOKS: &str = "silverback/webhooks";
    /// The leader election lease.
    pub const LEASE: &str = "silverback/lease";
}

/// Deployment of one track of a `DataPlane`.
pub fn deployment(dataplane: &str, track: &str) -> String {
    child_name("dataplane", &format!("{dataplane}-{track}"))
}

/// Service that takes the traffic of a `DataPlane`, unless the user names it.
pub fn ingress_service(dataplane: &str) -> String {
    child_name("dataplane-ingress", dataplane)
}

/// Service of the pods of a `DataPlane`'s canary alone.
pub fn preview_service(dataplane: &str) -> String {
    child_name("dataplane-preview", dataplane)
}

/// The `number`th `GatewayRollout` of a `DataPlane`.
pub fn rollout(dataplane: &str, number: u64) -> String {
    format!("{dataplane}-{number}")
}

/// Job of a hook of a rollout. `asked` tells one time that it is asked from another.
pub fn hook_job(rollout: &str, asked: &str) -> String {
    child_name("rollout-hook", &format!("{rollout}-{}", digest(asked)))
}

/// Headless Service of the admin API of a `DataPlane`.
pub fn admin_service(dataplane: &str) -> String {
    child_name("dataplane-admin", dataplane)
}

/// Secret with the certificate of the admin API of a `DataPlane`.
pub fn admin_certificate(dataplane: &str) -> String {
    child_name("dataplane-admin-cert", dataplane)
}

/// Secret with the authority whose clients the admin API of a `DataPlane` lets in.
pub fn client_authority(dataplane: &str) -> String {
    child_name("dataplane-client-ca", dataplane)
}

/// `NetworkPolicy` of a `Gateway`.
pub fn network_policy(gateway: &str) -> String {
    child_name("gateway", gateway)
}

/// Deployment, service account and Role of a `ControlPlane`.
pub fn controller(controlplane: &str) -> String {
    child_name("controlplane", controlplane)
}

/// `ControlPlane` of one of the further `DataPlane`s that a `ControlPlane` names.
pub fn beside(controlplane: &str, dataplane: &str) -> String {
    child_name(controlplane, dataplane)
}

/// Secret with the certificate that opens the admin API to a `ControlPlane`.
pub fn controller_certificate(controlplane: &str) -> String {
    suffixed(controlplane, "client")
}

/// Service of the admission webhook of a `ControlPlane`, and Secret with its certificate.
pub fn controller_webhook(controlplane: &str) -> String {
    suffixed(controlplane, "webhook")
}

/// `controlplane-<name>-<suffix>`, which would be cut before the suffix where the name is long.
fn suffixed(controlplane: &str, suffix: &str) -> String {
    let whole = format!("controlplane-{controlplane}-{suffix}");
    if label(&whole) == whole { whole } else { child_name(&format!("controlplane-{suffix}"), controlplane) }
}

/// What a `ControlPlane` has without a namespace, and in namespaces of others. A namespace has no dot, so no two of
/// these are the same.
pub fn controller_abroad(namespace: &str, controlplane: &str) -> String {
    let name = format!("controlplane.{namespace}.{controlplane}");
    if name.len() <= LONGEST_SUBDOMAIN { name } else { label(&name) }
}

/// Lease of a `ControlPlane`: the name that Kong Gateway Operator gives it.
pub fn election(controlplane: &str) -> String {
    let name = format!("{controlplane}.konghq.com");
    if name.len() <= LONGEST_SUBDOMAIN { name } else { label(&name) }
}

/// `HorizontalPodAutoscaler` of a `DataPlane`: its own name, as with Kong Gateway Operator.
pub fn autoscaler(dataplane: &str) -> String {
    dataplane.to_owned()
}

/// `PodDisruptionBudget` of a `DataPlane`: its own name, as with Kong Gateway Operator.
pub fn disruption_budget(dataplane: &str) -> String {
    dataplane.to_owned()
}

/// Longest name of a Service, value of a label and host name of a pod, in characters.
const LONGEST: usize = 63;
/// Longest name of most objects, in characters.
const LONGEST_SUBDOMAIN: usize = 253;
/// Characters of the hash that a name gets when it cannot be kept whole.
const HASH: usize = 10;

/// `<prefix>-<owner>` where that is a DNS label of at most 63 characters. Where it is not, because
/// the owner's name is long or has dots, it is cut, dots become dashes, and a hash of the owner's
/// name keeps two such owners apart.
///
/// `prefix` must be a DNS label of at most 51 characters that starts with a letter.
pub fn child_name(prefix: &str, owner: &str) -> String {
    label(&format!("{prefix}-{owner}"))
}

/// The owner's name as the value of a label: whole where it is a DNS label, else cut and hashed.
pub fn label_value(owner: &str) -> String {
    label(owner)
}

fn label(name: &str) -> String {
    if name.len() <= LONGEST && !name.contains('.') {
        return name.to_owned();
    }
    let kept: String =
        name.chars().take(LONGEST - HASH - 1).map(|c| if c == '.' { '-' } else { c }).collect();
    let digest = fingerprint(name.as_bytes()) >> (64 - 4 * HASH);
    format!("{kept}-{digest:0HASH$x}")
}

/// Tells one text from another in a label or an annotation: 16 hexadecimal digits.
pub fn digest(text: &str) -> String {
    format!("{:016x}", fingerprint(text.as_bytes()))
}

/// FNV-1a, 64 bits: tiny, and the same for ever, which the standard library's hashes do not promise.
/// Nothing is trusted because of it: whether a child is ours is decided by its owner's UID.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dns_label(name: &str) -> bool {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&name.len())
            && name.chars().all(inner)
            && !name.starts_with('-')
            && !name.ends_with('-')
    }

    #[test]
    fn short_names_are_kept_whole() {
        assert_eq!(deployment("edge", "1"), "dataplane-edge-1");
        assert_eq!(ingress_service("edge"), "dataplane-ingress-edge");
        assert_eq!(admin_service("edge"), "dataplane-admin-edge");
        assert_eq!(admin_certificate("edge"), "dataplane-admin-cert-edge");
        assert_eq!(label_value("edge"), "edge");
        assert_eq!(client_authority("edge"), "dataplane-client-ca-edge");
        assert_eq!(controller("edge"), "controlplane-edge");
        assert_eq!(controller_certificate("edge"), "controlplane-edge-client");
        assert_eq!(controller_webhook("edge"), "controlplane-edge-webhook");
        assert_eq!(controller_abroad("team", "edge"), "controlplane.team.edge");
        assert_eq!(election("edge"), "edge.konghq.com");
        let longest = "x".repeat(LONGEST - "dataplane--1".len());
        assert_eq!(deployment(&longest, "1"), format!("dataplane-{longest}-1"));
    }

    #[test]
    fn long_and_dotted_names_become_labels_and_stay_apart() {
        let long = "x".repeat(253);
        let other = format!("{}y", "x".repeat(252));
        let dashes = format!("{}-{}", "x".repeat(41), "-".repeat(30));
        for name in [long.as_str(), &other, &dashes, "eu.edge", "a.b.c"] {
            for child in [
                deployment(name, "1"),
                ingress_service(name),
                admin_service(name),
                label_value(name),
                controller_certificate(name),
                controller_webhook(name),
            ] {
                assert!(is_dns_label(&child), "{child}");
            }
            assert_ne!(controller_certificate(name), controller_webhook(name));
            assert!(controller_abroad("team", name).len() <= 253 && election(name).len() <= 253);
        }
        assert_ne!(controller_abroad("team", &long), controller_abroad("team", &other));
        assert_ne!(deployment(&long, "1"), deployment(&other, "1"));
        assert_ne!(deployment("eu.edge", "1"), deployment("eu-edge", "1"));
    }

    #[test]
    fn names_never_change_between_versions() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8, "the published test vector of FNV-1a");
        assert_eq!(ingress_service("eu.edge"), "dataplane-ingress-eu-edge-2609143069");
    }
}
