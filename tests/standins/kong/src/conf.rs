//! The configuration of the process, and why it may not start.
//! In: settings. Out: typed values, or the text of a refusal. Reads certificate files; never opens a socket.

pub mod checks;
pub mod listen;
pub mod settings;
pub mod switches;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use serde_json::{Value, json};

use crate::tls::clients::ClientCa;
use listen::{Listen, Subsystem};
use settings::{Settings, is_on};
use switches::Switches;

/// Version reported unless the image says otherwise by `STANDIN_VERSION`: the one that was observed.
pub const OBSERVED_VERSION: &str = "3.9.3";

/// Where a configuration is read from at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declarative {
    /// `KONG_DECLARATIVE_CONFIG`: a file.
    File(PathBuf),
    /// `KONG_DECLARATIVE_CONFIG_STRING`: the text itself.
    Text(String),
}

/// Which listeners there are.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// Proxied HTTP.
    pub proxy: Vec<Listen>,
    /// Admin API.
    pub admin: Vec<Listen>,
    /// Status API.
    pub status: Vec<Listen>,
    /// Proxied TCP, TLS and UDP.
    pub stream: Vec<Listen>,
}

/// Certificates of the listeners; where none was given, the one for localhost is made at start.
#[derive(Debug, Default)]
pub struct Certificates {
    /// `ssl_cert`.
    pub proxy: Option<Arc<CertifiedKey>>,
    /// `admin_ssl_cert`.
    pub admin: Option<Arc<CertifiedKey>>,
    /// `status_ssl_cert`.
    pub status: Option<Arc<CertifiedKey>>,
    /// `nginx_admin_ssl_client_certificate` with `nginx_admin_ssl_verify_client`.
    pub admin_clients: Option<ClientCa>,
}

/// Where each kind of access log goes.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// `proxy_access_log`.
    pub proxy: String,
    /// `admin_access_log`.
    pub admin: String,
    /// `status_access_log`.
    pub status: String,
}

/// Everything that a running node needs to know of its settings.
#[derive(Debug)]
pub struct Conf {
    /// Version that this node reports.
    pub version: String,
    /// Folder of the process: pid file, certificates, configuration.
    pub prefix: PathBuf,
    /// Listeners.
    pub listeners: Listeners,
    /// Port of the Service by port of the container, from `port_maps`.
    pub port_maps: HashMap<u16, u16>,
    /// Certificates.
    pub certificates: Certificates,
    /// Access logs.
    pub logs: Logs,
    /// Configuration to load at start.
    pub declarative: Option<Declarative>,
    /// How long SIGQUIT waits for requests in flight; without it, for ever.
    pub shutdown_timeout: Option<Duration>,
    /// `nginx_worker_processes`.
    pub workers: usize,
    /// Largest body that the admin API takes, in bytes.
    pub admin_body_limit: usize,
    /// Plugins that may be configured, bundled ones and others.
    pub plugins: Vec<String>,
    /// `nginx_daemon`: whether `kong start` returns.
    pub daemon: bool,
    /// Misbehaviour asked for.
    pub switches: Switches,
    /// The settings as they were given.
    pub settings: Settings,
}

impl Conf {
    /// Judges the settings as Kong does at start.
    ///
    /// # Errors
    /// The text that Kong prints after `Error: `.
    pub fn new(settings: Settings) -> Result<Self, String> {
        checks::values(&settings)?;
        let listeners = listeners(&settings)?;
        let plugins = checks::plugins(&settings)?;
        checks::nginx_directives(&settings)?;
        let certificates = Certificates {
            proxy: checks::certificate(&settings, "ssl_cert")?,
            admin: checks::certificate(&settings, "admin_ssl_cert")?,
            status: checks::certificate(&settings, "status_ssl_cert")?,
            admin_clients: checks::client_ca(&settings)?,
        };
        let log = |key: &str| settings.get(key).unwrap_or_default();
        let timeout = settings.get("nginx_main_worker_shutdown_timeout");
        let limit = settings.get("nginx_admin_client_max_body_size").unwrap_or_default();
        Ok(Self {
            version: version(&settings),
            prefix: prefix(&settings),
            listeners,
            port_maps: port_maps(&settings)?,
            certificates,
            logs: Logs {
                proxy: log("proxy_access_log"),
                admin: log("admin_access_log"),
                status: log("status_access_log"),
            },
            declarative: declarative(&settings),
            shutdown_timeout: timeout.and_then(|text| checks::nginx_time(&text)),
            workers: workers(&settings),
            admin_body_limit: checks::nginx_size(&limit).unwrap_or(10 << 20),
            plugins,
            daemon: daemon(&settings),
            switches: Switches::read(&settings)?,
            settings,
        })
    }

