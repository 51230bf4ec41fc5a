//! Everything that is configured, by flag or environment.
//! In: a release, arguments, environment. Out: typed settings, or the text with which KIC ends. Never a file.

pub mod flags;
pub mod gates;
pub mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::version::Release;
use flags::Flag;
use values::Named;

/// What is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The release it stands for.
    pub release: Release,
    /// The release as it was written.
    pub release_text: String,
    /// `error`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// `text` or `json`.
    pub log_format: String,
    /// Feature gates and whether they are open.
    gates: BTreeMap<&'static str, bool>,
    /// Values by flag, defaults included.
    values: BTreeMap<&'static str, String>,
    /// Own pod, from the downward API.
    pub pod: Option<Named>,
}

impl Settings {
    /// Reads what is configured: an argument wins over the environment; unknown variables are ignored, unknown flags
    /// are not.
    pub fn read(release: &str, words: &[String], environment: &[(String, String)]) -> Result<Self, String> {
        let number =
            Release::parse(release).ok_or_else(|| format!("STANDIN_VERSION {release:?} is no release"))?;
        let known: Vec<&Flag> = flags::known(number).collect();
        let mut values: BTreeMap<&str, String> =
            known.iter().map(|flag| (flag.name, flag.default.to_owned())).collect();
        let variable =
            |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        for flag in &known {
            let Some(value) = variable(&flag.variable()) else { continue };
            values::judge(flag.kind, &value).map_err(|why| {
                let name = flag.variable();
                format!(
                    "environment binding failed for variable {name} (flag {}, value {value:?}): {why}",
                    flag.name
                )
            })?;
            values.insert(flag.name, value);
        }
        for (flag, value) in arguments(&known, words)? {
            values::judge(flag.kind, &value)
                .map_err(|why| format!("invalid argument {value:?} for \"--{}\" flag: {why}", flag.name))?;
            values.insert(flag.name, value);
        }
        let gates = gates::read(number, values.get("feature-gates").map_or("", String::as_str))?;
        let pod = variable("POD_NAMESPACE").zip(variable("POD_NAME"));
        let settings = Self {
            release: number,
            release_text: release.to_owned(),
            log_level: values.get("log-level").cloned().unwrap_or_default(),
            log_format: values.get("log-format").cloned().unwrap_or_default(),
            gates,
            values,
            pod: pod.map(|(namespace, name)| Named::new(&namespace, &name)),
        };
        settings.judge().map(|()| settings)
    }

    /// What the values must be together.
    fn judge(&self) -> Result<(), String> {
        let given = |name: &str| !self.text(name).is_empty();
        for subject in ["kong-admin-tls-client-cert", "kong-admin-tls-client-key", "kong-admin-ca-cert"] {
            if given(subject) && given(&format!("{subject}-file")) {
                return Err(format!("both {subject} and {subject}-file are set: use one"));
            }
        }
        let client = |part: &str| given(part) || given(&format!("{part}-file"));
        if client("kong-admin-tls-client-cert") != client("kong-admin-tls-client-key") {
            return Err(
                "client certificate was provided, but the client key was not, or the other way round".into(),
            );
        }
        if self.truth("use-last-valid-config-for-fallback") && !self.gate("FallbackConfiguration") {
            return Err(
                "--use-last-valid-config-for-fallback or CONTROLLER_USE_LAST_VALID_CONFIG_FOR_FALLBACK can \
                        only be used with FallbackConfiguration feature gate enabled"
                    .into(),
            );
        }
        let [interval, timeout] = self.readiness();
        if interval < Duration::from_secs(3) || timeout >= interval {
            return Err(
                "gateway discovery readiness check: the interval must be 3s or more, and the timeout less"
                    .into(),
            );
        }
        if self.truth("enable-controller-gwapi-gateway") && self.named("publish-service").is_none() {
            return Err("publish service must be configured when the Gateway controller is enabled".into());
        }
        if self.truth("skip-ca-certificates") {
            return Err(
                "--skip-ca-certificates is not available for use with DB-less mode Kong instances".into()
            );
        }
        Ok(())
    }

    /// Interval and timeout of the readiness checks; releases before 3.3 could not be told.
    pub fn readiness(&self) -> [Duration; 2] {
        let of = |name: &str, otherwise: u64| match self.values.get(name) {
            Some(text) => values::duration(text).unwrap_or_default(),
            None => Duration::from_secs(otherwise),
        };
        let old = if self.release.since(2, 4) { 5 } else { 1 };
        [
            of("gateway-discovery-readiness-check-interval", 10),
            of("gateway-discovery-readiness-check-timeout", old),
        ]
    }

    /// A flag's text; a flag that the release does not know is empty.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A flag's truth value.
    pub fn truth(&self, name: &str) -> bool {
        values::truth(self.text(name)).unwrap_or(false)
    }

    /// A flag's list.
    pub fn list(&self, name: &str) -> Vec<String> {
        values::list(self.text(name))
    }

    /// A flag's `namespace/name`.
    pub fn named(&self, name: &str) -> Option<Named> {
        Named::parse(self.text(name))
    }

