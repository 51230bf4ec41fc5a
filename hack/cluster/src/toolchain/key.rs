//! The name under which a build is cached.
//!
//! In: a recipe and the version of Go. Out: sixteen hexadecimal digits. Never reads a file.

use sha2::{Digest, Sha256};

use super::Recipe;
use crate::image::hex;

/// A hash of the module's files, the arguments of the build and the version of Go.
pub(super) fn of(recipe: &Recipe, go: &str) -> String {
    let mut hash = Sha256::new();
    let mut feed = |part: &str| {
        // The length keeps neighbours apart: ("ab", "c") is not ("a", "bc").
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    for (path, content) in recipe.files {
        feed(path);
        feed(content);
    }
    recipe.arguments.iter().for_each(|argument| feed(argument));
    feed(recipe.target.name());
    feed(if recipe.cgo { "cgo" } else { "static" });
    if let Some((other, folder)) = recipe.along {
        feed(other);
        feed(folder);
    }
    feed(go);
    hex(&hash.finalize()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    const BASE: Recipe = Recipe {
        name: "x",
        files: &[("go.mod", "module x"), ("go.sum", "a")],
        target: Target::Package("."),
        arguments: &["-trimpath"],
        cgo: false,
        along: None,
        programs: &["x"],
    };

    #[test]
    fn whatever_changes_the_build_changes_the_key() {
        let base = of(&BASE, "go1.26.8");
        assert_eq!(base.len(), 16);
        assert_eq!(base, of(&BASE, "go1.26.8"));
        let others = [
            of(&BASE, "go1.26.9"),
            of(&Recipe { files: &[("go.mod", "module x"), ("go.sum", "b")], ..BASE }, "go1.26.8"),
            of(&Recipe { files: &[("go.mod", "module xg"), ("o.sum", "a")], ..BASE }, "go1.26.8"),
            of(&Recipe { arguments: &["-race"], ..BASE }, "go1.26.8"),
            of(&Recipe { target: Target::Tools, ..BASE }, "go1.26.8"),
            of(&Recipe { target: Target::Nothing, ..BASE }, "go1.26.8"),
            of(&Recipe { cgo: true, ..BASE }, "go1.26.8"),
            of(&Recipe { along: Some(("y", "z")), ..BASE }, "go1.26.8"),
        ];
        for other in &others {
            assert_ne!(*other, base);
        }
    }
}
