//! The command line of `/manager`.
//! In: arguments and environment. Out: KIC's exit code and texts. Never serves by itself.

use std::process::ExitCode;

use serde_json::json;

use crate::settings::Settings;
use crate::{log, process};

/// What the image sets to say which release it stands for.
const VERSION: &str = "STANDIN_VERSION";
/// The release it stands for where nothing says so.
const DEFAULT_VERSION: &str = "3.5.13";

/// Runs the program.
pub fn run(argv: &[String]) -> ExitCode {
    let words = argv.get(1..).unwrap_or_default();
    let release = std::env::var(VERSION).unwrap_or_else(|_| DEFAULT_VERSION.to_owned());
    if words.first().is_some_and(|word| word == "version") {
        println!("{}", json!({"release": release, "repo": "stand-in", "commit": "NOT_SET"}));
        return ExitCode::SUCCESS;
    }
    match Settings::read(&release, words, &std::env::vars().collect::<Vec<_>>()) {
        Ok(settings) => serve(settings),
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: Settings) -> ExitCode {
    log::set(&settings.log_level, &settings.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(process::run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&error);
            eprintln!("Error: {error}");
            // Tasks that still hold connections must not delay the end.
            runtime.shutdown_background();
            ExitCode::FAILURE
        }
    }
}
