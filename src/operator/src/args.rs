//! The command line. Every flag can also be given as `SILVERBACK_<FLAG>` in the environment.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Silverback provisions and keeps Kong Gateway on Kubernetes.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator until it is told to stop.
    Run(Run),
}

/// Options of `silverback run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Namespace of the operator itself, where the Secret of its certificate authority lives.
    #[arg(long, env = "SILVERBACK_NAMESPACE", default_value = crds::names::NAMESPACE, value_name = "NAMESPACE")]
    pub namespace: String,

    /// Name of the Secret with the authority that signs admin certificates; made when it does not exist.
    #[arg(
        long,
        env = "SILVERBACK_CLUSTER_CA_SECRET",
        default_value = "kong-operator-ca",
        value_name = "NAME"
    )]
    pub cluster_ca_secret: String,

    /// Do not wait for the lease: only for a process that is sure to be alone.
    #[arg(long, env = "SILVERBACK_NO_LEADER_ELECTION")]
    pub no_leader_election: bool,

    /// Image of Kong where a DataPlane names none.
    #[arg(long, env = "SILVERBACK_DATA_PLANE_IMAGE", default_value = crds::defaults::IMAGE, value_name = "IMAGE")]
    pub data_plane_image: String,

    /// Address of the probes /healthz and /readyz.
    #[arg(
        long,
        env = "SILVERBACK_HEALTH_PROBE_BIND_ADDRESS",
        default_value = "[::]:8081",
        value_name = "ADDRESS"
    )]
    pub health_probe_bind_address: SocketAddr,

    /// Address of /metrics.
    #[arg(
        long,
        env = "SILVERBACK_METRICS_BIND_ADDRESS",
        default_value = "[::]:8080",
        value_name = "ADDRESS"
    )]
    pub metrics_bind_address: SocketAddr,

    /// What to log, as in `info` or `info,runtime=debug`.
    #[arg(long, env = "SILVERBACK_LOG_LEVEL", default_value = "info", value_name = "FILTER")]
    pub log_level: String,

    /// How to log.
    #[arg(long, env = "SILVERBACK_LOG_FORMAT", default_value = "json", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        let command = Arguments::command();
        let run = command.find_subcommand("run").unwrap();
        for flag in run
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(|long| !matches!(long, "help" | "version")))
        {
            let variable =
                format!("SILVERBACK_{}", flag.get_long().unwrap().to_uppercase().replace('-', "_"));
            assert_eq!(flag.get_env().unwrap().to_str(), Some(variable.as_str()));
        }
    }
}
