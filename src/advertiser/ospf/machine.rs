//! The OSPFv3 machine: takes inputs apart, steps the neighbours, and says in its report where it stands.
//!
//! After every input everything that is due is done (`run`), and what should be originated is asked anew. So a step has no
//! effects but its own, and nothing depends on the order of inputs that come at the same time.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::complaints::{Complaints, Misfit};
use super::config::{AreaType, Config};
use super::database::{Bounds, Database};
use super::interface::{self, Interface};
use super::neighbor::{Event, Neighbor, State};
use super::origination::Origination;
use super::sender::{RAW, Sender};
use super::wire::{ALL_SPF_ROUTERS, Body, DatabaseDescription, Key, Lsa, LsaHeader, LsaKey, Malformed, OSPF, Packet, Received, RouterId};
use crate::advertiser::{self, Advertiser, Farewell, Report};
use crate::base::address::ServiceAddress;
use crate::base::cost::LAST_RESORT;
use crate::base::machine::{Channel, Datagram, Input, InterfaceState, Machine, Outbox, Severity};
use crate::base::random::Random;
use crate::base::tally::Tally;
use crate::base::time::{Timestamp, earliest};
use crate::scheduler::{Decision, Intent, Withdrawal};

/// Old LSAs and complaints are looked for so often.
const SWEEP: Duration = Duration::from_secs(10);
/// A withdrawal that nobody has acknowledged by then is over for whoever waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an OSPFv3 machine is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its table in the config, checked.
    pub config: Config,
    /// The link.
    pub interface: String,
    /// The service addresses.
    pub services: Vec<ServiceAddress>,
    /// The routers' key, if they have one.
    pub key: Option<Key>,
    /// Which of its lives the server is in, in milliseconds: grows with every start.
    pub boot: u64,
    /// Seed of what is left to chance.
    pub seed: u64,
}

/// OSPFv3 as an advertiser: one instance on one link.
#[derive(Debug)]
pub struct Ospf {
    pub(super) setup: Setup,
    channels: [Channel; 1],
    pub(super) sender: Sender,
    pub(super) interface: Interface,
    pub(super) neighbors: Vec<Neighbor>,
    pub(super) database: Database,
    pub(super) origination: Origination,
    pub(super) complaints: Complaints,
    pub(super) dropped: Tally,
    pub(super) decision: Option<Decision>,
    /// Since when the decision is idle standby.
    pub(super) silent_since: Option<Timestamp>,
    pub(super) random: Random,
    /// Neighbours are left until then.
    pub(super) silent_until: Option<Timestamp>,
    /// Hellos that name nobody, the last one first.
    pub(super) lonely_hellos: Vec<Timestamp>,
    /// While a first description of the master's is handled: the exchange begins with its, not with ours.
    pub(super) begun_by: Option<RouterId>,
    /// When the service address was last withdrawn.
    withdrawn_at: Option<Timestamp>,
    contested: u64,
    next_sweep: Timestamp,
    ran: Timestamp,
    /// The deadline after the last call.
    promised: Option<Timestamp>,
}

