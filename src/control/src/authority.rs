//! The authority of the admin certificates, in a Secret of the operator's namespace.
//!
//! It is made once. A Secret that is there is read and never overwritten: whoever put it there decides.

use std::time::SystemTime;

use certs::{Authority, Pair, Verdict};
use crds::k8s::{ByteString, Secret};
use crds::names::managers;
use kube::api::Api;
use kube::{Client, Resource};
use runtime::clock;
use runtime::writer::{self, Writer};

/// Name of the authority in its own certificate.
const SUBJECT: &str = "Silverback";

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("Secret {namespace}/{name} could not be read")]
    Read {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] writer::Error),
    /// What is in it is no authority.
    #[error(
        "Secret {namespace}/{name} holds no usable authority (tls.crt, tls.key): correct it, or delete it to have a new one made"
    )]
    Unusable {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// The cause.
        #[source]
        source: certs::Error,
    },
}

/// Reads the authority, or makes it where there is none.
///
/// # Errors
/// When the Secret can be neither read nor made, or holds something else.
pub async fn ensure(
    client: &Client,
    writer: &Writer,
    namespace: &str,
    name: &str,
) -> Result<Authority, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let read =
        |source| Error::Read { namespace: namespace.into(), name: name.into(), source: Box::new(source) };
    let unusable = |source| Error::Unusable { namespace: namespace.into(), name: name.into(), source };
    let secret = if let Some(secret) = api.get_opt(name).await.map_err(read)? {
        secret
    } else {
        let made = Authority::make(SUBJECT, SystemTime::from(clock::now())).map_err(unusable)?;
        let writer = writer.under(managers::CERTIFICATES);
        // Two replicas may both find none: the second one reads what the first one made.
        match writer.create(namespace, &secret_of(name, made.pair())).await? {
            Some(secret) => secret,
            None => api.get(name).await.map_err(read)?,
        }
    };
    let pair = pair(&secret);
    let authority = Authority::read(&pair).map_err(unusable)?;
    if let Verdict::Renew(reason) = certs::judge_authority(&pair, SystemTime::from(clock::now())) {
        tracing::warn!(namespace, name, %reason, "the authority needs to be replaced: what it signs does not outlive it");
    }
    Ok(authority)
}

fn secret_of(name: &str, pair: &Pair) -> Secret {
    let mut secret = Secret { type_: Some("kubernetes.io/tls".into()), ..Secret::default() };
    secret.meta_mut().name = Some(name.to_owned());
    let data = [("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
    secret.data = Some(data.map(|(key, pem)| (key.to_owned(), ByteString(pem.as_bytes().to_vec()))).into());
    secret
}

fn pair(secret: &Secret) -> Pair {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
        String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    };
    Pair { certificate: text("tls.crt"), key: text("tls.key") }
}
