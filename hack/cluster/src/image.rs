//! Container images without a container engine.
//!
//! In: a program, and what else its image needs. Out: a docker archive of one layer: the program,
//! the shared libraries that it is linked to, and the few files that name resolution and user names
//! need. The same input gives the same bytes. Never pulls or runs anything.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{closure, layer};

/// The reference of the image that holds a pod's namespaces.
pub(crate) const PAUSE: &str = "localhost/silverback/pause:1";

/// An image to be made from a program.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// The names of the image, each with registry and tag: `docker.io/library/kong:3.9`.
    pub references: Vec<String>,
    /// The program; it becomes `/usr/local/bin/` with its file name.
    pub program: PathBuf,
    /// More files: where each is now, and its absolute path in the image. Programs among them get
    /// their libraries too.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The command line of the container; empty means the program without arguments.
    pub entrypoint: Vec<String>,
    /// Environment variables, `NAME=value`.
    pub env: Vec<String>,
    /// User, and group after a colon, by name or number; empty means `65532:65532`.
    pub user: String,
    /// The signal that ends the container, `SIGQUIT` for example; none means SIGTERM.
    pub stop_signal: Option<String>,
    /// TCP ports that the image declares.
    pub ports: Vec<u16>,
}

impl Archive {
    /// Writes the image to a file, as `docker save` would.
    pub fn write(&self, path: &Path) -> Result<()> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut layer = tempfile::NamedTempFile::new_in(dir)
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        layer::write(&self.content()?, layer.as_file_mut())?;
        let digest = digest(layer.path())?;
        let config = serde_json::to_vec(&self.config(&digest)?)?;

        let mut whole = tempfile::NamedTempFile::new_in(dir)?;
        self.assemble(&config, layer.path(), whole.as_file_mut())?;
        whole.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn name(&self) -> Result<String> {
        let name =
            self.program.file_name().with_context(|| format!("{} is no file", self.program.display()))?;
        Ok(name.to_string_lossy().into_owned())
    }

    /// What the layer holds.
    fn content(&self) -> Result<layer::Content> {
        let mut content = layer::Content::base();
        let program = PathBuf::from("/usr/local/bin").join(self.name()?);
        let named =
            std::iter::once((&self.program, &program)).chain(self.files.iter().map(|(from, to)| (from, to)));
        for (from, to) in named {
            content.add_file(to, from)?;
            for library in closure::of(from)? {
                content.add_file(&library, &library)?;
            }
        }
        Ok(content)
    }

    fn config(&self, digest: &str) -> Result<serde_json::Value> {
        let program = format!("/usr/local/bin/{}", self.name()?);
        let entrypoint = if self.entrypoint.is_empty() { vec![program] } else { self.entrypoint.clone() };
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let env: Vec<String> = std::iter::once(path).chain(self.env.iter().cloned()).collect();
        let ports: serde_json::Map<_, _> =
            self.ports.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
        let mut config = json!({
            "Entrypoint": entrypoint,
            "Env": env,
            "ExposedPorts": ports,
            "User": if self.user.is_empty() { "65532:65532" } else { &self.user },
            "WorkingDir": "/",
        });
        if let (Some(signal), Some(map)) = (&self.stop_signal, config.as_object_mut()) {
            map.insert("StopSignal".into(), json!(signal));
        }
        Ok(json!({
            "architecture": architecture(),
            "config": config,
            "created": "1970-01-01T00:00:00Z",
            "history": [{ "created": "1970-01-01T00:00:00Z" }],
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        }))
    }

    fn assemble(&self, config: &[u8], layer: &Path, file: &mut File) -> Result<()> {
        let config_name = format!("{}.json", hex(&Sha256::digest(config)));
        let manifest =
            json!([{ "Config": config_name, "RepoTags": self.references, "Layers": ["layer.tar"] }]);
        let mut tar = tar::Builder::new(BufWriter::new(file));
        let manifest = serde_json::to_vec(&manifest)?;
        for (name, bytes) in [(config_name.as_str(), config), ("manifest.json", &manifest)] {
            tar.append_data(&mut layer::header(bytes.len() as u64, 0o644), name, bytes)?;
        }
        let size = fs::metadata(layer)?.len();
        tar.append_data(&mut layer::header(size, 0o644), "layer.tar", BufReader::new(File::open(layer)?))?;
        tar.into_inner()?.flush()?;
        Ok(())
    }
}

/// This machine's architecture, as Go and container images call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = io::Read::read(&mut file, &mut buffer)?;
        match buffer.get(..read) {
            Some(part) if read > 0 => hash.update(part),
            _ => return Ok(hex(&hash.finalize())),
        }
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| DIGITS.get(usize::from(half))).map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read;

    fn archive() -> Archive {
        Archive {
            references: vec!["docker.io/library/kong:3.9".into()],
            program: "/bin/true".into(),
            files: vec![("/etc/hostname".into(), "/etc/extra".into())],
            entrypoint: vec!["/usr/local/bin/true".into(), "--help".into()],
            env: vec!["A=b".into()],
            user: "kong".into(),
            stop_signal: Some("SIGQUIT".into()),
            ports: vec![8000],
        }
    }

    fn entries(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut read = BTreeMap::new();
        for entry in tar::Archive::new(tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            read.insert(entry.path().unwrap().to_string_lossy().into_owned(), bytes);
        }
        read
    }

    #[test]
    fn an_archive_holds_what_its_manifest_names() {
        let dir = tempfile::tempdir().unwrap();
        archive().write(&dir.path().join("a.tar")).unwrap();
        let files = entries(&fs::read(dir.path().join("a.tar")).unwrap());

        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "docker.io/library/kong:3.9");
        let config: serde_json::Value =
            serde_json::from_slice(&files[manifest[0]["Config"].as_str().unwrap()]).unwrap();
        let layer = &files[manifest[0]["Layers"][0].as_str().unwrap()];
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&Sha256::digest(layer))));
        assert_eq!(config["config"]["StopSignal"], "SIGQUIT");
        assert_eq!(config["config"]["Entrypoint"][1], "--help");
        assert!(config["config"]["ExposedPorts"]["8000/tcp"].is_object());

        let content = entries(layer);
        assert_eq!(content["usr/local/bin/true"], fs::read("/bin/true").unwrap());
        assert_eq!(content["etc/extra"], fs::read("/etc/hostname").unwrap());
        assert!(content.keys().any(|path| path.ends_with("libc.so.6")), "{:?}", content.keys());
        assert!(content.contains_key("etc/passwd") && content.contains_key("tmp/"), "{:?}", content.keys());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "scratch files were left");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            archive().write(&dir.path().join(name)).unwrap();
            fs::read(dir.path().join(name)).unwrap()
        };
        assert!(write("one.tar") == write("two.tar"));
    }
}
