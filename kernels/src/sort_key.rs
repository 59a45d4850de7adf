//! Typed key columns → order-preserving integer codes or byte rows; called by sort, top-N and window.
//!
//! # Contract
//! A key is made of fields, most significant first. Each field maps a value to an unsigned *image* of the same order, then to a *code*
//! that folds direction and null order in and uses only the range that occurs, so that the whole key often fits a word together with its
//! row number. Nulls are equal to each other. Floats: NaN is greatest, −0.0 = 0.0. Byte strings compare by bytes, shorter first.
//!
//! # How a key is built
//! 1. [`image_range`] gives the smallest and greatest image of a column's valid values.
//! 2. [`FieldCode`] turns an image into `image - min` (ascending) or `max - image` (descending); with nulls in the column, code 0
//!    (nulls first) or the greatest code (nulls last) means null.
//! 3. [`pack_field`] shifts each key left by the field's bits and appends the code.
//!    Example, keys `(a DESC, b)` with a ∈ 3..=5, b ∈ 100..=107, rows (5,101) (3,107): codes (0,1) (2,7), keys `00_001` and `10_111`.
//! 4. Keys of more than 96 bits, or with long text, become byte rows ([`ByteRows`]) that compare by `memcmp`.

use crate::hash::{NULL_HASH, combine, hash_word};

/// An unsigned integer that images come in: 64 or 128 bits.
pub trait ImageWord: Copy + Ord {
    /// Zero-extended.
    fn to_u128(self) -> u128;
    /// Truncated.
    fn from_u128(wide: u128) -> Self;
    /// `self - other`, wrapping.
    fn minus(self, other: Self) -> Self;
}

/// A value with an order-preserving unsigned image.
pub trait SortImage: Copy {
    /// The image's width.
    type Word: ImageWord;
    /// The image: `a < b` as values exactly when `a.image() < b.image()`.
    fn image(self) -> Self::Word;
}

macro_rules! image_words {
    ($($word:ty),*) => {$(
        impl ImageWord for $word {
            #[inline(always)]
            fn to_u128(self) -> u128 {
                self as u128
            }
            #[inline(always)]
            fn from_u128(wide: u128) -> Self {
                wide as $word
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
        }
    )*};
}
image_words!(u64, u128);

macro_rules! integer_images {
    ($($type:ty => $word:ty, $flip:expr);* $(;)?) => {$(
        impl SortImage for $type {
            type Word = $word;
            #[inline(always)]
            fn image(self) -> $word {
                self as $word ^ $flip
            }
        }
    )*};
}
integer_images! {
    u8 => u64, 0; u16 => u64, 0; u32 => u64, 0; u64 => u64, 0; u128 => u128, 0;
    i8 => u64, 1 << 63; i16 => u64, 1 << 63; i32 => u64, 1 << 63; i64 => u64, 1 << 63; i128 => u128, 1 << 127;
}

impl SortImage for f64 {
    type Word = u64;
    #[inline(always)]
    fn image(self) -> u64 {
        // Adding 0.0 turns −0.0 into 0.0; every NaN becomes the one with the greatest image.
        let bits = if self.is_nan() { 0x7fff_ffff_ffff_ffff } else { (self + 0.0).to_bits() };
        bits ^ (((bits as i64 >> 63) as u64) | 1 << 63)
    }
}

impl SortImage for f32 {
    type Word = u64;
    #[inline(always)]
    fn image(self) -> u64 {
        let bits = if self.is_nan() { 0x7fff_ffff } else { (self + 0.0).to_bits() };
        (bits ^ (((bits as i32 >> 31) as u32) | 1 << 31)) as u64
    }
}

/// Whether row `index` is valid.
#[inline(always)]
fn is_valid(validity: Option<&[u64]>, index: usize) -> bool {
    validity.is_none_or(|words| words[index / 64] >> (index % 64) & 1 == 1)
}

/// Smallest and greatest image of the valid values; `None` when there is none.
pub fn image_range<T: SortImage>(values: &[T], validity: Option<&[u64]>) -> Option<(u128, u128)> {
    let mut images = values.iter().enumerate().filter(|(i, _)| is_valid(validity, *i)).map(|(_, v)| v.image());
    let first = images.next()?;
    let (min, max) = match validity {
        None => values.iter().fold((first, first), |(min, max), v| (min.min(v.image()), max.max(v.image()))),
        Some(_) => images.fold((first, first), |(min, max), image| (min.min(image), max.max(image))),
    };
    Some((min.to_u128(), max.to_u128()))
}

/// Folds the images' hashes (nulls: [`NULL_HASH`]) into `hashes`.
pub fn hash_images<T: SortImage>(values: &[T], validity: Option<&[u64]>, hashes: &mut [u64]) {
    assert!(values.len() == hashes.len(), "{} values for {} hashes", values.len(), hashes.len());
    for (row, (value, hash)) in values.iter().zip(hashes).enumerate() {
        let image = value.image().to_u128();
        let own =
            if is_valid(validity, row) { combine(hash_word(image as u64), (image >> 64) as u64) } else { NULL_HASH };
        *hash = combine(*hash, own);
    }
}

/// How the images of one field become codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldCode {
    /// Smallest image that occurs …
    pub min: u128,
    /// … and the greatest.
    pub max: u128,
    pub descending: bool,
    /// Whether a code is set aside for null.
    pub has_nulls: bool,
    pub nulls_first: bool,
}

