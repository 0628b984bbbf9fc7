//! Updates and acknowledgments, both ways (RFC 2328 §13), and when what was not acknowledged is sent again.
//!
//! With one interface and priority 0 nothing is ever flooded onwards (§13.3): what comes is kept and acknowledged, what goes is
//! our own. Every acknowledgment is direct.

use std::cmp::Ordering;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::interface;
use super::machine::Ospf;
use super::neighbor::{Event, Neighbor, State};
use super::wire::lsa::HEADER;
use super::wire::{ALL_D_ROUTERS, ALL_SPF_ROUTERS, Body, Lsa, LsaHeader, LsaKey, RouterId, SequenceNumber, UPDATE_FIXED};
use crate::base::machine::Outbox;
use crate::base::time::Timestamp;

/// MinLSArrival: a router drops, without a word, what comes sooner after the instance before.
pub(super) const LEAST_ARRIVAL: Duration = Duration::from_secs(1);
/// A change of the decision is repeated so long after it was first sent: for a packet that was lost, for an instance that came
/// within MinLSArrival, and once more for that.
const URGENT: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(1_050),
    Duration::from_millis(2_100),
];
/// RxmtInterval: longer than the three seconds after which FRR acknowledges. Doubled each time (RFC 4222).
const REPEAT: Duration = Duration::from_secs(5);
const LONGEST_REPEAT: Duration = Duration::from_secs(40);

/// What a neighbour has not acknowledged yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    since: Timestamp,
    pub(super) at: Timestamp,
    turn: usize,
    urgent: bool,
}

impl Owed {
    /// Sent just now.
    fn new(urgent: bool, now: Timestamp) -> Self {
        Self {
            since: now,
            at: now + if urgent { URGENT[0] } else { REPEAT },
            turn: 0,
            urgent,
        }
    }

    /// Not sent yet: that is due at once.
    fn unsent(now: Timestamp) -> Self {
        Self {
            at: now,
            ..Self::new(true, now)
        }
    }

    /// Sent again just now.
    fn repeated(&mut self, now: Timestamp) {
        self.turn += 1;
        let quick = if self.urgent { URGENT.len() } else { 0 };
        let doubled = || REPEAT * (1 << (self.turn - quick).min(3));
        self.at = match URGENT.get(self.turn).filter(|_| self.urgent) {
            Some(after) => (self.since + *after).max(now + URGENT[0]),
            None => now + doubled().min(LONGEST_REPEAT),
        };
    }
}

impl Neighbor {
    /// It is to be sent the present instance of `key` at once.
    pub(super) fn owe_unsent(&mut self, key: LsaKey, now: Timestamp) {
        self.owed.insert(key, Owed::unsent(now));
    }

    /// From now on it has to acknowledge the present instance of `key`.
    pub(super) fn owe(&mut self, key: LsaKey, urgent: bool, now: Timestamp) {
        self.owed.insert(key, Owed::new(urgent, now));
    }
}

impl Ospf {
    /// Sends new instances of our own LSAs to every neighbour that takes updates.
    pub(super) fn flood(&mut self, keys: &[LsaKey], urgent: bool, now: Timestamp, out: &mut Outbox) {
        let headers: Vec<LsaHeader> = keys.iter().filter_map(|key| self.held(key, now)).collect();
        let mut anybody = false;
        for neighbor in self.neighbors.iter_mut().filter(|one| one.takes_updates()) {
            anybody = true;
            for header in &headers {
                let asked = neighbor.requests.get(&header.key);
                if asked.is_some_and(|asked| header.compare(asked).is_ge()) {
                    neighbor.requests.remove(&header.key);
                }
                neighbor.owe(header.key, urgent, now);
            }
        }
        if anybody {
            let lsas = keys.iter().filter_map(|key| self.lsa(key, now)).collect();
            self.send_updates(lsas, self.flood_destination(), out);
        }
    }

    fn flood_destination(&self) -> Ipv6Addr {
        match self.interface.state {
            interface::State::DrOther => ALL_D_ROUTERS,
            interface::State::Down | interface::State::PointToPoint => ALL_SPF_ROUTERS,
        }
    }

    /// As many packets as it takes, the LSAs in their order.
    pub(super) fn send_updates(&mut self, lsas: Vec<Lsa>, destination: Ipv6Addr, out: &mut Outbox) {
        let room = self.sender.room() - UPDATE_FIXED;
        let (mut packet, mut length) = (Vec::new(), 0);
        for lsa in lsas {
            if length + lsa.length() > room && !packet.is_empty() {
                self.sender
                    .send(Body::LinkStateUpdate(std::mem::take(&mut packet)), destination, out);
                length = 0;
            }
            length += lsa.length();
            let age = lsa.header.age.saturating_add(TRANSMISSION_DELAY);
            packet.push(lsa.aged(age));
        }
        if !packet.is_empty() {
            self.sender.send(Body::LinkStateUpdate(packet), destination, out);
        }
    }

