//! Hellos (RFC 5340 §4.2.1, §4.2.2.1): who is there, who hears whom, and whether what both are configured with fits.
//!
//! What does not fit is dropped, and said: the other side drops ours as well, and nobody else would tell the operator.

use std::time::Duration;

use super::complaints::Misfit;
use super::config::AreaType;
use super::machine::Ospf;
use super::neighbor::{Event, Neighbor, State};
use super::wire::{Hello, InterfaceId, Options, RouterId};
use crate::base::duration;
use crate::base::machine::{Datagram, Outbox};
use crate::base::time::Timestamp;

/// Neighbours on one link; whoever forges more gains nothing.
const MOST_NEIGHBORS: usize = 256;
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
        self.interface.next_hello = Some(now + self.setup.config.hello);
    }

    /// Leaves every neighbour at once, by Hellos that name nobody, and comes back when the last withdrawal is sure to be taken.
    pub(super) fn fall_silent(&mut self, now: Timestamp, out: &mut Outbox) {
        self.silent_until = Some(now + SILENCE);
        self.kill_all(now, out);
        self.say_hello(now, out);
        self.interface.next_hello = None;
        self.lonely_hellos = super::sender::FAREWELLS[1..].iter().rev().map(|after| now + *after).collect();
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
        let is_new = match self.neighbor(router) {
            Some(known) if known.address == packet.source => false,
            Some(known) => {
                let both = now.since(known.heard) < self.setup.config.hello;
                if both {
                    let text = format!("two routers on the link have the router ID {router}");
                    self.complaints.complain(Misfit::RouterId, packet.source, text, now, out);
                }
                self.step(router, Event::Killed, now, out);
                self.neighbors.retain(|one| one.router != router);
                true
            }
            None => true,
        };
        if is_new {
            if self.neighbors.len() >= MOST_NEIGHBORS {
                self.dropped.count("too-many-neighbors");
                return;
            }
            let place = self.neighbors.partition_point(|one| one.router < router);
            self.neighbors.insert(place, Neighbor::new(router, packet.source, now));
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
            self.say_hello(now, out);
        }
        if hello.neighbors.contains(&own) {
            // Who is DR may follow from this very Hello, so the adjacency is asked for afterwards.
            self.step(router, Event::TwoWay(false), now, out);
        } else {
            self.step(router, Event::OneWay, now, out);
        }
        self.elect(now, out);
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
