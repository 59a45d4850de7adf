//! The engine's one error type: four classes, each message names what and where.

use std::sync::Arc;

/// Result of every fallible engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by who can mend it: the user (`User`, `Unsupported`), the data's owner (`Data`, `Io`), the operator of the
/// machine (`OutOfMemory`, `Cancelled`, `Deadline`), the program that calls (`Busy`), or us (`Internal`).
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The statement, an option or an argument is wrong.
    #[error("{0}")]
    User(String),
    /// A value cannot be computed (overflow, division by zero, bad cast); the message shows the operation and the value.
    #[error("{0}")]
    Data(String),
    /// The statement is valid but the engine has no way to run it; the message names the construct.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A file or store failed or holds malformed bytes; the message names file, and column or position where known.
    #[error("{context}: {message}")]
    Io { context: String, message: String },
    /// A reservation was refused and nothing was left to spill.
    #[error(
        "out of memory: {consumer} asked for {requested} bytes, {available} of {limit} bytes are free; held by: {holders}. Raise the memory limit or reduce `threads`"
    )]
    OutOfMemory { consumer: String, requested: usize, available: usize, limit: usize, holders: String },
    /// The query was cancelled by its owner.
    #[error("query cancelled")]
    Cancelled,
    /// The query ran past its deadline.
    #[error("query ran past its deadline")]
    Deadline,
    /// A thread of the engine's own was about to wait for rows that wait for it: something that a query calls asked for rows of that very query, or of one
    /// that waits for it. The query goes on.
    #[error("busy: these rows wait for the query that this thread works for, which would wait for them")]
    Busy,
    /// A bug in the engine.
    #[error("internal error: {0} (please report this)")]
    Internal(String),
    /// An error of a host's or library's own type, kept as source.
    #[error("{0}")]
    External(Arc<dyn std::error::Error + Send + Sync>),
    /// Any of the others, and the node of a given plan that is to blame, as the way from the root: `root.input.left.expressions[2]`.
    #[error("{error} (at {path})")]
    At { path: String, error: Box<Error> },
}

impl Error {
    /// An error of class [`Error::User`].
    pub fn user(message: impl Into<String>) -> Self {
        Error::User(message.into())
    }
    /// An error of class [`Error::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Error::Data(message.into())
    }
    /// An error of class [`Error::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::Unsupported(message.into())
    }
    /// An error of class [`Error::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Error::Internal(message.into())
    }
    /// The error at a node of a plan; the innermost node stays when it has one.
    pub fn at(self, path: impl Into<String>) -> Self {
        match self {
            Error::At { .. } => self,
            error => Error::At { path: path.into(), error: Box::new(error) },
        }
    }
    /// The error without its place in a plan.
    pub fn without_path(&self) -> &Error {
        match self {
            Error::At { error, .. } => error.without_path(),
            error => error,
        }
    }
    /// An error of class [`Error::Io`]; `context` names the file (and column or byte position).
    pub fn io(context: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Error::Io { context: context.into(), message: error.to_string() }
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        use arrow_schema::ArrowError;
        match error {
            ArrowError::DivideByZero => Error::data("division by zero"),
            ArrowError::ExternalError(inner) => Error::External(Arc::from(inner)),
            ArrowError::NotYetImplemented(what) => Error::unsupported(what),
            ArrowError::IoError(what, error) => Error::io(what, error),
            // What was put together wrongly has nothing to do with the values.
            ArrowError::SchemaError(what) | ArrowError::CDataInterface(what) => Error::internal(what),
            other => Error::data(other.to_string()),
        }
    }
}
