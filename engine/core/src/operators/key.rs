//! Keys of any types as fixed-width words: the one form in which aggregation, joins and windows compare keys.
//!
//! Every key column becomes one or more 64-bit words such that two keys are equal exactly when their words are: integers by value, floats by
//! canonical bits (−0.0 = 0.0, one NaN), text and nested values by the id of an interned byte string (nested ones by Arrow's row
//! encoding). A dictionary's values are interned once per dictionary, not per row, and those of a large one when a row has them; few interned
//! strings leave as a dictionary, too. One key column of one word gives just that, with nulls apart; otherwise a last word holds the null bits, so
//! that nulls equal each other there too.

use std::sync::{Arc, OnceLock};

use arrow_buffer::{Buffer, IntervalMonthDayNano, i256};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use plasmon_kernels::byte_table::ByteTable;
use plasmon_kernels::hash::hash_word;

use crate::batch::arrow::{export_column, import_column};
use crate::batch::{Bitmap, Column, Dictionary, Encoding, INLINE_BYTES, Physical, Values, Views, physical_type};
use crate::error::{Error, Result};

/// Word of a string that is not interned (join probes only): equals no key.
const NOT_INTERNED: u64 = u64::MAX;
/// In place of the word of a dictionary's value that no row had yet.
const NOT_MET: u64 = u64::MAX - 1;
/// The id of a null's string.
const NO_STRING: u32 = u32::MAX;
/// Most values of a dictionary that are interned at once, or made of interned strings.
const SMALL_DICTIONARY: usize = 1 << 12;

/// Turns key columns into words, holding what was interned. Clones share it: cheap, for workers that only look up.
#[derive(Clone)]
pub struct KeyEncoder {
    columns: Vec<KeyColumn>,
    width: usize,
}

#[derive(Clone)]
struct KeyColumn {
    data_type: DataType,
    physical: Physical,
    interned: Arc<ByteTable>,
    converter: Option<Arc<RowConverter>>,
    /// What is interned, and the bytes of that copy, once it was asked for; of strings.
    as_dictionary: OnceLock<(Arc<Dictionary>, usize)>,
    /// Words of the last dictionary's values.
    dictionary: Option<Met>,
    recent: Recent,
}

/// Words of a dictionary's values.
#[derive(Clone)]
struct Met {
    dictionary: u64,
    words: Vec<u64>,
    /// Values that no row has had yet: their words are `NOT_MET`.
    missing: usize,
}

/// Ids of strings met lately, by view: equal views are equal strings when they are inline or point into the same buffers.
#[derive(Clone, Default)]
struct Recent {
    buffers: Option<Arc<[Buffer]>>,
    /// Counts changes of `buffers`; entries of long strings from before mean nothing.
    age: u32,
    /// (view, id + 1, age), or id 0.
    entries: Vec<(u128, u32, u32)>,
}

/// Entries of [`Recent`]; 32 bytes each, so that they stay in the nearest cache.
const RECENT_STRINGS: usize = 1 << 10;

impl Recent {
    /// Interns every valid row.
    fn intern_all(&mut self, table: &mut ByteTable, views: &Views, validity: Option<&Bitmap>) -> Vec<u64> {
        if self.buffers.as_ref().is_none_or(|b| !Arc::ptr_eq(b, &views.buffers)) {
            (self.buffers, self.age) = (Some(views.buffers.clone()), self.age.wrapping_add(1));
        }
        self.entries.resize(RECENT_STRINGS, (0, 0, 0));
        let id = |(row, &view): (usize, &u128)| {
            if validity.is_some_and(|v| !v.get(row)) {
                return 0;
            }
            let age = if text_bytes(&view) <= INLINE_BYTES { 0 } else { self.age };
            let hash = hash_word(view as u64 ^ (view >> 64) as u64);
            let entry = &mut self.entries[hash as usize % RECENT_STRINGS];
            if entry.0 != view || entry.1 == 0 || entry.2 != age {
                *entry = (view, table.find_or_insert(views.value(row)) + 1, age);
            }
            entry.1 as u64 - 1
        };
        views.views.iter().enumerate().map(id).collect()
    }
}

