//! One column of one row group, decoded in windows of any size; rows in between are passed over without decoding where possible.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use arrow_buffer::{Buffer, ScalarBuffer};
use bytes::Bytes;
use parquet::basic::{Encoding, LogicalType, TimeUnit as ParquetTimeUnit, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use plasmon_core::batch::arrow::null_column;
use plasmon_core::batch::{Bitmap, Bounds, Column, Dictionary, Encoding as ColumnEncoding, Values, Views};
use plasmon_core::{Error, Result};
use plasmon_kernels::decode::{self, HybridCursor, Malformed};
use plasmon_kernels::select::is_sequence;

use super::page::Pages;

/// How a chunk's stored values become a column's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Layout {
    Int32,
    /// 32-bit decimals, whose columns are 64 bits wide.
    Int32AsInt64,
    Int64,
    Float32,
    Float64,
    View {
        is_text: bool,
    },
    /// Big-endian decimals of `size` bytes.
    BigEndian {
        size: usize,
        is_narrow: bool,
    },
}

impl Layout {
    /// The layout for a chunk read as `data_type`; `None` when this decoder cannot read it.
    #[expect(deprecated, reason = "old writers list the bit-packed encoding for levels that have no bits")]
    pub(super) fn of(descriptor: &ColumnDescriptor, chunk: &ColumnChunkMetaData, data_type: &DataType) -> Option<Self> {
        let readable = |e: Encoding| {
            matches!(
                e,
                Encoding::PLAIN
                    | Encoding::RLE
                    | Encoding::BIT_PACKED
                    | Encoding::PLAIN_DICTIONARY
                    | Encoding::RLE_DICTIONARY
            )
        };
        let is_flat =
            descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1 && descriptor.path().parts().len() == 1;
        if !is_flat || !chunk.encodings().all(readable) {
            return None;
        }
        let unit_is = |unit: &TimeUnit| match descriptor.logical_type_ref() {
            Some(LogicalType::Timestamp(stored)) => matches!(
                (&stored.unit, unit),
                (ParquetTimeUnit::MILLIS, TimeUnit::Millisecond)
                    | (ParquetTimeUnit::MICROS, TimeUnit::Microsecond)
                    | (ParquetTimeUnit::NANOS, TimeUnit::Nanosecond)
            ),
            _ => false,
        };
        match (descriptor.physical_type(), data_type) {
            (PhysicalType::INT32, DataType::Int32 | DataType::Date32) => Some(Layout::Int32),
            (PhysicalType::INT32, DataType::Decimal128(precision, _)) if *precision <= 18 => Some(Layout::Int32AsInt64),
            (PhysicalType::INT64, DataType::Int64) => Some(Layout::Int64),
            (PhysicalType::INT64, DataType::Decimal128(precision, _)) if *precision <= 18 => Some(Layout::Int64),
            (PhysicalType::INT64, DataType::Timestamp(unit, _)) if unit_is(unit) => Some(Layout::Int64),
            (PhysicalType::FLOAT, DataType::Float32) => Some(Layout::Float32),
            (PhysicalType::DOUBLE, DataType::Float64) => Some(Layout::Float64),
            (PhysicalType::BYTE_ARRAY, DataType::Utf8View) => Some(Layout::View { is_text: true }),
            (PhysicalType::BYTE_ARRAY, DataType::BinaryView) => Some(Layout::View { is_text: false }),
            (PhysicalType::FIXED_LEN_BYTE_ARRAY, DataType::Decimal128(precision, _)) => {
                let size = usize::try_from(descriptor.type_length()).ok().filter(|s| (1..=16).contains(s))?;
                Some(Layout::BigEndian { size, is_narrow: *precision <= 18 })
            }
            _ => None,
        }
    }

    /// Bytes of a stored value; 0 = they differ.
    pub(super) fn stored_size(self) -> usize {
        match self {
            Layout::Int32 | Layout::Int32AsInt64 | Layout::Float32 => 4,
            Layout::Int64 | Layout::Float64 => 8,
            Layout::BigEndian { size, .. } => size,
            Layout::View { .. } => 0,
        }
    }

