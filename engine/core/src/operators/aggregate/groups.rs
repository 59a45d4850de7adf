//! Group keys → group ids, whatever the keys' types.

use arrow_schema::DataType;
use plasmon_kernels::group::{TupleTable, WordTable};

use super::packed::{PackedTable, TooWide};
use crate::batch::{Column, Encoding};
use crate::error::Result;
use crate::operators::key::KeyEncoder;

/// The groups seen so far by one worker or in one partition.
pub(super) struct Groups {
    encoder: KeyEncoder,
    table: Table,
    combinations: Combinations,
}

/// How tables are made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tables {
    /// Test knob: all hashes are equal.
    pub(super) collide: bool,
    /// Memory is so short that the arrays that some begin with would count.
    pub(super) small: bool,
}

/// Groups of the combinations of codes of the last few dictionaries.
#[derive(Default)]
struct Combinations {
    /// Dictionary ids of the key columns.
    ids: Vec<u64>,
    /// Mixed-radix number of the codes → group, or `UNKNOWN`.
    groups: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;
/// Most combinations of codes that are looked up directly.
const COMBINATIONS_MAX: usize = 1 << 14;
/// Rows for which a table may make room ahead, and groups that it has room for from the start.
const AHEAD: usize = 1024;
/// Groups from which on arrays are as large as these times the bytes of one.
const ARRAY_GROUPS: usize = 1 << 13;
const ARRAY_GROUP_BYTES: usize = 32;

enum Table {
    /// No keys: one group, present from the start.
    Unit,
    Word(WordTable),
    /// Several keys in one word, as long as they fit.
    Packed(PackedTable),
    Tuple(TupleTable),
}

impl Groups {
    pub(super) fn new(types: &[DataType], tables: Tables) -> Result<Self> {
        let encoder = KeyEncoder::new(types, tables.collide)?;
        // Colliding words would be found by comparison all the same: the tuple table takes the knob. It begins small, too.
        let is_word_wise = !tables.collide && !tables.small;
        let table = match (types.is_empty(), encoder.width()) {
            (true, _) => Table::Unit,
            (false, 1) if is_word_wise => Table::Word(WordTable::default()),
            (false, _) if is_word_wise && encoder.is_one_word_each() => Table::Packed(PackedTable::default()),
            (false, width) => Table::Tuple(TupleTable::new(width.max(2), tables.collide)),
        };
        Ok(Groups { encoder, table, combinations: Combinations::default() })
    }

    pub(super) fn len(&self) -> usize {
        match &self.table {
            Table::Unit => 1,
            Table::Word(table) => table.words().len(),
            Table::Packed(packed) => packed.table.words().len(),
            Table::Tuple(table) => table.len(),
        }
    }

    /// Forgets all groups; strings stay interned, unless they are more than `strings`.
    pub(super) fn clear(&mut self, strings: usize) {
        match &mut self.table {
            Table::Unit => {}
            Table::Word(table) => table.clear(),
            Table::Packed(packed) => packed.table.clear(),
            Table::Tuple(table) => table.clear(),
        }
        self.encoder.forget(strings);
        self.combinations = Combinations::default();
    }

    /// How groups are looked up, for EXPLAIN ANALYZE.
    pub(super) fn mode(&self) -> &'static str {
        match &self.table {
            Table::Unit => "one group",
            Table::Word(table) if table.is_array() => "array",
            Table::Packed(packed) if packed.table.is_array() => "array of packed keys",
            Table::Word(_) => "normalized key",
            Table::Packed(_) => "packed keys",
            Table::Tuple(_) => "generic",
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.encoder.memory_bytes() + self.table_bytes()
    }

    fn table_bytes(&self) -> usize {
        match &self.table {
            Table::Unit => 0,
            Table::Word(table) => table.memory_bytes(),
            Table::Packed(packed) => packed.table.memory_bytes(),
            Table::Tuple(table) => table.memory_bytes(),
        }
    }

