//! One simulated server: the real nd and peers machines, wired as `app` wires them, and the smallest scheduler that can
//! want, not want, and fall idle.

use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::advertiser::nd::{self, NeighborDiscovery};
use heraldns::advertiser::peers::{self, Peers};
use heraldns::advertiser::{Advertiser, Farewell, Report, State};
use heraldns::base::address::{LinkLayerAddress, ServiceAddress};
use heraldns::base::machine::{Datagram, Event, Input, InterfaceState, Machine, OutDatagram, Outbox, Output};
use heraldns::base::peer::{IdentityHash, PeerState, Statement};
use heraldns::base::time::{Timestamp, earliest};
use heraldns::scheduler::{CostClass, Decision, Intent, Withdrawal};

use super::network::{Packet, SERVICE};

/// What the operator, or its health, wants of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Serve,
    Drain,
    Fail,
}

/// Whether the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Stopped,
    Dead,
}

/// What is configured the same on all servers of a story.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) nd: nd::Config,
    pub(super) standby_after: Duration,
    pub(super) key: Option<&'static [u8]>,
}

/// One server.
pub(super) struct Host {
    pub(super) number: usize,
    pub(super) mac: LinkLayerAddress,
    pub(super) address: Ipv6Addr,
    pub(super) life: Life,
    pub(super) wish: Wish,
    pub(super) weight: u16,
    pub(super) queries: u64,
    pub(super) link_up: bool,
    /// What the others last heard of it: its messages come at the interval of idle standby.
    pub(super) said_idle: bool,
    /// Its guardian has said its farewell while the process was stopped.
    pub(super) spoken_for: bool,
    /// What waits in the kernel while the process is stopped.
    pub(super) backlog: Vec<Packet>,
    /// When it is to be woken, as it was last scheduled.
    pub(super) wake_at: Option<Timestamp>,
    settings: Settings,
    boot: u64,
    nd: NeighborDiscovery,
    peers: Peers,
    peers_seen: u64,
    last_wanted: Timestamp,
    last_intent: Option<Intent>,
    decisions: u64,
    outbox: Outbox,
    sent: Vec<OutDatagram>,
}

