//! The service process (300) on real sockets of the loopback interface: datagrams, connections, limits, counters, closing.

#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use heraldns::base::cost::CostClass;
use heraldns::dns::answer::Load;
use heraldns::dns::counters::{self, Counters, Drop, Tally, Transport};
use heraldns::dns::protect::Protection;
use heraldns::dns::protect::cookie::Secrets;
use heraldns::dns::server::{Limits, Listener, RECEIVE, ServeError, Service, Shared, Usher};
use heraldns::dns::zone::{self, ZoneSet};
use heraldns::io::clock;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use tokio::runtime::Runtime;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const LIMITS: Limits = Limits {
    workers: 2,
    tcp_idle: Duration::from_secs(5),
    tcp_connections: 8,
    tcp_connections_per_client: 8,
    tcp_queries: None,
};

/// A running service with one zone and one listener, and a client of it.
pub(crate) struct Server {
    service: Option<Service>,
    pub(crate) shared: Arc<Shared>,
    counters: Arc<Counters>,
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

fn zones(serial: u32) -> ZoneSet {
    let mut text = format!("$TTL 60\n@ SOA ns host {serial} 2 3 4 5\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n");
    for number in 0..200 {
        text += &format!("many TXT \"number {number}\"\n");
    }
    let mut no_include = |path: &str| Err(format!("{path} is not to be included"));
    let zone = zone::load(&"example.".parse().unwrap(), "example.", text.as_bytes(), &mut no_include)
        .unwrap()
        .zone;
    ZoneSet::new(vec![Arc::new(zone)])
}

impl Server {
    fn start() -> Self {
        Self::start_with("127.0.0.1:0", LIMITS)
    }

    fn start_with(address: &str, limits: Limits) -> Self {
        Self::start_with_payload(address, limits, 1232)
    }

    /// One with other limits, for connections.
    pub(crate) fn start_limited(limits: Limits) -> Self {
        Self::start_with("127.0.0.1:0", limits)
    }

    /// Who shows its clients out.
    pub(crate) fn usher(&self) -> Usher {
        self.service.as_ref().unwrap().usher()
    }

    fn start_with_payload(address: &str, limits: Limits, udp_payload: u16) -> Self {
        Self::start_protected(address, limits, udp_payload, Protection::with(Secrets::of(&[7; 16])))
    }

    pub(crate) fn start_protected(address: &str, limits: Limits, udp_payload: u16, protection: Protection) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shared = Arc::new(Shared {
            zones: ArcSwap::from_pointee(zones(1)),
            identity: "test-1".to_owned(),
            version: "heraldns test".to_owned(),
            udp_payload,
            load: Arc::default(),
            protection,
        });
        let counters = Arc::new(Counters::new());
        let listener = Listener {
            address: address.parse().unwrap(),
            service: true,
        };
        let handle = runtime.handle().clone();
        let service = Service::start(&[listener], Arc::clone(&shared), Arc::clone(&counters), limits, handle).unwrap();
        let address = service.addresses().next().unwrap();
        Self {
            service: Some(service),
            shared,
            counters,
            address,
            _runtime: runtime,
        }
    }

    fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind((self.address.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(self.address).unwrap();
        socket
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask_udp(&self, query: &[u8]) -> Vec<u8> {
        let socket = self.udp();
        socket.send(query).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    pub(crate) fn total(&self) -> Tally {
        self.counters.snapshot().total()
    }

    /// Counters are added after the answer is sent: waits until they say what is expected.
    pub(crate) fn wait_for(&self, what: &str, reached: impl Fn(&Tally) -> bool) {
        let start = clock::now();
        while !reached(&self.total()) {
            assert!(clock::now().since(start) < PATIENCE, "{what}: {:?}", self.total());
            thread::yield_now();
        }
    }
}

pub(crate) fn query(id: u16, name: &str, record_type: RecordType) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
    message.to_vec().unwrap()
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

pub(crate) fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

/// True when the server has closed the connection and sent nothing more.
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn udp_and_tcp_give_the_same_answer() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::start_with(address, LIMITS);
        let mut stream = server.tcp();
        for (name, record_type) in [
            ("wWw.example.", RecordType::A),
            ("www.example.", RecordType::AAAA),
            ("nothing.example.", RecordType::A),
            ("elsewhere.test.", RecordType::A),
        ] {
            let query = query(7, name, record_type);
            let by_udp = server.ask_udp(&query);
            stream.write_all(&framed(&query)).unwrap();
            assert_eq!(by_udp, read_framed(&mut stream), "{name} over {address}");
            assert_eq!(Message::from_vec(&by_udp).unwrap().metadata.id, 7);
        }
    }
}

#[test]
fn what_is_asked_again_is_answered_and_counted_as_before() {
    let server = Server::start_with(
        "127.0.0.1:0",
        Limits {
            workers: 1, // they do not share what they remember
            ..LIMITS
        },
    );
    let questions = [
        ("wWw.example.", RecordType::A, ResponseCode::NoError),
        ("nothing.example.", RecordType::AAAA, ResponseCode::NXDomain),
        ("many.example.", RecordType::TXT, ResponseCode::NoError),
        ("elsewhere.test.", RecordType::A, ResponseCode::Refused),
    ];
    let mut first = Vec::new();
    for round in 0..3_u16 {
        for (index, (name, record_type, response_code)) in questions.into_iter().enumerate() {
            let mut answer = server.ask_udp(&query(round, name, record_type));
            let message = Message::from_vec(&answer).unwrap();
            assert_eq!((message.metadata.id, message.metadata.response_code), (round, response_code));
            answer.drain(..2);
            if round == 0 {
                first.push(answer);
            } else {
                assert_eq!(answer, first[index], "{name}");
            }
        }
    }
    server.wait_for("all are counted", |total| total.accepted == 12);
    let total = server.total();
    assert_eq!((total.queries, total.truncated), (12, 3));
    let codes = [ResponseCode::NoError, ResponseCode::NXDomain, ResponseCode::Refused].map(|code| usize::from(u16::from(code)));
    assert_eq!(codes.map(|code| total.response_codes[code]), [6, 3, 3]);
    let types = [1_u16, 28, 16].map(|number| counters::QUERY_TYPES.iter().position(|known| known.0 == number).unwrap());
    assert_eq!(types.map(|place| total.query_types[place]), [6, 3, 3]);
}

#[test]
fn what_is_too_long_for_a_datagram_comes_by_tcp() {
    let server = Server::start();
    let query = query(1, "many.example.", RecordType::TXT);
    let cut = server.ask_udp(&query);
    assert!(cut.len() <= 512 && Message::from_vec(&cut).unwrap().metadata.truncation);
    let mut stream = server.tcp();
    stream.write_all(&framed(&query)).unwrap();
    let whole = Message::from_vec(&read_framed(&mut stream)).unwrap();
    assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 200));
}

#[test]
fn many_datagrams_at_once_are_all_answered() {
    let server = Server::start();
    let socket = server.udp();
    for id in 0..200 {
        socket.send(&query(id, "www.example.", RecordType::A)).unwrap();
    }
    let mut seen = [false; 200];
    let mut buffer = [0; 512];
    for _ in 0..200 {
        let length = socket.recv(&mut buffer).unwrap();
        seen[usize::from(Message::from_vec(&buffer[..length]).unwrap().metadata.id)] = true;
    }
    assert!(seen.iter().all(|seen| *seen));
    server.wait_for("200 accepted answers", |total| total.accepted == 200);
    let total = server.total();
    assert_eq!(
        (total.queries, total.refused, total.response_codes[0], total.query_types[0]),
        (200, 0, 200, 200)
    );
    assert!(total.busy > 0);
    assert_eq!(total.from_others, 0, "the source is this host itself");
}

#[test]
fn what_gets_no_answer_is_counted_by_its_cause() {
    let server = Server::start();
    let socket = server.udp();
    let mut response = query(1, "www.example.", RecordType::A);
    response[2] |= 0x80;
    socket.send(&response).unwrap();
    socket.send(&response[..11]).unwrap();
    socket.send(&[0; RECEIVE + 1]).unwrap();
    socket.send(&query(2, "www.example.", RecordType::A)).unwrap();
    let mut buffer = [0; 512];
    socket.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..2], [0, 2], "only the query is answered");
    let count = |total: &Tally, cause| total.drops[cause as usize];
    server.wait_for("three drops", |total| {
        [Drop::Response, Drop::Short, Drop::Oversized]
            .iter()
            .all(|cause| count(total, *cause) == 1)
    });
    assert_eq!(server.total().queries, 1);
}

#[test]
fn malformed_queries_are_answered_over_both_transports() {
    let server = Server::start();
    let mut malformed = query(3, "www.example.", RecordType::A);
    // it says that an additional record follows, and none does
    malformed[11] += 1;
    let by_udp = server.ask_udp(&malformed);
    let mut stream = server.tcp();
    stream.write_all(&framed(&malformed)).unwrap();
    assert_eq!(by_udp, read_framed(&mut stream));
    assert_eq!(Message::from_vec(&by_udp).unwrap().metadata.response_code, ResponseCode::FormErr);
}