impl FieldCode {
    /// Bits of a code, null included; 129 means that null and value do not fit 128 bits together.
    pub fn bits(&self) -> u32 {
        let span = self.max - self.min;
        match span.checked_add(self.has_nulls as u128) {
            Some(greatest) => 128 - greatest.leading_zeros(),
            None => 129,
        }
    }

    /// Bits of a code without null.
    pub fn value_bits(&self) -> u32 {
        128 - (self.max - self.min).leading_zeros()
    }

    /// The code of null.
    pub fn null_code(&self) -> u128 {
        if self.nulls_first { 0 } else { (self.max - self.min).wrapping_add(1) }
    }

    /// What is added to a value's code.
    fn bias(&self) -> u128 {
        (self.has_nulls && self.nulls_first) as u128
    }
}

/// An integer that keys are packed into.
pub trait KeyWord: Copy + Ord + Default + Send + Sync {
    /// Width in bits.
    const BITS: u32;
    /// Truncated.
    fn from_u128(wide: u128) -> Self;
    /// Zero-extended.
    fn to_u128(self) -> u128;
    /// `self + other`, wrapping.
    fn plus(self, other: Self) -> Self;
    /// `self << bits | code`; `bits` = `BITS` gives `code`.
    fn append(self, bits: u32, code: Self) -> Self;
    /// Bits `shift..shift + 8`.
    fn digit(self, shift: u32) -> usize;
    /// The lowest 32 bits.
    fn low32(self) -> u32;
}

