//! `OPTIONS (…)` of Parquet files, for all columns (`bloom_filter true`) or one (`'bloom_filter::city' true`).

use arrow::datatypes::Schema;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;
use plasmon_core::{Error, Result};

use crate::format::Options;

/// Every option; those of [`COLUMN_NAMES`] also with `::column` behind them.
pub(super) const NAMES: [&str; 16] = [
    "compression",
    "codec",
    "compression_level",
    "row_group_size",
    "max_row_group_size",
    "data_page_size",
    "data_page_row_limit",
    "dictionary",
    "dictionary_enabled",
    "dictionary_page_size",
    "statistics",
    "page_index",
    "bloom_filter",
    "bloom_filter_fpp",
    "bloom_filter_ndv",
    "writer_version",
];
const COLUMN_NAMES: [&str; 6] =
    ["compression", "dictionary", "statistics", "bloom_filter", "bloom_filter_fpp", "bloom_filter_ndv"];

fn bad(name: &str, value: &str, wanted: &str) -> Error {
    Error::user(format!("option {name}: {value:?} is not {wanted}"))
}

/// The properties that the options ask for.
pub(super) fn properties(options: &Options, schema: &Schema) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let level = options.number("compression_level")?;
    if let Some(codec) = options.get(&["compression", "codec"]) {
        builder = builder.set_compression(compression(codec, level)?);
    } else if let Some(level) = level {
        builder = builder.set_compression(compression("zstd", Some(level))?);
    }
    if let Some(rows) =
        options.number("row_group_size")?.map_or_else(|| options.number("max_row_group_size"), |n| Ok(Some(n)))?
    {
        if rows == 0 {
            return Err(bad("row_group_size", "0", "at least 1"));
        }
        builder = builder.set_max_row_group_row_count(Some(rows));
    }
    if let Some(bytes) = options.number("data_page_size")? {
        builder = builder.set_data_page_size_limit(bytes);
    }
    if let Some(rows) = options.number("data_page_row_limit")? {
        builder = builder.set_data_page_row_count_limit(rows);
    }
    if let Some(bytes) = options.number("dictionary_page_size")? {
        builder = builder.set_dictionary_page_size_limit(bytes);
    }
    builder = builder.set_dictionary_enabled(options.flag(&["dictionary", "dictionary_enabled"], true)?);
    if !options.flag(&["page_index"], true)? {
        builder = builder.set_statistics_enabled(EnabledStatistics::Chunk).set_offset_index_disabled(true);
    }
    if let Some(level) = options.get(&["statistics"]) {
        builder = builder.set_statistics_enabled(statistics(level)?);
    }
    builder = builder.set_bloom_filter_enabled(options.flag(&["bloom_filter"], false)?);
    if let Some(fpp) = options.get(&["bloom_filter_fpp"]) {
        builder = builder.set_bloom_filter_fpp(probability("bloom_filter_fpp", fpp)?);
    }
    if let Some(ndv) = options.number("bloom_filter_ndv")? {
        builder = builder.set_bloom_filter_max_ndv(ndv as u64);
    }
    if let Some(version) = options.get(&["writer_version"]) {
        builder = builder.set_writer_version(match version {
            "1" | "1.0" => WriterVersion::PARQUET_1_0,
            "2" | "2.0" => WriterVersion::PARQUET_2_0,
            _ => return Err(bad("writer_version", version, "1.0 or 2.0")),
        });
    }
    for (name, value) in &options.values {
        if let Some((option, column)) = name.split_once("::") {
            builder = of_column(builder, option, column, value, schema)?;
        }
    }
    Ok(builder.build())
}

fn of_column(
    builder: WriterPropertiesBuilder,
    option: &str,
    column: &str,
    value: &str,
    schema: &Schema,
) -> Result<WriterPropertiesBuilder> {
    let root = column.split('.').next().unwrap_or(column);
    let Some(field) = schema.fields().iter().find(|f| f.name().eq_ignore_ascii_case(root)) else {
        return Err(Error::user(format!("option {option}::{column}: there is no column {root}")));
    };
    let mut parts = vec![field.name().clone()];
    parts.extend(column.split('.').skip(1).map(str::to_string));
    let path = ColumnPath::new(parts);
    let name = format!("{option}::{column}");
    let flag = || value.to_lowercase().parse::<bool>().map_err(|_| bad(&name, value, "true or false"));
    Ok(match option {
        "compression" => builder.set_column_compression(path, compression(value, None)?),
        "dictionary" => builder.set_column_dictionary_enabled(path, flag()?),
        "statistics" => builder.set_column_statistics_enabled(path, statistics(value)?),
        "bloom_filter" => builder.set_column_bloom_filter_enabled(path, flag()?),
        "bloom_filter_fpp" => builder.set_column_bloom_filter_fpp(path, probability(&name, value)?),
        "bloom_filter_ndv" => builder
            .set_column_bloom_filter_max_ndv(path, value.parse().map_err(|_| bad(&name, value, "a whole number"))?),
        _ => {
            let known = COLUMN_NAMES.join(", ");
            return Err(Error::user(format!("option {name}: of a column there are {known}")));
        }
    })
}

/// `zstd`, `zstd(7)`, or `zstd` with a level of its own.
fn compression(text: &str, level: Option<usize>) -> Result<Compression> {
    let wanted = "one of uncompressed, snappy, lz4, gzip(0-9), zstd(1-22)";
    let lower = text.to_lowercase();
    let (codec, inner) = match lower.split_once('(') {
        Some((codec, rest)) => {
            let number = rest.trim_end_matches(')').parse::<usize>();
            (codec.to_string(), Some(number.map_err(|_| bad("compression", text, wanted))?))
        }
        None => (lower, level),
    };
    let out_of_range = |e: parquet::errors::ParquetError| Error::user(format!("option compression: {text:?}: {e}"));
    Ok(match codec.as_str() {
        "none" | "uncompressed" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        "lz4" | "lz4_raw" => Compression::LZ4_RAW,
        "gzip" => Compression::GZIP(match inner {
            Some(level) => GzipLevel::try_new(level as u32).map_err(out_of_range)?,
            None => GzipLevel::default(),
        }),
        "zstd" => Compression::ZSTD(match inner {
            Some(level) => ZstdLevel::try_new(level as i32).map_err(out_of_range)?,
            None => ZstdLevel::default(),
        }),
        _ => return Err(bad("compression", text, wanted)),
    })
}

fn statistics(text: &str) -> Result<EnabledStatistics> {
    match text.to_lowercase().as_str() {
        "none" | "false" => Ok(EnabledStatistics::None),
        "chunk" => Ok(EnabledStatistics::Chunk),
        "page" | "true" => Ok(EnabledStatistics::Page),
        _ => Err(bad("statistics", text, "one of none, chunk, page")),
    }
}

fn probability(name: &str, text: &str) -> Result<f64> {
    let value = text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 1.0);
    value.ok_or_else(|| bad(name, text, "a number between 0 and 1"))
}
