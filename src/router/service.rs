//! One service address: its neighbour-cache entry, the record of all its servers, and the next hops made of both.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::config::Policy;
use super::discovery::Discovery;
use super::member::{Gateway, Member, Rules, Standing};
use super::neighbor_cache::{Effect, Entry, Event, Rule};
use super::record::{Claim, Record};
use super::selection::{Candidate, select};
use super::sender::Sender;
use super::weights::{self, LEAST_FACTOR, Reading};
use crate::advertiser::nd::wire::{NeighborAdvertisement, ServiceInformation};
use crate::base::address::{LinkLayerAddress, ServiceAddress, is_link_local};
use crate::base::forwarding::{MOST_SHARE, NextHop, ServiceForwarding};
use crate::base::machine::{Outbox, Severity};
use crate::base::peer::Peer;
use crate::base::tally::Tally;
use crate::base::time::Timestamp;

/// Between two lines about who is delivered to.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Most names in such a line.
const MOST_NAMES: usize = 8;
/// An advertisement that is older than the last one of its sender, or the same again.
const LATE: &str = "late";
/// An advertisement by a server that wants no queries: recorded, and no offer to take the entry over.
const NOT_READY: &str = "not-ready";

/// What is the same for all services.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) policy: Policy,
    /// Advertisements do not count, so the entry follows the peer messages.
    pub(super) signed_only: bool,
    pub(super) rules: Rules,
    pub(super) now: Timestamp,
}

/// One service address.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) address: ServiceAddress,
    pub(super) record: Record,
    pub(super) entry: Entry,
    pub(super) moves: u64,
    pub(super) discarded: Tally,
    /// What the kernel is to deliver by.
    pub(super) told: Vec<NextHop>,
    discovery: Discovery,
    /// Who was in the last line, and when the next may be written.
    announced: BTreeMap<LinkLayerAddress, String>,
    announce_at: Timestamp,
}

impl Service {
    pub(super) fn new(address: ServiceAddress) -> Self {
        Self {
            address,
            record: Record::default(),
            entry: Entry::default(),
            moves: 0,
            discarded: Tally::default(),
            told: Vec::new(),
            discovery: Discovery::new(),
            announced: BTreeMap::new(),
            announce_at: Timestamp::ZERO,
        }
    }

    /// What a predecessor left in the kernel.
    pub(super) fn adopt(&mut self, found: &ServiceForwarding, scene: &Scene) {
        let sound = |hop: &&NextHop| {
            let shares = [hop.datagrams, hop.connections];
            let addresses = is_link_local(hop.gateway) && !hop.link_layer.is_group() && !hop.link_layer.is_zero();
            addresses && shares.iter().all(|share| *share <= MOST_SHARE)
        };
        for hop in found.next_hops.iter().filter(sound) {
            let gateway = Gateway {
                address: hop.gateway,
                made_up: hop.made_up,
            };
            self.record
                .adopt(Member::inherited(hop.link_layer, gateway, hop.datagrams, scene.now));
        }
        if let Some(hop) = found.next_hops.iter().filter(sound).max_by_key(|hop| hop.datagrams) {
            self.happen(Event::Stated(hop.link_layer), scene);
        }
        self.announced = self.record.iter().map(|member| (member.link_layer, member.to_string())).collect();
        self.reselect(scene);
    }

