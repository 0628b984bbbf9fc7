//! The limits of TCP connections: queries on one, idle time when places get few, clients that take nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::Duration;

use heraldns::dns::server::Limits;
use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;

use super::*;
use crate::dns::is_closed;

fn connected(limits: Limits) -> Server {
    Server::start_protected("127.0.0.1:0", limits, 1232, Protection::with(Secrets::of(&SECRET)))
}

fn exchange(stream: &mut TcpStream, query: &[u8]) -> Message {
    stream.write_all(&framed(query)).unwrap();
    Message::from_vec(&read_framed(stream)).unwrap()
}

#[test]
fn a_connection_has_so_many_queries() {
    let server = connected(Limits {
        tcp_queries: NonZeroU64::new(3),
        ..LIMITS
    });
    let mut stream = server.tcp();
    let five: Vec<u8> = (0..5).flat_map(|id| framed(&query(id, "www.example.", RecordType::A))).collect();
    stream.write_all(&five).unwrap();
    for id in 0..3 {
        assert_eq!(read_framed(&mut stream)[..2], [0, id]);
    }
    assert!(is_closed(&mut stream), "with the third answer");
    assert_eq!(exchange(&mut server.tcp(), &ask("www.example.")).answers.len(), 1);
    server.wait_for("four queries", |total| total.queries == 4);
}

#[test]
fn what_is_not_read_any_more_destroys_no_answer() {
    let server = connected(Limits {
        tcp_queries: NonZeroU64::new(3),
        ..LIMITS
    });
    let mut stream = server.tcp();
    // Far more than the server reads before it closes: it must not close over octets that wait, or its answers are lost.
    stream.write_all(&framed(&ask("www.example.")).repeat(5_000)).unwrap();
    for _ in 0..3 {
        assert_eq!(Message::from_vec(&read_framed(&mut stream)).unwrap().answers.len(), 1);
    }
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed in order");
}

#[test]
fn who_asks_is_never_idle() {
    // Longer than a busy machine keeps this client from asking.
    let idle = Duration::from_secs(1);
    let server = connected(Limits { tcp_idle: idle, ..LIMITS });
    let (mut stream, start) = (server.tcp(), clock::now());
    while clock::now().since(start) < 2 * idle {
        assert_eq!(exchange(&mut stream, &ask("www.example.")).answers.len(), 1);
    }
}

#[test]
fn idle_connections_make_room_when_places_get_few() {
    let long = Duration::from_secs(3_600);
    let server = connected(Limits { tcp_idle: long, ..LIMITS });
    let mut streams: Vec<TcpStream> = (1..LIMITS.tcp_connections).map(|_| server.tcp()).collect();
    let mut last = server.tcp();
    let start = clock::now();
    // Who began to wait when there were places may have thought that an hour is left; who asks is never idle.
    while !streams.iter_mut().any(has_ended) {
        assert_eq!(exchange(&mut last, &ask("www.example.")).answers.len(), 1);
        assert!(clock::now().since(start) < PATIENCE, "nobody made room");
    }
    // A place is free when its client has closed too.
    drop(streams);
    let start = clock::now();
    while !is_answered(&server) {
        assert!(clock::now().since(start) < PATIENCE, "no place is free");
    }
}

/// Whether the server has closed its side; waits a moment for it, shorter by far than the time in which the others must ask.
fn has_ended(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    stream.read(&mut [0; 1]).is_ok_and(|count| count == 0)
}

fn is_answered(server: &Server) -> bool {
    let mut stream = server.tcp();
    let sent = stream.write_all(&framed(&ask("www.example.")));
    sent.is_ok() && stream.read_exact(&mut [0; 14]).is_ok()
}

/// A query with an empty edns-tcp-keepalive option.
fn ask_for_idle_time() -> Vec<u8> {
    let mut asking = Message::from_vec(&ask("www.example.")).unwrap();
    let edns = asking.edns.insert(Edns::new());
    edns.options_mut().insert(EdnsOption::Unknown(11, Vec::new()));
    asking.to_vec().unwrap()
}

/// The idle time that the server tells, in units of 100 ms.
pub(crate) fn told_idle_time(stream: &mut TcpStream) -> u16 {
    let answer = exchange(stream, &ask_for_idle_time());
    let options = answer.edns.as_ref().unwrap().options();
    let (_, time) = options.as_ref().iter().find(|(code, _)| u16::from(*code) == 11).unwrap();
    u16::from_be_bytes(Vec::try_from(time).unwrap().try_into().unwrap())
}

#[test]
fn the_idle_time_is_told_over_tcp_and_shrinks() {
    let server = connected(Limits {
        tcp_idle: Duration::from_secs(10),
        ..LIMITS
    });
    let mut first = server.tcp();
    assert_eq!(told_idle_time(&mut first), 100);
    let mut others: Vec<TcpStream> = (1..6).map(|_| server.tcp()).collect();
    assert_eq!(told_idle_time(&mut others[4]), 50, "two of eight places are left");
    let by_udp = Client::of("127.0.0.1", server.address).ask(&ask_for_idle_time());
    assert!(by_udp.edns.unwrap().options().as_ref().is_empty(), "not over UDP (RFC 7828 §3.2.2)");
}

#[test]
fn no_more_is_read_than_can_be_written() {
    let server = connected(Limits {
        tcp_idle: Duration::from_secs(60),
        ..LIMITS
    });
    let mut stream = server.tcp();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    // 30 MB, more than the buffers of both sides hold; their answers are 5 kB each.
    let queries = framed(&query(1, "many.example.", RecordType::TXT)).repeat(1_000_000);
    let sent = stream.write_all(&queries);
    assert!(sent.is_err(), "all of it was read, though no answer was");
    let answered = server.total().queries;
    assert!(answered < 10_000, "{answered} answers wait");
}

#[test]
fn a_cookie_is_answered_over_tcp_and_never_required_there() {
    let protection = Protection {
        cookie_required: true,
        ..Protection::with(Secrets::of(&SECRET))
    };
    let server = protected("127.0.0.1:0", protection);
    let answer = exchange(&mut server.tcp(), &ask_with_cookie("www.example.", &CLIENT_COOKIE));
    assert_eq!(answer.answers.len(), 1);
    let again = Client::of("127.0.0.1", server.address).ask(&ask_with_cookie("www.example.", &cookie_of(&answer)));
    assert_eq!(again.metadata.response_code, ResponseCode::NoError, "it is good over UDP");
}
