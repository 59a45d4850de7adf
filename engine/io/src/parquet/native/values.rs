//! The values of one page, read or passed over from front to back.

use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use bytes::Bytes;
use parquet::basic::Encoding;
use plasmon_core::Result;
use plasmon_core::batch::{Bitmap, Column, Values, Views};
use plasmon_kernels::decode::{self, HybridCursor, Malformed};

use super::layout::Layout;
use super::page::Pages;

/// Where in a page's values the next one is.
pub(super) struct PageValues {
    layout: Layout,
    body: Bytes,
    form: Form,
}

enum Form {
    /// Of the dictionary.
    Codes(HybridCursor),
    /// The index of the next value of fixed size.
    Fixed(usize),
    /// The index of the next bit.
    Bits(usize),
    BitRuns(HybridCursor),
    /// The offset of the next text; whether every byte of the page is ASCII.
    Texts {
        offset: usize,
        buffers: Arc<[Buffer]>,
        is_ascii: bool,
    },
    /// Texts that had to be decoded all at once; the index of the next.
    Views {
        next: usize,
        views: ScalarBuffer<u128>,
        buffers: Arc<[Buffer]>,
        is_ascii: bool,
    },
}

/// Values without their nulls.
pub(super) enum Read {
    Codes { codes: Vec<u32>, greatest: u32 },
    Values(Column),
}

impl PageValues {
    /// The values of a page of `rows` rows, at most as many. What is packed by differences or split into streams is decoded here, and read
    /// as if it were plain.
    pub(super) fn open(pages: &Pages, layout: Layout, encoding: Encoding, body: Bytes, rows: usize) -> Result<Self> {
        let malformed = |e: Malformed| pages.malformed(e.0);
        let is_view = matches!(layout, Layout::View { .. });
        let mut body = body;
        let form = match encoding {
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => {
                // A page of nulls only may have no body at all.
                let width = body.first().copied().unwrap_or(0);
                Form::Codes(HybridCursor::new(u32::from(width), 1).map_err(malformed)?)
            }
            // Some writers store nothing of a page of nulls only.
            _ if body.is_empty() => Form::Fixed(0),
            Encoding::PLAIN if is_view => {
                Form::Texts { offset: 0, buffers: Arc::from([Buffer::from(body.clone())]), is_ascii: body.is_ascii() }
            }
            Encoding::PLAIN if layout == Layout::Boolean => Form::Bits(0),
            // The runs' length in bytes comes first.
            Encoding::RLE if layout == Layout::Boolean => Form::BitRuns(HybridCursor::new(1, 4).map_err(malformed)?),
            Encoding::PLAIN => Form::Fixed(0),
            Encoding::DELTA_BINARY_PACKED if !is_view => {
                body = undone_delta(layout, &body, rows).map_err(malformed)?;
                Form::Fixed(0)
            }
            Encoding::BYTE_STREAM_SPLIT if !is_view => {
                body = joined_streams(layout, &body).map_err(malformed)?;
                Form::Fixed(0)
            }
            Encoding::DELTA_BYTE_ARRAY if !is_view => {
                body = joined_bytes(layout, &body, rows).map_err(malformed)?;
                Form::Fixed(0)
            }
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY if is_view => {
                delta_texts(encoding, body.clone(), rows).map_err(malformed)?
            }
            other => {
                return Err(pages.malformed(format!("a page of encoding {other} that the footer does not announce")));
            }
        };
        Ok(PageValues { layout, body, form })
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let views = if let Form::Views { views, .. } = &self.form { size_of_val(&views[..]) } else { 0 };
        self.body.len() + views
    }

    /// Passes over `count` values.
    pub(super) fn skip(&mut self, pages: &Pages, count: usize) -> Result<()> {
        let passed = match &mut self.form {
            Form::Codes(cursor) | Form::BitRuns(cursor) => cursor.skip(&self.body, count),
            Form::Fixed(next) | Form::Bits(next) | Form::Views { next, .. } => {
                *next += count;
                Ok(())
            }
            Form::Texts { offset, .. } => {
                decode::skip_byte_arrays(&self.body, *offset, count).map(|behind| *offset = behind)
            }
        };
        passed.map_err(|e| pages.malformed(e.0))
    }

