//! Options of `silverback run` that are about admission.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration;

/// Where and how reviews are answered.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "fields are named as the options are")]
pub struct Webhooks {
    /// Do not serve admission webhooks; definitions and conditions still say what is wrong.
    #[arg(long, env = "SILVERBACK_NO_WEBHOOKS")]
    pub no_webhooks: bool,

    /// Address of the admission webhooks, HTTPS.
    #[arg(
        long,
        env = "SILVERBACK_WEBHOOK_BIND_ADDRESS",
        default_value = "[::]:9443",
        value_name = "ADDRESS"
    )]
    pub webhook_bind_address: SocketAddr,

    /// Name of the Service in front of the webhooks, in the operator's namespace.
    #[arg(
        long,
        env = "SILVERBACK_WEBHOOK_SERVICE",
        default_value = crds::names::WEBHOOK_SERVICE,
        value_name = "NAME"
    )]
    pub webhook_service: String,

    /// Where the certificate of the webhooks comes from.
    #[arg(long, env = "SILVERBACK_WEBHOOK_CERTIFICATES", default_value = "auto", value_name = "SOURCE")]
    pub webhook_certificates: CertificateSource,

    /// Folder with `tls.crt`, `tls.key` and maybe `ca.crt`, for `--webhook-certificates=files`.
    #[arg(
        long,
        env = "SILVERBACK_WEBHOOK_CERTIFICATE_DIRECTORY",
        default_value = "/etc/silverback/webhook",
        value_name = "FOLDER"
    )]
    pub webhook_certificate_directory: PathBuf,

    /// How long a new authority is published before anything is signed by it; the one before is kept ten times as long
    /// after that, but not longer than ten minutes or the grace.
    #[arg(
        long,
        env = "SILVERBACK_WEBHOOK_AUTHORITY_GRACE",
        default_value = "1m",
        value_name = "DURATION",
        value_parser = duration
    )]
    pub webhook_authority_grace: Duration,

    /// `spec.controllerName` of the `GatewayClass`es that are looked after.
    #[arg(
        long,
        env = "SILVERBACK_CONTROLLER_NAME",
        default_value = crds::names::CONTROLLER,
        value_name = "NAME"
    )]
    pub controller_name: String,
}

/// Where the certificate of the webhooks comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CertificateSource {
    /// Operator Lifecycle Manager's, where it has mounted one; else one of the operator's own.
    Auto,
    /// One of the operator's own, in a Secret that it keeps and rotates.
    #[value(name = "self")]
    SelfManaged,
    /// A mounted folder, such as a Secret of cert-manager's.
    Files,
    /// The folders that Operator Lifecycle Manager mounts.
    Olm,
}
