//! A model of a router, written from RFC 2328 and from what FRR does: DR of the link, drops what comes within MinLSArrival,
//! floods back what it takes, and keeps a next hop that was withdrawn beside others until its next calculation.
//!
//! Not the machine under test in another coat: it shares nothing with it but the codec.

mod routes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::advertiser::ospf::wire::lsa::{MAX_AGE, Network, Router as RouterLsa};
use crate::advertiser::ospf::wire::*;
use crate::base::machine::Datagram;
use crate::base::time::Timestamp;

const HELLO: Duration = Duration::from_secs(1);
const DEAD: Duration = Duration::from_secs(4);
const REPEAT: Duration = Duration::from_secs(5);
const LEAST_ARRIVAL: Duration = Duration::from_secs(1);
/// FRR goes over its withdrawn LSAs so often at most.
const MAX_AGE_KEPT: Duration = Duration::from_secs(60);
/// LSAs in one packet, so that exchanges take several.
const AT_A_TIME: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Init,
    ExStart,
    Exchange,
    Loading,
    Full,
}

#[derive(Clone, Debug)]
struct Peer {
    address: Ipv6Addr,
    stage: Stage,
    heard: Timestamp,
    is_master: bool,
    sequence: u32,
    summary: VecDeque<LsaHeader>,
    last: Option<DatabaseDescription>,
    sent: Option<DatabaseDescription>,
    repeat_at: Option<Timestamp>,
    requests: BTreeMap<LsaKey, LsaHeader>,
    owed: BTreeMap<LsaKey, Timestamp>,
    replay: [u64; 6],
}

/// A router on the link.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) id: RouterId,
    pub(super) address: Ipv6Addr,
    pub(super) hello: u16,
    pub(super) dead: u16,
    pub(super) area: AreaId,
    pub(super) options: Options,
    pub(super) mtu: u16,
    pub(super) key: Option<Key>,
    /// Nobody has been DR for so long that this router is it now.
    pub(super) is_dr: bool,
    pub(super) point_to_point: bool,
    counter: u64,
    peers: BTreeMap<RouterId, Peer>,
    pub(super) database: BTreeMap<LsaKey, (Lsa, Timestamp)>,
    /// The next hops of the service address and their costs.
    pub(super) route: BTreeMap<RouterId, u16>,
    next_hello: Timestamp,
    pub(super) out: Vec<(Ipv6Addr, Vec<u8>)>,
    now: Timestamp,
}

