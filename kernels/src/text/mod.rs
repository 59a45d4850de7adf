//! Text: columns of 16-byte views, and what SQL does with them.
//!
//! A view is Arrow's: length, then up to 12 bytes in place, or a 4-byte prefix, a buffer index and an offset. Text is UTF-8 by contract, but
//! values at rows that do not count may be any bytes: nothing here traps on them.

pub mod build;
pub mod case;
pub mod compare;
pub mod convert;
pub mod length;
pub mod search;
pub mod slice;

/// Views and the buffers that they point into.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    pub views: &'a [u128],
    pub buffers: &'a [&'a [u8]],
}

/// Bytes that fit into a view.
pub const INLINE_BYTES: usize = 12;

impl<'a> Texts<'a> {
    /// Rows.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The bytes of a row.
    #[inline(always)]
    pub fn value(&self, row: usize) -> &'a [u8] {
        value_of(&self.views[row], self.buffers)
    }

    /// Calls `visit` with every row's bytes, in order.
    #[inline(always)]
    pub fn for_each(&self, mut visit: impl FnMut(&'a [u8])) {
        self.views.iter().for_each(|view| visit(value_of(view, self.buffers)));
    }
}

/// The bytes of a view.
#[inline(always)]
fn value_of<'a>(view: &'a u128, buffers: &[&'a [u8]]) -> &'a [u8] {
    let len = *view as u32 as usize;
    if len <= INLINE_BYTES {
        &as_bytes(view)[4..4 + len]
    } else {
        let (buffer, offset) = ((*view >> 64) as u32 as usize, (*view >> 96) as u32 as usize);
        &buffers[buffer][offset..offset + len]
    }
}

#[inline(always)]
fn as_bytes(view: &u128) -> &[u8; 16] {
    const { assert!(cfg!(target_endian = "little"), "views are little-endian") };
    // SAFETY: a u128 is 16 initialized bytes, and bytes have no alignment.
    unsafe { &*std::ptr::from_ref(view).cast::<[u8; 16]>() }
}

/// The view of `value`, which lies at `offset` of buffer `buffer` (both unused when it fits in place).
#[inline(always)]
pub fn make_view(value: &[u8], buffer: u32, offset: u32) -> u128 {
    let mut bytes = [0u8; 16];
    bytes[..4].copy_from_slice(&(value.len() as u32).to_le_bytes());
    if value.len() <= INLINE_BYTES {
        bytes[4..4 + value.len()].copy_from_slice(value);
    } else {
        bytes[4..8].copy_from_slice(&value[..4]);
        bytes[8..12].copy_from_slice(&buffer.to_le_bytes());
        bytes[12..].copy_from_slice(&offset.to_le_bytes());
    }
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oracle::length;
    use proptest::prelude::*;

    /// Texts that own their bytes.
    #[derive(Debug, Clone)]
    pub(crate) struct Owned {
        pub(crate) values: Vec<String>,
        views: Vec<u128>,
        bytes: Vec<u8>,
    }

    impl Owned {
        pub(crate) fn new(values: Vec<String>) -> Self {
            let (mut views, mut bytes) = (Vec::new(), Vec::new());
            for value in &values {
                views.push(make_view(value.as_bytes(), 0, bytes.len() as u32));
                bytes.extend_from_slice(value.as_bytes());
            }
            Owned { values, views, bytes }
        }

        /// Calls `test` with the texts as kernels take them.
        pub(crate) fn with<R>(&self, test: impl FnOnce(Texts<'_>) -> R) -> R {
            test(Texts { views: &self.views, buffers: &[&self.bytes] })
        }
    }

    /// The strings of views over an input's buffers and one more.
    pub(crate) fn read(views: &[u128], buffers: &[&[u8]]) -> Vec<String> {
        let texts = Texts { views, buffers };
        (0..texts.len()).map(|row| String::from_utf8(texts.value(row).to_vec()).expect("UTF-8")).collect()
    }

    /// Texts around the length of a view, ASCII only or not.
    pub(crate) fn texts() -> impl Strategy<Value = Owned> {
        let ascii = "[ a-cA-C,]{0,14}";
        let any = "[ a-bÄßéİ日🌏]{0,9}";
        let long = "[a-z]{20,40}";
        let text = prop_oneof![4 => ascii, 2 => any, 1 => long, 1 => Just(String::new())];
        (length(), prop::collection::vec(text, 1..40))
            .prop_map(|(len, pool)| Owned::new((0..len).map(|i| pool[i * 7 % pool.len()].clone()).collect()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn views_hold_their_values(owned in texts()) {
            owned.with(|t| assert_eq!(read(t.views, t.buffers), owned.values));
        }
    }
}
