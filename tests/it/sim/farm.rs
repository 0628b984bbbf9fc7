//! Servers behind a real router-side machine on a virtual clock: queries as a fluid with the noise of Poisson arrivals, loads
//! smoothed and told as a server does it, shares as the kernel would keep them.

use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::base::address::{LinkLayerAddress, ServiceAddress};
use heraldns::base::machine::{Input, InterfaceState, Machine, Outbox};
use heraldns::base::peer::{IdentityHash, Peer, PeerState, Statement};
use heraldns::base::random::Random;
use heraldns::base::time::Timestamp;
use heraldns::router::weights::PERIOD;
use heraldns::router::{Config, RouterSide, Setup};

const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);
pub(super) const STEP: Duration = Duration::from_millis(100);
/// Each server sends a message at every third step.
const MESSAGE_STEPS: u64 = 3;
/// Recent load and the load of the cost classes are smoothed over so many seconds.
const RECENT: f64 = 1.5;
const SLOW: f64 = 10.0;

pub(super) struct Server {
    /// Queries a second it can take.
    pub(super) capacity: f64,
    pub(super) weight: u16,
    pub(super) alive: bool,
    /// What others than this router ask of it.
    pub(super) elsewhere: f64,
    pub(super) tells_recent: bool,
    /// Queries a second that reach it now.
    pub(super) offered: f64,
    recent: f64,
    slow: f64,
}

impl Server {
    pub(super) fn utilisation(&self) -> f64 {
        self.offered / self.capacity
    }
}

pub(super) struct Farm {
    pub(super) servers: Vec<Server>,
    pub(super) now: Timestamp,
    pub(super) random: Random,
    pub(super) noise: bool,
    machine: RouterSide,
    peers: Vec<Peer>,
    steps: u64,
    traced: bool,
}

