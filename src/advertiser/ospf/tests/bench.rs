//! A link with some servers and a model of a router on a virtual clock; packets that come late, twice or never.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::model::{Model, Stage};
use crate::advertiser::ospf::config::{Config, Network};
use crate::advertiser::ospf::neighbor::State;
use crate::advertiser::ospf::wire::*;
use crate::advertiser::ospf::{Ospf, Setup};
use crate::advertiser::{Advertiser, Farewell};
use crate::base::address::{InterfaceIndex, ServiceAddress};
use crate::base::machine::{ChannelId, Datagram, Event, Input, InterfaceState, Machine, Outbox, Output};
use crate::base::random::Random;
use crate::base::time::Timestamp;
use crate::scheduler::{CostClass, Decision, Intent, Withdrawal};

pub(super) const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);
pub(super) const PLANNED: Intent = Intent::Withdraw(Withdrawal::Planned);
pub(super) const UNHEALTHY: Intent = Intent::Withdraw(Withdrawal::Unhealthy);
/// The router's ID; servers are around it, so that each is master and slave once.
pub(super) const ROUTER: u32 = 100;

pub(super) fn decision(intent: Intent, class: CostClass) -> Decision {
    Decision {
        id: 1,
        intent,
        class,
        load: 0,
        recent_load: 0,
        weight: 100,
        health: 255,
    }
}

pub(super) fn config(router: u32) -> Config {
    Config {
        router_id: Some(router.into()),
        ..Config::default()
    }
}

pub(super) struct Server {
    pub(super) id: RouterId,
    address: Ipv6Addr,
    setup: Setup,
    pub(super) machine: Option<Ospf>,
    pub(super) link: InterfaceState,
    farewell: Vec<Farewell>,
    pub(super) notices: Vec<String>,
}

pub(super) struct Bench {
    pub(super) now: Timestamp,
    pub(super) servers: Vec<Server>,
    pub(super) router: Model,
    pub(super) router_lives: bool,
    pub(super) random: Random,
    pub(super) lost_permille: u64,
    pub(super) latency: Duration,
    /// Packets overtake each other.
    pub(super) jitter: Duration,
    queue: BTreeMap<(Timestamp, u64), (Ipv6Addr, Ipv6Addr, Vec<u8>)>,
    count: u64,
    /// Everything that was sent by servers: when, by whom, what.
    pub(super) sent: Vec<(Timestamp, RouterId, Body)>,
}

impl Bench {
    pub(super) fn new(ids: &[u32], seed: u64) -> Self {
        let mut bench = Self {
            now: Timestamp::from_secs(10),
            servers: Vec::new(),
            router: Model::new(ROUTER),
            router_lives: true,
            random: Random::seeded(seed),
            lost_permille: 0,
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            queue: BTreeMap::new(),
            count: 0,
            sent: Vec::new(),
        };
        for id in ids {
            bench.add(config(*id), None);
        }
        bench
    }

