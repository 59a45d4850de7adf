//! Connections: a view of the database's session with settings, temporary tables and running queries of its own.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int};
use std::sync::{Arc, Mutex};

use adbc_core::constants::{
    ADBC_CONNECTION_OPTION_AUTOCOMMIT, ADBC_CONNECTION_OPTION_CURRENT_CATALOG,
    ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, ADBC_CONNECTION_OPTION_ISOLATION_LEVEL, ADBC_CONNECTION_OPTION_READ_ONLY,
    ADBC_OPTION_ISOLATION_LEVEL_DEFAULT,
};
use adbc_core::error::AdbcStatusCode;
use adbc_core::options::OptionValue;
use adbc_ffi::{FFI_AdbcConnection, FFI_AdbcDatabase, FFI_AdbcError};
use arrow::array::RecordBatch;
use plasmon::core::pipeline::CancelToken;
use plasmon::{Config, MemoryTable, Session};
use plasmon_abi::{open_session, plasmon_session, plasmon_session_close};
use plasmon_boundary::Failure;
use plasmon_boundary::arrow::{ArrowArrayStream, ArrowSchema, export_schema, export_stream};
use plasmon_boundary::handle::Object;
use plasmon_boundary::host::{list, require, write};

use crate::entry::{answer, object, optional, place, required, take};
use crate::error::{Result, Trouble};
use crate::metadata::{info, objects, statistics};
use crate::options::{Options, Settings, no_value, setting_of, switch_of, text_of, unknown, value_of};
use crate::{CATALOG, SCHEMA};

const NAME: &str = "a connection";
/// The handle of the session in the C ABI, which this library exports too.
const SESSION: &str = "plasmon.session";

/// The object behind an `AdbcConnection`.
#[derive(Default)]
pub(crate) struct ConnectionObject {
    settings: Arc<Settings>,
    link: Mutex<Option<Arc<Link>>>,
}

impl Object for ConnectionObject {
    const KIND: u8 = 42;
    const NAME: &'static str = NAME;
}

/// What a connection that is open shares with its statements, which may outlive it.
pub(crate) struct Link {
    pub(crate) session: Arc<Session>,
    settings: Arc<Settings>,
    handle: plasmon_session,
    temporary: Mutex<BTreeMap<String, Arc<MemoryTable>>>,
    /// Stops what runs now; what begins after a cancel has another.
    running: Mutex<CancelToken>,
}

impl Drop for Link {
    fn drop(&mut self) {
        // The host may have closed it itself.
        let _ = plasmon_session_close(self.handle);
    }
}

impl Link {
    /// The settings that statements of this connection run under.
    pub(crate) fn config(&self) -> Result<Config> {
        let mut config = self.session.config();
        self.settings.apply(&mut config)?;
        Ok(config)
    }

    /// Tables that only this connection sees, by name.
    pub(crate) fn temporary(&self) -> BTreeMap<String, Arc<MemoryTable>> {
        self.temporary.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Defines a table that only this connection sees.
    pub(crate) fn define_temporary(&self, name: &str, table: Arc<MemoryTable>) {
        self.temporary.lock().unwrap_or_else(|e| e.into_inner()).insert(name.to_string(), table);
    }

    /// A token for what begins now, which a cancel of the connection stops too.
    pub(crate) fn token(&self) -> CancelToken {
        self.running.lock().unwrap_or_else(|e| e.into_inner()).child()
    }

    fn cancel(&self) {
        std::mem::take(&mut *self.running.lock().unwrap_or_else(|e| e.into_inner())).cancel();
    }
}

impl ConnectionObject {
    /// The link to the session, once the connection is open.
    pub(crate) fn link(&self) -> Result<Arc<Link>> {
        let link = self.link.lock().unwrap_or_else(|e| e.into_inner()).clone();
        Ok(link.ok_or_else(|| Failure::state("the connection is not initialized yet: call AdbcConnectionInit"))?)
    }

