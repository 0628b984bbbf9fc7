//! Hellos (RFC 5340 §4.2.1, §4.2.2.1): who is there, who hears whom, and whether what both are configured with fits.
//!
//! What does not fit is dropped, and said: the other side drops ours as well, and nobody else would tell the operator.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::complaints::Misfit;
use super::config::AreaType;
use super::machine::Ospf;
use super::neighbor::{Event, Neighbor, State};
use super::wire::{Hello, InterfaceId, Options, RouterId};
use crate::advertiser::FAREWELLS;
use crate::base::duration;
use crate::base::machine::{Datagram, Outbox};
use crate::base::time::{Timestamp, earliest};

/// Neighbours on one link; whoever forges more takes no place from those with whom there is an adjacency.
pub(super) const MOST_NEIGHBORS: usize = 256;
/// Who is heard for the first time is told so at once, but no more often than this.
const SHORTLY: Duration = Duration::from_millis(50);
/// A withdrawal that a router would have dropped is sure to be taken after so long.
const SILENCE: Duration = Duration::from_millis(1_100);

impl Ospf {
    /// The Hello as it is now.
    pub(super) fn hello(&self) -> Hello {
        let seconds = |interval: Duration| u16::try_from(interval.as_secs()).unwrap_or(u16::MAX);
        let heard = self.neighbors.iter().filter(|one| one.state >= State::Init);
        Hello {
            interface: InterfaceId(self.sender.link.index.0),
            priority: 0,
            options: self.options(),
            hello_interval: seconds(self.setup.config.hello),
            dead_interval: seconds(self.setup.config.dead),
            designated_router: self.interface.designated_router,
            backup_designated_router: self.interface.backup_designated_router,
            neighbors: heard.map(|one| one.router).collect(),
        }
    }

    /// Sends the Hello now; the next one follows after the interval.
    pub(super) fn say_hello(&mut self, now: Timestamp, out: &mut Outbox) {
        let hello = self.hello();
        self.sender.send_hello(hello, out);
        self.interface.last_hello = Some(now);
        self.interface.next_hello = Some(now + self.setup.config.hello);
    }

    /// Sends the Hello now, or as soon as one was not sent just now.
    fn say_hello_shortly(&mut self, now: Timestamp, out: &mut Outbox) {
        match self.interface.last_hello.map(|at| at + SHORTLY).filter(|at| *at > now) {
            Some(at) => self.interface.next_hello = earliest(self.interface.next_hello, Some(at)),
            None => self.say_hello(now, out),
        }
    }

    /// Leaves every neighbour at once, by Hellos that name nobody, and comes back when the last withdrawal is sure to be taken.
    pub(super) fn fall_silent(&mut self, now: Timestamp, out: &mut Outbox) {
        self.silent_until = Some(now + SILENCE);
        self.kill_all(now, out);
        self.say_hello(now, out);
        self.interface.next_hello = None;
        self.lonely_hellos = FAREWELLS[1..].iter().rev().map(|after| now + *after).collect();
    }

    /// What is left to do while silent. True if the silence is not over.
    pub(super) fn stay_silent(&mut self, now: Timestamp, out: &mut Outbox) -> bool {
        let Some(until) = self.silent_until else { return false };
        while self.lonely_hellos.pop_if(|at| *at <= now).is_some() {
            self.say_hello(now, out);
            self.interface.next_hello = None;
        }
        if now < until {
            return true;
        }
        self.silent_until = None;
        self.lonely_hellos.clear();
        self.interface.next_hello = Some(now);
        false
    }

    /// A Hello came.
    pub(super) fn receive_hello(&mut self, router: RouterId, hello: &Hello, packet: &Datagram<'_>, now: Timestamp, out: &mut Outbox) {
        if let Some((misfit, text)) = self.misfit(router, hello) {
            self.dropped.count("hello-misfit");
            self.complaints.complain(misfit, packet.source, text, now, out);
            return;
        }
        let is_new = self.neighbor(router).is_none_or(|known| known.address != packet.source);
        if is_new && !self.welcome(router, packet.source, now, out) {
            return;
        }
        let own = self.sender.router;
        let Some(neighbor) = self.neighbor(router) else { return };
        neighbor.heard = now;
        neighbor.interface = hello.interface;
        neighbor.priority = hello.priority;
        neighbor.invites &= hello.designated_router == RouterId::NONE;
        neighbor.designated_router = hello.designated_router;
        neighbor.backup_designated_router = hello.backup_designated_router;
        self.step(router, Event::Hello, now, out);
        if is_new {
            // It need not wait for our next one to hear that it is heard.
            self.say_hello_shortly(now, out);
        }
        if hello.neighbors.contains(&own) {
            // Who is DR may follow from this very Hello, so the adjacency is asked for afterwards.
            self.step(router, Event::TwoWay(false), now, out);
        } else {
            self.step(router, Event::OneWay, now, out);
        }
        self.elect(now, out);
    }

