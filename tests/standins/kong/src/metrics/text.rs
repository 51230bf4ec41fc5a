//! The text of `/metrics`, with Kong's names, labels and help.
//! In: a node. Out: lines in the Prometheus format. Never counts.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::{Counts, Histogram, LATENCY, OWN};
use crate::balancer::health::Health;
use crate::node::Node;

/// Shared dictionaries of Kong and their capacities in bytes.
pub const DICTIONARIES: [(&str, u64); 8] = [
    ("kong", 5_242_880),
    ("kong_cluster_events", 5_242_880),
    ("kong_core_db_cache", 134_217_728),
    ("kong_core_db_cache_miss", 12_582_912),
    ("kong_db_cache", 134_217_728),
    ("kong_healthchecks", 5_242_880),
    ("kong_locks", 8_388_608),
    ("prometheus_metrics", 5_242_880),
];

/// The whole text.
pub fn render(node: &Node) -> String {
    let mut out = String::new();
    let counts = node.metrics.counts();
    bandwidth(&mut out, &counts);
    if node.config.borrow().plugins.counts_health() {
        targets(&mut out, node);
    }
    head(&mut out, "datastore_reachable", "gauge", "Datastore reachable from Kong, 0 is unreachable");
    out.push_str("kong_datastore_reachable 1\n");
    requests(&mut out, &counts);
    let kinds = [
        (
            "kong_latency_ms",
            "Latency added by Kong and enabled plugins for each service/route in Kong",
            &counts.own,
            &OWN[..],
        ),
        (
            "request_latency_ms",
            "Total latency incurred during requests for each service/route in Kong",
            &counts.total,
            &LATENCY[..],
        ),
        (
            "upstream_latency_ms",
            "Latency added by upstream response for each service/route in Kong",
            &counts.upstream,
            &LATENCY[..],
        ),
    ];
    for (name, help, series, bounds) in kinds {
        if !series.is_empty() {
            head(&mut out, name, "histogram", help);
        }
        for ((service, route), histogram) in series {
            let labels =
                format!("service=\"{}\",route=\"{}\",workspace=\"default\"", escape(service), escape(route));
            write_histogram(&mut out, name, &labels, histogram, bounds);
        }
    }
    memory(&mut out);
    nginx(&mut out, node);
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "# HELP kong_{name} {help}\n# TYPE kong_{name} {kind}");
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn bandwidth(out: &mut String, counts: &Counts) {
    if !counts.bytes.is_empty() {
        head(out, "bandwidth_bytes", "counter", "Total bandwidth (ingress/egress) throughput in bytes");
    }
    for ((service, route, direction), bytes) in &counts.bytes {
        let (service, route) = (escape(service), escape(route));
        let _ = writeln!(
            out,
            "kong_bandwidth_bytes{{service=\"{service}\",route=\"{route}\",direction=\"{direction}\",workspace=\"default\",consumer=\"\"}} {bytes}"
        );
    }
}

fn requests(out: &mut String, counts: &Counts) {
    if !counts.requests.is_empty() {
        head(out, "http_requests_total", "counter", "HTTP status codes per consumer/service/route in Kong");
    }
    for ((service, route, code, source), count) in &counts.requests {
        let (service, route) = (escape(service), escape(route));
        let _ = writeln!(
            out,
            "kong_http_requests_total{{service=\"{service}\",route=\"{route}\",code=\"{code}\",source=\"{source}\",workspace=\"default\",consumer=\"\"}} {count}"
        );
    }
}

fn write_histogram(out: &mut String, name: &str, labels: &str, histogram: &Histogram, bounds: &[u64]) {
    let mut total = 0;
    for (at, count) in histogram.buckets.iter().enumerate() {
        total += count;
        let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), u64::to_string);
        let _ = writeln!(out, "kong_{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
    }
    let _ =
        writeln!(out, "kong_{name}_count{{{labels}}} {total}\nkong_{name}_sum{{{labels}}} {}", histogram.sum);
}

