//! Where the blocks of one spill file lie: in one part, or in more once a directory was full.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::cipher::Cipher;
use super::disk::{Disk, Part, Turn, is_full};
use crate::error::{Error, Result};

/// The bytes of one file's blocks. The background thread may hold it longer than its file lives.
#[derive(Debug)]
pub(super) struct Store {
    disk: Arc<Disk>,
    consumer: String,
    /// What blocks are encrypted by, if they are.
    cipher: Option<Cipher>,
    state: Mutex<State>,
    /// Told when nothing waits any more.
    written: Condvar,
    /// Nobody will read it: what waits need not be written.
    is_dropped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Directories tried so far; none before the first block.
    turn: Option<Turn>,
    /// The last one is written to.
    parts: Vec<Arc<Part>>,
    end: u64,
    blocks: Vec<Place>,
    /// Blocks that wait to be written.
    waiting: usize,
    /// Why a block could not be written.
    failed: Option<Error>,
    bytes: u64,
}

/// Where a block lies: all that stays in memory of it.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    len: usize,
    part: usize,
}

impl Store {
    pub(super) fn new(disk: &Arc<Disk>, consumer: &str, cipher: Option<Cipher>) -> Self {
        Store {
            disk: disk.clone(),
            consumer: consumer.to_string(),
            cipher,
            state: Mutex::default(),
            written: Condvar::new(),
            is_dropped: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What went wrong with block `index`, which lies in `part`.
    fn error(&self, what: &str, index: usize, part: &Part, error: impl std::fmt::Display) -> Error {
        Error::io(format!("{what} block {index} that {} spilled to {}", self.consumer, part.path().display()), error)
    }

    /// Bytes that a block of `len` takes.
    pub(super) fn len_on_disk(&self, len: usize) -> usize {
        len + self.cipher.as_ref().map_or(0, |_| Cipher::TAG)
    }

    /// A place for a block that takes `len` bytes; it counts, and waits to be written.
    pub(super) fn place(&self, len: usize) -> Result<usize> {
        let mut state = self.state();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if state.parts.is_empty() {
            self.add_part(&mut state)?;
        }
        self.disk.take(&self.consumer, len as u64)?;
        let place = Place { at: state.end, len, part: state.parts.len() - 1 };
        state.end += len as u64;
        state.bytes += len as u64;
        state.blocks.push(place);
        state.waiting += 1;
        Ok(state.blocks.len() - 1)
    }

    /// Goes on in a new part, in the next directory that takes one.
    fn add_part(&self, state: &mut State) -> Result<()> {
        let part = self.disk.create(&self.consumer, state.turn.get_or_insert_with(|| self.disk.turn()))?;
        state.parts.push(Arc::new(part));
        state.end = 0;
        Ok(())
    }

    /// Writes a block that has its place; an error stays, for who appends or reads next.
    pub(super) fn write_waiting(&self, index: usize, bytes: Vec<u8>) {
        let outcome = if self.is_dropped.load(Relaxed) { Ok(()) } else { self.encrypt_and_write(index, bytes) };
        let mut state = self.state();
        if let Err(error) = outcome {
            state.failed.get_or_insert(error);
        }
        state.waiting -= 1;
        if state.waiting == 0 {
            self.written.notify_all();
        }
    }

    fn encrypt_and_write(&self, index: usize, mut bytes: Vec<u8>) -> Result<()> {
        if let Some(cipher) = &self.cipher {
            cipher.seal(index, &mut bytes).map_err(|why| self.error_at("writing", index, why))?;
        }
        self.write(index, &bytes)
    }

    /// Writes a block that has its place; to the next directory that takes one, if this one does not.
    fn write(&self, index: usize, bytes: &[u8]) -> Result<()> {
        loop {
            let (place, part) = {
                let state = self.state();
                self.find(&state, index)?
            };
            match part.write(bytes, place.at) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let full = is_full(&error);
                    let error = self.error("writing", index, &part, error);
                    if !full {
                        return Err(error);
                    }
                    self.move_on(index, place.part, error)?;
                }
            }
        }
    }

    /// Gives block `index` a place in another directory than that of part `full`; or `error`, when there is none.
    fn move_on(&self, index: usize, full: usize, error: Error) -> Result<()> {
        let mut state = self.state();
        if state.parts.len() - 1 == full {
            self.add_part(&mut state).map_err(|_| error)?;
        }
        let (at, part, len) = (state.end, state.parts.len() - 1, state.blocks[index].len);
        state.blocks[index] = Place { at, len, part };
        state.end += len as u64;
        Ok(())
    }

    fn find(&self, state: &State, index: usize) -> Result<(Place, Arc<Part>)> {
        let place = *state.blocks.get(index).ok_or_else(|| Error::internal("a spill file has no such block"))?;
        Ok((place, state.parts[place.part].clone()))
    }

    /// The error that writing met; for who does not wait.
    pub(super) fn check(&self) -> Result<()> {
        self.state().failed.clone().map_or(Ok(()), Err)
    }

    /// The bytes of block `index`, once all that waits is written.
    pub(super) fn read(&self, index: usize) -> Result<Vec<u8>> {
        let mut state = self.state();
        while state.waiting > 0 {
            state = self.written.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        self.read_written(state, index)
    }

    /// As [`Store::read`], for the thread that writes: `None` when it would have to wait for itself.
    pub(super) fn try_read(&self, index: usize) -> Option<Result<Vec<u8>>> {
        let state = self.state();
        (state.waiting == 0).then(|| self.read_written(state, index))
    }

    fn read_written(&self, state: MutexGuard<'_, State>, index: usize) -> Result<Vec<u8>> {
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let (place, part) = self.find(&state, index)?;
        drop(state);
        let mut bytes = part.read(place.len, place.at).map_err(|e| self.error("reading", index, &part, e))?;
        if let Some(cipher) = &self.cipher {
            cipher.open(index, &mut bytes).map_err(|why| self.error("reading", index, &part, why))?;
        }
        Ok(bytes)
    }

    /// What went wrong with block `index`, wherever it lies.
    pub(super) fn error_at(&self, what: &str, index: usize, why: String) -> Error {
        match self.find(&self.state(), index) {
            Ok((_, part)) => self.error(what, index, &part, why),
            Err(error) => error,
        }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.state().blocks.len()
    }

    /// Bytes of block `index`.
    pub(super) fn len(&self, index: usize) -> Option<usize> {
        self.state().blocks.get(index).map(|place| place.len)
    }

    /// Bytes of all blocks.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Gives up: the bytes no longer count, and what waits is forgotten.
    pub(super) fn forget(&self) {
        self.is_dropped.store(true, Relaxed);
        self.disk.give_back(&self.consumer, self.state().bytes);
    }
}
