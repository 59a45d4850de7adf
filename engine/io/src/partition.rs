//! Columns that a file does not hold but its name tells: `year=2024/month=01/` folders in Hive's manner, and the file name itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::CastOptions;
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use plasmon_core::batch::arrow::import_column;
use plasmon_core::batch::{Batch, Column};
use plasmon_core::expression::{Expression, Scalar, select};
use plasmon_core::table::ScanRequest;
use plasmon_core::{Error, Result};

use crate::format::Options;
use crate::store::DataFile;

/// Folder name of the value null, as Hive writes it.
pub(crate) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";
/// Name of the column that the option `filename` adds.
const FILE_NAME_COLUMN: &str = "filename";

/// The columns that the names of a table's files give.
#[derive(Debug, Default)]
pub(crate) struct NameColumns {
    fields: Vec<Field>,
    /// By file, in the order of `fields`.
    values: Vec<Vec<Scalar>>,
}

impl NameColumns {
    /// What the names of `files` tell. Undeclared folders count when all files have the same keys.
    pub(crate) fn of_files(files: &[Arc<DataFile>], options: &Options) -> Result<Self> {
        let folders: Vec<_> = files.iter().map(|f| folder_values(&f.name)).collect();
        let wanted = options.flag(&["hive_partitioning", "hive_partitions"], true)?;
        let keys = match &options.partition_columns {
            Some(declared) => declared.clone(),
            None if wanted => common_keys(&folders),
            None => Vec::new(),
        };
        let mut columns = NameColumns { fields: Vec::new(), values: vec![Vec::new(); files.len()] };
        for key in keys {
            let texts = texts_of(&key, files, &folders)?;
            let declared = options.schema.as_ref().and_then(|s| s.field_with_name(&key).ok());
            let data_type = declared.map_or_else(|| inferred(&texts), |f| f.data_type().clone());
            columns.push(&key, &texts, data_type, files)?;
        }
        if options.flag(&[FILE_NAME_COLUMN], false)? {
            let names: StringArray = files.iter().map(|f| Some(f.name.as_str())).collect();
            columns.push(FILE_NAME_COLUMN, &names, DataType::Utf8View, files)?;
        }
        Ok(columns)
    }

    fn push(&mut self, name: &str, texts: &StringArray, data_type: DataType, files: &[Arc<DataFile>]) -> Result<()> {
        for (file, values) in self.values.iter_mut().enumerate() {
            let text: ArrayRef = Arc::new(texts.slice(file, 1));
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let value = arrow::compute::cast_with_options(&text, &data_type, &strict).map_err(|e| {
                Error::io(&files[file].name, format!("the folder's value of column {name} is no {data_type}: {e}"))
            })?;
            values.push(Scalar::from_column(&import_column(&value)?, 0));
        }
        self.fields.push(Field::new(name, data_type, true));
        Ok(())
    }

    /// `stored` and behind it the columns that it lacks.
    pub(crate) fn extend(&self, stored: &Schema) -> Schema {
        let mut fields: Vec<_> = stored.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend(self.fields.iter().filter(|f| stored.index_of(f.name()).is_err()).cloned());
        Schema::new_with_metadata(fields, stored.metadata().clone())
    }

    /// The value that the file's name gives for a column.
    pub(crate) fn value(&self, file: usize, column: &str) -> Option<&Scalar> {
        let index = self.fields.iter().position(|f| f.name() == column)?;
        self.values.get(file).map(|values| &values[index])
    }
}

/// Key and value (`None` = null) of every `key=value` folder of a path.
fn folder_values(name: &str) -> Vec<(String, Option<String>)> {
    let (folders, _) = name.rsplit_once('/').unwrap_or(("", name));
    let pairs = folders.split('/').filter_map(|part| part.split_once('='));
    pairs
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (url_decoded(key), (value != NULL_PARTITION).then(|| url_decoded(value))))
        .collect()
}

fn common_keys(folders: &[Vec<(String, Option<String>)>]) -> Vec<String> {
    let keys = |folder: &[(String, Option<String>)]| folder.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>();
    let first = folders.first().map(|f| keys(f)).unwrap_or_default();
    let distinct = first.iter().enumerate().all(|(i, key)| !first[..i].contains(key));
    if distinct && folders.iter().all(|f| keys(f) == first) { first } else { Vec::new() }
}

