//! The program `box`; all of it is in the library, where it is tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    cluster::launch::main()
}
