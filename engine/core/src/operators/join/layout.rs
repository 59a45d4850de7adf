//! What of a join's rows goes to disk, and which partition each row is of: the same on both sides.
//!
//! ```text
//! build row ► right columns that are read, keys that are none of these ► block ► build row
//! probe row ► left columns that are read, or that keys are made of     ► block ► probe row
//! ```
//! Of a side that matters by its keys alone, rows whose key others have are forgotten (`once.rs`).

use arrow_schema::DataType;
use plasmon_kernels::hash::hash_word;
use plasmon_kernels::partition::{partition_of, partition_rows};

use super::JoinSpec;
use super::build::BuildBatch;
use super::keys::JoinKeys;
use super::once::{KeysAlone, first_of_each};
use crate::batch::arrow::null_column;
use crate::batch::{Batch, Bitmap, Column};
use crate::error::{Error, Result};
use crate::expression::Kind;
use crate::operators::key_hash::hash_keys;
use crate::pipeline::TaskContext;
use crate::spill::Block;

/// Parts into which rows are cut at first, and at most. Thin rows take two or three times as much in a table: with 128, memory for a twentieth of the build
/// side is enough for two workers to join a part each, and nothing is cut again.
pub(super) const PARTITIONS: usize = 128;
const PARTITION_BITS: u32 = PARTITIONS.ilog2();
/// Cuts after which a hash has no fresh bits that are worth another.
pub(super) const LEVELS_MAX: u32 = 6;
/// Bytes that a small column takes beside its values.
const COLUMN_BYTES: usize = 512;

/// Columns of both sides, as far as anybody reads them.
#[derive(Debug)]
pub(super) struct Layout {
    /// Whether each right column is read by the output or the residual.
    pub right_read: Vec<bool>,
    /// Whether each left column is read by the output, the residual or the keys.
    left_read: Vec<bool>,
    key_sources: Vec<KeySource>,
    right_types: Vec<DataType>,
    left_types: Vec<DataType>,
    /// Of what is stored.
    pub build_types: Vec<DataType>,
    pub probe_types: Vec<DataType>,
    /// Rows without a possible match are in the output, or are forgotten.
    keeps_unmatched_right: bool,
    key_types: Vec<DataType>,
    keys_alone: KeysAlone,
}

/// Where a build row's key is found.
#[derive(Debug, Clone, Copy)]
enum KeySource {
    /// It is the right column, which is kept anyway.
    Column(usize),
    Own,
}

impl Layout {
    pub(super) fn new(spec: &JoinSpec, outputs: &[usize]) -> Self {
        let left = spec.left_types.len();
        let residual = spec.residual.as_ref().map(|r| r.referenced_columns()).unwrap_or_default();
        // Ordinals of left columns, then right ones; marks are beyond the columns of their side.
        let first = if spec.kind.is_right_only() { left } else { 0 };
        let end = if spec.kind.is_left_only() { left } else { left + spec.right_types.len() };
        let output = outputs.iter().map(|&output| output + first).filter(|&column| column < end);
        let keys = spec.left_keys.iter().flat_map(|key| key.referenced_columns());
        let mut read = vec![false; left + spec.right_types.len()];
        output.chain(residual).chain(keys).for_each(|column| read[column] = true);
        let right_read = read.split_off(left);
        let key_source = |kind: &Kind| match kind {
            Kind::Column(column) if right_read[*column] => KeySource::Column(*column),
            _ => KeySource::Own,
        };
        let key_sources: Vec<KeySource> = spec.right_keys.iter().map(|key| key_source(&key.kind)).collect();
        let own = spec.right_keys.iter().zip(&key_sources).filter(|(_, from)| matches!(from, KeySource::Own));
        let build_types =
            stored(&spec.right_types, &right_read).cloned().chain(own.map(|(key, _)| key.data_type.clone()));
        Layout {
            build_types: build_types.collect(),
            probe_types: stored(&spec.left_types, &read).cloned().collect(),
            right_types: spec.right_types.clone(),
            left_types: spec.left_types.clone(),
            keeps_unmatched_right: spec.kind.marks_right(),
            key_types: spec.left_keys.iter().map(|key| key.data_type.clone()).collect(),
            keys_alone: KeysAlone::of(spec),
            left_read: read,
            right_read,
            key_sources,
        }
    }

