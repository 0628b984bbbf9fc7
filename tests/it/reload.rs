//! Zones loaded again by a running server: what has changed and nothing else, broken files, and queries meanwhile.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heraldns::control::status::{Reloaded, State, Zone, ZoneState};
use heraldns::control::{Command, client};
use heraldns::dns::name::Name;
use rustix::process::Signal;

use crate::running::{Server, ZONE, ask, status};

/// Nothing that a server is waited for takes longer.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

fn reload(folder: &Path, zone: Option<&str>) -> Reloaded {
    let zone = zone.map(str::to_owned);
    client::ask(&folder.join("run/c.sock"), &Command::Reload { zone }).unwrap()
}

fn zones(folder: &Path) -> Vec<Zone> {
    client::ask(&folder.join("run/c.sock"), &Command::Zones).unwrap()
}

/// Loaded, unchanged, failed, gone.
fn counts(reloaded: &Reloaded) -> [u64; 4] {
    [reloaded.loaded, reloaded.unchanged, reloaded.failed, reloaded.gone]
}

/// Puts a whole new file in the place of the old one, as tools do that care.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

/// Reloads until all files are so old that the server can tell whether they have changed.
fn wait_until_settled(folder: &Path) -> Reloaded {
    let mut tries = LIMIT.as_millis() / POLL.as_millis();
    loop {
        let reloaded = reload(folder, None);
        if reloaded.loaded == 0 {
            return reloaded;
        }
        tries = tries.checked_sub(1).expect("the files never settle");
        thread::sleep(POLL);
    }
}

/// Octets that the main process has read from files and sockets since its start.
fn octets_read(folder: &Path) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", status(folder).pids.main)).unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    read.parse().unwrap()
}

fn query(id: u16, name: &str, record_type: u8) -> Vec<u8> {
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    octets.extend_from_slice(name.parse::<Name>().unwrap().as_wire());
    octets.extend([0, record_type, 0, 1]);
    octets
}

