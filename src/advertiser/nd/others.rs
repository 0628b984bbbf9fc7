//! The other servers of the same service on the link: what their peer messages and their advertisements say, taken together.
//!
//! Of two signs from one server the one with the higher term counts, of the same term the later one. A server lives as long
//! as either kind of sign comes (three of its intervals). With a key, advertisements prove nothing and are not kept.

use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::wire::ServiceInformation;
use crate::base::address::{LinkLayerAddress, ServiceAddress};
use crate::base::peer::{IdentityHash, MISSED_UNTIL_DEAD, Peer, PeerState};
use crate::base::time::Timestamp;

/// Most servers that are known by their advertisements alone.
const MOST_UNLISTED: usize = 64;
/// A server known by its advertisements alone is forgotten after so long.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// An advertisement this far behind the last one is a late one, not the first of a new life.
const LATE_WITHIN: u32 = 1_000;

/// Which of two holders stays: the greater one. All servers compute it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    pub(super) term: u32,
    pub(super) candidate: Candidate,
}

/// Which of two servers takes over first: the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) health: u8,
    pub(super) weight: u16,
    pub(super) identity: IdentityHash,
    /// Decides between two servers that were given the same identity.
    pub(super) link_layer: LinkLayerAddress,
}

/// One other server.
#[derive(Clone, Debug)]
pub(super) struct Other {
    /// Its link-local address.
    pub(super) source: Ipv6Addr,
    pub(super) identity: IdentityHash,
    /// Which of its lives its messages are of, and when the first of them came.
    life: Option<(u64, Timestamp)>,
    message: Option<Sign>,
    advertisement: Option<Sign>,
    /// What its advertisements are numbered with.
    sequence: u32,
    interval: Duration,
    name: String,
    misdelivered: u32,
}

/// What one message or advertisement said.
#[derive(Clone, Copy, Debug)]
struct Sign {
    at: Timestamp,
    state: PeerState,
    holder: bool,
    idle: bool,
    term: u32,
    health: u8,
    weight: u16,
    link_layer: LinkLayerAddress,
    successor: Successor,
}

/// Whom a leaving server names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Successor {
    None,
    Identity(IdentityHash),
    LinkLayer(LinkLayerAddress),
}

impl Other {
    /// How the operator knows it.
    pub(super) fn name(&self) -> String {
        if self.name.is_empty() {
            self.identity.to_string()
        } else {
            self.name.clone()
        }
    }

    pub(super) fn last_heard(&self) -> Timestamp {
        let at = |sign: &Option<Sign>| sign.map_or(Timestamp::ZERO, |sign| sign.at);
        at(&self.message).max(at(&self.advertisement))
    }