    /// The group of every row of the key columns, appended to `out`.
    pub(super) fn find_or_insert(&mut self, keys: &[Column], rows: usize, out: &mut Vec<u32>) -> Result<()> {
        match self.combined_codes(keys, rows) {
            Some(combined) => self.find_combinations(keys, &combined, out),
            None => self.find_rows(keys, rows, out),
        }
    }

    /// One number a row for the combination of codes, when all keys are small dictionaries without nulls.
    fn combined_codes(&mut self, keys: &[Column], rows: usize) -> Option<Vec<u32>> {
        if keys.is_empty() {
            return None;
        }
        let (mut combined, mut size, mut ids) = (vec![0u32; rows], 1usize, Vec::with_capacity(keys.len()));
        for key in keys {
            let Encoding::Dictionary { dictionary, .. } = key.encoding() else { return None };
            size = size.checked_mul(dictionary.values.len())?;
            if key.validity().is_some() || size > COMBINATIONS_MAX {
                return None;
            }
            ids.push(dictionary.id);
        }
        for key in keys {
            let Encoding::Dictionary { codes, dictionary } = key.encoding() else { return None };
            let radix = dictionary.values.len() as u32;
            combined.iter_mut().zip(codes.iter()).for_each(|(c, &code)| *c = *c * radix + code);
        }
        if self.combinations.ids != ids {
            self.combinations = Combinations { ids, groups: vec![UNKNOWN; size] };
        }
        Some(combined)
    }

    fn find_combinations(&mut self, keys: &[Column], combined: &[u32], out: &mut Vec<u32>) -> Result<()> {
        let start = out.len();
        out.extend(combined.iter().map(|&c| self.combinations.groups[c as usize]));
        // Combinations not met before, once each: the row where each appears first.
        let mut fresh: Vec<u32> =
            (0..combined.len() as u32).filter(|&row| out[start + row as usize] == UNKNOWN).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        fresh.sort_by_key(|&row| (combined[row as usize], row));
        fresh.dedup_by_key(|row| combined[*row as usize]);
        fresh.sort_unstable();
        let columns: Vec<Column> = keys.iter().map(|k| k.gather(&fresh)).collect();
        let mut groups = Vec::with_capacity(fresh.len());
        self.find_rows(&columns, fresh.len(), &mut groups)?;
        fresh
            .iter()
            .zip(&groups)
            .for_each(|(&row, &group)| self.combinations.groups[combined[row as usize] as usize] = group);
        out[start..].iter_mut().zip(combined).for_each(|(group, &c)| *group = self.combinations.groups[c as usize]);
        Ok(())
    }

    fn find_rows(&mut self, keys: &[Column], rows: usize, out: &mut Vec<u32>) -> Result<()> {
        if let Table::Packed(packed) = &mut self.table {
            let words = self.encoder.encode_columns(keys)?;
            let Err(TooWide) = packed.find_or_insert(&words, keys, rows, out) else { return Ok(()) };
            let mut table = TupleTable::new(self.encoder.width(), false);
            let groups = packed.table.words().len();
            table.find_or_insert(&packed.tuples(0..groups), &mut Vec::with_capacity(groups));
            self.table = Table::Tuple(table);
        }
        match &mut self.table {
            Table::Packed(_) => {}
            Table::Unit => out.resize(out.len() + rows, 0),
            Table::Word(table) => {
                let encoded = self.encoder.encode(keys, rows)?;
                match &encoded.validity {
                    None => table.find_or_insert(&encoded.words, out),
                    Some(validity) => {
                        let words: Vec<u64> =
                            (0..rows).filter(|&row| validity.get(row)).map(|row| encoded.words[row]).collect();
                        let null = if words.len() < rows { table.null_group_or_insert() } else { 0 };
                        let mut found = Vec::with_capacity(words.len());
                        table.find_or_insert(&words, &mut found);
                        let mut found = found.into_iter();
                        out.extend(
                            (0..rows).map(|row| if validity.get(row) { found.next().unwrap_or(null) } else { null }),
                        );
                    }
                }
            }
            Table::Tuple(table) => {
                let encoded = self.encoder.encode(keys, rows)?;
                if self.encoder.width() == 1 {
                    // One word and the null bit make a pair.
                    let null = |row: usize| encoded.validity.as_ref().is_some_and(|v| !v.get(row));
                    let pairs: Vec<u64> =
                        (0..rows).flat_map(|row| if null(row) { [0, 1] } else { [encoded.words[row], 0] }).collect();
                    table.find_or_insert(&pairs, out);
                } else {
                    table.find_or_insert(&encoded.words, out);
                }
            }
        }
        Ok(())
    }

