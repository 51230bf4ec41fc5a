//! What Kong refuses at start: exit 1 and its words on standard error.

use std::net::TcpListener;
use std::path::Path;

use crate::harness::{free_port, program};

/// Starts the program with these settings alone; it must end by itself.
fn refused(prefix: &Path, settings: &[(&str, &str)]) -> String {
    let mut command = program(prefix);
    for (name, value) in [("PROXY", free_port()), ("ADMIN", free_port()), ("STATUS", free_port())] {
        command.env(format!("KONG_{name}_LISTEN"), format!("127.0.0.1:{value}"));
    }
    for (name, value) in settings {
        command.env(name, value);
    }
    let output = command.arg("docker-start").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{settings:?}: {error}");
    assert!(error.starts_with("Error: "), "{error}");
    error
}

fn pem_files(folder: &Path) -> (String, String, String) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["x".to_owned()]).unwrap().self_signed(&key).unwrap();
    (
        write("tls.crt", &certificate.pem()),
        write("tls.key", &key.serialize_pem()),
        write("other.key", &other.serialize_pem()),
    )
}

/// Settings, and words of the refusal.
type Refusal<'a> = (Vec<(&'a str, &'a str)>, &'a str);

#[test]
fn words_that_kong_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let table: Vec<Refusal<'_>> = vec![
        (
            vec![("KONG_DATABASE", "postgres")],
            "[PostgreSQL error] failed to retrieve PostgreSQL server_version_num",
        ),
        (vec![("KONG_DATABASE", "foo")], "database has an invalid value: 'foo' (postgres, cassandra, off)"),
        (
            vec![("KONG_PROXY_LISTEN", "0.0.0.0")],
            "proxy_listen must be of form: [off] | <ip>:<port> [ssl] [http2]",
        ),
        (vec![("KONG_STATUS_LISTEN", "x:y z")], "status_listen must be of form: [off] | <ip>:<port>"),
        (vec![("KONG_LOG_LEVEL", "loud")], "log_level has an invalid value"),
        (vec![("KONG_PLUGINS", "bundled,nosuch")], "nosuch plugin is enabled but not installed"),
        (vec![("KONG_NGINX_PROXY_BOGUS", "on")], "unknown directive \"bogus\""),
        (vec![("STANDIN_ERROR_SHARE", "3")], "STANDIN_ERROR_SHARE must be between 0 and 1"),
    ];
    for (settings, text) in table {
        let error = refused(&folder.path().join("prefix"), &settings);
        assert!(error.contains(text), "{settings:?}: {error}");
    }
}

#[test]
fn files_that_kong_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key, other) = pem_files(folder.path());
    let none = folder.path().join("none").to_str().unwrap().to_owned();
    let bad = folder.path().join("bad.yml");
    std::fs::write(&bad, "_format_version: \"3.0\"\nservices:\n- name: a\n").unwrap();
    let bad = bad.to_str().unwrap();
    let (cert, cert_key) = ("KONG_ADMIN_SSL_CERT", "KONG_ADMIN_SSL_CERT_KEY");
    let ca = "KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE";
    let verify = ("KONG_NGINX_ADMIN_SSL_VERIFY_CLIENT", "on");
    let table: Vec<Refusal<'_>> = vec![
        (vec![(cert, &none), (cert_key, &key)], "admin_ssl_cert: failed loading certificate from"),
        (vec![(cert, &certificate)], "admin_ssl_cert_key must be specified"),
        (vec![(cert, &certificate), (cert_key, &other)], "key values mismatch"),
        (vec![verify], "no ssl_client_certificate for ssl_verify_client"),
        (vec![verify, (ca, &none)], "SSL_CTX_load_verify_locations"),
        (vec![("KONG_DECLARATIVE_CONFIG", &none)], "error parsing declarative config file"),
        (vec![("KONG_DECLARATIVE_CONFIG", bad)], "host=\"required field missing\""),
        (vec![("KONG_PREFIX", &certificate)], "mkdir failed for"),
    ];
    for (settings, text) in table {
        let error = refused(&folder.path().join("prefix"), &settings);
        assert!(error.contains(text), "{settings:?}: {error}");
    }
}

#[test]
fn a_port_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = refused(&folder.path().join("prefix"), &[("KONG_PROXY_LISTEN", &address)]);
    let line = format!("nginx: [emerg] bind() to {address} failed (98: Address already in use)");
    assert_eq!(error.matches(&line).count(), 5, "{error}");
    assert!(error.contains("still could not bind()"), "{error}");
}

#[test]
fn unknown_settings_are_ignored_and_the_same_port_twice_is_fine() {
    let port = free_port().to_string();
    let listen = format!("127.0.0.1:{port}");
    let kong = crate::harness::Kong::start(&[
        ("KONG_NOSUCH_SETTING", "x"),
        ("KONG_PROXY_LISTEN", &listen),
        ("KONG_ADMIN_LISTEN", &listen),
    ]);
    let reply = crate::harness::get(port.parse().unwrap(), "/");
    assert!(reply.body.contains("no Route matched"), "{}", reply.body);
    drop(kong);
}

#[test]
fn check_version_and_unknown_commands() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| program(folder.path()).args(arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run(&["version"]).stdout), "3.9.3\n");
    assert!(run(&["check"]).status.success());
    assert!(run(&["prepare"]).status.success());
    assert!(folder.path().join("ssl/kong-default.crt").exists());
    assert_eq!(run(&["bogus"]).status.code(), Some(1));
    let health = run(&["health"]);
    assert_eq!(health.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&health.stderr).contains("Kong is not running at"));
    assert!(String::from_utf8_lossy(&run(&["quit"]).stderr).contains("nginx not running in prefix"));
}

#[test]
fn the_images_entrypoint_passes_its_arguments_on() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("docker-entrypoint.sh");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kong"), &link).unwrap();
    let output = std::process::Command::new(&link).args(["kong", "version"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3.9.3\n");
}
