//! What a Kong pod has counted.
//!
//! In: the lines of `/metrics` on its status listener, while they come. Out: sums over all routes, as the judge of canaries
//! wants them, and the version that Kong says it is. Never: a sum by route; of what Kong exposes, which grows with the
//! number of routes and consumers, nothing is kept.
//! (Kong 3.9.3, plugin `prometheus`: `kong_http_requests_total` only where `status_code_metrics` is on, and latencies only
//! where `latency_metrics` is; a request that no route matched is in neither. What nginx counts is there without the plugin.)

use std::net::IpAddr;

use rollout::judge::{BUCKETS, Counters, Histogram, count};
use serde_json::Value;

use crate::exposition::{self, Sample};
use crate::scrape::{Error, Scraper};

/// Where Kong exposes them.
const PATH: &str = "/metrics";

/// Codes with which Kong itself turns a request away: authentication, limits, and plain HTTP where only TLS will do.
const REFUSALS: [u16; 5] = [401, 403, 413, 426, 429];

/// What a pod has counted since its Kong began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// The version that Kong says it is.
    pub version: Option<String>,
    /// Requests that nginx began to read, whatever for: probes, and those to the admin API, are among them.
    pub nginx: u64,
    /// Those of them that are not answered to the end yet; it rises and falls.
    pub busy: u64,
    /// Requests that a route matched. None where nobody counts them.
    pub requests: Option<u64>,
    /// Those that Kong itself answered with 5xx.
    pub errors: u64,
    /// Those that Kong itself refused.
    pub refusals: u64,
    /// Those that an upstream answered with 5xx.
    pub upstream: u64,
    /// Observations of `kong_kong_latency_ms` up to each of [`BUCKETS`], and of all.
    pub below: [u64; BUCKETS.len() + 1],
}

impl Figures {
    /// Asks a pod at the port of its status listener.
    ///
    /// # Errors
    /// Those of [`Scraper::lines`]; then nothing is known of the pod.
    pub async fn ask(scraper: &Scraper, address: IpAddr, port: u16) -> Result<Self, Error> {
        let mut figures = Self::default();
        scraper.lines(address, port, PATH, |line| figures.line(line)).await?;
        Ok(figures)
    }

    /// Takes a line.
    pub fn line(&mut self, line: &str) {
        exposition::samples(line).for_each(|sample| self.sample(&sample));
    }

