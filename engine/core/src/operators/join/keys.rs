//! Which words a join compares: decided once the build side is known, then the same for both sides.

use arrow_schema::DataType;
use plasmon_kernels::pack::{Field, bounds, pack, pack_or_outside};

use super::JoinSpec;
use crate::batch::{Bitmap, Column};
use crate::error::Result;
use crate::operators::key::KeyEncoder;

/// Bits that packed fields may take together: one less than a word, so that some word is no key.
const PACKED_BITS_MAX: u32 = 63;

/// The words of some rows, `width` a row.
pub(super) struct KeyWords {
    pub words: Vec<u64>,
    /// Rows that can match: those without a null in a key for which null equals nothing; `None` = all.
    pub valid: Option<Bitmap>,
}

impl KeyWords {
    /// Takes what was found for rows that cannot match: it was found for arbitrary words.
    pub(super) fn clear_nulls<T: Default>(&self, found: &mut [T]) {
        if let Some(valid) = &self.valid {
            let nulls = found.iter_mut().enumerate().filter(|(row, _)| !valid.get(*row));
            nulls.for_each(|(_, found)| *found = T::default());
        }
    }
}

/// Keys of one fixed-width word each, of one batch of the build side.
pub(super) struct BuildWords {
    columns: Vec<Vec<u64>>,
}

/// Smallest and greatest word, as signed integers, of each such key so far.
#[derive(Debug, Clone, Default)]
pub(super) struct WordBounds(Vec<Option<(i64, i64)>>);

impl WordBounds {
    fn add(&mut self, other: &[Option<(i64, i64)>]) {
        self.0.resize(other.len(), None);
        for (own, &other) in self.0.iter_mut().zip(other) {
            *own = match (*own, other) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        }
    }

    pub(super) fn merge(&mut self, other: &WordBounds) {
        if !other.0.is_empty() {
            self.add(&other.0);
        }
    }
}

/// How keys become words.
#[derive(Debug, Clone)]
enum Form {
    /// There are no keys.
    None,
    /// The one key's word; null equals nothing.
    Word,
    /// Fields of one word, with the greatest offset that each holds; 0 = null.
    Packed(Vec<(Field, u64)>),
    /// As the encoder makes them: text, wide values, too many bits.
    Encoded,
}

/// Makes the words of a join's keys.
#[derive(Clone)]
pub(super) struct JoinKeys {
    form: Form,
    encoder: KeyEncoder,
    null_equal: Vec<bool>,
}

impl JoinKeys {
    /// Nothing is known of the build side yet.
    pub(super) fn new(spec: &JoinSpec, collide: bool) -> Result<Self> {
        let types: Vec<DataType> = spec.right_keys.iter().map(|k| k.data_type.clone()).collect();
        let encoder = KeyEncoder::with_nulls(&types, collide, spec.null_equal.contains(&true))?;
        let form = if types.is_empty() { Form::None } else { Form::Encoded };
        Ok(JoinKeys { form, encoder, null_equal: spec.null_equal.clone() })
    }

    /// Words per row.
    pub(super) fn width(&self) -> usize {
        match self.form {
            Form::None => 0,
            Form::Word | Form::Packed(_) => 1,
            Form::Encoded => self.encoder.width(),
        }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.null_equal.len()
    }

    /// Whether the words that arrive with the build rows are those that are compared.
    pub(super) fn has_own_words(&self) -> bool {
        matches!(self.form, Form::Word)
    }

    /// Bytes of interned strings.
    pub(super) fn memory_bytes(&self) -> usize {
        self.encoder.memory_bytes()
    }

    /// Whether the words depend on nothing that other batches bring, so that any worker can make them.
    pub(super) fn is_fixed(&self) -> bool {
        self.encoder.is_fixed_words()
    }

