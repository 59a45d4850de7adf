//! Functions of one's own in Rust: a scalar function, a grouped aggregate, a table function.
//!
//! `cargo run --release --workspace --example user_function`

#![expect(clippy::print_stdout, reason = "examples show their results")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use plasmon::core::operators::aggregate::{CustomAccumulator, CustomAggregate};
use plasmon::{Config, Error, MemoryTable, Result, Session};

/// `geometric_mean(x)`: exp of the mean of ln x; nulls are left out, no values give null.
#[derive(Debug)]
struct GeometricMean;

impl CustomAggregate for GeometricMean {
    fn name(&self) -> &str {
        "geometric_mean"
    }

    fn argument_types(&self) -> Vec<DataType> {
        vec![DataType::Float64]
    }

    /// What workers exchange when they merge their shares.
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Float64, DataType::Int64]
    }

    fn create(&self) -> Result<Box<dyn CustomAccumulator>> {
        Ok(Box::new(Means::default()))
    }
}

/// One entry a group.
#[derive(Default)]
struct Means {
    logarithms: Vec<f64>,
    counts: Vec<i64>,
}

impl Means {
    fn resize(&mut self, groups: usize) {
        self.logarithms.resize(groups, 0.0);
        self.counts.resize(groups, 0);
    }
}

impl CustomAccumulator for Means {
    fn update(&mut self, arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.resize(group_count);
        for (value, &group) in arguments[0].as_primitive::<Float64Type>().iter().zip(groups) {
            let Some(value) = value else { continue };
            if value <= 0.0 {
                return Err(Error::data(format!("geometric_mean: {value} is not positive")));
            }
            self.logarithms[group] += value.ln();
            self.counts[group] += 1;
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.resize(group_count);
        let (sums, counts) = (states[0].as_primitive::<Float64Type>(), states[1].as_primitive::<Int64Type>());
        for (row, &group) in groups.iter().enumerate() {
            self.logarithms[group] += sums.value(row);
            self.counts[group] += counts.value(row);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = (std::mem::take(&mut self.logarithms), std::mem::take(&mut self.counts));
        Ok(vec![Arc::new(Float64Array::from(sums)), Arc::new(Int64Array::from(counts))])
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        let (sums, counts) = (std::mem::take(&mut self.logarithms), std::mem::take(&mut self.counts));
        let means = sums.iter().zip(counts).map(|(sum, n)| (n > 0).then(|| (sum / n as f64).exp()));
        Ok(Arc::new(means.collect::<Float64Array>()))
    }

    fn memory_bytes(&self) -> usize {
        self.logarithms.capacity() * 8 + self.counts.capacity() * 8
    }
}

/// `shout(text)`: upper case with an exclamation mark.
fn shout(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = arguments[0].as_string::<i32>().iter();
    Ok(Arc::new(texts.map(|t| t.map(|t| format!("{}!", t.to_uppercase()))).collect::<StringArray>()))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let session = Session::new(Config { threads: 2, ..Config::default() })?;
    session.register_scalar_function("shout", &[DataType::Utf8], DataType::Utf8, shout);
    session.register_aggregate_function(Arc::new(GeometricMean), DataType::Float64);
    session.register_table_function("fibonacci", |arguments| {
        let count = arguments.first().and_then(|a| a.as_i64());
        let count = count.ok_or_else(|| Error::user("fibonacci(count): one whole number"))?;
        let pairs = std::iter::successors(Some((1i64, 1i64)), |&(a, b)| Some((b, a.checked_add(b)?)));
        let column: Int64Array = pairs.map(|(a, _)| a).take(count as usize).collect();
        let batch = RecordBatch::try_from_iter([("n", Arc::new(column) as ArrayRef)])?;
        Ok(Arc::new(MemoryTable::new(batch.schema(), &[batch])?))
    });

    let batches = session
        .sql(
            "SELECT shout(CASE n % 2 WHEN 0 THEN 'even' ELSE 'odd' END) AS kind, count(*) AS numbers,
                    geometric_mean(CAST(n AS DOUBLE)) AS mean, geometric_mean(CAST(n AS DOUBLE)) FILTER (WHERE n > 100) AS large
             FROM fibonacci(40) GROUP BY 1 ORDER BY 1",
        )?
        .collect()?;
    println!("{}", pretty_format_batches(&batches)?);
    assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 2);
    assert_eq!(batches[0].column(0).as_string_opt::<i32>().map(|c| c.len()), Some(2));
    Ok(())
}
