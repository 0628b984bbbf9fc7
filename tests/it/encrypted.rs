//! The encrypted transports on real sockets of the loopback interface: equal answers, certificates, limits, draining.

mod answers;
mod clients;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use heraldns::dns::counters::{Counters, Drop, Tally, Transport};
use heraldns::dns::protect::Protection;
use heraldns::dns::protect::cookie::Secrets;
use heraldns::dns::server::encrypted::{
    CertificateError, CertificateFiles, Certificates, Encrypted, EncryptedListener, Encryption, Renewal,
};
use heraldns::dns::server::{Limits, Listener, ServeError, Service, Shared};
use heraldns::dns::zone::{self, ZoneSet};
use heraldns::io::clock;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use answers::Answer;
use clients::{Client, Https, Quic, Tls, handshake};

const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of an answer without EDNS that fits a datagram; what this server sends at most is more, so that only `many` does not fit.
const LARGEST: u16 = 4096;

const LIMITS: Limits = Limits {
    workers: 1,
    tcp_idle: Duration::from_secs(5),
    tcp_connections: 20,
    tcp_connections_per_client: 20,
    tcp_queries: None,
};

const SIGNATURE: &str = "13 2 300 20300101000000 20200101000000 1 example. AAECAwQFBgcICQ==";

/// A service that speaks everything, with a certificate that was just made.
struct Server {
    service: Option<Service>,
    counters: Arc<Counters>,
    certificates: Arc<Certificates>,
    shown: CertificateDer<'static>,
    plain: SocketAddr,
    tls: SocketAddr,
    https: SocketAddr,
    quic: SocketAddr,
    runtime: Runtime,
    folder: TempDir,
}

/// Every kind of record whose names may be compressed, some where they must not be, and every kind of answer.
fn zones() -> ZoneSet {
    let mut text = format!(
        r#"
$TTL 300
@            3600 SOA   ns Host 7 7200 3600 1209600 60
             3600 RRSIG SOA {SIGNATURE}
                  NS    ns
                  NSEC  alias NS SOA RRSIG NSEC
                  RRSIG NSEC {SIGNATURE}
alias             CNAME WWW
alias2            CNAME alias
away              CNAME host.elsewhere.test.
cut               NS    ns.cut
                  NS    ns
ns.cut            A     192.0.2.54
dname             DNAME target.sub
host.sub          AAAA  2001:db8::7
mail              MX    10 www
                  MX    20 mx.other.
mailbox           MB    www
                  MG    mail
                  MR    alias
                  MINFO www mail
old               MD    www
                  MF    mail
ns                A     192.0.2.53
pointer           PTR   www
secure            NS    ns.elsewhere.test.
                  DS    1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
                  RRSIG DS {SIGNATURE}
service           SRV   0 0 853 www
                  NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example!" .
                  RP    www mail
                  AFSDB 1 www
                  KX    1 www
                  SVCB  1 www alpn=dot
                  CAA   0 issue "ca.example"
text              TXT   "\192\012" ""
                  TYPE65280 \# 4 c00cc00c
                  TYPE65281 \# 0
a.target.sub      A     192.0.2.9
*.wild            A     192.0.2.7
                  MX    0 www
WWW               A     192.0.2.80
                  AAAA  2001:db8::80
                  RRSIG A {SIGNATURE}
"#
    );
    for number in 0..300 {
        text += &format!("many TXT \"number {number}\"\n");
    }
    let other = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.58\nmx 60 AAAA 2001:db8::58\n";
    let load = |(apex, text): (&str, &str)| {
        let mut no_include = |path: &str| Err(format!("{path} is not to be included"));
        let loaded = zone::load(&apex.parse().unwrap(), apex, text.as_bytes(), &mut no_include);
        Arc::new(loaded.unwrap_or_else(|problems| panic!("{apex}: {problems:?}")).zone)
    };
    ZoneSet::new([("example.", text.as_str()), ("other.", other)].map(load).to_vec())
}