impl Host {
    pub(super) fn new(number: usize, weight: u16, settings: &Settings) -> Self {
        let (nd, peers) = machines(number, 1, settings);
        Self {
            number,
            mac: LinkLayerAddress([2, 0, 0, 0, 0, number as u8 + 1]),
            address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number as u16 + 1),
            life: Life::Dead,
            wish: Wish::Serve,
            weight,
            queries: 0,
            link_up: true,
            said_idle: false,
            spoken_for: false,
            backlog: Vec::new(),
            wake_at: None,
            settings: settings.clone(),
            boot: 1,
            nd,
            peers,
            peers_seen: 0,
            last_wanted: Timestamp::ZERO,
            last_intent: None,
            decisions: 0,
            outbox: Outbox::new(),
            sent: Vec::new(),
        }
    }

    /// The process starts, knowing nothing.
    pub(super) fn start(&mut self, now: Timestamp) {
        self.boot += 1;
        (self.nd, self.peers) = machines(self.number, self.boot, &self.settings);
        (self.peers_seen, self.last_intent, self.queries) = (0, None, 0);
        (self.life, self.wish, self.last_wanted, self.link_up) = (Life::Running, Wish::Serve, now, true);
        self.backlog.clear();
        self.spoken_for = false;
        self.link_changed(now);
    }

    /// What its guardian is to say when the process dies or hangs.
    pub(super) fn farewell(&self) -> Vec<Farewell> {
        self.nd.farewell().into_iter().chain(self.peers.farewell()).collect()
    }

    /// The process goes on, and finds what has waited for it.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        self.life = Life::Running;
        for packet in std::mem::take(&mut self.backlog) {
            self.receive(&packet, now);
        }
        if std::mem::take(&mut self.spoken_for) {
            self.sent.clear();
            self.nd.taken_back(now, &mut self.outbox);
            self.peers.taken_back(now);
            self.last_intent = None;
        }
        self.wake(now);
    }

    pub(super) fn link_changed(&mut self, now: Timestamp) {
        let state = InterfaceState {
            link_layer: self.mac,
            link_local: Some(self.address),
            mtu: 1_500,
            up: self.link_up,
            groups_held: true,
            service_addresses_held: true,
            ..InterfaceState::default()
        };
        self.peers.handle(Input::Interface(&state), now, &mut self.outbox);
        self.collect();
        self.nd.handle(Input::Interface(&state), now, &mut self.outbox);
        self.settle(now);
    }

    pub(super) fn wish(&mut self, wish: Wish, now: Timestamp) {
        self.wish = wish;
        self.settle(now);
    }

    pub(super) fn wake(&mut self, now: Timestamp) {
        if self.nd.deadline().is_some_and(|at| now >= at) {
            self.nd.handle(Input::Tick, now, &mut self.outbox);
        }
        self.settle(now);
        if self.peers.deadline().is_some_and(|at| now >= at) {
            self.peers.handle(Input::Tick, now, &mut self.outbox);
            self.collect();
        }
        self.settle(now);
    }

    pub(super) fn receive(&mut self, packet: &Packet, now: Timestamp) {
        let datagram = Datagram {
            source: packet.source,
            source_port: 4_844,
            destination: packet.destination,
            hop_limit: 255,
            payload: &packet.payload,
        };
        let input = Input::Datagram(heraldns::base::machine::ChannelId(0), datagram);
        if packet.is_udp {
            self.peers.handle(input, now, &mut self.outbox);
            self.collect();
        } else {
            self.nd.handle(input, now, &mut self.outbox);
        }
        self.settle(now);
    }

    /// A query came; true if it is answered.
    pub(super) fn query(&mut self, now: Timestamp) -> bool {
        self.queries += 1;
        self.last_wanted = now;
        self.nd.handle(Input::Inflow(self.queries), now, &mut self.outbox);
        self.settle(now);
        self.serves()
    }

    pub(super) fn serves(&self) -> bool {
        self.life == Life::Running && self.wish != Wish::Fail && self.link_up
    }

    /// It holds the service address, and means to.
    pub(super) fn is_holder(&self) -> bool {
        let report = self.report();
        self.life == Life::Running && report.holder && report.state != State::Withdrawing
    }

    /// Where it is in the order of all servers of equal health; the greatest goes first.
    pub(super) fn place(&self) -> (u16, IdentityHash) {
        (self.weight, IdentityHash::of(&identity(self.number)))
    }

    pub(super) fn report(&self) -> Report {
        self.nd.report()
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.nd.is_withdrawn()
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let idle_at = self.last_wanted + self.settings.standby_after;
        let falls_idle = (self.last_intent == Some(Intent::Advertise)).then_some(idle_at);
        earliest(earliest(self.nd.deadline(), self.peers.deadline()), falls_idle)
    }

    pub(super) fn take_sent(&mut self) -> Vec<OutDatagram> {
        std::mem::take(&mut self.sent)
    }

    /// Decides, tells the peers, and hears what they say, until nothing changes any more.
    fn settle(&mut self, now: Timestamp) {
        loop {
            self.collect_events(now);
            let decided = self.decide(now);
            self.collect_events(now);
            let statement = self.statement();
            if self.link_up {
                self.said_idle = statement.idle;
            }
            self.peers.say(statement, now, &mut self.outbox);
            self.collect();
            let news = self.peers.changes() != self.peers_seen;
            if news {
                self.peers_seen = self.peers.changes();
                self.nd.handle(Input::Peers(self.peers.peers()), now, &mut self.outbox);
            }
            if !news && !decided {
                return;
            }
        }
    }

    fn decide(&mut self, now: Timestamp) -> bool {
        let intent = match self.wish {
            Wish::Serve if !self.link_up => Intent::Withdraw(Withdrawal::Unhealthy),
            Wish::Serve if now.since(self.last_wanted) >= self.settings.standby_after => Intent::Silent,
            Wish::Serve => Intent::Advertise,
            Wish::Drain => Intent::Withdraw(Withdrawal::Planned),
            Wish::Fail => Intent::Withdraw(Withdrawal::Unhealthy),
        };
        if self.last_intent == Some(intent) {
            return false;
        }
        self.last_intent = Some(intent);
        self.decisions += 1;
        let decision = Decision {
            id: self.decisions,
            intent,
            class: CostClass::Normal,
            load: 0,
            recent_load: 0,
            weight: self.weight,
            health: 255,
        };
        self.nd.apply(&decision, now, &mut self.outbox);
        true
    }

    fn statement(&self) -> Statement {
        let report = self.nd.report();
        let state = match (self.wish, report.state) {
            (Wish::Fail, _) => PeerState::Withdrawn,
            (Wish::Drain, _) => PeerState::Draining,
            (Wish::Serve, State::Failed) => PeerState::Withdrawn,
            (Wish::Serve, _) if report.advertised => PeerState::Active,
            (Wish::Serve, _) => PeerState::Standby,
        };
        let (holder, term) = report.place();
        Statement {
            services: vec![SERVICE],
            state,
            idle: self.last_intent == Some(Intent::Silent),
            holder,
            term,
            health: 255,
            weight: self.weight,
            successor: report.successor,
            misdelivered: report.misdelivered,
            ..Statement::default()
        }
    }

    fn collect_events(&mut self, now: Timestamp) {
        let outputs: Vec<_> = self.outbox.drain().collect();
        for output in outputs {
            match output {
                Output::Send(_, datagram) => self.sent.push(datagram),
                Output::Event(Event::Wanted(_)) => self.last_wanted = now,
                Output::Event(Event::Notice(..)) => {}
            }
        }
    }

    fn collect(&mut self) {
        let sent = self.outbox.drain().filter_map(|output| match output {
            Output::Send(_, datagram) => Some(datagram),
            Output::Event(_) => None,
        });
        self.sent.extend(sent);
    }
}

fn identity(number: usize) -> String {
    format!("s{}", number + 1)
}

fn machines(number: usize, boot: u64, settings: &Settings) -> (NeighborDiscovery, Peers) {
    let identity = identity(number);
    let peers = Peers::new(peers::Setup {
        config: peers::Config::default(),
        key: settings.key.map(peers::wire::Key::new),
        interface: "eth0".to_owned(),
        identity: identity.clone(),
        boot,
    });
    let nd = NeighborDiscovery::new(nd::Setup {
        config: settings.nd.clone(),
        interface: "eth0".to_owned(),
        services: vec![ServiceAddress::new(SERVICE).unwrap()],
        identity: IdentityHash::of(&identity),
        peer_interval: Duration::from_millis(300),
        signed_only: settings.key.is_some(),
        first_sequence: (boot as u32) << 16,
    });
    (nd, peers)
}
