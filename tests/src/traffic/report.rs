//! Tables of what became of traffic.
//!
//! In: rows. Out: text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Kind;
use super::tally::Tally;

/// What became of one kind of traffic during an event.
#[derive(Clone, Debug)]
pub struct Row {
    /// What happened.
    pub event: String,
    /// To how many pods.
    pub replicas: String,
    /// The kind of traffic.
    pub kind: Kind,
    /// What became of it.
    pub tally: Tally,
}

/// The rows as a Markdown table, with the causes of failures below.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| event | replicas | traffic | sent | answered | failed | crossed a close | p50 | p99 | max |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for Row { event, replicas, kind, tally } in rows {
        let (sent, answered, failed) = (tally.sent(), tally.answered(), tally.failures.len());
        let [median, high, most] = [50, 99, 100].map(|share| tally.latency(share).as_millis());
        let (name, crossed) = (kind.name(), tally.crossed);
        let _ = writeln!(
            text,
            "| {event} | {replicas} | {name} | {sent} | {answered} | {failed} | {crossed} | {median} ms | {high} ms | {most} ms |"
        );
    }
    for row in rows {
        text.push_str(&causes(row));
    }
    text
}

/// One kind's figures in short.
pub fn line(tally: &Tally) -> String {
    let (answered, sent, failed) = (tally.answered(), tally.sent(), tally.failures.len());
    let [median, high] = [50, 99].map(|share| tally.latency(share));
    format!("{answered} of {sent} answered, {failed} failed, p50 {median:.1?}, p99 {high:.1?}")
}

/// The causes of failures, each with how often and when it was met first and last.
fn causes(row: &Row) -> String {
    let mut causes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for failure in &row.tally.failures {
        causes.entry(&failure.cause).or_default().push(failure.due);
    }
    let mut text = String::new();
    for (cause, due) in causes {
        let (count, first, last) = (due.len(), due.iter().min(), due.iter().max());
        let (first, last) = (first.copied().unwrap_or_default(), last.copied().unwrap_or_default());
        let name = row.kind.name();
        let _ = writeln!(
            text,
            "{}, {}, {name}: {count} times, due {first:.2?} to {last:.2?} after traffic began: {cause}",
            row.event, row.replicas
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tally::Outcome;
    use super::*;

    #[test]
    fn a_row_has_all_figures_and_causes_are_put_together() {
        let mut tally = Tally::default();
        let second = Duration::from_secs(1);
        let refused = || Outcome::Failed("refused".into());
        for (due, outcome) in [(1, Outcome::Answered), (2, Outcome::Crossed), (4, refused()), (3, refused())]
        {
            tally.add(due * second, 7 * second, second, outcome);
        }
        let row = Row { event: "eviction".into(), replicas: "3".into(), kind: Kind::Http2, tally };
        let text = table(&[row]);
        assert!(
            text.contains("\n| eviction | 3 | HTTP/2 | 4 | 1 | 2 | 1 | 7000 ms | 7000 ms | 7000 ms |\n"),
            "{text}"
        );
        assert!(
            text.ends_with("HTTP/2: 2 times, due 3.00s to 4.00s after traffic began: refused\n"),
            "{text}"
        );
    }
}