    /// Sends again what is due, straight to those who have not acknowledged it.
    pub(super) fn repeat_updates(&mut self, now: Timestamp, out: &mut Outbox) {
        let mut due: Vec<(RouterId, Vec<LsaKey>)> = Vec::new();
        for neighbor in &mut self.neighbors {
            let late = neighbor.owed.iter_mut().filter(|(_, owed)| owed.at <= now);
            let keys: Vec<LsaKey> = late.map(|(key, owed)| (owed.repeated(now), *key).1).collect();
            if !keys.is_empty() {
                due.push((neighbor.router, keys));
            }
        }
        let repeated = due.iter().flat_map(|(_, keys)| keys).copied().collect::<Vec<_>>();
        if let Some(nudge) = self.nudge_again(&repeated, now) {
            due.iter_mut().for_each(|(_, keys)| keys.push(nudge));
            self.neighbors
                .iter_mut()
                .filter(|one| one.takes_updates())
                .for_each(|one| one.owe(nudge, true, now));
        }
        for (router, mut keys) in due {
            keys.sort_by_key(super::origination::rank);
            let lsas = keys.iter().filter_map(|key| self.lsa(key, now)).collect();
            if let Some(destination) = self.destination_of(router) {
                self.send_updates(lsas, destination, out);
            }
        }
    }

    /// Takes an update apart and acknowledges it.
    pub(super) fn receive_update(&mut self, router: RouterId, lsas: Vec<Lsa>, now: Timestamp, out: &mut Outbox) {
        if !self.neighbor(router).is_some_and(|neighbor| neighbor.takes_updates()) {
            self.dropped.count("update-too-early");
            return;
        }
        let (mut arrived, mut back) = (Vec::new(), Vec::new());
        for lsa in lsas {
            match self.receive_lsa(router, lsa, now, &mut back) {
                Verdict::Acknowledge(header) => arrived.push(header),
                Verdict::Silent => {}
                Verdict::BadRequest => {
                    self.dropped.count("bad-request");
                    self.step(router, Event::BadRequest, now, out);
                    return;
                }
            }
        }
        let Some(destination) = self.destination_of(router) else { return };
        for headers in arrived.chunks(self.sender.room() / HEADER) {
            self.sender.send(Body::LinkStateAcknowledgment(headers.to_vec()), destination, out);
        }
        self.send_updates(back, destination, out);
        self.load(router, now, out);
    }

    /// One LSA of an update, by the steps of §13.
    fn receive_lsa(&mut self, router: RouterId, lsa: Lsa, now: Timestamp, back: &mut Vec<Lsa>) -> Verdict {
        let header = lsa.header;
        if !lsa.is_intact() {
            self.dropped.count("lsa-checksum");
            return Verdict::Silent;
        }
        if !lsa.is_readable() {
            // By its header it is an LSA like any other: a router that waits for its acknowledgment would never be Full.
            self.dropped.count("lsa-body");
        }
        if !self.accepts_scope(header.key.kind.scope()) {
            self.dropped.count("lsa-scope");
            return Verdict::Silent;
        }
        let here = self.held(&header.key, now);
        if header.is_max_age() && here.is_none() && !self.is_loading() {
            return Verdict::Acknowledge(header);
        }
        match here.map_or(Ordering::Greater, |here| header.compare(&here)) {
            Ordering::Greater => self.take(lsa, now),
            Ordering::Equal => self.take_again(router, header, now),
            Ordering::Less if self.neighbor(router).is_some_and(|one| one.requests.contains_key(&header.key)) => Verdict::BadRequest,
            Ordering::Less if here.is_some_and(|here| here.is_max_age() && here.sequence == SequenceNumber::MAX) => Verdict::Silent,
            Ordering::Less if here.is_some_and(|here| self.outlives(&here)) => self.take(lsa, now),
            Ordering::Less => {
                back.extend(self.send_back(&header.key, now));
                Verdict::Silent
            }
        }
    }