    /// Key columns of the groups `range`.
    pub(super) fn keys(&self, range: std::ops::Range<usize>) -> Result<Vec<Column>> {
        self.keys_of(range)
    }

    /// Key columns of some groups.
    pub(super) fn keys_of(&self, groups: impl ExactSizeIterator<Item = usize> + Clone) -> Result<Vec<Column>> {
        // Whether the group in that row is one that `is_null` holds for.
        let row_is = |is_null: &dyn Fn(usize) -> bool| -> Vec<bool> { groups.clone().map(is_null).collect() };
        match &self.table {
            Table::Unit => Ok(Vec::new()),
            Table::Word(table) => {
                let words = table.words();
                let null = table.null_group().map(|g| g as usize).filter(|null| groups.clone().any(|g| g == *null));
                let nulls = null.map(|null| row_is(&|group| group == null)).unwrap_or_default();
                let is_null = |row: usize| nulls[row];
                self.encoder.decode(
                    groups.map(|group| std::slice::from_ref(&words[group])),
                    null.is_some().then_some(&is_null as &dyn Fn(usize) -> bool),
                )
            }
            Table::Packed(packed) => {
                let tuples = packed.tuples(groups);
                self.encoder.decode(tuples.chunks_exact(self.encoder.width()), None)
            }
            Table::Tuple(table) => {
                let is_pair = self.encoder.width() == 1;
                let nulls = if is_pair { row_is(&|group| table.tuple(group)[1] == 1) } else { Vec::new() };
                let is_null = |row: usize| is_pair && nulls[row];
                self.encoder.decode(groups.map(|group| table.tuple(group)), Some(&is_null))
            }
        }
    }

    /// Most bytes that these rows may add to what is held, while tables move to larger ones too; `first` is the number of the first of these keys.
    pub(super) fn growth(&self, first: usize, keys: &[Column], rows: usize) -> usize {
        let moves = match &self.table {
            Table::Unit => return 0,
            Table::Tuple(table) => table.growth(rows),
            Table::Word(_) | Table::Packed(_) => self.word_growth(rows),
        };
        moves + self.encoder.growth(first, keys)
    }

    /// Of a table of words. Hash tables double at powers of two, a block of rows ahead. Arrays span a few keys a group, when they are not small.
    fn word_growth(&self, rows: usize) -> usize {
        let groups = self.len();
        let all = groups + rows;
        let doubles = groups.next_power_of_two().max(AHEAD) < (all + AHEAD).next_power_of_two();
        match (self.is_array(), doubles) {
            (true, _) => rows * self.group_bytes() + all.saturating_sub(ARRAY_GROUPS) * ARRAY_GROUP_BYTES,
            (false, true) => 2 * self.table_bytes() + rows * self.group_bytes(),
            (false, false) => 0,
        }
    }

    fn is_array(&self) -> bool {
        match &self.table {
            Table::Word(table) => table.is_array(),
            Table::Packed(packed) => packed.table.is_array(),
            Table::Unit | Table::Tuple(_) => false,
        }
    }

    /// What one group takes in its table, at most.
    fn group_bytes(&self) -> usize {
        (self.encoder.width() + 4) * 16
    }
}
