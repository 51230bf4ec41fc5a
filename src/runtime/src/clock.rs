//! The only place in the product where the wall clock is read; all else is handed a time.

use crds::k8s::Timestamp;

/// The current time, in whole seconds as Kubernetes stores it.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
