//! The simulated link: a virtual clock, one queue of what happens when, and packets that come late, twice or never.
//!
//! Everything random comes from the seed, so a failing run can be played again with its trace.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::advertiser::nd::wire::Message;
use heraldns::base::address::LinkLayerAddress;
use heraldns::base::machine::{Datagram, OutDatagram};
use heraldns::base::random::Random;
use heraldns::base::time::Timestamp;

use super::checks::Checks;
use super::host::{Host, Life, Settings, Wish};
use super::router::{Out, Router};

/// The service address of all simulated servers.
pub(super) const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);
/// A guardian finds that main hangs after so long.
const GUARD: Duration = Duration::from_millis(425);
/// A stopped process finds so many packets when it goes on; the rest was dropped.
const BACKLOG: usize = 64;

/// An IPv6 packet, without its frame.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    pub(super) is_udp: bool,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    pub(super) fn icmp(source: Ipv6Addr, destination: Ipv6Addr, payload: Vec<u8>) -> Self {
        Self {
            source,
            destination,
            is_udp: false,
            payload,
        }
    }

    pub(super) fn message(&self) -> Option<Message> {
        let packet = Datagram {
            source: self.source,
            source_port: 0,
            destination: self.destination,
            hop_limit: 255,
            payload: &self.payload,
        };
        (!self.is_udp).then(|| Message::parse(&packet).ok()).flatten()
    }
}

/// How bad the link is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quality {
    /// Shortest and longest way of a packet; packets overtake each other.
    pub(super) latency: (Duration, Duration),
    pub(super) lost_permille: u64,
    pub(super) doubled_permille: u64,
}

impl Quality {
    pub(super) const GOOD: Self = Self {
        latency: (Duration::from_micros(50), Duration::from_micros(500)),
        lost_permille: 0,
        doubled_permille: 0,
    };

    pub(super) fn bad(random: &mut Random) -> Self {
        Self {
            latency: (Duration::from_micros(50), Duration::from_millis(1 + random.below(20))),
            lost_permille: random.below(150),
            doubled_permille: random.below(100),
        }
    }
}

/// What a story does to its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Start(usize),
    /// All of it dies, or the main process alone; then its guardian says what that has left.
    Kill(usize),
    KillMain(usize),
    /// All of it stops, or the main process alone; then its guardian finds that out.
    Stop(usize),
    Hang(usize),
    Continue(usize),
    Wish(usize, Wish),
    Link(usize, bool),
    /// Servers on different sides do not hear each other; the router is on side 0.
    Side(usize, u8),
    Traffic(Option<Duration>),
}

#[derive(Clone, Debug)]
enum Happening {
    Arrives {
        to: usize,
        packet: Packet,
    },
    QueryArrives {
        to: LinkLayerAddress,
        number: u64,
    },
    Wakes {
        host: usize,
        due: Timestamp,
    },
    RouterTimer {
        due: Timestamp,
    },
    Query {
        generation: u64,
    },
    Acts(Act),
    /// The guardian of a host looks whether main, in this one of its stops, hangs still.
    Guards {
        host: usize,
        stop: u64,
    },
    Farewell {
        host: usize,
        stop: u64,
        packet: OutDatagram,
    },
}

/// Everything: servers, router, link and clock.
pub(super) struct Network {
    pub(super) now: Timestamp,
    pub(super) hosts: Vec<Host>,
    pub(super) router: Router,
    pub(super) quality: Quality,
    pub(super) random: Random,
    pub(super) sides: Vec<u8>,
    pub(super) checks: Checks,
    pub(super) asked: u64,
    pub(super) answered: Vec<u64>,
    /// Queries that came to a server that could not answer, and which.
    pub(super) lost_queries: Vec<(Timestamp, Option<usize>)>,
    traffic: (Option<Duration>, u64),
    /// How often each host was started, stopped or let go on.
    turns: Vec<u64>,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    queued: u64,
    trace: Option<Vec<String>>,
}