    /// What the judge wants. `own` are requests that were no traffic, and `detailed` says whether all that a route matches
    /// is counted.
    pub fn counters(&self, own: u64, detailed: bool) -> Counters {
        Counters {
            detailed,
            requests: self.requests.unwrap_or(0),
            errors: self.errors,
            refusals: self.refusals,
            upstream: self.upstream,
            nginx: self.nginx,
            own,
            latency: self.latency(),
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        match sample.name {
            "kong_http_requests_total" => self.request(sample),
            "kong_kong_latency_ms_bucket" => self.bucket(sample),
            "kong_nginx_requests_total" if is_http(sample) => add(&mut self.nginx, sample.value),
            "kong_nginx_connections_total" if is_http(sample) && is_busy(sample) => {
                add(&mut self.busy, sample.value);
            }
            "kong_node_info" => self.version = sample.label("version"),
            _ => {}
        }
    }

    fn request(&mut self, sample: &Sample<'_>) {
        add(self.requests.get_or_insert(0), sample.value);
        let code = sample.label("code").and_then(|code| code.parse::<u16>().ok()).unwrap_or(0);
        // Kong says `service` for what an upstream answered, and `kong` for what it answered itself.
        let counter = match (sample.label("source").as_deref(), code) {
            (Some("kong"), 500..) => &mut self.errors,
            (Some("kong"), code) if REFUSALS.contains(&code) => &mut self.refusals,
            (Some("service"), 500..) => &mut self.upstream,
            _ => return,
        };
        add(counter, sample.value);
    }

    /// Buckets of Prometheus hold what smaller ones hold too. Bounds of another version that the judge does not have are
    /// passed over: what they hold is in the next one that it has.
    fn bucket(&mut self, sample: &Sample<'_>) {
        let Some(bound) = sample.label("le").and_then(|bound| bound.parse::<f64>().ok()) else { return };
        let known = BUCKETS.iter().position(|known| (f64::from(*known) - bound).abs() < f64::EPSILON);
        let place = if bound.is_infinite() { Some(BUCKETS.len()) } else { known };
        if let Some(sum) = place.and_then(|place| self.below.get_mut(place)) {
            add(sum, sample.value);
        }
    }

    fn latency(&self) -> Histogram {
        let mut histogram = Histogram::default();
        let mut before = 0;
        for (cell, below) in histogram.0.iter_mut().zip(self.below) {
            // A bound that this version of Kong does not have holds nothing.
            *cell = below.saturating_sub(before);
            before = before.max(below);
        }
        histogram
    }
}

fn is_http(sample: &Sample<'_>) -> bool {
    sample.label("subsystem").as_deref() == Some("http")
}

/// nginx counts a request when it begins to read it, and holds it as being read or written until it is answered.
fn is_busy(sample: &Sample<'_>) -> bool {
    matches!(sample.label("state").as_deref(), Some("reading" | "writing"))
}

fn add(sum: &mut u64, value: f64) {
    *sum = sum.saturating_add(count(value));
}

/// Whether Kong counts every request that a route matches, by its configuration. Its figures alone do not tell: a pod that
/// matched nothing yet, because it has lost its routes, exposes the same as one that does not count.
pub fn counts_all(configuration: &Value) -> bool {
    let plugins = configuration.get("plugins").and_then(Value::as_array).into_iter().flatten();
    let scopes = ["service", "route", "consumer", "consumer_group"];
    let is_whole = |plugin: &Value| scopes.iter().all(|scope| plugin.get(scope).is_none_or(Value::is_null));
    let is_on = |plugin: &Value, pointer: &str, usual: bool| {
        plugin.pointer(pointer).and_then(Value::as_bool).unwrap_or(usual)
    };
    plugins.filter(|plugin| plugin.get("name").is_some_and(|name| name == "prometheus")).any(|plugin| {
        is_whole(plugin)
            && is_on(plugin, "/enabled", true)
            && is_on(plugin, "/config/status_code_metrics", false)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = r#"
# HELP kong_http_requests_total HTTP status codes per consumer/service/route in Kong
# TYPE kong_http_requests_total counter
kong_http_requests_total{service="a",route="r",code="200",source="service",workspace="default",consumer=""} 100
kong_http_requests_total{service="a",route="r",code="503",source="service",workspace="default",consumer=""} 7
kong_http_requests_total{service="a",route="r",code="500",source="kong",workspace="default",consumer=""} 3
kong_http_requests_total{service="b",route="code=\"500\"",code="502",source="kong",workspace="default",consumer="c"} 2
kong_http_requests_total{service="b",route="q",code="429",source="kong",workspace="default",consumer=""} 5
kong_http_requests_total{service="b",route="q",code="401",source="service",workspace="default",consumer=""} 11
kong_http_requests_total{service="b",route="q",code="404",source="kong",workspace="default",consumer=""} 1
kong_nginx_requests_total{node_id="i",subsystem="http"} 160
kong_nginx_requests_total{node_id="i",subsystem="stream"} 1000
kong_nginx_connections_total{node_id="i",subsystem="http",state="writing"} 4
kong_nginx_connections_total{node_id="i",subsystem="http",state="reading"} 1
kong_nginx_connections_total{node_id="i",subsystem="http",state="waiting"} 90
kong_nginx_connections_total{node_id="i",subsystem="stream",state="writing"} 50
kong_node_info{node_id="i",version="3.9.3"} 1
"#;

    fn of(text: &str) -> Figures {
        let mut figures = Figures::default();
        text.lines().for_each(|line| figures.line(line));
        figures
    }

    #[test]
    fn requests_are_summed_by_who_answered_and_how() {
        let figures = of(TEXT);
        assert_eq!(figures.version.as_deref(), Some("3.9.3"));
        let counters = figures.counters(20, true);
        assert_eq!((counters.requests, counters.errors, counters.refusals), (129, 5, 5));
        assert_eq!((counters.upstream, counters.nginx, counters.own), (7, 160, 20));
        assert_eq!(figures.busy, 5);
        assert!(counters.detailed);
    }

    #[test]
    fn without_the_plugin_only_nginx_counts() {
        let figures = of("kong_nginx_requests_total{node_id=\"i\",subsystem=\"http\"} 9\n");
        assert_eq!((figures.requests, figures.nginx, figures.version.as_deref()), (None, 9, None));
        assert_eq!(figures.counters(0, false), Counters { nginx: 9, ..Counters::default() });
        let odd = of("kong_nginx_requests_total{subsystem=\"http\"} NaN\nkong_nginx_requests_total 3\n");
        assert_eq!(odd, Figures::default());
    }

    /// Buckets of one series: how many are in each, in the order of the bounds.
    fn series(route: &str, cells: &[(&str, u64)]) -> String {
        let mut sum = 0;
        let line = |(bound, cell): &(&str, u64)| {
            sum += cell;
            format!("kong_kong_latency_ms_bucket{{service=\"s\",route=\"{route}\",le=\"{bound}\"}} {sum}\n")
        };
        cells.iter().map(line).collect()
    }

    #[test]
    fn buckets_of_all_routes_become_one_histogram() {
        let bounds: Vec<_> = BUCKETS.iter().map(u32::to_string).chain(["+Inf".to_owned()]).collect();
        let cells = |by: u64| -> Vec<(&str, u64)> {
            bounds.iter().enumerate().map(|(at, bound)| (bound.as_str(), by * (at as u64 + 1))).collect()
        };
        let latency = of(&(series("a", &cells(1)) + &series("b", &cells(10)))).latency();
        let wanted: Vec<u64> = (1..=18).map(|at| at * 11).collect();
        assert_eq!(latency.0.as_slice(), wanted);
    }

    #[test]
    fn bounds_of_another_version_lose_no_observation() {
        let latency = of(&series("a", &[("1.0", 1), ("3", 2), ("5", 4), ("80", 8), ("+Inf", 16)])).latency();
        assert_eq!(latency.total(), 31);
        assert_eq!((latency.0[0], latency.0[1], latency.0[2], latency.0[17]), (1, 0, 6, 24));
    }

    #[test]
    fn only_a_plugin_for_everything_counts_everything() {
        let plugin = |scope: Value, enabled: Value, codes: Value| {
            let mut plugin = json!({ "name": "prometheus", "enabled": enabled, "config": { "status_code_metrics": codes } });
            if let Some(own) = plugin.as_object_mut() {
                own.extend(scope.as_object().cloned().unwrap_or_default());
            }
            json!({ "plugins": [{ "name": "cors" }, plugin] })
        };
        for (configuration, wanted) in [
            (plugin(json!({}), json!(true), json!(true)), true),
            (plugin(json!({ "service": null }), json!(null), json!(true)), true),
            (plugin(json!({ "service": "an-id" }), json!(true), json!(true)), false),
            (plugin(json!({ "route": { "id": "an-id" } }), json!(true), json!(true)), false),
            (plugin(json!({}), json!(false), json!(true)), false),
            (plugin(json!({}), json!(true), json!(false)), false),
            (json!({ "plugins": [{ "name": "prometheus" }] }), false),
            (json!({}), false),
        ] {
            assert_eq!(counts_all(&configuration), wanted, "{configuration}");
        }
    }
}
