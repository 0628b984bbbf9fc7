//! One router-side machine on a virtual clock, with all that it sends and says written down.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::advertiser::nd::wire::{Message, NeighborAdvertisement, NeighborSolicitation, ServiceInformation};
use crate::base::address::{ALL_NODES, LinkLayerAddress, ServiceAddress, solicited_node};
use crate::base::forwarding::NextHop;
use crate::base::machine::{ChannelId, Datagram, Event, Input, InterfaceState, Machine, Outbox, Output};
use crate::base::peer::{IdentityHash, Peer, PeerState, Statement};
use crate::base::time::Timestamp;
use crate::router::report::{MemberReport, ServiceReport};
use crate::router::{Config, Policy, RouterSide, Setup};

pub(super) const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);
pub(super) const OWN: u16 = 0xfffe;
pub(super) const NOBODY: [u16; 0] = [];

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn mac(number: u16) -> LinkLayerAddress {
    let [high, low] = number.to_be_bytes();
    LinkLayerAddress([2, 0, 0, 0, high, low])
}

pub(super) fn link_local(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number)
}

pub(super) fn hash(number: u16) -> IdentityHash {
    IdentityHash(u64::from(number))
}

pub(super) fn policy(policy: Policy) -> Config {
    Config {
        interface: "lan".to_owned(),
        services: vec![SERVICE],
        policy,
        ..Config::default()
    }
}

/// One solicitation that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) millis: u64,
    /// `None`: all servers.
    pub(super) whom: Option<LinkLayerAddress>,
    pub(super) destination: Ipv6Addr,
}

pub(super) struct Bench {
    pub(super) machine: RouterSide,
    pub(super) now: Timestamp,
    pub(super) asked: Vec<Asked>,
    pub(super) notices: Vec<String>,
    peers: Vec<Peer>,
    sequence: u32,
}

impl Bench {
    /// A router side on a working link.
    pub(super) fn new(config: Config) -> Self {
        let mut bench = Self::unlinked(config);
        bench.link(&usable());
        bench
    }

    pub(super) fn unlinked(config: Config) -> Self {
        let services = config.check("router", &mut Vec::new());
        Self {
            machine: RouterSide::new(Setup { config, services }),
            now: Timestamp::ZERO,
            asked: Vec::new(),
            notices: Vec::new(),
            peers: Vec::new(),
            sequence: 0,
        }
    }

    /// One whose entry has been resolved by server 1 at 0 s.
    pub(super) fn resolved(config: Config) -> Self {
        let mut bench = Self::new(config);
        bench.answer(1, |_| {});
        assert_eq!(bench.entry().link_layer, Some(mac(1)));
        bench.asked.clear();
        bench
    }

    pub(super) fn link(&mut self, state: &InterfaceState) {
        self.input(Input::Interface(state));
    }

    /// An unsolicited advertisement of server `number`, active.
    pub(super) fn advertise(&mut self, number: u16, change: impl FnOnce(&mut ServiceInformation)) {
        let information = self.information(number, change);
        self.advertisement(link_local(number), mac(number), false, Some(information));
    }

    /// Its answer to a solicitation.
    pub(super) fn answer(&mut self, number: u16, change: impl FnOnce(&mut ServiceInformation)) {
        let information = self.information(number, change);
        self.advertisement(link_local(number), mac(number), true, Some(information));
    }

    /// Its advertisement with the link-layer address of `successor`.
    pub(super) fn hand_over(&mut self, number: u16, successor: u16) {
        let information = self.information(number, |information| {
            information.state = PeerState::Draining;
            information.hand_over = true;
        });
        self.advertisement(link_local(number), mac(successor), false, Some(information));
    }

    pub(super) fn information(&mut self, number: u16, change: impl FnOnce(&mut ServiceInformation)) -> ServiceInformation {
        self.sequence += 1;
        let mut information = ServiceInformation {
            state: PeerState::Active,
            weight: 100,
            recent_load: Some(300),
            term: 1,
            sequence: self.sequence,
            identity: hash(number),
            health: 255,
            ..ServiceInformation::default()
        };
        change(&mut information);
        information
    }

    pub(super) fn advertisement(
        &mut self,
        source: Ipv6Addr,
        link_layer: LinkLayerAddress,
        solicited: bool,
        information: Option<ServiceInformation>,
    ) {
        self.message(
            source,
            &NeighborAdvertisement {
                target: SERVICE,
                router: false,
                solicited,
                overriding: false,
                target_link_layer: Some(link_layer),
                information,
            },
        );
    }

    pub(super) fn message(&mut self, source: Ipv6Addr, message: &NeighborAdvertisement) {
        let destination = if message.solicited { link_local(OWN) } else { ALL_NODES };
        let payload = Message::Advertisement(message.clone()).emit(source, destination);
        self.packet(source, destination, 255, &payload);
    }

    pub(super) fn packet(&mut self, source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, payload: &[u8]) {
        let packet = Datagram {
            source,
            source_port: 0,
            destination,
            hop_limit,
            payload,
        };
        self.input(Input::Datagram(ChannelId(0), packet));
    }

    /// A peer message, now.
    pub(super) fn hear(&mut self, mut peer: Peer) {
        peer.last_heard = self.now;
        let key = |peer: &Peer| (peer.hash, peer.statement.link_layer);
        self.peers.retain(|known| key(known) != key(&peer));
        self.peers.push(peer);
        let peers = self.peers.clone();
        self.input(Input::Peers(&peers));
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        let mut out = Outbox::new();
        self.machine.handle(input, self.now, &mut out);
        self.collect(out);
    }

