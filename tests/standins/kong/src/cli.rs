//! The command line of `kong`.
//! In: arguments and environment. Out: Kong's exit code and texts. Never serves by itself.

pub mod control;
pub mod start;

use std::process::ExitCode;

use crate::conf::settings::Settings;
use crate::conf::{self, Conf};

/// What Kong's own help says of its commands, for those that exist here.
const USAGE: &str = "Usage: kong COMMAND [OPTIONS]

The available commands are:
 check
 docker-start
 drain
 health
 prepare
 quit
 reload
 restart
 start
 stop
 version

Options:
 -p, --prefix (optional string)  override prefix directory
 -w, --wait (default 0)          seconds `quit` waits before it begins
 -t, --timeout (default 10)      seconds until `quit` and `stop` end the process by force";

/// Arguments of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The command.
    pub command: String,
    /// `--prefix`.
    pub prefix: Option<String>,
    /// `--wait`, in seconds.
    pub wait: u64,
    /// `--timeout`, in seconds.
    pub timeout: Option<u64>,
}

impl Arguments {
    /// Reads arguments; options take their value after a blank or an equals sign.
    ///
    /// # Errors
    /// Names what it does not understand.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut found = Self::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (name, inline) =
                word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let mut value =
                || inline.or_else(|| words.next()).ok_or_else(|| format!("missing parameter for '{name}'"));
            match name {
                "-p" | "--prefix" => found.prefix = Some(value()?.to_owned()),
                "-w" | "--wait" => found.wait = number(name, value()?)?,
                "-t" | "--timeout" => found.timeout = Some(number(name, value()?)?),
                "-c" | "--conf" | "--nginx-conf" => drop(value()?),
                "--v" | "--vv" | "-a" | "--all" => {}
                _ if name.starts_with('-') => return Err(format!("'{name}' is not a valid parameter")),
                _ if found.command.is_empty() => word.clone_into(&mut found.command),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{name}' expects a number, got '{text}'"))
}

/// Runs a command. The image's entrypoint passes `kong docker-start`; the program does as well without it.
pub fn run(argv: &[String]) -> ExitCode {
    let (program, rest) = argv.split_first().map_or(("", argv), |(first, rest)| (first.as_str(), rest));
    let entrypoint = program.ends_with("docker-entrypoint.sh");
    let words = match rest.split_first() {
        Some((first, rest)) if entrypoint && (first == "kong" || first.ends_with("/kong")) => rest,
        _ => rest,
    };
    match dispatch(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}\n\n  Run with --v (verbose) or --vv (debug) for more details");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Result<(), String> {
    let arguments = Arguments::parse(words)?;
    let mut settings = Settings::read(std::env::vars())?;
    if let Some(prefix) = &arguments.prefix {
        settings.set("prefix", prefix);
    }
    match arguments.command.as_str() {
        "" | "help" => {
            println!("{USAGE}");
            Ok(())
        }
        "version" => {
            println!("{}", conf::version(&settings));
            Ok(())
        }
        "check" => Conf::new(settings).map(|_| println!("configuration is valid")),
        "prepare" => start::prepare(&Conf::new(settings)?),
        "docker-start" => start::foreground(Conf::new(settings)?),
        "start" => start::start(settings),
        "restart" => control::stop(&settings, &arguments).and_then(|()| start::start(settings)),
        "reload" => control::reload(&settings),
        "quit" => control::quit(&settings, &arguments),
        "stop" => control::stop(&settings, &arguments),
        "drain" => control::drain(&settings),
        "health" => control::health(&settings),
        other => Err(format!("no such command: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, String> {
        Arguments::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_take_both_forms() {
        let wanted =
            Arguments { command: "quit".into(), prefix: Some("/p".into()), wait: 5, timeout: Some(60) };
        assert_eq!(parse("quit --wait=5 --timeout=60 -p /p"), Ok(wanted.clone()));
        assert_eq!(parse("quit --wait 5 -t 60 --prefix=/p"), Ok(wanted));
        assert!(parse("quit --bogus").unwrap_err().contains("--bogus"));
        assert!(parse("quit --wait").is_err());
    }
}