impl Ospf {
    /// A machine that says nothing before it knows its interface.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self::bounded(setup, Bounds::default())
    }

    pub(super) fn bounded(setup: Setup, bounds: Bounds) -> Self {
        let config = &setup.config;
        let services = setup.services.iter().map(|service| service.get()).collect();
        let mut random = Random::seeded(setup.seed);
        Self {
            channels: [Channel::Raw {
                interface: setup.interface.clone(),
                next_header: OSPF,
                hop_limit: 1,
                groups: vec![ALL_SPF_ROUTERS],
                icmp_types: Vec::new(),
            }],
            sender: Sender::new(config.router(), config.area(), config.instance_id, setup.key.clone(), setup.boot),
            interface: Interface::default(),
            neighbors: Vec::new(),
            database: Database::new(services, bounds),
            origination: Origination::new(&mut random),
            complaints: Complaints::default(),
            dropped: Tally::default(),
            decision: None,
            silent_since: None,
            random,
            silent_until: None,
            lonely_hellos: Vec::new(),
            begun_by: None,
            withdrawn_at: None,
            contested: 0,
            next_sweep: Timestamp::ZERO,
            ran: Timestamp::ZERO,
            promised: None,
            setup,
        }
    }

    pub(super) fn neighbor(&mut self, router: RouterId) -> Option<&mut Neighbor> {
        self.neighbors.iter_mut().find(|one| one.router == router)
    }

    /// Where packets for one neighbour go: on a point-to-point link there is nobody else.
    pub(super) fn destination_of(&self, router: RouterId) -> Option<Ipv6Addr> {
        let neighbor = self.neighbors.iter().find(|one| one.router == router)?;
        Some(match self.interface.state {
            interface::State::PointToPoint => ALL_SPF_ROUTERS,
            interface::State::Down | interface::State::DrOther => neighbor.address,
        })
    }

    /// The header of an LSA that is here, at its present age.
    pub(super) fn held(&self, key: &LsaKey, now: Timestamp) -> Option<LsaHeader> {
        if key.router == self.sender.router {
            self.origination.header(key, now)
        } else {
            self.database.header(key, now)
        }
    }

    /// An LSA that is here, at its present age.
    pub(super) fn lsa(&self, key: &LsaKey, now: Timestamp) -> Option<Lsa> {
        if key.router == self.sender.router {
            self.origination.lsa(key, now)
        } else {
            self.database.lsa(key, now)
        }
    }

    pub(super) fn takes_external(&self) -> bool {
        self.setup.config.area_type == AreaType::Normal
    }

    pub(super) fn mtu(&self) -> u16 {
        u16::try_from(self.sender.link.mtu).unwrap_or(u16::MAX)
    }

    pub(super) fn dead(&self) -> Duration {
        self.setup.config.dead
    }

    /// Moves a neighbour to the state after `event`, and does what entering and leaving demands.
    pub(super) fn step(&mut self, router: RouterId, event: Event, now: Timestamp, out: &mut Outbox) -> State {
        let Some(neighbor) = self.neighbor(router) else {
            return State::Down;
        };
        let before = neighbor.state;
        let after = before.after(event);
        if after == before {
            return after;
        }
        neighbor.state = after;
        neighbor.since = now;
        if after <= State::ExStart {
            neighbor.forget_exchange();
            neighbor.forget_numbers(event);
        }
        let address = neighbor.address;
        let interface = &self.setup.interface;
        if after == State::Full {
            out.notice(
                Severity::Info,
                format!("ospf: neighbor {router} ({address}) on {interface} is Full"),
            );
        } else if before == State::Full {
            let severity = if event == Event::Killed {
                Severity::Info
            } else {
                Severity::Warning
            };
            let text = format!(
                "ospf: neighbor {router} ({address}) on {interface} is {}: {}",
                after.name(),
                reason(event)
            );
            out.notice(severity, text);
        }
        if after == State::ExStart {
            self.start_exchange(router, now, out);
        }
        after
    }

    /// Leaves every neighbour.
    pub(super) fn kill_all(&mut self, now: Timestamp, out: &mut Outbox) {
        let routers: Vec<RouterId> = self.neighbors.iter().map(|one| one.router).collect();
        for router in routers {
            self.step(router, Event::Killed, now, out);
        }
        self.neighbors.clear();
        self.interface.elect(&[]);
    }

    fn link_changed(&mut self, state: &InterfaceState, now: Timestamp, out: &mut Outbox) {
        let before = std::mem::replace(&mut self.sender.link, state.clone());
        let can_speak = |link: &InterfaceState| link.up && link.link_local.is_some() && link.groups_held && link.index.0 != 0;
        let place = |link: &InterfaceState| (link.index, link.link_local, link.mtu);
        if self.interface.state != interface::State::Down && (!can_speak(state) || place(&before) != place(state)) {
            self.move_interface(interface::Event::Down, now, out);
            self.sender.forget_farewell();
        }
        if can_speak(state) {
            self.move_interface(interface::Event::Up(self.setup.config.network), now, out);
        }
    }

    fn move_interface(&mut self, event: interface::Event, now: Timestamp, out: &mut Outbox) {
        let before = self.interface.state;
        self.interface.state = before.after(event);
        if self.interface.state == before {
            return;
        }
        self.kill_all(now, out);
        self.database.clear();
        self.silent_until = None;
        self.lonely_hellos.clear();
        match self.interface.state {
            interface::State::Down => self.interface.next_hello = None,
            interface::State::PointToPoint | interface::State::DrOther => self.interface.next_hello = Some(now),
        }
    }

    fn receive(&mut self, packet: &Datagram<'_>, now: Timestamp, out: &mut Outbox) {
        let own = self.sender.link.link_local;
        let is_for_us = packet.destination == ALL_SPF_ROUTERS || Some(packet.destination) == own;
        if self.interface.state == interface::State::Down || self.silent_until.is_some() || Some(packet.source) == own || !is_for_us {
            return;
        }
        match Packet::parse(packet, self.sender.key.as_ref()) {
            Ok(received) => self.admit(received, packet, now, out),
            Err(malformed) => {
                self.dropped.count(malformed.name());
                self.complain_of(malformed, packet.source, now, out);
            }
        }
    }

    fn complain_of(&mut self, malformed: Malformed, source: Ipv6Addr, now: Timestamp, out: &mut Outbox) {
        if malformed.is_of_authentication() {
            let text = format!("{source}: {malformed}");
            self.complaints.complain(Misfit::Authentication, source, text, now, out);
        }
    }

    /// A packet that is whole: is it for this instance, and from whom it says?
    fn admit(&mut self, received: Received, datagram: &Datagram<'_>, now: Timestamp, out: &mut Outbox) {
        let Received { packet, sequence, form } = received;
        let (router, source) = (packet.router, datagram.source);
        if packet.instance != self.setup.config.instance_id {
            // Several instances may share a link.
            return self.dropped.count("instance");
        }
        if packet.area != self.setup.config.area() {
            self.dropped.count("area");
            let text = format!(
                "router {router} has area {} on this link, and {} is configured here",
                packet.area, self.setup.config.area
            );
            return self.complaints.complain(Misfit::Area, source, text, now, out);
        }
        if router == self.sender.router {
            self.dropped.count("own-router-id");
            let text = format!("{source} has the router ID {router}, which is configured here");
            return self.complaints.complain(Misfit::RouterId, source, text, now, out);
        }
        let kind = packet.body.kind();
        let known = self.neighbor(router).filter(|one| one.address == source);
        if let (Some(neighbor), Some(sequence)) = (known, sequence)
            && !neighbor.replay.admit(kind, sequence)
        {
            return self.dropped.count("replayed");
        }
        if let Some(form) = form
            && self.sender.take_form(form)
        {
            out.notice(
                Severity::Info,
                format!("ospf: router {router} ends the key in {form} order; so do we"),
            );
        }
        let is_known = self.neighbors.iter().any(|one| one.router == router && one.address == source);
        match packet.body {
            Body::Hello(hello) => {
                self.receive_hello(router, &hello, datagram, now, out);
                if let (false, Some(sequence), Some(neighbor)) = (is_known, sequence, self.neighbor(router)) {
                    neighbor.replay.admit(kind, sequence);
                }
            }
            _ if !is_known => self.dropped.count("stranger"),
            Body::DatabaseDescription(description) => {
                if self.fits_mtu(router, source, &description, now, out) {
                    self.receive_description(router, description, now, out);
                }
            }
            Body::LinkStateRequest(keys) => self.receive_request(router, &keys, now, out),
            Body::LinkStateUpdate(lsas) => self.receive_update(router, lsas, now, out),
            Body::LinkStateAcknowledgment(headers) => self.receive_acknowledgment(router, &headers, now),
        }
    }

    /// The other side drops a description with a larger MTU than its own; so do we (RFC 2328 §10.6).
    fn fits_mtu(
        &mut self,
        router: RouterId,
        source: Ipv6Addr,
        description: &DatabaseDescription,
        now: Timestamp,
        out: &mut Outbox,
    ) -> bool {
        let (theirs, ours) = (description.mtu, self.mtu());
        if theirs != ours && theirs != 0 {
            let text = format!(
                "router {router} has an MTU of {theirs} on this link, and {} has {ours}",
                self.setup.interface
            );
            self.complaints.complain(Misfit::Mtu, source, text, now, out);
        }
        if theirs > ours {
            self.dropped.count("mtu");
        }
        theirs <= ours
    }

    /// A stall of our own: the neighbours have given us up, and what we know of them is old.
    fn notice_stall(&mut self, now: Timestamp, out: &mut Outbox) {
        let Some(promised) = self.promised else { return };
        if now <= promised + self.dead() || self.neighbors.is_empty() {
            return;
        }
        out.notice(
            Severity::Warning,
            format!("ospf: did not run for {} ms, starts as new", now.since(promised).as_millis()),
        );
        self.start_anew(now, out);
    }

    /// As if this process had just come to the link; what it has originated it knows still.
    fn start_anew(&mut self, now: Timestamp, out: &mut Outbox) {
        self.kill_all(now, out);
        self.silent_until = None;
        self.lonely_hellos.clear();
        self.interface.next_hello = Some(now);
    }

    /// Does everything that is due.
    fn run(&mut self, now: Timestamp, out: &mut Outbox) {
        let told = self.origination.tells_service();
        if !self.stay_silent(now, out) {
            self.bury_dead(now, out);
            if self.interface.next_hello.is_some_and(|at| at <= now) {
                self.say_hello(now, out);
            }
            self.repeat_exchanges(now, out);
            self.repeat_updates(now, out);
        }
        self.originate(now, out);
        if told && !self.origination.tells_service() {
            self.withdrawn_at = Some(now);
        }
        if self.origination.contested > self.contested {
            self.contested = self.origination.contested;
            let router = self.sender.router;
            let text = format!("another router originates LSAs as {router}, which is configured here");
            self.complaints.complain(Misfit::RouterId, Ipv6Addr::UNSPECIFIED, text, now, out);
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            self.complaints.sweep(now);
            if !self
                .neighbors
                .iter()
                .any(|one| matches!(one.state, State::Exchange | State::Loading))
            {
                self.database.sweep(now);
            }
        }
        self.ran = now;
        self.promised = self.next_deadline(now);
    }

    fn bury_dead(&mut self, now: Timestamp, out: &mut Outbox) {
        let dead_after = self.dead();
        let dead = self.neighbors.iter().filter(|one| now.since(one.heard) >= dead_after);
        let dead: Vec<RouterId> = dead.map(|one| one.router).collect();
        for router in &dead {
            self.step(*router, Event::Inactive, now, out);
        }
        self.neighbors.retain(|one| !dead.contains(&one.router));
        if !dead.is_empty() {
            self.elect(now, out);
            self.settle_withdrawn(now);
        }
    }

    fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        if self.interface.state == interface::State::Down {
            return None;
        }
        if let Some(until) = self.silent_until {
            return Some(self.lonely_hellos.last().map_or(until, |at| until.min(*at)));
        }
        let neighbors = self.neighbors.iter().flat_map(|one| {
            let owed = one.owed.values().map(|owed| owed.at).min();
            [Some(one.heard + self.dead()), one.exchange.deadline(), owed]
        });
        // Without a Full neighbour nothing is originated, however late it is.
        let origination = self.origination.deadline().filter(|_| self.is_linked());
        let others = [self.interface.next_hello, origination, Some(self.next_sweep)];
        let next = neighbors.chain(others).fold(None, earliest)?;
        Some(next.max(now + Duration::from_micros(1)))
    }

    /// The cheapest route of each other server, against ours in class normal. The LSA of one that has died elsewhere outlives it by up
    /// to an hour.
    fn other_routes(&self) -> Vec<u32> {
        let mut lowest: BTreeMap<RouterId, u32> = BTreeMap::new();
        for (router, cost) in self.database.offers(self.ran) {
            let known = lowest.entry(router).or_insert(cost);
            *known = cost.min(*known);
        }
        let own = u32::from(self.setup.config.cost);
        lowest.into_values().map(|cost| cost.saturating_sub(own)).collect()
    }

    fn intent(&self) -> Option<Intent> {
        self.decision.as_ref().map(|decision| decision.intent)
    }

    fn is_told(&self) -> bool {
        self.origination.tells_service() && self.is_linked()
    }

    fn state(&self) -> advertiser::State {
        use advertiser::State as Shown;
        match self.intent() {
            None | Some(Intent::Withdraw(Withdrawal::Starting)) => Shown::Starting,
            _ if self.interface.state == interface::State::Down => Shown::Failed,
            Some(Intent::Withdraw(_)) if self.is_withdrawn() => Shown::Withdrawn,
            Some(Intent::Withdraw(_)) => Shown::Withdrawing,
            Some(Intent::Silent) => Shown::Silent,
            Some(Intent::Advertise) if self.is_told() => Shown::Advertising,
            Some(Intent::Advertise) => Shown::Starting,
        }
    }

    fn detail(&self) -> String {
        let mut parts = Vec::new();
        match self.interface.state {
            interface::State::Down => parts.push("the link cannot be spoken on".to_owned()),
            _ if self.silent_until.is_some() => parts.push("silent, so that the routers forget this server".to_owned()),
            _ if self.neighbors.is_empty() => parts.push("no router is heard".to_owned()),
            _ => parts.extend(self.neighbors.iter().map(|one| {
                let role = match one.router {
                    router if router == self.interface.designated_router => ", DR",
                    router if router == self.interface.backup_designated_router => ", BDR",
                    _ => "",
                };
                format!("{} {}{role}", one.router, one.state.name())
            })),
        }
        match self.cost(self.ran) {
            Some(LAST_RESORT) => parts.push(format!("cost {LAST_RESORT}, last resort")),
            Some(cost) => parts.push(format!("cost {cost}")),
            None => {}
        }
        if self.database.is_incomplete() {
            let (whole, headers) = self.database.size();
            parts.push(format!(
                "of {headers} LSAs only {whole} are kept whole: a stub area would have fewer"
            ));
        }
        parts.extend(self.complaints.lasting(self.ran).map(str::to_owned));
        format!("{}: {}", self.setup.interface, parts.join("; "))
    }
}

