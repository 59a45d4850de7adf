//! How the libraries that hosts load are linked. `libplasmon.so` has more: `c/build.rs`.

pub(crate) fn main() {
    // They are never unloaded: hosts in Java and Python cannot promise that none of their threads or thread-locals is left.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    println!("cargo::rerun-if-changed=../build.rs");
}
