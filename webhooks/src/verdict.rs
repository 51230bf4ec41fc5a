//! What is said about an object.

use plan::Problem;

/// Everything that is wrong with an object, and everything that is legal but surprising.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is refused; none means that it is allowed.
    pub problems: Vec<Problem>,
    /// What its author should know all the same, one sentence each: at most 120 characters where it can be helped,
    /// which is what clients are sure to show.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// Whether the object may be stored.
    pub fn allowed(&self) -> bool {
        self.problems.is_empty()
    }
}
