//! `cargo xtask enter` and `cargo xtask down`: what one does with a box that runs.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

/// Enter a running box: a shell in its namespaces, with kubectl on the PATH and KUBECONFIG set.
///
/// Pod and Service addresses are reached from there. With a command after `--` that command is run instead of a
/// shell, and its exit code is this one's. Takes no time.
#[derive(clap::Args)]
pub struct Enter {
    /// Which box, where several run.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The command to run instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// End a running box, and leave nothing of it behind. Takes a second.
#[derive(clap::Args)]
pub struct Down {
    /// Which box, where several run.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Runs a shell or a command in the box.
pub async fn enter(arguments: &Enter) -> Result<ExitCode> {
    let attached = cluster::attach(arguments.name.as_deref())?;
    let shell = [std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
    let words = if arguments.command.is_empty() { &shell } else { arguments.command.as_slice() };
    let Some((program, rest)) = words.split_first() else { return Ok(ExitCode::SUCCESS) };
    let status = attached.command(program)?.args(rest).status().await?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Ends the box.
pub async fn down(arguments: &Down) -> Result<ExitCode> {
    let attached = cluster::attach(arguments.name.as_deref())?;
    let name = attached.facts().name.clone();
    attached.down().await?;
    println!("box {name} has ended");
    Ok(ExitCode::SUCCESS)
}