    /// Makes place for whoever is heard for the first time, or from another address. False if there is none.
    ///
    /// A neighbour is known by its router ID (RFC 5340 §4.2.1). While one that hears us lives, the same ID elsewhere on the link is
    /// somebody else's, who must not end that conversation; a router with a new address is taken after the dead interval.
    fn welcome(&mut self, router: RouterId, source: Ipv6Addr, now: Timestamp, out: &mut Outbox) -> bool {
        let known = self.neighbor(router).map(|known| (known.state, known.address));
        if let Some((_, address)) = known.filter(|(state, _)| *state >= State::TwoWay) {
            self.dropped.count("duplicate-router-id");
            let text = format!("two routers on the link have the router ID {router}, {address} and {source}");
            self.complaints.complain(Misfit::RouterId, source, text, now, out);
            return false;
        }
        let full = self.neighbors.len() >= MOST_NEIGHBORS;
        let least = self.neighbors.iter().filter(|one| one.state < State::ExStart);
        let least = least.min_by_key(|one| (one.state, one.heard)).map(|one| one.router);
        let leaves = match known {
            Some(_) => Some(router),
            None if full && least.is_none() => {
                self.dropped.count("too-many-neighbors");
                return false;
            }
            None => least.filter(|_| full),
        };
        if let Some(leaves) = leaves {
            self.step(leaves, Event::Killed, now, out);
            self.neighbors.retain(|one| one.router != leaves);
        }
        let place = self.neighbors.partition_point(|one| one.router < router);
        self.neighbors.insert(place, Neighbor::new(router, source, now));
        true
    }

    /// Who is DR, and with whom there is an adjacency.
    pub(super) fn elect(&mut self, now: Timestamp, out: &mut Outbox) {
        self.interface.elect(&self.neighbors);
        let wanted: Vec<(RouterId, bool)> = self
            .neighbors
            .iter()
            .map(|one| (one.router, one.invites || self.interface.is_adjacent(one.router)))
            .collect();
        for (router, wanted) in wanted {
            self.step(router, Event::AdjacencyWanted(wanted), now, out);
        }
    }

    fn misfit(&self, router: RouterId, hello: &Hello) -> Option<(Misfit, String)> {
        let config = &self.setup.config;
        let differs = |theirs: u16, ours: Duration| Duration::from_secs(theirs.into()) != ours;
        let other = |what: &str, theirs: u16, ours: Duration| {
            format!(
                "router {router} has a {what} interval of {theirs} s, and {} is configured here",
                duration::format(ours)
            )
        };
        if differs(hello.hello_interval, config.hello) {
            return Some((Misfit::HelloInterval, other("hello", hello.hello_interval, config.hello)));
        }
        if differs(hello.dead_interval, config.dead) {
            return Some((Misfit::DeadInterval, other("dead", hello.dead_interval, config.dead)));
        }
        let kind = |options: Options| (options.contains(Options::E), options.contains(Options::N));
        let name = |options: Options| match kind(options) {
            (_, true) => "an NSSA",
            (true, false) => "a normal one",
            (false, false) => "a stub",
        };
        let ours = self.area_options();
        if kind(hello.options) != kind(ours) {
            let text = format!(
                "router {router} takes area {} for {}, and {} is configured here",
                config.area,
                name(hello.options),
                name(ours)
            );
            return Some((Misfit::AreaType, text));
        }
        None
    }

    /// What the area is, as options.
    pub(super) fn area_options(&self) -> Options {
        match self.setup.config.area_type {
            AreaType::Normal => Options::E,
            AreaType::Stub => Options::default(),
            AreaType::Nssa => Options::N,
        }
    }

    /// The options in Hellos and descriptions.
    pub(super) fn options(&self) -> Options {
        let options = self.area_options().with(Options::V6);
        if self.sender.key.is_some() {
            options.with(Options::AT)
        } else {
            options
        }
    }
}
