//! What a driver or catalog browser asks of a session: which tables there are, what is known of them, and how rows get in from outside.

use std::path::Path;
use std::sync::Arc;

use plasmon_core::table::Table;
use plasmon_core::{Error, Result};
use plasmon_io as io;

use crate::Session;
use crate::catalog::Entry;
use crate::memory_table::MemoryTable;

/// What a name in a session stands for.
#[derive(Debug, Clone)]
pub enum Relation {
    /// Rows in files, in memory, or wherever the embedder's own table has them.
    Table(Arc<dyn Table>),
    /// The text of a query.
    View(String),
}

impl From<Entry> for Relation {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Table(table) => Relation::Table(table),
            Entry::Memory(table) => Relation::Table(table),
            Entry::View(sql) => Relation::View(sql),
        }
    }
}

impl Session {
    /// All tables and views, sorted by name.
    ///
    /// ```
    /// use plasmon::{Config, Relation, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// session.sql("CREATE TABLE t AS SELECT 1 AS a")?;
    /// session.sql("CREATE VIEW v AS SELECT a FROM t")?;
    /// let relations = session.relations();
    /// assert!(matches!(&relations[0], (name, Relation::Table(table)) if name == "t" && table.statistics().rows == Some(1)));
    /// assert!(matches!(&relations[1], (name, Relation::View(_)) if name == "v"));
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn relations(&self) -> Vec<(String, Relation)> {
        self.catalog.list().into_iter().map(|(name, entry)| (name, entry.into())).collect()
    }

    /// What `name` stands for.
    pub fn relation(&self, name: &str) -> Option<Relation> {
        self.catalog.get(&name.to_lowercase()).map(Relation::from)
    }

    /// The in-memory table of that name, which takes rows; `None` when the name stands for nothing or for something else.
    pub fn memory_table(&self, name: &str) -> Option<Arc<MemoryTable>> {
        match self.catalog.get(&name.to_lowercase())? {
            Entry::Memory(table) => Some(table),
            _ => None,
        }
    }

    /// Defines `name` as a table that INSERT can add rows to; one that exists is an error unless `replace`.
    pub fn register_memory_table(&self, name: &str, table: Arc<MemoryTable>, replace: bool) -> Result<()> {
        self.catalog.define(&name.to_lowercase(), Entry::Memory(table), replace)
    }

    /// Defines a table for each file and folder of `folder`, named as it is without its extension; the names. A path that is a file is one table.
    /// Files of no known format and those whose names start with `.` or `_` are passed over.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let folder = std::env::temp_dir().join(format!("plasmon-doc-folder-{}", std::process::id()));
    /// std::fs::create_dir_all(&folder)?;
    /// let session = Session::new(Config::default())?;
    /// session.sql(&format!("COPY (SELECT 1 AS a) TO '{}/numbers.parquet'", folder.display()))?.collect()?;
    /// assert_eq!(session.register_folder(&folder.to_string_lossy())?, ["numbers"]);
    /// assert_eq!(session.table_rows("numbers")?, Some(1));
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn register_folder(&self, folder: &str) -> Result<Vec<String>> {
        let path = Path::new(folder);
        let failed = |e: std::io::Error| Error::io(folder, e);
        let mut places = Vec::new();
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            for entry in std::fs::read_dir(path).map_err(failed)? {
                places.push(entry.map_err(failed)?.path());
            }
            places.retain(|place| is_data(place));
            places.sort();
        } else {
            places.push(path.to_path_buf());
        }
        let mut names = Vec::new();
        for place in places {
            let file = place.file_name().unwrap_or_default().to_string_lossy();
            let name = file.split('.').next().unwrap_or(&file).to_lowercase();
            self.register_path(&name, &place.to_string_lossy())?;
            names.push(name);
        }
        Ok(names)
    }
}

fn is_data(place: &Path) -> bool {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    !io::is_hidden(&name) && (place.is_dir() || io::Format::of_name(&name).is_ok())
}
