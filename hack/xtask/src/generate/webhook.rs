//! `manifests/webhook`: the Service of the webhooks, and the configurations that the operator fills in.
//!
//! In: `webhooks::configuration`. Out: manifests. Never: a certificate, or a webhook that is called before the operator
//! is there to answer.

use webhooks::configuration;

use super::{File, yaml};

/// Why there is nothing in them.
const FILLED: &str = "\
# Empty on purpose: nothing is asked of the operator before it runs, and whoever keeps these files in Git sees no
# drift. The operator fills in `webhooks` by server-side apply, certificate authorities included.
";

/// All files of the folder.
pub fn files() -> anyhow::Result<Vec<File>> {
    let configurations =
        ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].map(configuration::empty);
    Ok(vec![
        File::new("manifests/webhook/service.yaml", yaml::documents("", &[configuration::service()])?),
        File::new("manifests/webhook/configurations.yaml", yaml::documents(FILLED, &configurations)?),
    ])
}
