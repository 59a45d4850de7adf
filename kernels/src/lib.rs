//! Pure functions over slices, bitmaps and selections. No Arrow, no plan, no thread, no dependency.
//!
//! # The contract of every kernel
//! - **Inputs** are slices of primitives; all inputs of one call have the same length unless said otherwise, asserted once per call.
//! - **Bitmaps** are `&[u64]`, least significant bit first, bit *i* of word *i / 64*; bits past the length are zero on input and output.
//!   Validity is `Option<&[u64]>`: `None` = no nulls, 1 = valid.
//! - **Selections** are `&[u16]`: ascending distinct positions.
//! - **Nulls**: values at null positions are arbitrary; kernels compute on them and never trap, unless they take a validity.
//! - **Outputs** are slices of the right length or a `Vec` that is appended to; nothing else is allocated. Outputs never alias inputs.
//! - **Overflow** wraps unless the name says `checked` (then the kernel tells whether any counted lane overflowed).
//! - **Floats** order totally as SQL engines do: NaN equals NaN and is greater than everything, −0.0 equals 0.0.
//! - **Tiers**: every public function picks the widest tier of [`isa::isa`] once per call. `*_scalar` is the plainest code: the
//!   specification and the oracle of the others.
//!
//! Modules in the order in which data flows; the index with tiers and benchmarks is `README.md` beside this crate.

pub mod arithmetic;
pub mod bloom;
pub mod byte_table;
pub mod cast;
pub mod decode;
pub mod gather;
pub mod group;
pub mod hash;
pub mod isa;
pub mod join_table;
pub mod like;
pub mod membership;
pub mod murmur3;
#[cfg(test)]
mod oracle;
pub mod pack;
pub mod partition;
pub mod select;
pub mod sort;
pub mod sort_key;
pub mod temporal;
#[cfg(test)]
mod tests;
pub mod text;
pub mod window;