    /// Bytes of keys that are no columns which are kept anyway.
    pub(super) fn own_key_bytes(&self, keys: &[Column]) -> usize {
        self.own_keys(keys).map(Column::memory_bytes).sum()
    }

    fn own_keys<'a>(&'a self, keys: &'a [Column]) -> impl Iterator<Item = &'a Column> {
        keys.iter().zip(&self.key_sources).filter(|(_, from)| matches!(from, KeySource::Own)).map(|(key, _)| key)
    }

    /// What of a build batch is stored.
    pub(super) fn build_columns(&self, batch: &BuildBatch) -> Vec<Column> {
        stored(&batch.columns, &self.right_read).chain(self.own_keys(&batch.keys)).cloned().collect()
    }

    /// A build batch of what was stored.
    pub(super) fn build_batch(&self, columns: Vec<Column>, rows: usize, keys: &JoinKeys) -> Result<BuildBatch> {
        let bytes = piece_bytes(&columns);
        let mut stored = columns.into_iter();
        let mut next = || stored.next().ok_or_else(|| Error::internal("a spilled build row lacks columns"));
        let types = self.right_types.iter().zip(&self.right_read);
        let columns: Vec<Column> =
            types.map(|(t, &read)| if read { next() } else { Ok(null_column(t, 0)) }).collect::<Result<_>>()?;
        let key = |from: &KeySource| match from {
            KeySource::Column(column) => Ok(columns[*column].clone()),
            KeySource::Own => next(),
        };
        let own = self.key_sources.iter().map(key).collect::<Result<Vec<_>>>()?;
        let key_bytes = own.iter().map(Column::memory_bytes).sum();
        let valid = keys.taking_part(&own);
        Ok(BuildBatch { columns, keys: own, words: None, valid, rows, bytes, key_bytes })
    }

    /// Several build batches as one.
    pub(super) fn together(&self, batches: Vec<BuildBatch>, keys: &JoinKeys) -> Result<BuildBatch> {
        let rows = batches.iter().map(|b| b.rows).sum();
        let stored: Vec<Vec<Column>> = batches.iter().map(|batch| self.build_columns(batch)).collect();
        self.build_batch(concat(&stored, &self.build_types)?, rows, keys)
    }

    /// What is stored of the rows of each partition. Rows that match nothing are forgotten, or dealt to all partitions: one partition could get very large.
    pub(super) fn cut_build(&self, batch: &BuildBatch, hashing: Hashing, dealt: &mut u64) -> Result<Vec<Piece>> {
        let mut hashes = hashing.hashes(&batch.keys, batch.rows);
        let valid = batch.valid.as_ref();
        if let Some(valid) = valid.filter(|_| self.keeps_unmatched_right) {
            let nulls = hashes.iter_mut().enumerate().filter(|(row, _)| !valid.get(*row));
            nulls.for_each(|(_, hash)| {
                *dealt += 1;
                *hash = hash_word(*dealt);
            });
        }
        let matching = valid.filter(|_| !self.keeps_unmatched_right);
        let first = match self.keys_alone {
            KeysAlone::Build => first_of_each(&batch.keys, &self.key_types, &hashes, hashing.collide)?,
            _ => None,
        };
        let kept = Bitmap::and_optional(matching, first.as_ref());
        Ok(pieces(&self.build_columns(batch), &hashes, hashing.parts, kept.as_ref()))
    }

    /// What is stored of the rows of each partition of a batch of stored probe rows, all of which are selected and have these hashes; `keys` are theirs, where
    /// they are wanted.
    pub(super) fn cut_probe(
        &self,
        batch: &Batch,
        keys: impl FnOnce() -> Result<Vec<Column>>,
        hashes: &[u64],
        hashing: Hashing,
    ) -> Result<Vec<Piece>> {
        let kept = match self.keys_alone {
            KeysAlone::Probe => first_of_each(&keys()?, &self.key_types, hashes, hashing.collide)?,
            _ => None,
        };
        let columns: Vec<Column> = stored(batch.columns(), &self.left_read).cloned().collect();
        Ok(pieces(&columns, hashes, hashing.parts, kept.as_ref()))
    }

