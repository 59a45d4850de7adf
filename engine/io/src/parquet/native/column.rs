//! One column of one row group, decoded in windows of any size; rows in between are passed over without decoding where possible.

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow_buffer::Buffer;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use plasmon_core::batch::arrow::null_column;
use plasmon_core::batch::{Bitmap, Bounds, Column, Dictionary, Encoding as ColumnEncoding, Values, Views};
use plasmon_core::{Error, Result};
use plasmon_kernels::decode::{self, HybridCursor, Malformed};
use plasmon_kernels::select::is_sequence;

use super::layout::Layout;
use super::page::Pages;
use super::values::{PageValues, Read, check_text};

/// Rows are decoded one by one when fewer than one in this many is wanted.
const SPARSE_FRACTION: usize = 8;

/// Rows that are worth a look whether they are a part of the dictionary.
const SEQUENCE_ROWS: usize = 256;

/// A page whose values are being read.
struct OpenPage {
    rows_left: usize,
    levels: Option<(Bytes, HybridCursor)>,
    values: PageValues,
}

/// Decodes one column of one row group.
pub(super) struct ColumnReader {
    pages: Pages,
    layout: Layout,
    data_type: DataType,
    is_optional: bool,
    bounds: Option<Bounds>,
    dictionary: Option<Arc<Dictionary>>,
    is_near_unique: bool,
    has_only_codes: bool,
    has_no_nulls: bool,
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
        let is_optional = descriptor.max_def_level() == 1;
        Ok(ColumnReader {
            pages,
            layout,
            data_type,
            is_optional,
            bounds: bounds_of(chunk, layout),
            dictionary,
            is_near_unique,
            has_only_codes: has_only_codes(chunk),
            has_no_nulls: !is_optional || chunk.statistics().and_then(|s| s.null_count_opt()) == Some(0),
            waiting: None,
            page: None,
            position: 0,
        })
    }

    /// The rows `start..start + rows` of the row group, or of them those at `positions`. Windows come in ascending order. Codes stay codes,
    /// however many values the dictionary has.
    pub(super) fn read(&mut self, start: usize, rows: usize, positions: Option<&[u16]>) -> Result<Column> {
        let pieces = match positions {
            Some(positions) => self.pieces_at(start, positions)?,
            None => self.pieces(start, rows)?,
        };
        let column = match &pieces[..] {
            [] => null_column(&self.data_type, 0),
            [piece] => piece.clone(),
            _ => Column::join(&pieces, &self.data_type)?,
        };
        Ok(column.with_bounds(self.bounds))
    }

    /// Bytes in memory: of the chunk or the page at hand, and of the dictionary.
    pub(super) fn held(&self) -> usize {
        let dictionary = self.dictionary.as_ref().map_or(0, |dictionary| dictionary.values.memory_bytes());
        let waiting = self.waiting.as_ref().map_or(0, |(page, _)| page.bytes());
        let page = self.page.as_ref().map_or(0, |page| page.values.bytes());
        self.pages.held() + dictionary + waiting + page
    }

    /// Whether the dictionary has so many values that codes tell little: they are best looked up at once.
    pub(super) fn is_near_unique(&self) -> bool {
        self.is_near_unique
    }

    /// The dictionary, when all pages hold codes of it.
    pub(super) fn whole_dictionary(&self) -> Option<&Arc<Dictionary>> {
        self.dictionary.as_ref().filter(|_| self.has_only_codes)
    }

    /// Whether the file says that no row is null.
    pub(super) fn has_no_nulls(&self) -> bool {
        self.has_no_nulls
    }

    /// The rows of a window, a piece a page.
    fn pieces(&mut self, start: usize, rows: usize) -> Result<Vec<Column>> {
        self.pass_to(start)?;
        let mut pieces = Vec::with_capacity(1);
        let mut wanted = rows;
        while wanted > 0 {
            let mut page = self.open_page()?;
            let count = wanted.min(page.rows_left);
            pieces.push(self.piece(&mut page, count)?);
            wanted -= count;
            self.close_page(page, count);
        }
        Ok(pieces)
    }

    /// The rows at these distances from `start`, a piece a page; what lies between is passed over.
    fn pieces_at(&mut self, start: usize, positions: &[u16]) -> Result<Vec<Column>> {
        let mut pieces = Vec::with_capacity(1);
        let mut left = positions;
        while let Some(&first) = left.first() {
            self.pass_to(start + first as usize)?;
            let mut page = self.open_page()?;
            let here = left.partition_point(|&p| start + (p as usize) < self.position + page.rows_left);
            let of_page: Vec<u16> = left[..here].iter().map(|&p| p - first).collect();
            let count = of_page[here - 1] as usize + 1;
            pieces.push(self.piece_at(&mut page, count, &of_page)?);
            left = &left[here..];
            self.close_page(page, count);
        }
        Ok(pieces)
    }

    /// Leaves a page of which `count` more rows were read.
    fn close_page(&mut self, mut page: OpenPage, count: usize) {
        page.rows_left -= count;
        self.position += count;
        self.page = Some(page);
    }

    fn pass_to(&mut self, row: usize) -> Result<()> {
        self.pass(row - self.position)?;
        self.position = row;
        Ok(())
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
        let values = PageValues::open(&self.pages, self.layout, raw.encoding, body, raw.rows)?;
        let mut page = OpenPage { rows_left: raw.rows, levels, values };
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
        page.values.skip(&self.pages, count)
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
        self.values(page, rows, validity)
    }

    /// Of the next `rows` rows of a page, those at `positions`.
    fn piece_at(&self, page: &mut OpenPage, rows: usize, positions: &[u16]) -> Result<Column> {
        let validity = self.validity(page, rows)?;
        if validity.is_some() || positions.len() * SPARSE_FRACTION > rows {
            return Ok(self.values(page, rows, validity)?.gather(positions));
        }
        self.column_of(page.values.read_at(&self.pages, rows, positions)?)
    }

    /// The next `rows` rows of a page whose validity has been read.
    fn values(&self, page: &mut OpenPage, rows: usize, validity: Option<Bitmap>) -> Result<Column> {
        let count = validity.as_ref().map_or(rows, Bitmap::count_ones);
        if count == 0 {
            return Ok(null_column(&self.data_type, rows));
        }
        let read = page.values.read(&self.pages, count)?;
        let Some(bits) = &validity else { return self.column_of(read) };
        if let Read::Codes { codes, greatest } = read {
            let codes = decode::spread(&codes, bits.words(), rows);
            return Ok(self.column_of(Read::Codes { codes, greatest })?.with_validity(validity));
        }
        // Position of each row's value among the page's: nulls point at any.
        let places: Vec<u32> = (0..count as u32).collect();
        let places = decode::spread(&places, bits.words(), rows);
        Ok(self.column_of(read)?.gather(&places).with_validity(validity))
    }

    /// The values, or codes with the dictionary, which must have a value for each.
    fn column_of(&self, read: Read) -> Result<Column> {
        let (codes, greatest) = match read {
            Read::Values(column) => return Ok(column),
            Read::Codes { codes, greatest } => (codes, greatest),
        };
        let dictionary = self.dictionary.clone().ok_or_else(|| self.pages.malformed("codes without a dictionary"))?;
        let len = dictionary.values.len();
        if greatest as usize >= len {
            return Err(self.pages.malformed(format!("code {greatest} of a dictionary of {len} values")));
        }
        Ok(Column::dictionary(codes.into(), dictionary, None))
    }

    fn malformed(&self, error: Malformed) -> Error {
        self.pages.malformed(error.0)
    }
}