impl Farm {
    /// Servers with these capacities and weights, all active.
    pub(super) fn new(seed: u64, servers: &[(f64, u16)], traced: bool) -> Self {
        let config = Config {
            interface: "lan".to_owned(),
            ..Config::default()
        };
        let services = vec![ServiceAddress::new(SERVICE).unwrap()];
        let server = |(capacity, weight): &(f64, u16)| Server {
            capacity: *capacity,
            weight: *weight,
            alive: true,
            elsewhere: 0.0,
            tells_recent: true,
            offered: 0.0,
            recent: 0.0,
            slow: 0.0,
        };
        let mut farm = Self {
            servers: servers.iter().map(server).collect(),
            now: Timestamp::ZERO,
            random: Random::seeded(seed),
            noise: false,
            machine: RouterSide::new(Setup { config, services }),
            peers: Vec::new(),
            steps: 0,
            traced,
        };
        let link = InterfaceState {
            link_layer: LinkLayerAddress([2, 0, 0, 0, 0xff, 0xfe]),
            link_local: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfffe)),
            up: true,
            ..InterfaceState::default()
        };
        farm.handle(Input::Interface(&link));
        farm
    }

    pub(super) fn capacity(&self) -> f64 {
        self.servers
            .iter()
            .filter(|server| server.alive)
            .map(|server| server.capacity)
            .sum()
    }

    /// So much time with these queries a second; `demand` gets the time that has passed.
    pub(super) fn run(&mut self, time: Duration, demand: impl Fn(Duration) -> f64) {
        let begin = self.now;
        while self.now < begin + time {
            self.now = self.now + STEP;
            self.steps += 1;
            self.deliver(demand(self.now.since(begin)));
            self.speak();
            while self.machine.deadline().is_some_and(|deadline| deadline <= self.now) {
                self.handle(Input::Tick);
            }
        }
    }

    /// Up to the weight law's next update, and the step after it.
    pub(super) fn run_one_update(&mut self, demand: f64) {
        let period = PERIOD.as_micros() as u64;
        let begin = self.now.as_micros() / period;
        while self.now.as_micros() / period == begin {
            self.run(STEP, |_| demand);
        }
        self.run(2 * STEP, |_| demand);
    }

    /// How often what the kernel is told has changed.
    pub(super) fn changes(&self) -> u64 {
        self.machine.changes()
    }

    /// The part of the datagrams that the kernel gives to server `number`.
    pub(super) fn share(&self, number: usize) -> f64 {
        let hops = &self.machine.forwarding().services[0].next_hops;
        let all: f64 = hops.iter().map(|hop| f64::from(hop.datagrams)).sum();
        let own = hops.iter().find(|hop| hop.link_layer == mac(number));
        own.map_or(0.0, |hop| f64::from(hop.datagrams) / all)
    }

    /// Utilisations as they are, not as they are measured, of those who are alive.
    pub(super) fn utilisations(&self) -> Vec<f64> {
        let alive = self.servers.iter().filter(|server| server.alive);
        alive.map(Server::utilisation).collect()
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        let loads: Vec<String> = self.utilisations().iter().map(|load| format!("{load:.2}")).collect();
        panic!("{what} at {}: {}", self.now, loads.join(" "));
    }

    fn deliver(&mut self, demand: f64) {
        let shares: Vec<f64> = (0..self.servers.len()).map(|number| self.share(number)).collect();
        let seconds = STEP.as_secs_f64();
        for (server, share) in self.servers.iter_mut().zip(shares) {
            server.offered = demand * share + server.elsewhere;
            let mean = server.offered * seconds;
            let arrivals = if self.noise { poisson(mean, &mut self.random) } else { mean };
            let load = arrivals / seconds / server.capacity;
            server.recent += (load - server.recent) * (1.0 - (-seconds / RECENT).exp());
            server.slow += (load - server.slow) * (1.0 - (-seconds / SLOW).exp());
        }
        if self.traced && self.steps.is_multiple_of(10) {
            let shown = (0..self.servers.len().min(10))
                .map(|number| format!("{:.3}/{:.2}", self.share(number), self.servers[number].utilisation()));
            eprintln!("{} {demand:.0}: {}", self.now, shown.collect::<Vec<_>>().join(" "));
        }
    }

    fn speak(&mut self) {
        for (number, server) in self.servers.iter().enumerate() {
            if !server.alive || !(self.steps + number as u64).is_multiple_of(MESSAGE_STEPS) {
                continue;
            }
            let peer = peer(number, server, self.now);
            match self.peers.iter_mut().find(|known| known.hash == peer.hash) {
                Some(known) => *known = peer,
                None => self.peers.push(peer),
            }
        }
        let peers = std::mem::take(&mut self.peers);
        self.handle(Input::Peers(&peers));
        self.peers = peers;
    }

    fn handle(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now, &mut Outbox::new());
    }
}

fn mac(number: usize) -> LinkLayerAddress {
    LinkLayerAddress([2, 0, 0, 0, 0, number as u8])
}

fn peer(number: usize, server: &Server, now: Timestamp) -> Peer {
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number as u16 + 1);
    let permille = |load: f64| (load * 1_000.0).round() as u16;
    Peer {
        hash: IdentityHash(number as u64 + 1),
        statement: Statement {
            identity: format!("s{number}"),
            services: vec![SERVICE],
            state: PeerState::Active,
            weight: server.weight,
            load: permille(server.slow),
            recent_load: server.tells_recent.then(|| permille(server.recent)),
            link_layer: mac(number),
            link_local: Some(link_local),
            interval: Duration::from_millis(300),
            ..Statement::default()
        },
        boot: 1,
        source: link_local,
        on_link: true,
        signed: true,
        last_heard: now,
    }
}

/// As many as arrive when `mean` are expected: the normal distribution is near enough for what is smoothed over 15 steps.
fn poisson(mean: f64, random: &mut Random) -> f64 {
    let uniform = |random: &mut Random| random.next_u64() as f64 / u64::MAX as f64;
    let normal = (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0;
    (mean + normal * mean.sqrt()).max(0.0)
}

/// Jain's fairness index: 1 if all are equal, 1/n if one has all.
pub(super) fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    sum * sum / (values.len() as f64 * squares)
}

/// By what factor the greatest is above the least, as a logarithm.
pub(super) fn spread(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(0.0, f64::max);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (greatest / least).ln()
}
