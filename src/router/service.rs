//! One service address: its neighbour-cache entry, the record of all its servers, and the next hops made of both.

use std::net::Ipv6Addr;

use super::announcements::Announcements;
use super::config::Policy;
use super::discovery::Discovery;
use super::member::{Gateway, Member, Rules, Sign, Standing};
use super::neighbor_cache::{Effect, Entry, Event, Rule};
use super::record::{Claim, Record};
use super::sender::Sender;
use crate::advertiser::nd::wire::{NeighborAdvertisement, ServiceInformation};
use crate::base::address::{LinkLayerAddress, ServiceAddress, is_link_local};
use crate::base::forwarding::{MOST_SHARE, NextHop, ServiceForwarding};
use crate::base::machine::Outbox;
use crate::base::peer::Peer;
use crate::base::tally::Tally;
use crate::base::time::Timestamp;

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
    announcements: Announcements,
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
            announcements: Announcements::default(),
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
        self.reselect(scene);
        self.announcements.know(&self.told, &self.record);
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
        let sign = Sign::stated(peer, self.address.get());
        let known = self.record.get(statement.link_layer);
        let is_member = known.is_some_and(|member| member.identity == Some(peer.hash));
        let last = known.filter(|_| is_member).and_then(Member::message);
        if last.is_some_and(|last| last == sign || last.at > sign.at) {
            return Ok(());
        }
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
        member.hear_message(peer, sign, &scene.rules, scene.now);
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
        self.announcements.announce(self.address, &self.told, &self.record, scene.now, out);
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

    /// When something of the above is due.
    pub(super) fn deadline(&self, scene: &Scene) -> Option<Timestamp> {
        let Scene { rules, now, .. } = scene;
        let members = self.record.iter().flat_map(|member| {
            let asked = member.ask_at(rules, *now).filter(|_| !scene.signed_only);
            [
                member.dies_at(rules, *now),
                member.doubted_at(),
                asked,
                member.inherited.map(|inherited| inherited.until),
            ]
        });
        let named = self.entry.since().map(|since| (since + rules.dead_after).max(rules.grace_until));
        let search = self.is_searching(scene).then(|| self.discovery.due());
        let line = self.announcements.due(&self.told);
        let others = [self.entry.ages_at(), named, search, line, self.record.forgets_at()];
        members.chain(others).flatten().filter(|at| at > now).min()
    }

    /// A member's shares of datagrams and connections in force.
    pub(super) fn share_of(&self, link_layer: LinkLayerAddress) -> (u16, u16) {
        let hop = self.told.iter().find(|hop| hop.link_layer == link_layer);
        hop.map_or((0, 0), |hop| (hop.datagrams, hop.connections))
    }
}
