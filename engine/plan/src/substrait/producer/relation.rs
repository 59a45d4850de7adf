//! Relations, node by node.

use arrow::datatypes::Schema;
use plasmon_core::Result;
use plasmon_core::expression::{Expression, Kind, SortKey};
use plasmon_core::table::Table;
use substrait_prost as proto;
use substrait_prost::expression::{RexType, nested};
use substrait_prost::read_rel::local_files::FileOrFiles;
use substrait_prost::read_rel::local_files::file_or_files::{
    ArrowReadOptions, DelimiterSeparatedTextReadOptions, FileFormat, ParquetReadOptions, PathType,
};
use substrait_prost::read_rel::{LocalFiles, NamedTable, ReadType, VirtualTable};
use substrait_prost::rel::RelType;
use substrait_prost::sort_field::{SortDirection, SortKind};

use super::{Producer, column, type_of};
use crate::ir::{Node, Relation, TableName, TableOrigin};
use crate::path::Path;
use crate::substrait::types::names_of;

impl<'a> Producer<'a> {
    /// The Substrait form of a relation and all below it.
    pub(super) fn relation(&mut self, relation: &'a Relation, at: &Path<'_>) -> Result<proto::Rel> {
        let input_at = at.field("input");
        match &relation.node {
            Node::Scan { name, table, projection, filters, fetch, .. } => {
                let read = self.scan(name, table.as_ref(), projection, filters, at)?;
                Ok(fetched(read, 0, *fetch))
            }
            Node::Values { rows } => self.values(rows, &relation.schema, at),
            Node::Empty { one_row } => {
                let row = nested::Struct { fields: Vec::new() };
                virtual_table(if *one_row { vec![row] } else { Vec::new() }, &Schema::empty(), at)
            }
            Node::Filter { input, predicate } => {
                let condition = self.expression(predicate, &input.schema, &at.field("condition"))?;
                let input = self.relation(input, &input_at)?;
                Ok(filtered(input, condition))
            }
            Node::Project { input, expressions } => {
                let width = input.schema.fields().len();
                let written = expressions.iter().enumerate();
                let written = written
                    .map(|(i, e)| self.expression(e, &input.schema, &at.item("expressions", i)))
                    .collect::<Result<Vec<_>>>()?;
                let outputs = (width..width + written.len()).collect();
                let input = self.relation(input, &input_at)?;
                Ok(projected(input, written, outputs))
            }
            Node::Join { left, right, join } => self.join(left, right, join, at),
            Node::Aggregate { .. } => self.aggregate(relation, at),
            Node::Sort { input, keys, offset, fetch, .. } => {
                let sorts = self.sorts(keys, &input.schema, at)?;
                let input = Some(Box::new(self.relation(input, &input_at)?));
                let sort = proto::SortRel { common: direct(), input, sorts, advanced_extension: None };
                Ok(fetched(rel(RelType::Sort(Box::new(sort))), *offset, *fetch))
            }
            Node::Limit { input, offset, fetch } => {
                let input = self.relation(input, &input_at)?;
                Ok(fetched(input, *offset, *fetch))
            }
            Node::Union { inputs } => {
                let mut written = Vec::with_capacity(inputs.len());
                for (index, input) in inputs.iter().enumerate() {
                    written.push(self.relation(input, &at.item("inputs", index))?);
                }
                if written.len() == 1 {
                    return Ok(written.remove(0));
                }
                let op = proto::set_rel::SetOp::UnionAll as i32;
                let set = proto::SetRel { common: direct(), inputs: written, op, advanced_extension: None };
                Ok(rel(RelType::Set(set)))
            }
            Node::Window { .. } => self.window(relation, at),
            Node::ShuffleWrite { .. } => Err(at.refuse("a shuffle's file, for which Substrait has no relation")),
            Node::Exchange { numbered: true, .. } => {
                Err(at.refuse("numbers of partitions, for which Substrait has no column"))
            }
            Node::Exchange { input, keys, partitions, .. } => self.exchange(input, keys, *partitions, at),
            Node::Expand { .. } => Err(at.refuse("an expansion, which no SQL asks for")),
            Node::Unnest { .. } => Err(at.refuse("UNNEST, for which Substrait has no relation")),
            Node::Recursive { .. } | Node::WorkTable { .. } => {
                Err(at.refuse("WITH RECURSIVE, for which Substrait has no relation"))
            }
            Node::SharedScan { .. } => Err(at.refuse("a sub-plan that the engine's optimizer shared")),
        }
    }

