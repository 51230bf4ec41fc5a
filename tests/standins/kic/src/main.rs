//! The program `/manager`: takes the arguments and the environment of a process, ends with KIC's exit code.
//! Never decides anything itself; see the library.

fn main() -> std::process::ExitCode {
    standin_kic::run(&std::env::args().collect::<Vec<_>>())
}