impl Network {
    pub(super) fn new(seed: u64, weights: &[u16], settings: &Settings, quality: Quality, traced: bool) -> Self {
        Self {
            // A start far from zero, as on a real clock.
            now: Timestamp::from_secs(1_000),
            hosts: weights
                .iter()
                .enumerate()
                .map(|(number, weight)| Host::new(number, *weight, settings))
                .collect(),
            router: Router::new(seed),
            quality,
            random: Random::seeded(seed),
            sides: vec![0; weights.len() + 1],
            checks: Checks::new(),
            asked: 0,
            answered: vec![0; weights.len()],
            lost_queries: Vec::new(),
            traffic: (None, 0),
            turns: vec![0; weights.len()],
            queue: BTreeMap::new(),
            queued: 0,
            trace: traced.then(Vec::new),
        }
    }

    pub(super) fn after(&mut self, millis: u64, act: Act) {
        self.push(self.now + Duration::from_millis(millis), Happening::Acts(act));
    }

    pub(super) fn act(&mut self, act: Act) {
        self.note(|| format!("{act:?}"));
        let now = self.now;
        match act {
            Act::Start(host) => {
                self.turns[host] += 1;
                self.hosts[host].start(now);
            }
            Act::Kill(host) => self.hosts[host].life = Life::Dead,
            Act::KillMain(host) => {
                self.hosts[host].life = Life::Dead;
                self.speak_for(host);
            }
            Act::Stop(host) | Act::Hang(host) => {
                if self.hosts[host].life == Life::Running {
                    self.hosts[host].life = Life::Stopped;
                    self.turns[host] += 1;
                    if matches!(act, Act::Hang(_)) {
                        let stop = self.turns[host];
                        self.push(now + GUARD, Happening::Guards { host, stop });
                    }
                }
            }
            Act::Continue(host) => self.go_on(host),
            Act::Wish(host, wish) => {
                if self.hosts[host].life == Life::Running {
                    self.hosts[host].wish(wish, now);
                }
            }
            Act::Link(host, up) => {
                self.hosts[host].link_up = up;
                if self.hosts[host].life == Life::Running {
                    self.hosts[host].link_changed(now);
                }
            }
            Act::Side(host, side) => self.sides[host] = side,
            Act::Traffic(gap) => {
                self.traffic = (gap, self.traffic.1 + 1);
                let generation = self.traffic.1;
                self.push(now, Happening::Query { generation });
            }
        }
        match act {
            Act::Start(host) | Act::Wish(host, _) | Act::Link(host, _) => self.after_host(host),
            Act::Kill(_) | Act::KillMain(_) | Act::Stop(_) | Act::Hang(_) | Act::Continue(_) | Act::Side(..) | Act::Traffic(_) => {}
        }
        self.check();
    }

