//! SQL over files and memory: write Parquet, read it back, bind a parameter, watch and stream a result.
//!
//! `cargo run --release --workspace --example sql`

#![expect(clippy::print_stdout, reason = "examples show their results")]

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use plasmon::{Config, Parameter, Session};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let session = Session::new(Config { threads: 2, ..Config::default() })?;

    // A table from memory: any Arrow record batches.
    let cities = RecordBatch::try_from_iter([
        ("city", Arc::new(StringArray::from(vec!["Oslo", "Lima", "Pune", "Kyiv"])) as _),
        ("country", Arc::new(StringArray::from(vec![Some("NO"), Some("PE"), Some("IN"), None])) as _),
    ])?;
    session.register_batches("cities", cities.schema(), &[cities])?;

    // A table from a file that SQL itself writes.
    let folder = std::env::temp_dir().join(format!("plasmon-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = over_files(&session, &folder.join("readings.parquet").to_string_lossy());
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn over_files(session: &Session, path: &str) -> Outcome {
    session
        .sql(&format!(
            "COPY (SELECT CASE value % 4 WHEN 0 THEN 'Oslo' WHEN 1 THEN 'Lima' WHEN 2 THEN 'Pune' ELSE 'Kyiv' END AS city,
                          value % 37 - 5.0 AS degrees
                   FROM generate_series(1, 100000)) TO '{path}'"
        ))?
        .collect()?;

    // Paths in quotes are tables; $1 is bound to a value.
    let sql = format!(
        "SELECT c.city, coalesce(c.country, '?') AS country, count(*) AS readings, max(r.degrees) AS hottest
         FROM '{path}' r JOIN cities c ON c.city = r.city
         WHERE r.degrees > $1 GROUP BY 1, 2 ORDER BY 1"
    );
    let query = session.sql_with(&sql, &[Parameter::from(20.0)])?;
    println!("columns: {:?}", query.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>());
    let monitor = query.monitor();

    // Batches stream; dropping the query early would cancel it.
    let batches = query.collect()?;
    println!("{}", pretty_format_batches(&batches)?);
    let progress = monitor.progress();
    println!("{} rows read, {} bytes of memory at most", progress.rows_read, progress.bytes_peak);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    assert!(batches[0].column(3).as_any().downcast_ref::<Float64Array>().is_none(), "20.0 is a decimal in SQL");
    Ok(())
}
