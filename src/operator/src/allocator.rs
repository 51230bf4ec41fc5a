//! The C library's allocator, told to give memory back.
//!
//! In: nothing. Out: this program anew, once, with the allocator's setting in its environment. It changes nothing
//! where the setting is there already, or where the C library is another one.
//!
//! glibc raises the size from which it asks the kernel for a block of its own each time it frees a larger one
//! (mallopt(3), `M_MMAP_THRESHOLD`). After some first lists with large annotations the process would keep 3 to 5 MB
//! that it does not use. Setting the size, even to what it begins with, keeps it where it is; glibc reads it from
//! the environment before any code of ours runs.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

const SETTING: &str = "MALLOC_MMAP_THRESHOLD_";
/// What glibc begins with, in bytes.
const VALUE: &str = "131072";

/// Returns when the setting is there, or cannot be made: then memory costs more, and nothing else.
pub fn settle() {
    if !cfg!(target_env = "gnu") || env::var_os(SETTING).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It returns only when it fails.
    let _ = again.args(arguments).env(SETTING, VALUE).exec();
}