    pub(super) fn dies_at(&self) -> Timestamp {
        self.last_heard() + self.interval * MISSED_UNTIL_DEAD
    }

    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        now < self.dies_at() && self.says().is_some_and(|sign| sign.state != PeerState::Gone)
    }

    /// It would take the service address if it fell to it.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        self.is_alive(now) && self.says().is_some_and(|sign| sign.state.is_ready())
    }

    /// It has just begun and listens: it will be ready soon.
    pub(super) fn is_starting(&self, now: Timestamp) -> bool {
        self.is_alive(now) && self.says().is_some_and(|sign| sign.state == PeerState::Starting)
    }

    /// It holds the service address and serves it, be it on its way out.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let serves = |sign: Sign| match sign.state {
            PeerState::Standby | PeerState::Active | PeerState::Draining | PeerState::Stopping => true,
            PeerState::Starting | PeerState::Withdrawn | PeerState::Gone => false,
        };
        self.is_alive(now) && self.says().is_some_and(|sign| sign.holder && serves(sign))
    }

    /// It holds the service address and means to keep it.
    pub(super) fn keeps(&self, now: Timestamp) -> bool {
        self.holds(now) && self.says().is_some_and(|sign| sign.state.is_ready())
    }

    /// It would serve what comes to it, ready or on its way out.
    pub(super) fn serves(&self, now: Timestamp) -> bool {
        let leaves = |sign: Sign| matches!(sign.state, PeerState::Draining | PeerState::Stopping);
        self.is_ready(now) || self.is_alive(now) && self.says().is_some_and(leaves)
    }

    /// No queries came to it for a while.
    pub(super) fn is_idle(&self) -> bool {
        self.says().is_some_and(|sign| sign.idle)
    }

    pub(super) fn link_layer(&self) -> Option<LinkLayerAddress> {
        self.says().map(|sign| sign.link_layer)
    }

    pub(super) fn precedence(&self) -> Option<Precedence> {
        let sign = self.says()?;
        Some(Precedence {
            term: sign.term,
            candidate: Candidate {
                health: sign.health,
                weight: sign.weight,
                identity: self.identity,
                link_layer: sign.link_layer,
            },
        })
    }

    pub(super) fn candidate(&self) -> Option<Candidate> {
        self.precedence().map(|precedence| precedence.candidate)
    }

    /// It leaves and names this server.
    pub(super) fn names(&self, own: &Candidate, now: Timestamp) -> bool {
        let recent = |sign: &Sign| now < sign.at + self.interval * MISSED_UNTIL_DEAD && !sign.state.is_ready();
        let signs = [self.message, self.advertisement].into_iter().flatten();
        let no_longer_leaving = self.says().is_none_or(|sign| sign.state.is_ready());
        !no_longer_leaving
            && signs.filter(recent).any(|sign| match sign.successor {
                Successor::None => false,
                Successor::Identity(identity) => identity == own.identity,
                Successor::LinkLayer(link_layer) => link_layer == own.link_layer,
            })
    }

    /// It has started anew since `then`: what it held then it knows nothing of.
    pub(super) fn has_restarted_since(&self, then: Timestamp) -> bool {
        self.message.is_some() && self.life.is_some_and(|(_, since)| since > then)
    }

    /// It said, at `now`, which of its lives it is in; what it advertised in an earlier one counts no longer.
    fn live(&mut self, boot: u64, now: Timestamp) {
        match self.life {
            Some((known, _)) if known == boot => {}
            Some(_) => {
                self.life = Some((boot, now));
                self.advertisement = None;
            }
            None => self.life = Some((boot, Timestamp::ZERO)),
        }
    }

    /// The sign that counts.
    fn says(&self) -> Option<Sign> {
        match (self.message, self.advertisement) {
            (Some(message), Some(advertisement)) => {
                let later = (advertisement.term, advertisement.at) > (message.term, message.at);
                Some(if later { advertisement } else { message })
            }
            (message, advertisement) => message.or(advertisement),
        }
    }
}

/// All other servers of the same service on the link.
#[derive(Clone, Debug)]
pub(super) struct Others {
    services: Vec<Ipv6Addr>,
    /// Only what peer messages say counts; they are signed.
    signed_only: bool,
    /// The interval of servers that are known by their advertisements alone.
    default_interval: Duration,
    list: Vec<Other>,
}

/// How an advertisement was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// As a sign of that server.
    Sign,
    /// It came late: nothing was learned from it.
    Late,
    /// It could be forged, or there are too many to know them all: nothing was learned from it.
    Unbelieved(&'static str),
}

