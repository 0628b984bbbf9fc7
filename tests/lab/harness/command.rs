//! Running the tools of the system (`ip`, `bridge`, `dig`): their output, or a panic that shows what they said.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `command` and returns what it printed; panics with its errors if it fails.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `command` and returns all of its outcome.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs `command` with `input` on its standard input and returns all of its outcome.
#[track_caller]
pub(crate) fn output_with_input(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    stdin.write_all(input.as_bytes()).expect("it reads its input");
    drop(stdin);
    child.wait_with_output().expect("it can be waited for")
}

/// Runs `lines` as one batch of `ip` commands in the namespace of that name.
#[track_caller]
pub(crate) fn ip_batch(namespace: &str, lines: &[String]) {
    let mut command = Command::new("ip");
    command.args(["-6", "-netns", namespace, "-batch", "-"]);
    let output = output_with_input(&mut command, &(lines.join("\n") + "\n"));
    assert!(
        output.status.success(),
        "ip -netns {namespace} -batch: {}\n{}",
        lines.join("\n"),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// True if `tool` is in the search path.
pub(crate) fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
