//! Packets that nobody should send: dropped, counted by cause, and without effect on those who ask properly (claim 2).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::base::address::{ALL_NODES, LinkLayerAddress, solicited_node};
use heraldns::base::random::Random;

use crate::harness::clock::{let_pass, millis, wait_for};
use crate::harness::figures;
use crate::harness::injector::{Injector, advertisement, solicitation};
use crate::harness::network::{Network, SERVICE};
use crate::harness::server::Server;

const SOON: Duration = Duration::from_secs(5);
const PEER_GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4844);
const PEER_PORT: u16 = 4844;
const RANDOM_PACKETS: usize = 100_000;
/// Random packets go out in bursts that fit a socket's buffer, so that what is lost is not lost there.
const BURST: usize = 100;
const PAUSE: Duration = Duration::from_millis(5);
/// A server answers the same solicitor again after 100 ms; routers ask once a second.
const ANSWER_GAP: Duration = Duration::from_millis(120);
const MAC: LinkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 9, 9]);

/// Drops by protocol and cause.
type Drops = BTreeMap<(String, String), u64>;

pub(crate) fn claim_2_malformed_packets_are_dropped_and_counted() {
    let network = Network::new(2);
    let server = Server::start_active(&network.hosts[0]);
    let stranger = Injector::new(&network.hosts[1].namespace, "eth0");
    assert_answered(&network, "before malformed packets");

    let mut expected = drops(&server);
    for (number, case) in cases().iter().enumerate() {
        let copies = 3 + number as u64;
        stranger.set_hop_limit(case.hop_limit);
        (0..copies).for_each(|_| case.send(&stranger));
        *expected.entry((case.protocol().to_owned(), case.cause.to_owned())).or_default() += copies;
    }
    stranger.set_hop_limit(255);
    let mut counted = drops(&server);
    let begin = crate::harness::clock::now();
    while counted != expected && begin.elapsed() < SOON {
        let_pass(Duration::from_millis(20));
        counted = drops(&server);
    }
    assert_eq!(counted, expected, "each cause is counted as often as it was sent");
    assert_answered(&network, "after malformed packets");
    assert_eq!(server.state(), "active");
}

pub(crate) fn claim_2_random_packets_change_nothing() {
    let network = Network::new(2);
    let server = Server::start_active(&network.hosts[0]);
    let stranger = Injector::new(&network.hosts[1].namespace, "eth0");
    let mut random = Random::seeded(4861);
    let pids = server.pids();
    assert_answered(&network, "before random packets");

    send_random(&stranger, &mut random, RANDOM_PACKETS / 10);
    let before = server.memory();
    for _ in 0..10 {
        send_random(&stranger, &mut random, RANDOM_PACKETS / 10);
        assert_answered(&network, "among random packets");
    }
    let growth = server.memory().saturating_sub(before);
    figures::print("memory after random packets", format_args!("grown by {} KiB", growth / 1_024));
    assert!(growth < 1 << 20, "{growth} octets");
    assert_eq!(server.pids().main, pids.main, "the same process is still there");
    wait_for(SOON, "still active", || server.state() == "active");
    let counted: u64 = drops(&server).values().sum();
    figures::print("random packets", format_args!("{counted} of {} counted", 11 * RANDOM_PACKETS / 10));
    assert!(counted >= RANDOM_PACKETS as u64 / 2, "most random packets were counted: {counted}");
}

/// One way of being wrong, and the cause under which it is counted.
struct Case {
    cause: &'static str,
    hop_limit: u32,
    packet: Packet,
}

enum Packet {
    NeighborDiscovery { destination: Ipv6Addr, message: Vec<u8> },
    Peer(Vec<u8>),
}

impl Case {
    fn neighbor_discovery(cause: &'static str, destination: Ipv6Addr, message: Vec<u8>) -> Self {
        let packet = Packet::NeighborDiscovery { destination, message };
        Self {
            cause,
            hop_limit: 255,
            packet,
        }
    }

    fn peer(cause: &'static str, message: Vec<u8>) -> Self {
        Self {
            cause,
            hop_limit: 255,
            packet: Packet::Peer(message),
        }
    }

    fn with_hop_limit(self, hop_limit: u32) -> Self {
        Self { hop_limit, ..self }
    }