impl Model {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id: RouterId(id),
            address: Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(id)),
            hello: 1,
            dead: 4,
            area: AreaId(0),
            options: Options::V6.with(Options::E).with(Options::R),
            mtu: 1_500,
            key: None,
            is_dr: true,
            point_to_point: false,
            counter: 0,
            peers: BTreeMap::new(),
            database: BTreeMap::new(),
            route: BTreeMap::new(),
            next_hello: Timestamp::ZERO,
            out: Vec::new(),
            now: Timestamp::ZERO,
        }
    }

    pub(super) fn stage(&self, peer: RouterId) -> Option<Stage> {
        self.peers.get(&peer).map(|peer| peer.stage)
    }

    pub(super) fn deadline(&self) -> Timestamp {
        let peers = self
            .peers
            .values()
            .flat_map(|peer| peer.owed.values().copied().chain(peer.repeat_at).chain([peer.heard + DEAD]));
        peers.chain([self.next_hello]).min().unwrap_or(self.next_hello)
    }

    fn send(&mut self, body: Body, destination: Ipv6Addr) {
        self.counter += 1;
        let packet = Packet {
            router: self.id,
            area: self.area,
            instance: 0,
            body,
        };
        let seal = self.key.as_ref().map(|key| (key, self.counter));
        self.out.push((destination, packet.emit(self.address, destination, seal)));
    }

    fn send_hello(&mut self) {
        let designated_router = if self.is_dr { self.id } else { RouterId::NONE };
        let hello = Hello {
            interface: InterfaceId(5),
            priority: 1,
            options: self.said_options(),
            hello_interval: self.hello,
            dead_interval: self.dead,
            designated_router,
            backup_designated_router: RouterId::NONE,
            neighbors: self.peers.keys().copied().collect(),
        };
        self.next_hello = self.now + HELLO;
        self.send(Body::Hello(hello), ALL_SPF_ROUTERS);
    }

    fn said_options(&self) -> Options {
        if self.key.is_some() {
            self.options.with(Options::AT)
        } else {
            self.options
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = now;
        let dead: Vec<RouterId> = self
            .peers
            .iter()
            .filter(|(_, peer)| now.since(peer.heard) >= DEAD)
            .map(|(id, _)| *id)
            .collect();
        for id in &dead {
            self.peers.remove(id);
        }
        if !dead.is_empty() {
            self.describe_link();
        }
        if now >= self.next_hello {
            self.send_hello();
        }
        let has_all = |peer: &Peer| peer.stage == Stage::Loading && peer.requests.is_empty();
        let loaded: Vec<RouterId> = self.peers.iter().filter(|(_, peer)| has_all(peer)).map(|(id, _)| *id).collect();
        loaded.into_iter().for_each(|id| self.finish(id));
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let address = peer.address;
            let due: Vec<LsaKey> = peer.owed.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
            peer.owed.extend(due.iter().map(|key| (*key, now + REPEAT)));
            if peer.repeat_at.is_some_and(|at| at <= now) {
                peer.repeat_at = Some(now + REPEAT);
                let again = peer.sent.clone().filter(|_| peer.is_master && peer.stage <= Stage::Exchange);
                let asked: Vec<LsaKey> = peer.requests.keys().take(AT_A_TIME).copied().collect();
                if let Some(again) = again {
                    self.send(Body::DatabaseDescription(again), address);
                }
                if !asked.is_empty() {
                    self.send(Body::LinkStateRequest(asked), address);
                }
            }
            let lsas: Vec<Lsa> = due
                .iter()
                .filter_map(|key| self.database.get(key))
                .map(|(lsa, _)| lsa.clone())
                .collect();
            if !lsas.is_empty() {
                self.send(Body::LinkStateUpdate(lsas), address);
            }
        }
        let removable = |peers: &BTreeMap<RouterId, Peer>, key: &LsaKey| {
            !peers
                .values()
                .any(|peer| peer.owed.contains_key(key) || matches!(peer.stage, Stage::Exchange | Stage::Loading))
        };
        let peers = &self.peers;
        self.database
            .retain(|key, (lsa, at)| !lsa.header.is_max_age() || now.since(*at) < MAX_AGE_KEPT || !removable(peers, key));
    }

    pub(super) fn receive(&mut self, datagram: &Datagram<'_>, now: Timestamp) {
        self.now = now;
        let Ok(Received { packet, sequence, .. }) = Packet::parse(datagram, self.key.as_ref()) else {
            return;
        };
        let (id, kind) = (packet.router, packet.body.kind());
        if id == self.id || packet.area != self.area {
            return;
        }
        if let (Some(peer), Some(sequence)) = (self.peers.get_mut(&id), sequence) {
            let highest = &mut peer.replay[kind as usize];
            // FRR's comparison, word by word.
            if sequence >> 32 < *highest >> 32 || (sequence as u32) <= (*highest as u32) && *highest > 0 {
                return;
            }
            *highest = sequence;
        }
        match packet.body {
            Body::Hello(hello) => self.hear(id, &hello, datagram.source),
            Body::DatabaseDescription(description) => self.describe(id, description),
            Body::LinkStateRequest(keys) => {
                let Some(peer) = self.peers.get(&id).filter(|peer| peer.stage >= Stage::Exchange) else {
                    return;
                };
                let address = peer.address;
                let lsas = keys
                    .iter()
                    .filter_map(|key| self.database.get(key))
                    .map(|(lsa, _)| lsa.clone())
                    .collect();
                self.send(Body::LinkStateUpdate(lsas), address);
            }
            Body::LinkStateUpdate(lsas) => self.update(id, lsas),
            Body::LinkStateAcknowledgment(headers) => {
                let Some(peer) = self.peers.get_mut(&id) else { return };
                for header in headers {
                    let same = self
                        .database
                        .get(&header.key)
                        .is_some_and(|(lsa, _)| lsa.header.sequence == header.sequence);
                    if same {
                        peer.owed.remove(&header.key);
                    }
                }
            }
        }
    }

    fn hear(&mut self, id: RouterId, hello: &Hello, source: Ipv6Addr) {
        let fits = (hello.hello_interval, hello.dead_interval) == (self.hello, self.dead);
        if !fits || hello.options.contains(Options::E) != self.options.contains(Options::E) {
            return;
        }
        let now = self.now;
        let peer = self.peers.entry(id).or_insert(Peer {
            address: source,
            stage: Stage::Init,
            heard: now,
            is_master: false,
            sequence: 77,
            summary: VecDeque::new(),
            last: None,
            sent: None,
            repeat_at: None,
            requests: BTreeMap::new(),
            owed: BTreeMap::new(),
            replay: [0; 6],
        });
        peer.heard = now;
        let hears_us = hello.neighbors.contains(&self.id);
        if hears_us && peer.stage == Stage::Init && self.is_dr {
            self.start(id);
        } else if !hears_us && peer.stage > Stage::Init {
            self.reset(id);
        }
    }

    fn reset(&mut self, id: RouterId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.stage = Stage::Init;
        peer.requests.clear();
        peer.owed.clear();
        peer.repeat_at = None;
        self.describe_link();
    }

    fn start(&mut self, id: RouterId) {
        let (options, mtu, now) = (self.said_options(), self.mtu, self.now);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let was_full = peer.stage == Stage::Full;
        peer.stage = Stage::ExStart;
        peer.requests.clear();
        peer.owed.clear();
        peer.is_master = true;
        peer.last = None;
        peer.sequence += 1;
        let description = DatabaseDescription {
            options,
            mtu,
            init: true,
            more: true,
            master: true,
            sequence: peer.sequence,
            headers: Vec::new(),
        };
        peer.sent = Some(description.clone());
        peer.repeat_at = Some(now + REPEAT);
        let address = peer.address;
        self.send(Body::DatabaseDescription(description), address);
        if was_full {
            self.describe_link();
        }
    }

    fn describe(&mut self, id: RouterId, description: DatabaseDescription) {
        let own = self.id;
        if description.mtu != self.mtu {
            return;
        }
        let all: VecDeque<LsaHeader> = self
            .database
            .values()
            .map(|(lsa, _)| lsa.header)
            .filter(|header| !header.is_max_age())
            .collect();
        let withdrawn: Vec<LsaKey> = self
            .database
            .values()
            .map(|(lsa, _)| lsa.header)
            .filter(LsaHeader::is_max_age)
            .map(|header| header.key)
            .collect();
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.stage == Stage::Init {
            self.start(id);
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let address = peer.address;
        match peer.stage {
            Stage::Init => {}
            Stage::ExStart => {
                if description.init && description.master && description.headers.is_empty() && id > own {
                    peer.is_master = false;
                } else if !description.init && !description.master && description.sequence == peer.sequence && id < own {
                    peer.is_master = true;
                } else {
                    return;
                }
                peer.stage = Stage::Exchange;
                peer.summary = all;
                peer.owed.extend(withdrawn.iter().map(|key| (*key, now)));
                self.accept(id, description);
            }
            Stage::Exchange => {
                if peer.last.as_ref() == Some(&description) {
                    if let Some(again) = peer.sent.clone().filter(|_| !peer.is_master) {
                        self.send(Body::DatabaseDescription(again), address);
                    }
                    return;
                }
                let expected = if peer.is_master {
                    peer.sequence
                } else {
                    peer.sequence.wrapping_add(1)
                };
                if description.master == peer.is_master || description.init || description.sequence != expected {
                    self.start(id);
                } else {
                    self.accept(id, description);
                }
            }
            Stage::Loading | Stage::Full => {
                if peer.last.as_ref() != Some(&description) {
                    self.start(id);
                } else if let Some(again) = peer.sent.clone().filter(|_| !peer.is_master) {
                    self.send(Body::DatabaseDescription(again), address);
                }
            }
        }
    }

    fn accept(&mut self, id: RouterId, description: DatabaseDescription) {
        let (options, mtu, now) = (self.said_options(), self.mtu, self.now);
        let newer = |header: &&LsaHeader| {
            let here = self.database.get(&header.key);
            here.is_none_or(|(lsa, _)| header.compare(&lsa.header).is_gt())
        };
        let missing: Vec<LsaHeader> = description.headers.iter().filter(newer).copied().collect();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.requests.extend(missing.iter().map(|header| (header.key, *header)));
        peer.last = Some(description.clone());
        let said_all = peer.summary.is_empty() && peer.sent.as_ref().is_some_and(|sent| !sent.more);
        if peer.is_master && said_all && !description.more {
            return self.finish(id);
        }
        peer.sequence = if peer.is_master {
            peer.sequence.wrapping_add(1)
        } else {
            description.sequence
        };
        let count = peer.summary.len().min(AT_A_TIME);
        let answer = DatabaseDescription {
            options,
            mtu,
            init: false,
            headers: peer.summary.drain(..count).collect(),
            more: !peer.summary.is_empty(),
            master: peer.is_master,
            sequence: peer.sequence,
        };
        let is_over = !peer.is_master && !description.more && !answer.more;
        peer.sent = Some(answer.clone());
        peer.repeat_at = Some(now + REPEAT);
        let address = peer.address;
        self.send(Body::DatabaseDescription(answer), address);
        if is_over {
            self.finish(id);
        }
    }

    fn finish(&mut self, id: RouterId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let address = peer.address;
        if peer.requests.is_empty() {
            peer.stage = Stage::Full;
            self.describe_link();
        } else {
            peer.stage = Stage::Loading;
            let asked = peer.requests.keys().take(AT_A_TIME).copied().collect();
            self.send(Body::LinkStateRequest(asked), address);
        }
    }

    fn update(&mut self, id: RouterId, lsas: Vec<Lsa>) {
        let Some(peer) = self.peers.get(&id).filter(|peer| peer.stage >= Stage::Exchange) else {
            return;
        };
        let address = peer.address;
        let (mut acknowledged, mut back) = (Vec::new(), Vec::new());
        for lsa in lsas {
            assert!(lsa.is_intact() && lsa.content().is_ok() && lsa.length() > 20, "{lsa:?}");
            let (header, now) = (lsa.header, self.now);
            let here = self.database.get(&header.key).map(|(here, at)| (here.header, *at));
            match here.map_or(std::cmp::Ordering::Greater, |(here, _)| header.compare(&here)) {
                std::cmp::Ordering::Greater if header.key.router == self.id => {
                    // Ours, from before: said again with the next number.
                    self.database.insert(header.key, (lsa, now));
                    acknowledged.push(header);
                    self.describe_link();
                }
                std::cmp::Ordering::Greater => {
                    let loading = self
                        .peers
                        .values()
                        .any(|peer| matches!(peer.stage, Stage::Exchange | Stage::Loading));
                    if header.is_max_age() && here.is_none() && !loading {
                        acknowledged.push(header);
                        continue;
                    }
                    if here.is_some_and(|(_, at)| now.since(at) < LEAST_ARRIVAL) {
                        continue;
                    }
                    self.install(id, lsa);
                }
                std::cmp::Ordering::Equal => {
                    if let Some(peer) = self.peers.get_mut(&id) {
                        peer.requests.remove(&header.key);
                        peer.owed.remove(&header.key);
                    }
                    acknowledged.push(header);
                }
                std::cmp::Ordering::Less if here.is_some_and(|(here, _)| here.is_max_age() && here.sequence == SequenceNumber::MAX) => {}
                std::cmp::Ordering::Less => back.extend(self.database.get(&header.key).map(|(lsa, _)| lsa.clone())),
            }
        }
        if !acknowledged.is_empty() {
            self.send(Body::LinkStateAcknowledgment(acknowledged), address);
        }
        if !back.is_empty() {
            self.send(Body::LinkStateUpdate(back), address);
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.stage == Stage::Loading {
            self.finish(id);
        }
    }

    /// Keeps an LSA and floods it back onto the link, as a DR does: for its sender that is the acknowledgment.
    fn install(&mut self, from: RouterId, lsa: Lsa) {
        let (key, now) = (lsa.header.key, self.now);
        for (id, peer) in &mut self.peers {
            if peer.requests.get(&key).is_some_and(|asked| lsa.header.compare(asked).is_ge()) {
                peer.requests.remove(&key);
            }
            peer.owed.remove(&key);
            if *id != from && peer.stage >= Stage::Exchange {
                peer.owed.insert(key, now + REPEAT);
            }
        }
        let before = self.database.insert(key, (lsa.clone(), now));
        self.send(Body::LinkStateUpdate(vec![lsa.clone()]), ALL_SPF_ROUTERS);
        let says = |lsa: &Lsa| (lsa.content().ok(), lsa.header.is_max_age());
        if before.is_some_and(|(before, _)| says(&before) == says(&lsa)) {
            return;
        }
        match key.kind {
            LsaType::ROUTER | LsaType::NETWORK | LsaType::LINK => self.calculate(),
            LsaType::INTRA_AREA_PREFIX => self.take_prefix(&key),
            LsaType(_) => {}
        }
    }

    /// The neighbours have changed: new Router- and Network-LSAs, and a calculation.
    fn describe_link(&mut self) {
        let full: BTreeSet<RouterId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.stage == Stage::Full)
            .map(|(id, _)| *id)
            .collect();
        let options = self.options;
        let attached = [self.id].into_iter().chain(full.iter().copied()).collect();
        let network = Content::Network(Network { options, attached });
        let router = Content::Router(RouterLsa {
            flags: 0,
            options,
            links: Vec::new(),
        });
        let mut lsas = Vec::new();
        for (kind, content) in [(LsaType::ROUTER, router), (LsaType::NETWORK, network)] {
            let key = LsaKey {
                kind,
                id: 5,
                router: self.id,
            };
            let last = self.database.get(&key).map(|(lsa, _)| lsa.header.sequence);
            let sequence = last.map_or(SequenceNumber::INITIAL, |last| last.next().unwrap());
            let lsa = Lsa::new(key, sequence, 0, &content);
            self.database.insert(key, (lsa.clone(), self.now));
            let repeat = self.now + REPEAT;
            for peer in self.peers.values_mut().filter(|peer| peer.stage >= Stage::Exchange) {
                peer.owed.insert(key, repeat);
                // What an earlier life has said need not be asked for any more.
                peer.requests.remove(&key);
            }
            lsas.push(lsa);
        }
        self.send(Body::LinkStateUpdate(lsas), ALL_SPF_ROUTERS);
        self.calculate();
    }

    /// As if an LSA had been in the database for long.
    pub(super) fn remember(&mut self, lsa: Lsa) {
        self.database.insert(lsa.header.key, (lsa, Timestamp::ZERO));
    }

    /// So many LSAs of another router, of a type that nobody looks into.
    pub(super) fn remember_routes_to_elsewhere(&mut self, count: u32) {
        for id in 0..count {
            let key = LsaKey {
                kind: LsaType(0x2003),
                id,
                router: RouterId(50),
            };
            self.remember(Lsa::new(key, SequenceNumber::INITIAL, 0, &Content::Opaque(vec![0; 12])));
        }
    }

    /// An instance of our own LSA that somebody made up.
    pub(super) fn echo(&mut self, lsa: Lsa) {
        self.database.insert(lsa.header.key, (lsa.clone(), self.now));
        self.pass_on(lsa);
    }

    /// An instance that another router has, or had: this one does not keep it.
    pub(super) fn pass_on(&mut self, lsa: Lsa) {
        self.send(Body::LinkStateUpdate(vec![lsa]), ALL_SPF_ROUTERS);
    }

    /// The age in the header is of no interest to a model.
    pub(super) fn has(&self, key: &LsaKey) -> Option<(SequenceNumber, bool)> {
        self.database
            .get(key)
            .map(|(lsa, _)| (lsa.header.sequence, lsa.header.age >= MAX_AGE))
    }
}
