//! The real binary as a server without privileges: started, asked through its admin socket and its web part, stopped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use heraldns::control::status::{State, Status, Zone};
use heraldns::control::{self, client};
use rustix::process::{Pid, Signal, kill_process};

const ZONE: &str = "$TTL 300\n@ SOA ns hostmaster 7 3600 900 604800 300\n@ NS ns\nns AAAA 2001:db8::1\n";

/// A running server; it is told to stop when this is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    log: BufReader<ChildStderr>,
}

impl Server {
    /// Starts a server in `folder` and waits until it says that it can serve.
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    /// Starts one with more lines in `[dns]`.
    pub(crate) fn start_with(folder: &Path, dns: &str) -> Self {
        fs::write(folder.join("example.com.zone"), ZONE).unwrap();
        let port = free_port();
        let config = format!(
            "identity = \"t1\"\n[dns]\nlisten = [\"127.0.0.1:{port}\"]\n{dns}[zones]\ndirectory = \".\"\n[control]\nsocket = \"run/c.sock\"\n[web]\nlisten = \"\"\n"
        );
        fs::write(folder.join("c.toml"), config).unwrap();
        let mut process = heraldns(folder, &["serve", "--config", "c.toml"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut server = Self { process, port, log };
        server.read_until("standby (was starting)");
        server
    }

    /// Reads the log up to a line with `text` in it; its end is a failure.
    pub(crate) fn read_until(&mut self, text: &str) {
        let mut lines = self.log.by_ref().lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(text)), "the server ended before it said '{text}'");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::TERM);
            let _ = self.process.wait();
        }
    }
}

/// A port that was free a moment ago, for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

pub(crate) fn heraldns(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heraldns"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERALDNS_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder);
    command
}

pub(crate) fn ask(folder: &Path, command: &[&str]) -> Output {
    let arguments: Vec<&str> = command.iter().copied().chain(["--socket", "run/c.sock"]).collect();
    heraldns(folder, &arguments).output().unwrap()
}

#[test]
fn a_server_tells_its_status_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    assert_eq!(ask(folder.path(), &["status", "--json"]).status.code(), Some(0));
    let status = status(folder.path());
    assert_eq!((status.identity.as_str(), status.state), ("t1", State::Standby));
    assert_eq!(status.pids.guardian, Some(server.process.id()));
    assert_eq!(status.zones.loaded, 1);

    server.signal(Signal::TERM);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(!folder.path().join("run/c.sock").exists(), "the admin socket is left behind");
    assert_eq!(ask(folder.path(), &["status"]).status.code(), Some(1));
}

fn status(folder: &Path) -> Status {
    let output = ask(folder, &["status", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn the_guardian_starts_main_again_when_it_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let first = status(folder.path()).pids;
    kill(first.main);
    server.read_until("main died");
    server.read_until("standby (was starting)");
    let second = status(folder.path()).pids;
    assert_ne!(second.main, first.main);
    assert_eq!(second.guardian, first.guardian);
    server.signal(Signal::TERM);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_start_is_refused_and_leaves_the_first_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path());
    let before = status(folder.path()).pids;
    let second = heraldns(folder.path(), &["serve", "--config", "c.toml"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("c.sock"), "{said}");
    assert_eq!(status(folder.path()).pids, before);
}

#[test]
fn the_guardian_does_not_give_up_a_main_that_has_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let config = fs::read_to_string(folder.path().join("c.toml")).unwrap();
    fs::write(folder.path().join("c.toml"), "broken").unwrap();
    kill(status(folder.path()).pids.main);
    server.read_until("main died (signal: 9");
    server.read_until("main died (exit status: 1)");
    fs::write(folder.path().join("c.toml"), config).unwrap();
    server.read_until("standby (was starting)");
    assert_eq!(ask(folder.path(), &["status"]).status.code(), Some(0));
}

#[test]
fn main_survives_the_guardian_and_still_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let main = status(folder.path()).pids.main;
    kill(server.process.id());
    server.process.wait().unwrap();
    let alone = status(folder.path());
    assert_eq!((alone.pids.main, alone.pids.guardian), (main, None));
    kill_process(Pid::from_raw(main.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    server.read_until("stopped");
}

#[test]
fn a_hang_up_reloads_the_zones() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    fs::write(folder.path().join("example.com.zone"), ZONE.replace(" 7 ", " 9 ")).unwrap();
    server.signal(Signal::HUP);
    server.read_until("zones reloaded");
    let zones: Vec<Zone> = client::ask(&folder.path().join("run/c.sock"), &control::Command::Zones).unwrap();
    assert_eq!(zones[0].serial, Some(9));
}

#[test]
fn a_drained_server_is_unhealthy_until_the_drain_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    assert_eq!(ask(folder.path(), &["drain"]).status.code(), Some(0));
    let drained = ask(folder.path(), &["status"]);
    assert_eq!(drained.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&drained.stdout).starts_with("t1 is draining: "));
    assert_eq!(ask(folder.path(), &["undrain"]).status.code(), Some(0));
    server.read_until("standby (was draining)");
    assert_eq!(ask(folder.path(), &["status"]).status.code(), Some(0));
}

#[test]
fn a_zone_with_an_error_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path());
    fs::write(folder.path().join("example.com.zone"), "no zone").unwrap();
    let output = ask(folder.path(), &["reload", "example.com."]);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("stale") && shown.contains("example.com.zone:1:"), "{shown}");

    fs::write(folder.path().join("example.com.zone"), ZONE.replace(" 7 ", " 8 ")).unwrap();
    assert_eq!(ask(folder.path(), &["reload"]).status.code(), Some(0));
    let zones: Vec<Zone> = client::ask(&folder.path().join("run/c.sock"), &control::Command::Zones).unwrap();
    assert_eq!(zones[0].serial, Some(8));
}
