//! The program `kong`: takes the arguments and the environment of a process, ends with Kong's exit code.
//! Never decides anything itself; see the library.

fn main() -> std::process::ExitCode {
    standin_kong::run(&std::env::args().collect::<Vec<_>>())
}
