//! Databases: options first, then a session that all connections share.

use std::sync::{Arc, Mutex};

use adbc_core::constants::ADBC_OPTION_URI;
use adbc_core::error::AdbcStatusCode;
use adbc_core::options::OptionValue;
use adbc_ffi::{FFI_AdbcDatabase, FFI_AdbcError};
use plasmon::{Config, Session};
use plasmon_boundary::Failure;
use plasmon_boundary::handle::{Object, lock};

use crate::entry::{answer, object, place, take};
use crate::error::Result;
use crate::options::{Options, no_value, setting_of, text_of, unknown, value_of};

const NAME: &str = "a database";
/// The folder or file whose tables the database has.
const PATH: &str = "path";

/// The object behind an `AdbcDatabase`.
#[derive(Default)]
pub(crate) struct DatabaseObject(Mutex<State>);

#[derive(Default)]
struct State {
    path: Option<String>,
    /// Of the session, until there is one.
    settings: Vec<(String, String)>,
    session: Option<Arc<Session>>,
}

impl Object for DatabaseObject {
    const KIND: u8 = 41;
    const NAME: &'static str = NAME;
}

impl DatabaseObject {
    /// The session, once the database is initialized.
    pub(crate) fn session(&self) -> Result<Arc<Session>> {
        let session = lock(&self.0, NAME)?.session.clone();
        Ok(session.ok_or_else(|| Failure::state("the database is not initialized yet: call AdbcDatabaseInit"))?)
    }

    fn init(&self) -> Result<()> {
        let mut state = lock(&self.0, NAME)?;
        if state.session.is_some() {
            return Err(Failure::state("the database is initialized already").into());
        }
        let session = Session::new(Config::default())?;
        state.settings.iter().try_for_each(|(name, value)| session.set(name, value))?;
        if let Some(path) = &state.path {
            session.register_folder(path)?;
        }
        state.session = Some(Arc::new(session));
        Ok(())
    }
}

impl Options for DatabaseObject {
    fn set(&self, key: &str, value: OptionValue) -> Result<()> {
        let mut state = lock(&self.0, NAME)?;
        let text = text_of(key, &value)?;
        match (key, setting_of(key)) {
            (ADBC_OPTION_URI | PATH, _) if state.session.is_some() => {
                Err(Failure::state(format!("option {key} is read when the database is initialized"))
                    .hint("define tables of other files with CREATE EXTERNAL TABLE")
                    .into())
            }
            (ADBC_OPTION_URI, _) => {
                state.path = path_of(&text);
                Ok(())
            }
            (PATH, _) => {
                state.path = Some(text).filter(|path| !path.is_empty());
                Ok(())
            }
            (_, Some(name)) => match &state.session {
                Some(session) => Ok(session.set(name, &text)?),
                None => {
                    // Refused here rather than when the database is initialized.
                    Session::new(Config::default())?.set(name, &text)?;
                    state.settings.push((name.to_string(), text));
                    Ok(())
                }
            },
            (_, None) => Err(unknown(key, NAME)),
        }
    }

    fn get(&self, key: &str) -> Result<OptionValue> {
        let state = lock(&self.0, NAME)?;
        match (key, setting_of(key)) {
            (ADBC_OPTION_URI | PATH, _) => {
                state.path.clone().map(OptionValue::String).ok_or_else(|| no_value(key, NAME))
            }
            (_, Some(name)) => {
                let mut config = state.session.as_ref().map_or_else(Config::default, |session| session.config());
                // Those of object stores are no part of the configuration, and nobody's business.
                state.settings.iter().filter(|_| state.session.is_none()).for_each(|(name, value)| {
                    let _ = config.set(name, value);
                });
                value_of(&config, name, NAME)
            }
            (_, None) => Err(no_value(key, NAME)),
        }
    }
}

/// The path of `file:///data`, `plasmon:///data`, `plasmon:data` or `data` itself; none when nothing is left.
fn path_of(uri: &str) -> Option<String> {
    let rest = ["file:", "plasmon:"].iter().find_map(|scheme| uri.strip_prefix(scheme)).unwrap_or(uri);
    let path = if rest.len() == uri.len() { rest } else { rest.strip_prefix("//").unwrap_or(rest) };
    Some(path.to_string()).filter(|path| !path.is_empty())
}

/// `AdbcDatabaseNew`.
pub(crate) unsafe extern "C" fn new(database: *mut FFI_AdbcDatabase, error: *mut FFI_AdbcError) -> AdbcStatusCode {
    // SAFETY: the rules of `adbc.h`, here and below.
    answer(error, || unsafe { place(database, || Ok(DatabaseObject::default())) })
}

/// `AdbcDatabaseInit`.
pub(crate) unsafe extern "C" fn init(database: *mut FFI_AdbcDatabase, error: *mut FFI_AdbcError) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { object(database)? }.init())
}

/// `AdbcDatabaseRelease`. Connections that are open keep the session.
pub(crate) unsafe extern "C" fn release(database: *mut FFI_AdbcDatabase, error: *mut FFI_AdbcError) -> AdbcStatusCode {
    // SAFETY: as above.
    answer(error, || unsafe { take(database) }.map(drop))
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn uris_are_paths() {
        let path = |uri| path_of(uri).unwrap_or_default();
        assert_eq!(path("/data/tpch"), "/data/tpch");
        assert_eq!(path("file:///data/tpch"), "/data/tpch");
        assert_eq!(path("plasmon:///data"), "/data");
        assert_eq!(path("plasmon:data"), "data");
        assert_eq!((path("plasmon://"), path("")), (String::new(), String::new()));
    }
}
