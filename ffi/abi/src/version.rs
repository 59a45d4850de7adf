//! Which library this is, and whether it serves a program that was compiled against another header.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use plasmon_boundary::guard::guarded;
use plasmon_boundary::{Code, Failure};

use crate::PLASMON_ABI_VERSION;

/// The library's version, `major.minor.patch`. Lives as long as the process. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The ABI that the library serves; compare with `PLASMON_ABI_VERSION` of the header. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_abi_version() -> u32 {
    PLASMON_ABI_VERSION
}

/// Whether the library serves programs compiled for `abi_version` (pass `PLASMON_ABI_VERSION`): the same major version, and a minor one that is
/// not newer than its own; else `PLASMON_CODE_UNSUPPORTED_VERSION`. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_check_abi(abi_version: u32) -> i32 {
    guarded(|| {
        let (major, minor) = (abi_version >> 16, abi_version & 0xffff);
        let (own_major, own_minor) = (PLASMON_ABI_VERSION >> 16, PLASMON_ABI_VERSION & 0xffff);
        if major == own_major && minor <= own_minor {
            return Ok(());
        }
        let message =
            format!("the program was compiled for ABI {major}.{minor}, the library serves {own_major}.{own_minor}");
        Err(Failure::new(Code::UnsupportedVersion, message)
            .hint("compile it with the header that came with this library"))
    })
}

/// What the library can do on this machine, as a JSON object: `version`, `abi`, `simd` (`scalar`, `avx2`, `avx512`), `plan_version` (the
/// newest version of `plan.proto` that is read), `formats`. Lives as long as
/// the process. Since ABI 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_features() -> *const c_char {
    static FEATURES: OnceLock<CString> = OnceLock::new();
    let features = FEATURES.get_or_init(|| {
        let described = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "abi": format!("{}.{}", PLASMON_ABI_VERSION >> 16, PLASMON_ABI_VERSION & 0xffff),
            "simd": plasmon::core::simd_tier(),
            "plan_version": plasmon::plan::wire::VERSION,
            "formats": ["parquet", "csv", "json", "arrow"],
        });
        plasmon_boundary::text::terminated(&described.to_string())
    });
    features.as_ptr()
}
