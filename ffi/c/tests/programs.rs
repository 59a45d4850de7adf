//! C and C++ programs against the header and both libraries, as a host would build them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo put `libplasmon.so` and `libplasmon.a`: beside the folder of this test.
fn libraries() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    test.ancestors().nth(2).expect("target/release").to_path_buf()
}

#[derive(Clone, Copy, PartialEq)]
enum Link {
    Shared,
    Static,
}

/// Compiles `source` and runs it; its output.
fn run(compiler: &[&str], source: &str, link: Link) -> String {
    run_with(compiler, source, link, &[])
}

fn run_with(compiler: &[&str], source: &str, link: Link, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("program");
    let libraries = libraries();
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).args(["-O1", "-Wall", "-Wextra", "-Werror"]);
    command
        .arg("-I")
        .arg(root().join("include"))
        .arg("-I")
        .arg(root().join("../cpp/include"))
        .arg(root().join(source))
        .arg("-o")
        .arg(&program);
    match link {
        Link::Shared => command.arg("-L").arg(&libraries).arg("-lplasmon"),
        Link::Static => command.arg(libraries.join("libplasmon.a")).args(["-lm", "-ldl"]),
    };
    command.arg("-lpthread").arg(format!("-Wl,-rpath,{}", libraries.display()));
    let output = command.output().expect("a C compiler");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    // mimalloc, which this library has, hides its memory from the sanitizer: tests/sanitize looks for leaks.
    let mut program = Command::new(&program);
    let output = program.args(arguments).env("ASAN_OPTIONS", "detect_leaks=0").output().expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{source}: {:?}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

const C: &[&str] = &["cc", "-std=gnu11"];
const CPP: &[&str] = &["c++", "-std=c++17"];
const CPP_EXAMPLE: &str = "0 333333\n1 333334\n2 333333\nthere is no table or view nowhere\n";

#[test]
fn the_example_runs() {
    for link in [Link::Shared, Link::Static] {
        assert_eq!(run(C, "examples/query.c", link), "0 333333\n1 333334\n2 333333\n");
    }
}

#[test]
fn the_example_of_operators_runs() {
    let expected = "0 66666 24832845\n1 66666 25100044\n2 66667 25033281\n3 66666 24966317\n4 66668 24900728\n";
    assert_eq!(run(C, "examples/operators.c", Link::Shared), expected);
}

#[test]
fn operators_memory_and_log_hold() {
    assert_eq!(run(C, "tests/operators.c", Link::Shared), "all holds\n");
}

#[test]
fn all_rules_hold() {
    assert_eq!(run(C, "tests/rules.c", Link::Shared), "all rules hold\n");
}

#[test]
fn functions_of_the_host_work() {
    assert_eq!(run(C, "tests/functions.c", Link::Shared), "functions work\n");
}

#[test]
fn substrait_plans_go_out_and_come_back() {
    assert_eq!(run(C, "tests/substrait.c", Link::Shared), "plans go out and come back\n");
}

/// A caller that does everything wrong, 30,000 times, the caller under AddressSanitizer where the compiler has it; tests/sanitize does it a million
/// times with the library under it too.
#[test]
fn a_hostile_caller_gets_codes() {
    let output = run_sanitized("tests/hostile.c", &["30000"]);
    assert!(output.contains("streams released"), "{output}");
}

/// A function that the hostile caller does not know would go untried.
#[test]
fn the_hostile_caller_knows_every_function() {
    let [header, hostile, operators] = ["include/plasmon.h", "tests/hostile.c", "tests/hostile_operators.h"]
        .map(|file| std::fs::read_to_string(root().join(file)).expect("a file of this folder"));
    let hostile = hostile + &operators;
    let functions = header.lines().filter_map(|line| line.split_once('(')?.0.rsplit_once("plasmon_").map(|f| f.1));
    let functions: Vec<&str> = functions.filter(|f| f.chars().all(|c| c.is_ascii_lowercase() || c == '_')).collect();
    assert!(functions.contains(&"query_step"), "{functions:?}");
    for function in functions.iter().filter(|f| !f.is_empty()) {
        let tried =
            [format!("plasmon_{function}("), format!(", {function},")].iter().any(|call| hostile.contains(call));
        assert!(tried, "plasmon_{function} is not tried in tests/hostile.c");
    }
}

#[test]
fn a_query_can_be_stopped_at_any_moment() {
    let output = run_sanitized("tests/races.c", &["300"]);
    assert!(output.starts_with("300 rounds"), "{output}");
}