fn client_of(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// Response code and number of answers for the SOA of `name`.
fn ask_soa(server: SocketAddr, name: &str) -> (u8, u8) {
    let socket = client_of(server);
    socket.send(&query(1, name, 6)).unwrap();
    let mut octets = [0; 512];
    socket.recv(&mut octets).unwrap();
    (octets[3] & 0xf, octets[7])
}

#[test]
fn only_what_has_changed_is_read() {
    const LARGE: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let large = format!("{ZONE};{}\n", "x".repeat(LARGE));
    fs::write(folder.join("large.example.zone"), &large).unwrap();
    fs::write(folder.join("hosts.zone"), format!("{ZONE}$INCLUDE hosts.txt\n")).unwrap();
    fs::write(folder.join("hosts.txt"), "a A 192.0.2.1\n").unwrap();
    let mut server = Server::start(folder);
    assert_eq!(counts(&wait_until_settled(folder)), [0, 3, 0, 0]);
    // The reloads before have said that one was loaded, too.
    server.read_until("loaded=0 unchanged=3 failed=0 gone=0");

    // An included file is what its zone is made of.
    let before = octets_read(folder);
    replace(&folder.join("hosts.txt"), "a A 192.0.2.1\nb A 192.0.2.2\n");
    server.signal(Signal::HUP);
    let said = server.read_until("loaded=1 unchanged=2 failed=0 gone=0");
    assert!(said.contains("zones reloaded"), "{said}");
    let shown: Vec<(String, u64)> = zones(folder).into_iter().map(|zone| (zone.name, zone.records)).collect();
    let expected = [("example.com.", 3), ("large.example.", 3), ("hosts.", 5)];
    assert_eq!(shown, expected.map(|(name, records)| (name.to_owned(), records)));
    let read = octets_read(folder) - before;
    assert!(read < LARGE as u64 / 4, "{read} octets read, the large file with them");

    // What is named is read, changed or not.
    let reloaded = reload(folder, Some("LARGE.example"));
    assert_eq!(
        (counts(&reloaded), reloaded.zones[0].name.as_str()),
        ([1, 0, 0, 0], "large.example.")
    );
    assert!(octets_read(folder) - before > LARGE as u64);
    assert_eq!(counts(&reload(folder, None))[0], 1, "hosts.txt is too young to be known again");
}

#[test]
fn zones_come_and_go_with_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder);
    assert_eq!(ask_soa(server.address, "example.net."), (5, 0));
    fs::rename(folder.join("example.com.zone"), folder.join("example.net.zone")).unwrap();
    assert_eq!(counts(&reload(folder, None)), [1, 0, 0, 1]);
    assert_eq!(ask_soa(server.address, "example.net."), (0, 1));
    assert_eq!(ask_soa(server.address, "example.com."), (5, 0));

    // Which of the two it is cannot be told: everything stays as it was, and the server says why.
    fs::create_dir(folder.join("more")).unwrap();
    fs::write(folder.join("more/example.net.zone"), ZONE).unwrap();
    let refused = ask(folder, &["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(ask_soa(server.address, "example.net."), (0, 1));
    let problems = status(folder).problems;
    assert!(problems[0].contains("example.net. has two files"), "{problems:?}");
    fs::remove_dir_all(folder.join("more")).unwrap();

    // Nobody stops serving all zones by a reload: their disk is gone.
    fs::rename(folder.join("example.net.zone"), folder.join("away")).unwrap();
    let refused = ask(folder, &["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(ask_soa(server.address, "example.net."), (0, 1));
    let problems = status(folder).problems;
    assert!(problems[0].contains("is named *.zone"), "{problems:?}");
    fs::rename(folder.join("away"), folder.join("example.net.zone")).unwrap();
    reload(folder, None);
    assert_eq!(status(folder).problems, Vec::<String>::new());
}

#[test]
fn a_broken_file_keeps_the_old_zone_and_everybody_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::start(folder);
    let file = folder.join("example.com.zone");
    replace(&file, &ZONE.replace("2001:db8::1", "2001:db8::x"));
    server.signal(Signal::HUP);
    let place = "example.com.zone:4:9: error: ";
    server.read_until(place);
    server.read_until("loaded=0 unchanged=0 failed=1 gone=0");

    assert_eq!(ask_soa(server.address, "example.com."), (0, 1));
    let shown = status(folder);
    assert_eq!((shown.state, shown.zones.loaded, shown.zones.failed), (State::Standby, 1, 1));
    assert!(
        shown.problems[0].starts_with("zone example.com.: ") && shown.problems[0].contains(place),
        "{:?}",
        shown.problems
    );
    let zone = &zones(folder)[0];
    assert_eq!((zone.state, zone.serial), (ZoneState::Stale, Some(7)));
    assert!(zone.error.as_ref().unwrap().contains(place));

    // A broken file is read at every reload, whether or not it has changed.
    for command in [&["reload"][..], &["reload", "example.com."], &["zones"]] {
        let output = ask(folder, command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains(place) && said.contains("stale"), "{command:?}: {said}");
    }
    replace(&file, &ZONE.replace(" 7 ", " 8 "));
    let output = ask(folder, &["reload"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.starts_with("1 loaded, 0 unchanged, 0 failed, 0 gone\n"),
        "{said}"
    );
    assert_eq!((status(folder).problems, zones(folder)[0].serial), (Vec::new(), Some(8)));
}

#[test]
fn a_zone_that_was_never_loaded_is_this_servers_failure() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (orphan, child) = (folder.join("broken.test.zone"), folder.join("child.example.com.zone"));
    fs::write(&orphan, "no zone\n").unwrap();
    let server = Server::start(folder);
    assert_eq!(ask_soa(server.address, "broken.test."), (2, 0));
    // Its parent would say that it does not exist, and resolvers would keep that.
    assert_eq!(ask_soa(server.address, "child.example.com."), (3, 0));
    // Nothing else has changed: there is a new set of zones for this one's name alone.
    wait_until_settled(folder);
    fs::write(&child, "no zone\n").unwrap();
    assert_eq!(counts(&reload(folder, None)), [0, 1, 2, 0]);
    assert_eq!(ask_soa(server.address, "child.example.com."), (2, 0));
    assert_eq!(ask_soa(server.address, "example.com."), (0, 1));

    replace(&child, ZONE);
    reload(folder, Some("child.example.com."));
    assert_eq!(ask_soa(server.address, "child.example.com."), (0, 1));
    replace(&child, "no zone\n");
    reload(folder, None);
    assert_eq!(ask_soa(server.address, "child.example.com."), (0, 1), "the old one stays");
    fs::remove_file(&orphan).unwrap();
    assert_eq!(counts(&reload(folder, None))[3], 0, "it was not served");
    assert_eq!(ask_soa(server.address, "broken.test."), (5, 0));
}

/// Ten records that tell which version of the zone they are of.
fn version(letter: char) -> String {
    let records: String = (0..10).map(|number| format!("data TXT \"version {letter} {number}\"\n")).collect();
    format!("{ZONE}{records}")
}

fn occurrences(octets: &[u8], part: &str) -> usize {
    octets.windows(part.len()).filter(|window| *window == part.as_bytes()).count()
}

/// Asks in windows until `is_over`, but 2,000 times at least; how many answers were of each version.
fn ask_until(is_over: &AtomicBool, server: SocketAddr) -> [usize; 2] {
    const WINDOW: u16 = 16;
    const FEWEST_WINDOWS: u32 = 125;
    const MOST_WINDOWS: u32 = 200_000;
    let socket = client_of(server);
    let mut versions = [0; 2];
    let mut octets = [0; 512];
    for window in 0..MOST_WINDOWS {
        if window >= FEWEST_WINDOWS && is_over.load(Ordering::SeqCst) {
            break;
        }
        for id in 0..WINDOW {
            socket.send(&query(id, "data.example.com.", 16)).unwrap();
        }
        let mut missing: Vec<u16> = (0..WINDOW).collect();
        while !missing.is_empty() {
            let count = socket.recv(&mut octets).expect("a query was lost");
            let answer = &octets[..count];
            let id = u16::from_be_bytes([answer[0], answer[1]]);
            let place = missing.iter().position(|wanted| *wanted == id);
            missing.swap_remove(place.expect("a query was answered twice"));
            let found = ["version a ", "version b "].map(|part| occurrences(answer, part));
            assert!(found == [10, 0] || found == [0, 10], "of both versions: {found:?}");
            versions[usize::from(found[0] == 0)] += 1;
        }
    }
    socket.set_nonblocking(true).unwrap();
    assert_eq!(
        socket.recv(&mut octets).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "one answer too many"
    );
    versions
}

#[test]
fn hang_ups_under_load_lose_no_query() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::start(folder);
    let file = folder.join("example.com.zone");
    replace(&file, &version('a'));
    reload(folder, None);
    let (is_over, address) = (AtomicBool::new(false), server.address);
    let versions = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_until(&is_over, address))).collect();
        for turn in 0..20 {
            replace(&file, &version(if turn % 2 == 0 { 'b' } else { 'a' }));
            server.signal(Signal::HUP);
            server.read_until("loaded=1 unchanged=0 failed=0 gone=0");
        }
        is_over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let of_version = |index: usize| versions.iter().map(|counts| counts[index]).sum::<usize>();
    assert!(of_version(0) > 0 && of_version(1) > 0, "{versions:?}");
}

