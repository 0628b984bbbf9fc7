//! Servers of unlike capacities behind routers that share flows at equal cost, on a virtual clock: the real `decide`, `Meter` and
//! `CostClass`; the group as the peer messages would tell it, a step late.
//!
//! A step is three seconds, sixty times as long as a real server's look: who moves in the same step may not have heard of the other.

use std::time::Duration;

use heraldns::base::cost::CostClass;
use heraldns::base::peer::IdentityHash;
use heraldns::base::random::{Random, mix};
use heraldns::base::time::Timestamp;
use heraldns::monitor::group::{Group, Member};
use heraldns::monitor::load::{Crew, Inflow, Meter, Work};
use heraldns::monitor::observation::{Health, Observation, Order};
use heraldns::scheduler::{Policy, Standing, State, decide};

pub(super) const STEP: Duration = Duration::from_secs(3);
const STANDBY_AFTER: Duration = Duration::from_secs(30);
/// What an advertiser is configured with.
const COST: u32 = 10;
/// So many of a thousand messages that tell of a move come only with the next one.
const LATE: u64 = 50;
/// In a larger crowd a server looks at every third step, on average: a test has to end.
const MANY: usize = 30;
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// One server.
pub(super) struct Server {
    /// Queries a second it can take.
    pub(super) capacity: f64,
    pub(super) alive: bool,
    pub(super) standing: Standing,
    /// Queries a second that the routers send it now.
    pub(super) offered: f64,
    /// When its class changed for its load, and to what.
    pub(super) moves: Vec<(Timestamp, CostClass)>,
    configured: Option<u32>,
    meter: Meter,
    read: f64,
    dropped: f64,
    busy: Duration,
    last_inflow: Option<Timestamp>,
    /// What it says of itself; class and state are added.
    measured: Member,
    /// Its flows are not quite an equal part.
    lump: f64,
    identity: IdentityHash,
}

impl Server {
    /// The share of what it can take that it is asked, as it is, not as it is measured.
    pub(super) fn true_load(&self) -> f64 {
        self.offered / self.capacity
    }

    fn start(&mut self, now: Timestamp) {
        self.alive = true;
        self.standing = Standing::starting(now);
        self.meter = Meter::new(self.configured);
        (self.read, self.dropped, self.busy, self.last_inflow) = (0.0, 0.0, Duration::ZERO, None);
    }

    fn attracts(&self) -> bool {
        self.alive && self.standing.state == State::Serving
    }

    fn work(&mut self, now: Timestamp) {
        let seconds = STEP.as_secs_f64();
        let served = self.offered.min(self.capacity);
        self.read += served * seconds;
        self.dropped += (self.offered - served) * seconds;
        self.busy += STEP.mul_f64((self.offered / self.capacity).min(1.0));
        if self.offered > 0.0 {
            self.last_inflow = Some(now);
        }
        let inflow = Inflow {
            read: self.read as u64,
            dropped: self.dropped as u64,
        };
        let work = Work {
            crew: Crew::Runtime,
            threads: 1,
            busy: self.busy,
        };
        self.meter.update(inflow, &[work], now);
        self.measured = Member {
            load: (self.meter.load() * 1_000.0) as u16,
            offered: self.meter.offered() as u32,
            capacity: self.meter.capacity().unwrap_or(0.0) as u32,
            ..Member::default()
        };
    }

    fn member(&self) -> Member {
        Member {
            attracts: self.attracts(),
            class: self.standing.class(),
            ..self.measured
        }
    }
}

/// Where queries come from.
#[derive(Clone, Debug)]
pub(super) struct Router {
    /// Its part of all queries.
    pub(super) share: f64,
    /// What it adds to each server's cost.
    pub(super) distances: Vec<u32>,
}

/// The whole.
pub(super) struct Crowd {
    pub(super) servers: Vec<Server>,
    pub(super) now: Timestamp,
    pub(super) random: Random,
    /// Servers listen to each other.
    pub(super) peers: bool,
    /// Servers see each other's costs in the routers' database.
    pub(super) database: bool,
    pub(super) routers: Vec<Router>,
    /// What the others have heard of each server; not of dead ones.
    said: Vec<Member>,
    /// The last moves: when, who.
    last_moves: Vec<(Timestamp, usize)>,
    /// A move of this step was not heard in it.
    unheard: bool,
    /// Steps in which there were queries and nobody was asked, to the present one. Who starts needs one.
    unasked: u32,
    traced: bool,
    seed: u64,
}

