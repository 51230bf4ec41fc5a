//! Health of a target, by what happened to requests and probes.
//! In: events. Out: healthy or not. Never probes.

use std::time::Duration;

use serde_json::Value;

/// Health as Kong names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// No check is configured.
    Off,
    /// Takes requests.
    Healthy,
    /// Takes none.
    Unhealthy,
    /// Its name does not resolve.
    DnsError,
}

impl Health {
    /// The word of the admin API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "HEALTHCHECKS_OFF",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
            Self::DnsError => "DNS_ERROR",
        }
    }
}

/// What happened to a request or a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Could not connect, or the connection broke.
    TcpFailure,
    /// Took too long.
    Timeout,
    /// Answered a request with this status.
    Status(u16),
    /// Answered a probe with this status.
    Probe(u16),
    /// A probe could not connect.
    ProbeFailure,
    /// A probe took too long.
    ProbeTimeout,
}

/// Thresholds of one side; 0 turns a threshold off.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    good: Vec<u64>,
    bad: Vec<u64>,
    successes: u64,
    tcp_failures: u64,
    timeouts: u64,
    http_failures: u64,
}

impl Limits {
    fn new(side: &Value) -> Self {
        let number =
            |part: &str, field: &str| side.get(part).and_then(|part| part.get(field)?.as_u64()).unwrap_or(0);
        let list = |part: &str| -> Vec<u64> {
            side.get(part)
                .map_or(&Value::Null, |part| &part["http_statuses"])
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .collect()
        };
        Self {
            good: list("healthy"),
            bad: list("unhealthy"),
            successes: number("healthy", "successes"),
            tcp_failures: number("unhealthy", "tcp_failures"),
            timeouts: number("unhealthy", "timeouts"),
            http_failures: number("unhealthy", "http_failures"),
        }
    }

    fn acts(&self) -> bool {
        self.tcp_failures + self.timeouts + self.http_failures > 0
    }
}

/// Checks of an upstream.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    passive: Limits,
    active: Limits,
    /// How often healthy targets are probed; zero never.
    pub healthy_interval: Duration,
    /// How often unhealthy targets are probed; zero never.
    pub unhealthy_interval: Duration,
    /// `http`, `https` or `tcp`.
    pub kind: String,
    /// Path of a probe.
    pub path: String,
    /// How long a probe may take.
    pub timeout: Duration,
}

impl Checks {
    /// Reads `healthchecks`.
    pub fn new(item: &Value) -> Self {
        let active = &item["active"];
        let seconds =
            |value: &Value| Duration::from_secs_f64(value.as_f64().unwrap_or(0.0).clamp(0.0, 65_535.0));
        let interval = |path: &str| seconds(active.pointer(path).unwrap_or(&Value::Null));
        Self {
            passive: Limits::new(&item["passive"]),
            active: Limits::new(active),
            healthy_interval: interval("/healthy/interval"),
            unhealthy_interval: interval("/unhealthy/interval"),
            kind: active["type"].as_str().unwrap_or("http").to_owned(),
            path: active["http_path"].as_str().unwrap_or("/").to_owned(),
            timeout: active["timeout"]
                .as_f64()
                .map_or(Duration::from_secs(1), |_| seconds(&active["timeout"])),
        }
    }

    /// Whether targets are probed.
    pub fn probes(&self) -> bool {
        !self.healthy_interval.is_zero() || !self.unhealthy_interval.is_zero()
    }

    fn acts(&self) -> bool {
        self.passive.acts() || self.probes()
    }
}

/// Counters of one target.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whether it takes requests.
    pub healthy: bool,
    /// Whether its name resolved when last tried.
    pub resolved: bool,
    successes: u64,
    tcp_failures: u64,
    timeouts: u64,
    http_failures: u64,
}

impl Default for Record {
    fn default() -> Self {
        Self { healthy: true, resolved: true, successes: 0, tcp_failures: 0, timeouts: 0, http_failures: 0 }
    }
}

impl Record {
    /// The word for this state.
    pub fn health(&self, checks: &Checks) -> Health {
        match (self.resolved, self.healthy, checks.acts()) {
            (false, _, _) => Health::DnsError,
            (true, false, _) => Health::Unhealthy,
            (true, true, true) => Health::Healthy,
            (true, true, false) => Health::Off,
        }
    }

    /// Counts an event; a success clears failures, a failure clears successes.
    pub fn note(&mut self, checks: &Checks, event: Event) {
        let limits = match event {
            Event::Probe(_) | Event::ProbeFailure | Event::ProbeTimeout => &checks.active,
            Event::TcpFailure | Event::Timeout | Event::Status(_) => &checks.passive,
        };
        match event {
            Event::TcpFailure | Event::ProbeFailure => {
                self.tcp_failures += 1;
                self.fail(self.tcp_failures, limits.tcp_failures);
            }
            Event::Timeout | Event::ProbeTimeout => {
                self.timeouts += 1;
                self.fail(self.timeouts, limits.timeouts);
            }
            Event::Status(code) | Event::Probe(code) if limits.bad.contains(&u64::from(code)) => {
                self.http_failures += 1;
                self.fail(self.http_failures, limits.http_failures);
            }
            Event::Status(code) | Event::Probe(code) if limits.good.contains(&u64::from(code)) => {
                self.successes += 1;
                (self.tcp_failures, self.timeouts, self.http_failures) = (0, 0, 0);
                self.healthy |= limits.successes > 0 && self.successes >= limits.successes;
            }
            Event::Status(_) | Event::Probe(_) => {}
        }
    }

    fn fail(&mut self, count: u64, limit: u64) {
        self.successes = 0;
        if limit > 0 && count >= limit {
            self.healthy = false;
            (self.tcp_failures, self.timeouts, self.http_failures) = (0, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn off_until_a_threshold_is_set() {
        let checks = Checks::new(&json!({}));
        let mut record = Record::default();
        for _ in 0..100 {
            record.note(&checks, Event::TcpFailure);
        }
        assert_eq!(record.health(&checks), Health::Off);
    }

    #[test]
    fn statuses_count_against_a_target_and_probes_bring_it_back() {
        let checks = Checks::new(&json!({
            "passive": {"unhealthy": {"http_failures": 2, "http_statuses": [500]}, "healthy": {"http_statuses": [200]}},
            "active": {"healthy": {"interval": 1, "successes": 2, "http_statuses": [200]}},
        }));
        let mut record = Record::default();
        record.note(&checks, Event::Status(500));
        record.note(&checks, Event::Status(200));
        record.note(&checks, Event::Status(500));
        assert_eq!(record.health(&checks), Health::Healthy);
        record.note(&checks, Event::Status(500));
        assert_eq!(record.health(&checks), Health::Unhealthy);
        record.note(&checks, Event::Probe(200));
        record.note(&checks, Event::Probe(200));
        assert_eq!(record.health(&checks), Health::Healthy);
    }
}