macro_rules! key_words {
    ($($word:ty),*) => {$(
        impl KeyWord for $word {
            const BITS: u32 = <$word>::BITS;
            #[inline(always)]
            fn from_u128(wide: u128) -> Self {
                wide as $word
            }
            #[inline(always)]
            fn to_u128(self) -> u128 {
                self as u128
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn append(self, bits: u32, code: Self) -> Self {
                if bits >= Self::BITS { code } else { self << bits | code }
            }
            #[inline(always)]
            fn digit(self, shift: u32) -> usize {
                (self >> shift) as usize & 0xff
            }
            #[inline(always)]
            fn low32(self) -> u32 {
                self as u32
            }
        }
    )*};
}
key_words!(u64, u128);

/// Appends the codes of `values` to `keys` (same length). Every valid image must lie in `code.min..=code.max`.
pub fn pack_field<T: SortImage, K: KeyWord>(values: &[T], validity: Option<&[u64]>, code: &FieldCode, keys: &mut [K]) {
    assert!(values.len() == keys.len(), "{} values for {} keys", values.len(), keys.len());
    let bits = code.bits();
    if bits == 0 {
        return;
    }
    let (min, max) = (T::Word::from_u128(code.min), T::Word::from_u128(code.max));
    let (bias, null) = (K::from_u128(code.bias()), K::from_u128(code.null_code()));
    let narrow = |word: T::Word| K::from_u128(word.to_u128()).plus(bias);
    match (validity, code.descending) {
        (None, false) => {
            keys.iter_mut().zip(values).for_each(|(k, v)| *k = k.append(bits, narrow(v.image().minus(min))))
        }
        (None, true) => {
            keys.iter_mut().zip(values).for_each(|(k, v)| *k = k.append(bits, narrow(max.minus(v.image()))))
        }
        (Some(words), descending) => keys.iter_mut().zip(values).enumerate().for_each(|(i, (k, v))| {
            let value = if descending { max.minus(v.image()) } else { v.image().minus(min) };
            *k = k.append(bits, if is_valid(Some(words), i) { narrow(value) } else { null });
        }),
    }
}

/// Appends the positions of values that may still belong to the first rows: those whose image lies before `threshold` (or on it, when
/// `keep_equal`), and nulls when `keep_nulls`. `positions` = rows to look at; `None` = all.
pub fn select_before<T: SortImage>(
    values: &[T],
    validity: Option<&[u64]>,
    positions: Option<&[u16]>,
    threshold: &Threshold<T::Word>,
    output: &mut Vec<u16>,
) {
    let limit = threshold.image;
    let keep = |position: usize| {
        let image = values[position].image();
        let wanted = match (threshold.descending, threshold.keep_equal) {
            (false, false) => image < limit,
            (false, true) => image <= limit,
            (true, false) => image > limit,
            (true, true) => image >= limit,
        };
        if is_valid(validity, position) { wanted } else { threshold.keep_nulls }
    };
    match positions {
        None => push_where(0..values.len() as u16, keep, output),
        Some(positions) => push_where(positions.iter().copied(), keep, output),
    }
}

/// Branch-free: writes every position, and moves on only past those to keep.
fn push_where(positions: impl ExactSizeIterator<Item = u16>, keep: impl Fn(usize) -> bool, output: &mut Vec<u16>) {
    let mut end = output.len();
    output.resize(end + positions.len(), 0);
    for position in positions {
        output[end] = position;
        end += keep(position as usize) as usize;
    }
    output.truncate(end);
}

/// The worst value that a top-N still keeps.
#[derive(Debug, Clone, Copy)]
pub struct Threshold<W> {
    pub image: W,
    pub descending: bool,
    pub keep_equal: bool,
    pub keep_nulls: bool,
}

/// Variable-length keys, row after row, that compare by `memcmp`.
#[derive(Debug, Default, Clone)]
pub struct ByteRows {
    bytes: Vec<u8>,
    /// Row i is `bytes[ends[i - 1]..ends[i]]`.
    ends: Vec<usize>,
    /// Where the next field of each row is written, while building.
    cursors: Vec<usize>,
}

impl ByteRows {
    /// Zeroed rows of the given lengths, to be filled field by field.
    pub fn with_lengths(lengths: &[u32]) -> Self {
        let mut end = 0;
        let mut cursors = Vec::with_capacity(lengths.len());
        let ends = lengths
            .iter()
            .map(|&length| {
                cursors.push(end);
                end += length as usize;
                end
            })
            .collect();
        ByteRows { bytes: vec![0; end], ends, cursors }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + 8 * (self.ends.capacity() + self.cursors.capacity())
    }

    /// Frees what only building needs.
    pub fn finish(&mut self) {
        self.cursors = Vec::new();
    }

    /// The bytes of row `index`.
    #[inline]
    pub fn row(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// Bytes `depth..depth + 12` of row `index` as a 96-bit big-endian number, zero-padded.
    #[inline]
    pub fn prefix(&self, index: usize, depth: usize) -> u128 {
        let row = self.row(index);
        let rest = row.get(depth..).unwrap_or(&[]);
        let mut padded = [0u8; 16];
        let len = rest.len().min(12);
        padded[4..4 + len].copy_from_slice(&rest[..len]);
        u128::from_be_bytes(padded)
    }

    /// Writes one fixed-width field into every row: a null byte when the field has nulls, then the code in [`fixed_bytes`] − that bytes.
    pub fn write_fixed<T: SortImage>(&mut self, values: &[T], validity: Option<&[u64]>, code: &FieldCode) {
        assert!(values.len() == self.len(), "{} values for {} rows", values.len(), self.len());
        let width = code.value_bits().div_ceil(8) as usize;
        let (min, max) = (T::Word::from_u128(code.min), T::Word::from_u128(code.max));
        for (i, value) in values.iter().enumerate() {
            let valid = is_valid(validity, i);
            self.write_null_byte(i, valid, code.has_nulls, code.nulls_first);
            let image = value.image();
            let number = match (valid, code.descending) {
                (false, _) => 0,
                (true, false) => image.minus(min).to_u128(),
                (true, true) => max.minus(image).to_u128(),
            };
            let at = self.cursors[i];
            self.bytes[at..at + width].copy_from_slice(&number.to_be_bytes()[16 - width..]);
            self.cursors[i] = at + width;
        }
    }

    /// Writes byte string `value` (`None` = null) as the next field of row `index`: a null byte when the field has nulls, then the bytes
    /// with 0 escaped as `0 255`, then `0 0`; all but the null byte inverted when descending.
    pub fn write_text(&mut self, index: usize, value: Option<&[u8]>, order: TextOrder) {
        self.write_null_byte(index, value.is_some(), order.has_nulls, order.nulls_first);
        let Some(value) = value else { return };
        let start = self.cursors[index];
        let mut at = start;
        for (i, piece) in value.split(|&b| b == 0).enumerate() {
            if i > 0 {
                self.bytes[at..at + 2].copy_from_slice(&[0, 255]);
                at += 2;
            }
            self.bytes[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        at += 2;
        if order.descending {
            self.bytes[start..at].iter_mut().for_each(|b| *b = !*b);
        }
        self.cursors[index] = at;
    }

    fn write_null_byte(&mut self, index: usize, valid: bool, has_nulls: bool, nulls_first: bool) {
        if has_nulls {
            self.bytes[self.cursors[index]] = (valid == nulls_first) as u8;
            self.cursors[index] += 1;
        }
    }
}

/// Bytes that [`ByteRows::write_fixed`] writes per row.
pub fn fixed_bytes(code: &FieldCode) -> u32 {
    code.has_nulls as u32 + code.value_bits().div_ceil(8)
}

/// Bytes that [`ByteRows::write_text`] writes for `value`.
pub fn text_bytes(value: Option<&[u8]>, order: TextOrder) -> u32 {
    let text = value.map_or(0, |v| v.len() + v.iter().filter(|&&b| b == 0).count() + 2);
    order.has_nulls as u32 + text as u32
}

/// Direction and null order of a text field in byte rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOrder {
    pub descending: bool,
    pub has_nulls: bool,
    pub nulls_first: bool,
}

/// The image of a byte string of at most 12 bytes given as an inline view (length in bits 0..32, bytes from bit 32 on, zero-padded):
/// its bytes as a 96-bit big-endian number, then 4 bits of length. Orders as the bytes do.
#[inline(always)]
pub fn inline_view_image(view: u128) -> u128 {
    ((view >> 32).swap_bytes() >> 32) << 4 | (view & 0xf)
}

/// Shortens an [`inline_view_image`] for strings of at most `max_len` bytes (and, when `equal_lengths`, of exactly that many).
#[inline(always)]
pub fn shorten_view_image(image: u128, max_len: u32, equal_lengths: bool) -> u128 {
    let bytes = image >> 4 >> (8 * (12 - max_len));
    if equal_lengths { bytes } else { bytes << 4 | (image & 0xf) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(values: &[f64], validity: Option<&[u64]>, descending: bool, nulls_first: bool) -> Vec<u64> {
        let (min, max) = image_range(values, validity).unwrap_or((0, 0));
        let code = FieldCode { min, max, descending, has_nulls: validity.is_some(), nulls_first };
        let mut keys = vec![0u64; values.len()];
        if code.bits() <= 64 {
            pack_field(values, validity, &code, &mut keys);
        }
        keys
    }

    #[test]
    fn floats_order_as_sql() {
        let keys =
            codes(&[f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1.0, f64::INFINITY, -f64::NAN, f64::NAN], None, false, false);
        assert!(keys.is_sorted());
        assert_eq!(keys[2], keys[3]);
        assert_eq!(keys[6], keys[7]);
        assert!(keys[5] < keys[6]);
    }

    #[test]
    fn nulls_go_where_asked() {
        for descending in [false, true] {
            let first = codes(&[1.0, 7.0, 2.0], Some(&[0b101]), descending, true);
            assert!(first[1] < first[0] && first[1] < first[2]);
            let last = codes(&[1.0, 7.0, 2.0], Some(&[0b101]), descending, false);
            assert!(last[1] > last[0] && last[1] > last[2]);
            assert_eq!(first[0] < first[2], !descending);
        }
    }

    #[test]
    fn fields_pack_in_significance_order() {
        let mut keys = vec![0u64; 2];
        pack_field(
            &[5i32, 3],
            None,
            &FieldCode {
                min: 3i32.image() as u128,
                max: 5i32.image() as u128,
                descending: true,
                has_nulls: false,
                nulls_first: false,
            },
            &mut keys,
        );
        pack_field(
            &[101i64, 107],
            None,
            &FieldCode {
                min: 100i64.image() as u128,
                max: 107i64.image() as u128,
                descending: false,
                has_nulls: false,
                nulls_first: false,
            },
            &mut keys,
        );
        assert_eq!(keys, [0b00_001, 0b10_111]);
    }

    #[test]
    fn text_rows_compare_as_bytes() {
        let values: [Option<&[u8]>; 7] =
            [Some(b""), Some(b"\0"), Some(b"\0\0"), Some(b"a"), Some(b"a\0"), Some(b"a\xff"), Some(b"b")];
        for descending in [false, true] {
            let order = TextOrder { descending, has_nulls: false, nulls_first: false };
            let lengths: Vec<u32> = values.iter().map(|v| text_bytes(*v, order)).collect();
            let mut rows = ByteRows::with_lengths(&lengths);
            values.iter().enumerate().for_each(|(i, v)| rows.write_text(i, *v, order));
            let ordered: Vec<&[u8]> = (0..7).map(|i| rows.row(i)).collect();
            assert!(if descending { ordered.is_sorted_by(|a, b| a > b) } else { ordered.is_sorted_by(|a, b| a < b) });
        }
    }

    #[test]
    fn inline_views_order_as_bytes() {
        let view = |s: &[u8]| {
            let mut bytes = [0u8; 16];
            bytes[0] = s.len() as u8;
            bytes[4..4 + s.len()].copy_from_slice(s);
            u128::from_le_bytes(bytes)
        };
        let images: Vec<u128> = [b"".as_slice(), b"\0", b"a", b"a\0", b"ab", b"abcdefghijkl", b"b"]
            .iter()
            .map(|s| inline_view_image(view(s)))
            .collect();
        assert!(images.is_sorted_by(|a, b| a < b));
        assert_eq!(shorten_view_image(inline_view_image(view(b"ab")), 2, true), 0x6162);
    }
}
