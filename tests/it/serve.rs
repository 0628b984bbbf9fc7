//! The real binary as a server without privileges: started, asked through its admin socket and its web part, stopped.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use heraldns::control::status::State;
use rustix::process::{Pid, Signal, kill_process};

use crate::running::{Server, ask, heraldns, status};

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

#[test]
fn the_load_is_told_to_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let socket = UdpSocket::bind((server.address.ip(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04load\x08heraldns\0\0\x10\0\x03";
    socket.send_to(query, server.address).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(
        text.contains("load=") && text.contains(" recent=") && text.contains(" class="),
        "{text}"
    );
}

fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
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
fn a_main_that_hangs_is_spoken_for_and_starts_as_new_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let pids = status(folder.path()).pids;
    for _ in 0..2 {
        signal(pids.main, Signal::STOP);
        server.read_until("main has not answered for");
        signal(pids.main, Signal::CONT);
        // Two processes write it.
        server.read_until_all(&["its guardian has said its farewell: it starts as new", "main answers again"]);
    }
    assert_eq!(status(folder.path()).pids, pids, "nobody was started anew");
    // A main that died while it was hanging is started again like any other.
    signal(pids.main, Signal::STOP);
    server.read_until("main has not answered for");
    kill(pids.main);
    server.read_until("main died (signal: 9");
    server.read_until("standby (was starting)");
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
