//! A stand-in for Kong Gateway in DB-less mode, for tests where its image cannot be pulled.
//! In: the arguments, environment and signals that Kong takes. Out: Kong's listeners, answers and exit codes.
//! Never runs Lua, never talks to a database; `docs/stand-in-kong.md` says what else it does not imitate.

mod admin;
mod answer;
mod balancer;
mod cli;
mod conf;
mod config;
mod lifecycle;
mod log;
mod metrics;
mod node;
mod proxy;
mod router;
mod server;
mod status;
mod store;
mod stream;
mod tls;

/// Runs the program with these arguments, the first being its own name; the result is its exit code.
pub fn run(arguments: &[String]) -> std::process::ExitCode {
    cli::run(arguments)
}
