//! `silverback doctor`: what is wrong with an installation, and what to do about it.
//!
//! In: a cluster, as a kubeconfig reaches it. Out: one finding for each thing that was looked at, as text or JSON, and an exit
//! code: 0 where nothing is wrong, 1 where something is, 2 where the cluster could not be asked. Never: a change of anything;
//! the one object that is sent is a dry run.

mod judge;
mod look;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use runtime::metrics::Metrics;
use serde::Serialize;

type Failed = Box<dyn std::error::Error + Send + Sync>;

const USER_AGENT: &str = concat!("silverback-doctor/", env!("CARGO_PKG_VERSION"));

/// Options of `silverback doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Namespace of the operator.
    #[arg(long, env = "SILVERBACK_NAMESPACE", default_value = crds::names::NAMESPACE, value_name = "NAMESPACE")]
    namespace: String,

    /// `spec.controllerName` of the `GatewayClass`es that are looked after.
    #[arg(long, default_value = crds::names::CONTROLLER, value_name = "NAME")]
    controller_name: String,

    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each, and the remedy below it.
    Text,
    /// An array of objects.
    Json,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be looked at, or it only may be wrong.
    Unknown,
    /// Users feel it.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    verdict: Verdict,
    /// What was looked at: `webhooks`, `Gateway default/edge`.
    subject: String,
    /// What was seen.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject: subject.into(), message: message.into(), remedy: None }
    }

    fn unknown(subject: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, remedy: Some(remedy.into()), ..Self::ok(subject, message) }
    }

    fn wrong(subject: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, ..Self::unknown(subject, message, remedy) }
    }

    fn text(&self) -> String {
        let word = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Unknown => "?",
            Verdict::Wrong => "WRONG",
        };
        let remedy = self.remedy.as_ref().map(|remedy| format!("\n      → {remedy}")).unwrap_or_default();
        format!("{word:<5} {}: {}{remedy}\n", self.subject, self.message)
    }
}

/// Runs `silverback doctor`.
pub fn doctor(options: &Doctor) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(error.into())),
    };
    ended(runtime.block_on(run(options)))
}

fn ended(worst: Result<Verdict, Failed>) -> ExitCode {
    match worst {
        Ok(Verdict::Ok | Verdict::Unknown) => ExitCode::SUCCESS,
        Ok(Verdict::Wrong) => ExitCode::from(1),
        Err(error) => {
            eprintln!("silverback: {}", runtime::failure::chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

async fn run(options: &Doctor) -> Result<Verdict, Failed> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already")?;
    let client = runtime::client::connect(USER_AGENT, &Metrics::new(env!("CARGO_PKG_VERSION"))).await?;
    let found = look::all(&client, &options.namespace).await?;
    let findings = judge::all(&found, &options.namespace, &options.controller_name);
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
    write(&shown(&findings, options.output)?)?;
    Ok(worst)
}

fn shown(findings: &[Finding], format: Format) -> Result<String, Failed> {
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(findings)? + "\n",
        Format::Text => {
            let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
            let lines: String = findings.iter().map(Finding::text).collect();
            let (wrong, unknown) = (count(Verdict::Wrong), count(Verdict::Unknown));
            format!("{lines}\n{} looked at, {wrong} wrong, {unknown} not known\n", findings.len())
        }
    })
}

fn write(text: &str) -> Result<(), Failed> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_remedy_another() {
        let wrong = Finding::wrong("webhooks", "nobody answers", "see the log");
        assert_eq!(wrong.text(), "WRONG webhooks: nobody answers\n      → see the log\n");
        let text = shown(&[wrong.clone(), Finding::ok("lease", "held")], Format::Text).unwrap();
        assert!(text.ends_with("\n2 looked at, 1 wrong, 0 not known\n"), "{text}");
        let json = shown(&[wrong], Format::Json).unwrap();
        assert!(
            json.contains("\"verdict\": \"wrong\"") && json.contains("\"remedy\": \"see the log\""),
            "{json}"
        );
    }

    #[test]
    fn what_is_not_known_fails_no_pipeline() {
        assert!(Verdict::Wrong > Verdict::Unknown && Verdict::Unknown > Verdict::Ok);
        assert_eq!(format!("{:?}", ended(Ok(Verdict::Unknown))), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(format!("{:?}", ended(Ok(Verdict::Wrong))), format!("{:?}", ExitCode::from(1)));
    }
}