#[test]
fn a_hang_up_during_the_first_load_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (first, last) = (folder.join("a.zone"), folder.join("z.zone"));
    fs::write(&first, "no zone\n").unwrap();
    fs::write(&last, format!("{ZONE}$GENERATE 1-100000 h$ A 192.0.2.1\n")).unwrap();
    let mut server = Server::launch(folder, "");
    server.read_until("a.zone:1:");
    replace(&first, ZONE);
    server.signal(Signal::HUP);
    server.read_until("standby (was starting)");
    let state = || zones(folder)[0].state;
    let tries = LIMIT.as_millis() / POLL.as_millis();
    let is_loaded = (0..tries).any(|_| {
        let is_loaded = state() == ZoneState::Loaded;
        if !is_loaded {
            thread::sleep(POLL);
        }
        is_loaded
    });
    assert!(is_loaded, "{:?}", zones(folder));
}

#[test]
fn the_last_of_many_hang_ups_counts() {
    const LAST: u32 = 60;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder);
    for serial in 8..=LAST {
        replace(&folder.join("example.com.zone"), &ZONE.replace(" 7 ", &format!(" {serial} ")));
        server.signal(Signal::HUP);
    }
    let tries = LIMIT.as_millis() / POLL.as_millis();
    let is_there = (0..tries).any(|_| {
        let served = zones(folder)[0].serial;
        if served != Some(LAST) {
            thread::sleep(POLL);
        }
        served == Some(LAST)
    });
    assert!(is_there, "{:?}", zones(folder));
}
