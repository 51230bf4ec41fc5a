//! What the operator asked of the API server, as the API server itself recorded it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use cluster::Cluster;
use crds::names::NAMESPACE;
use serde_json::Value;

/// Verbs that change something.
pub const WRITES: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// Number of requests by verb.
pub type Requests = BTreeMap<String, u32>;

/// The operator's requests so far, but for its lease.
///
/// # Errors
/// When the box keeps no audit log.
pub fn requests(cluster: &Cluster) -> Result<Requests> {
    let user = format!("system:serviceaccount:{NAMESPACE}:silverback");
    let log = File::open(cluster.audit_log()).context("no audit log")?;
    let mut verbs = Requests::new();
    for line in BufReader::new(log).lines() {
        // The last line may be half written.
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        // The lease is renewed for as long as the operator runs.
        let lease = text("/objectRef/resource") == "leases";
        if !lease && text("/user/username") == user && text("/stage") == "ResponseComplete" {
            *verbs.entry(text("/verb").to_owned()).or_default() += 1;
        }
    }
    Ok(verbs)
}

/// The operator's requests in a namespace, in the order in which they were answered, as `VERB RESOURCE/NAME`.
///
/// # Errors
/// When the box keeps no audit log.
pub fn within(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    let user = format!("system:serviceaccount:{NAMESPACE}:silverback");
    let log = File::open(cluster.audit_log()).context("no audit log")?;
    let mut requests = Vec::new();
    for line in BufReader::new(log).lines() {
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let done = text("/stage") == "ResponseComplete" && text("/user/username") == user;
        if done && text("/objectRef/namespace") == namespace {
            let (resource, name) = (text("/objectRef/resource"), text("/objectRef/name"));
            requests.push(format!("{} {resource}/{name}", text("/verb")));
        }
    }
    Ok(requests)
}

/// What the operator asked for and was not refused, and what it was refused, as `VERB GROUP RESOURCE`; the group of the
/// core is empty.
///
/// # Errors
/// When the box keeps no audit log.
pub fn rights(cluster: &Cluster) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let user = format!("system:serviceaccount:{NAMESPACE}:silverback");
    let log = File::open(cluster.audit_log()).context("no audit log")?;
    let (mut given, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for line in BufReader::new(log).lines() {
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text("/user/username") != user || text("/objectRef/resource").is_empty() {
            continue;
        }
        let parts = [text("/objectRef/resource"), text("/objectRef/subresource")];
        let resource = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let right = format!("{} {} {resource}", text("/verb"), text("/objectRef/apiGroup"));
        let decision = entry.get("annotations").and_then(|all| all.get("authorization.k8s.io/decision"));
        let code = entry.pointer("/responseStatus/code").and_then(Value::as_u64);
        // A dry run asks whether admission refuses something, and it is to.
        let is_dry = text("/requestURI").contains("dryRun=All");
        let was_refused =
            decision.and_then(Value::as_str) == Some("forbid") || (code == Some(403) && !is_dry);
        if was_refused {
            refused.insert(right)
        } else {
            given.insert(right)
        };
    }
    Ok((given, refused))
}

/// What came on top of `before`; only verbs that did.
pub fn since(before: &Requests, now: &Requests) -> Requests {
    let more = now.iter().map(|(verb, count)| (verb.clone(), count - before.get(verb).unwrap_or(&0)));
    more.filter(|(_, count)| *count > 0).collect()
}

/// How many of the requests change something.
pub fn writes(requests: &Requests) -> u32 {
    WRITES.iter().filter_map(|verb| requests.get(*verb)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_counts_and_only_changes_are_writes() {
        let requests = |list: &[(&str, u32)]| {
            list.iter().map(|(verb, count)| ((*verb).to_owned(), *count)).collect::<Requests>()
        };
        let before = requests(&[("get", 2), ("patch", 3)]);
        let now = requests(&[("get", 2), ("patch", 5), ("create", 1), ("watch", 1)]);
        let news = since(&before, &now);
        assert_eq!(news, requests(&[("patch", 2), ("create", 1), ("watch", 1)]));
        assert_eq!(writes(&news), 3);
    }
}