impl Others {
    pub(super) fn new(services: &[ServiceAddress], signed_only: bool, default_interval: Duration) -> Self {
        Self {
            services: services.iter().map(|service| service.get()).collect(),
            signed_only,
            default_interval,
            list: Vec::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Other> {
        self.list.iter()
    }

    /// The server that holds the service address, the first in the order if there are several.
    pub(super) fn holder(&self, now: Timestamp) -> Option<&Other> {
        self.list
            .iter()
            .filter(|other| other.holds(now))
            .max_by_key(|other| (other.keeps(now), other.precedence()))
    }

    pub(super) fn find(&self, identity: IdentityHash, link_layer: LinkLayerAddress) -> Option<&Other> {
        self.list
            .iter()
            .find(|other| other.identity == identity && other.link_layer() == Some(link_layer))
    }

    /// A living server says in its peer messages that this is its link-layer address.
    pub(super) fn is_listed(&self, link_layer: LinkLayerAddress, now: Timestamp) -> bool {
        let messages = self
            .list
            .iter()
            .filter(|other| other.is_alive(now))
            .filter_map(|other| other.message);
        messages.into_iter().any(|message| message.link_layer == link_layer)
    }

    /// The highest term that was heard.
    pub(super) fn highest_term(&self) -> u32 {
        self.list
            .iter()
            .filter_map(Other::precedence)
            .map(|precedence| precedence.term)
            .max()
            .unwrap_or(0)
    }

    /// Takes over what the peer messages say. Returns the servers that have answered more misdelivered queries than before.
    pub(super) fn hear_peers(&mut self, peers: &[Peer], now: Timestamp) -> Vec<String> {
        let relevant = |peer: &&Peer| peer.on_link && peer.statement.services.iter().any(|service| self.services.contains(service));
        let mut relevant: Vec<&Peer> = peers.iter().filter(relevant).collect();
        // A server whose link-layer address has changed is listed once for each: what it said last counts.
        relevant.sort_by_key(|peer| (peer.hash, peer.source, Reverse(peer.last_heard)));
        relevant.dedup_by_key(|peer| (peer.hash, peer.source));
        for other in &mut self.list {
            if !relevant.iter().any(|peer| other.is(peer.hash, peer.source)) {
                other.message = None;
            }
        }
        let mut misdelivering = Vec::new();
        for peer in relevant {
            let statement = &peer.statement;
            let known = self.list.iter().any(|other| other.is(peer.hash, peer.source));
            let other = self.entry(peer.hash, peer.source);
            if known && statement.misdelivered > other.misdelivered {
                misdelivering.push(statement.identity.clone());
            }
            other.live(peer.boot, peer.last_heard);
            other.name.clone_from(&statement.identity);
            other.interval = statement.interval;
            other.misdelivered = statement.misdelivered;
            other.message = Some(Sign {
                at: peer.last_heard,
                state: statement.state,
                holder: statement.holder,
                idle: statement.idle,
                term: statement.term,
                health: statement.health,
                weight: statement.weight,
                link_layer: statement.link_layer,
                successor: statement.successor.map_or(Successor::None, Successor::Identity),
            });
        }
        self.forget(now);
        misdelivering
    }

    /// Takes over what an advertisement says; `link_layer` is what is in its option 2.
    pub(super) fn hear_advertisement(
        &mut self,
        source: Ipv6Addr,
        information: &ServiceInformation,
        link_layer: LinkLayerAddress,
        now: Timestamp,
    ) -> Heard {
        if self.signed_only {
            return Heard::Unbelieved("unsigned");
        }
        self.forget(now);
        let known = self.list.iter().any(|other| other.is(information.identity, source));
        if !known && self.list.iter().filter(|other| other.message.is_none()).count() >= MOST_UNLISTED {
            return Heard::Unbelieved("table-full");
        }
        let other = self.entry(information.identity, source);
        let last = other.advertisement;
        let behind = other.sequence.wrapping_sub(information.sequence);
        if last.is_some_and(|last| last.term >= information.term) && behind < LATE_WITHIN {
            return Heard::Late;
        }
        let own = if information.hand_over || link_layer.is_group() {
            other.link_layer().unwrap_or_default()
        } else {
            link_layer
        };
        other.sequence = information.sequence;
        other.advertisement = Some(Sign {
            at: now,
            state: information.state,
            holder: true,
            idle: information.state == PeerState::Standby,
            term: information.term,
            health: information.health,
            weight: information.weight,
            link_layer: own,
            successor: if information.hand_over {
                Successor::LinkLayer(link_layer)
            } else {
                Successor::None
            },
        });
        Heard::Sign
    }

    fn entry(&mut self, identity: IdentityHash, source: Ipv6Addr) -> &mut Other {
        let known = self.list.iter().position(|other| other.is(identity, source));
        let index = known.unwrap_or_else(|| {
            self.list.push(Other {
                source,
                identity,
                life: None,
                message: None,
                advertisement: None,
                sequence: 0,
                interval: self.default_interval,
                name: String::new(),
                misdelivered: 0,
            });
            self.list.len() - 1
        });
        &mut self.list[index]
    }

    fn forget(&mut self, now: Timestamp) {
        let fresh = |other: &Other| other.advertisement.is_some_and(|sign| now.since(sign.at) < FORGET_AFTER);
        self.list.retain(|other| other.message.is_some() || fresh(other));
    }
}

impl Other {
    fn is(&self, identity: IdentityHash, source: Ipv6Addr) -> bool {
        self.identity == identity && self.source == source
    }
}
