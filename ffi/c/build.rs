//! How `libplasmon.so` is linked, and the name under which hosts find it.

use std::path::Path;

#[path = "../build.rs"]
mod every_library;

/// The major version of the ABI, which programs ask for by name. A test compares it with the header.
const ABI_MAJOR: u32 = 1;

fn main() {
    every_library::main();
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        let soname = format!("libplasmon.so.{ABI_MAJOR}");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        link_beside_the_library(&soname);
    }
}

/// Cargo writes `libplasmon.so`; programs that were linked with it ask for its soname. A link beside it lets them run from the build folder.
#[cfg(unix)]
fn link_beside_the_library(soname: &str) {
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    // target/release/build/plasmon-c-…/out
    let Some(folder) = Path::new(&out).ancestors().nth(3) else { return };
    let link = folder.join(soname);
    let _ = std::fs::remove_file(&link);
    if let Err(error) = std::os::unix::fs::symlink("libplasmon.so", &link) {
        println!("cargo::warning={}: {error}; programs need LD_PRELOAD or an installed library to run", link.display());
    }
}

#[cfg(not(unix))]
fn link_beside_the_library(_soname: &str) {}
