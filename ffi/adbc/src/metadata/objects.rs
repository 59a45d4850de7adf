//! `GetObjects`, `GetTableSchema`, `GetTableTypes`: catalogs ⊃ schemas ⊃ tables ⊃ columns, as one nested batch.

use std::ffi::c_int;
use std::sync::Arc;

use adbc_core::constants::{
    ADBC_OBJECT_DEPTH_ALL, ADBC_OBJECT_DEPTH_CATALOGS, ADBC_OBJECT_DEPTH_DB_SCHEMAS, ADBC_OBJECT_DEPTH_TABLES,
};
use adbc_core::schemas::{
    COLUMN_SCHEMA, CONSTRAINT_SCHEMA, GET_OBJECTS_SCHEMA, GET_TABLE_TYPES_SCHEMA, OBJECTS_DB_SCHEMA_SCHEMA,
    TABLE_SCHEMA,
};
use arrow::array::{
    ArrayRef, BooleanArray, Int16Array, Int32Array, RecordBatch, StringArray, new_empty_array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon::Relation;
use plasmon_boundary::Failure;

use super::{KINDS, Listed, child_type, list, listed, passes, rows};
use crate::connection::Link;
use crate::error::{Result, Trouble};
use crate::{CATALOG, SCHEMA};

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    Catalogs,
    Schemas,
    Tables,
    Columns,
}

impl Depth {
    /// By its number in `adbc.h`.
    pub(crate) fn of_number(number: c_int) -> Result<Depth> {
        Ok(match number {
            ADBC_OBJECT_DEPTH_CATALOGS => Depth::Catalogs,
            ADBC_OBJECT_DEPTH_DB_SCHEMAS => Depth::Schemas,
            ADBC_OBJECT_DEPTH_TABLES => Depth::Tables,
            ADBC_OBJECT_DEPTH_ALL => Depth::Columns,
            other => return Err(Failure::argument(format!("depth {other} is no ADBC_OBJECT_DEPTH")).into()),
        })
    }
}

/// What to look for; filters are patterns as of LIKE, an empty one means that there is no such level.
pub(crate) struct Wanted<'a> {
    pub(crate) depth: Depth,
    pub(crate) catalog: Option<&'a str>,
    pub(crate) db_schema: Option<&'a str>,
    pub(crate) table_name: Option<&'a str>,
    pub(crate) table_types: Option<Vec<&'a str>>,
    pub(crate) column_name: Option<&'a str>,
}