#[test]
fn pipelined_queries_are_answered_in_pieces_and_at_once() {
    let server = Server::start();
    let mut stream = server.tcp();
    stream.set_nodelay(true).unwrap();
    let queries: Vec<u8> = (0..100)
        .flat_map(|id| framed(&query(id, "many.example.", RecordType::TXT)))
        .collect();
    for piece in queries.chunks(17) {
        stream.write_all(piece).unwrap();
    }
    for id in 0..100 {
        let answer = Message::from_vec(&read_framed(&mut stream)).unwrap();
        assert_eq!((answer.metadata.id, answer.answers.len()), (id, 200));
    }
    server.wait_for("100 accepted answers", |total| total.accepted == 100);
}

#[test]
fn a_client_that_closes_its_side_still_gets_its_answers() {
    let server = Server::start();
    let mut stream = server.tcp();
    stream.write_all(&framed(&query(1, "www.example.", RecordType::A))).unwrap();
    stream.write_all(&framed(&query(2, "www.example.", RecordType::A))).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_framed(&mut stream)[..2], [0, 1]);
    assert_eq!(read_framed(&mut stream)[..2], [0, 2]);
    assert!(is_closed(&mut stream));
}

#[test]
fn a_connection_without_whole_queries_is_closed() {
    let idle = Limits {
        tcp_idle: Duration::from_millis(200),
        ..LIMITS
    };
    let server = Server::start_with("127.0.0.1:0", idle);
    let (mut silent, mut slow) = (server.tcp(), server.tcp());
    slow.write_all(&framed(&query(1, "www.example.", RecordType::A))[..20]).unwrap();
    let start = clock::now();
    assert!(is_closed(&mut silent) && is_closed(&mut slow));
    assert!(clock::now().since(start) < PATIENCE / 2);
}

#[test]
fn a_client_that_takes_no_answers_is_not_the_kernel_refusing_them() {
    let impatient = Limits {
        tcp_idle: Duration::from_millis(200),
        ..LIMITS
    };
    let server = Server::start_with("127.0.0.1:0", impatient);
    let mut stream = server.tcp();
    // Their answers are 20 MB: more than the buffers of both sides hold.
    let queries = framed(&query(1, "many.example.", RecordType::TXT)).repeat(4000);
    // The connection may be closed before all are sent.
    let _ = stream.write_all(&queries);
    server.wait_for("answers not taken", |total| total.drops[Drop::ClientGone as usize] >= 8);
    assert_eq!(server.total().refused, 0);
}

#[test]
fn a_message_that_gets_no_answer_closes_its_connection() {
    let server = Server::start();
    let mut stream = server.tcp();
    stream.write_all(&framed(&query(1, "www.example.", RecordType::A))).unwrap();
    stream.write_all(&[0, 3, 1, 2, 3]).unwrap();
    assert_eq!(read_framed(&mut stream)[..2], [0, 1]);
    assert!(is_closed(&mut stream));
    server.wait_for("a short message", |total| total.drops[Drop::Short as usize] == 1);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_counted() {
    let few = Limits {
        tcp_connections_per_client: 2,
        ..LIMITS
    };
    let server = Server::start_with("127.0.0.1:0", few);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(&framed(&query(1, "www.example.", RecordType::A))).unwrap();
        read_framed(stream).len()
    };
    let (mut one, mut two) = (server.tcp(), server.tcp());
    assert!(ask(&mut one) > 12 && ask(&mut two) > 12);
    assert!(is_closed(&mut server.tcp()));
    server.wait_for("one refused connection", |total| total.drops[Drop::ConnectionLimit as usize] == 1);
    drop(one);
    let start = clock::now();
    while is_closed_at_once(&server) {
        assert!(
            clock::now().since(start) < PATIENCE,
            "the place of the closed connection was never free"
        );
    }
}

fn is_closed_at_once(server: &Server) -> bool {
    let mut stream = server.tcp();
    let sent = stream.write_all(&framed(&query(1, "www.example.", RecordType::A)));
    sent.is_err() || is_closed(&mut stream)
}

#[test]
fn a_reload_is_seen_by_the_next_query() {
    let server = Server::start();
    let serial = || {
        Message::from_vec(&server.ask_udp(&query(1, "example.", RecordType::SOA)))
            .unwrap()
            .answers[0]
            .data
            .to_string()
    };
    assert!(serial().contains(" 1 2 3 4 5"));
    server.shared.zones.store(Arc::new(zones(2)));
    assert!(serial().contains(" 2 2 3 4 5"));
}

#[test]
fn the_load_is_told_as_it_is_now_over_both_transports() {
    let server = Server::start();
    let mut asking = Message::from_vec(&query(7, "load.heraldns.", RecordType::TXT)).unwrap();
    asking.queries[0].set_query_class(DNSClass::CH);
    let asking = asking.to_vec().unwrap();
    let text = |octets: &[u8]| Message::from_vec(octets).unwrap().answers[0].data.to_string();
    for (load, class) in [(0, CostClass::Normal), (310, CostClass::Busy), (1_200, CostClass::Overloaded)] {
        let recent_load = load + 1;
        server.shared.load.tell(Load { load, recent_load, class });
        let expected = format!("load={load} recent={recent_load} class={class}");
        let mut stream = server.tcp();
        stream.write_all(&framed(&asking)).unwrap();
        assert_eq!(text(&read_framed(&mut stream)), expected);
        // The same octets from the same workers: an answer that was kept would be an old one.
        (0..8).for_each(|_| assert_eq!(text(&server.ask_udp(&asking)), expected));
    }
}

