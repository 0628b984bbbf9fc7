//! The end of TCP connections: told, closed in a pause, never with a query in the socket; and the same at SIGTERM of the real binary.
//!
//! The clients are careful ones: before they ask they look whether the server has closed. What such a client asks is
//! answered, always.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use heraldns::dns::server::{Limits, Usher};
use heraldns::io::clock;
use hickory_proto::rr::RecordType;
use rustix::process::Signal;

use crate::dns::{LIMITS, PATIENCE, Server, framed, query, read_framed};
use crate::protection::connections::told_idle_time;
use crate::running;

/// A pause of clients that go on asking: shorter than what a drain waits for, longer than the shortest it makes use of.
const PAUSE: Duration = Duration::from_millis(60);
/// The same of clients that are sent away: as long after the pause in which the server ends them (23 ms) as before the one that it
/// waits for at first (230 ms). A busy machine that delays one of the two for so long has their query and the end cross.
const LONG_PAUSE: Duration = Duration::from_millis(125);
/// After a pause like this a server that parts closes; a client makes one when a busy machine holds it up.
const PARTING_PAUSE: Duration = Duration::from_millis(230);

fn exchange(stream: &mut TcpStream, query: &[u8]) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&framed(query)).unwrap();
    read_framed(stream)
}

/// True when the server has closed in order; waits `limit` for it. Nothing else may come.
fn is_closed_within(stream: &mut TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(count) => {
            assert_eq!(count, 0, "an answer that nobody has asked for");
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => panic!("not closed in order: {error}"),
    }
}

/// Asks, waits for the answer, pauses, until the server closes or it is `enough`; says how many queries were answered.
fn ask_on(stream: &mut TcpStream, name: &str, pause: Duration, enough: &AtomicBool) -> usize {
    let mut answered = 0;
    while !enough.load(Relaxed) {
        let answer = exchange(stream, &query(9, name, RecordType::A));
        assert_eq!(answer[..2], [0, 9]);
        answered += 1;
        if is_closed_within(stream, pause) {
            break;
        }
    }
    answered
}

/// Sets it when it is dropped.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn started() -> (Server, Usher) {
    let server = Server::start_limited(Limits {
        tcp_idle: Duration::from_secs(60),
        ..LIMITS
    });
    let usher = server.usher();
    (server, usher)
}

#[test]
fn who_is_asked_to_leave_is_told_so_and_closed_in_the_first_long_pause() {
    let (server, usher) = started();
    let (mut silent, mut busy) = (server.tcp(), server.tcp());
    for stream in [&mut silent, &mut busy] {
        assert_eq!(told_idle_time(stream), 600);
    }
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| ask_on(&mut busy, "www.example.", PAUSE, &enough));
        // The scope waits for the busy one, whatever becomes of this thread.
        let _enough = SetAtEnd(&enough);
        let asked = clock::now();
        usher.ask_to_leave();
        assert!(is_closed_within(&mut silent, PATIENCE));
        assert!(
            clock::now().since(asked) < PATIENCE,
            "an idle time of a minute does not count any more"
        );
        // New ones are welcome, and told at once that it is not for long.
        assert_eq!(told_idle_time(&mut server.tcp()), 0);
        let before = server.total().accepted;
        server.wait_for("the busy one", |total| total.accepted > before + 30);
        enough.store(true, Relaxed);
        assert!(busy.join().unwrap() > 10, "who goes on asking is served on");
    });
    usher.welcome();
    let mut stream = server.tcp();
    assert_eq!(told_idle_time(&mut stream), 600);
    assert!(!is_closed_within(&mut stream, Duration::from_millis(600)), "the drain was ended");
}

#[test]
fn who_is_sent_away_is_closed_in_a_short_pause_with_every_query_answered() {
    let (server, usher) = started();
    let never = AtomicBool::new(false);
    let (answered, told) = mpsc::channel();
    thread::scope(|scope| {
        for mut stream in [server.tcp(), server.tcp(), server.tcp()] {
            exchange(&mut stream, &query(1, "www.example.", RecordType::A));
            let (answered, never) = (answered.clone(), &never);
            scope.spawn(move || answered.send(ask_on(&mut stream, "www.example.", LONG_PAUSE, never)));
        }
        server.wait_for("queries", |total| total.accepted >= 9);
        usher.send_away();
        for _ in 0..3 {
            told.recv_timeout(PATIENCE).expect("each is closed, with its last query answered");
        }
        // Those who come later have what those have who are only asked to leave.
        let mut late = server.tcp();
        for _ in 0..50 {
            let asked = clock::now();
            exchange(&mut late, &query(1, "www.example.", RecordType::A));
            if is_closed_within(&mut late, PAUSE) {
                let paused = clock::now().since(asked);
                assert!(paused >= PARTING_PAUSE, "closed after {paused:?}");
                late = server.tcp();
            }
        }
    });
}

#[test]
fn who_never_pauses_is_cut_when_what_has_come_is_answered_and_the_rest_is_counted() {
    let (server, usher) = started();
    let mut stream = server.tcp();
    let mut reader = stream.try_clone().unwrap();
    let asker = thread::spawn(move || {
        let query = framed(&query(9, "www.example.", RecordType::A));
        let mut asked = 0_u64;
        // The server takes them while it lingers; after that the kernel says that nobody does.
        while stream.write_all(&query).is_ok() {
            asked += 1;
        }
        asked
    });
    server.wait_for("queries", |total| total.accepted > 1_000);
    usher.send_away();
    let mut answers = Vec::new();
    let read = reader.read_to_end(&mut answers);
    let asked = asker.join().unwrap();
    // It asked on for longer than the server lingers: then the kernel resets, and not before the end of the answers.
    assert!(read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    server.wait_for("what came too late", |total| {
        total.drops[heraldns::dns::counters::Drop::Closed as usize] > 0
    });
    let total = server.total();
    assert!(total.queries <= asked + 1);
    assert_eq!(total.queries, total.accepted, "what was read as a query was answered");
}

/// The connections of a client beside each other: silent, asking with pauses, and with a burst of queries on their way.
fn crowd(address: SocketAddr) -> Vec<thread::JoinHandle<usize>> {
    let connect = move || TcpStream::connect(address).unwrap();
    let silent = (0..20).map(|_| {
        let mut stream = connect();
        exchange(&mut stream, &query(1, "ns.example.com.", RecordType::A));
        thread::spawn(move || {
            assert!(is_closed_within(&mut stream, PATIENCE));
            1
        })
    });
    let silent: Vec<_> = silent.collect();
    let asking = (0..20).map(|_| {
        let mut stream = connect();
        thread::spawn(move || ask_on(&mut stream, "ns.example.com.", LONG_PAUSE, &AtomicBool::new(false)))
    });
    silent.into_iter().chain(asking).collect()
}

#[test]
fn at_sigterm_every_query_is_answered_and_every_connection_closed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = running::Server::start(folder.path());
    let crowd = crowd(server.address);
    let mut burst = TcpStream::connect(server.address).unwrap();
    exchange(&mut burst, &query(0, "ns.example.com.", RecordType::A));
    let queries: Vec<u8> = (0..500)
        .flat_map(|id| framed(&query(id, "ns.example.com.", RecordType::AAAA)))
        .collect();
    burst.write_all(&queries).unwrap();
    server.signal(Signal::TERM);
    for id in 0..500_u16 {
        assert_eq!(read_framed(&mut burst)[..2], id.to_be_bytes());
    }
    assert!(is_closed_within(&mut burst, PATIENCE));
    for connection in crowd {
        assert!(connection.join().unwrap() > 0);
    }
    server.read_until("drained after");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}
