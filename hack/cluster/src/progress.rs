//! What a box tells while it starts and runs.
//!
//! In: phases, messages, facts. Out: one JSON object a line on standard output, read back by the
//! library. Never decides anything.

use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::state::Facts;

/// One step of a start, as a person may follow it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Progress {
    /// Which part of the work this is about: `toolchain`, `packages`, `box`, `cluster`, `images`, `dns`,
    /// `metrics`, `ready`.
    pub phase: String,
    /// What happens, in one line.
    pub message: String,
    /// Time since that part of the work began.
    pub elapsed: Duration,
}

impl Progress {
    pub(crate) fn new(phase: &str, message: impl Into<String>, elapsed: Duration) -> Self {
        Self { phase: phase.to_owned(), message: message.into(), elapsed }
    }
}

/// A line from the program `box`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// A step was taken.
    Progress(Progress),
    /// The box is ready; these are its facts.
    Ready(Facts),
    /// The box ends, or could not start, for this reason.
    Failed {
        /// A sentence, with the last log lines of the component at fault.
        reason: String,
    },
}

/// Writes an event to standard output; an error means that nobody reads any more.
pub(crate) fn tell(event: &Event) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_wire() {
        let step = Event::Progress(Progress::new("toolchain", "12 packages", Duration::from_millis(1500)));
        let line = serde_json::to_string(&step).unwrap();
        assert!(line.starts_with(r#"{"event":"progress","phase":"toolchain""#), "{line}");
        let Event::Progress(read) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        assert_eq!(read.elapsed, Duration::from_millis(1500));
    }
}
