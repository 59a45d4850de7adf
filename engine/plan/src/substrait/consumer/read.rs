//! Reads: named tables and views, rows in the plan, files.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, Expression};
use substrait_prost as proto;
use substrait_prost::expression::mask_expression::StructSelect;
use substrait_prost::read_rel::local_files::FileOrFiles;
use substrait_prost::read_rel::local_files::file_or_files::{FileFormat, PathType};
use substrait_prost::read_rel::{LocalFiles, ReadType, VirtualTable};

use super::{Consumer, plain};
use crate::ir::{Node, Relation, TableName, TableOrigin};
use crate::path::Path;
use crate::sql::{cast_to, is_path, plan_view};
use crate::substrait::types::same;

impl<'a> Consumer<'a> {
    /// A read with its filters and mask, before what is common to relations.
    pub(super) fn read(&mut self, read: &'a proto::ReadRel, at: &Path<'_>) -> Result<Relation> {
        let base_at = at.field("base_schema");
        let Some(base) = &read.base_schema else { return Err(base_at.wrong("a read without a schema")) };
        let fields = self.types.named(base, &base_at)?;
        let mut relation = match &read.read_type {
            Some(ReadType::NamedTable(table)) => {
                let at = at.field("named_table");
                plain(&table.advanced_extension, &at)?;
                let source = self.named_table(&table.names, &at)?;
                matched(source, &fields, &base_at)?
            }
            Some(ReadType::LocalFiles(files)) => self.files(files, &fields, at)?,
            Some(ReadType::VirtualTable(rows)) => self.virtual_table(rows, &fields, &at.field("virtual_table"))?,
            Some(ReadType::ExtensionTable(_)) => return Err(at.field("extension_table").refuse("an extension table")),
            Some(ReadType::IcebergTable(_)) => return Err(at.field("iceberg_table").refuse("an Iceberg table")),
            None => return Err(at.wrong("a read of nothing")),
        };
        // What is best effort for others is done.
        let filters = [("filter", &read.filter), ("best_effort_filter", &read.best_effort_filter)];
        for (name, filter) in filters {
            if let Some(condition) = filter {
                relation = self.filter(relation, condition, &at.field(name))?;
            }
        }
        match read.projection.as_ref().and_then(|mask| mask.select.as_ref()) {
            Some(select) => masked(relation, select, &at.field("projection")),
            None => Ok(relation),
        }
    }

    fn named_table(&mut self, names: &[String], at: &Path<'_>) -> Result<Relation> {
        let lower: Vec<String> = names.iter().map(|n| n.to_lowercase()).collect();
        for names in [names, &lower[..]] {
            if let Some(table) = self.catalog.table(names)? {
                return Ok(Relation::scan(TableName::of(TableOrigin::Named(names.to_vec())), table));
            }
            if let Some(view) = self.catalog.view(names)? {
                let plan = plan_view(&view, self.catalog)?;
                self.subqueries.extend(plan.subqueries);
                return Ok(plan.root);
            }
        }
        match names {
            [name] if is_path(name) => {
                let origin = TableOrigin::Files { path: name.clone(), format: None, options: Vec::new() };
                Ok(Relation::scan(TableName::of(origin), self.catalog.path_table(name, None, &[])?))
            }
            _ => Err(at.wrong(format!("there is no table or view {}", names.join(".")))),
        }
    }

    fn files(&mut self, files: &LocalFiles, fields: &[Field], at: &Path<'_>) -> Result<Relation> {
        let at = at.field("local_files");
        plain(&files.advanced_extension, &at)?;
        let mut inputs = Vec::with_capacity(files.items.len());
        for (index, item) in files.items.iter().enumerate() {
            let at = at.item("items", index);
            let (path, format, options) = file(item, &at)?;
            let table = self.catalog.path_table(path, format, &options).map_err(|e| at.locate(e))?;
            let format = format.map(str::to_string);
            let origin = TableOrigin::Files { path: path.to_string(), format, options };
            inputs.push(matched(Relation::scan(TableName::of(origin), table), fields, &at)?);
        }
        match inputs.len() {
            0 => Err(at.wrong("no files")),
            1 => Ok(inputs.swap_remove(0)),
            _ => {
                let schema = inputs[0].schema.clone();
                Ok(Relation::new(Node::Union { inputs }, schema))
            }
        }
    }

