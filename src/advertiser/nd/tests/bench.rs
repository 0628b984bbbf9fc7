//! One nd machine on a virtual clock, with everything it says written down.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::advertiser::nd::config::{Config, Mode};
use crate::advertiser::nd::sender::{FRAME, RAW};
use crate::advertiser::nd::wire::{Message, NeighborAdvertisement, NeighborSolicitation, ServiceInformation};
use crate::advertiser::nd::{NeighborDiscovery, Setup};
use crate::advertiser::{Advertiser, Report};
use crate::base::address::{ALL_NODES, LinkLayerAddress, ServiceAddress, solicited_node};
use crate::base::machine::{Datagram, Event, Input, InterfaceState, Machine, Outbox, Output, Wanted};
use crate::base::peer::{IdentityHash, Peer, PeerState, Statement};
use crate::base::time::Timestamp;
use crate::scheduler::{CostClass, Decision, Intent, Withdrawal};

pub(super) const OWN: u8 = 1;
pub(super) const ROUTER: u8 = 99;
pub(super) const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);
pub(super) const PLANNED: Intent = Intent::Withdraw(Withdrawal::Planned);
pub(super) const UNHEALTHY: Intent = Intent::Withdraw(Withdrawal::Unhealthy);

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn mac(number: u8) -> LinkLayerAddress {
    LinkLayerAddress([2, 0, 0, 0, 0, number])
}

pub(super) fn link_local(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number))
}

/// Server `number` has this hash, so that the order by hash is the order by number.
pub(super) fn hash(number: u8) -> IdentityHash {
    IdentityHash(u64::from(number))
}

/// One packet that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) at: Timestamp,
    pub(super) destination: Ipv6Addr,
    pub(super) frame: Option<LinkLayerAddress>,
    pub(super) message: Message,
}

impl Sent {
    pub(super) fn advertisement(&self) -> &NeighborAdvertisement {
        match &self.message {
            Message::Advertisement(message) => message,
            other => panic!("no advertisement: {other:?}"),
        }
    }

    pub(super) fn link_layer(&self) -> LinkLayerAddress {
        self.advertisement().target_link_layer.unwrap()
    }

    pub(super) fn information(&self) -> ServiceInformation {
        self.advertisement().information.unwrap()
    }
}

pub(super) struct Bench {
    pub(super) machine: NeighborDiscovery,
    pub(super) now: Timestamp,
    pub(super) sent: Vec<Sent>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) notices: Vec<String>,
    peers: Vec<Peer>,
    decisions: u64,
}

pub(super) fn config(mode: Mode) -> Config {
    Config { mode, ..Config::default() }
}

impl Bench {
    /// A server on a working link, not told anything yet.
    pub(super) fn new(config: Config) -> Self {
        Self::with(config, false)
    }

    pub(super) fn with(config: Config, signed_only: bool) -> Self {
        let machine = NeighborDiscovery::new(Setup {
            config,
            interface: "eth0".to_owned(),
            services: vec![ServiceAddress::new(SERVICE).unwrap()],
            identity: hash(OWN),
            peer_interval: Duration::from_millis(300),
            signed_only,
            first_sequence: 0,
        });
        let mut bench = Self {
            machine,
            now: Timestamp::ZERO,
            sent: Vec::new(),
            wanted: Vec::new(),
            notices: Vec::new(),
            peers: Vec::new(),
            decisions: 0,
        };
        bench.link(&usable());
        bench
    }

    /// A failover server that is the holder since 900 ms; what it sent until 2 s is forgotten.
    pub(super) fn holder() -> Self {
        let mut bench = Self::new(Config::default());
        bench.decide(Intent::Advertise);
        bench.run_until(2_000);
        assert!(bench.report().holder);
        bench.sent.clear();
        bench
    }

    /// A failover server that follows server 2, an active holder of term 5, at 1 s.
    pub(super) fn follower(config: Config) -> Self {
        let mut bench = Self::new(config);
        bench.decide(Intent::Silent);
        bench.hear(peer(2, |statement| {
            statement.holder = true;
            statement.term = 5;
        }));
        bench.run_alongside(2, 1_000);
        assert_eq!(bench.report().other_holder, Some(hash(2)));
        bench
    }

    pub(super) fn report(&self) -> Report {
        self.machine.report()
    }

    pub(super) fn link(&mut self, state: &InterfaceState) {
        self.input(Input::Interface(state));
    }

    pub(super) fn decide(&mut self, intent: Intent) {
        self.decisions += 1;
        self.apply(intent, 440);
    }

    /// The last decision again, with another recent load.
    pub(super) fn apply(&mut self, intent: Intent, recent_load: u16) {
        let decision = Decision {
            id: self.decisions,
            intent,
            class: CostClass::Normal,
            load: 310,
            recent_load,
            weight: 100,
            health: 255,
        };
        let mut out = Outbox::new();
        self.machine.apply(&decision, self.now, &mut out);
        self.collect(out);
    }

    /// A peer message, now.
    pub(super) fn hear(&mut self, mut peer: Peer) {
        peer.last_heard = self.now;
        self.peers.retain(|known| known.source != peer.source);
        self.peers.push(peer);
        let peers = self.peers.clone();
        self.input(Input::Peers(&peers));
    }