    pub(super) fn add(&mut self, config: Config, key: Option<Key>) -> usize {
        let id = config.router();
        let address = Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(id.0));
        let setup = Setup {
            config,
            interface: "eth0".to_owned(),
            services: vec![ServiceAddress::new(SERVICE).unwrap()],
            key,
            boot: 1_790_000_000_000,
            seed: u64::from(id.0),
        };
        let link = InterfaceState {
            index: InterfaceIndex(3),
            link_local: Some(address),
            mtu: 1_500,
            up: true,
            groups_held: true,
            service_addresses_held: true,
            addresses: vec!["2001:db8:1::9".parse().unwrap()],
            ..InterfaceState::default()
        };
        self.servers.push(Server {
            id,
            address,
            setup,
            machine: None,
            link,
            farewell: Vec::new(),
            notices: Vec::new(),
        });
        self.servers.len() - 1
    }

    /// Starts a server; `boot` milliseconds are added to its boot counter.
    pub(super) fn start(&mut self, index: usize) {
        let server = &mut self.servers[index];
        server.setup.boot = 1_790_000_000_000 + self.now.as_micros() / 1_000;
        server.setup.seed = u64::from(server.id.0) + self.now.as_micros();
        server.machine = Some(Ospf::new(server.setup.clone()));
        let link = server.link.clone();
        self.input(index, &Input::Interface(&link));
    }

    pub(super) fn start_all(&mut self, intent: Intent) {
        for index in 0..self.servers.len() {
            self.start(index);
            self.decide(index, intent);
        }
    }

    pub(super) fn machine(&self, index: usize) -> &Ospf {
        self.servers[index].machine.as_ref().unwrap()
    }

    pub(super) fn state(&self, index: usize) -> Option<State> {
        self.machine(index)
            .neighbors
            .iter()
            .find(|one| one.router == self.router.id)
            .map(|one| one.state)
    }

    pub(super) fn input(&mut self, index: usize, input: &Input<'_>) {
        let mut out = Outbox::new();
        if let Some(machine) = &mut self.servers[index].machine {
            machine.handle(input.clone(), self.now, &mut out);
            self.carry_out(index, &mut out);
        }
    }

    pub(super) fn link(&mut self, index: usize, change: impl Fn(&mut InterfaceState)) {
        change(&mut self.servers[index].link);
        let link = self.servers[index].link.clone();
        self.input(index, &Input::Interface(&link));
    }

    pub(super) fn decide(&mut self, index: usize, intent: Intent) {
        self.decide_class(index, intent, CostClass::Normal);
    }

    pub(super) fn decide_class(&mut self, index: usize, intent: Intent, class: CostClass) {
        let mut out = Outbox::new();
        if let Some(machine) = &mut self.servers[index].machine {
            machine.apply(&decision(intent, class), self.now, &mut out);
            self.carry_out(index, &mut out);
        }
    }

    /// An orderly end.
    pub(super) fn leave(&mut self, index: usize) {
        let mut out = Outbox::new();
        if let Some(machine) = &mut self.servers[index].machine {
            machine.leave(self.now, &mut out);
            self.carry_out(index, &mut out);
        }
        self.servers[index].machine = None;
        self.say_farewell(index, |after| !after.is_zero());
    }

    /// Packets that are on their way until then do not arrive.
    pub(super) fn lose_until(&mut self, end: Timestamp) {
        self.queue.retain(|(at, _), _| *at > end);
    }

    /// The process hangs for so long; its guardian speaks for it, and it finds that out.
    pub(super) fn hang(&mut self, index: usize, duration: Duration) {
        let machine = self.servers[index].machine.take();
        self.say_farewell(index, |_| true);
        self.run(duration);
        self.servers[index].machine = machine;
        let mut out = Outbox::new();
        if let Some(machine) = &mut self.servers[index].machine {
            machine.taken_back(self.now, &mut out);
            self.carry_out(index, &mut out);
        }
    }

    fn say_farewell(&mut self, index: usize, is_due: impl Fn(Duration) -> bool) {
        let server = &mut self.servers[index];
        let (address, farewells) = (server.address, std::mem::take(&mut server.farewell));
        for farewell in farewells.into_iter().filter(|one| is_due(one.after)) {
            assert_eq!(farewell.channel, ChannelId(0));
            let at = self.now + farewell.after;
            self.post(at, address, farewell.datagram.destination, farewell.datagram.payload);
        }
    }

    /// The process dies; its guardian lives, or not.
    pub(super) fn kill(&mut self, index: usize, guardian_lives: bool) {
        self.servers[index].machine = None;
        self.say_farewell(index, |_| guardian_lives);
    }

    fn carry_out(&mut self, index: usize, out: &mut Outbox) {
        let (id, address) = (self.servers[index].id, self.servers[index].address);
        let outputs: Vec<Output> = out.drain().collect();
        for output in outputs {
            match output {
                Output::Event(Event::Notice(_, text)) => self.servers[index].notices.push(text),
                Output::Event(Event::Wanted(_)) => panic!("ospf never wakes anybody"),
                Output::Send(_, datagram) => {
                    let packet = Datagram {
                        source: address,
                        source_port: 0,
                        destination: datagram.destination,
                        hop_limit: 1,
                        payload: &datagram.payload,
                    };
                    assert_eq!(datagram.source, Some(address));
                    assert!(datagram.payload.len() + 40 <= 1_500, "larger than the MTU");
                    let key = self.servers[index].setup.key.as_ref();
                    self.sent.push((self.now, id, Packet::parse(&packet, key).unwrap().packet.body));
                    self.post(self.now, address, datagram.destination, datagram.payload);
                }
            }
        }
        if let Some(machine) = &self.servers[index].machine {
            self.servers[index].farewell = machine.farewell();
        }
    }

    fn post(&mut self, at: Timestamp, source: Ipv6Addr, destination: Ipv6Addr, payload: Vec<u8>) {
        if self.random.chance(self.lost_permille) {
            return;
        }
        self.count += 1;
        let latency = self.latency + self.random.duration_below(self.jitter);
        self.queue.insert((at + latency, self.count), (source, destination, payload));
    }

    fn carry_out_router(&mut self) {
        for (destination, payload) in std::mem::take(&mut self.router.out) {
            self.post(self.now, self.router.address, destination, payload);
        }
    }

    /// The router sends an LSA that it does not keep.
    pub(super) fn pass_on(&mut self, lsa: Lsa) {
        self.router.pass_on(lsa);
        self.carry_out_router();
    }

    /// Lets everything happen until then.
    pub(super) fn run_until(&mut self, end: Timestamp) {
        loop {
            let packet = self.queue.first_key_value().map(|((at, _), _)| *at);
            let machines = self.servers.iter().filter_map(|server| server.machine.as_ref()?.deadline());
            let router = self.router_lives.then(|| self.router.deadline());
            let Some(next) = machines.chain(packet).chain(router).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if packet == Some(next) {
                let (_, (source, destination, payload)) = self.queue.pop_first().unwrap();
                self.deliver(source, destination, &payload);
                continue;
            }
            for index in 0..self.servers.len() {
                let due = self.servers[index].machine.as_ref().and_then(Machine::deadline);
                if due.is_some_and(|at| at <= self.now) {
                    self.input(index, &Input::Tick);
                }
            }
            if self.router_lives && self.router.deadline() <= self.now {
                self.router.tick(self.now);
                self.carry_out_router();
            }
        }
        self.now = end;
    }

    pub(super) fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Until it holds; panics if it does not within `limit`. How long it took.
    pub(super) fn wait(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> Duration {
        let start = self.now;
        while !holds(self) {
            assert!(
                self.now.since(start) < limit,
                "not within {limit:?}: route {:?}, {:?}",
                self.router.route,
                self.servers
                    .iter()
                    .filter_map(|one| Some(one.machine.as_ref()?.report().detail))
                    .collect::<Vec<_>>()
            );
            self.run(Duration::from_millis(1));
        }
        self.now.since(start)
    }

    /// All that run are Full with the router, on both sides.
    pub(super) fn is_full(&self) -> bool {
        (0..self.servers.len())
            .filter(|index| self.servers[*index].machine.is_some())
            .all(|index| self.state(index) == Some(State::Full) && self.router.stage(self.servers[index].id) == Some(Stage::Full))
    }

    pub(super) fn route(&self) -> Vec<(u32, u16)> {
        self.router.route.iter().map(|(id, cost)| (id.0, *cost)).collect()
    }

    pub(super) fn deliver(&mut self, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) {
        let packet = Datagram {
            source,
            source_port: 0,
            destination,
            hop_limit: 1,
            payload,
        };
        let group = self
            .servers
            .first()
            .is_some_and(|server| server.setup.config.network == Network::PointToPoint);
        for index in 0..self.servers.len() {
            let address = self.servers[index].address;
            if source != address && (destination == ALL_SPF_ROUTERS || destination == address) {
                self.input(index, &Input::Datagram(ChannelId(0), packet));
            }
        }
        let to_router = destination == ALL_SPF_ROUTERS || destination == ALL_D_ROUTERS && !group || destination == self.router.address;
        if self.router_lives && source != self.router.address && to_router {
            self.router.receive(&packet, self.now);
            self.carry_out_router();
        }
    }
}
