//! The rules of the house: who may depend on whom, how long files may be, where `unsafe` may stand, what must not be left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("readable folder").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for room in ["kernels", "engine", "ffi", "benchmarks", "tests"] {
        sources(&root().join(room), &mut found);
    }
    let relative = |p: &PathBuf| p.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    found.iter().map(|p| (relative(p), std::fs::read_to_string(p).expect("readable file"))).collect()
}

/// Lines before the unit tests.
fn body(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn rooms_depend_only_on_allowed_rooms() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let async_crates = ["tokio", "futures", "object_store"];
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let Some(allowed) = allowed_rooms(name) else { continue };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("a name");
            // Tests of a room keep to its arrows too; what else they use is theirs.
            assert!(!to.starts_with("plasmon") || allowed.contains(&to), "{name} must not depend on {to}");
            if !dependency["kind"].is_null() {
                continue;
            }
            assert!(!async_crates.contains(&to) || name == "plasmon-io", "{name}: only io may use {to}");
            assert!(name != "plasmon-kernels", "kernels must not depend on {to}");
            assert!(!to.starts_with("datafusion") || name == "plasmon-plan", "{name}: only plan may use {to}");
        }
    }
}

/// The rooms that a room may use; `None` = any (those that measure and prove).
fn allowed_rooms(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "plasmon-kernels" => &[],
        "plasmon-allocator" => &[],
        "plasmon-core" => &["plasmon-kernels"],
        "plasmon-plan" => &["plasmon-core"],
        "plasmon-io" => &["plasmon-core", "plasmon-kernels"],
        "plasmon-incremental" => &["plasmon-core", "plasmon-plan"],
        "plasmon" => &["plasmon-allocator", "plasmon-core", "plasmon-plan", "plasmon-io", "plasmon-incremental"],
        "plasmon-cli" => &["plasmon", "plasmon-allocator"],
        "plasmon-boundary" => &["plasmon"],
        "plasmon-abi" => &["plasmon-boundary", "plasmon"],
        "plasmon-c" => &["plasmon-abi", "plasmon-allocator"],
        "plasmon-jni" => &["plasmon-abi", "plasmon-boundary", "plasmon-allocator"],
        "plasmon-adbc" => &["plasmon-abi", "plasmon-boundary", "plasmon", "plasmon-allocator"],
        "plasmon-benchmarks" | "plasmon-tests" => return None,
        other => panic!("{other}: a new room needs its arrows here and in engine/ARCHITECTURE.md"),
    })
}

#[test]
fn files_stay_readable() {
    const LINES_MAX: usize = 800;
    for (path, text) in all_sources() {
        let lines = body(&text).lines().count();
        assert!(lines <= LINES_MAX, "{path}: {lines} lines before tests, at most {LINES_MAX}");
        assert!(
            text.starts_with("//!") || path.ends_with("build.rs"),
            "{path}: starts without a //! sentence of what it is"
        );
    }
}

#[test]
fn unsafe_stands_only_where_allowed() {
    for (path, text) in all_sources() {
        let allowed = path.starts_with("kernels/")
            || path.starts_with("engine/core/src/row")
            || path == "engine/core/src/batch/arrow.rs"
            // An allocator is unsafe by its trait.
            || path == "engine/allocator/src/lib.rs"
            || path == "engine/core/tests/accounting/allocator.rs"
            || path.starts_with("ffi/")
            || path.ends_with("tidy.rs");
        let uses = text.lines().any(|l| {
            !l.trim_start().starts_with("//")
                && (l.contains("unsafe {") || l.contains("unsafe fn") || l.contains("unsafe impl"))
        });
        assert!(allowed || !uses, "{path}: unsafe is not allowed here");
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for (path, text) in all_sources().iter().filter(|(p, _)| !p.ends_with("tidy.rs")) {
        for word in ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "TODO", "XXX"] {
            assert!(!text.contains(word), "{path}: {word}");
        }
    }
}

#[test]
fn functions_stay_short() {
    const LINES_MAX: usize = 70;
    // One arm a type or kind: tables, which reading in pieces would not make plainer.
    const TABLES: [&str; 3] = ["fn import_column(", "fn export_column(", "fn expression(&mut self"];
    for (path, text) in all_sources() {
        let lines: Vec<&str> = body(&text).lines().collect();
        for (first, line) in lines.iter().enumerate().filter(|(_, line)| starts_function(line)) {
            if line.ends_with('}') || TABLES.iter().any(|t| line.contains(t)) {
                continue;
            }
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            // Declarations in traits have no body.
            if lines[first..].iter().find_map(|l| l.chars().last().filter(|c| matches!(c, '{' | ';'))) == Some(';') {
                continue;
            }
            let Some(length) = lines[first..].iter().position(|l| *l == end) else { continue };
            assert!(
                length < LINES_MAX,
                "{path}:{}: {} lines, at most {LINES_MAX}: {}",
                first + 1,
                length + 1,
                line.trim()
            );
        }
    }
}

