//! How progress looks to a person: one line a step, with the time since the work began.

use std::time::{Duration, Instant};

use cluster::Progress;

/// Shows a step of a box's or a toolchain's.
pub fn step(step: &Progress) {
    line(step.elapsed, &format!("{}: {}", step.phase, step.message));
}

/// Lines of one piece of work, each with the time since it began.
pub struct Story(Instant);

impl Story {
    /// Begins now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Tells what happens.
    pub fn tell(&self, text: &str) {
        line(self.0.elapsed(), text);
    }
}

fn line(since: Duration, text: &str) {
    eprintln!("{:>7.1} s  {text}", since.as_secs_f64());
}
