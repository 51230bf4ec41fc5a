//! What is wrong with a resource: every problem at once, each with its path and remedy.

use std::fmt;

/// What kind of problem a field has: the reasons of a Kubernetes `StatusCause`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cause {
    /// The value is wrong.
    #[default]
    Invalid,
    /// A value is missing.
    Required,
    /// No value may be given.
    Forbidden,
    /// The value is given already where it may be only once.
    Duplicate,
    /// The value is none of those that are supported.
    NotSupported,
    /// The value names something that does not exist.
    NotFound,
    /// The value is too long.
    TooLong,
    /// The value has the wrong type.
    TypeInvalid,
}

impl Cause {
    /// The word that Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::Required => "FieldValueRequired",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotSupported => "FieldValueNotSupported",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// One field that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is.
    pub cause: Cause,
    /// Path of the field, as in `spec.deployment.podTemplateSpec.spec.containers[0].image`.
    pub path: String,
    /// The value and what to do about it.
    pub message: String,
}

impl Problem {
    /// A problem at `path`; its value is wrong, unless [`Problem::because`] says more.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { cause: Cause::Invalid, path: path.into(), message: message.into() }
    }

    /// The same for another cause.
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }
}

/// A resource that cannot be provisioned as it is written; what runs is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { path, message, .. }) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{path}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
