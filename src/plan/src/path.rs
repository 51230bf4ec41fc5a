//! Paths of fields that are spelt only when somebody reads them.
//!
//! In: steps. Out: the path as Kubernetes writes it, `spec.containers[0].image`. Most fields that are looked at are
//! fine, and cost nothing this way.

use std::fmt;

/// A path: a step, and what it is a step from.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    from: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    /// The path that all others begin with.
    pub const fn root(path: &'a str) -> Self {
        Self { from: None, step: Step::Field(path) }
    }

    /// The field of that name.
    pub const fn field(&'a self, name: &'a str) -> Self {
        Self { from: Some(self), step: Step::Field(name) }
    }

    /// The item of that number.
    pub const fn index(&'a self, index: usize) -> Self {
        Self { from: Some(self), step: Step::Index(index) }
    }

    /// The value of that key of a map.
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self { from: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            from.fmt(f)?;
        }
        match (self.step, self.from) {
            (Step::Field(name), None) => f.write_str(name),
            (Step::Field(name), Some(_)) => write!(f, ".{name}"),
            (Step::Index(index), _) => write!(f, "[{index}]"),
            (Step::Key(key), _) => write!(f, "[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_spelt_as_kubernetes_does() {
        let root = At::root("spec.template");
        let list = root.field("containers");
        let item = list.index(1);
        assert_eq!(item.field("image").to_string(), "spec.template.containers[1].image");
        assert_eq!(root.field("labels").key("a.b/c").to_string(), "spec.template.labels[a.b/c]");
    }
}
