//! What strangers on the link can do to the cache: nothing, with signed peer messages; little without.

use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::advertiser::nd::wire::{HOP_LIMIT, ICMPV6, Message, NeighborAdvertisement, ServiceInformation};
use heraldns::advertiser::peers::wire::{Key, PeerMessage};
use heraldns::base::address::{ALL_NODES, LinkLayerAddress};
use heraldns::base::machine::{Channel, OutDatagram};
use heraldns::base::peer::{IdentityHash, PeerState, Statement};
use heraldns::base::random::Random;
use heraldns::io::driver::{Driver, Handle};
use heraldns::io::interface::InterfaceMonitor;

use super::{ALL, RATE, SOON, assert_shares, start};
use crate::harness::capture::Message as Frame;
use crate::harness::clock::{let_pass, wait_for};
use crate::harness::figures;
use crate::harness::injector::Injector;
use crate::harness::namespace::Namespace;
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::Probe;
use crate::harness::router_side::{RouterSetup, RouterSide};
use crate::harness::server::Setup;

const SECRET: &str = "the secret of all servers";
const FORGED: usize = 100_000;
/// The peer message's group and port.
const PEERS: (Ipv6Addr, u16) = (Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4844), 4_844);

/// Advertisements with any IPv6 source, from a host.
struct Forger {
    driver: Driver,
    handle: Handle,
}

impl Forger {
    fn new(namespace: &Namespace) -> Self {
        namespace.enter(|| {
            let mut driver = Driver::new().expect("the kernel gives an epoll");
            let channel = Channel::Frame {
                interface: "eth0".to_owned(),
                next_header: ICMPV6,
                hop_limit: HOP_LIMIT,
            };
            let handle = driver.open(&[channel]).expect("root may open packet sockets")[0];
            // Its own Ethernet source: another's would mislead the switch, against which no router can do anything.
            let link = InterfaceMonitor::open("eth0", &[], &[]).expect("the link can be read");
            driver.follow("eth0", link.state()).expect("the channel is open");
            Self { driver, handle }
        })
    }

    /// Sends an advertisement of the service from a server that does not exist.
    fn advertise(&mut self, source: Ipv6Addr, link_layer: LinkLayerAddress, information: Option<ServiceInformation>) {
        let message = Message::Advertisement(NeighborAdvertisement {
            target: SERVICE,
            router: false,
            solicited: false,
            overriding: true,
            target_link_layer: Some(link_layer),
            information,
        });
        let datagram = OutDatagram {
            source: Some(source),
            destination: ALL_NODES,
            port: 0,
            link_layer: Some(LinkLayerAddress::of_group(ALL_NODES)),
            payload: message.emit(source, ALL_NODES),
        };
        // A full queue drops it; what is sent is what matters.
        let _ = self.driver.send(self.handle, &datagram);
    }
}

fn forged_link_layer(number: u64) -> LinkLayerAddress {
    let [.., a, b, c, d] = number.to_be_bytes();
    LinkLayerAddress([2, 0x66, a, b, c, d])
}

fn forged_source(number: u64) -> Ipv6Addr {
    let octets = number.to_be_bytes();
    let word = |index: usize| u16::from_be_bytes([octets[index], octets[index + 1]]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x6666, word(2), word(4), word(6))
}

pub(crate) fn claim_17_forged_messages_change_nothing_when_signed_ones_are_required() {
    let network = Network::new(3);
    let setup = RouterSetup {
        require_signed: true,
        peers_key: Some(SECRET),
        ..RouterSetup::policy("weighted")
    };
    let servers = Setup {
        peers_key: Some(SECRET),
        ..Setup::member()
    };
    let (side, servers) = start(&network, &setup, &servers);
    let probe = Probe::start(&network.client, RATE);
    let host = &network.hosts[0].namespace;
    let replayed = recorded_peer_messages(&network);
    let udp = Injector::new(host, "eth0");
    let mut forger = Forger::new(host);
    let mut random = Random::seeded(17);
    for number in 0..FORGED {
        let wild = random.next_u64();
        match number % 4 {
            0 => forger.advertise(forged_source(wild), forged_link_layer(wild), Some(information(wild))),
            1 => {
                let victim = &servers[number / 4 % servers.len()];
                forger.advertise(victim.link_local(), victim.mac(), Some(information(wild)));
            }
            2 => udp.send_udp(PEERS.0, PEERS.1, &forged_message(wild).emit(Some(&Key::new(b"another secret")))),
            _ => udp.send_udp(PEERS.0, PEERS.1, &replayed[number / 4 % replayed.len()]),
        }
        if number % 10_000 == 0 {
            assert_shares(&side.shares(), [33.3, 33.3, 33.3], 0.1);
        }
    }
    assert_shares(&side.shares(), [33.3, 33.3, 33.3], 0.1);
    let report = probe.stop();
    let shown = side.neighbors().expect("the router side answers");
    figures::print(
        "router side: 100,000 forged messages",
        format_args!("{report}; dropped {} and {}", shown["dropped"], shown["peer_messages"]["dropped"]),
    );
    assert_eq!(report.lost(), 0, "{report}");
    let dropped = |cause: &str| shown["peer_messages"]["dropped"][cause].as_u64().unwrap_or_default();
    assert!(dropped("wrong-key") > 0 && dropped("replayed") > 0, "{shown:#}");
    assert_eq!(
        shown["services"][0]["members"].as_array().map(Vec::len),
        Some(ALL.len()),
        "{shown:#}"
    );
}