    /// A newer instance. Of our own LSAs it is one of an earlier life, or somebody else's with our router ID (§13.4).
    fn take(&mut self, lsa: Lsa, now: Timestamp) -> Verdict {
        let header = lsa.header;
        let is_own = header.key.router == self.sender.router;
        let is_asked = |one: &Neighbor| one.requests.contains_key(&header.key);
        let came_before = self
            .database
            .arrived(&header.key)
            .filter(|_| !is_own && !self.neighbors.iter().any(is_asked));
        if came_before.is_some_and(|at| now.since(at) < LEAST_ARRIVAL) {
            self.dropped.count("lsa-too-soon");
            return Verdict::Silent;
        }
        for neighbor in &mut self.neighbors {
            if neighbor
                .requests
                .get(&header.key)
                .is_some_and(|asked| header.compare(asked).is_ge())
            {
                neighbor.requests.remove(&header.key);
            }
            neighbor.owed.remove(&header.key);
        }
        if is_own {
            self.origination.adopt(lsa, now);
            if header.key == self.router_key() {
                self.origination.follow(&header.key, now);
            }
        } else if header.is_max_age() && !self.is_loading() {
            self.database.remove(&header.key);
        } else {
            self.database.install(lsa, now);
        }
        Verdict::Acknowledge(header)
    }

    /// While a neighbour is asked for its database, withdrawn LSAs are kept (§14).
    fn is_loading(&self) -> bool {
        self.neighbors
            .iter()
            .any(|one| matches!(one.state, State::Exchange | State::Loading))
    }

    /// True if an older instance than the withdrawn one that is here is a new life of the LSA. Another router's is never held against
    /// it: a copy sent back would withdraw what its restarted originator has just said.
    fn outlives(&self, here: &LsaHeader) -> bool {
        here.is_max_age() && here.key.router != self.sender.router
    }

    /// The instance that is here: an acknowledgment, if it was sent to this neighbour.
    fn take_again(&mut self, router: RouterId, header: LsaHeader, now: Timestamp) -> Verdict {
        let Some(neighbor) = self.neighbor(router) else {
            return Verdict::Silent;
        };
        neighbor.requests.remove(&header.key);
        if neighbor.owed.remove(&header.key).is_some() {
            self.settle(header.key, now);
            return Verdict::Silent;
        }
        Verdict::Acknowledge(header)
    }

    fn send_back(&mut self, key: &LsaKey, now: Timestamp) -> Option<Lsa> {
        if self.is_overcome(key, now) {
            return None;
        }
        if key.router == self.sender.router {
            return self.origination.send_back(key, LEAST_ARRIVAL, now);
        }
        self.database.send_back(key, LEAST_ARRIVAL, now)
    }

    /// These instances have arrived at a neighbour.
    pub(super) fn receive_acknowledgment(&mut self, router: RouterId, headers: &[LsaHeader], now: Timestamp) {
        for header in headers {
            let is_present = self.held(&header.key, now).is_some_and(|here| header.compare(&here).is_eq());
            let Some(neighbor) = self.neighbor(router).filter(|_| is_present) else {
                continue;
            };
            if neighbor.takes_updates() && neighbor.owed.remove(&header.key).is_some() {
                self.settle(header.key, now);
            }
        }
    }

    /// Somebody who may have owed an acknowledgment is gone: the others have given theirs perhaps.
    pub(super) fn settle_withdrawn(&mut self, now: Timestamp) {
        if self.neighbors.iter().any(Neighbor::takes_updates) {
            let mut withdrawn = self.origination.withdrawn();
            withdrawn.retain(|key| !self.is_overcome(key, now));
            withdrawn.into_iter().for_each(|key| self.settle(key, now));
        }
    }

    /// A withdrawn LSA that everybody knows to be withdrawn is forgotten.
    pub(super) fn settle(&mut self, key: LsaKey, now: Timestamp) {
        let is_known = !self.neighbors.iter().any(|one| one.owed.contains_key(&key));
        if is_known && self.origination.forget_withdrawn(&key) {
            self.nudge_later(now);
        }
    }
}

/// InfTransDelay.
const TRANSMISSION_DELAY: u16 = 1;

/// What an LSA in an update is answered with.
enum Verdict {
    /// It has arrived.
    Acknowledge(LsaHeader),
    /// Nothing: it is itself an acknowledgment, or not fit to be answered.
    Silent,
    /// It is older than what was asked for.
    BadRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(urgent: bool) -> Vec<u64> {
        let mut owed = Owed::new(urgent, Timestamp::ZERO);
        let mut times = Vec::new();
        for _ in 0..8 {
            let now = owed.at;
            times.push(now.as_micros() / 1_000);
            owed.repeated(now);
        }
        times
    }

    #[test]
    fn what_is_owed_is_repeated_ever_more_seldom() {
        assert_eq!(times(true), [50, 1_050, 2_100, 7_100, 17_100, 37_100, 77_100, 117_100]);
        assert_eq!(times(false), [5_000, 15_000, 35_000, 75_000, 115_000, 155_000, 195_000, 235_000]);
    }
}
