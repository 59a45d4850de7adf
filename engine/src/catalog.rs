//! Names a session knows: tables and views. Paths in quotes are tables too.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use plasmon_core::table::Table;
use plasmon_core::{Error, Result};

use crate::memory_table::MemoryTable;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Table(Arc<dyn Table>),
    /// Rows can be inserted.
    Memory(Arc<MemoryTable>),
    /// The view's SELECT text.
    View(String),
}

/// Tables and views by lower-case name.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    entries: RwLock<BTreeMap<String, Entry>>,
}

impl Catalog {
    /// What `name` stands for.
    pub(crate) fn get(&self, name: &str) -> Option<Entry> {
        self.entries.read().unwrap_or_else(|e| e.into_inner()).get(name).cloned()
    }

    /// Defines `name`; refuses to replace unless `replace`.
    pub(crate) fn define(&self, name: &str, entry: Entry, replace: bool) -> Result<()> {
        let mut entries = self.entries.write().unwrap_or_else(|e| e.into_inner());
        if !replace && entries.contains_key(name) {
            return Err(Error::user(format!("{name} exists already; use CREATE OR REPLACE, or DROP it first")));
        }
        let replaced = entries.insert(name.to_string(), entry);
        // Unlocked before what is dropped: a host's batches may call back into this session when they are released.
        drop(entries);
        drop(replaced);
        Ok(())
    }

    /// Forgets `name`; whether it existed.
    pub(crate) fn remove(&self, name: &str) -> bool {
        // Unlocked before it is dropped, as above.
        let removed = self.entries.write().unwrap_or_else(|e| e.into_inner()).remove(name);
        removed.is_some()
    }

    /// All names and what they stand for, sorted by name.
    pub(crate) fn list(&self) -> Vec<(String, Entry)> {
        self.entries.read().unwrap_or_else(|e| e.into_inner()).iter().map(|(n, e)| (n.clone(), e.clone())).collect()
    }
}
