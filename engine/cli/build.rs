//! Embeds the query texts and expected answers of the benchmark suites, so that the installed command needs no source tree.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    // Asked for when it runs: a target folder may serve several checkouts.
    let folder = |variable: &str| {
        let unset = || std::io::Error::other(format!("cargo sets {variable}"));
        std::env::var_os(variable).map(PathBuf::from).ok_or_else(unset)
    };
    let (root, out) = (folder("CARGO_MANIFEST_DIR")?.join("../.."), folder("OUT_DIR")?);
    embed(&root.join("benchmarks/tpch/queries"), "TPCH_QUERIES", "sql", &out.join("tpch_queries.rs"))?;
    embed(&root.join("benchmarks/tpch/answers/sf1"), "TPCH_ANSWERS_SF1", "csv", &out.join("tpch_answers_sf1.rs"))?;
    embed(&root.join("benchmarks/tpch/answers/sf10"), "TPCH_ANSWERS_SF10", "csv", &out.join("tpch_answers_sf10.rs"))?;
    embed(&root.join("tests/tpcds/queries"), "TPCDS_QUERIES", "sql", &out.join("tpcds_queries.rs"))
}

/// Writes `const NAME: &[(&str, &str)]`: label and text of the files `NN.extension` or `qNN.extension` in `folder`, in order. Variants
/// (`14b`) follow their number.
fn embed(folder: &Path, name: &str, extension: &str, target: &Path) -> std::io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files: Vec<(usize, String, PathBuf)> = Vec::new();
    let missing = |e: std::io::Error| std::io::Error::other(format!("{}: {e}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(missing)? {
        let path = entry?.path();
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let label = stem.trim_start_matches('q').trim_start_matches('0');
        let digits: String = label.chars().take_while(char::is_ascii_digit).collect();
        if let (Some(true), Ok(number)) = (path.extension().map(|e| e == extension), digits.parse()) {
            files.push((number, label.to_string(), path.canonicalize()?));
        }
    }
    files.sort();
    let mut text = format!("const {name}: &[(&str, &str)] = &[\n");
    for (_, label, path) in files {
        let _ = writeln!(text, "    ({label:?}, include_str!({:?})),", path.display().to_string());
    }
    text.push_str("];\n");
    std::fs::write(target, text)
}
