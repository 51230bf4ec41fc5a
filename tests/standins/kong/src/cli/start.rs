//! `kong start`, `kong docker-start`, `kong prepare`.
//! In: settings. Out: a running node, or the text of a refusal.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::control;
use crate::conf::settings::Settings;
use crate::conf::{Conf, Declarative};
use crate::config::load;
use crate::lifecycle;
use crate::log;
use crate::node::{Node, hash_of};
use crate::server::bind;
use crate::store::Store;
use crate::tls::certs;

/// How long `kong start` waits for its child to listen.
const PATIENCE: Duration = Duration::from_secs(15);

/// Makes the prefix.
///
/// # Errors
/// Where it cannot be written.
pub fn prepare(conf: &Conf) -> Result<(), String> {
    let store = Store::new(&conf.prefix);
    store.prepare()?;
    store.localhost()?;
    store.save_settings(conf.settings.given()).map_err(|error| error.to_string())
}

/// Runs a node until it is told to end.
///
/// # Errors
/// Where it may not start.
pub fn foreground(conf: Conf) -> Result<(), String> {
    prepare(&conf)?;
    let (certificate, key) = Store::new(&conf.prefix).localhost()?;
    let localhost = Arc::new(certs::pair(certs::chain(&certificate)?, certs::key(&key)?)?);
    let sockets = bind::all(&conf.listeners)?;
    let threads = conf.workers.clamp(1, 4);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let result = runtime.block_on(async {
        let node = Node::new(conf, localhost);
        if node.conf.declarative.is_some() {
            declarative(&node)?;
        } else if let Some((entities, hash)) = node.store.restore() {
            log::notice("found persisted lmdb config, loading...");
            node.start_with(entities, hash);
        }
        lifecycle::run(node, sockets).await.map_err(|error| error.to_string())
    });
    // Tasks that are left are cut here: the process is over.
    runtime.shutdown_background();
    result
}

/// Loads `declarative_config` or `declarative_config_string`, where one is set.
///
/// # Errors
/// Kong's text, where it cannot be read or is invalid.
pub fn declarative(node: &Node) -> Result<(), String> {
    let Some(source) = &node.conf.declarative else {
        return Ok(());
    };
    let (text, shown) = match source {
        Declarative::Text(text) => (text.clone(), "error parsing declarative config string".to_owned()),
        Declarative::File(path) => {
            let shown = format!("error parsing declarative config file {}", path.display());
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{shown}:\n{}: {}", path.display(), crate::store::reason(&error)))?;
            (text, shown)
        }
    };
    let input = load::parse(&text)
        .map_err(|error| format!("{shown}:\nfailed parsing declarative configuration: {error}"))?;
    let entities =
        node.judge(&input).map_err(|fields| format!("{shown}:\n{}", crate::config::lua::table(&fields)))?;
    node.start_with(entities, hash_of(&text));
    Ok(())
}

/// `kong start`: in the background unless `nginx_daemon` is off.
///
/// # Errors
/// Where the node may not start.
pub fn start(settings: Settings) -> Result<(), String> {
    let conf = Conf::new(settings)?;
    let store = Store::new(&conf.prefix);
    if control::running(&store).is_some() {
        return Err(format!("Kong is already running in {}", conf.prefix.display()));
    }
    if !conf.daemon {
        return foreground(conf);
    }
    prepare(&conf)?;
    store.clear_pid();
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(["docker-start", "--prefix"])
        .arg(&conf.prefix)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if store.pid().is_some() {
            println!("Kong started");
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("nginx ended while it started ({status})"));
        }
        sleep(Duration::from_millis(20));
    }
    Err("could not start Kong in time".to_owned())
}