    fn scan(
        &mut self,
        name: &TableName,
        table: &dyn Table,
        projection: &[usize],
        filters: &[Expression],
        at: &Path<'_>,
    ) -> Result<proto::Rel> {
        let schema = table.schema();
        let width = schema.fields().len();
        if let Some(field) = schema.fields().iter().find(|f| f.data_type().is_unsigned_integer()) {
            let reason = format!(
                "column {} of {name} is {}; Substrait has no unsigned integers",
                field.name(),
                field.data_type()
            );
            return Err(at.field("base_schema").refuse(reason));
        }
        let mut written = rel(RelType::Read(Box::new(proto::ReadRel {
            common: direct(),
            base_schema: Some(named_struct(&schema, &at.field("base_schema"))?),
            read_type: Some(source(name, at)?),
            ..Default::default()
        })));
        // Filters and the choice of columns are relations above the read: filters and masks of reads are hints to some readers and unknown to others,
        // and some know output mappings of projections alone.
        if !filters.is_empty() {
            let condition = self.expression(&Expression::and(filters.to_vec()), &schema, &at.field("condition"))?;
            written = filtered(written, condition);
        }
        if projection.iter().copied().eq(0..width) {
            return Ok(written);
        }
        let outputs = (width..width + projection.len()).collect();
        Ok(projected(written, projection.iter().map(|&c| column(c)).collect(), outputs))
    }

    fn values(&mut self, rows: &[Vec<Expression>], schema: &Schema, at: &Path<'_>) -> Result<proto::Rel> {
        let no_columns = Schema::empty();
        let mut written = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let at = at.item("rows", index);
            let fields = row.iter().enumerate();
            let fields = fields.map(|(i, e)| self.expression(e, &no_columns, &at.item("fields", i)));
            written.push(nested::Struct { fields: fields.collect::<Result<_>>()? });
        }
        virtual_table(written, schema, at)
    }

    /// Sort keys over rows of `schema`.
    pub(super) fn sorts(
        &mut self,
        keys: &'a [SortKey],
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<Vec<proto::SortField>> {
        let mut sorts = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let direction = match (key.descending, key.nulls_first) {
                (false, true) => SortDirection::AscNullsFirst,
                (false, false) => SortDirection::AscNullsLast,
                (true, true) => SortDirection::DescNullsFirst,
                (true, false) => SortDirection::DescNullsLast,
            };
            let expr = Some(self.expression(&key.expression, schema, &at.item("sorts", index))?);
            sorts.push(proto::SortField { expr, sort_kind: Some(SortKind::Direction(direction as i32)) });
        }
        Ok(sorts)
    }

    fn exchange(
        &mut self,
        input: &'a Relation,
        keys: &[Expression],
        partitions: Option<usize>,
        at: &Path<'_>,
    ) -> Result<proto::Rel> {
        use proto::exchange_rel::{ExchangeKind, RoundRobin, ScatterFields};
        let mut fields = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let at = at.item("keys", index);
            match (&key.kind, self.expression(key, &input.schema, &at)?.rex_type) {
                (Kind::Column(_), Some(RexType::Selection(reference))) => fields.push(*reference),
                _ => return Err(at.refuse("an exchange by an expression; Substrait scatters by columns")),
            }
        }
        let kind = match fields.is_empty() {
            true => ExchangeKind::RoundRobin(RoundRobin { exact: false }),
            false => ExchangeKind::ScatterByFields(ScatterFields { fields }),
        };
        let input = Some(Box::new(self.relation(input, &at.field("input"))?));
        let exchange = proto::ExchangeRel {
            common: direct(),
            input,
            partition_count: partitions.unwrap_or(0) as i32,
            targets: Vec::new(),
            advanced_extension: None,
            exchange_kind: Some(kind),
        };
        Ok(rel(RelType::Exchange(Box::new(exchange))))
    }
}

pub(super) fn rel(kind: RelType) -> proto::Rel {
    proto::Rel { rel_type: Some(kind) }
}

/// The columns as the relation's kind gives them.
pub(super) fn direct() -> Option<proto::RelCommon> {
    use proto::rel_common::{Direct, EmitKind};
    Some(proto::RelCommon { emit_kind: Some(EmitKind::Direct(Direct {})), ..Default::default() })
}

/// Some of the columns, in that order.
fn emitting(outputs: Vec<usize>) -> Option<proto::RelCommon> {
    use proto::rel_common::{Emit, EmitKind};
    let emit = Emit { output_mapping: outputs.into_iter().map(|o| o as i32).collect() };
    Some(proto::RelCommon { emit_kind: Some(EmitKind::Emit(emit)), ..Default::default() })
}

/// `expressions` behind the input's columns, of which `outputs` are given.
pub(super) fn projected(input: proto::Rel, expressions: Vec<proto::Expression>, outputs: Vec<usize>) -> proto::Rel {
    let common = emitting(outputs);
    let project = proto::ProjectRel { common, input: Some(Box::new(input)), expressions, advanced_extension: None };
    rel(RelType::Project(Box::new(project)))
}

pub(super) fn filtered(input: proto::Rel, condition: proto::Expression) -> proto::Rel {
    let (input, condition) = (Some(Box::new(input)), Some(Box::new(condition)));
    rel(RelType::Filter(Box::new(proto::FilterRel { common: direct(), input, condition, advanced_extension: None })))
}

