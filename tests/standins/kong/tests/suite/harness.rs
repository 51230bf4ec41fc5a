//! Starts the program on ports of its own, and speaks plain HTTP to it byte by byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The next port to be given out; below those that the kernel gives to whoever asks for any.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, and that no other test of this process is given.
pub fn free_port() -> u16 {
    let offset = std::process::id().wrapping_mul(131);
    until("a free port", || {
        let number = 12_000 + offset.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) % 17_000;
        let port = u16::try_from(number).unwrap();
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    })
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// A header's value, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends raw bytes on a connection.
pub fn send(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())
}

/// A connection with a deadline on every read.
pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer; `None` where the connection ends before it.
pub fn receive(stream: &mut impl Read) -> Option<Reply> {
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: String::new() };
    let mut body = Vec::new();
    if let Some(length) = reply.header("content-length") {
        body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).ok()?;
    } else if reply.header("transfer-encoding").is_some() {
        body = chunks(stream)?;
    } else if status != 204 && status != 304 && status != 101 {
        stream.read_to_end(&mut body).ok()?;
    }
    reply.body = String::from_utf8_lossy(&body).into_owned();
    Some(reply)
}

fn chunks(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut line = Vec::new();
        let mut byte = [0_u8; 1];
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let size = usize::from_str_radix(String::from_utf8(line).ok()?.trim(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        stream.read_exact(&mut piece).ok()?;
        if size == 0 {
            return Some(all);
        }
        all.extend_from_slice(&piece[..size]);
    }
}

/// Asks on a connection of its own.
pub fn ask(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = connect(port).unwrap();
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text += "Host: localhost\r\n";
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    send(&mut stream, &format!("{text}\r\n{body}")).unwrap();
    receive(&mut stream).expect("an answer")
}

/// `GET` without more.
pub fn get(port: u16, path: &str) -> Reply {
    ask(port, "GET", path, &[], "")
}

/// A running stand-in.
pub struct Kong {
    pub child: Child,
    pub folder: TempDir,
    pub proxy: u16,
    pub tls: u16,
    pub admin: u16,
    pub status: u16,
}

impl Kong {
    /// Starts one with more settings, and waits until it listens.
    pub fn start(extra: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().unwrap(), extra)
    }

    /// Starts one on a prefix that may have been used before.
    pub fn start_in(folder: TempDir, extra: &[(&str, &str)]) -> Self {
        let [proxy, tls, admin, status] = [(); 4].map(|()| free_port());
        let mut command = program(&folder.path().join("prefix"));
        command
            .env("KONG_PROXY_LISTEN", format!("127.0.0.1:{proxy}, 127.0.0.1:{tls} http2 ssl"))
            .env("KONG_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
            .env("KONG_STATUS_LISTEN", format!("127.0.0.1:{status}"));
        for (name, value) in extra {
            command.env(
                name,
                value.replace("{admin}", &admin.to_string()).replace("{proxy}", &proxy.to_string()),
            );
        }
        let said = folder.path().join("stderr");
        let errors = std::fs::File::create(&said).unwrap();
        let child = command.arg("docker-start").stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        let mut kong = Self { child, folder, proxy, tls, admin, status };
        until("the listeners", || {
            let ended = kong.child.try_wait().unwrap();
            let words = || std::fs::read_to_string(&said).unwrap_or_default();
            assert!(ended.is_none(), "ended at start: {ended:?}: {}", words());
            // Its process number is written when all else is done.
            let begun = kong.prefix().join("pids/nginx.pid").exists();
            connect(kong.status).ok().filter(|_| begun)
        });
        kong
    }

    pub fn prefix(&self) -> PathBuf {
        self.folder.path().join("prefix")
    }

    /// Pushes a configuration as KIC does.
    pub fn push(&self, config: &Value) -> Reply {
        let kind = ("Content-Type", "application/json");
        ask(self.admin, "POST", "/config?check_hash=1&flatten_errors=1", &[kind], &config.to_string())
    }

    /// Pushes a configuration that must be accepted, and waits until it routes.
    pub fn configure(&self, config: &Value) {
        let mut config = config.clone();
        config["_format_version"] = "3.0".into();
        let marker = format!("/routed-{}", free_port());
        let service = serde_json::json!({"name": "marker", "host": "127.0.0.1", "port": 1, "routes":
            [{"name": "marker", "paths": [marker], "methods": ["GET"]}],
            "plugins": [{"name": "request-termination", "config": {"status_code": 299, "message": "routed"}}]});
        match config["services"].as_array_mut() {
            Some(list) => list.push(service),
            None => config["services"] = serde_json::json!([service]),
        }
        let reply = self.push(&config);
        assert_eq!(reply.status, 201, "{}", reply.body);
        until("the routes", || (get(self.proxy, &marker).status == 299).then_some(()));
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end of the process: its status, and how long that took.
    pub fn end(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = until("the end of the process", || self.child.try_wait().unwrap());
        (status, begun.elapsed())
    }

    /// Runs a command of `kong` on this prefix.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = program(&self.prefix());
        command.env("KONG_STATUS_LISTEN", format!("127.0.0.1:{}", self.status));
        command.args(arguments).output().unwrap()
    }

    /// Ends it and gives its folder to another.
    pub fn release(mut self) -> TempDir {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }
}

impl Drop for Kong {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with the settings that every test shares.
pub fn program(prefix: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kong"));
    command
        .env_clear()
        .env("KONG_DATABASE", "off")
        .env("KONG_PREFIX", prefix)
        .env("KONG_ADMIN_GUI_LISTEN", "off");
    command
        .env("KONG_NGINX_WORKER_PROCESSES", "2")
        .env("KONG_PROXY_ACCESS_LOG", "off")
        .env("KONG_ADMIN_ACCESS_LOG", "off");
    command
}