    /// Lets `millis` pass. Panics with the trace when an invariant breaks.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
        self.check();
    }

    /// Fails the story.
    pub(super) fn fail(&self, why: &str) -> ! {
        let trace = self.trace.as_deref().unwrap_or_default();
        let from = trace.len().saturating_sub(400);
        panic!("{why}\n{}", trace[from..].join("\n"));
    }

    /// Who has the link-layer address that the router's entry has.
    pub(super) fn pointed_at(&self) -> Option<usize> {
        let mac = self.router.entry.mac()?;
        self.hosts.iter().position(|host| host.mac == mac)
    }

    pub(super) fn holder(&self) -> Option<usize> {
        self.hosts.iter().position(Host::is_holder)
    }

    fn go_on(&mut self, number: usize) {
        let (now, host) = (self.now, &mut self.hosts[number]);
        if host.life != Life::Stopped {
            return;
        }
        self.turns[number] += 1;
        host.go_on(now);
        self.after_host(number);
    }

    /// The guardian of a host says what its main process has left, at its times; no more once that runs again.
    fn speak_for(&mut self, host: usize) {
        let stop = self.turns[host];
        for farewell in self.hosts[host].farewell() {
            let packet = farewell.datagram;
            self.push(self.now + farewell.after, Happening::Farewell { host, stop, packet });
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Acts(act) => self.act(act),
            Happening::Guards { host, stop } => {
                if self.turns[host] == stop && self.hosts[host].life == Life::Stopped {
                    self.hosts[host].spoken_for = true;
                    self.speak_for(host);
                }
            }
            Happening::Farewell { host, stop, packet } => {
                if self.turns[host] == stop {
                    self.transmit(host, &packet);
                }
            }
            Happening::Arrives { to, packet } if to == self.hosts.len() => {
                let Some(message) = packet.message() else { return };
                let before = self.router.entry;
                let out = self.router.receive(&message, packet.source, self.now);
                let after = self.router.entry;
                if before != after {
                    self.note(|| format!("router: {before:?} -> {after:?}"));
                }
                self.after_router(out);
            }
            Happening::Arrives { to, packet } => self.arrive(to, packet),
            Happening::QueryArrives { to, number } => self.query_arrives(to, number),
            Happening::Wakes { host, due } => {
                if self.hosts[host].wake_at == Some(due) && self.hosts[host].life == Life::Running {
                    self.hosts[host].wake_at = None;
                    self.hosts[host].wake(self.now);
                    self.after_host(host);
                }
            }
            Happening::RouterTimer { due } => {
                if self.router.timer == Some(due) {
                    let out = self.router.tick(self.now);
                    self.after_router(out);
                }
            }
            Happening::Query { generation } => {
                let (Some(gap), true) = (self.traffic.0, self.traffic.1 == generation) else {
                    return;
                };
                self.asked += 1;
                let out = self.router.forward(self.asked, self.now);
                self.after_router(out);
                self.push(self.now + gap, Happening::Query { generation });
            }
        }
        self.check();
    }

    fn arrive(&mut self, to: usize, packet: Packet) {
        let host = &mut self.hosts[to];
        match host.life {
            Life::Dead => {}
            Life::Stopped => {
                if host.backlog.len() < BACKLOG {
                    host.backlog.push(packet);
                }
            }
            Life::Running if !host.link_up => {}
            Life::Running => {
                let advertiser = packet
                    .message()
                    .and_then(|_| self.hosts.iter().position(|host| host.address == packet.source));
                self.hosts[to].receive(&packet, self.now);
                self.after_host(to);
                if let Some(from) = advertiser {
                    self.checks.advertisement_delivered(from, to, self.now);
                }
            }
        }
    }

    fn query_arrives(&mut self, to: LinkLayerAddress, number: u64) {
        let reached: Vec<usize> = (0..self.hosts.len())
            .filter(|host| to.is_group() || self.hosts[*host].mac == to)
            .collect();
        let mut answered = false;
        for host in &reached {
            let reachable = self.hosts[*host].life == Life::Running && self.hosts[*host].link_up && self.sides[*host] == self.router_side();
            if reachable && self.hosts[*host].query(self.now) {
                self.answered[*host] += 1;
                answered = true;
            }
            if reachable {
                self.after_host(*host);
            }
        }
        if !answered {
            self.note(|| format!("query {number} lost at {to}"));
            self.lost_queries.push((self.now, reached.first().copied()));
        }
    }

    fn router_side(&self) -> u8 {
        self.sides[self.hosts.len()]
    }

    /// Puts on the link what a host wants sent, and schedules its next wake.
    fn after_host(&mut self, number: usize) {
        for datagram in self.hosts[number].take_sent() {
            self.transmit(number, &datagram);
        }
        let next = self.hosts[number].next_wake();
        if next != self.hosts[number].wake_at {
            self.hosts[number].wake_at = next;
            if let Some(due) = next {
                let at = due.max(self.now) + self.random.duration_below(Duration::from_millis(1));
                self.push(at, Happening::Wakes { host: number, due });
            }
        }
    }

    fn after_router(&mut self, out: Vec<Out>) {
        for out in out {
            match out {
                Out::Query { to, number } => {
                    let at = self.now + self.latency();
                    self.push(at, Happening::QueryArrives { to, number });
                }
                Out::Packet { to, packet } => {
                    let hosts = self.hosts.len();
                    let to: Vec<usize> = (0..hosts)
                        .filter(|host| to.is_none_or(|mac| self.hosts[*host].mac == mac))
                        .collect();
                    self.note(|| format!("router -> {to:?}: {}", describe(&packet)));
                    to.into_iter().for_each(|to| self.carry(hosts, to, &packet));
                }
            }
        }
        if let Some(due) = self.router.timer {
            self.push(due.max(self.now), Happening::RouterTimer { due });
        }
    }

    fn transmit(&mut self, from: usize, datagram: &OutDatagram) {
        if !self.hosts[from].link_up {
            return;
        }
        let packet = Packet {
            source: datagram.source.unwrap_or(self.hosts[from].address),
            destination: datagram.destination,
            is_udp: datagram.port != 0,
            payload: datagram.payload.clone(),
        };
        self.note(|| format!("s{} -> {}: {}", from + 1, packet.destination, describe(&packet)));
        let router = self.hosts.len();
        if packet.destination.is_multicast() {
            let others = (0..=router).filter(|to| *to != from && !(packet.is_udp && *to == router));
            others.for_each(|to| self.carry(from, to, &packet));
        } else {
            self.carry(from, router, &packet);
        }
    }

    /// One packet on its way to one node: lost, late, twice.
    fn carry(&mut self, from: usize, to: usize, packet: &Packet) {
        let apart = self.sides[from] != self.sides[to];
        if apart || self.random.chance(self.quality.lost_permille) {
            // What is said to the other side of a partition, or to the router, keeps nobody waiting.
            if !apart && to < self.hosts.len() {
                self.checks.packet_lost();
            }
            self.note(|| format!("  lost on the way to {to}"));
            return;
        }
        let copies = if self.random.chance(self.quality.doubled_permille) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + self.latency();
            let packet = packet.clone();
            self.push(at, Happening::Arrives { to, packet });
        }
    }

    fn latency(&mut self) -> Duration {
        let (shortest, longest) = self.quality.latency;
        shortest + self.random.duration_below(longest.saturating_sub(shortest))
    }

    fn push(&mut self, at: Timestamp, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    fn check(&mut self) {
        let broken = self.checks.check(self.now, &self.hosts, &self.sides, self.quality.latency.1);
        if let Err(why) = broken {
            self.fail(&format!("at {}: {why}", self.now));
        }
        if self.trace.is_some() {
            let standing: Vec<_> = self.hosts.iter().map(standing).collect();
            if let Some(line) = self.checks.changed(standing.join(" ")) {
                self.note(|| format!("== {line}"));
            }
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(mut trace) = self.trace.take() {
            trace.push(format!("{} {}", self.now, line()));
            self.trace = Some(trace);
        }
    }
}

fn standing(host: &Host) -> String {
    let report = host.report();
    match host.life {
        Life::Dead => format!("s{}:dead", host.number + 1),
        Life::Stopped => format!("s{}:stopped", host.number + 1),
        Life::Running => {
            let holder = if report.holder { "*" } else { "" };
            format!("s{}:{}{holder}({})", host.number + 1, report.state.name(), report.term)
        }
    }
}

fn describe(packet: &Packet) -> String {
    match packet.message() {
        None if packet.is_udp => match heraldns::advertiser::peers::wire::PeerMessage::parse(&packet.payload, None) {
            Ok(message) => {
                let statement = message.statement;
                format!(
                    "peer message {} holder={} term={}",
                    statement.state.name(),
                    statement.holder,
                    statement.term
                )
            }
            Err(why) => why.to_string(),
        },
        None => "?".to_owned(),
        Some(Message::Advertisement(message)) => {
            let flags = (message.solicited, message.overriding);
            let term = message.information.map(|information| (information.state.name(), information.term));
            format!(
                "NA (S, O) = {flags:?} {:?} {term:?}",
                message.target_link_layer.map(|mac| mac.to_string())
            )
        }
        Some(Message::Solicitation(message)) => format!("NS for {}", message.target),
        Some(Message::Router(_)) => "RA".to_owned(),
    }
}
