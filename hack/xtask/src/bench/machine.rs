//! The machine on which something was measured.

use std::fs;

use serde::Serialize;

/// What a figure depends on besides the program.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Its processors, as this process may use them.
    pub processors: usize,
    /// What the kernel calls the first one.
    pub model: String,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The load of the last minute when the measurement began: above its processors, others were at work.
    pub load: String,
}

impl Machine {
    /// Looks at this one.
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (info, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let model = info.lines().find_map(|line| line.strip_prefix("model name"));
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kibibytes = total.and_then(|total| total.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Self {
            processors: std::thread::available_parallelism().map_or(0, Into::into),
            model: model.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned(),
            memory_bytes: kibibytes.unwrap_or_default() * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// As a cell of the table.
    pub fn text(&self) -> String {
        let Self { processors, model, memory_bytes, kernel, load } = self;
        format!("{processors} × {model}, {} GB, Linux {kernel}, load {load}", memory_bytes / 1_000_000_000)
    }
}