    /// All values of plain fixed-width `bytes`; those are used as they are where the memory layout is the stored one.
    fn fixed(self, bytes: Bytes) -> Values {
        macro_rules! little_endian {
            ($stored:ty, $wanted:ty) => {{
                let is_native = cfg!(target_endian = "little") && size_of::<$stored>() == size_of::<$wanted>();
                if is_native && bytes.as_ptr().cast::<$wanted>().is_aligned() {
                    let len = bytes.len() / size_of::<$wanted>();
                    ScalarBuffer::<$wanted>::new(Buffer::from(bytes), 0, len)
                } else {
                    let (chunks, _) = bytes.as_chunks::<{ size_of::<$stored>() }>();
                    ScalarBuffer::<$wanted>::from(
                        chunks.iter().map(|&b| <$stored>::from_le_bytes(b) as $wanted).collect::<Vec<$wanted>>(),
                    )
                }
            }};
        }
        match self {
            Layout::Int32 => Values::Int32(little_endian!(i32, i32)),
            Layout::Int32AsInt64 => Values::Int64(little_endian!(i32, i64)),
            Layout::Int64 => Values::Int64(little_endian!(i64, i64)),
            Layout::Float32 => Values::Float32(little_endian!(f32, f32)),
            Layout::Float64 => Values::Float64(little_endian!(f64, f64)),
            Layout::BigEndian { size, is_narrow } => {
                let mut wide = Vec::with_capacity(bytes.len() / size);
                decode::plain_big_endian(&bytes, size, &mut wide);
                if is_narrow {
                    Values::Int64(wide.iter().map(|&v| v as i64).collect())
                } else {
                    Values::Int128(wide.into())
                }
            }
            Layout::View { .. } => Values::View(Views { views: Vec::new().into(), buffers: Arc::from([]) }),
        }
    }
}

/// A page whose values are being read.
struct OpenPage {
    rows_left: usize,
    levels: Option<(Bytes, HybridCursor)>,
    body: Bytes,
    values: PageValues,
}

enum PageValues {
    Codes(HybridCursor),
    /// The index of the next value.
    Fixed(usize),
    /// The offset of the next value; whether every byte of the page is ASCII.
    ByteArrays {
        offset: usize,
        buffers: Arc<[Buffer]>,
        is_ascii: bool,
    },
}

/// Decodes one column of one row group.
pub(super) struct ColumnReader {
    pages: Pages,
    layout: Layout,
    data_type: DataType,
    is_optional: bool,
    bounds: Option<Bounds>,
    dictionary: Option<Arc<Dictionary>>,
    /// The dictionary has so many values that codes tell little: they are looked up at once.
    is_near_unique: bool,
    /// A page that nobody has decompressed yet, of which the first rows may have been passed over.
    waiting: Option<(super::page::DataPage, usize)>,
    page: Option<OpenPage>,
    /// Rows that were read or passed over.
    position: usize,
}

impl ColumnReader {
    /// Opens the chunk and decodes its dictionary.
    pub(super) fn open(
        mut pages: Pages,
        descriptor: &ColumnDescriptor,
        chunk: &ColumnChunkMetaData,
        layout: Layout,
        data_type: DataType,
    ) -> Result<Self> {
        let stored = pages.dictionary()?;
        let dictionary = stored
            .map(|(body, count, encoding)| decode_dictionary(&pages, layout, body, count, encoding))
            .transpose()?;
        let is_near_unique =
            dictionary.as_ref().is_some_and(|d| d.values.len() as u64 * 2 > chunk.num_values().max(0) as u64);
        let bounds = match chunk.statistics() {
            Some(Statistics::Int32(s)) => {
                s.min_opt().zip(s.max_opt()).map(|(&min, &max)| Bounds { min: min.into(), max: max.into() })
            }
            Some(Statistics::Int64(s)) => s.min_opt().zip(s.max_opt()).map(|(&min, &max)| Bounds { min, max }),
            _ => None,
        };
        let is_optional = descriptor.max_def_level() == 1;
        Ok(ColumnReader {
            pages,
            layout,
            data_type,
            is_optional,
            bounds,
            dictionary,
            is_near_unique,
            waiting: None,
            page: None,
            position: 0,
        })
    }