    /// The next `count` values.
    pub(super) fn read(&mut self, pages: &Pages, count: usize) -> Result<Read> {
        let malformed = |e: Malformed| pages.malformed(e.0);
        match &mut self.form {
            Form::Codes(cursor) => {
                let mut codes = Vec::new();
                let greatest = cursor.read(&self.body, count, &mut codes).map_err(malformed)?;
                Ok(Read::Codes { codes, greatest })
            }
            Form::Texts { offset, buffers, is_ascii } => {
                let mut views = Vec::new();
                *offset = decode::plain_byte_arrays(&self.body, *offset, count, &mut views).map_err(malformed)?;
                texts(pages, self.layout, Views { views: views.into(), buffers: buffers.clone() }, *is_ascii)
            }
            Form::Views { next, views, buffers, is_ascii } => {
                let from = advance(pages, next, count, views.len())?;
                let views = Views { views: views.slice(from, count), buffers: buffers.clone() };
                texts(pages, self.layout, views, *is_ascii)
            }
            Form::Fixed(next) => {
                let size = self.layout.stored_size();
                let from = advance(pages, next, count, self.body.len().checked_div(size).unwrap_or(0))?;
                let bytes = self.body.slice(from * size..(from + count) * size);
                Ok(Read::Values(Column::flat(self.layout.fixed(bytes))))
            }
            Form::Bits(next) => {
                let from = advance(pages, next, count, self.body.len() * 8)?;
                let bits = BooleanBuffer::new(Buffer::from(self.body.clone()), from, count);
                Ok(Read::Values(Column::flat(Values::Boolean(Bitmap::from_arrow(&bits)))))
            }
            Form::BitRuns(cursor) => {
                let words = cursor.read_bits(&self.body, count).map_err(malformed)?;
                Ok(Read::Values(Column::flat(Values::Boolean(Bitmap::new(words, count)))))
            }
        }
    }

    /// Of the next `count` values those at `positions`, which are few.
    pub(super) fn read_at(&mut self, pages: &Pages, count: usize, positions: &[u16]) -> Result<Read> {
        let malformed = |e: Malformed| pages.malformed(e.0);
        match &mut self.form {
            Form::Codes(cursor) => {
                let mut codes = Vec::with_capacity(positions.len());
                let greatest = cursor.read_at(&self.body, count, positions, &mut codes).map_err(malformed)?;
                Ok(Read::Codes { codes, greatest })
            }
            Form::Texts { offset, buffers, is_ascii } => {
                let mut views = Vec::with_capacity(positions.len());
                *offset = decode::plain_byte_arrays_at(&self.body, *offset, count, positions, &mut views)
                    .map_err(malformed)?;
                texts(pages, self.layout, Views { views: views.into(), buffers: buffers.clone() }, *is_ascii)
            }
            _ => match self.read(pages, count)? {
                Read::Values(column) => Ok(Read::Values(column.gather(positions))),
                codes => Ok(codes),
            },
        }
    }
}

/// The index of the next value, which moves on by `count` of the `len` values that there are.
fn advance(pages: &Pages, next: &mut usize, count: usize, len: usize) -> Result<usize> {
    let from = *next;
    if from + count > len {
        return Err(pages.malformed("a page holds fewer values than its header says"));
    }
    *next += count;
    Ok(from)
}

fn texts(pages: &Pages, layout: Layout, views: Views, is_ascii: bool) -> Result<Read> {
    if !is_ascii {
        check_text(pages, layout, &views)?;
    }
    let mut column = Column::flat(Values::View(views));
    column.is_ascii = is_ascii;
    Ok(Read::Values(column))
}

/// Integers as if they were stored plain.
fn undone_delta(layout: Layout, body: &[u8], rows: usize) -> std::result::Result<Bytes, Malformed> {
    let mut values = Vec::with_capacity(rows);
    decode::delta_integers(body, 0, rows, &mut values)?;
    Ok(match layout.stored_size() {
        4 => values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect::<Vec<u8>>().into(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
    })
}

/// Bytes of one size each, as if they were stored plain.
fn joined_bytes(layout: Layout, body: &[u8], rows: usize) -> std::result::Result<Bytes, Malformed> {
    let (mut joined, mut views) = (Vec::new(), Vec::new());
    decode::delta_byte_arrays(body, rows, &mut joined, &mut views)?;
    let size = layout.stored_size();
    // A view begins with its length.
    match views.iter().all(|&view| view as u32 as usize == size) {
        true => Ok(joined.into()),
        false => Err(Malformed("values of different sizes")),
    }
}

fn joined_streams(layout: Layout, body: &[u8]) -> std::result::Result<Bytes, Malformed> {
    let size = layout.stored_size();
    if size == 0 || body.len() % size != 0 {
        return Err(Malformed("streams of different lengths"));
    }
    let mut values = Vec::new();
    decode::join_byte_streams(body, size, &mut values);
    Ok(values.into())
}

fn delta_texts(encoding: Encoding, body: Bytes, rows: usize) -> std::result::Result<Form, Malformed> {
    let mut views = Vec::with_capacity(rows);
    let body = match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => {
            decode::delta_length_byte_arrays(&body, rows, &mut views)?;
            body
        }
        _ => {
            let mut joined = Vec::with_capacity(body.len());
            decode::delta_byte_arrays(&body, rows, &mut joined, &mut views)?;
            joined.into()
        }
    };
    let is_ascii = body.is_ascii();
    Ok(Form::Views { next: 0, views: views.into(), buffers: Arc::from([Buffer::from(body)]), is_ascii })
}

/// Text must be UTF-8, value by value: a character split between two values is no text.
pub(super) fn check_text(pages: &Pages, layout: Layout, views: &Views) -> Result<()> {
    if layout != (Layout::View { is_text: true }) {
        return Ok(());
    }
    match (0..views.views.len()).find(|&i| std::str::from_utf8(views.value(i)).is_err()) {
        Some(index) => Err(pages.malformed(format!("value {index} of a page is not UTF-8"))),
        None => Ok(()),
    }
}
