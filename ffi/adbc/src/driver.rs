//! The table of functions that a driver manager asks for.

use std::ffi::{c_int, c_void};

use adbc_core::constants::{ADBC_VERSION_1_0_0, ADBC_VERSION_1_1_0};
use adbc_core::error::AdbcStatusCode;
use adbc_ffi::{FFI_AdbcDriver, FFI_AdbcError};
use plasmon_boundary::host::require;
use plasmon_boundary::{Code, Failure};

use crate::entry::answer;
use crate::error::{detail, detail_count, error_of_stream};
use crate::{connection, database, options, statement};

/// The functions that ADBC 1.0 has stand in front; a caller of 1.0 has room for no more.
const SIZE_OF_100: usize = std::mem::offset_of!(FFI_AdbcDriver, ErrorGetDetailCount);

/// Fills in the driver at `driver`, an `AdbcDriver` of the given version (1.0.0 or 1.1.0). Driver managers look for this name.
///
/// # Safety
/// As `adbc.h` says: `driver` leads to room for a driver of that version; `error` is null, or an error that is zero but for its vendor code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AdbcDriverInit(
    version: c_int,
    driver: *mut c_void,
    error: *mut FFI_AdbcError,
) -> AdbcStatusCode {
    answer(error, || {
        let size = match version {
            ADBC_VERSION_1_0_0 => SIZE_OF_100,
            ADBC_VERSION_1_1_0 => size_of::<FFI_AdbcDriver>(),
            other => {
                return Err(Failure::new(Code::UnsupportedVersion, format!("there is no version {other} of ADBC"))
                    .hint("this driver speaks 1000000 (ADBC 1.0) and 1001000 (ADBC 1.1)")
                    .into());
            }
        };
        require(driver, "driver")?;
        // The struct drops what it holds; the host's does that when it is released.
        let table = std::mem::ManuallyDrop::new(table());
        // SAFETY: the caller's promise, for as many bytes as the version has.
        unsafe { std::ptr::copy_nonoverlapping((&raw const table).cast::<u8>(), driver.cast::<u8>(), size) };
        Ok(())
    })
}

unsafe extern "C" fn release(driver: *mut FFI_AdbcDriver, error: *mut FFI_AdbcError) -> AdbcStatusCode {
    answer(error, || {
        require(driver, "driver")?;
        // SAFETY: `adbc.h`: the driver that was filled in, of either version; the field is in both.
        match unsafe { (*driver).release.take() } {
            Some(_) => Ok(()),
            None => Err(Failure::state("the driver is released already").into()),
        }
    })
}

fn table() -> FFI_AdbcDriver {
    FFI_AdbcDriver {
        private_data: std::ptr::null_mut(),
        private_manager: std::ptr::null(),
        release: Some(release),
        DatabaseNew: Some(database::new),
        DatabaseInit: Some(database::init),
        DatabaseRelease: Some(database::release),
        DatabaseSetOption: Some(options::set_text),
        DatabaseSetOptionBytes: Some(options::set_bytes),
        DatabaseSetOptionInt: Some(options::set_int),
        DatabaseSetOptionDouble: Some(options::set_double),
        DatabaseGetOption: Some(options::get_text),
        DatabaseGetOptionBytes: Some(options::get_bytes),
        DatabaseGetOptionInt: Some(options::get_int),
        DatabaseGetOptionDouble: Some(options::get_double),
        ConnectionNew: Some(connection::new),
        ConnectionInit: Some(connection::init),
        ConnectionRelease: Some(connection::release),
        ConnectionCancel: Some(connection::cancel),
        ConnectionCommit: Some(connection::end_transaction),
        ConnectionRollback: Some(connection::end_transaction),
        ConnectionReadPartition: Some(connection::read_partition),
        ConnectionGetInfo: Some(connection::get_info),
        ConnectionGetObjects: Some(connection::get_objects),
        ConnectionGetTableSchema: Some(connection::get_table_schema),
        ConnectionGetTableTypes: Some(connection::get_table_types),
        ConnectionGetStatistics: Some(connection::get_statistics),
        ConnectionGetStatisticNames: Some(connection::get_statistic_names),
        ConnectionSetOption: Some(options::set_text),
        ConnectionSetOptionBytes: Some(options::set_bytes),
        ConnectionSetOptionInt: Some(options::set_int),
        ConnectionSetOptionDouble: Some(options::set_double),
        ConnectionGetOption: Some(options::get_text),
        ConnectionGetOptionBytes: Some(options::get_bytes),
        ConnectionGetOptionInt: Some(options::get_int),
        ConnectionGetOptionDouble: Some(options::get_double),
        StatementNew: Some(statement::new),
        StatementRelease: Some(statement::release),
        StatementCancel: Some(statement::cancel),
        StatementSetSqlQuery: Some(statement::set_sql),
        StatementSetSubstraitPlan: Some(statement::set_substrait),
        StatementPrepare: Some(statement::prepare),
        StatementBind: Some(statement::bind),
        StatementBindStream: Some(statement::bind_stream),
        StatementExecuteQuery: Some(statement::execute),
        StatementExecuteSchema: Some(statement::execute_schema),
        StatementExecutePartitions: Some(statement::execute_partitions),
        StatementGetParameterSchema: Some(statement::parameter_schema),
        StatementSetOption: Some(options::set_text),
        StatementSetOptionBytes: Some(options::set_bytes),
        StatementSetOptionInt: Some(options::set_int),
        StatementSetOptionDouble: Some(options::set_double),
        StatementGetOption: Some(options::get_text),
        StatementGetOptionBytes: Some(options::get_bytes),
        StatementGetOptionInt: Some(options::get_int),
        StatementGetOptionDouble: Some(options::get_double),
        ErrorGetDetailCount: Some(detail_count),
        ErrorGetDetail: Some(detail),
        ErrorFromArrayStream: Some(error_of_stream),
    }
}
