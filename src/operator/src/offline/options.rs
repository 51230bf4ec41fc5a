//! Options of the subcommands that need no cluster.

use std::path::PathBuf;

use clap::Args;
use plan::dataplane::Settings;

use super::check::Premises;
use super::report::Format;

/// Manifests, and what goes without saying about them.
#[derive(Debug, Args)]
pub struct Manifests {
    /// Files with manifests in YAML or JSON, folders with such files, or `-` for standard input.
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,

    /// Namespace of objects that give none.
    #[arg(long, short, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,

    /// Image of Kong where a DataPlane names none, as the operator is told.
    #[arg(long, env = "SILVERBACK_DATA_PLANE_IMAGE", default_value = crds::defaults::IMAGE, value_name = "IMAGE")]
    pub data_plane_image: String,

    /// Image of Kong Ingress Controller where a ControlPlane names none, as the operator is told.
    #[arg(long, env = "SILVERBACK_CONTROL_PLANE_IMAGE", default_value = crds::defaults::CONTROLLER_IMAGE, value_name = "IMAGE")]
    pub control_plane_image: String,

    /// `spec.controllerName` of the `GatewayClass`es that are looked after, as the operator is told.
    #[arg(long, env = "SILVERBACK_CONTROLLER_NAME", default_value = crds::names::CONTROLLER, value_name = "NAME")]
    pub controller_name: String,
}

impl Manifests {
    /// What the checks follow.
    pub fn premises(&self) -> Premises {
        Premises {
            settings: Settings { image: self.data_plane_image.clone() },
            controller: self.controller_name.clone(),
            controller_image: self.control_plane_image.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

/// Options of `silverback validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// What to look at.
    #[command(flatten)]
    pub manifests: Manifests,

    /// How to report.
    #[arg(long, short, default_value = "text", value_name = "FORMAT")]
    pub output: Format,

    /// Say only what is wrong: no warnings, no counts.
    #[arg(long, short)]
    pub quiet: bool,

    /// Fail for warnings too.
    #[arg(long, alias = "strict")]
    pub warnings_as_errors: bool,
}

/// Options of `silverback default`.
#[derive(Debug, Args)]
pub struct Default {
    /// What to fill in.
    #[command(flatten)]
    pub manifests: Manifests,
}

/// Options of `silverback render`.
#[derive(Debug, Args)]
pub struct Render {
    /// What to make objects from.
    #[command(flatten)]
    pub manifests: Manifests,

    /// Compare with the cluster of the kubeconfig: what would change there, and whether pods would be replaced.
    #[arg(long)]
    pub diff: bool,
}
