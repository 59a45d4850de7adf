//! Where in a plan that came from outside something is: `root.input.left.expressions[2].arguments[0]`.

use std::fmt;

use plasmon_core::Error;

/// A way from the root of a plan to one of its nodes. It lives on the stack of whoever walks the plan, and is written out only when something is
/// wrong.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Path<'a> {
    /// The first segment.
    pub(crate) fn root(name: &'a str) -> Path<'a> {
        Path { parent: None, name, index: None }
    }

    /// The first segment, one of several.
    pub(crate) fn root_at(name: &'a str, index: usize) -> Path<'a> {
        Path { parent: None, name, index: Some(index) }
    }

    /// The field `name` of this node.
    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), name, index: None }
    }

    /// Element `index` of the field `name` of this node.
    pub(crate) fn item(&'a self, name: &'a str, index: usize) -> Path<'a> {
        Path { parent: Some(self), name, index: Some(index) }
    }

    /// The plan is valid, but this node cannot be run.
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> Error {
        self.locate(Error::unsupported(reason))
    }

    /// The plan is wrong here.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Error {
        self.locate(Error::user(reason))
    }

    /// `error` at this node, unless it has a place already.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match error {
            Error::At { .. } => error,
            error => error.at(self.to_string()),
        }
    }

    /// An error of the engine's about this node; what it takes for its own mistake is the sender's.
    pub(crate) fn refused(&self, error: Error) -> Error {
        match error {
            Error::Internal(what) | Error::Data(what) => self.wrong(what),
            other => self.locate(other),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_from_the_root() {
        let root = Path::root("root");
        let input = root.field("input");
        let expression = input.item("expressions", 2);
        assert_eq!(expression.item("arguments", 0).to_string(), "root.input.expressions[2].arguments[0]");
        let error = root.locate(expression.refuse("no"));
        assert_eq!(error.to_string(), "not supported: no (at root.input.expressions[2])");
    }
}