fn starts_function(line: &str) -> bool {
    let mut words = line.trim_start();
    for prefix in ["pub(crate) ", "pub(super) ", "pub ", "const ", "unsafe "] {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    words.starts_with("fn ")
}

#[test]
fn the_core_raises_errors_and_does_not_panic() {
    for (path, text) in all_sources() {
        let is_test = path.ends_with("tests.rs") || path.ends_with("random_rows.rs");
        if !path.starts_with("engine/core/src") || is_test {
            continue;
        }
        for word in [".unwrap()", ".expect(", "panic!("] {
            assert!(!body(&text).contains(word), "{path}: {word} outside of tests; return an Error");
        }
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for document in ["README.md", "engine/ARCHITECTURE.md", "kernels/README.md", "ffi/README.md"] {
        let path = root().join(document);
        let text = std::fs::read_to_string(&path).expect(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or(link);
            let exists = file.is_empty() || file.contains("://") || path.with_file_name(file).exists();
            assert!(exists, "{document}: {link} leads nowhere");
        }
    }
}

#[test]
fn the_kernel_index_is_complete() {
    let index = std::fs::read_to_string(root().join("kernels/README.md")).expect("kernels/README.md");
    for (path, _) in all_sources() {
        let Some(file) = path.strip_prefix("kernels/") else { continue };
        let is_kernel = file.starts_with("src/")
            && !file.ends_with("lib.rs")
            && !file.ends_with("mod.rs")
            && !file.contains("tests");
        assert!(!is_kernel || index.contains(&format!("`{file}`")), "kernels/README.md has no row for {file}");
    }
    for named in index.split('`').filter(|word| word.starts_with("src/") && word.ends_with(".rs")) {
        assert!(root().join("kernels").join(named).exists(), "kernels/README.md: {named} is gone");
    }
}

/// `cargo run` (the command alone) and the tests (the whole workspace) must not switch on different features: the dependencies would
/// compile twice.
#[test]
fn one_feature_set_serves_all() {
    let features = |selection: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--prefix", "none", "--format", "{p} {f}", "--edges"])
            .args(selection)
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let text = String::from_utf8_lossy(&output.stdout).replace(" (*)", "");
        text.lines().map(str::to_string).collect::<std::collections::BTreeSet<_>>()
    };
    let command = features(&["normal,build"]);
    let all = features(&["normal,build,dev", "--workspace"]);
    assert!(command.len() > 100, "cargo tree gave {} lines", command.len());
    let other: Vec<_> = command.difference(&all).collect();
    assert!(
        other.is_empty(),
        "other features than in the whole workspace (pin them in engine/cli/Cargo.toml): {other:?}"
    );
}

/// The last cell of a row names a criterion group; ⇅ says that it is one of the `tiers` benchmark.
#[test]
fn listed_benchmarks_exist() {
    let index = std::fs::read_to_string(root().join("kernels/README.md")).expect("kernels/README.md");
    let benches: Vec<(String, String)> =
        all_sources().into_iter().filter(|(path, _)| path.starts_with("benchmarks/benches/")).collect();
    for row in index.lines().filter(|l| l.starts_with("| `src/")) {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or("").trim();
        if cell == "–" {
            continue;
        }
        let name = cell.split('`').nth(1).unwrap_or_else(|| panic!("kernels/README.md: no benchmark name in {row}"));
        let group = format!("benchmark_group(\"{name}\")");
        let module = format!("benchmarks/benches/tiers/{name}.rs");
        let exists = match cell.contains('⇅') {
            true => benches.iter().any(|(path, _)| *path == module),
            false => benches.iter().any(|(_, text)| text.contains(&group)),
        };
        assert!(exists, "kernels/README.md lists the benchmark {name}, which benchmarks/benches does not have: {row}");
    }
}

#[test]
fn sources_are_formatted() {
    let output = Command::new(env!("CARGO"))
        .args(["fmt", "--all", "--", "--check"])
        .current_dir(root())
        .output()
        .expect("cargo fmt runs");
    let differences = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "run `cargo fmt --all`:\n{differences}");
}
