//! The binary `silverback`.

mod allocator;
mod args;
mod logs;
mod run;
mod scrape;
mod traces;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let done = match command {
        Command::Run(run) => {
            allocator::settle();
            run::blocking(run)
        }
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