    /// A flag's duration.
    pub fn duration(&self, name: &str) -> Duration {
        values::duration(self.text(name)).unwrap_or_default()
    }

    /// A flag's number of seconds.
    pub fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.text(name).parse::<f64>().unwrap_or(0.0).max(0.001))
    }

    /// A flag's whole number; negative ones are none.
    pub fn count(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Whether a gate is open.
    pub fn gate(&self, name: &str) -> bool {
        self.gates.get(name).copied().unwrap_or(false)
    }

    /// Namespaces that are watched, none meaning all: those asked for and that of the publish Service.
    pub fn watched(&self) -> Vec<String> {
        let mut all = self.list("watch-namespace");
        if let (false, Some(publish)) = (all.is_empty(), self.named("publish-service")) {
            all.push(publish.namespace);
        }
        all.sort();
        all.dedup();
        all
    }

    /// Whether a leader is elected: with discovery, unless forced otherwise.
    pub fn elects(&self) -> bool {
        match self.text("force-leader-election") {
            "enabled" => true,
            "disabled" => false,
            _ => self.named("kong-admin-svc").is_some() || self.truth("konnect-sync-enabled"),
        }
    }
}

/// Flags and values of a command line: `--a=b`, `--a b`, and `--a` for truth values.
fn arguments<'a>(known: &[&'a Flag], words: &[String]) -> Result<Vec<(&'a Flag, String)>, String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(body) = word.strip_prefix("--") else {
            return Err(format!("unknown command {word:?} for \"controller\""));
        };
        let (name, inline) = body.split_once('=').map_or((body, None), |(name, value)| (name, Some(value)));
        let flag = known.iter().find(|flag| flag.name == name);
        let flag = *flag.ok_or_else(|| format!("unknown flag: --{name}"))?;
        let value = match inline {
            Some(value) => value.to_owned(),
            None if flag.kind == flags::Kind::Bool => "true".to_owned(),
            None => words.next().cloned().ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        };
        found.push((flag, value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: (&str, &str) = ("CONTROLLER_PUBLISH_SERVICE", "a/proxy");

    fn read(release: &str, words: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        let both = environment.iter().chain([&SERVICE]);
        let environment: Vec<_> = both.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::read(release, &words, &environment)
    }

    #[test]
    fn an_argument_wins_over_the_environment() {
        let settings =
            read("3.5.13", &["--ingress-class", "b"], &[("CONTROLLER_INGRESS_CLASS", "a")]).unwrap();
        assert_eq!(settings.text("ingress-class"), "b");
        assert_eq!(
            read("3.5.13", &[], &[("CONTROLLER_INGRESS_CLASS", "a")]).unwrap().text("ingress-class"),
            "a"
        );
    }

    #[test]
    fn an_unknown_flag_ends_it_and_an_unknown_variable_does_not() {
        assert_eq!(read("3.5.13", &["--bogus=1"], &[]).unwrap_err(), "unknown flag: --bogus");
        assert!(read("3.5.13", &[], &[("CONTROLLER_BOGUS", "1")]).is_ok());
    }

    #[test]
    fn a_flag_is_bound_to_its_releases() {
        assert!(read("3.4.8", &["--enable-drain-support"], &[]).is_err());
        assert!(read("3.5.13", &["--enable-drain-support"], &[]).unwrap().truth("enable-drain-support"));
        assert!(read("3.5.3", &["--konnect-config-sync-concurrency=2"], &[]).is_err());
        assert!(
            read("3.1.2", &[], &[("CONTROLLER_GATEWAY_DISCOVERY_READINESS_CHECK_INTERVAL", "x")]).is_ok()
        );
    }

    #[test]
    fn a_variable_that_cannot_be_read_ends_it() {
        let error = read("3.5.13", &[], &[("CONTROLLER_PROXY_SYNC_SECONDS", "soon")]).unwrap_err();
        assert!(
            error.contains("environment binding failed for variable CONTROLLER_PROXY_SYNC_SECONDS"),
            "{error}"
        );
        assert!(read("3.5.13", &[], &[("CONTROLLER_KONG_ADMIN_SVC", "admin")]).is_err());
        assert!(read("3.5.13", &[], &[("CONTROLLER_FEATURE_GATES", "ExpressionRoutes=true")]).is_err());
    }

    #[test]
    fn values_must_fit_together() {
        let key = ("CONTROLLER_KONG_ADMIN_TLS_CLIENT_KEY_FILE", "/key");
        assert!(read("3.5.13", &[], &[key]).is_err());
        assert!(read("3.5.13", &["--use-last-valid-config-for-fallback"], &[]).is_err());
        assert!(read("3.5.13", &["--publish-service="], &[]).is_err());
    }

    #[test]
    fn the_publish_services_namespace_is_watched_and_the_admin_services_is_not() {
        let settings = read(
            "3.5.13",
            &[],
            &[("CONTROLLER_WATCH_NAMESPACE", "b,c"), ("CONTROLLER_KONG_ADMIN_SVC", "d/admin")],
        );
        assert_eq!(settings.unwrap().watched(), ["a", "b", "c"]);
        assert!(read("3.5.13", &[], &[]).unwrap().watched().is_empty());
    }
}
