//! The prefix: what a process leaves on disk, and what the next one on the same prefix finds.
//! In: a folder. Out: pid, node id, certificate for localhost, the last configuration. Never talks to a network.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::config::load::Entities;
use crate::tls::certs;

/// The folder of one node.
#[derive(Clone, Debug)]
pub struct Store {
    prefix: PathBuf,
}

impl Store {
    /// The store in this prefix.
    pub fn new(prefix: &Path) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Makes the folders that Kong makes.
    ///
    /// # Errors
    /// Kong's text, where the prefix cannot be written.
    pub fn prepare(&self) -> Result<(), String> {
        for folder in ["pids", "logs", "ssl", "dbless.lmdb"] {
            let path = self.prefix.join(folder);
            fs::create_dir_all(&path).map_err(|error| {
                let at = first_missing(&path);
                format!(
                    "could not prepare Kong prefix at {}: mkdir failed for {at}: {}",
                    self.prefix.display(),
                    reason(&error)
                )
            })?;
            let probe = path.join(".writable");
            fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|error| {
                format!(
                    "could not prepare Kong prefix at {}: {}: {}",
                    self.prefix.display(),
                    path.display(),
                    reason(&error)
                )
            })?;
        }
        Ok(())
    }

    /// Where the pid of the running process stands.
    pub fn pid_file(&self) -> PathBuf {
        self.prefix.join("pids/nginx.pid")
    }

    /// The pid in the pid file.
    pub fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()
    }

    /// Writes the pid of this process.
    pub fn write_pid(&self) -> io::Result<()> {
        fs::write(self.pid_file(), format!("{}\n", std::process::id()))
    }

    /// Takes the pid file away, as nginx does at its end.
    pub fn clear_pid(&self) {
        // Where it is gone already, nothing is to be done.
        let _ = fs::remove_file(self.pid_file());
    }

    /// The id of this node: new with a new prefix.
    pub fn node_id(&self) -> String {
        let path = self.prefix.join("kong.id");
        let kept = fs::read_to_string(&path).ok().filter(|text| uuid::Uuid::parse_str(text.trim()).is_ok());
        kept.map_or_else(
            || {
                let fresh = uuid::Uuid::new_v4().to_string();
                // A prefix that takes no file gives a new id at each start, as it does in Kong.
                let _ = fs::write(&path, &fresh);
                fresh
            },
            |text| text.trim().to_owned(),
        )
    }

    /// The certificate for localhost and its key, made at the first start.
    ///
    /// # Errors
    /// Where it can be neither read nor made.
    pub fn localhost(&self) -> Result<(String, String), String> {
        let paths = ["ssl/kong-default.crt", "ssl/kong-default.key"].map(|name| self.prefix.join(name));
        if let [Ok(certificate), Ok(key)] = paths.each_ref().map(fs::read_to_string) {
            return Ok((certificate, key));
        }
        let (certificate, key) = certs::localhost()?;
        for (path, text) in paths.iter().zip([&certificate, &key]) {
            fs::write(path, text).map_err(|error| format!("{}: {}", path.display(), reason(&error)))?;
        }
        Ok((certificate, key))
    }

    /// Keeps the configuration for the next process on this prefix.
    ///
    /// # Errors
    /// Where the prefix is full.
    pub fn save(&self, entities: &Entities, hash: &str) -> io::Result<()> {
        let path = self.data();
        let fresh = path.with_extension("new");
        fs::write(&fresh, json!({"hash": hash, "entities": entities}).to_string())?;
        fs::rename(fresh, path)
    }

    /// The configuration that the last process kept.
    pub fn restore(&self) -> Option<(Entities, String)> {
        let text = fs::read_to_string(self.data()).ok()?;
        let mut all: Map<String, Value> = serde_json::from_str(&text).ok()?;
        let hash = all.get("hash")?.as_str()?.to_owned();
        Some((serde_json::from_value(all.remove("entities")?).ok()?, hash))
    }

    /// Keeps the settings of the running process, so that other commands find its listeners.
    pub fn save_settings<'a>(&self, given: impl Iterator<Item = (&'a str, &'a str)>) -> io::Result<()> {
        let lines: Vec<String> = given
            .filter(|(key, _)| !key.contains("password") && !key.starts_with("standin."))
            .map(|(key, value)| format!("{key} = {}", value.replace('\n', "\\n")))
            .collect();
        fs::write(self.prefix.join(".kong_env"), lines.join("\n") + "\n")
    }

    /// The settings that the running process kept.
    pub fn settings(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.prefix.join(".kong_env")).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, value)| (key.to_owned(), value.replace("\\n", "\n")))
            .collect()
    }

    fn data(&self) -> PathBuf {
        self.prefix.join("dbless.lmdb/configuration.json")
    }
}

fn first_missing(path: &Path) -> String {
    let missing = path.ancestors().take_while(|part| !part.exists()).last().unwrap_or(path);
    missing.display().to_string()
}

/// The words of the C library, without Rust's number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn keeps_what_the_next_process_needs() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("prefix"));
        store.prepare().unwrap();
        let id = store.node_id();
        assert_eq!(store.node_id(), id);
        assert!(store.restore().is_none());
        let entities =
            Entities::from([("services".to_owned(), BTreeMap::from([("i".to_owned(), json!({"id": "i"}))]))]);
        store.save(&entities, "abc").unwrap();
        assert_eq!(store.restore(), Some((entities, "abc".to_owned())));
        assert_eq!(store.localhost().unwrap(), store.localhost().unwrap());
    }

    #[test]
    fn a_prefix_below_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Store::new(&file.join("prefix")).prepare().unwrap_err();
        assert!(error.contains("mkdir failed for"), "{error}");
    }
}
