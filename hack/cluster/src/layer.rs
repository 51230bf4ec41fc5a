//! The one layer of an image: a tar of sorted entries without times or owners of their own.
//!
//! In: files and where they go. Out: a tar. Never follows what is not given to it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What a layer holds, by its path in the image.
pub(crate) struct Content(BTreeMap<PathBuf, Entry>);

enum Entry {
    Directory(u32),
    Text(&'static str),
    File(PathBuf),
}

/// Users that images commonly name. 65532 is the "nonroot" of distroless images, 1000 is Kong's.
const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
    kong:x:1000:1000:kong:/tmp:/sbin/nologin\n\
    nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n\
    nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nkong:x:1000:\nnonroot:x:65532:\nnobody:x:65534:\n";

impl Content {
    /// What every image has.
    pub(crate) fn base() -> Self {
        let mut content = Self(BTreeMap::new());
        content.put("/etc/passwd", Entry::Text(PASSWD));
        content.put("/etc/group", Entry::Text(GROUP));
        content.put("/etc/nsswitch.conf", Entry::Text("passwd: files\ngroup: files\nhosts: files dns\n"));
        content.put("/tmp", Entry::Directory(0o1777));
        content
    }

    /// Adds a file of this machine under a path in the image; links are followed.
    pub(crate) fn add_file(&mut self, path: &Path, from: &Path) -> Result<()> {
        if !path.is_absolute() {
            bail!("{} is no absolute path in an image", path.display());
        }
        self.put(path, Entry::File(from.to_owned()));
        Ok(())
    }

    fn put(&mut self, path: impl AsRef<Path>, entry: Entry) {
        let path = path.as_ref();
        for parent in path.ancestors().skip(1).filter(|parent| parent.parent().is_some()) {
            self.0.entry(parent.to_owned()).or_insert(Entry::Directory(0o755));
        }
        self.0.insert(path.to_owned(), entry);
    }
}

/// Writes a layer.
pub(crate) fn write(content: &Content, out: &mut File) -> Result<()> {
    let mut tar = tar::Builder::new(BufWriter::new(out));
    for (path, entry) in &content.0 {
        let name = path.strip_prefix("/")?;
        append(&mut tar, name, entry)
            .with_context(|| format!("cannot put {} into an image", path.display()))?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn append(tar: &mut tar::Builder<impl Write>, name: &Path, entry: &Entry) -> Result<()> {
    match entry {
        Entry::Directory(mode) => {
            let mut header = header(0, *mode);
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, format!("{}/", name.display()), std::io::empty())?;
        }
        Entry::Text(text) => tar.append_data(&mut header(text.len() as u64, 0o644), name, text.as_bytes())?,
        Entry::File(from) => {
            let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
            let facts = file.metadata()?;
            let mode = if facts.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
            tar.append_data(&mut header(facts.len(), mode), name, BufReader::new(file))?;
        }
    }
    Ok(())
}

/// The header of a plain file, with nothing in it that differs from one day to the next.
pub(crate) fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_files() {
        let mut content = Content::base();
        content.add_file(Path::new("/usr/local/bin/x"), Path::new("/bin/true")).unwrap();
        let paths: Vec<_> = content.0.keys().map(|path| path.to_str().unwrap()).collect();
        let expected = [
            "/etc",
            "/etc/group",
            "/etc/nsswitch.conf",
            "/etc/passwd",
            "/tmp",
            "/usr",
            "/usr/local",
            "/usr/local/bin",
            "/usr/local/bin/x",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn relative_paths_are_refused() {
        assert!(Content::base().add_file(Path::new("x"), Path::new("/bin/true")).is_err());
    }
}
