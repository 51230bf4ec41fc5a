//! The shared libraries a program needs, its ELF interpreter among them.
//!
//! In: a file. Out: absolute paths on this machine, which are also their paths in an image. Never
//! copies anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Libraries that glibc before 2.34 opens by itself to resolve names; newer ones hold them.
const RESOLVERS: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/// What a file is linked to; nothing for a static program, or for a file that is no program.
pub(crate) fn of(file: &Path) -> Result<Vec<PathBuf>> {
    if !is_elf(file)? {
        return Ok(Vec::new());
    }
    let said = Command::new("ldd").arg(file).env("LC_ALL", "C").output().context("cannot run ldd")?;
    let text = String::from_utf8_lossy(&said.stdout);
    let complaint = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        if complaint.contains("not a dynamic executable") || text.contains("not a dynamic executable") {
            return Ok(Vec::new());
        }
        bail!("ldd {} failed: {}", file.display(), complaint.trim());
    }
    let mut libraries = parse(&text).with_context(|| format!("libraries of {}", file.display()))?;
    libraries.extend(resolvers(&libraries));
    Ok(libraries)
}

fn is_elf(file: &Path) -> Result<bool> {
    let mut magic = [0; 4];
    let read = std::fs::File::open(file)
        .and_then(|mut file| std::io::Read::read(&mut file, &mut magic))
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(read == 4 && magic == *b"\x7fELF")
}

/// Reads lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` and `/lib64/ld-linux… (0x…)`.
fn parse(text: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        if place.starts_with("not found") {
            bail!("{line}");
        }
        if let Some(path) = place.split(" (").next().filter(|path| path.starts_with('/')) {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

fn resolvers(libraries: &[PathBuf]) -> Vec<PathBuf> {
    let libc = libraries.iter().find(|path| path.ends_with("libc.so.6"));
    let Some(dir) = libc.and_then(|path| path.parent()) else {
        return Vec::new();
    };
    RESOLVERS.iter().map(|name| dir.join(name)).filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ldd_are_understood() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\
            \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f1)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n";
        let paths = parse(text).unwrap();
        assert_eq!(
            paths,
            [Path::new("/lib/x86_64-linux-gnu/libgcc_s.so.1"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
        assert!(parse("\tstatically linked\n").unwrap().is_empty());
        assert!(parse("\tlibx.so => not found\n").is_err());
    }

    #[test]
    fn a_text_has_no_libraries() {
        assert!(of(Path::new("/etc/passwd")).unwrap().is_empty());
    }

    #[test]
    fn a_program_has_its_interpreter() {
        let libraries = of(Path::new("/bin/sh")).unwrap();
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("/ld-linux")), "{libraries:?}");
    }
}