impl Crowd {
    pub(super) fn new(seed: u64, capacities: &[f64], traced: bool) -> Self {
        let mut random = Random::seeded(seed);
        let servers: Vec<Server> = (0..capacities.len())
            .map(|number| {
                let capacity = capacities[number];
                // Half of them are told by the operator, who is wrong by up to a fifth.
                let told = capacity * (0.8 + random.below(400) as f64 / 1_000.0);
                let configured = random.chance(500).then_some(told as u32);
                Server {
                    capacity,
                    alive: false,
                    standing: Standing::starting(Timestamp::ZERO),
                    offered: 0.0,
                    moves: Vec::new(),
                    configured,
                    meter: Meter::new(configured),
                    read: 0.0,
                    dropped: 0.0,
                    busy: Duration::ZERO,
                    last_inflow: None,
                    measured: Member::default(),
                    lump: 0.97 + random.below(60) as f64 / 1_000.0,
                    identity: IdentityHash(mix(seed ^ mix(number as u64))),
                }
            })
            .collect();
        let mut crowd = Self {
            now: Timestamp::from_secs(1_000),
            random,
            peers: true,
            database: false,
            routers: vec![Router {
                share: 1.0,
                distances: vec![0; servers.len()],
            }],
            said: vec![Member::default(); servers.len()],
            last_moves: Vec::new(),
            unheard: false,
            unasked: 0,
            traced,
            seed,
            servers,
        };
        for number in 0..capacities.len() {
            crowd.start(number);
        }
        crowd
    }

    pub(super) fn start(&mut self, number: usize) {
        self.servers[number].start(self.now);
        self.trace(number, "starts");
    }

