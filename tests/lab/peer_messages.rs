//! The peer message on real sockets: peers beyond the link, several groups, and what attackers send (claim 17).
//!
//! The messages are made by hand with the octets of the project's own codec; the server under test is the real one.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use heraldns::advertiser::peers::wire::{Key, PeerMessage};
use heraldns::base::address::LinkLayerAddress;
use heraldns::base::peer::{PeerState, Statement};
use heraldns::base::random::Random;

use crate::harness::clock::wait_for;
use crate::harness::figures;
use crate::harness::host::Host;
use crate::harness::injector::Injector;
use crate::harness::network::{Network, SERVICE, client_address};
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(5);
const PORT: u16 = 4844;
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4844);
const OTHER_GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4845);
const SECRET: &str = "the secret of the farm";
const FORGED: usize = 100_000;
/// Forged messages go out in bursts that fit a socket's buffer.
const BURST: usize = 100;

/// A server with more lines in `[peers]`.
fn start<'network>(host: &'network Host, peers: &str) -> Server<'network> {
    let advertising =
        format!("[service]\naddresses = [\"{SERVICE}\"]\ninterface = \"eth0\"\n[[advertiser]]\nprotocol = \"nd\"\n[peers]\n{peers}\n");
    Server::start_with(host, &Setup::failover(), &advertising)
}

/// What a server called `identity` would say that claims to hold the service address, for longer than anybody else.
fn message(identity: &str, boot: u64, sequence: u32) -> PeerMessage {
    PeerMessage {
        statement: Statement {
            identity: identity.to_owned(),
            services: vec![SERVICE],
            state: PeerState::Active,
            holder: true,
            term: 1_000,
            health: 255,
            weight: 1_000,
            link_layer: LinkLayerAddress([2, 0, 0, 0, 9, 9]),
            interval: Duration::from_millis(300),
            ..Statement::default()
        },
        boot,
        sequence,
    }
}

/// A peer in its status.
fn peer(server: &Server<'_>, identity: &str) -> Option<serde_json::Value> {
    let status = server.status()?;
    let mut peers = status["peers"].as_array()?.iter();
    peers.find(|peer| peer["identity"] == identity).cloned()
}

/// How many messages its status says were dropped for `cause`.
fn dropped(server: &Server<'_>, cause: &str) -> u64 {
    let status = server.status().unwrap_or_default();
    status["peer_messages"]["dropped"][cause].as_u64().unwrap_or(0)
}