    fn init(&self, session: Arc<Session>) -> Result<()> {
        let mut link = self.link.lock().unwrap_or_else(|e| e.into_inner());
        if link.is_some() {
            return Err(Failure::state("the connection is initialized already").into());
        }
        *link = Some(Arc::new(Link {
            handle: open_session(session.clone()),
            session,
            settings: self.settings.clone(),
            temporary: Mutex::default(),
            running: Mutex::default(),
        }));
        Ok(())
    }
}

impl Options for ConnectionObject {
    fn set(&self, key: &str, value: OptionValue) -> Result<()> {
        let is_own = |own: &str| match text_of(key, &value)?.as_str() {
            name if name == own => Ok(()),
            name => Err(Trouble::not_found(format!(
                "there is no {name}; the only catalog is {CATALOG}, its only schema {SCHEMA}"
            ))),
        };
        match (key, setting_of(key)) {
            (ADBC_CONNECTION_OPTION_AUTOCOMMIT, _) => match switch_of(key, &value)? {
                true => Ok(()),
                false => {
                    Err(Trouble::not_implemented("there are no transactions: every statement is final when it is done")
                        .hint("leave autocommit on"))
                }
            },
            (ADBC_CONNECTION_OPTION_READ_ONLY, _) => match switch_of(key, &value)? {
                false => Ok(()),
                true => Err(Trouble::not_implemented("connections cannot be made read-only")),
            },
            (ADBC_CONNECTION_OPTION_ISOLATION_LEVEL, _) => match text_of(key, &value)?.as_str() {
                ADBC_OPTION_ISOLATION_LEVEL_DEFAULT => Ok(()),
                other => {
                    Err(Trouble::not_implemented(format!("there are no transactions, and no isolation level {other}")))
                }
            },
            (ADBC_CONNECTION_OPTION_CURRENT_CATALOG, _) => is_own(CATALOG),
            (ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, _) => is_own(SCHEMA),
            (SESSION, _) => Err(Failure::argument(format!("option {SESSION} can only be read")).into()),
            (_, Some(name)) => self.settings.set(name, text_of(key, &value)?),
            (_, None) => Err(unknown(key, NAME)),
        }
    }

