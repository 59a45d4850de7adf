//! What the SQL front end asks its session: tables, views, paths, functions.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plasmon_core::table::{FileSplits, Table};
use plasmon_core::{Error, Result};

use crate::function::Registry;
use crate::ir::Constant;

/// Names in scope of a statement. Parts of a qualified name come outermost first, already normalized (lower case unless quoted).
pub trait Catalog: Send + Sync {
    /// The table of that name, if there is one.
    fn table(&self, name: &[String]) -> Result<Option<Arc<dyn Table>>>;

    /// The view of that name, if there is one.
    fn view(&self, name: &[String]) -> Result<Option<View>>;

    /// A table over files: `FROM 'path/*.parquet'`, `read_parquet('…', name = value)`. `format` is the one asked for, else it follows from the path.
    fn path_table(&self, path: &str, format: Option<&str>, options: &[(String, String)]) -> Result<Arc<dyn Table>>;

    /// A table over parts of files that a host has planned, with these columns.
    fn split_table(&self, _splits: &FileSplits, _schema: &SchemaRef) -> Result<Arc<dyn Table>> {
        Err(Error::unsupported("parts of files, where tables have no files"))
    }

    /// A table function of the session's own; `None` when it has none of that name. Arguments are constants.
    fn table_function(&self, _name: &str, _arguments: &[Constant]) -> Result<Option<Arc<dyn Table>>> {
        Ok(None)
    }

    /// The functions that can be called.
    fn functions(&self) -> Arc<Registry> {
        Registry::standard()
    }
}

/// A view: the text of its query, planned anew wherever the view is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub sql: String,
}