/// `/metrics` of the server on `host`.
fn metrics(host: &Host) -> String {
    host.namespace.enter(|| {
        let mut stream = TcpStream::connect("127.0.0.1:8053").expect("the web part listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it takes a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("it answers");
        page
    })
}

pub(crate) fn claim_17_peers_beyond_the_link_hear_each_other() {
    let network = Network::new(1);
    let beyond = client_address(1);
    let socket = network
        .client
        .enter(|| UdpSocket::bind(SocketAddr::from((beyond, PORT))).expect("the client has its address"));
    socket.set_read_timeout(Some(SOON)).expect("a timeout can be set");
    let server = start(&network.hosts[0], &format!("addresses = [\"{beyond}\"]"));

    let mut buffer = [0; 2_048];
    let (length, source) = socket.recv_from(&mut buffer).expect("a message of the server");
    let heard = PeerMessage::parse(&buffer[..length], None).expect("a peer message");
    assert_eq!((heard.statement.identity.as_str(), source.port()), ("s1", PORT));
    assert_eq!(source.ip(), network.hosts[0].address(), "an address that can be answered");
    assert!(heard.statement.recent_load.is_some());

    let sent = message("far", 1, 1).emit(None);
    socket.send_to(&sent, source).expect("the server can be reached");
    wait_for(SOON, "the far server is a peer", || peer(&server, "far").is_some());
    let told = peer(&server, "far").unwrap_or_default();
    assert_eq!(told["address"], beyond.to_string());
    server.wait_for_state("active");
    assert!(server.is_holder(), "a server on another link takes no address from this one");

    let stranger = network.client.enter(|| UdpSocket::bind("[2001:db8:1::2]:0").expect("another port"));
    network
        .client
        .run("ip", &["-6", "address", "add", "2001:db8:1::66/64", "dev", "up1", "nodad"]);
    let unknown = network
        .client
        .enter(|| UdpSocket::bind("[2001:db8:1::66]:0").expect("another address"));
    unknown
        .send_to(&message("wrong", 1, 1).emit(None), source)
        .expect("the server can be reached");
    wait_for(SOON, "a stranger is counted", || dropped(&server, "stranger") == 1);
    stranger.send_to(&sent, source).expect("the server can be reached");
    wait_for(SOON, "a replay from beyond is counted", || dropped(&server, "replayed") == 1);
}

pub(crate) fn claim_17_several_farms_share_a_link() {
    let network = Network::new(3);
    let [first, second, both] = [0, 1, 2].map(|index| &network.hosts[index]);
    let first = start(first, "");
    let second = start(second, &format!("group = \"{OTHER_GROUP}\""));
    let both = start(both, &format!("groups = [\"{OTHER_GROUP}\"]"));
    let knows = |server: &Server<'_>, identity: &str| peer(server, identity).is_some();
    wait_for(SOON, "who is in both groups knows everybody", || {
        knows(&both, "s1") && knows(&both, "s2")
    });
    wait_for(SOON, "and is known", || knows(&first, "s3") && knows(&second, "s3"));
    assert!(!knows(&first, "s2") && !knows(&second, "s1"), "others are not their business");
}

pub(crate) fn claim_17_forged_peer_messages_are_counted_shown_and_change_nothing() {
    let network = Network::new(2);
    let key_file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(key_file.path(), SECRET).expect("it can be written");
    let server = start(&network.hosts[0], &format!("key-file = \"{}\"", key_file.path().display()));
    server.wait_for_state("active");
    let attacker = Injector::new(&network.hosts[1].namespace, "eth0");
    let (right, wrong) = (Key::new(SECRET.as_bytes()), Key::new(b"a guess"));

    let mut other_version = message("s9", 1, 1).emit(Some(&right));
    other_version[4] = 2;
    let genuine = message("s9", 7, 5);
    let withdrawn = Statement {
        state: PeerState::Withdrawn,
        holder: false,
        term: 0,
        ..genuine.statement.clone()
    };
    let recorded = PeerMessage {
        statement: withdrawn,
        ..genuine
    };
    attacker.send_udp(GROUP, PORT, &recorded.emit(Some(&right)));
    wait_for(SOON, "what is signed is believed", || peer(&server, "s9").is_some());

    let attacks = [
        ("unsigned", message("s9", 8, 1).emit(None)),
        ("wrong-key", message("s9", 8, 1).emit(Some(&wrong))),
        ("version", other_version),
        ("replayed", recorded.emit(Some(&right))),
        ("replayed", message("s9", 7, 4).emit(Some(&right))),
        ("replayed", message("s9", 6, 9).emit(Some(&right))),
    ];
    for (cause, octets) in &attacks {
        let before = dropped(&server, cause);
        (0..3).for_each(|_| attacker.send_udp(GROUP, PORT, octets));
        wait_for(SOON, cause, || dropped(&server, cause) == before + 3);
    }
    flood(&attacker, &wrong);
    let mut counted = 0;
    wait_for(SOON, "the flood is counted", || {
        counted = ["short", "magic", "version", "wrong-key", "unsigned"]
            .map(|cause| dropped(&server, cause))
            .iter()
            .sum();
        counted >= FORGED as u64 / 2
    });
    figures::print("forged messages", format_args!("{counted} of {FORGED} counted"));
    let page = metrics(&network.hosts[0]);
    for (cause, _) in &attacks {
        let line = format!("heraldns_peer_messages_dropped_total{{cause=\"{cause}\"}}");
        assert!(page.contains(&line), "{line} in {page}");
    }
    assert_eq!((server.state().as_str(), server.is_holder()), ("active", true));
    let peers = server.status().unwrap_or_default()["peers"].clone();
    assert_eq!(peers.as_array().map(Vec::len), Some(1), "nobody has come to be known: {peers}");
    assert_eq!(peers[0]["state"], "withdrawn", "nobody else speaks for it");
}

/// Messages with a wrong signature, of servers that do not exist and of the one that does; cut, changed and random ones.
fn flood(attacker: &Injector, wrong: &Key) {
    let mut random = Random::seeded(17);
    for number in 0..FORGED {
        let identity = if random.chance(500) {
            "s9".to_owned()
        } else {
            format!("f{number}")
        };
        let mut octets = message(&identity, random.next_u64(), number as u32).emit(Some(wrong));
        match random.below(4) {
            0 => {}
            1 => octets.truncate(random.below(octets.len() as u64) as usize),
            2 => {
                let place = random.below(octets.len() as u64) as usize;
                octets[place] ^= 1 << random.below(8);
            }
            _ => octets.iter_mut().for_each(|octet| *octet = random.next_u64() as u8),
        }
        attacker.send_udp(GROUP, PORT, &octets);
        if number % BURST == BURST - 1 {
            crate::harness::clock::let_pass(Duration::from_millis(2));
        }
    }
}
