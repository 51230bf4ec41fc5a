//! What the operator's process uses, as the kernel has it.
//!
//! In: a box, the program. Out: samples. Never asks the process itself, which would be work for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cluster::Cluster;
use serde::Serialize;

use super::figures::megabytes;

/// Clock ticks a second in `/proc/*/stat`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// The process.
pub struct Process(PathBuf);

/// A sample.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    /// Resident memory (`VmRSS`).
    pub resident_bytes: f64,
    /// The most that was ever resident (`VmHWM`).
    pub peak_bytes: f64,
    /// User and system time since it began.
    pub processor_seconds: f64,
    /// Threads.
    pub threads: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Open files of every kind, sockets too.
    pub files: usize,
}

impl Usage {
    /// As a cell of the table.
    pub fn text(&self) -> String {
        let (resident, peak) = (megabytes(self.resident_bytes), megabytes(self.peak_bytes));
        let Self { processor_seconds, threads, sockets, .. } = self;
        format!(
            "{resident:.1} MB resident (peak {peak:.1}), {threads} threads, {sockets} sockets, \
             {processor_seconds:.2} s of processor time so far"
        )
    }
}

impl Process {
    /// The process that runs this program in this box.
    pub fn find(cluster: &Cluster, program: &Path) -> Result<Self> {
        let program = program.canonicalize()?;
        let mark = format!("SILVERBACK_BOX_NAME={}", cluster.name());
        let runs = |dir: &Path| {
            // Those that end meanwhile are not it.
            let environment = fs::read(dir.join("environ")).unwrap_or_default();
            fs::read_link(dir.join("exe")).is_ok_and(|exe| exe == program)
                && environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        };
        let all = fs::read_dir("/proc")?.filter_map(Result::ok).map(|entry| entry.path());
        let found = all.filter(|dir| dir.join("exe").exists()).find(|dir| runs(dir));
        Ok(Self(found.with_context(|| format!("{} does not run in the box", program.display()))?))
    }

    /// A sample of now.
    pub fn sample(&self) -> Result<Usage> {
        let read = |file: &str| fs::read_to_string(self.0.join(file)).context("the operator has ended");
        let (status, stat) = (read("status")?, read("stat")?);
        let links =
            fs::read_dir(self.0.join("fd"))?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let links: Vec<_> = links.collect();
        let is_socket = |link: &&PathBuf| link.to_string_lossy().starts_with("socket:");
        Ok(Usage {
            resident_bytes: bytes(&status, "VmRSS:").context("no VmRSS")?,
            peak_bytes: bytes(&status, "VmHWM:").context("no VmHWM")?,
            processor_seconds: processor(&stat).context("no processor time")?,
            threads: fs::read_dir(self.0.join("task"))?.count(),
            sockets: links.iter().filter(is_socket).count(),
            files: links.len(),
        })
    }
}

fn bytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

/// Fields 14 and 15, counted after the program's name, which may itself hold spaces and parentheses.
fn processor(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(10_485_760.0));
        assert_eq!(bytes(status, "VmHWM:"), Some(20_971_520.0));
        assert_eq!(processor("7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0"), Some(2.0));
    }
}
