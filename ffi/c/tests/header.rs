//! The committed header is the one that the sources give.

use std::path::Path;

/// `PLASMON_WRITE_HEADER=1 cargo test --release --workspace --test header` writes it.
#[test]
fn the_header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    // The modules of abi's lib.rs are found from it.
    let sources = ["../boundary/src/failure.rs", "../abi/src/lib.rs"];
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in sources {
        builder = builder.with_src(root.join(source));
    }
    let mut made = Vec::new();
    builder.generate().expect("a header").write(&mut made);
    let made = String::from_utf8(made).expect("a header is text");
    let path = root.join("include/plasmon.h");
    if std::env::var_os("PLASMON_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("the header is written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == committed,
        "ffi/c/include/plasmon.h is not what the sources give; write it with\n\
         PLASMON_WRITE_HEADER=1 cargo test --release --workspace --test header"
    );
}