fn targets(out: &mut String, node: &Node) {
    const HELP: &str = "Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated.";
    head(out, "upstream_target_health", "gauge", HELP);
    let snapshot = node.config.borrow().clone();
    for upstream in snapshot.upstreams.values() {
        for seen in upstream.seen() {
            for state in [Health::Off, Health::Healthy, Health::Unhealthy, Health::DnsError] {
                let word = state.word().to_lowercase();
                let address = if seen.health == Health::DnsError { "" } else { &seen.address };
                let _ = writeln!(
                    out,
                    "kong_upstream_target_health{{upstream=\"{}\",target=\"{}\",address=\"{address}\",state=\"{word}\",subsystem=\"http\"}} {}",
                    upstream.name,
                    seen.name,
                    u8::from(seen.health == state)
                );
            }
        }
    }
}

fn memory(out: &mut String) {
    head(out, "memory_lua_shared_dict_bytes", "gauge", "Allocated slabs in bytes in a shared_dict");
    for (name, _) in DICTIONARIES {
        let _ = writeln!(
            out,
            "kong_memory_lua_shared_dict_bytes{{node_id=\"{{id}}\",shared_dict=\"{name}\",kong_subsystem=\"http\"}} 40960"
        );
    }
    head(out, "memory_lua_shared_dict_total_bytes", "gauge", "Total capacity in bytes of a shared_dict");
    for (name, capacity) in DICTIONARIES {
        let _ = writeln!(
            out,
            "kong_memory_lua_shared_dict_total_bytes{{node_id=\"{{id}}\",shared_dict=\"{name}\",kong_subsystem=\"http\"}} {capacity}"
        );
    }
    head(out, "memory_workers_lua_vms_bytes", "gauge", "Allocated bytes in worker Lua VM");
    let (pid, bytes) = (std::process::id(), resident());
    let _ = writeln!(
        out,
        "kong_memory_workers_lua_vms_bytes{{node_id=\"{{id}}\",pid=\"{pid}\",kong_subsystem=\"http\"}} {bytes}"
    );
}

fn nginx(out: &mut String, node: &Node) {
    head(out, "nginx_connections_total", "gauge", "Number of connections by subsystem");
    let (accepted, active, writing, total) = connections(node);
    let states = [
        ("accepted", accepted),
        ("active", active),
        ("handled", accepted),
        ("reading", 0),
        ("total", total),
        ("waiting", active.saturating_sub(writing)),
        ("writing", writing),
    ];
    for (state, count) in states {
        let _ = writeln!(
            out,
            "kong_nginx_connections_total{{node_id=\"{{id}}\",subsystem=\"http\",state=\"{state}\"}} {count}"
        );
    }
    head(out, "nginx_metric_errors_total", "counter", "Number of nginx-lua-prometheus errors");
    out.push_str("kong_nginx_metric_errors_total 0\n");
    head(out, "nginx_requests_total", "gauge", "Number of requests total");
    let _ = writeln!(out, "kong_nginx_requests_total{{node_id=\"{{id}}\",subsystem=\"http\"}} {total}");
    head(out, "nginx_timers", "gauge", "Number of nginx timers");
    out.push_str("kong_nginx_timers{state=\"pending\"} 0\nkong_nginx_timers{state=\"running\"} 0\n");
    head(out, "node_info", "gauge", "Kong Node metadata information");
    let _ = writeln!(out, "kong_node_info{{node_id=\"{{id}}\",version=\"{}\"}} 1", node.conf.version);
    *out = out.replace("{id}", &node.id);
}

/// Accepted, active, writing connections, and requests.
pub fn connections(node: &Node) -> (u64, u64, u64, u64) {
    let stats = &node.stats;
    let signed = |value: i64| u64::try_from(value).unwrap_or(0);
    (
        stats.accepted.load(Ordering::Relaxed),
        signed(stats.active.load(Ordering::Relaxed)),
        signed(stats.writing.load(Ordering::Relaxed)),
        stats.requests.load(Ordering::Relaxed),
    )
}

/// Resident memory of this process in bytes.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