#[test]
fn hearts_beat_without_queries() {
    let server = Server::start();
    let loops = || server.counters.snapshot().workers().map(|worker| worker.loops).collect::<Vec<_>>();
    let (before, start) = (loops(), clock::now());
    assert_eq!(before.len(), 3, "two UDP workers and TCP");
    while !loops().iter().zip(&before).all(|(now, before)| now > before) {
        assert!(clock::now().since(start) < PATIENCE, "{:?} -> {:?}", before, loops());
        thread::yield_now();
    }
}

#[test]
fn a_worker_that_panics_goes_on_until_it_panics_again_and_again() {
    // A buffer below 512 octets breaks the contract of `respond`: nothing less makes it panic.
    let server = Server::start_with_payload("127.0.0.1:0", LIMITS, 511);
    let dead = || server.counters.snapshot().dead_workers();
    // One socket: all its datagrams get to the same worker.
    let socket = server.udp();
    let panic_once = |number| {
        socket.send(&query(1, "www.example.", RecordType::A)).unwrap();
        server.wait_for("a panic", |total| total.drops[Drop::Panic as usize] == number);
    };
    panic_once(1);
    socket.send(&[0; 11]).unwrap();
    server.wait_for("a message after the panic", |total| total.drops[Drop::Short as usize] == 1);
    (2..10).for_each(panic_once);
    assert_eq!(dead(), 0);
    panic_once(10);
    let start = clock::now();
    while dead() == 0 {
        assert!(clock::now().since(start) < PATIENCE);
        thread::yield_now();
    }
    let mut stream = server.tcp();
    stream.write_all(&framed(&query(2, "www.example.", RecordType::A))).unwrap();
    assert_eq!(read_framed(&mut stream)[..2], [0, 2], "TCP goes on");
}

#[test]
fn draining_answers_what_is_in_the_queues_and_closes() {
    let mut server = Server::start();
    let socket = server.udp();
    let mut stream = server.tcp();
    for id in 0..50 {
        socket.send(&query(id, "www.example.", RecordType::A)).unwrap();
    }
    stream.write_all(&framed(&query(9, "www.example.", RecordType::A))).unwrap();
    assert!(server.service.take().unwrap().drain(PATIENCE), "the queues were empty in time");
    let mut buffer = [0; 512];
    for _ in 0..50 {
        socket.recv(&mut buffer).unwrap();
    }
    assert_eq!(read_framed(&mut stream)[..2], [0, 9]);
    assert!(is_closed(&mut stream));
    assert!(TcpStream::connect(server.address).is_err());
    assert_eq!(server.total().accepted, 51, "counts outlive their listener");
    assert!(server.counters.snapshot().listeners.is_empty());
}

#[test]
fn a_listener_can_be_added_and_closed() {
    let mut server = Server::start();
    let listener = Listener {
        address: "127.0.0.2:0".parse().unwrap(),
        service: false,
    };
    let service = server.service.as_mut().unwrap();
    let added = service.add_listener(listener).unwrap();
    assert_eq!(service.addresses().count(), 2);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query(5, "www.example.", RecordType::A), added).unwrap();
    let (_, source) = socket.recv_from(&mut [0; 512]).unwrap();
    assert_eq!(source, added, "the answer comes from the address that was asked");
    assert!(service.close(added) && !service.close(added));
    let snapshot = server.counters.snapshot();
    assert!(snapshot.listeners.iter().all(|listener| listener.address == server.address));
}

#[test]
fn addresses_that_cannot_be_had_are_named_with_the_cure() {
    let server = Server::start();
    let start = |address: SocketAddr| {
        let listener = Listener { address, service: false };
        let (shared, counters) = (Arc::clone(&server.shared), Arc::new(Counters::new()));
        Service::start(&[listener], shared, counters, LIMITS, server._runtime.handle().clone()).unwrap_err()
    };
    let taken = start(server.address);
    assert!(
        matches!(
            taken,
            ServeError::InUse {
                transport: Transport::Tcp,
                ..
            }
        ),
        "{taken}"
    );
    assert!(taken.to_string().contains(&server.address.to_string()), "{taken}");
    let elsewhere = start("192.0.2.1:5300".parse().unwrap());
    assert!(matches!(elsewhere, ServeError::NotHere { .. }), "{elsewhere}");
}