    /// The rows `start..start + rows` of the row group, or of them those at `positions`. Windows come in ascending order.
    pub(super) fn read(&mut self, start: usize, rows: usize, positions: Option<&[u16]>) -> Result<Column> {
        self.pass(start - self.position)?;
        let mut pieces = Vec::with_capacity(1);
        let mut wanted = rows;
        while wanted > 0 {
            let mut page = self.open_page()?;
            let count = wanted.min(page.rows_left);
            pieces.push(self.piece(&mut page, count)?);
            page.rows_left -= count;
            wanted -= count;
            self.page = Some(page);
        }
        self.position = start + rows;
        let column = if pieces.len() == 1 { pieces.remove(0) } else { join(&pieces, &self.data_type)? };
        let column = match positions {
            Some(positions) => column.gather(positions),
            None => column,
        };
        let column = if self.is_near_unique { look_up(column) } else { column };
        Ok(column.with_bounds(self.bounds))
    }

    /// Passes over rows; pages that are passed whole are not decompressed.
    fn pass(&mut self, mut rows: usize) -> Result<()> {
        while rows > 0 {
            if let Some(mut page) = self.page.take_if(|p| p.rows_left > 0) {
                let count = rows.min(page.rows_left);
                if count < page.rows_left {
                    self.pass_within(&mut page, count)?;
                }
                page.rows_left -= count;
                rows -= count;
                self.page = Some(page);
                continue;
            }
            if self.waiting.is_none()
                && let Some(passed) = self.pages.pass(rows)?
            {
                rows -= passed;
                continue;
            }
            let (page, passed) = self.wait_for_page()?;
            let count = rows.min(page.rows - passed);
            rows -= count;
            self.waiting = (passed + count < page.rows).then_some((page, passed + count));
        }
        Ok(())
    }

