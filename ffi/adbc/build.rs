//! How `libplasmon_adbc.so` is linked.

fn main() {
    // It is never unloaded: hosts in Java and Python cannot promise that none of its threads or thread-locals is left.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
