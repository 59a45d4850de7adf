//! Errors of the planner libraries → the engine's classes.

use std::sync::Arc;

use datafusion_common::DataFusionError;
use plasmon_core::Error;

/// The engine's error of the same class and message; context wrappers and positions are kept as text.
pub(crate) fn convert_error(error: DataFusionError) -> Error {
    match error {
        DataFusionError::Plan(message) | DataFusionError::Configuration(message) => Error::User(without_blame(message)),
        DataFusionError::SQL(parser, _) => Error::User(parser.to_string()),
        DataFusionError::SchemaError(schema, _) => Error::User(schema.to_string()),
        DataFusionError::NotImplemented(message) => Error::Unsupported(message),
        DataFusionError::ArrowError(arrow, _) => Error::from(*arrow),
        DataFusionError::Execution(message) => Error::Data(message),
        DataFusionError::IoError(io) => Error::io("planning", io),
        DataFusionError::Internal(message) => Error::Internal(message),
        DataFusionError::Context(context, inner) => with_context(&context, convert_error(*inner)),
        DataFusionError::Diagnostic(_, inner) => convert_error(*inner),
        DataFusionError::Collection(mut errors) if !errors.is_empty() => convert_error(errors.swap_remove(0)),
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::External(Arc::from(other)),
        },
        DataFusionError::Shared(inner) => Error::External(inner),
        other => Error::User(other.to_string()),
    }
}

/// Names of optimizer rules and the like are of no use to a user, so context is kept for internal errors alone.
fn with_context(context: &str, error: Error) -> Error {
    match error {
        // Types that have no such operation: the rule takes for its own bug what whoever wrote the statement did.
        Error::Internal(message) if context == "type_coercion" => Error::User(without_blame(message)),
        Error::Internal(message) => Error::Internal(format!("{context}: {message}")),
        other => other,
    }
}

/// The message without what the library adds to errors that it takes for its own bugs, when a statement is to blame.
fn without_blame(message: String) -> String {
    const BLAME: &str = "This issue was likely caused by a bug in DataFusion's code.";
    const END: &str = "/issues";
    let message = message.strip_prefix("Internal error: ").map(str::to_string).unwrap_or(message);
    let Some((before, rest)) = message.split_once(BLAME) else { return message };
    let after = rest.split_once(END).map_or("", |(_, after)| after);
    format!("{}{after}", before.trim_end_matches(['.', '\n']))
}

/// The other way, for traits of the planner libraries that we implement.
pub(crate) fn into_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statements_error_does_not_blame_the_library() {
        let inner = DataFusionError::Internal("no such types".into());
        let outer = DataFusionError::Plan(format!("{inner}. No function matches."));
        assert_eq!(convert_error(outer).to_string(), "no such types. No function matches.");
        let plain = DataFusionError::Plan("no column x".into());
        assert_eq!(convert_error(plain).to_string(), "no column x");
    }
}
