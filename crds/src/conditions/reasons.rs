//! The reasons of conditions.
//!
//! In: nothing. Out: one constant per reason, and the table of all with their meaning, from which
//! the reference is written. Never: a message; that is a sentence about one object.

words! {
    /// Everything that the condition asks for is there.
    READY = "Ready";
    /// An object that this one needs is not ready yet.
    DEPENDENCIES_NOT_READY = "DependenciesNotReady";
    /// Pods are starting; nothing is known to be wrong.
    WAITING_TO_BECOME_READY = "WaitingToBecomeReady";
    /// An object was just written and has not been observed since.
    RESOURCE_CREATED_OR_UPDATED = "ResourceCreatedOrUpdated";
    /// An object could not be written; the message has the API server's words.
    UNABLE_TO_PROVISION = "UnableToProvision";
    /// The specification has an error; the message names the field and the remedy.
    VALIDATION_FAILED = "ValidationFailed";
    /// A Secret or ConfigMap that the pod template refers to does not exist.
    REFERENCED_RESOURCES_NOT_AVAILABLE = "ReferencedResourcesNotAvailable";
    /// An image could not be pulled; the message has the container and the registry's answer.
    IMAGE_PULL_FAILED = "ImagePullFailed";
    /// A container cannot be started, for example because its command does not exist.
    CONTAINER_START_FAILED = "ContainerStartFailed";
    /// A container ends again and again; the message has its exit code.
    CRASH_LOOP = "CrashLoop";
    /// No node takes a pod; the message has the scheduler's words.
    UNSCHEDULABLE = "Unschedulable";
    /// A `ResourceQuota` or `LimitRange` of the namespace forbids an object or a pod.
    QUOTA_EXCEEDED = "QuotaExceeded";
    /// An admission webhook, a policy or Pod Security refused an object or a pod.
    REFUSED_BY_POLICY = "RefusedByPolicy";
    /// The operator may not do what is needed; its `ClusterRole` lacks a rule.
    FORBIDDEN = "Forbidden";
    /// An object of the name that a child needs belongs to somebody else; it is left alone.
    NAME_TAKEN = "NameTaken";
    /// A port, such as a node port, is in use by something else.
    PORT_CONFLICT = "PortConflict";
    /// The Deployment made no progress within its deadline and no pod says why.
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded";
    /// The specification asks for no pods, so nothing serves.
    SCALED_TO_ZERO = "ScaledToZero";
    /// The ingress Service has its address.
    ADDRESS_ASSIGNED = "AddressAssigned";
    /// The ingress Service waits for an address; without a load balancer controller none comes.
    ADDRESS_PENDING = "AddressPending";
    /// New pods are replacing old ones; nothing is known to be wrong.
    PROGRESSING = "Progressing";
    /// All pods are of the last revision.
    ROLLED_OUT = "RolledOut";
    /// Every reference resolves.
    RESOLVED_REFS = "ResolvedRefs";
    /// The pods of a ControlPlane are ready.
    PODS_READY = "PodsReady";
    /// The pods of a ControlPlane are not ready; the condition Ready says why.
    PODS_NOT_READY = "PodsNotReady";
    /// A ControlPlane names no DataPlane, or one that does not exist, so nothing is started.
    NO_DATA_PLANE = "NoDataPlane";
    /// Kong took the last configuration whole.
    CONFIGURATION_ACCEPTED = "ConfigurationAccepted";
    /// Kong did not take everything of the last configuration; the message says how much of it.
    CONFIGURATION_REFUSED = "ConfigurationRefused";
    /// Kong Ingress Controller could not translate an object, and left it out.
    TRANSLATION_FAILED = "TranslationFailed";
    /// The DataPlane's pods are ready, which they are when Kong has accepted a configuration.
    PROGRAMMED = "Programmed";
    /// Not enough pods of the DataPlane have a configuration yet.
    NOT_PROGRAMMED = "NotProgrammed";
    /// Every namespace that is to be watched lets itself be read.
    WATCH_NAMESPACE_GRANT_VALID = "WatchNamespaceGrantValid";
    /// A namespace has no WatchNamespaceGrant for the ControlPlane's; it is left out.
    WATCH_NAMESPACE_GRANT_INVALID = "WatchNamespaceGrantInvalid";
    /// Every definition of Kong's own kinds is installed.
    KONG_KINDS_AVAILABLE = "KongKindsAvailable";
    /// Definitions of Kong's own kinds are missing; what would watch them is off.
    DEFINITIONS_MISSING = "DefinitionsMissing";
    /// A rollout waits until the pods of the attempt before are gone.
    WAITING_FOR_TRACK = "WaitingForTrack";
    /// A rollout waits until the pods of its step are ready and serve.
    WAITING_FOR_PODS = "WaitingForPods";
    /// A rollout holds its step for as long as the step asks.
    STEP_HOLDING = "StepHolding";
    /// A rollout waits for somebody's approval.
    AWAITING_APPROVAL = "AwaitingApproval";
    /// Somebody paused a rollout.
    MANUALLY_PAUSED = "ManuallyPaused";
    /// Nothing can be said about the canary, and somebody has to decide.
    AWAITING_DATA = "AwaitingData";
    /// A canary failed and is kept, without traffic, for somebody to look at.
    FAILED_AND_KEPT = "FailedAndKept";
    /// A rollout waits for Kong Ingress Controller, which feeds its canary.
    AWAITING_CONTROL_PLANE = "AwaitingControlPlane";
    /// A rollout gives the canary all traffic.
    PROMOTING = "Promoting";
    /// A rollout waits until the pods of the old revision have no connections.
    DRAINING = "Draining";
    /// A rollout gives stable all traffic again.
    ROLLING_BACK = "RollingBack";
    /// A container of a canary was killed for its memory.
    OUT_OF_MEMORY = "OutOfMemory";
    /// A canary's Kong is of another version than its image was said to have.
    UNEXPECTED_VERSION = "UnexpectedVersion";
    /// A canary refuses the configuration that stable has; the message has Kong's words.
    CONFIG_REJECTED = "ConfigRejected";
    /// A canary answers routes in another way than stable.
    ROUTE_MISMATCH = "RouteMismatch";
    /// It has to be seen yet.
    NOT_OBSERVED = "NotObserved";
    /// The canary is good enough.
    PASSED = "Passed";
    /// The canary is worse than stable beyond doubt.
    ANALYSIS_FAILED = "AnalysisFailed";
    /// Too few requests, or too little time observed.
    INSUFFICIENT_TRAFFIC = "InsufficientTraffic";
    /// The pods' metrics could not be read.
    METRICS_UNAVAILABLE = "MetricsUnavailable";
    /// Pods of stable differ among each other as much as the canary does from them.
    ENVIRONMENT_NOISY = "EnvironmentNoisy";
    /// Nobody judges this canary.
    NOT_JUDGED = "NotJudged";
    /// A rollout went to its end.
    PROMOTED = "Promoted";
    /// A rollout was promoted by somebody who did not wait for its plan.
    PROMOTED_BY_OVERRIDE = "PromotedByOverride";
    /// A canary failed, and stable serves.
    ROLLED_BACK = "RolledBack";
    /// Somebody gave a rollout up, or its change was taken back.
    ABORTED = "Aborted";
    /// Another change came before a rollout was over.
    SUPERSEDED = "Superseded";
    /// A rollout took longer than it may.
    DEADLINE_EXCEEDED = "DeadlineExceeded";
}