/// Words of some rows: `width` per row, row after row.
pub struct EncodedKeys {
    pub words: Vec<u64>,
    /// For keys of one word: rows that are not null; `None` = all.
    pub validity: Option<Bitmap>,
    /// Rows in which some key is null (whatever the number of columns).
    pub any_null: Option<Bitmap>,
}

impl KeyEncoder {
    /// An encoder of keys of these types; `collide` is the test knob of the tables inside.
    pub fn new(types: &[DataType], collide: bool) -> Result<Self> {
        KeyEncoder::with_nulls(types, collide, false)
    }

    /// Like [`KeyEncoder::new`]; with `nulls_equal` also a single key gets the word of null bits, so that null equals null and nothing else.
    pub fn with_nulls(types: &[DataType], collide: bool, nulls_equal: bool) -> Result<Self> {
        let columns = types
            .iter()
            .map(|data_type| {
                let physical = physical_type(data_type);
                let converter = match physical {
                    Physical::Nested => Some(
                        RowConverter::new(vec![SortField::new(data_type.clone())])
                            .map_err(|e| Error::unsupported(format!("{data_type} as a key: {e}")))?,
                    ),
                    _ => None,
                };
                Ok(KeyColumn {
                    data_type: data_type.clone(),
                    physical,
                    interned: Arc::new(ByteTable::new(collide)),
                    converter: converter.map(Arc::new),
                    as_dictionary: OnceLock::new(),
                    dictionary: None,
                    recent: Recent::default(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let words: usize = columns.iter().map(|c| words_of(c.physical)).sum();
        let width = if columns.len() == 1 && words == 1 && !nulls_equal { 1 } else { words + 1 };
        if columns.len() > 64 {
            return Err(Error::unsupported(format!("{} key columns, at most 64", columns.len())));
        }
        Ok(KeyEncoder { columns, width })
    }

    /// Words per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes held by interned strings.
    pub fn memory_bytes(&self) -> usize {
        let words = |c: &KeyColumn| c.dictionary.as_ref().map_or(0, |met| 8 * met.words.capacity());
        let copy = |c: &KeyColumn| c.as_dictionary.get().map_or(0, |(_, bytes)| *bytes);
        self.columns.iter().map(|c| c.interned.memory_bytes() + words(c) + copy(c)).sum()
    }

    /// Most bytes that interning the strings of some key columns takes beside what is held; `first` is the number of the first of them.
    pub fn growth(&self, first: usize, columns: &[Column]) -> usize {
        columns.iter().zip(&self.columns[first..]).map(|(column, key)| key.growth(column)).sum()
    }

    /// Forgets the strings of every column that holds more than `strings` of them; words encoded before mean nothing then.
    pub fn forget(&mut self, strings: usize) {
        for column in self.columns.iter_mut().filter(|c| c.interned.len() > strings) {
            Arc::make_mut(&mut column.interned).clear();
            (column.dictionary, column.recent) = (None, Recent::default());
            column.as_dictionary = OnceLock::new();
        }
    }

    /// Words of every row of the columns, interning new strings.
    pub fn encode(&mut self, columns: &[Column], rows: usize) -> Result<EncodedKeys> {
        self.encode_with(columns, rows, true)
    }

    /// Whether every key column is of one word.
    pub fn is_one_word_each(&self) -> bool {
        self.columns.iter().all(|c| words_of(c.physical) == 1)
    }

    /// Whether every key column is of one word that is the value itself: nothing is interned.
    pub fn is_fixed_words(&self) -> bool {
        let is_fixed =
            |c: &KeyColumn| words_of(c.physical) == 1 && !matches!(c.physical, Physical::View | Physical::Nested);
        self.columns.iter().all(is_fixed)
    }

    /// Words of each column apart, for columns of one word; interns new strings. Words of null rows are arbitrary.
    pub fn encode_columns(&mut self, columns: &[Column]) -> Result<Vec<Vec<u64>>> {
        columns.iter().zip(&mut self.columns).map(|(column, key)| key.words(column, true)).collect()
    }

    /// Words of every row, interning nothing: rows with an unknown string get a word that equals no key.
    pub fn encode_known(&mut self, columns: &[Column], rows: usize) -> Result<EncodedKeys> {
        self.encode_with(columns, rows, false)
    }

    fn encode_with(&mut self, columns: &[Column], rows: usize, insert: bool) -> Result<EncodedKeys> {
        let any_null = columns.iter().fold(None, |nulls, c| Bitmap::and_optional(nulls.as_ref(), c.validity()));
        if let ([column], [key]) = (columns, &mut self.columns[..])
            && self.width == 1
        {
            let words = key.words(column, insert)?;
            return Ok(EncodedKeys { words, validity: column.validity().cloned(), any_null });
        }
        let width = self.width;
        let mut words = vec![0u64; rows * width];
        let mut at = 0;
        let mut nulls = vec![0u64; rows];
        for (index, (column, key)) in columns.iter().zip(&mut self.columns).enumerate() {
            let count = words_of(key.physical);
            key.scatter_words(column, insert, &mut words, width, at)?;
            if let Some(validity) = column.validity() {
                for row in (0..rows).filter(|&row| !validity.get(row)) {
                    nulls[row] |= 1 << index;
                    words[row * width + at..row * width + at + count].fill(0);
                }
            }
            at += count;
        }
        nulls.into_iter().enumerate().for_each(|(row, bits)| words[row * width + width - 1] = bits);
        Ok(EncodedKeys { words, validity: None, any_null })
    }

    /// Key columns from the words of some groups; `is_null` tells of groups whose single key is null (`None` = none is).
    pub fn decode<'a>(
        &self,
        groups: impl ExactSizeIterator<Item = &'a [u64]> + Clone,
        is_null: Option<&dyn Fn(usize) -> bool>,
    ) -> Result<Vec<Column>> {
        let mut at = 0;
        let mut decoded = Vec::with_capacity(self.columns.len());
        for (index, key) in self.columns.iter().enumerate() {
            let of_bits = |words: &[u64]| words[self.width - 1] >> index & 1 == 1;
            let valid = match is_null {
                Some(is_null) if self.width == 1 => {
                    Some(Bitmap::from_bools((0..groups.len()).map(|row| !is_null(row))))
                }
                None if self.width == 1 => None,
                _ if !groups.clone().any(of_bits) => None,
                _ => Some(Bitmap::from_bools(groups.clone().map(|words| !of_bits(words)))),
            };
            let words = groups.clone().map(|words| &words[at..at + words_of(key.physical)]);
            let column = key.decode(words, valid.as_ref())?;
            decoded.push(column.with_validity(valid));
            at += words_of(key.physical);
        }
        Ok(decoded)
    }
}

fn words_of(physical: Physical) -> usize {
    match physical {
        Physical::Int128 | Physical::Interval => 2,
        Physical::Int256 => 4,
        _ => 1,
    }
}

impl KeyColumn {
    /// One word per row, for types of one word.
    fn words(&mut self, column: &Column, insert: bool) -> Result<Vec<u64>> {
        if matches!(self.physical, Physical::View | Physical::Nested) {
            let words = self.interned_words(column, insert)?;
            if self.as_dictionary.get().is_some_and(|(dictionary, _)| dictionary.values.len() < self.interned.len()) {
                self.as_dictionary = OnceLock::new();
            }
            return Ok(words);
        }
        fixed_words(&column.flatten().widen(self.physical))
    }

    fn scatter_words(&mut self, column: &Column, insert: bool, out: &mut [u64], width: usize, at: usize) -> Result<()> {
        let wide = column.flatten().widen(self.physical);
        let mut put =
            |row: usize, words: &[u64]| out[row * width + at..row * width + at + words.len()].copy_from_slice(words);
        match (self.physical, wide.encoding()) {
            (Physical::Int128, Encoding::Flat(Values::Int128(v))) => {
                v.iter().enumerate().for_each(|(row, &x)| put(row, &[x as u64, (x >> 64) as u64]))
            }
            (Physical::Int256, Encoding::Flat(Values::Int256(v))) => {
                v.iter().enumerate().for_each(|(row, x)| put(row, &wide_words(x)))
            }
            (Physical::Interval, Encoding::Flat(Values::Interval(v))) => v.iter().enumerate().for_each(|(row, x)| {
                put(row, &[(x.months as u32 as u64) << 32 | x.days as u32 as u64, x.nanoseconds as u64])
            }),
            _ => self.words(column, insert)?.iter().enumerate().for_each(|(row, &word)| put(row, &[word])),
        }
        Ok(())
    }

    fn interned_words(&mut self, column: &Column, insert: bool) -> Result<Vec<u64>> {
        if let Encoding::Dictionary { codes, dictionary } = column.encoding()
            && self.physical == Physical::View
        {
            let Values::View(views) = &dictionary.values else { return Err(mismatch(column)) };
            return Ok(self.dictionary_words(dictionary.id, codes, views, insert));
        }
        if let Some((_, valid)) = column.as_constant() {
            let one = if valid {
                self.interned_words(&column.slice(0, 1.min(column.len())).flatten(), insert)?
            } else {
                vec![0]
            };
            return Ok(vec![one.first().copied().unwrap_or(0); column.len()]);
        }
        let flat = column.flatten();
        match (flat.encoding(), &self.converter) {
            (Encoding::Flat(Values::View(views)), _) if insert => {
                Ok(self.recent.intern_all(Arc::make_mut(&mut self.interned), views, flat.validity()))
            }
            (Encoding::Flat(Values::View(views)), _) => Ok((0..column.len())
                .map(|row| if column.is_valid(row) { intern(&mut self.interned, views.value(row), insert) } else { 0 })
                .collect()),
            (_, Some(converter)) => {
                let rows = converter.convert_columns(&[export_column(&flat, &self.data_type)?])?;
                Ok((0..column.len()).map(|row| intern(&mut self.interned, rows.row(row).as_ref(), insert)).collect())
            }
            _ => Err(mismatch(column)),
        }
    }

    fn dictionary_words(&mut self, dictionary: u64, codes: &[u32], views: &Views, insert: bool) -> Vec<u64> {
        // Words found without inserting may be outdated by later insertions, so only inserting encoders and sealed tables reuse them: both do.
        let (all, interned) = (views.views.len(), &mut self.interned);
        let mut word_of = |value: usize| intern(interned, views.value(value), insert);
        let mut met = match self.dictionary.take() {
            Some(met) if met.dictionary == dictionary => met,
            _ if is_interned_at_once(all, codes) => {
                Met { dictionary, words: (0..all).map(&mut word_of).collect(), missing: 0 }
            }
            _ => Met { dictionary, words: vec![NOT_MET; all], missing: all },
        };
        if met.missing > 0 {
            for &code in codes {
                let word = &mut met.words[code as usize];
                if *word == NOT_MET {
                    *word = word_of(code as usize);
                    met.missing -= 1;
                }
            }
        }
        let words = plasmon_kernels::gather::gather(&met.words, codes);
        self.dictionary = Some(met);
        words
    }

    /// See [`KeyEncoder::growth`].
    fn growth(&self, column: &Column) -> usize {
        if !matches!(self.physical, Physical::View | Physical::Nested) {
            return 0;
        }
        let (strings, bytes) = match column.encoding() {
            Encoding::Dictionary { codes, dictionary } => match &dictionary.values {
                Values::View(views) => return self.dictionary_growth(dictionary.id, codes, views),
                nested => (column.len(), 2 * nested.memory_bytes()),
            },
            Encoding::Constant(values) => (1, 2 * values.memory_bytes()),
            Encoding::Flat(Values::View(views)) => (column.len(), views.views.iter().map(text_bytes).sum()),
            Encoding::Flat(nested) => (column.len(), 2 * nested.memory_bytes()),
        };
        self.interned.growth(strings, bytes)
    }

    fn dictionary_growth(&self, dictionary: u64, codes: &[u32], views: &Views) -> usize {
        let met = self.dictionary.as_ref().filter(|met| met.dictionary == dictionary);
        let all = views.views.len();
        let words = if met.is_some() { 0 } else { 8 * all };
        let sum = |(strings, bytes), view| (strings + 1, bytes + text_bytes(view));
        let is_new = |value: &usize| met.is_none_or(|met| met.words[*value] == NOT_MET);
        let (strings, bytes) = match met {
            Some(met) if met.missing == 0 => return 0,
            None if is_interned_at_once(all, codes) => views.views.iter().fold((0, 0), sum),
            _ => {
                let new = codes.iter().map(|&code| code as usize).filter(is_new);
                new.map(|value| &views.views[value]).fold((0, 0), sum)
            }
        };
        words + self.interned.growth(strings, bytes)
    }

    /// The column whose words these are; values under nulls are arbitrary.
    fn decode<'a>(&self, words: impl Iterator<Item = &'a [u64]> + Clone, valid: Option<&Bitmap>) -> Result<Column> {
        let is_valid = |row: usize| valid.is_none_or(|v| v.get(row));
        let first = words.map(|w| (w[0], w));
        let values = match self.physical {
            Physical::Boolean => {
                Values::Boolean(Bitmap::from_bools(first.map(|w| w.0 == 1).collect::<Vec<_>>().into_iter()))
            }
            Physical::Int8 => Values::Int8(first.map(|w| w.0 as i8).collect()),
            Physical::Int16 => Values::Int16(first.map(|w| w.0 as i16).collect()),
            Physical::Int32 => Values::Int32(first.map(|w| w.0 as i32).collect()),
            Physical::Int64 => Values::Int64(first.map(|w| w.0 as i64).collect()),
            Physical::UInt8 => Values::UInt8(first.map(|w| w.0 as u8).collect()),
            Physical::UInt16 => Values::UInt16(first.map(|w| w.0 as u16).collect()),
            Physical::UInt32 => Values::UInt32(first.map(|w| w.0 as u32).collect()),
            Physical::UInt64 => Values::UInt64(first.map(|w| w.0).collect()),
            Physical::Float32 => Values::Float32(first.map(|w| f32::from_bits(w.0 as u32)).collect()),
            Physical::Float64 => Values::Float64(first.map(|w| f64::from_bits(w.0)).collect()),
            Physical::Int128 => {
                Values::Int128(first.map(|(_, w)| w[0] as i128 & u64::MAX as i128 | (w[1] as i128) << 64).collect())
            }
            Physical::Int256 => Values::Int256(
                first
                    .map(|(_, w)| {
                        i256::from_parts(
                            w[0] as u128 | (w[1] as u128) << 64,
                            (w[2] as u128 | (w[3] as u128) << 64) as i128,
                        )
                    })
                    .collect(),
            ),
            Physical::Interval => Values::Interval(
                first.map(|(_, w)| IntervalMonthDayNano::new((w[0] >> 32) as i32, w[0] as i32, w[1] as i64)).collect(),
            ),
            Physical::View => {
                let ids = first.enumerate().map(|(row, w)| if is_valid(row) { w.0 as u32 } else { NO_STRING });
                return Ok(self.strings(ids));
            }
            Physical::Nested => return self.decode_nested(first.map(|w| w.0), valid),
        };
        Ok(Column::flat(values))
    }

    /// Interned strings; rows of `NO_STRING` have whatever string. Few different ones are a dictionary: what groups are made of, moved and grouped by again.
    fn strings(&self, ids: impl Iterator<Item = u32> + Clone) -> Column {
        let (strings, rows) = (self.interned.len(), ids.size_hint().0);
        if strings == 0 || strings > SMALL_DICTIONARY || self.interned.memory_bytes() > rows * size_of::<u128>() {
            let texts = ids.map(|id| if id == NO_STRING { &[][..] } else { self.interned.get(id) });
            return Column::flat(Values::View(Views::from_slices(texts)));
        }
        let (dictionary, _) = self.as_dictionary.get_or_init(|| {
            let texts = (0..strings as u32).map(|id| self.interned.get(id));
            let values = Values::View(Views::from_slices(texts));
            let bytes = values.memory_bytes();
            (Arc::new(Dictionary { is_distinct: true, ..Dictionary::new(values) }), bytes)
        });
        let codes: Vec<u32> = ids.map(|id| if id == NO_STRING { 0 } else { id }).collect();
        Column::dictionary(codes.into(), dictionary.clone(), None)
    }

    fn decode_nested(&self, ids: impl Iterator<Item = u64>, valid: Option<&Bitmap>) -> Result<Column> {
        let converter = self.converter.as_ref().ok_or_else(|| Error::internal("a nested key without converter"))?;
        let parser = converter.parser();
        let null = converter.convert_columns(&[arrow_array::new_null_array(&self.data_type, 1)])?;
        let rows = ids.enumerate().map(|(row, id)| {
            if valid.is_none_or(|v| v.get(row)) { parser.parse(self.interned.get(id as u32)) } else { null.row(0) }
        });
        let arrays = converter.convert_rows(rows)?;
        import_column(&arrays[0])
    }
}

/// Whether all values of a dictionary are interned when it is first met. A large one, as of a join's build side, may have far more than ever come, and so may
/// one of a few rows that were cut out of many.
fn is_interned_at_once(values: usize, codes: &[u32]) -> bool {
    values <= SMALL_DICTIONARY.min(codes.len())
}

/// The length of a text, which its view begins with.
fn text_bytes(view: &u128) -> usize {
    *view as u32 as usize
}

fn mismatch(column: &Column) -> Error {
    Error::internal(format!("a key column of {:?} values", column.physical()))
}

fn intern(table: &mut Arc<ByteTable>, bytes: &[u8], insert: bool) -> u64 {
    if insert {
        Arc::make_mut(table).find_or_insert(bytes) as u64
    } else {
        table.find(bytes).map_or(NOT_INTERNED, u64::from)
    }
}

fn wide_words(value: &i256) -> [u64; 4] {
    let (low, high) = value.to_parts();
    [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64]
}

/// One word per row of a flat fixed-width column.
fn fixed_words(column: &Column) -> Result<Vec<u64>> {
    use plasmon_kernels::arithmetic::map1;
    let Encoding::Flat(values) = column.encoding() else { return Err(mismatch(column)) };
    Ok(match values {
        Values::Boolean(v) => (0..v.len()).map(|row| u64::from(v.get(row))).collect(),
        Values::Int8(v) => map1(v, |x| x as i64 as u64),
        Values::Int16(v) => map1(v, |x| x as i64 as u64),
        Values::Int32(v) => map1(v, |x| x as i64 as u64),
        Values::Int64(v) => map1(v, |x| x as u64),
        Values::UInt8(v) => map1(v, |x| x as u64),
        Values::UInt16(v) => map1(v, |x| x as u64),
        Values::UInt32(v) => map1(v, |x| x as u64),
        Values::UInt64(v) => v.to_vec(),
        Values::Float32(v) => map1(v, |x| (if x.is_nan() { f32::NAN } else { x + 0.0 }).to_bits() as u64),
        Values::Float64(v) => map1(v, |x| (if x.is_nan() { f64::NAN } else { x + 0.0 }).to_bits()),
        _ => return Err(mismatch(column)),
    })
}
