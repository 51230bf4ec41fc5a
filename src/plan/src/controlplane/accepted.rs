//! Whether Kong took what was pushed to it.
//!
//! In: what Kong Ingress Controller said of its last pushes, where it was asked. Out: a condition. As long as nothing is
//! known by asking, what was known before stays, and pods that are ready have taken one configuration at least.

use crds::conditions::{self, Status, Update, reasons, types};
use crds::k8s::Condition;

/// What became of the last configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Pods of Kong that did not take all of it.
    pub refusing: u32,
    /// Resources in it that Kong did not take; of several pods the greatest number.
    pub broken: u32,
    /// Objects that could not be translated into it.
    pub untranslated: u32,
}

/// The condition; `programmed` says whether the pods are ready.
pub fn accepted(verdict: Option<&Verdict>, programmed: bool, before: &[Condition]) -> Update {
    let Some(verdict) = verdict else { return unasked(programmed, before) };
    let Verdict { refusing, broken, untranslated } = verdict;
    if *refusing > 0 {
        let message = format!(
            "Kong refuses {broken} resources of the last configuration, on {refusing} pods: they are left out, and without the feature gate FallbackConfiguration everything else that is new as well. The log of Kong Ingress Controller names them"
        );
        return update(Status::False, reasons::CONFIGURATION_REFUSED, message);
    }
    if *untranslated > 0 {
        let message = format!(
            "{untranslated} objects cannot be translated into a configuration and are left out. The log of Kong Ingress Controller names them"
        );
        return update(Status::False, reasons::TRANSLATION_FAILED, message);
    }
    good()
}

fn unasked(programmed: bool, before: &[Condition]) -> Update {
    let known = conditions::get(before, types::CONFIGURATION_ACCEPTED)
        .and_then(|known| Some((known, reason(&known.reason)?)));
    match known {
        Some((known, reason)) if known.status == Status::False.as_str() => {
            update(Status::False, reason, known.message.clone())
        }
        Some((known, _)) if known.status == Status::True.as_str() => good(),
        _ if programmed => good(),
        _ => update(Status::Unknown, reasons::NOT_PROGRAMMED, "no configuration was accepted yet".to_owned()),
    }
}

fn good() -> Update {
    let message = "Kong has accepted the last configuration whole".to_owned();
    update(Status::True, reasons::CONFIGURATION_ACCEPTED, message)
}

/// One of the reasons above, from its word.
fn reason(word: &str) -> Option<&'static str> {
    let all = [
        reasons::CONFIGURATION_ACCEPTED,
        reasons::CONFIGURATION_REFUSED,
        reasons::NOT_PROGRAMMED,
        reasons::TRANSLATION_FAILED,
    ];
    all.into_iter().find(|reason| *reason == word)
}

fn update(status: Status, reason: &'static str, message: String) -> Update {
    Update { type_: types::CONFIGURATION_ACCEPTED, status, reason, message, generation: None }
}

/// What a `DataPlane` says of it: the same as the `ControlPlane` that configures it, as soon as that knows. Until then what it
/// said stays; to say that nothing is known yet would be a write that tells nobody anything.
pub fn as_told(controlplane: &[Condition]) -> Option<Update> {
    let told = conditions::get(controlplane, types::CONFIGURATION_ACCEPTED)?;
    let status = [Status::True, Status::False];
    let status = status.into_iter().find(|status| status.as_str() == told.status)?;
    Some(update(status, reason(&told.reason)?, told.message.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(update: Update) -> Vec<Condition> {
        let mut conditions = Vec::new();
        conditions::set(&mut conditions, update, crds::k8s::Timestamp::UNIX_EPOCH);
        conditions
    }

    #[test]
    fn what_was_said_counts_and_what_was_not_leaves_things_as_they_were() {
        let refused = Verdict { refusing: 2, broken: 3, untranslated: 1 };
        let said = accepted(Some(&refused), true, &[]);
        assert_eq!((said.status, said.reason), (Status::False, reasons::CONFIGURATION_REFUSED));
        assert!(said.message.contains("3 resources") && said.message.contains("2 pods"), "{}", said.message);
        let before = held(said.clone());
        assert_eq!(accepted(None, true, &before), said, "a restarted operator has not asked yet");
        let left_out = accepted(Some(&Verdict { untranslated: 1, ..Verdict::default() }), true, &before);
        assert_eq!((left_out.status, left_out.reason), (Status::False, reasons::TRANSLATION_FAILED));
        let healed = accepted(Some(&Verdict::default()), true, &held(left_out));
        assert_eq!((healed.status, healed.reason), (Status::True, reasons::CONFIGURATION_ACCEPTED));
        assert_eq!(accepted(None, false, &held(healed.clone())), healed, "pods that restart refuse nothing");
    }

    #[test]
    fn pods_that_are_ready_have_taken_one() {
        let unknown = accepted(None, false, &[]);
        assert_eq!((unknown.status, unknown.reason), (Status::Unknown, reasons::NOT_PROGRAMMED));
        let ready = accepted(None, true, &held(unknown));
        assert_eq!(ready.status, Status::True);
    }

    #[test]
    fn a_dataplane_says_what_its_controlplane_does() {
        let refused = accepted(Some(&Verdict { refusing: 1, broken: 1, untranslated: 0 }), true, &[]);
        assert_eq!(as_told(&held(refused.clone())), Some(refused));
        assert_eq!(as_told(&[]), None);
        assert_eq!(as_told(&held(accepted(None, false, &[]))), None, "nothing is known yet");
    }
}
