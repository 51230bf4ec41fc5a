//! The operator's requests, as the API server recorded them.
//!
//! In: the box's audit log. Out: how many, by verb and resource, since the last look. Its lease, which it renews for
//! as long as it runs, is left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use crds::names::NAMESPACE;
use serde::{Deserialize, Serialize};

/// Verbs that change something.
const WRITES: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
/// Verbs that ask for what the operator should have in its stores.
const READS: &[&str] = &["get", "list"];
/// Without a request for so long, the operator has settled.
const QUIET: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(250);
const DEADLINE: Duration = Duration::from_mins(5);

/// How many requests, by verb and resource, as in `patch dataplanes/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Requests(BTreeMap<String, u32>);

/// Reads the audit log from where it stopped.
pub struct Log {
    file: BufReader<File>,
    user: String,
    /// The beginning of a line that is not whole yet.
    begun: String,
}

/// What of an audit event matters here (audit.k8s.io/v1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<Object>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    namespace: String,
    resource: String,
    subresource: String,
}

impl Requests {
    /// Those that change something.
    pub fn writes(&self) -> u32 {
        self.of(WRITES)
    }

    /// Those that read, other than by a watch.
    pub fn reads(&self) -> u32 {
        self.of(READS)
    }

    /// Those of a verb and resource.
    pub fn named(&self, name: &str) -> u32 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn of(&self, verbs: &[&str]) -> u32 {
        let counted = |name: &&String| verbs.iter().any(|verb| name.split(' ').next() == Some(verb));
        self.0.iter().filter(|(name, _)| counted(name)).map(|(_, count)| count).sum()
    }

    /// Writes of each object that a number of owners have, by verb and resource.
    pub fn writes_by_resource(&self, owners: f64) -> BTreeMap<String, f64> {
        let is_write = |name: &str| WRITES.iter().any(|verb| name.split(' ').next() == Some(verb));
        let writes = self.0.iter().filter(|(name, _)| is_write(name));
        writes.map(|(name, count)| (name.clone(), f64::from(*count) / owners)).collect()
    }

    /// As a cell of the table.
    pub fn text(&self) -> String {
        let all: Vec<_> = self.0.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    }

    fn add(&mut self, more: Self) {
        for (name, count) in more.0 {
            *self.0.entry(name).or_default() += count;
        }
    }
}

impl Log {
    /// Opens the log of a box at its beginning.
    pub fn open(cluster: &Cluster) -> Result<Self> {
        let file = File::open(cluster.audit_log()).context("the box keeps no audit log")?;
        let user = format!("system:serviceaccount:{NAMESPACE}:silverback");
        Ok(Self { file: BufReader::new(file), user, begun: String::new() })
    }

    /// The operator's requests since the last look.
    pub fn news(&mut self) -> Result<Requests> {
        let mut news = Requests::default();
        while self.file.read_line(&mut self.begun)? > 0 && self.begun.ends_with('\n') {
            if let Some(name) = named(&self.begun, &self.user) {
                *news.0.entry(name).or_default() += 1;
            }
            self.begun.clear();
        }
        Ok(news)
    }

    /// The same, but not before it has asked nothing for a while; and when it asked last.
    pub async fn settled(&mut self) -> Result<(Requests, Instant)> {
        let (began, mut last, mut all) = (Instant::now(), Instant::now(), Requests::default());
        while last.elapsed() < QUIET {
            ensure!(began.elapsed() < DEADLINE, "the operator does not settle: {}", all.text());
            tokio::time::sleep(STEP).await;
            let news = self.news()?;
            if news.writes() + news.reads() > 0 {
                last = Instant::now();
            }
            all.add(news);
        }
        Ok((all, last))
    }
}

/// The verb and resource of a request by this user that counts.
fn named(line: &str, user: &str) -> Option<String> {
    if !line.contains(user) {
        return None;
    }
    let event: Event = serde_json::from_str(line).ok()?;
    let object = event.object_ref.unwrap_or_default();
    // A watch is told of when it begins, and again when it ends.
    let stage = if event.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
    // That of a Kong Ingress Controller is a child like any other.
    let own_lease = object.resource == "leases" && object.namespace == NAMESPACE;
    let counts = event.user.username == user && event.stage == stage && !own_lease;
    let part = if object.subresource.is_empty() { String::new() } else { format!("/{}", object.subresource) };
    counts.then(|| format!("{} {}{part}", event.verb, object.resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: &str, stage: &str, resource: &str, user: &str) -> String {
        format!(
            "{{\"stage\":\"{stage}\",\"verb\":\"{verb}\",\"user\":{{\"username\":\"{user}\"}},\
             \"objectRef\":{{\"namespace\":\"{NAMESPACE}\",\"resource\":\"{resource}\",\"subresource\":\"status\"}}}}\n"
        )
    }

    #[test]
    fn only_whole_requests_of_the_operator_count_and_its_lease_does_not() {
        for (line, expected) in [
            (event("patch", "ResponseComplete", "dataplanes", "me"), Some("patch dataplanes/status")),
            (event("watch", "ResponseStarted", "pods", "me"), Some("watch pods/status")),
            (event("watch", "ResponseComplete", "pods", "me"), None),
            (event("patch", "ResponseComplete", "dataplanes", "you"), None),
            (event("update", "ResponseComplete", "leases", "me"), None),
            ("half a line of me".to_owned(), None),
        ] {
            assert_eq!(named(&line, "me").as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn half_a_line_is_read_when_it_is_whole() {
        use std::io::Write;
        let mut written = tempfile::NamedTempFile::new().unwrap();
        let file = BufReader::new(File::open(written.path()).unwrap());
        let mut log = Log { file, user: "me".into(), begun: String::new() };
        let line = event("get", "ResponseComplete", "secrets", "me");
        let (first, second) = line.split_at(30);
        write!(written, "{line}{first}").unwrap();
        assert_eq!(log.news().unwrap().reads(), 1);
        write!(written, "{second}").unwrap();
        assert_eq!(log.news().unwrap().named("get secrets/status"), 1);
        assert_eq!(log.news().unwrap(), Requests::default());
    }

    #[test]
    fn watches_are_neither_reads_nor_writes() {
        let counts = [("watch pods", 3), ("get secrets", 2), ("patch services", 4), ("create events", 1)];
        let requests = Requests(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect());
        assert_eq!((requests.reads(), requests.writes()), (2, 5));
        assert_eq!(requests.text(), "1 create events, 2 get secrets, 4 patch services, 3 watch pods");
    }
}