/// A new certificate and its key, written to the files of a server.
fn make_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec![clients::NAME.to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

impl Server {
    fn start() -> Self {
        Self::start_with(LIMITS)
    }

    fn start_with(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let shown = make_certificate(folder.path());
        let files = CertificateFiles {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let shared = Arc::new(Shared {
            zones: ArcSwap::from_pointee(zones()),
            identity: "test-1".to_owned(),
            version: "heraldns test".to_owned(),
            udp_payload: LARGEST,
            protection: Protection::with(Secrets::of(&[7; 16])),
        });
        let counters = Arc::new(Counters::new());
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = Listener { address, service: false };
        let handle = runtime.handle().clone();
        let mut service = Service::start(&[listener], shared, Arc::clone(&counters), limits, handle).unwrap();
        let certificates = Arc::new(Certificates::load(files).unwrap());
        let encryption = Encryption {
            certificates: Arc::clone(&certificates),
            https_path: "/dns-query".to_owned(),
        };
        let mut add = |speaks| {
            let listener = EncryptedListener {
                address,
                speaks,
                service: false,
            };
            service.add_encrypted(&listener, &encryption).unwrap()
        };
        let [tls, https, quic] = [Encrypted::Tls, Encrypted::Https, Encrypted::Quic].map(&mut add);
        let plain: Vec<SocketAddr> = service.addresses().collect();
        assert_eq!(plain.len(), 1, "only what is spoken to by UDP and TCP");
        Self {
            service: Some(service),
            counters,
            certificates,
            shown,
            plain: plain[0],
            tls,
            https,
            quic,
            runtime,
            folder,
        }
    }

    fn connect<C: Client>(&self, server: SocketAddr) -> C {
        self.connect_trusting(server, &[self.shown.clone()])
    }

    fn connect_trusting<C: Client>(&self, server: SocketAddr, trusted: &[CertificateDer<'static>]) -> C {
        self.runtime.block_on(C::connect(server, trusted))
    }

    fn ask(&self, client: &mut impl Client, query: &[u8]) -> Vec<u8> {
        self.runtime.block_on(client.ask(query))
    }

    fn ask_udp(&self, query: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(query, self.plain).unwrap();
        let mut buffer = [0; 65_535];
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn ask_tcp(&self, query: &[u8]) -> Vec<u8> {
        let mut stream = tcp(self.plain);
        stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        answer
    }

    fn count(&self, transport: Transport) -> Tally {
        let snapshot = self.counters.snapshot();
        let mut sum = Tally::default();
        let listeners = snapshot.listeners.iter().filter(|listener| listener.transport == transport);
        listeners
            .flat_map(|listener| &listener.workers)
            .for_each(|worker| sum += &worker.tally);
        sum
    }

    /// Counts are added after an answer is sent: waits until they say what is expected.
    fn wait_for(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let start = clock::now();
        while !reached(self) {
            assert!(
                clock::now().since(start) < PATIENCE,
                "{what}: {:?}",
                self.counters.snapshot().total()
            );
            thread::yield_now();
        }
    }
}

fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// True when the server has closed the connection and sent nothing more.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// A query with id 0, as QUIC wants it.
fn query(name: &str, record_type: RecordType) -> Message {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
    message
}

fn with_edns(mut message: Message, change: impl FnOnce(&mut Edns)) -> Message {
    let edns = message.edns.get_or_insert_default();
    edns.set_max_payload(LARGEST);
    change(edns);
    message
}

/// A question in every manner: as written, in mixed case, without and with EDNS, DO, NSID, a cookie, padding, all at once.
fn manners(name: &str, record_type: RecordType) -> Vec<Vec<u8>> {
    let mixed: String = name
        .char_indices()
        .map(|(at, letter)| if at % 3 == 1 { letter.to_ascii_uppercase() } else { letter })
        .collect();
    let option = |edns: &mut Edns, code: u16, octets: &[u8]| {
        let option = EdnsOption::Unknown(code, octets.to_vec());
        edns.options_mut().as_mut().push((EdnsCode::from(code), option));
    };
    let manner = |name: &str, change: &dyn Fn(&mut Edns)| with_edns(query(name, record_type), change).to_vec().unwrap();
    vec![
        query(name, record_type).to_vec().unwrap(),
        query(&mixed, record_type).to_vec().unwrap(),
        manner(name, &|_| ()),
        manner(&mixed, &|edns| drop_result(edns.set_dnssec_ok(true))),
        manner(name, &|edns| option(edns, 3, &[])),
        manner(name, &|edns| option(edns, 10, b"\x01\x02\x03\x04\x05\x06\x07\x08")),
        manner(&mixed, &|edns| {
            edns.set_dnssec_ok(true);
            option(edns, 3, &[]);
            option(edns, 12, &[0; 60]);
            option(edns, 65_001, b"any");
        }),
    ]
}

fn drop_result<T>(_result: T) {}

/// Every kind of answer there is to a question of class IN.
fn questions() -> Vec<(&'static str, RecordType)> {
    let mut questions = vec![
        ("cut.example.", RecordType::DS),
        ("secure.example.", RecordType::DS),
        ("a.secure.example.", RecordType::A),
        ("a.cut.example.", RecordType::A),
        ("a.dname.example.", RecordType::A),
        ("nothing.dname.example.", RecordType::A),
        ("x.wild.example.", RecordType::A),
        ("x.wild.example.", RecordType::TXT),
        ("mx.other.", RecordType::AAAA),
        ("nothing.example.", RecordType::A),
        ("sub.example.", RecordType::A),
        ("away.example.", RecordType::A),
        ("refused.test.", RecordType::A),
        ("many.example.", RecordType::TXT),
        (".", RecordType::NS),
    ];
    let types = [
        1_u16, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 18, 28, 33, 35, 36, 47, 64, 255, 257, 65_280, 65_281,
    ];
    let names = [
        "example.",
        "alias2.example.",
        "mail.example.",
        "mailbox.example.",
        "old.example.",
        "pointer.example.",
    ];
    let names = names.into_iter().chain(["service.example.", "text.example.", "www.example."]);
    questions.extend(names.flat_map(|name| types.map(|number| (name, RecordType::from(number)))));
    questions
}

/// Messages that are no questions of class IN, and some that are no queries at all.
fn oddities() -> Vec<Vec<u8>> {
    let mut oddities = Vec::new();
    for (class, name) in [
        (DNSClass::CH, "id.server."),
        (DNSClass::CH, "version.bind."),
        (DNSClass::HS, "www.example."),
        (DNSClass::ANY, "www.example."),
    ] {
        let mut message = query(name, RecordType::TXT);
        message.queries[0].set_query_class(class);
        oddities.push(message.to_vec().unwrap());
    }
    for code in [OpCode::Notify, OpCode::Status, OpCode::Update, OpCode::Unknown(9)] {
        let mut message = query("www.example.", RecordType::A);
        message.metadata.op_code = code;
        oddities.push(message.to_vec().unwrap());
    }
    let badvers = with_edns(query("www.example.", RecordType::A), |edns| drop_result(edns.set_version(1)));
    oddities.push(badvers.to_vec().unwrap());
    let mut recursive = query("www.example.", RecordType::A);
    recursive.metadata.recursion_desired = true;
    recursive.metadata.checking_disabled = true;
    recursive.metadata.authentic_data = true;
    oddities.push(recursive.to_vec().unwrap());
    let mut trailing = query("www.example.", RecordType::A).to_vec().unwrap();
    trailing.push(0);
    oddities.push(trailing);
    let mut two = query("www.example.", RecordType::A);
    two.add_query(two.queries[0].clone());
    oddities.push(two.to_vec().unwrap());
    oddities.push(vec![0; 12]);
    oddities
}

#[test]
fn answers_are_equal_over_every_transport() {
    let server = Server::start();
    let mut tls: Tls = server.connect(server.tls);
    let mut https: Https = server.connect(server.https);
    let queries = questions().into_iter().flat_map(|(name, record_type)| manners(name, record_type));
    let (mut asked, mut cut, mut seen) = (0, 0, std::collections::BTreeSet::new());
    let queries: Vec<_> = queries.chain(oddities()).collect();
    // Hickory takes a hundred queries on a QUIC connection.
    for queries in queries.chunks(99) {
        let mut quic: Quic = server.connect(server.quic);
        for query in queries {
            let by_tcp = server.ask_tcp(query);
            assert_eq!(server.ask(&mut tls, query), by_tcp, "over TLS: {}", query.escape_ascii());
            let expected = Answer::read(&by_tcp);
            let by_udp = Answer::read(&server.ask_udp(query));
            if by_udp.is_truncated() {
                cut += 1;
            } else {
                assert_eq!(by_udp, expected, "over UDP: {}", query.escape_ascii());
            }
            for (transport, octets) in [("HTTPS", server.ask(&mut https, query)), ("QUIC", server.ask(&mut quic, query))] {
                assert_eq!(Answer::read(&octets), expected, "over {transport}: {}", query.escape_ascii());
            }
            seen.extend(expected.types());
            asked += 1;
        }
    }
    assert!(asked > 1_500 && cut > 5, "{asked} asked, {cut} cut");
    let compressible = [2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15];
    let others = [1, 16, 17, 18, 28, 33, 35, 36, 39, 41, 43, 46, 47, 64, 257, 65_280, 65_281];
    let missing: Vec<u16> = compressible
        .into_iter()
        .chain(others)
        .filter(|number| !seen.contains(number))
        .collect();
    assert!(missing.is_empty(), "types in no answer: {missing:?}");
    for transport in [Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic] {
        server.wait_for(transport.name(), |server| server.count(transport).accepted == asked);
        let tally = server.count(transport);
        assert_eq!(
            (tally.queries, tally.response_codes, tally.query_types),
            (
                asked,
                server.count(Transport::Tcp).response_codes,
                server.count(Transport::Tcp).query_types
            ),
            "{}",
            transport.name()
        );
    }
}

#[test]
fn the_id_of_a_query_comes_back_and_quic_wants_none() {
    let server = Server::start();
    let mut query = query("www.example.", RecordType::A);
    query.metadata.id = 4711;
    let query = query.to_vec().unwrap();
    let (mut tls, mut https): (Tls, Https) = (server.connect(server.tls), server.connect(server.https));
    for octets in [server.ask(&mut tls, &query), server.ask(&mut https, &query)] {
        assert_eq!(Answer::read(&octets).id, 4711);
    }
    let quic: Quic = server.connect(server.quic);
    assert_eq!(server.runtime.block_on(quic.request(&query)), b"");
    server.wait_for("a query with an id", |server| {
        server.count(Transport::Quic).drops[Drop::MessageId as usize] == 1
    });
    assert_eq!(server.count(Transport::Quic).queries, 0);
}

#[test]
fn many_requests_at_once_are_all_answered_on_one_https_connection() {
    let server = Server::start();
    let https: Https = server.connect(server.https);
    let query = query("many.example.", RecordType::TXT).to_vec().unwrap();
    let counts = server.runtime.block_on(async {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let (mut https, query) = (https.clone(), query.clone());
            asking.spawn(async move { https.ask(&query).await });
        }
        asking.join_all().await
    });
    assert!(counts.iter().all(|octets| Answer::read(octets).counts() == [300, 0, 0]));
}

/// Asks, and says which certificate the connection was opened with.
fn prove<C: Client>(server: &Server, client: &mut C) -> CertificateDer<'static> {
    let query = query("www.example.", RecordType::A).to_vec().unwrap();
    assert_eq!(Answer::read(&server.ask(client, &query)).counts()[0], 1);
    client.shown()
}

#[test]
fn a_renewed_certificate_is_shown_to_the_next_client_and_disturbs_no_connection() {
    let server = Server::start();
    let (mut tls, mut https): (Tls, Https) = (server.connect(server.tls), server.connect(server.https));
    let mut quic: Quic = server.connect(server.quic);
    let first = server.shown.clone();
    assert_eq!(server.certificates.renew().unwrap(), Renewal::Same);
    let second = make_certificate(server.folder.path());
    assert_eq!(server.certificates.renew().unwrap(), Renewal::Renewed);
    assert_eq!(prove(&server, &mut tls), first);
    assert_eq!(prove(&server, &mut https), first);
    assert_eq!(prove(&server, &mut quic), first);
    let trusted = [second.clone()];
    assert_eq!(prove::<Tls>(&server, &mut server.connect_trusting(server.tls, &trusted)), second);
    assert_eq!(
        prove::<Https>(&server, &mut server.connect_trusting(server.https, &trusted)),
        second
    );
    assert_eq!(prove::<Quic>(&server, &mut server.connect_trusting(server.quic, &trusted)), second);
}

#[test]
fn a_broken_renewal_keeps_the_certificate_and_tells_the_file() {
    let server = Server::start();
    let folder = server.folder.path();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let right = [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()];
    let other = tempfile::tempdir().unwrap();
    make_certificate(other.path());
    let other_key = fs::read(other.path().join("key.pem")).unwrap();
    let breaks: [(&Path, &[u8], &str); 5] = [
        (&key, &other_key, "dns.key-file"),
        (&key, b"no key", "dns.key-file"),
        (&certificate, b"no certificate", "dns.certificate-file"),
        (
            &certificate,
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "dns.certificate-file",
        ),
        (&certificate, b"-----BEGIN CERTIFICATE-----\nAAAA\n", "dns.certificate-file"),
    ];
    for (path, octets, blamed) in breaks {
        fs::write(path, octets).unwrap();
        let error = server.certificates.renew().unwrap_err();
        assert_eq!(error.key(), blamed, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(server.certificates.fault(), Some(error.to_string()));
        assert_eq!(prove::<Tls>(&server, &mut server.connect(server.tls)), server.shown);
        fs::write(&certificate, &right[0]).unwrap();
        fs::write(&key, &right[1]).unwrap();
        assert_eq!(server.certificates.renew().unwrap(), Renewal::Same);
        assert_eq!(server.certificates.fault(), None);
    }
    fs::remove_file(&key).unwrap();
    assert!(matches!(server.certificates.renew(), Err(CertificateError::Key(_))));
}

#[test]
fn a_renewal_is_found_without_being_told() {
    let server = Server::start();
    let watch = Arc::clone(&server.certificates).watch(Duration::from_millis(5));
    server.runtime.spawn(watch);
    fs::write(server.folder.path().join("key.pem"), "half of the work").unwrap();
    server.wait_for("the broken key", |server| server.certificates.fault().is_some());
    let second = make_certificate(server.folder.path());
    let trusted = [server.shown.clone(), second.clone()];
    server.wait_for("the second certificate", |server| {
        prove::<Tls>(server, &mut server.connect_trusting(server.tls, &trusted)) == second
    });
    assert_eq!(server.certificates.fault(), None);
}

#[test]
fn a_client_that_speaks_another_protocol_is_refused() {
    let server = Server::start();
    let trusted = [server.shown.clone()];
    for (address, protocol) in [(server.tls, &b"h2"[..]), (server.https, b"dot")] {
        let refused = server.runtime.block_on(handshake(address, &trusted, protocol)).unwrap_err();
        assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    }
}

#[test]
fn connections_are_limited_for_all_transports_on_tcp_together() {
    let server = Server::start_with(Limits {
        tcp_connections_per_client: 3,
        ..LIMITS
    });
    let (mut tls, mut https): (Tls, Https) = (server.connect(server.tls), server.connect(server.https));
    let mut plain = tcp(server.plain);
    // Each of them is accepted: they have been answered, or are the third.
    prove(&server, &mut tls);
    prove(&server, &mut https);
    server.wait_for("refusals", |server| {
        [server.plain, server.tls, server.https]
            .into_iter()
            .all(|address| is_closed(&mut tcp(address)));
        let refused = |transport| server.count(transport).drops[Drop::ConnectionLimit as usize];
        [Transport::Tcp, Transport::Tls, Transport::Https]
            .into_iter()
            .all(|transport| refused(transport) > 0)
    });
    prove(&server, &mut tls);
    prove(&server, &mut https);
    plain.write_all(&[0, 0]).unwrap();
    assert!(is_closed(&mut plain));
}

#[test]
fn clients_that_say_nothing_are_closed_at_every_stage() {
    let server = Server::start_with(Limits {
        tcp_idle: Duration::from_millis(200),
        ..LIMITS
    });
    let start = clock::now();
    let trusted = [server.shown.clone()];
    let silent = [server.tls, server.https].map(tcp);
    let after_the_handshake = [(server.tls, &b"dot"[..]), (server.https, b"h2")].map(|(address, protocol)| {
        let stream = server.runtime.block_on(handshake(address, &trusted, protocol)).unwrap();
        stream.into_inner().0.into_std().unwrap()
    });
    for mut stream in silent.into_iter().chain(after_the_handshake) {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // What is not read yet of the handshake comes first, and a farewell of TLS.
        let ended = std::io::copy(&mut stream, &mut std::io::sink());
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    assert!(clock::now().since(start) < PATIENCE / 2);
}

#[test]
fn draining_answers_what_has_come_and_closes_everything() {
    let mut server = Server::start();
    let (mut tls, mut https): (Tls, Https) = (server.connect(server.tls), server.connect(server.https));
    let mut quic: Quic = server.connect(server.quic);
    prove(&server, &mut tls);
    let query = query("many.example.", RecordType::TXT).to_vec().unwrap();
    let service = server.service.take().unwrap();
    let (drained, answers) = server.runtime.block_on(async {
        let asking = async { tokio::join!(tls.ask(&query), https.ask(&query), quic.ask(&query)) };
        let draining = tokio::task::spawn_blocking(move || service.drain(PATIENCE));
        tokio::join!(draining, asking)
    });
    assert!(drained.unwrap(), "everything was quiet in time");
    for octets in [answers.0, answers.1, answers.2] {
        assert_eq!(Answer::read(&octets).counts(), [300, 0, 0]);
    }
    let snapshot = server.counters.snapshot();
    assert!(snapshot.listeners.is_empty());
    assert_eq!(
        (snapshot.total().accepted, snapshot.total().queries),
        (4, 4),
        "counts outlive their listeners"
    );
    for address in [server.tls, server.https] {
        assert!(TcpStream::connect(address).is_err());
    }
    server.wait_for("the port of QUIC", |server| UdpSocket::bind(server.quic).is_ok());
}

#[test]
fn addresses_that_cannot_be_had_are_named() {
    let mut server = Server::start();
    let encryption = Encryption {
        certificates: Arc::clone(&server.certificates),
        https_path: "/dns-query".to_owned(),
    };
    let taken = [
        (Encrypted::Tls, server.https),
        (Encrypted::Https, server.tls),
        (Encrypted::Quic, server.quic),
    ];
    for (speaks, address) in taken {
        let listener = EncryptedListener {
            address,
            speaks,
            service: false,
        };
        let error = server.service.as_mut().unwrap().add_encrypted(&listener, &encryption).unwrap_err();
        assert!(
            matches!(error, ServeError::InUse { transport, .. } if transport == speaks.transport()),
            "{error}"
        );
    }
    assert_eq!(server.counters.snapshot().listeners.len(), 5);
}

#[test]
fn every_transport_has_a_beating_heart() {
    let server = Server::start();
    let loops = || server.counters.snapshot().workers().map(|worker| worker.loops).collect::<Vec<_>>();
    let before = loops();
    assert_eq!(before.len(), 5);
    server.wait_for("beats", |_| loops().iter().zip(&before).all(|(now, before)| now > before));
}
