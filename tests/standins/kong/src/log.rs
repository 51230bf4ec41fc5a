//! Logs as nginx writes them.
//! In: events. Out: lines on standard output and error. Never buffers.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

/// What an access line says.
#[derive(Debug)]
pub struct Access<'a> {
    /// Who asked.
    pub remote: &'a str,
    /// `GET /path HTTP/1.1`.
    pub request: &'a str,
    /// Status.
    pub status: u16,
    /// Bytes of the body, where known.
    pub bytes: Option<u64>,
    /// User agent.
    pub agent: &'a str,
    /// Id of the request.
    pub id: &'a str,
}

/// Writes an access line where the setting says: `off`, `/dev/stdout`, or a file. Kong's image links the default
/// files to the standard streams, so a relative path goes to standard output.
pub fn access(setting: &str, line: &Access<'_>) {
    let path = setting.split_whitespace().next().unwrap_or("off");
    if path == "off" {
        return;
    }
    let time = Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
    let bytes = line.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let text = format!(
        "{} - - [{time}] \"{}\" {} {bytes} \"-\" \"{}\" kong_request_id: \"{}\"\n",
        line.remote, line.request, line.status, line.agent, line.id
    );
    // A log that cannot be written must not fail a request.
    let _ = match path {
        "/dev/stderr" => std::io::stderr().write_all(text.as_bytes()),
        _ if !path.starts_with('/') || path == "/dev/stdout" => std::io::stdout().write_all(text.as_bytes()),
        _ => append(Path::new(path), &text),
    };
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

/// A line of the error log, level `notice`.
pub fn notice(message: &str) {
    line("notice", message);
}

/// A line of the error log, level `error`.
pub fn error(message: &str) {
    line("error", message);
}

fn line(level: &str, message: &str) {
    let time = Timestamp::now().strftime("%Y/%m/%d %H:%M:%S");
    let text = format!("{time} [{level}] {}#0: {message}\n", std::process::id());
    let _ = std::io::stderr().write_all(text.as_bytes());
}