    fn get(&self, key: &str) -> Result<OptionValue> {
        let text = |value: &str| Ok(OptionValue::String(value.to_string()));
        match (key, setting_of(key)) {
            (ADBC_CONNECTION_OPTION_AUTOCOMMIT, _) => text("true"),
            (ADBC_CONNECTION_OPTION_READ_ONLY, _) => text("false"),
            (ADBC_CONNECTION_OPTION_ISOLATION_LEVEL, _) => text(ADBC_OPTION_ISOLATION_LEVEL_DEFAULT),
            (ADBC_CONNECTION_OPTION_CURRENT_CATALOG, _) => text(CATALOG),
            (ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, _) => text(SCHEMA),
            (SESSION, _) => Ok(OptionValue::Int(self.link()?.handle.id as i64)),
            (_, Some(name)) => value_of(&self.link()?.config()?, name, NAME),
            (_, None) => Err(no_value(key, NAME)),
        }
    }
}

/// `AdbcConnectionNew`.
pub(crate) unsafe extern "C" fn new(connection: *mut FFI_AdbcConnection, error: *mut FFI_AdbcError) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`, here and below.
    answer(error, || unsafe { place(connection, || Ok(ConnectionObject::default())) })
}

/// `AdbcConnectionInit`.
pub(crate) unsafe extern "C" fn init(
    connection: *mut FFI_AdbcConnection,
    database: *mut FFI_AdbcDatabase,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { object(connection)?.init(object(database)?.session()?) })
}

/// `AdbcConnectionRelease`. Its statements and streams live on.
pub(crate) unsafe extern "C" fn release(
    connection: *mut FFI_AdbcConnection,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { take(connection) }.map(drop))
}

/// `AdbcConnectionCancel`: stops everything that runs on the connection.
pub(crate) unsafe extern "C" fn cancel(
    connection: *mut FFI_AdbcConnection,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        unsafe { object(connection)? }.link()?.cancel();
        Ok(())
    })
}

/// `AdbcConnectionCommit` and `AdbcConnectionRollback`, which autocommit forbids.
pub(crate) unsafe extern "C" fn end_transaction(
    connection: *mut FFI_AdbcConnection,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        unsafe { object(connection)? }.link()?;
        Err(Failure::state("there is no transaction: autocommit is on").into())
    })
}

/// `AdbcConnectionReadPartition`.
pub(crate) unsafe extern "C" fn read_partition(
    connection: *mut FFI_AdbcConnection,
    _partition: *const u8,
    _length: usize,
    _out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        // SAFETY: as above.
        unsafe { object(connection)? }.link()?;
        Err(no_partitions())
    })
}

/// Results are read where the engine runs, in one process: there is nobody to hand a part to.
pub(crate) fn no_partitions() -> Trouble {
    Trouble::not_implemented("results have no partitions: the engine runs in this process").hint("execute the query")
}

/// Runs `make` and writes its one batch as a stream.
unsafe fn write_batch(
    connection: *mut FFI_AdbcConnection,
    out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
    make: impl FnOnce(&Link) -> Result<RecordBatch>,
) -> AdbcStatusCode {
    answer(error, || {
        require(out, "out")?;
        // SAFETY: as above.
        let batch = make(&*unsafe { object(connection)? }.link()?)?;
        let (schema, mut next) = (batch.schema(), Some(batch));
        let stream = export_stream(schema, Box::new(move || Ok(next.take())));
        // SAFETY: `out` is the host's room for a stream.
        Ok(unsafe { write(out, stream, "out")? })
    })
}

/// `AdbcConnectionGetInfo`.
pub(crate) unsafe extern "C" fn get_info(
    connection: *mut FFI_AdbcConnection,
    codes: *const u32,
    length: usize,
    out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    let make = |_: &Link| {
        // SAFETY: `codes` leads to `length` numbers, which need not be aligned; null asks for all.
        let wanted = unsafe { list(codes, length as u64, "info_codes")? };
        info::batch((!codes.is_null()).then_some(&wanted))
    };
    // SAFETY: as above.
    unsafe { write_batch(connection, out, error, make) }
}

/// `AdbcConnectionGetObjects`.
#[expect(clippy::too_many_arguments, reason = "as `adbc.h` has them")]
pub(crate) unsafe extern "C" fn get_objects(
    connection: *mut FFI_AdbcConnection,
    depth: c_int,
    catalog: *const c_char,
    db_schema: *const c_char,
    table_name: *const c_char,
    table_type: *const *const c_char,
    column_name: *const c_char,
    out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    let make = |link: &Link| {
        // SAFETY: texts that are null or terminated, and a list of them that ends with null.
        let wanted = unsafe {
            objects::Wanted {
                depth: objects::Depth::of_number(depth)?,
                catalog: optional(catalog, "catalog")?,
                db_schema: optional(db_schema, "db_schema")?,
                table_name: optional(table_name, "table_name")?,
                table_types: texts(table_type, "table_type")?,
                column_name: optional(column_name, "column_name")?,
            }
        };
        objects::batch(link, &wanted)
    };
    // SAFETY: as above.
    unsafe { write_batch(connection, out, error, make) }
}

/// The texts of a list that ends with null; null is no list.
unsafe fn texts<'a>(list: *const *const c_char, what: &str) -> Result<Option<Vec<&'a str>>> {
    if list.is_null() {
        return Ok(None);
    }
    let mut found = Vec::new();
    loop {
        // SAFETY: those before were not null, so the list goes on.
        let text = unsafe { list.add(found.len()).read_unaligned() };
        // SAFETY: null, or a terminated text.
        match unsafe { optional(text, what)? } {
            Some(text) => found.push(text),
            None => return Ok(Some(found)),
        }
    }
}

/// `AdbcConnectionGetTableSchema`.
pub(crate) unsafe extern "C" fn get_table_schema(
    connection: *mut FFI_AdbcConnection,
    catalog: *const c_char,
    db_schema: *const c_char,
    table_name: *const c_char,
    out: *mut ArrowSchema,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        require(out, "schema")?;
        // SAFETY: as above.
        let (catalog, db_schema) = unsafe { (optional(catalog, "catalog")?, optional(db_schema, "db_schema")?) };
        // SAFETY: as above.
        let (link, name) = unsafe { (object(connection)?.link()?, required(table_name, "table_name")?) };
        let schema = objects::table_schema(&link, catalog, db_schema, name)?;
        // SAFETY: `out` is the host's room for a schema.
        Ok(unsafe { write(out, export_schema(&schema)?, "schema")? })
    })
}

/// `AdbcConnectionGetTableTypes`.
pub(crate) unsafe extern "C" fn get_table_types(
    connection: *mut FFI_AdbcConnection,
    out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    unsafe { write_batch(connection, out, error, |_| objects::table_types()) }
}

/// `AdbcConnectionGetStatistics`.
pub(crate) unsafe extern "C" fn get_statistics(
    connection: *mut FFI_AdbcConnection,
    catalog: *const c_char,
    db_schema: *const c_char,
    table_name: *const c_char,
    approximate: c_char,
    out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    let make = |link: &Link| {
        // SAFETY: as above.
        let (catalog, db_schema) = unsafe { (optional(catalog, "catalog")?, optional(db_schema, "db_schema")?) };
        // SAFETY: as above.
        let name = unsafe { optional(table_name, "table_name")? };
        statistics::batch(link, catalog, db_schema, name, approximate != 0)
    };
    // SAFETY: as above.
    unsafe { write_batch(connection, out, error, make) }
}

/// `AdbcConnectionGetStatisticNames`.
pub(crate) unsafe extern "C" fn get_statistic_names(
    connection: *mut FFI_AdbcConnection,
    out: *mut ArrowArrayStream,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    // SAFETY: as above.
    unsafe { write_batch(connection, out, error, |_| statistics::names()) }
}