fn run_sanitized(source: &str, arguments: &[&str]) -> String {
    let sanitized = [C, &["-fsanitize=address,undefined"]].concat();
    run_with(if has_sanitizer() { &sanitized } else { C }, source, Link::Shared, arguments)
}

fn has_sanitizer() -> bool {
    let mut probe = Command::new("cc");
    probe.args(["-fsanitize=address,undefined", "-x", "c", "-", "-o", "/dev/null"]);
    let Ok(mut compiler) = probe.stdin(Stdio::piped()).stderr(Stdio::null()).spawn() else { return false };
    let written =
        compiler.stdin.take().is_some_and(|mut source| source.write_all(b"int main(void) { return 0; }").is_ok());
    compiler.wait().is_ok_and(|status| status.success() && written)
}

#[test]
fn cpp_programs_run() {
    if Command::new("c++").arg("--version").output().is_err() {
        eprintln!("no C++ compiler here: the headers are not tried with one");
        return;
    }
    assert_eq!(run(&["c++", "-std=c++17", "-x", "c++"], "tests/rules.c", Link::Shared), "all rules hold\n");
    assert_eq!(run(CPP, "../cpp/tests/raii.cpp", Link::Shared), "all holds\n");
    assert_eq!(run(CPP, "../cpp/examples/query.cpp", Link::Static), CPP_EXAMPLE);
}

/// Installed by CMake, found by CMake, linked both ways.
#[test]
fn the_cmake_package_is_found() {
    if Command::new("cmake").arg("--version").output().is_err() {
        eprintln!("no cmake here: the package is not tried");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let cmake = |arguments: &[String]| {
        let output = Command::new("cmake").args(arguments).output().expect("cmake runs");
        assert!(output.status.success(), "cmake {arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let package = root().join("../cpp").display().to_string();
    let libraries = format!("-DPLASMON_LIBRARY_DIR={}", libraries().display());
    let prefix = format!("-DCMAKE_INSTALL_PREFIX={}", path("prefix"));
    cmake(&["-S".into(), package.clone(), "-B".into(), path("package"), libraries, prefix]);
    cmake(&["--install".into(), path("package")]);
    let found = format!("-DCMAKE_PREFIX_PATH={}", path("prefix"));
    cmake(&["-S".into(), format!("{package}/examples"), "-B".into(), path("examples"), found]);
    cmake(&["--build".into(), path("examples")]);
    // Installed under its soname too, which programs ask for.
    let installed = std::fs::read_dir(path("prefix")).expect("a folder").flatten();
    let folders = installed.flat_map(|f| [f.path(), f.path().join("x86_64-linux-gnu")]);
    assert!(folders.into_iter().any(|f| f.join("libplasmon.so.1").exists()), "no soname in {}", path("prefix"));
    for program in ["examples/query_plasmon", "examples/query_static"] {
        let output = Command::new(path(program)).output().expect("the program runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), CPP_EXAMPLE);
    }
}

/// Programs ask for the ABI's major version; the library stays loaded, and its thread-locals need no room kept at the program's start.
#[test]
fn the_library_is_linked_as_hosts_expect() {
    let library = libraries().join("libplasmon.so");
    let Ok(output) = Command::new("readelf").arg("-dW").arg(&library).output() else {
        eprintln!("no readelf here: the library's dynamic section is not looked at");
        return;
    };
    let header = std::fs::read_to_string(root().join("include/plasmon.h")).expect("the header");
    let version = header.lines().find_map(|l| l.strip_prefix("#define PLASMON_ABI_VERSION ")).expect("the version");
    let major = version.trim_start_matches('(').split(" << 16").next().expect("major << 16");
    let section = String::from_utf8_lossy(&output.stdout);
    assert!(section.contains(&format!("soname: [libplasmon.so.{major}]")), "{section}");
    assert!(section.contains("NODELETE"), "{section}");
    assert!(!section.contains("STATIC_TLS") && !section.contains("TEXTREL"), "{section}");
    let link = libraries().join(format!("libplasmon.so.{major}"));
    assert_eq!(link.canonicalize().expect("a link"), library.canonicalize().expect("a library"));
}

/// A host's own symbols must not be taken for ours, nor ours for its.
#[test]
fn only_our_symbols_are_exported() {
    let library = libraries().join("libplasmon.so");
    let Ok(output) = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output() else {
        eprintln!("no nm here: symbols are not looked at");
        return;
    };
    let names = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = names.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let header = std::fs::read_to_string(root().join("include/plasmon.h")).expect("the header");
    assert!(names.len() > 20, "{names:?}");
    for name in &names {
        assert!(name.starts_with("plasmon_") && header.contains(&format!("{name}(")), "{name} is exported");
    }
}
