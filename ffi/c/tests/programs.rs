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
    // The library keeps what open handles hold, and says nothing of it to the sanitizer.
    let output = Command::new(&program).env("ASAN_OPTIONS", "detect_leaks=0").output().expect("the program runs");
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
fn all_rules_hold() {
    assert_eq!(run(C, "tests/rules.c", Link::Shared), "all rules hold\n");
}

/// A caller that does everything wrong, 100,000 times, under AddressSanitizer where the compiler has it; `hostile CALLS SEED` makes more.
#[test]
fn a_hostile_caller_gets_codes() {
    let sanitized = [C, &["-fsanitize=address,undefined"]].concat();
    let output = run(if has_sanitizer() { &sanitized } else { C }, "tests/hostile.c", Link::Shared);
    assert!(output.contains("structs handed over"), "{output}");
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
    for program in ["examples/query_plasmon", "examples/query_static"] {
        let output = Command::new(path(program)).output().expect("the program runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), CPP_EXAMPLE);
    }
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