fn fetched(input: proto::Rel, offset: usize, fetch: Option<usize>) -> proto::Rel {
    if offset == 0 && fetch.is_none() {
        return input;
    }
    let number = |rows: usize| {
        let literal = proto::expression::literal::LiteralType::I64(i64::try_from(rows).unwrap_or(i64::MAX));
        let literal = proto::expression::Literal { literal_type: Some(literal), ..Default::default() };
        Box::new(proto::Expression { rex_type: Some(RexType::Literal(literal)) })
    };
    let fetch = proto::FetchRel {
        common: direct(),
        input: Some(Box::new(input)),
        offset_expr: (offset > 0).then(|| number(offset)),
        count_expr: fetch.map(number),
        advanced_extension: None,
    };
    rel(RelType::Fetch(Box::new(fetch)))
}

fn virtual_table(rows: Vec<nested::Struct>, schema: &Schema, at: &Path<'_>) -> Result<proto::Rel> {
    let read = proto::ReadRel {
        common: direct(),
        base_schema: Some(named_struct(schema, &at.field("base_schema"))?),
        read_type: Some(ReadType::VirtualTable(VirtualTable { expressions: rows })),
        ..Default::default()
    };
    Ok(rel(RelType::Read(Box::new(read))))
}

fn named_struct(schema: &Schema, at: &Path<'_>) -> Result<proto::NamedStruct> {
    let mut names = Vec::new();
    schema.fields().iter().for_each(|f| names_of(f, &mut names));
    let types = schema.fields().iter().enumerate();
    let types = types.map(|(i, f)| type_of(f.data_type(), f.is_nullable(), &at.item("types", i)));
    let fields = proto::r#type::Struct {
        types: types.collect::<Result<_>>()?,
        type_variation_reference: 0,
        nullability: proto::r#type::Nullability::Required as i32,
    };
    Ok(proto::NamedStruct { names, r#struct: Some(fields) })
}

/// A table by its name, or files by their path.
fn source(name: &TableName, at: &Path<'_>) -> Result<ReadType> {
    match &name.origin {
        TableOrigin::Named(parts) => {
            Ok(ReadType::NamedTable(NamedTable { names: parts.clone(), advanced_extension: None }))
        }
        TableOrigin::Files { path, format, options } => {
            let format = file_format(path, format.as_deref(), options, at)?;
            let path_type = match path.contains('*') {
                true => PathType::UriPathGlob(uri(path)),
                false => PathType::UriFile(uri(path)),
            };
            let file = FileOrFiles { path_type: Some(path_type), file_format: Some(format), ..Default::default() };
            Ok(ReadType::LocalFiles(LocalFiles { items: vec![file], advanced_extension: None }))
        }
        TableOrigin::Splits(_) => {
            Err(at.refuse("parts of files with partition values, for which Substrait has no form"))
        }
        TableOrigin::Function { name, .. } => {
            Err(at.refuse(format!("table function {name}, for which Substrait has no relation")))
        }
    }
}

/// The format that is asked for, or else the path's.
fn file_format(path: &str, format: Option<&str>, options: &[(String, String)], at: &Path<'_>) -> Result<FileFormat> {
    let extension = path.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    let mut text = DelimiterSeparatedTextReadOptions {
        field_delimiter: ",".to_string(),
        quote: "\"".to_string(),
        header_lines_to_skip: 1,
        ..Default::default()
    };
    let format = match format.unwrap_or(&extension) {
        "parquet" if options.is_empty() => FileFormat::Parquet(ParquetReadOptions {}),
        "arrow" | "feather" | "ipc" if options.is_empty() => FileFormat::Arrow(ArrowReadOptions {}),
        "csv" => {
            for (name, value) in options {
                match name.as_str() {
                    "delimiter" | "delim" | "sep" => text.field_delimiter = value.clone(),
                    "quote" => text.quote = value.clone(),
                    "escape" => text.escape = value.clone(),
                    "null" | "nullstr" | "null_value" => text.value_treated_as_null = Some(value.clone()),
                    "header" | "has_header" => text.header_lines_to_skip = u64::from(value != "false"),
                    other => return Err(at.refuse(format!("CSV files with option {other}"))),
                }
            }
            FileFormat::Text(text)
        }
        other => {
            let options = if options.is_empty() { "" } else { " with options" };
            return Err(at.refuse(format!("files of format {other}{options}, for which Substrait has no form")));
        }
    };
    Ok(format)
}

fn uri(path: &str) -> String {
    match path.starts_with('/') {
        true => format!("file://{path}"),
        false => path.to_string(),
    }
}

/// The columns of a relation of that width.
pub(super) fn columns(width: usize) -> Vec<proto::Expression> {
    (0..width).map(column).collect()
}
