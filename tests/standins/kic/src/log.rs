//! Logs as KIC writes them.
//! In: events. Out: lines on standard error, as text or JSON. Never buffers, never shows a secret.

use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::Timestamp;

/// From `error`, 0, to `trace`, 3.
static LEVEL: AtomicU8 = AtomicU8::new(1);
static JSON: AtomicU8 = AtomicU8::new(0);

/// Sets the level (`error`, `info`, `debug`, `trace`) and the format (`text`, `json`).
pub fn set(level: &str, format: &str) {
    let number = match level {
        "error" => 0,
        "debug" => 2,
        "trace" => 3,
        _ => 1,
    };
    LEVEL.store(number, Ordering::Relaxed);
    JSON.store(u8::from(format == "json"), Ordering::Relaxed);
}

/// What went wrong.
pub fn error(message: &str) {
    line(0, "error", message);
}

/// What happened.
pub fn info(message: &str) {
    line(1, "info", message);
}

/// What was decided.
pub fn debug(message: &str) {
    line(2, "debug", message);
}

fn line(level: u8, word: &str, message: &str) {
    if level > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = if JSON.load(Ordering::Relaxed) == 1 {
        format!("{}\n", serde_json::json!({"time": time, "level": word, "msg": message}))
    } else {
        format!("{time}\t{word}\t{message}\n")
    };
    // A log that cannot be written must not end the process.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
