//! `plasmon tpch generate`: the eight tables as Parquet, one file a table, one row group a generator part.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;
use tpchgen::generators::*;
use tpchgen_arrow::*;

use super::TABLES;
use super::demo::data_folder;
use crate::arguments::GenerateOptions;
use crate::failure::{Failure, Usage};
use crate::output::print_text;
use crate::progress;

/// Rows in a row group: a scan's unit of parallelism, small enough that a row group's decoded columns stay near the cache.
const ROW_GROUP_ROWS: f64 = 120_000.0;

/// Generates into the folder that the options name.
pub(crate) fn run(options: &GenerateOptions) -> Result<ExitCode, Failure> {
    if !(options.scale > 0.0 && options.scale <= 10_000.0) {
        return Err(Usage(format!("--scale {} is outside of 0..=10000", options.scale)).into());
    }
    let data = options.data.clone().map_or_else(|| data_folder(&format!("tpch-sf{}", options.scale)), Ok)?;
    generate(options.scale, &data)?;
    print_text(&format!("TPC-H scale factor {} is in {}\n", options.scale, data.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes every table; a table's file appears under its name only when it is whole.
pub(crate) fn generate(scale: f64, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let parts: Vec<i32> = TABLES.iter().map(|t| part_count(t, scale)).collect();
    let bar = progress::bar(parts.iter().map(|&p| p as u64).sum(), "generating");
    for (table, &count) in TABLES.iter().zip(&parts) {
        bar.set_message(format!("generating {table}"));
        write_table(table, scale, count, folder, &bar)
            .map_err(|e| format!("{}/{table}.parquet: {e}", folder.display()))?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn part_count(table: &str, scale: f64) -> i32 {
    let rows = scale
        * match table {
            "lineitem" => 6_000_000.0,
            "orders" => 1_500_000.0,
            "partsupp" => 800_000.0,
            "part" => 200_000.0,
            "customer" => 150_000.0,
            "supplier" => 10_000.0,
            _ => 1.0,
        };
    ((rows / ROW_GROUP_ROWS).round() as i32).max(1)
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

fn part(table: &str, scale: f64, number: i32, count: i32) -> (SchemaRef, Batches) {
    fn boxed(reader: impl RecordBatchReader + 'static) -> (SchemaRef, Batches) {
        (reader.schema(), Box::new(reader))
    }
    match table {
        "region" => boxed(RegionArrow::new(RegionGenerator::new(scale, number, count))),
        "nation" => boxed(NationArrow::new(NationGenerator::new(scale, number, count))),
        "supplier" => boxed(SupplierArrow::new(SupplierGenerator::new(scale, number, count))),
        "customer" => boxed(CustomerArrow::new(CustomerGenerator::new(scale, number, count))),
        "part" => boxed(PartArrow::new(PartGenerator::new(scale, number, count))),
        "partsupp" => boxed(PartSuppArrow::new(PartSuppGenerator::new(scale, number, count))),
        "orders" => boxed(OrderArrow::new(OrderGenerator::new(scale, number, count))),
        _ => boxed(LineItemArrow::new(LineItemGenerator::new(scale, number, count))),
    }
}

fn write_table(
    table: &str,
    scale: f64,
    count: i32,
    folder: &Path,
    bar: &indicatif::ProgressBar,
) -> Result<(), Failure> {
    let (schema, _) = part(table, scale, 1, count);
    let mut properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
    let unfinished = folder.join(format!(".{table}.parquet.part"));
    let mut writer =
        SerializedFileWriter::new(File::create(&unfinished)?, parquet_schema.root_schema_ptr(), Arc::new(properties))?;
    let factory = ArrowRowGroupWriterFactory::new(&writer, schema.clone());
    // Two parts a thread in flight: generation and encoding run in parallel, writing is in order.
    let wave = 2 * rayon::current_num_threads() as i32;
    let mut first = 1;
    while first <= count {
        let last = (first + wave - 1).min(count);
        let groups: Vec<Result<Vec<ArrowColumnChunk>, Failure>> = (first..=last)
            .into_par_iter()
            .map(|number| encode_part(&factory, &schema, table, scale, number, count))
            .collect();
        for group in groups {
            let mut row_group = writer.next_row_group()?;
            for chunk in group? {
                chunk.append_to_row_group(&mut row_group)?;
            }
            row_group.close()?;
            bar.inc(1);
        }
        first = last + 1;
    }
    writer.close()?;
    std::fs::rename(&unfinished, folder.join(format!("{table}.parquet")))?;
    Ok(())
}

fn encode_part(
    factory: &ArrowRowGroupWriterFactory,
    schema: &SchemaRef,
    table: &str,
    scale: f64,
    number: i32,
    count: i32,
) -> Result<Vec<ArrowColumnChunk>, Failure> {
    let mut writers = factory.create_column_writers(number as usize - 1)?;
    for batch in part(table, scale, number, count).1 {
        let batch = batch?;
        let mut next = writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                next.next().ok_or("more leaves than column writers")?.write(&leaf)?;
            }
        }
    }
    Ok(writers.into_iter().map(|w| w.close()).collect::<Result<Vec<_>, _>>()?)
}