    fn wait_for_page(&mut self) -> Result<(super::page::DataPage, usize)> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(waiting);
        }
        loop {
            match self.pages.next()? {
                Some(page) if page.rows == 0 => {}
                Some(page) => return Ok((page, 0)),
                None => return Err(self.pages.malformed("the pages hold fewer rows than the row group")),
            }
        }
    }

    /// The page to read from, with at least one row left.
    fn open_page(&mut self) -> Result<OpenPage> {
        if let Some(page) = self.page.take_if(|p| p.rows_left > 0) {
            return Ok(page);
        }
        let (raw, passed) = self.wait_for_page()?;
        let mut body = self.pages.body(&raw)?;
        let mut levels = None;
        if self.is_optional {
            let stored = match raw.levels {
                Some(levels) => levels,
                None => {
                    let len = body
                        .first_chunk::<4>()
                        .map(|b| u32::from_le_bytes(*b) as usize)
                        .filter(|&l| l <= body.len() - 4);
                    let len = len.ok_or_else(|| self.pages.malformed("definition levels reach past their page"))?;
                    let stored = body.slice(4..4 + len);
                    body = body.slice(4 + len..);
                    stored
                }
            };
            levels = Some((stored, HybridCursor::new(1, 0).map_err(|e| self.malformed(e))?));
        }
        let values = match (raw.encoding, self.layout) {
            (Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY, _) => {
                // A page of nulls only may have no body at all.
                let width = body.first().copied().unwrap_or(0);
                PageValues::Codes(HybridCursor::new(u32::from(width), 1).map_err(|e| self.malformed(e))?)
            }
            (Encoding::PLAIN, Layout::View { .. }) => PageValues::ByteArrays {
                offset: 0,
                buffers: Arc::from([Buffer::from(body.clone())]),
                is_ascii: body.is_ascii(),
            },
            (Encoding::PLAIN, _) => PageValues::Fixed(0),
            (other, _) => {
                return Err(self
                    .pages
                    .malformed(format!("a page of encoding {other} that the footer does not announce")));
            }
        };
        let mut page = OpenPage { rows_left: raw.rows, levels, body, values };
        if passed > 0 {
            self.pass_within(&mut page, passed)?;
            page.rows_left -= passed;
        }
        Ok(page)
    }

    fn pass_within(&self, page: &mut OpenPage, rows: usize) -> Result<()> {
        let count = match self.validity(page, rows)? {
            None => rows,
            Some(validity) => validity.count_ones(),
        };
        match &mut page.values {
            PageValues::Codes(cursor) => cursor.skip(&page.body, count).map_err(|e| self.malformed(e)),
            PageValues::Fixed(next) => {
                *next += count;
                Ok(())
            }
            PageValues::ByteArrays { offset, .. } => {
                *offset = decode::skip_byte_arrays(&page.body, *offset, count).map_err(|e| self.malformed(e))?;
                Ok(())
            }
        }
    }

    /// Which of the next `rows` rows are not null; `None` = all.
    fn validity(&self, page: &mut OpenPage, rows: usize) -> Result<Option<Bitmap>> {
        let Some((bytes, cursor)) = &mut page.levels else { return Ok(None) };
        if cursor.repeats(bytes, rows).map_err(|e| self.malformed(e))? == Some(1) {
            cursor.skip(bytes, rows).map_err(|e| self.malformed(e))?;
            return Ok(None);
        }
        let words = cursor.read_bits(bytes, rows).map_err(|e| self.malformed(e))?;
        let bitmap = Bitmap::new(words, rows);
        Ok((bitmap.count_ones() < rows).then_some(bitmap))
    }

    /// The next `rows` rows of a page.
    fn piece(&self, page: &mut OpenPage, rows: usize) -> Result<Column> {
        let validity = self.validity(page, rows)?;
        let count = validity.as_ref().map_or(rows, Bitmap::count_ones);
        if count == 0 {
            return Ok(null_column(&self.data_type, rows));
        }
        if let PageValues::Codes(cursor) = &mut page.values {
            let mut codes = Vec::new();
            let greatest = cursor.read(&page.body, count, &mut codes).map_err(|e| self.malformed(e))?;
            let dictionary =
                self.dictionary.clone().ok_or_else(|| self.pages.malformed("codes without a dictionary"))?;
            if greatest as usize >= dictionary.values.len() {
                return Err(self
                    .pages
                    .malformed(format!("code {greatest} of a dictionary of {} values", dictionary.values.len())));
            }
            let codes = match &validity {
                None => codes,
                Some(validity) => decode::spread(&codes, validity.words(), rows),
            };
            return Ok(Column::dictionary(codes.into(), dictionary, validity));
        }
        let (values, is_ascii) = self.plain(page, count)?;
        let mut column = match &validity {
            None => Column::flat(values),
            Some(bits) => {
                // Position of each row's value among the page's: nulls point at any.
                let places: Vec<u32> = (0..count as u32).collect();
                Column::flat_with_validity(
                    values.gather(&decode::spread(&places, bits.words(), rows)),
                    validity.clone(),
                )
            }
        };
        column.is_ascii = is_ascii;
        Ok(column)
    }

    /// The next `count` values of a page of plain values; whether they are proven ASCII.
    fn plain(&self, page: &mut OpenPage, count: usize) -> Result<(Values, bool)> {
        match &mut page.values {
            PageValues::ByteArrays { offset, buffers, is_ascii } => {
                let mut views = Vec::new();
                *offset =
                    decode::plain_byte_arrays(&page.body, *offset, count, &mut views).map_err(|e| self.malformed(e))?;
                let views = Views { views: views.into(), buffers: buffers.clone() };
                if !*is_ascii {
                    check_text(&self.pages, self.layout, &views)?;
                }
                Ok((Values::View(views), *is_ascii))
            }
            PageValues::Fixed(next) => {
                let size = self.layout.stored_size();
                let end = (*next + count) * size;
                if end > page.body.len() {
                    return Err(self.pages.malformed("a page holds fewer values than its header says"));
                }
                let values = self.layout.fixed(page.body.slice(*next * size..end));
                *next += count;
                Ok((values, false))
            }
            PageValues::Codes(_) => Err(Error::internal("a page of codes read as plain values")),
        }
    }

    fn malformed(&self, error: Malformed) -> Error {
        self.pages.malformed(error.0)
    }
}

