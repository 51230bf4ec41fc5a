//! The command line. Every flag can also be given as `SILVERBACK_<FLAG>` in the environment.

mod webhooks;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{doctor, offline, rollouts};

pub use webhooks::{CertificateSource, Webhooks};

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
    Run(Box<Run>),
    /// Say what a cluster would refuse in manifests, and what may surprise in them.
    Validate(offline::Validate),
    /// Print manifests as a cluster would store them.
    Default(offline::Default),
    /// Print the objects that the operator makes of manifests, or what they would change in a cluster.
    Render(offline::Render),
    /// Show and steer how changes of pods reach the traffic.
    Rollout(rollouts::Rollout),
    /// Say what is wrong with an installation, and what to do about it.
    Doctor(doctor::Doctor),
}

/// Options of `silverback run`. Of one that is given twice the last one counts, so that a manifest can be overlaid.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Run {
    /// Namespace of the operator itself, where the Secret of its certificate authority lives.
    #[arg(long, env = "SILVERBACK_NAMESPACE", default_value = crds::names::NAMESPACE, value_name = "NAMESPACE")]
    pub namespace: String,

    /// Namespaces to look after, as in `team-a,team-b`; nothing outside them is read. All, when empty.
    #[arg(
        long,
        env = "SILVERBACK_WATCH_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ',',
        value_parser = namespace
    )]
    pub watch_namespaces: Vec<String>,

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

    /// Image of Kong Ingress Controller where a ControlPlane names none.
    #[arg(
        long,
        env = "SILVERBACK_CONTROL_PLANE_IMAGE",
        default_value = crds::defaults::CONTROLLER_IMAGE,
        value_name = "IMAGE"
    )]
    pub control_plane_image: String,

    /// Address of the probes /healthz and /readyz.
    #[arg(
        long,
        env = "SILVERBACK_HEALTH_PROBE_BIND_ADDRESS",
        default_value = "[::]:8081",
        value_name = "ADDRESS"
    )]
    pub health_probe_bind_address: SocketAddr,

    /// Address of /metrics: plain HTTP for everybody on a loopback address, HTTPS with a bearer token on others.
    #[arg(
        long,
        env = "SILVERBACK_METRICS_BIND_ADDRESS",
        default_value = "[::]:8443",
        value_name = "ADDRESS"
    )]
    pub metrics_bind_address: SocketAddr,

    /// The webhooks.
    #[command(flatten)]
    pub webhooks: Webhooks,

    /// How long to go on serving after SIGTERM, not ready, until everybody has noticed: as in `10s` or `500ms`.
    #[arg(
        long,
        env = "SILVERBACK_SHUTDOWN_DELAY",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = duration
    )]
    pub shutdown_delay: Duration,

    /// Address of an OpenTelemetry collector, as in `http://collector:4318`; traces are exported only where this or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    #[arg(long, env = "SILVERBACK_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// What to log, as in `info` or `info,runtime=debug`.
    #[arg(long, env = "SILVERBACK_LOG_LEVEL", default_value = "info", value_name = "FILTER")]
    pub log_level: String,

    /// How to log.
    #[arg(long, env = "SILVERBACK_LOG_FORMAT", default_value = "json", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// A number with its unit, `ms`, `s` or `m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        _ => return Err("a number with ms, s or m is meant, as in 10s".to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| "the number is missing or too large".to_owned())?;
    unit.checked_mul(number).ok_or_else(|| "too long".to_owned())
}

/// A name as namespaces have them (RFC 1123), or nothing.
fn namespace(text: &str) -> Result<String, String> {
    let name = text.trim();
    let known = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
    if name.len() > 63 || !name.chars().all(known) || name.starts_with('-') || name.ends_with('-') {
        return Err("no namespace has such a name".to_owned());
    }
    Ok(name.to_owned())
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
    fn durations_have_a_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["10", "s", "", "1h", "-1s", "1.5s", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn namespaces_are_listed_with_commas() {
        let watched = |list: &str| {
            let flag = format!("--watch-namespaces={list}");
            let Command::Run(run) = Arguments::try_parse_from(["silverback", "run", &flag]).ok()?.command
            else {
                return None;
            };
            Some(run.watch_namespaces)
        };
        assert_eq!(watched("team-a, team-b").unwrap(), ["team-a", "team-b"]);
        assert_eq!(watched("a").unwrap(), ["a"]);
        for wrong in ["Team", "a;b", "-a", "a/b"] {
            assert_eq!(watched(wrong), None, "{wrong:?}");
        }
    }

    fn flags() -> Vec<clap::Arg> {
        let command = Arguments::command();
        let run = command.find_subcommand("run").unwrap();
        let ours = |flag: &&clap::Arg| !matches!(flag.get_long(), Some("help" | "version"));
        run.get_arguments().filter(ours).cloned().collect()
    }

    #[test]
    fn every_flag_has_its_variable() {
        for flag in flags() {
            let long = flag.get_long().unwrap();
            let variable = format!("SILVERBACK_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(flag.get_env().unwrap().to_str(), Some(variable.as_str()));
        }
    }

    #[test]
    fn every_flag_is_documented_with_its_default() {
        let page = include_str!("../../../docs/process.md");
        for flag in flags() {
            let long = flag.get_long().unwrap();
            let row = page.lines().find(|line| line.starts_with(&format!("| `--{long}` |")));
            let row = row.unwrap_or_else(|| panic!("--{long} is not in docs/process.md"));
            for default in flag.get_default_values().iter().filter(|_| flag.get_action().takes_values()) {
                assert!(row.contains(&format!("| `{}` |", default.to_str().unwrap())), "{row}");
            }
        }
    }

    #[test]
    fn of_a_flag_that_is_given_twice_the_last_one_counts() {
        let line = ["silverback", "run", "--shutdown-delay=1s", "--shutdown-delay=2s"];
        let Command::Run(run) = Arguments::try_parse_from(line).unwrap().command else { panic!("{line:?}") };
        assert_eq!(run.shutdown_delay, Duration::from_secs(2));
    }
}