    /// The last message of peer `number` again.
    pub(super) fn hear_again(&mut self, number: u8) {
        let known = self.peers.iter().find(|peer| peer.hash == hash(number));
        self.hear(known.unwrap().clone());
    }

    /// An unsolicited advertisement of server `number`.
    pub(super) fn hear_advertisement(&mut self, number: u8, link_layer: LinkLayerAddress, information: Option<ServiceInformation>) {
        let message = Message::Advertisement(NeighborAdvertisement {
            target: SERVICE,
            router: false,
            solicited: false,
            overriding: true,
            target_link_layer: Some(link_layer),
            information,
        });
        self.packet(link_local(number), ALL_NODES, &message);
    }

    pub(super) fn solicit_all(&mut self) {
        self.solicit(solicited_node(SERVICE), Some(mac(ROUTER)));
    }

    pub(super) fn solicit(&mut self, destination: Ipv6Addr, source_link_layer: Option<LinkLayerAddress>) {
        let message = Message::Solicitation(NeighborSolicitation {
            target: SERVICE,
            source_link_layer,
        });
        self.packet(link_local(ROUTER), destination, &message);
    }

    pub(super) fn packet(&mut self, source: Ipv6Addr, destination: Ipv6Addr, message: &Message) {
        let payload = message.emit(source, destination);
        let packet = Datagram {
            source,
            source_port: 0,
            destination,
            hop_limit: 255,
            payload: &payload,
        };
        self.input(Input::Datagram(RAW, packet));
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        let mut out = Outbox::new();
        self.machine.handle(input, self.now, &mut out);
        self.collect(out);
    }

    /// Its guardian has said its farewell while it hung.
    pub(super) fn taken_back(&mut self) {
        let mut out = Outbox::new();
        self.machine.taken_back(self.now, &mut out);
        self.collect(out);
    }

    /// Lets the time run, with every tick when it is due.
    pub(super) fn run_until(&mut self, millis: u64) {
        while let Some(deadline) = self.machine.deadline().filter(|deadline| *deadline <= at(millis)) {
            self.now = deadline.max(self.now);
            self.input(Input::Tick);
        }
        self.now = at(millis);
    }

    /// The same, with a message of peer `number` every 300 ms.
    pub(super) fn run_alongside(&mut self, number: u8, millis: u64) {
        while self.now < at(millis) {
            let next = (self.now + Duration::from_millis(300)).min(at(millis));
            self.run_until(next.as_micros() / 1_000);
            self.hear_again(number);
        }
    }

    pub(super) fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// When something was sent, in milliseconds.
    pub(super) fn times(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.at.as_micros() / 1_000).collect()
    }

    pub(super) fn assert_silent(&self) {
        assert!(self.sent.is_empty(), "at {}: {:?}", self.now, self.sent);
    }

    fn collect(&mut self, mut out: Outbox) {
        for output in out.drain() {
            match output {
                Output::Send(channel, datagram) => {
                    assert_eq!(channel == FRAME, datagram.link_layer.is_some(), "a frame needs its destination");
                    let source = datagram.source.unwrap_or(self.machine.sender.link.link_local.unwrap());
                    let packet = Datagram {
                        source,
                        source_port: 0,
                        destination: datagram.destination,
                        hop_limit: 255,
                        payload: &datagram.payload,
                    };
                    self.sent.push(Sent {
                        at: self.now,
                        destination: datagram.destination,
                        frame: datagram.link_layer,
                        message: Message::parse(&packet).unwrap(),
                    });
                }
                Output::Event(Event::Wanted(wanted)) => self.wanted.push(wanted),
                Output::Event(Event::Notice(_, text)) => self.notices.push(text),
            }
        }
    }
}

pub(super) fn usable() -> InterfaceState {
    InterfaceState {
        link_layer: mac(OWN),
        link_local: Some(link_local(OWN)),
        mtu: 1_500,
        up: true,
        groups_held: true,
        service_addresses_held: true,
        ..InterfaceState::default()
    }
}

/// Server `number`: ready, not the holder, but for what `change` makes of it.
pub(super) fn peer(number: u8, change: impl FnOnce(&mut Statement)) -> Peer {
    let mut statement = Statement {
        identity: format!("s{number}"),
        services: vec![SERVICE],
        state: PeerState::Standby,
        health: 255,
        weight: 100,
        link_layer: mac(number),
        link_local: Some(link_local(number)),
        interval: Duration::from_millis(300),
        ..Statement::default()
    };
    change(&mut statement);
    Peer {
        hash: hash(number),
        statement,
        boot: 1,
        source: link_local(number),
        on_link: true,
        signed: false,
        last_heard: Timestamp::ZERO,
    }
}

/// Option 253 of server `number`, active in `term`.
pub(super) fn information(number: u8, term: u32, sequence: u32) -> ServiceInformation {
    ServiceInformation {
        state: PeerState::Active,
        weight: 100,
        term,
        sequence,
        identity: hash(number),
        health: 255,
        ..ServiceInformation::default()
    }
}
