//! Why a write did not happen, in words for the person who can change that.

use crds::conditions::reasons;
use kube::Resource;
use kube::core::Status;

use crate::failure::{self, Impact};

/// Which object was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Target {
    /// An object of kind `K`.
    pub fn of<K: Resource<DynamicType = ()>>(name: &str) -> Self {
        Self { kind: K::kind(&()).into_owned(), name: name.to_owned() }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.kind, self.name)
    }
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object of this name exists and is not ours.
    #[error(
        "{target} already exists and is not controlled by {wanted_by:?}: delete or rename it, or choose another name"
    )]
    Taken {
        /// The object.
        target: Target,
        /// Who wanted to have it.
        wanted_by: String,
    },
    /// The object, or what it belongs to, is being deleted; it is made anew when it is gone.
    #[error(
        "{0} is being deleted, and is made anew when it is gone. Where it stays, see its metadata.finalizers"
    )]
    Terminating(Target),
    /// Another replica may be writing: this one has lost its lease, or is about to.
    #[error("{0} is not written: this replica does not hold the lease")]
    Fenced(Target),
    /// The API server says no, and why.
    #[error("{target}: {message}. {}", .cause.remedy())]
    Refused {
        /// The object.
        target: Target,
        /// What kind of no it is.
        cause: Cause,
        /// The API server's words.
        message: String,
    },
    /// The API server or the way to it failed.
    #[error("{verb} of {target} failed: {}", words(cause))]
    Api {
        /// What was tried.
        verb: &'static str,
        /// The object.
        target: Target,
        /// Why; the words are in the message already, without what kube adds for programmers.
        cause: Box<kube::Error>,
    },
    /// There was no answer in time.
    #[error("{verb} of {target} was not answered in time")]
    Late {
        /// What was tried.
        verb: &'static str,
        /// The object.
        target: Target,
    },
}

/// What kind of no the API server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A resource quota leaves no room.
    Quota,
    /// A port is in use by something else.
    Port,
    /// An admission webhook or a policy.
    Policy,
    /// The operator has not the right.
    Forbidden,
    /// The object is not valid.
    Invalid,
}

impl Cause {
    fn remedy(self) -> &'static str {
        match self {
            Self::Quota => "Raise the quota, or ask for less",
            Self::Port => "Choose another port, or let Kubernetes choose by leaving nodePort out",
            Self::Policy => "Change the specification or the policy",
            Self::Forbidden => "Give the operator's ClusterRole this right",
            Self::Invalid => "Correct the field that it names",
        }
    }
}

impl Error {
    /// Who has to act on it.
    pub fn impact(&self) -> Impact {
        match self {
            // What has to change is no object of ours, so no watch tells of it.
            Self::Taken { .. } | Self::Refused { .. } => Impact::Waiting,
            Self::Terminating(_) | Self::Fenced(_) => Impact::Passing,
            Self::Api { .. } | Self::Late { .. } => Impact::Transient,
        }
    }

    /// Whether there is no such object.
    pub fn is_absent(&self) -> bool {
        let Self::Api { cause, .. } = self else { return false };
        matches!(cause.as_ref(), kube::Error::Api(status) if status.is_not_found())
    }

    /// Reason for the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Taken { .. } => reasons::NAME_TAKEN,
            Self::Terminating(_) | Self::Fenced(_) => reasons::WAITING_TO_BECOME_READY,
            Self::Refused { cause, .. } => match cause {
                Cause::Quota => reasons::QUOTA_EXCEEDED,
                Cause::Port => reasons::PORT_CONFLICT,
                Cause::Policy => reasons::REFUSED_BY_POLICY,
                Cause::Forbidden => reasons::FORBIDDEN,
                Cause::Invalid => reasons::UNABLE_TO_PROVISION,
            },
            Self::Api { .. } | Self::Late { .. } => reasons::UNABLE_TO_PROVISION,
        }
    }

    /// What the API server's answer means.
    pub(super) fn of(verb: &'static str, target: Target, source: kube::Error) -> Self {
        let kube::Error::Api(status) = &source else {
            return Self::Api { verb, target, cause: Box::new(source) };
        };
        if is_namespace_terminating(status) {
            let name = status.details.as_ref().map(|details| details.name.clone()).unwrap_or_default();
            return Self::Terminating(Target { kind: "Namespace".into(), name });
        }
        match cause(status) {
            Some(cause) => {
                Self::Refused { target, cause, message: status.message.trim_end_matches('.').to_owned() }
            }
            None => Self::Api { verb, target, cause: Box::new(source) },
        }
    }
}

