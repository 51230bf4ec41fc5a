//! What one Kong Ingress Controller's figures mean, from one look at them to the next.
//!
//! In: figures, the addresses of the pods that there are, and the time. Out: a verdict, where there is one yet. A count of
//! what was refused that still grows is a refusal that lasts: Kong Ingress Controller pushes again at each sync, three
//! seconds apart where nothing else is set. One that stands still is over, whatever the other figures say.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kong::controller::{Pushed, Pushes};
use plan::controlplane::Verdict;

/// How long nothing may be refused until that is taken for the end of it.
const QUIET: Duration = Duration::from_secs(20);

/// What was refused by one pod.
struct Trace {
    refusals: u32,
    /// Since when the count stands still, and whether it was ever seen to grow.
    still: Instant,
    grew: bool,
}

/// What was refused, by address.
#[derive(Default)]
pub struct Watched {
    traces: HashMap<String, Trace>,
}

impl Watched {
    /// Another look. Nothing comes of it as long as nothing was pushed to the pods that there are, or it is not known
    /// whether what was refused still is.
    pub fn look(&mut self, said: &[Pushes], kongs: &[String], now: Instant) -> Option<Verdict> {
        self.traces.retain(|address, _| kongs.contains(address));
        let mut broken = Vec::new();
        for address in kongs {
            let pushed = said.iter().filter_map(|figures| figures.to(address));
            let Some(pushed) = pushed.max_by_key(|pushed| pushed.refusals) else { continue };
            broken.push(self.broken(address, pushed, now));
        }
        if broken.is_empty() {
            return None;
        }
        let broken: Vec<u32> = broken.into_iter().collect::<Option<_>>()?;
        let refusing = broken.iter().filter(|broken| **broken > 0).count();
        Some(Verdict {
            refusing: u32::try_from(refusing).unwrap_or(u32::MAX),
            broken: broken.into_iter().max().unwrap_or(0),
            untranslated: said.iter().map(|figures| figures.untranslated).max().unwrap_or(0),
        })
    }

    /// How many resources a pod refuses now, once that is known.
    fn broken(&mut self, address: &str, pushed: Pushed, now: Instant) -> Option<u32> {
        let trace = self.traces.entry(address.to_owned()).or_insert(Trace {
            refusals: pushed.refusals,
            still: now,
            grew: false,
        });
        if trace.refusals != pushed.refusals {
            *trace = Trace { refusals: pushed.refusals, still: now, grew: true };
        }
        if pushed.broken == 0 || now.duration_since(trace.still) >= QUIET {
            return Some(0);
        }
        trace.grew.then_some(pushed.broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[(&str, u32, u32)]) -> [Pushes; 1] {
        let lines: Vec<_> = all
            .iter()
            .map(|(at, broken, refusals)| {
                let base = format!("dataplane=\"https://{at}:8444\"");
                format!(
                    "ingress_controller_configuration_push_broken_resource_count{{{base}}} {broken}\ningress_controller_configuration_push_count{{{base},success=\"false\"}} {refusals}\n"
                )
            })
            .collect();
        [Pushes::read(&lines.concat())]
    }

    fn addresses(all: &[&str]) -> Vec<String> {
        all.iter().map(|at| (*at).to_owned()).collect()
    }

    #[test]
    fn a_refusal_lasts_while_its_count_grows() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        let kongs = addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        let mut look = |broken, refusals, after| {
            let said = figures(&[("10.0.0.1", broken, refusals), ("10.0.0.2", 0, 0), ("10.0.0.9", 7, 7)]);
            watched.look(&said, &kongs, start + Duration::from_secs(after))
        };
        let refused = Some(Verdict { refusing: 1, broken: 2, untranslated: 0 });
        assert_eq!(look(0, 0, 0), Some(Verdict::default()));
        assert_eq!(look(2, 3, 10), refused);
        assert_eq!(look(2, 6, 20), refused);
        assert_eq!(look(2, 6, 30), refused, "a sync may take longer");
        assert_eq!(look(2, 6, 40), Some(Verdict::default()), "back to what was accepted: nothing is pushed");
        assert_eq!(look(2, 1, 50), refused, "a controller that starts counts anew");
        assert_eq!(look(0, 1, 51), Some(Verdict::default()));
    }

    #[test]
    fn what_was_refused_before_the_first_look_is_looked_at_again() {
        let start = Instant::now();
        let kongs = addresses(&["10.0.0.1"]);
        let later = start + QUIET;
        let mut grows = Watched::default();
        assert_eq!(grows.look(&figures(&[("10.0.0.1", 1, 4)]), &kongs, start), None);
        assert_eq!(grows.look(&figures(&[("10.0.0.1", 1, 5)]), &kongs, later).map(|v| v.refusing), Some(1));
        let mut stands = Watched::default();
        assert_eq!(stands.look(&figures(&[("10.0.0.1", 1, 4)]), &kongs, start), None);
        assert_eq!(stands.look(&figures(&[("10.0.0.1", 1, 4)]), &kongs, later), Some(Verdict::default()));
    }

    #[test]
    fn silence_is_no_verdict() {
        let mut watched = Watched::default();
        assert_eq!(watched.look(&figures(&[]), &addresses(&["10.0.0.1"]), Instant::now()), None);
        assert_eq!(watched.look(&[], &addresses(&["10.0.0.1"]), Instant::now()), None);
    }
}