/// The bounds of signed integers that the footer tells.
fn bounds_of(chunk: &ColumnChunkMetaData, layout: Layout) -> Option<Bounds> {
    if !layout.is_signed_integer() {
        return None;
    }
    let (min, max) = match chunk.statistics()? {
        Statistics::Int32(s) => (i64::from(*s.min_opt()?), i64::from(*s.max_opt()?)),
        Statistics::Int64(s) => (*s.min_opt()?, *s.max_opt()?),
        _ => return None,
    };
    Some(Bounds { min, max })
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

/// Whether every data page holds codes of the dictionary.
fn has_only_codes(chunk: &ColumnChunkMetaData) -> bool {
    let codes = [Encoding::PLAIN_DICTIONARY, Encoding::RLE_DICTIONARY];
    match chunk.page_encoding_stats_mask() {
        Some(pages) => codes.iter().any(|&e| pages.is_only(e)),
        // Levels are run-length encoded; a plain dictionary looks like plain pages.
        None => chunk.encodings().all(|e| codes.contains(&e) || e == Encoding::RLE),
    }
}

/// Codes replaced by their values; those of a column that repeats nothing count up, and are a part of the dictionary as it is, unless they are few: these
/// would keep all of it.
pub(super) fn look_up(column: Column) -> Column {
    match column.encoding() {
        ColumnEncoding::Dictionary { codes, dictionary } if codes.len() >= SEQUENCE_ROWS && is_sequence(codes) => {
            let values = dictionary.values.slice(codes[0] as usize, codes.len());
            let mut flat = Column::flat_with_validity(values, column.validity().cloned());
            flat.is_ascii = dictionary.is_ascii;
            flat
        }
        _ => column.flatten(),
    }
}