/// The batch of `GetObjects`. A level that was not asked for is null.
pub(crate) fn batch(link: &Link, wanted: &Wanted<'_>) -> Result<RecordBatch> {
    let schema = GET_OBJECTS_SCHEMA.clone();
    let catalogs = usize::from(passes(CATALOG, wanted.catalog));
    let has_schema = catalogs == 1 && wanted.depth > Depth::Catalogs && passes(SCHEMA, wanted.db_schema);
    let db_schemas = db_schemas(link, wanted, usize::from(has_schema))?;
    let length = (wanted.depth > Depth::Catalogs).then_some(usize::from(has_schema));
    let columns = vec![
        Arc::new(StringArray::from(vec![CATALOG; catalogs])) as ArrayRef,
        list(schema.field(1).data_type(), db_schemas, &vec![length; catalogs])?,
    ];
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn db_schemas(link: &Link, wanted: &Wanted<'_>, count: usize) -> Result<ArrayRef> {
    let kind = &*OBJECTS_DB_SCHEMA_SCHEMA;
    let mut tables = if count == 1 && wanted.depth > Depth::Schemas { listed(link) } else { Vec::new() };
    tables.retain(|table| {
        let is_kind = wanted.table_types.as_ref().is_none_or(|kinds| kinds.contains(&table.kind));
        is_kind && passes(&table.name, wanted.table_name)
    });
    let length = (wanted.depth > Depth::Schemas).then_some(tables.len());
    let lists = list(&child_type(kind, 1), table_rows(link, wanted, &tables)?, &vec![length; count])?;
    rows(kind, vec![Arc::new(StringArray::from(vec![SCHEMA; count])), lists])
}

fn table_rows(link: &Link, wanted: &Wanted<'_>, tables: &[Listed]) -> Result<ArrayRef> {
    let kind = &*TABLE_SCHEMA;
    let has_columns = wanted.depth >= Depth::Columns;
    let (mut fields, mut lengths) = (Vec::new(), Vec::new());
    for table in tables {
        let before = fields.len();
        // A view over what is gone has no columns, and is no reason to show nothing at all.
        let schema = has_columns.then(|| schema_of(link, table).ok()).flatten();
        let all = schema.iter().flat_map(|schema| schema.fields().iter().enumerate());
        fields.extend(all.filter(|(_, f)| passes(f.name(), wanted.column_name)).map(|(i, f)| (i, f.clone())));
        lengths.push(has_columns.then_some(fields.len() - before));
    }
    let constraints = vec![has_columns.then_some(0); tables.len()];
    rows(
        kind,
        vec![
            Arc::new(StringArray::from_iter_values(tables.iter().map(|table| &table.name))),
            Arc::new(StringArray::from_iter_values(tables.iter().map(|table| table.kind))),
            list(&child_type(kind, 2), column_rows(&fields)?, &lengths)?,
            list(&child_type(kind, 3), new_empty_array(&CONSTRAINT_SCHEMA), &constraints)?,
        ],
    )
}

fn column_rows(fields: &[(usize, Arc<Field>)]) -> Result<ArrayRef> {
    let DataType::Struct(columns) = &*COLUMN_SCHEMA else {
        return Err(plasmon::Error::internal("the schema of columns is no struct").into());
    };
    let each = || fields.iter().map(|(_, field)| field.as_ref());
    let types = || each().map(|field| sql_type(field.data_type()));
    let made = columns.iter().map(|column| -> ArrayRef {
        match column.name().as_str() {
            "column_name" => Arc::new(StringArray::from_iter_values(each().map(Field::name))),
            "ordinal_position" => Arc::new(Int32Array::from_iter_values(fields.iter().map(|(i, _)| *i as i32 + 1))),
            "xdbc_type_name" => Arc::new(StringArray::from_iter_values(types().map(|t| t.name))),
            "xdbc_data_type" | "xdbc_sql_data_type" => Arc::new(types().map(|t| t.code).collect::<Int16Array>()),
            "xdbc_column_size" => Arc::new(types().map(|t| t.size).collect::<Int32Array>()),
            "xdbc_decimal_digits" => Arc::new(types().map(|t| t.digits).collect::<Int16Array>()),
            "xdbc_num_prec_radix" => Arc::new(types().map(|t| t.radix).collect::<Int16Array>()),
            "xdbc_nullable" => Arc::new(Int16Array::from_iter_values(each().map(|f| i16::from(f.is_nullable())))),
            "xdbc_is_nullable" => {
                let texts = each().map(|f| if f.is_nullable() { "YES" } else { "NO" });
                Arc::new(StringArray::from_iter_values(texts))
            }
            "xdbc_is_autoincrement" | "xdbc_is_generatedcolumn" => {
                Arc::new(BooleanArray::from(vec![false; fields.len()]))
            }
            _ => new_null_array(column.data_type(), fields.len()),
        }
    });
    rows(&COLUMN_SCHEMA, made.collect())
}

/// A type as JDBC and ODBC know it.
struct SqlType {
    name: String,
    /// As in `java.sql.Types`.
    code: Option<i16>,
    size: Option<i32>,
    digits: Option<i16>,
    radix: Option<i16>,
}

fn sql_type(data_type: &DataType) -> SqlType {
    let number = |name: &str, code, size, radix| SqlType {
        name: name.to_string(),
        code: Some(code),
        size: Some(size),
        digits: Some(0),
        radix: Some(radix),
    };
    let other =
        |name: &str, code| SqlType { name: name.to_string(), code: Some(code), size: None, digits: None, radix: None };
    match data_type {
        DataType::Boolean => other("BOOLEAN", 16),
        DataType::Int8 => number("TINYINT", -6, 3, 10),
        DataType::Int16 => number("SMALLINT", 5, 5, 10),
        DataType::Int32 => number("INTEGER", 4, 10, 10),
        DataType::Int64 => number("BIGINT", -5, 19, 10),
        DataType::Float32 => number("REAL", 7, 24, 2),
        DataType::Float64 => number("DOUBLE", 8, 53, 2),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            let name = format!("DECIMAL({p}, {s})");
            SqlType { name, code: Some(3), size: Some(i32::from(*p)), digits: Some(i16::from(*s)), radix: Some(10) }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => other("VARCHAR", 12),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            other("VARBINARY", -3)
        }
        DataType::Date32 | DataType::Date64 => other("DATE", 91),
        DataType::Time32(_) | DataType::Time64(_) => other("TIME", 92),
        DataType::Timestamp(_, None) => other("TIMESTAMP", 93),
        DataType::Timestamp(_, Some(_)) => other("TIMESTAMP WITH TIME ZONE", 2014),
        DataType::Dictionary(_, values) => sql_type(values),
        nested => SqlType { name: nested.to_string(), code: None, size: None, digits: None, radix: None },
    }
}

fn schema_of(link: &Link, listed: &Listed) -> Result<SchemaRef> {
    match &listed.relation {
        Relation::Table(table) => Ok(table.schema()),
        Relation::View(_) => {
            let quoted = listed.name.replace('"', "\"\"");
            let planned = link.session.statement(&format!("SELECT * FROM \"{quoted}\"")).schema()?;
            Ok(planned.unwrap_or_else(|| Arc::new(Schema::empty())))
        }
    }
}

/// The schema of one table.
pub(crate) fn table_schema(
    link: &Link,
    catalog: Option<&str>,
    db_schema: Option<&str>,
    name: &str,
) -> Result<SchemaRef> {
    check_place(catalog, db_schema)?;
    let found = listed(link).into_iter().find(|table| table.name == name.to_lowercase());
    let found = found.ok_or_else(|| Trouble::not_found(format!("there is no table or view {name}")))?;
    schema_of(link, &found)
}

/// Refuses catalogs and schemas that there are not; none and an empty one are those that there are.
pub(crate) fn check_place(catalog: Option<&str>, db_schema: Option<&str>) -> Result<()> {
    for (given, own, what) in [(catalog, CATALOG, "catalog"), (db_schema, SCHEMA, "schema")] {
        if let Some(given) = given.filter(|given| !given.is_empty() && *given != own) {
            return Err(Trouble::not_found(format!("there is no {what} {given}; the only one is {own}")));
        }
    }
    Ok(())
}

/// The kinds of tables that there can be.
pub(crate) fn table_types() -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(GET_TABLE_TYPES_SCHEMA.clone(), vec![Arc::new(StringArray::from(KINDS.to_vec()))])?)
}
