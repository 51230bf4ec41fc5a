//! Whether the API server reaches the webhooks.
//!
//! In: the API server. Out: that it does, or why it does not. Never: an object: what is asked for is refused, by the
//! webhook that only answers such questions, and it is a dry run besides.

use std::sync::atomic::{AtomicU64, Ordering};

use crds::DataPlane;
use crds::k8s::ObjectMeta;
use crds::names::{self, labels};
use runtime::clock;
use runtime::writer::{Error, Writer};

/// Tells the questions of this process apart.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Asks once. The webhook called `name` must refuse, in words that only it can know.
pub async fn ask(writer: &Writer, namespace: &str, name: &str) -> Result<(), String> {
    let count = ASKED.fetch_add(1, Ordering::Relaxed);
    let nonce = names::digest(&format!("{} {} {count}", std::process::id(), clock::now()));
    let metadata = ObjectMeta {
        generate_name: Some("silverback-self-test-".to_owned()),
        labels: Some([(labels::SELF_TEST.to_owned(), nonce.clone())].into()),
        ..ObjectMeta::default()
    };
    let object = DataPlane { metadata, ..DataPlane::default() };
    match writer.rehearse(namespace, &object).await {
        Err(Error::Refused { message, .. }) if message.ends_with(&format!("{name} {nonce}")) => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(_) => Err("the API server does not call them yet".to_owned()),
    }
}