fn reason(event: Event) -> &'static str {
    match event {
        Event::Inactive => "it was not heard for the dead interval",
        Event::OneWay => "it does not hear this server any more",
        Event::Killed => "left, because the link or an address has changed, a withdrawal must not wait, or this server stops",
        Event::AdjacencyWanted(_) => "it is no longer DR or BDR",
        Event::Mismatch | Event::BadRequest => "the exchange starts again",
        Event::Hello | Event::TwoWay(_) | Event::Negotiated | Event::Exchanged(_) | Event::Loaded => "it has gone on",
    }
}

impl Machine for Ospf {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn handle(&mut self, input: Input<'_>, now: Timestamp, out: &mut Outbox) {
        self.notice_stall(now, out);
        match input {
            Input::Interface(state) => self.link_changed(state, now, out),
            Input::Datagram(channel, packet) if channel == RAW => self.receive(&packet, now, out),
            Input::Unsent(..) => self.sender.errors += 1,
            Input::Tick | Input::Datagram(..) | Input::Peers(_) | Input::Inflow(_) => {}
        }
        self.run(now, out);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.promised
    }
}

impl Advertiser for Ospf {
    fn apply(&mut self, decision: &Decision, now: Timestamp, out: &mut Outbox) {
        self.notice_stall(now, out);
        self.decision = Some(decision.clone());
        self.silent_since = (decision.intent == Intent::Silent).then(|| self.silent_since.unwrap_or(now));
        self.run(now, out);
    }