    /// Lets the time run, with every tick when it is due.
    pub(super) fn run_until(&mut self, millis: u64) {
        while let Some(deadline) = self.machine.deadline().filter(|deadline| *deadline <= at(millis)) {
            assert!(deadline > self.now, "a deadline in the past at {}", self.now);
            self.now = deadline;
            self.input(Input::Tick);
        }
        self.now = at(millis);
    }

    /// The same, while these servers advertise every 300 ms.
    pub(super) fn run_with(&mut self, numbers: &[u16], millis: u64) {
        while self.now < at(millis) {
            for number in numbers {
                self.advertise(*number, |_| {});
            }
            let next = (self.now + Duration::from_millis(300)).min(at(millis));
            self.run_until(next.as_micros() / 1_000);
        }
    }

    pub(super) fn next_hops(&self) -> &[NextHop] {
        &self.machine.forwarding().services[0].next_hops
    }

    /// Server, share of the datagrams, share of the connections.
    pub(super) fn shares(&self) -> Vec<(u16, u16, u16)> {
        let number = |hop: &NextHop| u16::from_be_bytes([hop.link_layer.0[4], hop.link_layer.0[5]]);
        let hops = self.next_hops().iter();
        hops.map(|hop| (number(hop), hop.datagrams, hop.connections)).collect()
    }

    /// The servers that get datagrams.
    pub(super) fn delivered(&self) -> Vec<u16> {
        let shares = self.shares().into_iter();
        shares
            .filter(|(_, datagrams, _)| *datagrams > 0)
            .map(|(number, _, _)| number)
            .collect()
    }

    pub(super) fn entry(&self) -> ServiceReport {
        self.machine.report(self.now).services[0].clone()
    }

    pub(super) fn discarded(&self, rule: &str) -> u64 {
        let entry = self.entry();
        entry
            .discarded
            .iter()
            .find(|(name, _)| *name == rule)
            .map_or(0, |(_, count)| *count)
    }

    pub(super) fn dropped(&self, cause: &str) -> u64 {
        self.machine.dropped.of(cause)
    }

    pub(super) fn member(&self, number: u16) -> Option<MemberReport> {
        self.entry().members.into_iter().find(|member| member.link_layer == mac(number))
    }

    fn collect(&mut self, mut out: Outbox) {
        for output in out.drain() {
            match output {
                Output::Send(channel, datagram) => {
                    assert_eq!(
                        channel == ChannelId(1),
                        datagram.link_layer.is_some(),
                        "a frame needs its destination"
                    );
                    let packet = Datagram {
                        source: link_local(OWN),
                        source_port: 0,
                        destination: datagram.destination,
                        hop_limit: 255,
                        payload: &datagram.payload,
                    };
                    let Ok(Message::Solicitation(NeighborSolicitation { target, source_link_layer })) = Message::parse(&packet) else {
                        panic!("{packet:?} is no solicitation");
                    };
                    assert!(self.machine.setup.config.services.contains(&target), "{target}");
                    assert_eq!(source_link_layer, Some(mac(OWN)));
                    self.asked.push(Asked {
                        millis: self.now.as_micros() / 1_000,
                        whom: datagram.link_layer,
                        destination: datagram.destination,
                    });
                }
                Output::Event(Event::Notice(_, text)) => self.notices.push(text),
                Output::Event(Event::Wanted(wanted)) => panic!("{wanted:?}"),
            }
        }
    }

    /// When all servers were solicited, in milliseconds.
    pub(super) fn searches(&self) -> Vec<u64> {
        let all = self.asked.iter().filter(|asked| asked.whom.is_none());
        all.inspect(|asked| assert_eq!(asked.destination, solicited_node(SERVICE)))
            .map(|asked| asked.millis)
            .collect()
    }

    /// When server `number` alone was solicited.
    pub(super) fn probes(&self, number: u16) -> Vec<u64> {
        let one = self.asked.iter().filter(|asked| asked.whom == Some(mac(number)));
        one.map(|asked| asked.millis).collect()
    }
}

pub(super) fn usable() -> InterfaceState {
    InterfaceState {
        link_layer: mac(OWN),
        link_local: Some(link_local(OWN)),
        mtu: 1_500,
        up: true,
        ..InterfaceState::default()
    }
}

/// Server `number`: active, but for what `change` makes of it.
pub(super) fn peer(number: u16, change: impl FnOnce(&mut Peer)) -> Peer {
    let mut peer = Peer {
        hash: hash(number),
        statement: Statement {
            identity: format!("s{number}"),
            services: vec![SERVICE],
            state: PeerState::Active,
            holder: true,
            health: 255,
            weight: 100,
            recent_load: Some(300),
            link_layer: mac(number),
            link_local: Some(link_local(number)),
            interval: Duration::from_millis(300),
            ..Statement::default()
        },
        boot: 1,
        source: link_local(number),
        on_link: true,
        signed: false,
        last_heard: Timestamp::ZERO,
    };
    change(&mut peer);
    peer
}

pub(super) fn service() -> ServiceAddress {
    ServiceAddress::new(SERVICE).unwrap()
}
