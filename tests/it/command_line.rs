//! The real binary: what it prints and how it exits.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heraldns"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
        command.env_remove(name);
    }
    // The folder stands for the user's runtime folder too, so that no other server of this machine is met.
    command
        .args(arguments)
        .current_dir(folder)
        .env("XDG_RUNTIME_DIR", folder)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_names_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(stdout(&output), @r#"
    An authoritative DNS server that advertises its own anycast address

    Usage: heraldns [COMMAND]

    Commands:
      serve         Serve the zones and advertise the service addresses
      check-config  Check a configuration: every error with its place, or "ok"
      check-zone    Check a zone file: every error with its place, or "ok" with counts
      status        Show what a running server does: state, addresses, peers
      zones         List the zones of a running server
      explain       Tell why a running server advertises, or does not
      drain         Hand the service addresses over to another server, and serve until it is quiet
      undrain       End a drain: advertise again
      reload        Load the zones of a running server again
      router        Make this router spread the queries for the service addresses over all their servers
      neighbors     Show the neighbour cache of a running router side: entries, servers, weights, load
      watch         Ask a service address all the time and show which servers answer

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Without a command: serve, with the built-in configuration.
    Exit codes: 0 done, 1 refused or unhealthy, 2 wrong usage.
    HERALDNS_LOG filters the log, as in HERALDNS_LOG=debug.
    "#);
}

#[test]
fn every_command_has_its_help() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["serve", "check-config", "status", "zones", "explain", "drain", "undrain", "reload"] {
        let output = run(folder.path(), &[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(stdout(&output).contains(&format!("Usage: heraldns {command}")), "{command}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["--version"]);
    assert_eq!(stdout(&output), format!("heraldns {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["dance"][..],
        &["check-config"],
        &["drain", "--timeout", "5"],
        &["explain", "first"],
        &["serve", "--log-format", "xml"],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("error:"), "{arguments:?}");
    }
}

#[test]
fn check_config_says_ok_or_every_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("example.com.zone"), "").unwrap();
    fs::write(folder.path().join("good.toml"), "[zones]\ndirectory = \".\"\n").unwrap();
    let good = run(folder.path(), &["check-config", "good.toml"]);
    assert_eq!((good.status.code(), stdout(&good).as_str()), (Some(0), "ok\n"));

    fs::write(
        folder.path().join("bad.toml"),
        "[zones]\ndirectory = \".\"\n[dns]\nworkers = 0\nport = 53\n",
    )
    .unwrap();
    let bad = run(folder.path(), &["check-config", "bad.toml"]);
    assert_eq!(bad.status.code(), Some(1));
    assert_eq!(stdout(&bad), "");
    assert_snapshot!(stderr(&bad), @"
    bad.toml:4:11: error: 0 is no possible number of workers
      help: write 1 to 1024, or leave it out for one per core
    bad.toml:5:1: error: unknown key 'port' in [dns]
      help: known here: listen, tls-listen, https-listen, quic-listen, certificate-file, key-file, https-path, workers, udp-payload, rate-limit, rate-limit-slip, rate-limit-exempt, rate-limit-ipv4-prefix, rate-limit-ipv6-prefix, cookie-secret-file, cookie-required, tcp-idle, tcp-connections, tcp-connections-per-client, tcp-queries
    ");
}

const ZONE: &str = "$TTL 300\n@ SOA ns hostmaster 7 3600 900 604800 300\n@ NS ns\nns AAAA 2001:db8::1\n$INCLUDE more\n";

#[test]
fn check_zone_counts_or_names_every_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.zone"), ZONE).unwrap();
    fs::write(folder.path().join("more"), "www A 192.0.2.1\n").unwrap();
    let good = run(folder.path(), &["check-zone", "example.com", "good.zone"]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert_snapshot!(stdout(&good), @"ok: zone example.com., serial 7, 4 records at 3 names");
    let printed = run(folder.path(), &["check-zone", "--print", "example.com.", "good.zone"]);
    assert_snapshot!(stdout(&printed), @"
    example.com. 300 IN SOA ns.example.com. hostmaster.example.com. 7 3600 900 604800 300
    example.com. 300 IN NS ns.example.com.
    ns.example.com. 300 IN AAAA 2001:db8::1
    www.example.com. 300 IN A 192.0.2.1
    ");

    fs::write(folder.path().join("more"), "www A 192.0.2\nwww AAA ::1\n").unwrap();
    let bad = run(folder.path(), &["check-zone", "example.com", "good.zone"]);
    assert_eq!((bad.status.code(), stdout(&bad).as_str()), (Some(1), ""));
    assert_snapshot!(stderr(&bad), @"
    more:1:7: error: A address: '192.0.2' is not an IPv4 address; write four numbers up to 255 with dots, as in 192.0.2.1
    more:2:5: error: 'AAA' is not a record type; write [name] [TTL] [IN] type data, the type as a mnemonic such as A or as TYPE and its number
    ");

    let missing = run(folder.path(), &["check-zone", "example.com", "none.zone"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_snapshot!(stderr(&missing), @"none.zone: error: No such file or directory (os error 2)");
    assert_eq!(run(folder.path(), &["check-zone", "a..b", "good.zone"]).status.code(), Some(2));
}

#[test]
fn without_zones_serve_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(stderr(&output), @"
    built-in configuration: error: there is no folder zones/ in the current directory, and no config file was given
      help: start in a folder with zones/NAME.zone files, or name a config file: heraldns serve --config FILE
    ");
}

#[test]
fn a_log_filter_that_is_none_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_heraldns"));
    let output = command
        .arg("serve")
        .current_dir(folder.path())
        .env("HERALDNS_LOG", "heraldns=loud")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).starts_with("HERALDNS_LOG (environment): error: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn without_a_server_the_commands_exit_with_1_and_say_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["status", "zones", "explain", "drain", "undrain", "reload"] {
        let output = run(folder.path(), &[command, "--socket", "no.sock"]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert_eq!(
            stderr(&output),
            "error: no server is running at no.sock: start it with `heraldns serve`, or pass --socket PATH\n"
        );
    }
}

#[test]
fn without_a_router_side_neighbors_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["neighbors", "--socket", "no.sock"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: no router side is running at no.sock: start it with `heraldns router --config FILE`, or pass --socket PATH\n"
    );
}

#[test]
fn a_router_side_is_refused_with_everything_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("r.toml"), "[router]\npolicy = \"latest\"\n").unwrap();
    let output = run(folder.path(), &["router", "--config", "r.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).matches(": error: ").count(), 2, "{}", stderr(&output));
    let output = run(folder.path(), &["check-config", "r.toml"]);
    assert_eq!(output.status.code(), Some(1));
}
