//! The router-side machine: advertisements, peer messages and time in; solicitations and the wish out.
//!
//! Deaths are noticed to the microsecond, by the deadline. A process that did not run for a while has missed signs and declares
//! nobody dead until it has listened for `dead-after`.

use super::config::Config;
use super::member::{Gateway, Member, Rules, Sign};
use super::neighbor_cache::Entry;
use super::report::{MemberReport, Report, ServiceReport};
use super::sender::{self, Sender};
use super::service::{Scene, Service};
use super::weights::PERIOD;
use crate::base::address::ServiceAddress;
use crate::base::forwarding::{Forwarding, ServiceForwarding};
use crate::base::machine::{Channel, Input, Machine, Outbox};
use crate::base::peer::Peer;
use crate::base::tally::Tally;
use crate::base::time::{Timestamp, earliest};

/// Part of `dead-after` by which a call may be late before signs may have been missed.
const STALLED_PART: u32 = 3;

/// What a router side is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The `[router]` table.
    pub config: Config,
    /// Its services, checked.
    pub services: Vec<ServiceAddress>,
}

/// The router side of all its service addresses.
#[derive(Debug)]
pub struct RouterSide {
    pub(super) setup: Setup,
    channels: [Channel; 2],
    pub(super) sender: Sender,
    pub(super) services: Vec<Service>,
    pub(super) dropped: Tally,
    /// Peers that are shown and never delivered to.
    pub(super) beyond_the_link: Vec<Peer>,
    /// The latest peer message that has been looked at.
    pub(super) peers_seen: Option<Timestamp>,
    forwarding: Forwarding,
    changes: u64,
    update_at: Option<Timestamp>,
    grace_until: Timestamp,
    promised: Option<Timestamp>,
}

impl RouterSide {
    /// A machine that knows nobody.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let wish = |service: &ServiceAddress| ServiceForwarding {
            service: *service,
            next_hops: Vec::new(),
        };
        Self {
            channels: sender::channels(&setup.config.interface),
            sender: Sender::default(),
            services: setup.services.iter().copied().map(Service::new).collect(),
            dropped: Tally::default(),
            beyond_the_link: Vec::new(),
            peers_seen: None,
            forwarding: Forwarding {
                services: setup.services.iter().map(wish).collect(),
            },
            changes: 0,
            update_at: None,
            grace_until: Timestamp::ZERO,
            promised: None,
            setup,
        }
    }

    /// Takes over what the kernel still does for a predecessor: its next hops stay until their servers are heard, or for 3 s.
    pub fn adopt(&mut self, found: &Forwarding, now: Timestamp) {
        let scene = self.scene(now);
        for service in &mut self.services {
            if let Some(found) = found.services.iter().find(|found| found.service == service.address) {
                service.adopt(found, &scene);
            }
        }
        self.wish();
        self.promise(now);
    }

    /// How queries are to be delivered now.
    #[must_use]
    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// Grows whenever [`RouterSide::forwarding`] has changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What `heraldns neighbors` shows.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> Report {
        let services = self.services.iter();
        Report {
            policy: self.setup.config.policy,
            services: services.map(|service| self.service_report(service, now)).collect(),
            solicitations: self.sender.sent,
            errors: self.sender.errors,
            dropped: self.dropped.entries().to_vec(),
        }
    }

    pub(super) fn scene(&self, now: Timestamp) -> Scene {
        Scene {
            policy: self.setup.config.policy,
            signed_only: self.setup.config.require_signed,
            rules: Rules {
                dead_after: self.setup.config.dead_after,
                grace_until: self.grace_until,
            },
            now,
        }
    }

    fn notice_stall(&mut self, now: Timestamp) {
        let dead_after = self.setup.config.dead_after;
        if self.promised.is_some_and(|promised| now > promised + dead_after / STALLED_PART) {
            self.grace_until = now + dead_after;
        }
    }

    fn run(&mut self, now: Timestamp, out: &mut Outbox) {
        let scene = self.scene(now);
        let update = now >= *self.update_at.get_or_insert(now + PERIOD);
        if update {
            self.update_at = Some(now + PERIOD);
        }
        for service in &mut self.services {
            service.run(&scene, &mut self.sender, out);
            if update {
                service.update_weights(&scene);
            }
        }
        self.wish();
        self.promise(now);
    }

    fn wish(&mut self) {
        let mut changed = false;
        for (wish, service) in self.forwarding.services.iter_mut().zip(&self.services) {
            if wish.next_hops != service.told {
                wish.next_hops.clone_from(&service.told);
                changed = true;
            }
        }
        self.changes += u64::from(changed);
    }

    fn promise(&mut self, now: Timestamp) {
        let scene = self.scene(now);
        let services = self.services.iter().filter_map(|service| service.deadline(&scene));
        self.promised = earliest(services.min(), self.update_at);
    }

    fn service_report(&self, service: &Service, now: Timestamp) -> ServiceReport {
        let rules = self.scene(now).rules;
        let asked = |link_layer| service.record.get(link_layer).is_some_and(|member| member.unanswered > 0);
        let entry = match service.entry {
            Entry::Absent => "absent",
            Entry::Incomplete { .. } => "incomplete",
            Entry::Reachable { link_layer, .. } | Entry::Stale { link_layer, .. } if asked(link_layer) => "probe",
            Entry::Reachable { .. } => "reachable",
            Entry::Stale { .. } => "stale",
        };
        let beyond = self.beyond_the_link.iter();
        let beyond = beyond.filter(|peer| peer.statement.services.contains(&service.address.get()));
        let beyond = beyond.map(|peer| MemberReport {
            on_link: false,
            ..member_report(&beyond_the_link(peer, service, &rules, now), service, &rules, now)
        });
        let members = service.record.iter().map(|member| member_report(member, service, &rules, now));
        ServiceReport {
            service: service.address,
            entry,
            link_layer: service.entry.link_layer(),
            moves: service.moves,
            discarded: service.discarded.entries().to_vec(),
            members: members.chain(beyond).collect(),
        }
    }
}