    pub(super) fn kill(&mut self, number: usize) {
        let server = &mut self.servers[number];
        (server.alive, server.offered) = (false, 0.0);
        self.said[number] = Member::default();
        self.trace(number, "dies");
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.alive)
    }

    /// What all that live could take.
    pub(super) fn capacity(&self) -> f64 {
        self.alive().map(|server| server.capacity).sum()
    }

    pub(super) fn worst(&self) -> f64 {
        self.alive().map(Server::true_load).fold(0.0, f64::max)
    }

    /// Queries a second that are lost now.
    pub(super) fn lost(&self) -> f64 {
        self.alive().map(|server| (server.offered - server.capacity).max(0.0)).sum()
    }

    /// Those that would be lost if nobody had ever changed its class.
    pub(super) fn lost_untouched(&self, demand: f64) -> f64 {
        let each = demand / self.alive().count() as f64;
        self.alive().map(|server| (each - server.capacity).max(0.0)).sum()
    }

    /// Lets `time` pass with `demand` queries a second, as a function of the time passed.
    pub(super) fn run(&mut self, time: Duration, mut demand: impl FnMut(Duration) -> f64) {
        let began = self.now;
        while self.now.since(began) < time {
            let asked = demand(self.now.since(began));
            self.step(asked);
        }
    }

    fn step(&mut self, demand: f64) {
        self.now = self.now + STEP;
        self.share_out(demand);
        let now = self.now;
        self.servers
            .iter_mut()
            .filter(|server| server.alive)
            .for_each(|server| server.work(now));
        let mut seen = Observation::empty(now, Health::Healthy, Order::Serve);
        let others = self.said.clone();
        seen.group = self.peers.then_some(Group { others, last_move: None });
        self.unheard = false;
        let first = self.random.below(self.servers.len() as u64) as usize;
        for offset in 0..self.servers.len() {
            let number = (first + offset) % self.servers.len();
            let looks = self.servers.len() <= MANY || self.random.chance(333);
            if looks && self.servers[number].alive {
                self.decide(number, &mut seen);
            }
        }
        for (said, server) in self.said.iter_mut().zip(&self.servers) {
            *said = if server.alive { server.member() } else { Member::default() };
        }
        let nobody = demand > 0.0 && self.alive().next().is_some() && self.alive().all(|server| server.offered == 0.0);
        self.unasked = if nobody { self.unasked + 1 } else { 0 };
        if self.unasked > 1 {
            self.fail("there are queries, and servers, and nobody is asked");
        }
    }

    /// Each router sends its queries to the servers of the lowest cost, to each the same part but for its lump.
    fn share_out(&mut self, demand: f64) {
        self.servers.iter_mut().for_each(|server| server.offered = 0.0);
        for router in &self.routers {
            let mut lowest = u32::MAX;
            let mut chosen: Vec<usize> = Vec::with_capacity(self.servers.len());
            for (number, server) in self.servers.iter().enumerate() {
                if !server.alive || !matches!(server.standing.state, State::Serving | State::Idle) {
                    continue;
                }
                let cost = server.standing.class().cost(COST) + router.distances[number];
                if cost < lowest {
                    lowest = cost;
                    chosen.clear();
                }
                if cost == lowest {
                    chosen.push(number);
                }
            }
            let lumps: f64 = chosen.iter().map(|number| self.servers[*number].lump).sum();
            for number in chosen {
                let noise = 0.98 + self.random.below(40) as f64 / 1_000.0;
                self.servers[number].offered += demand * router.share * self.servers[number].lump / lumps * noise;
            }
        }
    }

    fn decide(&mut self, number: usize, seen: &mut Observation) {
        let server = &self.servers[number];
        let own = server.member();
        (seen.load, seen.offered, seen.capacity) = (own.load, own.offered, own.capacity);
        seen.last_inflow = server.last_inflow;
        let others = self.said.iter().zip(&self.servers).enumerate();
        let told = others.filter(|(other, (_, server))| *other != number && server.alive);
        seen.routes = self.database.then(|| told.map(|(_, (said, _))| said.class.cost(0)).collect());
        let before = server.standing;
        let policy = Policy {
            standby_after: STANDBY_AFTER,
            hold: Duration::from_secs(3),
            identity: server.identity,
        };
        let heard = self.last_moves.iter().rev().find(|(_, mover)| *mover != number).map(|(at, _)| *at);
        let own_place = seen.group.as_mut().map(|group| {
            group.last_move = heard.filter(|at| !self.unheard || *at < self.now);
            std::mem::take(&mut group.others[number])
        });
        let after = decide(&policy, before, seen);
        self.servers[number].standing = after;
        let moved = after.cost.class != before.cost.class;
        if moved {
            self.note_move(number, after);
        }
        if let (Some(group), Some(place)) = (&mut seen.group, own_place) {
            group.others[number] = if moved && !self.unheard {
                self.servers[number].member()
            } else {
                place
            };
        }
        if before.state != after.state {
            self.trace(number, after.state.name());
        }
    }

    fn note_move(&mut self, number: usize, after: Standing) {
        let (now, class) = (self.now, after.cost.class);
        let last = self.last_moves.iter().rev().find(|(_, mover)| *mover != number);
        let excused = self.unheard || !self.peers;
        if !excused && last.is_some_and(|(at, _)| now.since(*at) < Duration::from_secs(5)) {
            self.fail("two servers moved within five seconds, and the second had heard of the first");
        }
        self.last_moves.push((now, number));
        self.unheard |= self.random.chance(LATE);
        let moves = &mut self.servers[number].moves;
        moves.push((now, class));
        let third = moves.len().checked_sub(3).map(|index| moves[index].0);
        if third.is_some_and(|at| now.since(at) < TEN_MINUTES) {
            self.fail(&format!("server {number} moved three times in ten minutes"));
        }
        self.trace(number, &format!("{class}: {}", after.cost.rule));
    }

    /// Servers that changed their class at `since` or later, each as often as it did.
    pub(super) fn movers_since(&self, since: Timestamp) -> Vec<usize> {
        let moves = |number: usize| self.servers[number].moves.iter().filter(|(at, _)| *at >= since).count();
        (0..self.servers.len()).flat_map(|number| vec![number; moves(number)]).collect()
    }

    fn trace(&self, number: usize, what: &str) {
        if self.traced {
            let server = &self.servers[number];
            eprintln!(
                "{:>6} s  server {number:<3} {what} (capacity {:.0}, asked {:.0}, load {:.2}, {})",
                self.now.as_micros() / 1_000_000,
                server.capacity,
                server.offered,
                server.meter.load(),
                server.standing.cost.stay
            );
        }
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        for (number, server) in self.servers.iter().enumerate().filter(|(_, server)| self.traced && server.alive) {
            eprintln!(
                "server {number}: {}, {}, capacity {:.0}, asked {:.0}",
                server.standing.state.name(),
                server.standing.class(),
                server.capacity,
                server.offered
            );
        }
        panic!("seed {}, at {}: {what}", self.seed, self.now);
    }
}