    /// An advertisement with its sender's own link-layer address: recorded (claim 15), then the entry's turn (claims 3, 5).
    pub(super) fn hear_advertisement(
        &mut self,
        source: Ipv6Addr,
        message: &NeighborAdvertisement,
        link_layer: LinkLayerAddress,
        scene: &Scene,
    ) -> Result<(), &'static str> {
        let information = message.information.as_ref();
        let late = |member: &Member| information.is_some_and(|information| member.is_late(information));
        if self.record.get(link_layer).is_some_and(late) {
            return Err(LATE);
        }
        let claim = Claim {
            link_layer,
            gateway: Gateway::of(source, link_layer),
            identity: information.map(|information| information.identity),
            signed: false,
            message: false,
        };
        let member = self.record.admit(&claim, &scene.rules, scene.now)?;
        member.hear_advertisement(information, &scene.rules, scene.now);
        if information.is_none_or(|information| information.state.is_ready()) {
            self.offer(link_layer, message.solicited, scene);
        } else {
            self.discarded.count(NOT_READY);
        }
        Ok(())
    }

    /// A leaving server's advertisement with its successor's link-layer address.
    pub(super) fn hear_hand_over(
        &mut self,
        source: Ipv6Addr,
        information: &ServiceInformation,
        solicited: bool,
        successor: LinkLayerAddress,
        scene: &Scene,
    ) -> Result<(), &'static str> {
        self.hear_aside(source, information, scene)?;
        self.offer(successor, solicited && self.entry.link_layer().is_none(), scene);
        Ok(())
    }

    /// An advertisement that does not carry its sender's link-layer address: only what it says of its sender counts.
    pub(super) fn hear_aside(&mut self, source: Ipv6Addr, information: &ServiceInformation, scene: &Scene) -> Result<(), &'static str> {
        if let Some(sender) = self.record.sender_mut(source, information.identity) {
            if sender.is_late(information) {
                return Err(LATE);
            }
            sender.hear_advertisement(Some(information), &scene.rules, scene.now);
        }
        Ok(())
    }

    /// A peer message; `Ok` also if it is the one that is known, or says nothing of this service.
    pub(super) fn hear_peer(&mut self, peer: &Peer, scene: &Scene) -> Result<(), &'static str> {
        let statement = &peer.statement;
        let known = self.record.get(statement.link_layer);
        let heard = known.and_then(Member::message_at).is_some_and(|at| at >= peer.last_heard);
        if heard && known.is_some_and(|member| member.identity == Some(peer.hash)) {
            return Ok(());
        }
        let is_member = known.is_some_and(|member| member.identity == Some(peer.hash));
        let serves = statement.services.contains(&self.address.get());
        if !is_member && (!serves || scene.now >= peer.dies_at()) {
            return Ok(());
        }
        let claim = Claim {
            link_layer: statement.link_layer,
            gateway: Gateway::of(peer.source, statement.link_layer),
            identity: Some(peer.hash),
            signed: peer.signed,
            message: true,
        };
        let member = self.record.admit(&claim, &scene.rules, scene.now)?;
        member.hear_message(peer, self.address.get(), &scene.rules, scene.now);
        Ok(())
    }

    fn offer(&mut self, link_layer: LinkLayerAddress, answer: bool, scene: &Scene) {
        let event = if answer {
            Event::Answered(link_layer)
        } else {
            Event::Advertised(link_layer)
        };
        self.happen(event, scene);
    }

    fn happen(&mut self, event: Event, scene: &Scene) {
        let (entry, effect) = self.entry.after(event, scene.now);
        self.entry = entry;
        match effect {
            Effect::Nothing => {}
            Effect::Moved => self.moves += 1,
            Effect::Discarded(rule) => {
                self.discarded.count(rule.name());
                match rule {
                    // Somebody is there: asked, it will answer.
                    Rule::NoEntry | Rule::Incomplete => self.discovery.hasten(),
                    Rule::Unchanged | Rule::Answer => {}
                }
            }
        }
    }

    /// All that time does: deaths, ageing, solicitations; then the next hops anew.
    pub(super) fn run(&mut self, scene: &Scene, sender: &mut Sender, out: &mut Outbox) {
        self.settle(scene);
        self.record.forget(&scene.rules, scene.now);
        self.age(scene);
        self.ask(scene, sender, out);
        self.reselect(scene);
        self.announce(scene.now, out);
    }

    fn age(&mut self, scene: &Scene) {
        let Scene { rules, now, .. } = scene;
        self.happen(Event::Aged, scene);
        if let (Some(link_layer), Some(since)) = (self.entry.link_layer(), self.entry.since()) {
            let lost = match self.record.get(link_layer) {
                Some(member) => matches!(member.standing(rules, *now), Standing::Out | Standing::Dead),
                // A successor that was named has to say something itself.
                None => *now >= (since + rules.dead_after).max(rules.grace_until),
            };
            if lost {
                self.happen(Event::Lost, scene);
                self.discovery.hasten();
            }
        }
        if scene.signed_only {
            self.follow(scene);
        }
    }

    /// Where only signed messages count: the entry is the holder's of the highest term, or stays while its server is as good.
    fn follow(&mut self, scene: &Scene) {
        let rank = |member: &&Member| {
            let standing = member.standing(&scene.rules, scene.now);
            let ready = matches!(standing, Standing::Active | Standing::Standby) && member.signed;
            let says = member.says(scene.now).filter(|_| ready)?;
            Some((standing == Standing::Active, says.holder, says.term))
        };
        let current = self.entry.link_layer();
        let best = self.record.iter().filter(|member| rank(member).is_some());
        let best = best.max_by_key(|member| (rank(member), Some(member.link_layer) == current));
        if let Some(link_layer) = best.map(|member| member.link_layer) {
            self.happen(Event::Stated(link_layer), scene);
        }
    }

    fn ask(&mut self, scene: &Scene, sender: &mut Sender, out: &mut Outbox) {
        for member in self.record.iter_mut() {
            if !scene.signed_only && member.ask_at(&scene.rules, scene.now).is_some_and(|at| scene.now >= at) {
                member.is_asked(&scene.rules, scene.now);
                sender.solicit(self.address, member.link_layer, member.identity.is_some(), out);
            }
        }
        if !self.is_searching(scene) {
            self.discovery.hasten();
        } else if sender.is_usable() && self.discovery.ask(scene.now) {
            sender.solicit_all(self.address, out);
            self.happen(Event::Solicited, scene);
        }
    }

    /// The entry has no address, or nobody who was heard serves.
    fn is_searching(&self, scene: &Scene) -> bool {
        let serves = |member: &Member| member.standing(&scene.rules, scene.now).serves();
        self.entry.link_layer().is_none() || !self.record.iter().any(serves)
    }

    /// Once all that was taken over has been heard, or the time for it is over, the shares found become factors.
    fn settle(&mut self, scene: &Scene) {
        let open = |member: &Member| {
            member
                .inherited
                .is_some_and(|inherited| member.is_unheard() && scene.now < inherited.until)
        };
        if self.record.iter().any(open) {
            return;
        }
        let ratio = |member: &Member| {
            let found = member.inherited.filter(|found| found.datagrams > 0 && !member.is_unheard())?;
            Some(f64::from(found.datagrams) / member.configured(scene.now))
        };
        let greatest = self.record.iter().filter_map(ratio).fold(0.0, f64::max);
        for member in self.record.iter_mut().filter(|member| member.inherited.is_some()) {
            if let Some(ratio) = ratio(member) {
                member.factor = (ratio / greatest).clamp(LEAST_FACTOR, 1.0);
                member.in_force = member.factor;
            }
            if !member.is_unheard() {
                member.inherited = None;
            }
        }
    }

    fn candidates(&self, scene: &Scene) -> Vec<Candidate> {
        let found = |member: &Member| {
            let found = member.inherited?.datagrams;
            (found > 0).then_some(f64::from(found))
        };
        // While shares that were found are in force, others are measured against them.
        let scale = |member: &Member| Some(found(member)? / member.configured(scene.now));
        let scale = self.record.iter().filter_map(scale).reduce(f64::max).unwrap_or(1.0);
        let candidate = |member: &Member| {
            let standing = match member.standing(&scene.rules, scene.now) {
                Standing::Inherited if found(member).is_none() => Standing::Leaving,
                standing => standing,
            };
            Candidate {
                link_layer: member.link_layer,
                gateway: member.gateway,
                standing,
                weight: found(member).unwrap_or(member.configured(scene.now) * member.factor * scale),
            }
        };
        self.record.iter().map(candidate).collect()
    }

    fn reselect(&mut self, scene: &Scene) {
        let candidates = self.candidates(scene);
        let entry = self.entry.link_layer().map(|link_layer| {
            let known = candidates.iter().find(|one| one.link_layer == link_layer);
            known.copied().unwrap_or(Candidate {
                link_layer,
                gateway: Gateway::of(Ipv6Addr::UNSPECIFIED, link_layer),
                standing: Standing::Active,
                weight: 1.0,
            })
        });
        let wanted = select(scene.policy, &candidates, entry);
        if weights::is_news(&self.told, &wanted) {
            self.tell(wanted, scene);
        }
    }

    /// What loads are measured under from now on: the shares as they were rounded.
    fn tell(&mut self, wanted: Vec<NextHop>, scene: &Scene) {
        self.told = wanted;
        let shares: BTreeMap<_, _> = self.told.iter().map(|hop| (hop.link_layer, hop.datagrams)).collect();
        let sharing = |member: &Member| shares.get(&member.link_layer).copied().filter(|share| *share > 0);
        let weight = |member: &Member| member.configured(scene.now) * member.factor;
        let greatest = self.record.iter().filter(|member| sharing(member).is_some()).map(weight);
        let greatest = greatest.fold(0.0, f64::max);
        for member in self.record.iter_mut() {
            match sharing(member) {
                Some(share) => {
                    let part = f64::from(share) / f64::from(MOST_SHARE);
                    member.in_force = (part * greatest / member.configured(scene.now)).clamp(LEAST_FACTOR, 1.0);
                    member.shared_since.get_or_insert(scene.now);
                }
                None => member.shared_since = None,
            }
        }
    }

    /// The weight law's turn.
    pub(super) fn update_weights(&mut self, scene: &Scene) {
        let unsettled = self.record.iter().any(|member| member.inherited.is_some());
        if scene.policy != Policy::Weighted || unsettled {
            return;
        }
        let reading = |member: &Member| Reading {
            configured: member.configured(scene.now),
            factor: member.factor,
            in_force: member.in_force,
            utilisation: member.utilisation(scene.now),
        };
        let shared = |member: &&Member| member.shared_since.is_some();
        let group: Vec<_> = self.record.iter().filter(shared).map(reading).collect();
        let sharing = self.record.iter_mut().filter(|member| member.shared_since.is_some());
        for (member, factor) in sharing.zip(weights::update(&group)) {
            member.factor = factor;
        }
        self.reselect(scene);
    }

    /// One line a second at most about who is delivered to.
    fn announce(&mut self, now: Timestamp, out: &mut Outbox) {
        if now < self.announce_at || !self.is_to_announce() {
            return;
        }
        let name = |hop: &NextHop| {
            let member = self.record.get(hop.link_layer);
            (hop.link_layer, member.map_or_else(|| hop.link_layer.to_string(), Member::to_string))
        };
        let now_there: BTreeMap<_, _> = self.told.iter().map(name).collect();
        let names = |of: &BTreeMap<LinkLayerAddress, String>, without: &BTreeMap<LinkLayerAddress, String>| {
            let only = of.iter().filter(|(link_layer, _)| !without.contains_key(*link_layer));
            let only: Vec<&str> = only.map(|(_, name)| name.as_str()).collect();
            let more = if only.len() > MOST_NAMES { " and others" } else { "" };
            (!only.is_empty()).then(|| only[..only.len().min(MOST_NAMES)].join(", ") + more)
        };
        let came = names(&now_there, &self.announced).map(|names| format!(", new: {names}"));
        let went = names(&self.announced, &now_there).map(|names| format!(", no more: {names}"));
        let (severity, count) = match now_there.len() {
            0 => (Severity::Warning, "no server".to_owned()),
            1 => (Severity::Info, "1 server".to_owned()),
            count => (Severity::Info, format!("{count} servers")),
        };
        let changes = came.unwrap_or_default() + &went.unwrap_or_default();
        out.notice(severity, format!("router: {} goes to {count}{changes}", self.address));
        self.announced = now_there;
        self.announce_at = now + LINE_EVERY;
    }

    fn is_to_announce(&self) -> bool {
        let known = |hop: &NextHop| self.announced.contains_key(&hop.link_layer);
        self.told.len() != self.announced.len() || !self.told.iter().all(known)
    }

    /// When something of the above is due.
    pub(super) fn deadline(&self, scene: &Scene) -> Option<Timestamp> {
        let Scene { rules, now, .. } = scene;
        let members = self.record.iter().flat_map(|member| {
            let asked = member.ask_at(rules, *now).filter(|_| !scene.signed_only);
            [
                member.dies_at(rules, *now),
                asked,
                member.inherited.map(|inherited| inherited.until),
            ]
        });
        let named = self.entry.since().map(|since| (since + rules.dead_after).max(rules.grace_until));
        let search = self.is_searching(scene).then(|| self.discovery.due());
        let line = self.is_to_announce().then_some(self.announce_at);
        let others = [self.entry.ages_at(), named, search, line, self.record.forgets_at()];
        members.chain(others).flatten().filter(|at| at > now).min()
    }

    /// A member's shares of datagrams and connections in force.
    pub(super) fn share_of(&self, link_layer: LinkLayerAddress) -> (u16, u16) {
        let hop = self.told.iter().find(|hop| hop.link_layer == link_layer);
        hop.map_or((0, 0), |hop| (hop.datagrams, hop.connections))
    }
}
