//! Switches that make this version misbehave, `STANDIN_*`; the real Kong would ignore them.
//! In: settings. Out: typed switches. Never acts on them.

use std::time::Duration;

use super::settings::{Settings, is_on};

/// What is wrong with this version, on purpose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Switches {
    /// `/status/ready` stays 503.
    pub never_ready: bool,
    /// The process dies so long after its start.
    pub crash_after: Option<Duration>,
    /// The share of routed requests that Kong itself answers with 500, in requests per 10,000.
    pub errors: u32,
    /// Time that Kong adds to each routed request.
    pub latency: Duration,
    /// Every pushed configuration is refused with 400.
    pub refuse_config: bool,
    /// Memory that is lost, in bytes a second.
    pub leak: u64,
}

impl Switches {
    /// Reads the switches.
    ///
    /// # Errors
    /// Names the variable whose value is no number, or a share outside 0 to 1.
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let on = |name: &str| settings.get(&format!("standin.{name}")).is_some_and(|text| is_on(&text));
        let share = number(settings, "error_share")?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&share) {
            return Err("STANDIN_ERROR_SHARE must be between 0 and 1".to_owned());
        }
        let latency = number(settings, "latency")?.unwrap_or(0.0).max(0.0);
        Ok(Self {
            never_ready: on("never_ready"),
            crash_after: number(settings, "crash_after")?
                .map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
            errors: whole(share * 10_000.0),
            latency: Duration::from_secs_f64(latency / 1000.0),
            refuse_config: on("refuse_config"),
            leak: u64::from(whole(number(settings, "leak")?.unwrap_or(0.0))),
        })
    }
}

fn number(settings: &Settings, name: &str) -> Result<Option<f64>, String> {
    let Some(text) = settings.get(&format!("standin.{name}")) else {
        return Ok(None);
    };
    let parsed = text.parse::<f64>().ok().filter(|number| number.is_finite());
    parsed.map(Some).ok_or_else(|| format!("STANDIN_{} must be a number, not '{text}'", name.to_uppercase()))
}

/// The nearest whole number, within `u32`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32 first"
)]
fn whole(number: f64) -> u32 {
    number.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Switches, String> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Switches::read(&Settings::read(pairs).unwrap())
    }

    #[test]
    fn nothing_is_wrong_unless_asked() {
        assert_eq!(read(&[]), Ok(Switches::default()));
    }

    #[test]
    fn reads_each_switch() {
        let found = read(&[
            ("STANDIN_NEVER_READY", "true"),
            ("STANDIN_CRASH_AFTER", "1.5"),
            ("STANDIN_ERROR_SHARE", "0.25"),
            ("STANDIN_LATENCY", "30"),
            ("STANDIN_REFUSE_CONFIG", "on"),
            ("STANDIN_LEAK", "1000"),
        ]);
        let wanted = Switches {
            never_ready: true,
            crash_after: Some(Duration::from_millis(1500)),
            errors: 2500,
            latency: Duration::from_millis(30),
            refuse_config: true,
            leak: 1000,
        };
        assert_eq!(found, Ok(wanted));
    }

    #[test]
    fn says_which_value_is_wrong() {
        assert!(read(&[("STANDIN_LATENCY", "much")]).unwrap_err().contains("STANDIN_LATENCY"));
        assert!(read(&[("STANDIN_ERROR_SHARE", "2")]).unwrap_err().contains("STANDIN_ERROR_SHARE"));
    }
}
