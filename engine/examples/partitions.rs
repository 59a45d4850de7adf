//! Results as a folder of partitions, read back with only the wanted folders touched; the same statements work on `s3://`, `gs://`, `az://`.

use arrow::util::pretty::pretty_format_batches;
use plasmon::{Config, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::new(Config::default())?;
    // Over a bucket: `SET s3.region = 'eu-central-1'`, keys from AWS_ACCESS_KEY_ID and its kin, and 's3://bucket/sales/' below.
    let folder = std::env::temp_dir().join(format!("plasmon-partitions-{}", std::process::id()));
    let place = folder.display();

    let written = session.sql(&format!(
        "COPY (SELECT value AS id, 2020 + value % 5 AS year, value * 1.5 AS amount FROM generate_series(1, 100000))
         TO '{place}' STORED AS PARQUET PARTITIONED BY (year) OPTIONS (compression 'zstd(3)', 'bloom_filter::id' true)"
    ))?;
    println(&pretty_format_batches(&written.collect()?)?.to_string());

    let query = format!(
        "SELECT year, count(*) AS sales, sum(amount) AS total FROM '{place}/' WHERE year >= 2023 GROUP BY year ORDER BY year"
    );
    println(&pretty_format_batches(&session.sql(&query)?.collect()?)?.to_string());
    // The plan's scan says how many row groups were left.
    println(&pretty_format_batches(&session.sql(&format!("EXPLAIN ANALYZE {query}"))?.collect()?)?.to_string());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn println(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