    fn farewell(&self) -> Vec<Farewell> {
        self.sender.farewell().to_vec()
    }

    fn taken_back(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.interface.state != interface::State::Down {
            self.start_anew(now, out);
            self.run(now, out);
        }
    }

    fn leave(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.interface.state == interface::State::Down || self.silent_until.is_some() {
            return;
        }
        self.retire(now, out);
        self.kill_all(now, out);
        self.say_hello(now, out);
        // The farewell stays: it says the same again.
        self.move_interface(interface::Event::Down, now, out);
    }

    fn report(&self) -> Report {
        let is_told = self.is_told();
        Report {
            protocol: "ospf",
            state: self.state(),
            holder: is_told,
            advertised: is_told && self.intent() == Some(Intent::Advertise),
            other_holder: None,
            sole: false,
            term: 0,
            successor: None,
            misdelivered: 0,
            sent: self.sender.sent,
            errors: self.sender.errors,
            cost: self.cost(self.ran).filter(|_| is_told).map(u32::from),
            other_routes: self.is_linked().then(|| self.other_routes()),
            dropped: self.dropped.entries().to_vec(),
            detail: self.detail(),
        }
    }

    fn is_withdrawn(&self) -> bool {
        let over = self.withdrawn_at.is_none_or(|at| self.ran.since(at) >= PATIENCE);
        let is_out = !self.origination.withdraws_service() || over || self.neighbors.iter().all(|one| !one.takes_updates());
        !self.origination.tells_service() && is_out || self.interface.state == interface::State::Down
    }
}
