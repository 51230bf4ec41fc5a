//! What is wrong with a resource: every problem at once, each with its path and remedy.

use std::fmt;

/// One field that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, as in `spec.deployment.podTemplateSpec.spec.containers[0].image`.
    pub path: String,
    /// The value and what to do about it.
    pub message: String,
}

impl Problem {
    /// A problem at `path`.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A resource that cannot be provisioned as it is written; what runs is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { path, message }) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{path}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