fn decode_dictionary(
    pages: &Pages,
    layout: Layout,
    body: Bytes,
    count: usize,
    encoding: Encoding,
) -> Result<Arc<Dictionary>> {
    if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
        return Err(pages.malformed(format!("a dictionary page of encoding {encoding}")));
    }
    let mut is_ascii = false;
    let values = if let Layout::View { .. } = layout {
        let mut views = Vec::new();
        decode::plain_byte_arrays(&body, 0, count, &mut views).map_err(|e| pages.malformed(e.0))?;
        is_ascii = body.is_ascii();
        let views = Views { views: views.into(), buffers: Arc::from([Buffer::from(body)]) };
        if !is_ascii {
            check_text(pages, layout, &views)?;
        }
        Values::View(views)
    } else {
        let len = count.checked_mul(layout.stored_size()).filter(|&len| len <= body.len());
        let len = len.ok_or_else(|| pages.malformed("the dictionary holds fewer values than its header says"))?;
        layout.fixed(body.slice(..len))
    };
    let mut dictionary = Dictionary::new(values);
    // Not proven distinct: the format asks it of writers, but a file may not keep it, and answers must not depend on that.
    dictionary.is_ascii = is_ascii;
    Ok(Arc::new(dictionary))
}

/// Codes replaced by their values; those of a column that repeats nothing count up, and are a part of the dictionary as it is.
fn look_up(column: Column) -> Column {
    match column.encoding() {
        ColumnEncoding::Dictionary { codes, dictionary } if !codes.is_empty() && is_sequence(codes) => {
            let values = dictionary.values.slice(codes[0] as usize, codes.len());
            let mut flat = Column::flat_with_validity(values, column.validity().cloned());
            flat.is_ascii = dictionary.is_ascii;
            flat
        }
        _ => column.flatten(),
    }
}

/// Text must be UTF-8, value by value: a character split between two values is no text.
fn check_text(pages: &Pages, layout: Layout, views: &Views) -> Result<()> {
    if layout != (Layout::View { is_text: true }) {
        return Ok(());
    }
    match (0..views.views.len()).find(|&i| std::str::from_utf8(views.value(i)).is_err()) {
        Some(index) => Err(pages.malformed(format!("value {index} of a page is not UTF-8"))),
        None => Ok(()),
    }
}

/// Pieces of neighbouring pages as one column: codes stay codes when all have them.
fn join(pieces: &[Column], data_type: &DataType) -> Result<Column> {
    let mut codes: Vec<u32> = Vec::new();
    let mut shared: Option<Arc<Dictionary>> = None;
    for piece in pieces {
        match piece.encoding() {
            ColumnEncoding::Dictionary { codes: own, dictionary } => {
                codes.extend_from_slice(own);
                shared = Some(dictionary.clone());
            }
            _ => return Column::concat(pieces, data_type),
        }
    }
    let Some(dictionary) = shared else { return Column::concat(pieces, data_type) };
    let validity = pieces.iter().any(|p| p.validity().is_some()).then(|| {
        let bits: Vec<bool> = pieces.iter().flat_map(|p| (0..p.len()).map(|i| p.is_valid(i))).collect();
        Bitmap::from_bools(bits.into_iter())
    });
    Ok(Column::dictionary(codes.into(), dictionary, validity))
}
