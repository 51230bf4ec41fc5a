//! Figures, goals, and how both are written.

use std::time::Duration;

use serde::Serialize;

/// What a figure should not exceed, and what it is.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What is measured.
    pub name: &'static str,
    /// The most it should be.
    pub limit: f64,
    /// What it is; nothing when it was not measured.
    pub measured: Option<f64>,
    /// The unit of both; empty for a plain number.
    pub unit: &'static str,
    /// Whether it was measured and is within the limit.
    pub met: bool,
}

impl Goal {
    /// Judges a figure.
    pub fn new(name: &'static str, unit: &'static str, limit: f64, measured: Option<f64>) -> Self {
        Self { name, limit, measured, unit, met: measured.is_some_and(|measured| measured <= limit) }
    }

    /// Its row in the table.
    pub fn row(&self) -> String {
        let with_unit = |figure: f64| format!("{} {}", plain(figure), self.unit).trim_end().to_owned();
        let measured = self.measured.map_or_else(|| "not measured".to_owned(), with_unit);
        let verdict = if self.met { "met" } else { "**missed**" };
        let verdict = if self.measured.is_some() { verdict } else { "" };
        format!("| {} | {} | {measured} | {verdict} |", self.name, with_unit(self.limit))
    }
}

/// A number with at most two decimals, none of them a trailing zero.
pub fn plain(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Megabytes of a million bytes.
pub fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}

/// Milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A count as a number to calculate with; those of a benchmark fit.
pub fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How long many things took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// Of durations in any order; nothing of none.
    pub fn of(mut all: Vec<Duration>) -> Option<Self> {
        all.sort_unstable();
        // The nearest rank: the smallest that at least this share does not exceed.
        let at = |percent: usize| {
            all.get((all.len() * percent).div_ceil(100).saturating_sub(1)).copied().map(milliseconds)
        };
        Some(Self { count: all.len(), p50: at(50)?, p99: at(99)?, max: at(100)? })
    }

    /// As a cell of the table.
    pub fn text(&self) -> String {
        format!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms ({})", self.p50, self.p99, self.max, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_up_to_its_limit_and_never_without_a_figure() {
        let goal = |measured| Goal::new("writes", "", 9.0, measured);
        assert!(goal(Some(9.0)).met && !goal(Some(9.01)).met && !goal(None).met);
        assert_eq!(goal(Some(9.25)).row(), "| writes | 9 | 9.25 | **missed** |");
        assert_eq!(goal(None).row(), "| writes | 9 | not measured |  |");
        assert_eq!(Goal::new("memory", "MB", 20.0, Some(18.5)).row(), "| memory | 20 MB | 18.5 MB | met |");
    }

    #[test]
    fn a_spread_is_of_what_was_measured() {
        let all = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(Spread::of(all), Some(Spread { count: 200, p50: 100.0, p99: 198.0, max: 200.0 }));
        let one = Spread::of(vec![Duration::from_millis(7)]);
        assert_eq!(one, Some(Spread { count: 1, p50: 7.0, p99: 7.0, max: 7.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
