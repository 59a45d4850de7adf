//! The way to a node of a plan on the wire, for refusals.

use std::fmt;

use plasmon_core::Error;

/// The way from the plan's top, by field names. It lives on the decoder's stack and is written out only when something is wrong.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    above: Option<&'a Path<'a>>,
    field: &'static str,
    index: Option<usize>,
}

impl<'a> Path<'a> {
    /// A top of the plan: `root`, or one of `shared` and `subqueries`.
    pub(super) fn top(field: &'static str, index: Option<usize>) -> Self {
        Path { above: None, field, index }
    }

    /// The node in the field `field` of this one.
    pub(super) fn field(&'a self, field: &'static str) -> Path<'a> {
        Path { above: Some(self), field, index: None }
    }

    /// The node at `index` of the repeated field `field` of this one.
    pub(super) fn item(&'a self, field: &'static str, index: usize) -> Path<'a> {
        Path { above: Some(self), field, index: Some(index) }
    }

    /// The sender's error at this node.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Error {
        Error::user(what).at(self.to_string())
    }

    /// What is well-formed here and cannot be run.
    pub(super) fn unsupported(&self, what: impl Into<String>) -> Error {
        Error::unsupported(what).at(self.to_string())
    }

    /// An error of the engine's about this node; what it takes for its own mistake is the sender's.
    pub(super) fn refused(&self, error: Error) -> Error {
        match error {
            Error::Internal(what) | Error::Data(what) => self.wrong(what),
            other => other.at(self.to_string()),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            write!(f, "{above}.")?;
        }
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.field),
            None => f.write_str(self.field),
        }
    }
}