/// What the API server said; else what kept it from saying something.
fn words(error: &kube::Error) -> String {
    let said = match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => failure::chain(other),
    };
    said.trim_end_matches('.').to_owned()
}

fn is_namespace_terminating(status: &Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// By code and, where Kubernetes gives nothing better, by the words of its own source (1.36).
fn cause(status: &Status) -> Option<Cause> {
    let says = |words: &str| status.message.contains(words);
    let policies = ["admission webhook", "ValidatingAdmissionPolicy", "violates PodSecurity"];
    match status.code {
        403 if says("exceeded quota") => Some(Cause::Quota),
        _ if policies.iter().any(|words| says(words)) => Some(Cause::Policy),
        403 => Some(Cause::Forbidden),
        422 if says("already allocated") => Some(Cause::Port),
        400 | 422 => Some(Cause::Invalid),
        // What server-side apply cannot read comes back as a fault of the server.
        500 if says("failed to create typed patch object") => Some(Cause::Invalid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::k8s::Service;

    fn said(code: u16, message: &str) -> Error {
        let status = Status { code, message: message.into(), ..Status::default() };
        Error::of("apply", Target::of::<Service>("edge"), kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn each_no_is_told_as_what_it_is() {
        for (code, message, reason, impact) in [
            (403, "services \"a\" is forbidden: exceeded quota: q", reasons::QUOTA_EXCEEDED, Impact::Waiting),
            (
                422,
                "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
                reasons::PORT_CONFLICT,
                Impact::Waiting,
            ),
            (
                403,
                "admission webhook \"x\" denied the request: no",
                reasons::REFUSED_BY_POLICY,
                Impact::Waiting,
            ),
            (403, "cannot patch resource \"services\"", reasons::FORBIDDEN, Impact::Waiting),
            (422, "spec.ports: Required value", reasons::UNABLE_TO_PROVISION, Impact::Waiting),
            (
                500,
                "failed to create typed patch object: duplicate entries",
                reasons::UNABLE_TO_PROVISION,
                Impact::Waiting,
            ),
            (500, "etcdserver: leader changed", reasons::UNABLE_TO_PROVISION, Impact::Transient),
            (409, "the object has been modified", reasons::UNABLE_TO_PROVISION, Impact::Transient),
        ] {
            let error = said(code, message);
            assert_eq!((error.reason(), error.impact()), (reason, impact), "{code} {message}");
        }
        assert_eq!(
            said(422, "spec.ports: Required value.").to_string(),
            "Service \"edge\": spec.ports: Required value. Correct the field that it names"
        );
    }

    #[test]
    fn a_fault_is_told_in_the_api_servers_words_and_nothing_else() {
        let error = said(500, "etcdserver: leader changed");
        let told = "apply of Service \"edge\" failed: etcdserver: leader changed";
        assert_eq!(failure::chain(&error), told);
        let broken = kube::Error::Service(std::io::Error::other("connection refused").into());
        let error = Error::of("apply", Target::of::<Service>("edge"), broken);
        assert!(failure::chain(&error).ends_with("connection refused"), "{error}");
    }

    #[test]
    fn a_namespace_that_goes_is_waited_for_quietly() {
        let details = serde_json::json!({ "name": "team", "causes": [{ "reason": "NamespaceTerminating" }] });
        let details = serde_json::from_value(details).unwrap();
        let status =
            Status { code: 403, message: "is forbidden".into(), details: Some(details), ..Status::default() };
        let error = Error::of("apply", Target::of::<Service>("edge"), kube::Error::Api(Box::new(status)));
        assert!(error.to_string().starts_with("Namespace \"team\" is being deleted"), "{error}");
        assert_eq!(error.impact(), Impact::Passing);
    }
}
