//! Rows as they arrive, and rows of several sources gathered by (source, row) in any order.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use arrow_schema::DataType;
use plasmon_kernels::sort::gather_runs;

use crate::batch::arrow::{export_column, import_column};
use crate::batch::{Batch, Bitmap, Column, Encoding, INLINE_BYTES, Physical, Values, Views, long_bytes, physical_type};
use crate::config::BATCH_ROWS_MAX;
use crate::error::{Error, Result};

/// Columns of many batches, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// By column, then by batch.
    columns: Vec<Vec<Column>>,
    rows: usize,
}

impl Rows {
    /// Adds a batch of `rows` rows.
    pub(crate) fn push(&mut self, columns: Vec<Column>, rows: usize) {
        if self.columns.is_empty() {
            self.columns = columns.into_iter().map(|c| vec![c]).collect();
        } else {
            self.columns.iter_mut().zip(columns).for_each(|(list, column)| list.push(column));
        }
        self.rows += rows;
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The batches as they came.
    pub(crate) fn into_batches(self) -> impl Iterator<Item = Batch> {
        let mut columns: Vec<_> = self.columns.into_iter().map(Vec::into_iter).collect();
        let mut left = self.rows;
        std::iter::from_fn(move || {
            let batch: Vec<Column> = columns.iter_mut().filter_map(Iterator::next).collect();
            // Rows without columns are only a number.
            let rows = batch.first().map_or(left.min(BATCH_ROWS_MAX), Column::len);
            left -= rows;
            (rows > 0).then(|| Batch::new(batch, rows))
        })
    }

    /// One flat column of canonical physical type per input column; the parts of each are freed as it is done.
    pub(crate) fn concat(self, types: &[DataType]) -> Result<Vec<Column>> {
        self.columns
            .into_iter()
            .zip(types)
            .map(|(parts, data_type)| {
                if parts.len() == 1 {
                    Ok(parts[0].flatten().widen(physical_type(data_type)))
                } else {
                    Column::concat_owned(parts, data_type)
                }
            })
            .collect()
    }
}

/// Bytes that a column keeps alive: long strings by their lengths, since many batches share their buffers.
pub(crate) fn retained_bytes(column: &Column) -> usize {
    match column.encoding() {
        Encoding::Dictionary { .. } | Encoding::Constant(_) => column.memory_bytes() + column.len() * 16,
        Encoding::Flat(_) => column.memory_bytes(),
    }
}

/// Bytes of long strings that flat `column` shares with what is gathered from it.
pub(crate) fn shared_bytes(column: &Column) -> usize {
    match column.encoding() {
        Encoding::Flat(Values::View(views)) => long_bytes(&views.views),
        _ => 0,
    }
}

/// One column as it lies in several sources.
pub(crate) struct RowSources {
    sources: Vec<Column>,
    data_type: DataType,
    /// Buffers of all string sources, and where each source's start.
    buffers: std::sync::Arc<[Buffer]>,
    first_buffers: Vec<u32>,
}

impl RowSources {
    /// From flat columns of the canonical physical type of `data_type`.
    pub(crate) fn new(sources: Vec<Column>, data_type: &DataType) -> Self {
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut first_buffers = Vec::new();
        if sources.len() > 1 {
            for source in &sources {
                first_buffers.push(buffers.len() as u32);
                if let Encoding::Flat(Values::View(views)) = source.encoding() {
                    buffers.extend(views.buffers.iter().cloned());
                }
            }
        }
        RowSources { sources, data_type: data_type.clone(), buffers: buffers.into(), first_buffers }
    }

    /// Row `rows[i]` of source `runs[i]`, for each i.
    pub(crate) fn gather(&self, runs: &[u32], rows: &[u32]) -> Result<Column> {
        let [only] = self.sources.as_slice() else { return self.gather_many(runs, rows) };
        Ok(only.gather(rows))
    }

    fn gather_many(&self, runs: &[u32], rows: &[u32]) -> Result<Column> {
        let values = match physical_type(&self.data_type) {
            Physical::Nested => return self.gather_nested(runs, rows),
            Physical::Boolean => Values::Boolean(self.gather_bits(runs, rows)?),
            Physical::View => Values::View(self.gather_views(runs, rows)?),
            _ => self.gather_fixed(runs, rows)?,
        };
        let mut column = Column::flat_with_validity(values, self.gather_validity(runs, rows));
        column.is_ascii = self.sources.iter().all(|s| s.is_ascii);
        Ok(column)
    }

