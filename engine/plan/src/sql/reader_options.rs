//! Named arguments of the table functions that read files: `read_csv('a.csv', header = true, delim => ';')`.
//!
//! The planner library takes positional arguments only. So the names are folded into texts `name=value` before it sees the statement, and
//! unfolded where the function is called.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

/// Table functions that read files, and the format each stands for.
pub(super) fn reader_format(function: &str) -> Option<&'static str> {
    Some(match function {
        "read_parquet" | "parquet_scan" => "parquet",
        "read_csv" | "read_csv_auto" => "csv",
        "read_json" | "read_json_auto" | "read_ndjson" | "read_ndjson_auto" => "json",
        "read_arrow" | "read_ipc" => "arrow",
        "read_delta" | "delta_scan" => "delta",
        _ => return None,
    })
}

/// Folds the named arguments of every reader in the statement.
pub(super) fn fold(statement: &mut Statement) {
    struct Folder;
    impl VisitorMut for Folder {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: Some(arguments), .. } = factor
                && name
                    .0
                    .last()
                    .and_then(|n| n.as_ident())
                    .is_some_and(|n| reader_format(&n.value.to_lowercase()).is_some())
            {
                arguments.args.iter_mut().for_each(fold_argument);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = statement.visit(&mut Folder);
}

fn fold_argument(argument: &mut FunctionArg) {
    let pair = match argument {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => Some((name.value.clone(), value)),
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => Some((name.to_string(), value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, op: BinaryOperator::Eq, right })) => {
            Some((left.to_string(), right.as_mut()))
        }
        _ => None,
    };
    if let Some((name, value)) = pair {
        let text = Value::SingleQuotedString(format!("{}={}", name.to_lowercase(), text_of(value)));
        *argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(text.into())));
    }
}

fn text_of(value: &Expr) -> String {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// Name and value of a folded argument.
pub(super) fn unfold(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.to_string(), value.to_string()))
}
