//! The binary `silverback`.

mod admission;
mod allocator;
mod args;
mod doctor;
mod logs;
mod offline;
mod rollouts;
mod run;
mod scrape;
mod traces;
mod world;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let done = match command {
        Command::Run(run) => {
            allocator::settle();
            run::blocking(*run)
        }
        Command::Validate(options) => return offline::validate(&options),
        Command::Default(options) => return offline::default(&options),
        Command::Render(options) => return offline::render(&options),
        Command::Rollout(options) => return rollouts::rollout(&options),
        Command::Doctor(options) => return doctor::doctor(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = error.as_ref() as &dyn Error, "silverback ends");
            eprintln!("silverback: {}", runtime::failure::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