    /// What is stored of some rows of a probe batch.
    pub(super) fn probe_columns(&self, batch: &Batch, positions: &[u16]) -> Vec<Column> {
        take(&stored(batch.columns(), &self.left_read).cloned().collect::<Vec<_>>(), positions)
    }

    /// A probe batch of what was stored; columns that nobody reads are null.
    pub(super) fn probe_batch(&self, block: Block) -> Result<Batch> {
        let rows = block.rows;
        let mut stored = block.columns.into_iter();
        let mut next = || stored.next().ok_or_else(|| Error::internal("a spilled probe row lacks columns"));
        let types = self.left_types.iter().zip(&self.left_read);
        let columns = types.map(|(t, &read)| if read { next() } else { Ok(null_column(t, rows)) });
        Ok(Batch::new(columns.collect::<Result<_>>()?, rows))
    }
}

/// What is stored of some rows of a partition, and how many they are.
pub(super) type Piece = (usize, Vec<Column>, usize);

/// The rows of each partition that are `kept`, all of them without it.
fn pieces(columns: &[Column], hashes: &[u64], parts: usize, kept: Option<&Bitmap>) -> Vec<Piece> {
    let piece = |(partition, rows): (usize, &[u16])| match kept {
        None => (partition, take(columns, rows), rows.len()),
        Some(kept) => {
            let rows: Vec<u16> = rows.iter().copied().filter(|&row| kept.get(row as usize)).collect();
            (partition, take(columns, &rows), rows.len())
        }
    };
    Cut::new(hashes, parts).partitions().map(piece).filter(|(_, _, rows)| *rows > 0).collect()
}

fn stored<'a, T>(all: &'a [T], read: &'a [bool]) -> impl Iterator<Item = &'a T> {
    all.iter().zip(read).filter(|(_, read)| **read).map(|(item, _)| item)
}

/// Pieces, one after the other.
pub(super) fn concat(pieces: &[Vec<Column>], types: &[DataType]) -> Result<Vec<Column>> {
    let column = |(index, data_type): (usize, &DataType)| {
        Column::concat(&pieces.iter().map(|piece| piece[index].clone()).collect::<Vec<_>>(), data_type)
    };
    types.iter().enumerate().map(column).collect()
}

/// Bytes that columns take which are kept apart.
pub(super) fn piece_bytes(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.memory_bytes() + COLUMN_BYTES).sum()
}

/// Some rows, sharing nothing with the others: these may go and really free their memory.
pub(super) fn take(columns: &[Column], rows: &[u16]) -> Vec<Column> {
    columns.iter().map(|column| column.gather(rows).detach().own_strings()).collect()
}

/// How keys are hashed into partitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashing {
    /// How often the rows were cut before.
    pub level: u32,
    /// Into how many parts they are cut, at most [`PARTITIONS`].
    pub parts: usize,
    /// Test knob: all keys are of one partition.
    pub collide: bool,
}

impl Hashing {
    /// Of rows that come from the inputs.
    pub(super) fn first(task: &TaskContext) -> Self {
        Hashing { level: 0, parts: PARTITIONS, collide: task.config.hash_collisions }
    }

    /// A hash a row, whose top bits tell its partition.
    pub(super) fn hashes(self, keys: &[Column], rows: usize) -> Vec<u64> {
        if self.collide {
            return vec![0; rows];
        }
        let mut hashes = hash_keys(keys, rows);
        hashes.iter_mut().for_each(|hash| *hash = hash.rotate_left(self.level * PARTITION_BITS));
        hashes
    }

    /// The partition of a hash.
    pub(super) fn partition(self, hash: u64) -> usize {
        partition_of(hash, self.parts as u32) as usize
    }
}

/// Rows by partition.
struct Cut {
    rows: Vec<u16>,
    ends: Vec<u32>,
}

impl Cut {
    fn new(hashes: &[u64], parts: usize) -> Self {
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        partition_rows(hashes, parts as u32, &mut rows, &mut ends);
        Cut { rows, ends }
    }

    /// Partitions that have rows, and these.
    fn partitions(&self) -> impl Iterator<Item = (usize, &[u16])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let parts = starts.zip(&self.ends).map(|(start, &end)| &self.rows[start as usize..end as usize]);
        parts.enumerate().filter(|(_, rows)| !rows.is_empty())
    }
}
