//! The error table: one number a kind of failure, the same in C, C++, Java and ADBC, never renumbered.

use std::ffi::CStr;

use plasmon::Error;

/// Kind of a failure. Numbers are part of the ABI: new ones are added, old ones stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum Code {
    /// No failure.
    Ok = 0,
    /// An argument is null, out of range, or no UTF-8.
    InvalidArgument = 1,
    /// A handle is closed, of another kind, or was never given.
    InvalidHandle = 2,
    /// An Arrow struct breaks the C Data Interface, or its data is malformed.
    InvalidArrow = 3,
    /// The call is out of order: the statement has no text, the result is over, the stream was taken.
    InvalidState = 4,
    /// Another thread, or this one further up its stack, is inside a call on the same handle; or the call would wait for a query that waits for this thread.
    Busy = 5,
    /// The caller was compiled for an ABI that this library does not serve.
    UnsupportedVersion = 6,
    /// The statement, an option or a name is wrong.
    User = 10,
    /// A value cannot be computed: overflow, division by zero, a bad cast.
    Data = 11,
    /// Valid, but the engine has no way to run it.
    Unsupported = 12,
    /// A file or store failed, or holds malformed bytes.
    Io = 13,
    /// The memory budget is used up.
    OutOfMemory = 14,
    /// Cancelled by its owner.
    Cancelled = 15,
    /// Ran past its deadline.
    Deadline = 16,
    /// A callback or stream of the host failed.
    Host = 17,
    /// A bug in the library.
    Internal = 20,
}

/// Who can mend a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum Class {
    /// Nobody needs to.
    None = 0,
    /// The program that calls the library.
    Caller = 1,
    /// Who wrote the statement.
    User = 2,
    /// Who keeps the data, files and stores.
    Data = 3,
    /// Who runs the machine: memory, deadlines, cancellation.
    Operator = 4,
    /// The library's makers.
    Library = 5,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Code; 16] = [
        Code::Ok,
        Code::InvalidArgument,
        Code::InvalidHandle,
        Code::InvalidArrow,
        Code::InvalidState,
        Code::Busy,
        Code::UnsupportedVersion,
        Code::User,
        Code::Data,
        Code::Unsupported,
        Code::Io,
        Code::OutOfMemory,
        Code::Cancelled,
        Code::Deadline,
        Code::Host,
        Code::Internal,
    ];

    /// The code of a number.
    pub fn of_number(number: i32) -> Option<Code> {
        Code::ALL.into_iter().find(|code| *code as i32 == number)
    }

    /// Short name for logs, e.g. `out of memory`.
    pub fn name(self) -> &'static CStr {
        match self {
            Code::Ok => c"ok",
            Code::InvalidArgument => c"invalid argument",
            Code::InvalidHandle => c"invalid handle",
            Code::InvalidArrow => c"invalid Arrow data",
            Code::InvalidState => c"call out of order",
            Code::Busy => c"busy",
            Code::UnsupportedVersion => c"unsupported version",
            Code::User => c"wrong statement",
            Code::Data => c"data error",
            Code::Unsupported => c"not supported",
            Code::Io => c"input or output failed",
            Code::OutOfMemory => c"out of memory",
            Code::Cancelled => c"cancelled",
            Code::Deadline => c"deadline passed",
            Code::Host => c"host failed",
            Code::Internal => c"internal error",
        }
    }

    /// Who can mend it.
    pub fn class(self) -> Class {
        match self {
            Code::Ok => Class::None,
            Code::InvalidArgument
            | Code::InvalidHandle
            | Code::InvalidArrow
            | Code::InvalidState
            | Code::Busy
            | Code::UnsupportedVersion
            | Code::Host => Class::Caller,
            Code::User | Code::Unsupported => Class::User,
            Code::Data | Code::Io => Class::Data,
            Code::OutOfMemory | Code::Cancelled | Code::Deadline => Class::Operator,
            Code::Internal => Class::Library,
        }
    }

    /// The `errno` that the callbacks of an Arrow C stream give for it (Linux numbers, which the interface asks for).
    pub fn errno(self) -> i32 {
        const EIO: i32 = 5;
        const ENOMEM: i32 = 12;
        const EBUSY: i32 = 16;
        const EINVAL: i32 = 22;
        const ENOSYS: i32 = 38;
        const ETIMEDOUT: i32 = 110;
        const ECANCELED: i32 = 125;
        match self {
            Code::Ok => 0,
            Code::Busy => EBUSY,
            Code::Unsupported | Code::UnsupportedVersion => ENOSYS,
            Code::Io | Code::Host | Code::Internal => EIO,
            Code::OutOfMemory => ENOMEM,
            Code::Cancelled => ECANCELED,
            Code::Deadline => ETIMEDOUT,
            _ => EINVAL,
        }
    }
}

/// A failure with all that is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub code: Code,
    /// What happened, and to what.
    pub message: String,
    /// The node of a plan that is to blame, as the way from the root (`root.input.left.condition`); empty when there is none.
    pub path: String,
    /// What may help; empty when nothing is known to.
    pub hint: String,
}

impl Failure {
    /// A failure without path or hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), path: String::new(), hint: String::new() }
    }

    /// An argument that cannot be.
    pub fn argument(message: impl Into<String>) -> Self {
        Failure::new(Code::InvalidArgument, message)
    }

    /// Arrow data that cannot be.
    pub fn arrow(message: impl Into<String>) -> Self {
        Failure::new(Code::InvalidArrow, message)
    }

    /// A call that is out of order.
    pub fn state(message: impl Into<String>) -> Self {
        Failure::new(Code::InvalidState, message)
    }

    /// The failure with what may help.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The failure with the plan node that is to blame.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if !self.path.is_empty() {
            write!(f, " (at {})", self.path)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\nhint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::At { path, error } => return Failure::from((**error).clone()).at(path.clone()),
            Error::User(_) => Code::User,
            Error::Data(_) => Code::Data,
            Error::Unsupported(_) => Code::Unsupported,
            Error::Io { .. } => Code::Io,
            Error::OutOfMemory { .. } => Code::OutOfMemory,
            Error::Cancelled => Code::Cancelled,
            Error::Deadline => Code::Deadline,
            Error::Busy => Code::Busy,
            Error::Internal(_) => Code::Internal,
            // A failure of the boundary that went through the engine keeps what it was.
            Error::External(source) => match source.downcast_ref::<Failure>() {
                Some(own) => return own.clone(),
                None => Code::Host,
            },
        };
        Failure::new(code, error.to_string())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::External(std::sync::Arc::new(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that moves breaks programs that were compiled before.
    #[test]
    fn numbers_are_pinned() {
        let numbers: Vec<i32> = Code::ALL.into_iter().map(|code| code as i32).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 20]);
        assert!(Code::ALL.into_iter().all(|code| Code::of_number(code as i32) == Some(code)));
        assert_eq!(Code::of_number(7), None);
    }

    #[test]
    fn failures_keep_what_they_were_through_the_engine() {
        let failure = Failure::arrow("no buffer").hint("give one").at("root");
        assert_eq!(Failure::from(Error::from(failure.clone())), failure);
        assert_eq!(Failure::from(Error::Deadline).code, Code::Deadline);
        let located = Failure::from(Error::unsupported("lateral joins").at("root.input").at("root"));
        assert_eq!((located.code, located.path.as_str()), (Code::Unsupported, "root.input"));
        assert_eq!(failure.to_string(), "no buffer (at root)\nhint: give one");
    }
}