    /// The object `configuration` of `GET /`.
    pub fn to_json(&self) -> Value {
        let mut all = self.settings.to_json();
        let list = |entries: &[Listen], subsystem| -> Value {
            let entries: Vec<Value> = entries.iter().map(|entry| entry.to_json(subsystem)).collect();
            // Kong's encoder writes an empty list as an empty object.
            if entries.is_empty() { json!({}) } else { Value::Array(entries) }
        };
        all.insert("prefix".into(), json!(self.prefix));
        all.insert("proxy_listeners".into(), list(&self.listeners.proxy, Subsystem::Http));
        all.insert("admin_listeners".into(), list(&self.listeners.admin, Subsystem::Http));
        all.insert("status_listeners".into(), list(&self.listeners.status, Subsystem::Http));
        all.insert("stream_listeners".into(), list(&self.listeners.stream, Subsystem::Stream));
        let ports: serde_json::Map<String, Value> =
            self.port_maps.iter().map(|(inner, outer)| (inner.to_string(), json!(outer))).collect();
        all.insert("host_ports".into(), Value::Object(ports));
        let loaded: serde_json::Map<String, Value> =
            self.plugins.iter().map(|name| (name.clone(), json!(true))).collect();
        all.insert("loaded_plugins".into(), Value::Object(loaded));
        Value::Object(all)
    }

    /// The port that a caller used, as the Service shows it, of the one that it came in by.
    pub fn outer_port(&self, inner: u16) -> u16 {
        self.port_maps.get(&inner).copied().unwrap_or(inner)
    }
}

/// The prefix, without a slash at its end.
pub fn prefix(settings: &Settings) -> PathBuf {
    let text = settings.get("prefix").unwrap_or_default();
    let trimmed = text.trim_end_matches('/');
    PathBuf::from(if trimmed.is_empty() { "/" } else { trimmed })
}

/// The version that is reported.
pub fn version(settings: &Settings) -> String {
    settings.get("standin.version").unwrap_or_else(|| OBSERVED_VERSION.to_owned())
}

fn listeners(settings: &Settings) -> Result<Listeners, String> {
    let read = |key: &str, subsystem| listen::parse(key, &settings.get(key).unwrap_or_default(), subsystem);
    // The ports of Kong Manager and of clustering are judged as real ones are, and then not opened.
    read("admin_gui_listen", Subsystem::Http)?;
    read("cluster_listen", Subsystem::Http)?;
    Ok(Listeners {
        proxy: read("proxy_listen", Subsystem::Http)?,
        admin: read("admin_listen", Subsystem::Http)?,
        status: read("status_listen", Subsystem::Http)?,
        stream: read("stream_listen", Subsystem::Stream)?,
    })
}

fn port_maps(settings: &Settings) -> Result<HashMap<u16, u16>, String> {
    let mut maps = HashMap::new();
    for entry in settings.list("port_maps") {
        let pair = entry.split_once(':').and_then(|(outer, inner)| {
            Some((inner.trim().parse::<u16>().ok()?, outer.trim().parse::<u16>().ok()?))
        });
        let Some((inner, outer)) = pair else {
            return Err(format!("invalid port mapping (`port_maps`): {entry}"));
        };
        maps.insert(inner, outer);
    }
    Ok(maps)
}

fn declarative(settings: &Settings) -> Option<Declarative> {
    let file = settings.get("declarative_config").map(|path| Declarative::File(path.into()));
    file.or_else(|| settings.get("declarative_config_string").map(Declarative::Text))
}

fn workers(settings: &Settings) -> usize {
    let given = settings.get("nginx_main_worker_processes").filter(|text| text != "auto");
    let text = given.or_else(|| settings.get("nginx_worker_processes"));
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    text.and_then(|text| text.parse().ok()).unwrap_or_else(cores)
}

fn daemon(settings: &Settings) -> bool {
    let on = |key: &str| settings.get(key).is_none_or(|text| is_on(&text));
    on("nginx_daemon") && on("nginx_main_daemon")
}
