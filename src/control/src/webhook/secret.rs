//! A rotation's state as a Secret.
//!
//! In: a Secret, or a state. Out: the other, and when the API server stored it. Never: a key of the Secret that is not
//! ours.

use std::time::SystemTime;

use certs::rotation::{Ask, KEYS, State};
use crds::k8s::{ByteString, Secret};
use crds::names::annotations;
use kube::Resource;

/// What is stored in it.
pub fn state(secret: &Secret) -> State {
    State::read(|key| {
        let bytes = secret.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.0.clone()).ok()
    })
}

/// When it was last stored, by the clock of the API server, in whole seconds: no earlier can it be anywhere, however
/// late the clock of this machine is.
pub fn stored(secret: &Secret) -> Option<SystemTime> {
    let metadata = &secret.metadata;
    let changed = metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
    changed.chain(&metadata.creation_timestamp).map(|time| SystemTime::from(time.0)).max()
}

/// What somebody asks for by annotation: `None` is nothing, an error what is not understood.
pub fn ask(secret: &Secret) -> Result<Option<Ask>, String> {
    let asked = secret.metadata.annotations.as_ref().and_then(|all| all.get(annotations::ROTATE));
    match asked.map(String::as_str) {
        None => Ok(None),
        Some("leaf") => Ok(Some(Ask::Leaf)),
        Some("authority") => Ok(Some(Ask::Authority)),
        Some(other) => Err(other.to_owned()),
    }
}

/// The Secret with that state in it; a new one where there is none.
pub fn with(secret: Option<&Secret>, name: &str, state: &State, settles: bool) -> Secret {
    let mut secret = secret.cloned().unwrap_or_else(|| empty(name));
    let data = secret.data.get_or_insert_default();
    data.retain(|key, _| !KEYS.contains(&key.as_str()));
    data.extend(state.entries().map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec()))));
    secret.metadata.managed_fields = None;
    if let Some(annotations) = secret.metadata.annotations.as_mut().filter(|_| settles) {
        annotations.remove(annotations::ROTATE);
    }
    secret
}

fn empty(name: &str) -> Secret {
    let mut secret = Secret { type_: Some("kubernetes.io/tls".to_owned()), ..Secret::default() };
    secret.meta_mut().name = Some(name.to_owned());
    secret
}

#[cfg(test)]
mod tests {
    use certs::Pair;

    use super::*;

    fn some() -> State {
        let pair = |name: &str| Pair { certificate: format!("{name} crt"), key: format!("{name} key") };
        State {
            authority: pair("ca"),
            leaf: pair("tls"),
            next: Some(pair("next")),
            old: Some("old".to_owned()),
        }
    }

    #[test]
    fn a_state_survives_and_strangers_keys_do_too() {
        let mut secret = with(None, "a", &some(), false);
        assert_eq!((secret.type_.as_deref(), state(&secret)), (Some("kubernetes.io/tls"), some()));
        secret.data.as_mut().unwrap().insert("theirs".to_owned(), ByteString(b"x".to_vec()));
        let later = State { next: None, old: None, ..some() };
        let secret = with(Some(&secret), "a", &later, false);
        let keys: Vec<_> = secret.data.as_ref().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["ca.crt", "ca.key", "theirs", "tls.crt", "tls.key"]);
        assert_eq!(state(&secret), later);
    }

    #[test]
    fn what_is_asked_for_goes_with_the_write_that_does_it() {
        let mut secret = with(None, "a", &some(), false);
        assert_eq!(ask(&secret), Ok(None));
        for (said, meant) in [
            ("leaf", Ok(Some(Ask::Leaf))),
            ("authority", Ok(Some(Ask::Authority))),
            ("both", Err("both".to_owned())),
        ] {
            let annotations = [(annotations::ROTATE, said), ("theirs", "x")];
            let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
            secret.metadata.annotations = Some(annotations.into());
            assert_eq!(ask(&secret), meant);
            assert_eq!(ask(&with(Some(&secret), "a", &some(), false)), meant);
            let settled = with(Some(&secret), "a", &some(), true);
            assert_eq!(ask(&settled), Ok(None));
            assert_eq!(settled.metadata.annotations.unwrap().len(), 1, "only ours goes");
        }
    }
}