/// Without signatures: a flood of invented servers fills the table, and pushes nobody out of it.
pub(crate) fn claim_15_a_flood_of_invented_servers_pushes_nobody_out() {
    let network = Network::new(3);
    let (side, _servers) = start(&network, &RouterSetup::policy("round-robin"), &Setup::member());
    let mut forger = Forger::new(&network.hosts[0].namespace);
    for number in 0..20_000 {
        forger.advertise(forged_source(number), forged_link_layer(number), None);
    }
    let shown = side.neighbors().expect("the router side answers");
    let members = shown["services"][0]["members"].as_array().expect("an entry").clone();
    assert!(members.len() <= 256, "{}", members.len());
    for identity in ALL {
        let there = members
            .iter()
            .any(|member| member["identity"] == *identity && member["share"].as_f64() > Some(0.0));
        assert!(there, "{identity} is still delivered to");
    }
    assert!(shown["dropped"]["table-full"].as_u64() > Some(0), "{}", shown["dropped"]);
}

/// 200 servers on one link, of which only the advertisements are real: the kernel's group has them all.
pub(crate) fn claim_15_two_hundred_servers_in_one_entry() {
    const SERVERS: u64 = 200;
    let network = Network::new(1);
    // None is dead before the last has been looked at.
    let setup = RouterSetup {
        dead_after: "60s",
        ..RouterSetup::policy("round-robin")
    };
    let side = RouterSide::start(network.router(), &setup);
    wait_for(SOON, "the router side answers", || side.neighbors().is_some());
    let mut forger = Forger::new(&network.hosts[0].namespace);
    let mut sequence = 0;
    wait_for(SOON, "all are delivered to", || {
        sequence += 1;
        for number in 0..SERVERS {
            let said = ServiceInformation {
                state: PeerState::Active,
                sequence,
                weight: 100,
                identity: IdentityHash(number + 1),
                ..ServiceInformation::default()
            };
            forger.advertise(forged_source(number), forged_link_layer(number), Some(said));
        }
        let_pass(Duration::from_millis(100));
        side.shares().len() == SERVERS as usize
    });
    let kernel = side.neighbors().unwrap_or_default()["kernel"].clone();
    let groups = network.router().namespace.run("ip", &["nexthop", "show"]);
    let largest = groups
        .lines()
        .filter_map(|line| Some(line.split("group ").nth(1)?.split_whitespace().next()?.split('/').count()))
        .max();
    figures::print("router side: 200 servers", format_args!("{kernel}"));
    assert_eq!(largest, Some(SERVERS as usize), "{groups}");
}

fn information(wild: u64) -> ServiceInformation {
    ServiceInformation {
        state: PeerState::from_wire((wild % 7) as u8).expect("below 7"),
        hand_over: wild & 8 != 0,
        weight: (wild >> 16) as u16,
        load: (wild >> 32) as u16,
        recent_load: Some((wild >> 40) as u16),
        sequence: wild as u32,
        identity: IdentityHash::of(ALL[(wild % 3) as usize]),
        ..ServiceInformation::default()
    }
}

fn forged_message(wild: u64) -> PeerMessage {
    let identity = ALL[(wild % 3) as usize];
    PeerMessage {
        statement: Statement {
            identity: identity.to_owned(),
            services: vec![SERVICE],
            state: PeerState::Gone,
            weight: (wild >> 16) as u16,
            interval: Duration::from_millis(300),
            ..Statement::default()
        },
        boot: u64::MAX,
        sequence: wild as u32,
    }
}

/// Peer messages of the living servers, as they were on the link.
fn recorded_peer_messages(network: &Network) -> Vec<Vec<u8>> {
    let begin = crate::harness::clock::now();
    let mut recorded = Vec::new();
    wait_for(SOON, "peer messages on the link", || {
        let frames = network.capture.since(begin, |_| true).into_iter();
        recorded = frames
            .filter_map(|frame| match frame.message {
                Frame::Peer(payload) => Some(payload),
                _ => None,
            })
            .collect();
        recorded.len() >= 3 * ALL.len()
    });
    recorded
}
