//! Encryption of spill files: a key a file, the number of its block as the nonce.
//!
//! Files have no names, but their blocks stay on the disk when they are gone; without the key nobody can read them. A key comes from the system when its
//! file is made, is nowhere but in memory, and goes with the file. Numbers of blocks are given once, so that no nonce serves twice under a key, and a block
//! that lies in another's place is refused like one that has changed.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

use super::CHANGED;
use crate::error::{Error, Result};

/// The key of one file.
pub(super) struct Cipher(LessSafeKey);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    /// Bytes that a block grows by.
    pub(super) const TAG: usize = MAX_TAG_LEN;

    /// A new key, for the file of `consumer`.
    pub(super) fn new(consumer: &str) -> Result<Self> {
        let mut key = [0; 32];
        let made = SystemRandom::new().fill(&mut key).and_then(|()| UnboundKey::new(&AES_256_GCM, &key));
        let made = made.map_err(|_| Error::io(format!("a key for spilling of {consumer}"), "the system gives none"))?;
        Ok(Cipher(LessSafeKey::new(made)))
    }

    /// Encrypts block `number`, to be done once for each, and puts a tag behind it.
    pub(super) fn seal(&self, number: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.reserve_exact(Self::TAG);
        let sealed = self.0.seal_in_place_append_tag(nonce(number), Aad::empty(), bytes);
        sealed.map_err(|Unspecified| format!("{} bytes cannot be encrypted", bytes.len()))
    }

    /// Block `number` as it was before [`Cipher::seal`], or that its bytes are others.
    pub(super) fn open(&self, number: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
        let len = self.0.open_in_place(nonce(number), Aad::empty(), bytes).map_err(|Unspecified| CHANGED)?.len();
        bytes.truncate(len);
        Ok(())
    }
}

fn nonce(number: usize) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..size_of::<u64>()].copy_from_slice(&(number as u64).to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(cipher: &Cipher, number: usize, plain: &[u8]) -> Vec<u8> {
        let mut bytes = plain.to_vec();
        cipher.seal(number, &mut bytes).unwrap();
        assert_eq!(bytes.len(), plain.len() + Cipher::TAG);
        bytes
    }

    #[test]
    fn a_block_opens_by_its_own_key_and_number_only() {
        let (one, other) = (Cipher::new("Sort").unwrap(), Cipher::new("Sort").unwrap());
        for plain in [&b""[..], b"a", &[7; 100_000]] {
            let bytes = sealed(&one, 3, plain);
            let opened = |cipher: &Cipher, number| {
                let mut bytes = bytes.clone();
                cipher.open(number, &mut bytes).map(|()| bytes)
            };
            assert_eq!(opened(&one, 3).unwrap(), plain);
            assert_eq!(opened(&one, 4).unwrap_err(), CHANGED);
            assert_eq!(opened(&one, 3 + (1 << 32)).unwrap_err(), CHANGED);
            assert_eq!(opened(&other, 3).unwrap_err(), CHANGED);
        }
    }

    #[test]
    fn every_flipped_bit_and_missing_byte_is_found() {
        let cipher = Cipher::new("Sort").unwrap();
        let bytes = sealed(&cipher, 0, b"customer#000000001");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cipher.open(0, &mut changed).unwrap_err(), CHANGED, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(cipher.open(0, &mut bytes[..len].to_vec()).unwrap_err(), CHANGED, "{len} bytes");
        }
    }

    #[test]
    fn equal_blocks_differ_under_every_number_and_key() {
        let (one, other) = (Cipher::new("Sort").unwrap(), Cipher::new("Sort").unwrap());
        let mut all: Vec<Vec<u8>> = (0..300).map(|number| sealed(&one, number, &[0; 64])).collect();
        all.push(sealed(&other, 0, &[0; 64]));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