    fn flat(&self, source: usize) -> Result<&Values> {
        match self.sources[source].encoding() {
            Encoding::Flat(values) => Ok(values),
            _ => Err(Error::internal("a sorted source is not flat")),
        }
    }

    fn gather_fixed(&self, runs: &[u32], rows: &[u32]) -> Result<Values> {
        let Some(_) = self.sources.first() else { return Err(Error::internal("rows gathered from no source")) };
        macro_rules! typed {
            ($first:expr, $($variant:ident),*) => {
                match $first {
                    $(Values::$variant(_) => Values::$variant(self.gather_typed(runs, rows, |v| match v { Values::$variant(b) => Some(&b[..]), _ => None })?),)*
                    other => return Err(Error::internal(format!("{:?} values have no fixed width", other.physical()))),
                }
            };
        }
        Ok(typed!(
            self.flat(0)?,
            Int8,
            Int16,
            Int32,
            Int64,
            Int128,
            Int256,
            UInt8,
            UInt16,
            UInt32,
            UInt64,
            Float32,
            Float64,
            Interval
        ))
    }

    fn gather_typed<'a, T: ArrowNativeType>(
        &'a self,
        runs: &[u32],
        rows: &[u32],
        typed: impl Fn(&'a Values) -> Option<&'a [T]>,
    ) -> Result<ScalarBuffer<T>> {
        let sources = (0..self.sources.len())
            .map(|i| typed(self.flat(i)?).ok_or_else(|| Error::internal("sorted sources differ in physical type")))
            .collect::<Result<Vec<&[T]>>>()?;
        let mut output = Vec::new();
        gather_runs(&sources, runs, rows, &mut output);
        Ok(output.into())
    }

    fn gather_bits(&self, runs: &[u32], rows: &[u32]) -> Result<Bitmap> {
        let bits = (0..self.sources.len())
            .map(|i| match self.flat(i)? {
                Values::Boolean(bits) => Ok(bits),
                _ => Err(Error::internal("sorted sources differ in physical type")),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Bitmap::from_bools(runs.iter().zip(rows).map(|(&run, &row)| bits[run as usize].get(row as usize))))
    }

    fn gather_views(&self, runs: &[u32], rows: &[u32]) -> Result<Views> {
        let views: ScalarBuffer<u128> = self.gather_typed(runs, rows, |v| match v {
            Values::View(views) => Some(&views.views[..]),
            _ => None,
        })?;
        // Long views name a buffer of their own source: point them into the union.
        let moved = views.iter().zip(runs).map(|(&view, &run)| {
            if view as u32 > INLINE_BYTES as u32 {
                view + ((self.first_buffers[run as usize] as u128) << 64)
            } else {
                view
            }
        });
        Ok(Views { views: moved.collect(), buffers: self.buffers.clone() })
    }

    fn gather_validity(&self, runs: &[u32], rows: &[u32]) -> Option<Bitmap> {
        if self.sources.iter().all(|s| s.validity().is_none()) {
            return None;
        }
        let validity: Vec<Option<&Bitmap>> = self.sources.iter().map(Column::validity).collect();
        Some(Bitmap::from_bools(
            runs.iter().zip(rows).map(|(&run, &row)| validity[run as usize].is_none_or(|v| v.get(row as usize))),
        ))
    }

    fn gather_nested(&self, runs: &[u32], rows: &[u32]) -> Result<Column> {
        let arrays =
            self.sources.iter().map(|s| export_column(s, &self.data_type)).collect::<Result<Vec<ArrayRef>>>()?;
        let arrays: Vec<&dyn Array> = arrays.iter().map(|a| a.as_ref()).collect();
        let indices: Vec<(usize, usize)> =
            runs.iter().zip(rows).map(|(&run, &row)| (run as usize, row as usize)).collect();
        import_column(&arrow_select::interleave::interleave(&arrays, &indices)?)
    }
}