    fn protocol(&self) -> &'static str {
        match self.packet {
            Packet::NeighborDiscovery { .. } => "nd",
            Packet::Peer(_) => "peers",
        }
    }

    fn send(&self, stranger: &Injector) {
        match &self.packet {
            Packet::NeighborDiscovery { destination, message } => stranger.send_icmp(*destination, message),
            Packet::Peer(message) => stranger.send_udp(PEER_GROUP, PEER_PORT, message),
        }
    }
}

fn cases() -> Vec<Case> {
    let group = solicited_node(SERVICE);
    let asking = |cause, edit: fn(&mut Vec<u8>)| {
        let mut message = solicitation(SERVICE, None);
        edit(&mut message);
        Case::neighbor_discovery(cause, group, message)
    };
    let telling = |cause, edit: fn(&mut Vec<u8>)| {
        let mut message = advertisement(SERVICE, MAC);
        edit(&mut message);
        Case::neighbor_discovery(cause, ALL_NODES, message)
    };
    vec![
        asking("hop-limit", |_| ()).with_hop_limit(254),
        telling("hop-limit", |_| ()).with_hop_limit(254),
        asking("short", |message| message.truncate(23)),
        telling("short", |message| message.truncate(8)),
        asking("code", |message| message[1] = 1),
        asking("option-length-zero", |message| message.extend([1, 0, 2, 0, 0, 0, 9, 9])),
        telling("option-length-zero", |message| message[25] = 0),
        asking("option-overrun", |message| message.extend([1, 255, 2, 0, 0, 0, 9, 9])),
        telling("option-overrun", |message| message[25] = 255),
        asking("option-overrun", |message| message.extend([1])),
        asking("link-layer-length", |message| {
            message.extend([1, 2, 2, 0, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0])
        }),
        asking("multicast-target", |message| message[8..24].copy_from_slice(&ALL_NODES.octets())),
        telling("solicited-to-multicast", |message| message[4] |= 0x40),
        telling("information-short", |message| message.extend([253, 1, b'H', b'D', 1, 2, 0, 0])),
        Case::peer("short", b"HDPM".to_vec()),
        Case::peer("short", Vec::new()),
        Case::peer("magic", vec![0; 84]),
        Case::peer("hop-limit", vec![0; 84]).with_hop_limit(254),
    ]
}

/// Random bytes behind the type of a message that a server reads; none of them asks for the service address.
fn send_random(stranger: &Injector, random: &mut Random, packets: usize) {
    for number in 0..packets {
        let length = 4 + random.below(200) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
        if random.chance(500) {
            stranger.send_udp(PEER_GROUP, PEER_PORT, &bytes);
        } else {
            bytes[0] = 134 + random.below(3) as u8;
            bytes[1] = u8::from(random.chance(100));
            stranger.send_icmp(ALL_NODES, &bytes);
        }
        if number % BURST == BURST - 1 {
            let_pass(PAUSE);
        }
    }
}

/// A proper solicitation is answered in time; it comes later after the one before than a server's limit of answers asks for.
fn assert_answered(network: &Network, when: &str) {
    let_pass(ANSWER_GAP);
    let asker = Injector::new(&network.router().namespace, "lan0");
    let (asked, answer) = network.solicit(&asker, Some(network.router().mac));
    figures::print(
        &format!("solicitation {when}"),
        format_args!("{:.1} ms", millis(answer.at - asked.at)),
    );
    assert!(answer.at - asked.at <= 3 * Duration::from_millis(50), "{when}");
}

/// Counts of dropped packets, from `status --json`.
fn drops(server: &Server<'_>) -> Drops {
    let status = server.status().unwrap_or_default();
    let advertiser = &status["advertisers"][0];
    let sources = [("nd", &advertiser["dropped"]), ("peers", &status["peer_messages"]["dropped"])];
    let causes = |(protocol, dropped): (&str, &serde_json::Value)| {
        let causes = dropped.as_object().cloned().unwrap_or_default();
        let protocol = protocol.to_owned();
        causes
            .into_iter()
            .filter_map(move |(cause, count)| Some(((protocol.clone(), cause), count.as_u64()?)))
    };
    sources.into_iter().flat_map(causes).collect()
}