fn texts_of(key: &str, files: &[Arc<DataFile>], folders: &[Vec<(String, Option<String>)>]) -> Result<StringArray> {
    let texts = files.iter().zip(folders).map(|(file, folder)| {
        let found = folder.iter().rfind(|(k, _)| k.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            Error::io(&file.name, format!("no folder {key}=… in the path, yet the table is partitioned by {key}"))
        })
    });
    Ok(texts.collect::<Result<Vec<_>>>()?.into_iter().collect())
}

/// Whole numbers and dates where all values are; else text.
fn inferred(texts: &StringArray) -> DataType {
    let all = |fits: &dyn Fn(&str) -> bool| texts.null_count() < texts.len() && texts.iter().flatten().all(fits);
    let is_date = |t: &str| t.len() == 10 && Date32Type::parse(t).is_some();
    if all(&|t| t.parse::<i64>().is_ok() && !t.starts_with('+')) {
        DataType::Int64
    } else if all(&is_date) {
        DataType::Date32
    } else {
        DataType::Utf8View
    }
}

/// A folder name's bytes without their `%XX`; what is no such escape stays.
fn url_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex.filter(|_| bytes[at] == b'%') {
            Some(byte) => (decoded.push(byte), at += 3).1,
            None => (decoded.push(bytes[at]), at += 1).1,
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_string())
}

/// A folder name for a value: what separates or matches names, and what is no plain text, as `%XX`.
pub(crate) fn url_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for c in text.chars() {
        match c {
            '/'
            | '\\'
            | '='
            | '%'
            | ':'
            | '"'
            | '\''
            | '?'
            | '*'
            | '['
            | ']'
            | '#'
            | '{'
            | '}'
            | '^'
            | '~'
            | '|'
            | '<'
            | '>'
            | '`'
            | '\0'..='\x1f'
            | '\x7f' => encoded.push_str(&format!("%{:02X}", c as u32)),
            _ => encoded.push(c),
        }
    }
    encoded
}

/// Whether some row of a file may pass the request, going by the columns whose one value for the whole file is known.
pub(crate) fn file_may_pass(
    constant: &dyn Fn(usize) -> Option<Scalar>,
    schema: &SchemaRef,
    request: &ScanRequest,
) -> bool {
    let column =
        |index: usize| -> Option<Column> { constant(index)?.to_column(schema.field(index).data_type(), 1).ok() };
    let may_pass = |filter: &Expression| {
        let read = filter.referenced_columns();
        let Some(columns) = read.iter().map(|&c| column(c)).collect::<Option<Vec<_>>>() else { return true };
        let filter = filter.map_columns(&|c| read.binary_search(&c).unwrap_or(c));
        // A filter that fails is left to fail on the rows, if there are any.
        select(&filter, Batch::new(columns, 1)).map_or(true, |batch| batch.selected_rows() > 0)
    };
    let has_key = |target: &plasmon_core::table::RuntimeFilterTarget| {
        let (Some(keys), Some(value)) = (target.filter.keys(), constant(target.column)) else { return true };
        // A null equals no key.
        if value.is_null() { false } else { value.as_i64().is_none_or(|key| keys.may_contain(key)) }
    };
    request.filters.iter().filter(|f| !f.referenced_columns().is_empty()).all(may_pass)
        && request.runtime_filters.iter().all(has_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_keys_and_values() {
        let pairs = folder_values("s3://b/t=x/year=2024/city=New%20York%2F1/n=__HIVE_DEFAULT_PARTITION__/a=b.parquet");
        let text = |t: &str| Some(t.to_string());
        let wanted = [("t", text("x")), ("year", text("2024")), ("city", text("New York/1")), ("n", None)];
        assert_eq!(pairs, wanted.map(|(k, v)| (k.to_string(), v)));
    }

    #[test]
    fn names_survive_coding() {
        for text in ["", "plain", "a/b=c%d", "100%", "%zz", "größe", "a\nb", "%41"] {
            assert_eq!(url_decoded(&url_encoded(text)), text);
        }
        assert_eq!(url_decoded("100%"), "100%");
        assert_eq!(url_decoded("%ff"), "%ff", "no UTF-8: left as it is");
    }

    #[test]
    fn types_are_inferred_from_all_values() {
        let of = |texts: &[Option<&str>]| inferred(&texts.iter().copied().collect());
        assert_eq!(of(&[Some("01"), None, Some("-7")]), DataType::Int64);
        assert_eq!(of(&[Some("2024-01-31"), Some("2024-02-01")]), DataType::Date32);
        assert_eq!(of(&[Some("2024-01-31"), Some("7")]), DataType::Utf8View);
        assert_eq!(of(&[None]), DataType::Utf8View);
    }
}
