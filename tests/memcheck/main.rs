//! Unsafe code under valgrind: the unit tests of `io::sys`, run again where every access to memory is watched.
//!
//! Needs valgrind; without it the test is reported *ignored*, and `HERALDNS_LAB=required` makes that a failure. The
//! address sanitizer does the same for whoever has a compiler that can: see CONTRIBUTING.md.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;

const TOOL: &str = "valgrind";
/// The tests that reach every unsafe block, which are all in this module.
const TESTS: &str = "io::sys::";
/// But these: valgrind has an allocator of its own, which gives nothing back.
const LEFT_OUT: &str = "io::sys::memory::";
/// What valgrind ends with when it has found something; a test that fails ends with another code.
const FOUND: i32 = 99;

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![Trial::ignorable_test("unsafe_code_touches_only_its_own_memory", || {
        match missing() {
            None => watch_tests().map(|()| Completion::Completed).map_err(Failed::from),
            Some(missing) if env::var("HERALDNS_LAB").is_ok_and(|wish| wish == "required") => {
                Err(Failed::from(format!("HERALDNS_LAB=required, and the test {missing}")))
            }
            Some(missing) => Ok(Completion::ignored_with(missing)),
        }
    })];
    libtest_mimic::run(&arguments, trials).exit();
}

fn missing() -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_installed = env::split_paths(&path).any(|folder| folder.join(TOOL).is_file());
    (!is_installed).then(|| format!("needs the program '{TOOL}'"))
}

fn watch_tests() -> Result<(), String> {
    let program = unit_tests()?;
    let output = Command::new(TOOL)
        .args([
            "--quiet",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            &format!("--error-exitcode={FOUND}"),
        ])
        .arg(&program)
        .args([TESTS, "--skip", LEFT_OUT, "--test-threads=1"])
        .output()
        .map_err(|error| format!("{TOOL}: {error}"))?;
    let text = text(&output);
    if !output.status.success() {
        return Err(format!("{TOOL}: {}\n{text}", output.status));
    }
    // Were the tests renamed, nothing would be watched and nothing would fail.
    let ran = text
        .lines()
        .filter(|line| line.starts_with("test io::sys::") && line.ends_with(" ... ok"));
    let modules = ["mmsg", "packet", "prefetch"];
    let missed: Vec<&str> = modules
        .into_iter()
        .filter(|module| !text.contains(&format!("test {TESTS}{module}::")))
        .collect();
    match (ran.count(), missed.is_empty()) {
        (10.., true) => Ok(()),
        (count, _) => Err(format!("only {count} tests ran, none of {missed:?}:\n{text}")),
    }
}

/// The program with the unit tests: cargo has just built it, and says where it is.
fn unit_tests() -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--lib", "--no-run", "--offline", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "heraldns" && message["profile"]["test"] == true;
        is_it.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    });
    programs.next().ok_or_else(|| format!("cargo names no program:\n{}", text(&output)))
}

fn text(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|octets| String::from_utf8_lossy(octets));
    format!("{out}{error}")
}
