//! A stand-in for Kong Ingress Controller (KIC), for tests where its image cannot be pulled.
//! In: the arguments and environment that KIC takes, a Kubernetes API, Kong's admin API. Out: KIC's requests, writes,
//! listeners and exit codes. Never talks to Konnect or to a database; `docs/stand-in-kic.md` says what else it does not
//! imitate.

mod admin;
mod attach;
mod cli;
mod cluster;
mod keeper;
mod log;
mod process;
mod serve;
mod settings;
mod shared;
mod sync;
mod translate;
mod version;

/// Runs the program with these arguments, the first being its own name; the result is its exit code.
pub fn run(arguments: &[String]) -> std::process::ExitCode {
    cli::run(arguments)
}