    /// Words of a build batch, column by column, for keys that are [`JoinKeys::is_fixed`].
    pub(super) fn build_words(&mut self, keys: &[Column], seen: &mut WordBounds) -> Result<BuildWords> {
        let columns = self.encoder.encode_columns(keys)?;
        let bounds = columns.iter().zip(keys).map(|(words, key)| bounds(words, key.validity().map(Bitmap::words)));
        seen.add(&bounds.collect::<Vec<_>>());
        Ok(BuildWords { columns })
    }

    /// Settles the form for build words within `seen`; gives the bounds of the one-word keys that come of it.
    pub(super) fn settle(&mut self, seen: &WordBounds) -> Option<(i64, i64)> {
        if !self.is_fixed() || matches!(self.form, Form::None) {
            return None;
        }
        if let ([null_equal], [bounds]) = (&self.null_equal[..], &seen.0[..])
            && !null_equal
        {
            self.form = Form::Word;
            return *bounds;
        }
        let fields = fields(seen, self.null_equal.len())?;
        let bits: u32 = fields.iter().map(|(field, _)| field.bits).sum();
        self.form = Form::Packed(fields);
        // All 63 of them may be there.
        Some((0, ((1u64 << bits) - 1) as i64))
    }

    /// The words of a build batch whose columns' words were made before.
    pub(super) fn combine(&self, words: BuildWords, keys: &[Column], rows: usize) -> Vec<u64> {
        match &self.form {
            Form::Packed(fields) => {
                let mut packed = vec![0u64; rows];
                for ((words, key), (field, _)) in words.columns.iter().zip(keys).zip(fields) {
                    pack(words, key.validity().map(Bitmap::words), *field, &mut packed);
                }
                packed
            }
            _ => words.columns.into_iter().next().unwrap_or_default(),
        }
    }

    /// Whether words come from [`JoinKeys::combine`] rather than [`JoinKeys::encode`].
    pub(super) fn is_combined(&self) -> bool {
        matches!(self.form, Form::Word | Form::Packed(_))
    }

    /// The words of a build batch, interning its strings.
    pub(super) fn encode(&mut self, keys: &[Column], rows: usize) -> Result<Vec<u64>> {
        Ok(if keys.is_empty() { Vec::new() } else { self.encoder.encode(keys, rows)?.words })
    }

    /// The words of a probe batch; rows whose key cannot be on the build side get a word that is not.
    pub(super) fn probe(&mut self, keys: &[Column], rows: usize) -> Result<KeyWords> {
        let words = match &self.form {
            Form::None => Vec::new(),
            Form::Encoded => self.encoder.encode_known(keys, rows)?.words,
            Form::Word => self.encoder.encode_columns(keys)?.pop().unwrap_or_default(),
            Form::Packed(fields) => {
                let mut packed = vec![0u64; rows];
                let columns = self.encoder.encode_columns(keys)?;
                for ((words, key), (field, span)) in columns.iter().zip(keys).zip(fields) {
                    pack_or_outside(words, key.validity().map(Bitmap::words), *field, *span, &mut packed);
                }
                packed
            }
        };
        Ok(KeyWords { words, valid: self.taking_part(keys) })
    }

    /// Rows without a null in a key for which null equals nothing; `None` = all.
    pub(super) fn taking_part(&self, keys: &[Column]) -> Option<Bitmap> {
        let strict = keys.iter().zip(&self.null_equal).filter(|(_, null_equal)| !**null_equal);
        strict.fold(None, |valid, (key, _)| Bitmap::and_optional(valid.as_ref(), key.validity()))
    }
}

/// A field for each key, with the greatest offset in it; `None` when they do not fit one word together.
fn fields(seen: &WordBounds, keys: usize) -> Option<Vec<(Field, u64)>> {
    let mut shift = 0;
    (0..keys)
        .map(|key| {
            let (min, max) = seen.0.get(key).copied().flatten().unwrap_or((0, 0));
            let span = max.wrapping_sub(min) as u64;
            // One code more, for null.
            let bits = 64 - span.checked_add(1)?.leading_zeros();
            let field = Field { base: min as u64, shift, bits };
            shift += bits;
            (shift <= PACKED_BITS_MAX).then_some((field, span))
        })
        .collect()
}