/// A peer that is no member, as one: only to be shown.
fn beyond_the_link(peer: &Peer, service: &Service, rules: &Rules, now: Timestamp) -> Member {
    let gateway = Gateway {
        address: peer.source,
        made_up: false,
    };
    let mut member = Member::new(peer.statement.link_layer, gateway);
    member.hear_message(peer, Sign::stated(peer, service.address.get()), rules, now);
    member
}

fn member_report(member: &Member, service: &Service, rules: &Rules, now: Timestamp) -> MemberReport {
    let says = member.says(now);
    let (datagrams, connections) = service.share_of(member.link_layer);
    MemberReport {
        identity: member.identity,
        name: member.name.clone(),
        link_layer: member.link_layer,
        gateway: member.gateway.address,
        made_up: member.gateway.made_up,
        on_link: true,
        standing: member.standing(rules, now),
        state: says.filter(|_| member.identity.is_some()).map(|sign| sign.state.name()),
        signed: member.signed,
        weight: says.map_or(0, |sign| sign.weight),
        effective: member.configured(now) * member.factor,
        datagrams,
        connections,
        load: says.and_then(|sign| sign.utilisation).map(|utilisation| utilisation.value),
        age: member.last_heard().map(|last| now.since(last)),
        advertisements: member.advertisements,
        messages: member.messages,
        unanswered: member.unanswered,
    }
}

impl Machine for RouterSide {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn handle(&mut self, input: Input<'_>, now: Timestamp, out: &mut Outbox) {
        self.notice_stall(now);
        let news = match input {
            Input::Tick => true,
            Input::Interface(state) => {
                self.sender.link = state.clone();
                true
            }
            Input::Peers(peers) => {
                self.hear_peers(peers, now);
                true
            }
            Input::Datagram(_, packet) => self.receive(&packet, now),
            Input::Unsent(..) => {
                self.sender.errors += 1;
                false
            }
            Input::Inflow(_) => false,
        };
        // A flood of what is refused costs no more than the refusals.
        if news || self.promised.is_none_or(|promised| now >= promised) {
            self.run(now, out);
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.promised
    }
}