    fn virtual_table(&mut self, table: &'a VirtualTable, fields: &[Field], at: &Path<'_>) -> Result<Relation> {
        let schema = Arc::new(Schema::new(fields.iter().map(|f| f.clone().with_nullable(true)).collect::<Vec<_>>()));
        let no_columns = Arc::new(Schema::empty());
        if fields.is_empty() {
            return match table.expressions.len() {
                rows @ (0 | 1) => Ok(Relation::new(Node::Empty { one_row: rows == 1 }, no_columns)),
                rows => Err(at.refuse(format!("{rows} rows without columns"))),
            };
        }
        let mut rows = Vec::with_capacity(table.expressions.len());
        for (index, row) in table.expressions.iter().enumerate() {
            let at = at.item("expressions", index);
            if row.fields.len() != fields.len() {
                return Err(at.wrong(format!("{} values for {} columns", row.fields.len(), fields.len())));
            }
            let mut values = Vec::with_capacity(fields.len());
            for (index, (value, field)) in row.fields.iter().zip(fields).enumerate() {
                let at = at.item("fields", index);
                let value = self.expression(value, &no_columns, &at)?;
                let value = super::as_stated(value, Some(field.data_type().clone()), "the value", &at)?;
                values.push(cast_to(value, field.data_type(), CastMode::Fail));
            }
            rows.push(values);
        }
        Ok(Relation::new(Node::Values { rows }, schema))
    }
}

/// The columns that the plan states, by their names, cast where their types are others.
fn matched(source: Relation, fields: &[Field], at: &Path<'_>) -> Result<Relation> {
    let schema = source.schema.clone();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let exact = schema.fields().iter().position(|f| f.name() == field.name());
        let found = exact.or_else(|| schema.fields().iter().position(|f| f.name().eq_ignore_ascii_case(field.name())));
        match found {
            Some(column) => columns.push(column),
            None => return Err(at.wrong(format!("the table has no column {}", field.name()))),
        }
    }
    let differs = |(&c, f): (&usize, &Field)| !same(schema.field(c).data_type(), f.data_type());
    if !columns.iter().zip(fields).any(differs) {
        return Ok(source.project_columns(columns));
    }
    let mut expressions = Vec::with_capacity(fields.len());
    for (&column, field) in columns.iter().zip(fields) {
        let value = Expression::column(column, schema.field(column).data_type().clone());
        let what = format!("column {}", field.name());
        expressions.push(super::as_stated(value, Some(field.data_type().clone()), &what, at)?);
    }
    Ok(super::project(source, expressions))
}

/// The fields that a mask keeps.
fn masked(relation: Relation, select: &StructSelect, at: &Path<'_>) -> Result<Relation> {
    let width = relation.schema.fields().len();
    let mut columns = Vec::with_capacity(select.struct_items.len());
    for (index, item) in select.struct_items.iter().enumerate() {
        let at = at.item("struct_items", index);
        if item.child.is_some() {
            return Err(at.refuse("a mask inside of a column"));
        }
        match usize::try_from(item.field).ok().filter(|&f| f < width) {
            Some(column) => columns.push(column),
            None => return Err(at.wrong(format!("column {} of {width}", item.field))),
        }
    }
    Ok(relation.project_columns(columns))
}

type FileOptions = Vec<(String, String)>;

/// Path, format and options of a file.
fn file<'f>(item: &'f FileOrFiles, at: &Path<'_>) -> Result<(&'f str, Option<&'static str>, FileOptions)> {
    if item.start > 0 || item.length > 0 {
        return Err(at.refuse("a part of a file by its bytes"));
    }
    let path = match &item.path_type {
        Some(PathType::UriPath(p) | PathType::UriPathGlob(p) | PathType::UriFile(p) | PathType::UriFolder(p)) => p,
        None => return Err(at.wrong("a file without a path")),
    };
    let path = path.strip_prefix("file://").unwrap_or(path);
    let mut options = Vec::new();
    let format = match &item.file_format {
        None => None,
        Some(FileFormat::Parquet(_)) => Some("parquet"),
        Some(FileFormat::Arrow(_)) => Some("arrow"),
        Some(FileFormat::Text(text)) => {
            let mut option = |name: &str, value: &str| {
                if !value.is_empty() {
                    options.push((name.to_string(), value.to_string()));
                }
            };
            option("delimiter", &text.field_delimiter);
            option("quote", &text.quote);
            option("escape", &text.escape);
            option("null", text.value_treated_as_null.as_deref().unwrap_or_default());
            let header = match text.header_lines_to_skip {
                0 => "false",
                1 => "true",
                more => return Err(at.refuse(format!("{more} header lines"))),
            };
            option("header", header);
            Some("csv")
        }
        Some(FileFormat::Orc(_)) => return Err(at.refuse("ORC files")),
        Some(FileFormat::Dwrf(_)) => return Err(at.refuse("DWRF files")),
        Some(FileFormat::Extension(detail)) => return Err(at.refuse(format!("files of format {}", detail.type_url))),
    };
    Ok((path, format, options))
}
