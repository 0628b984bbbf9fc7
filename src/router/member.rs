//! One server as the record has it (claim 15): who it is, where it is, what it says of itself, and whether it still lives.
//!
//! Two kinds of signs come from a server: advertisements (claim 16's load in option 253) and peer messages (claim 17). A
//! message counts before an advertisement while it is recent. How silence is taken depends on what was said last.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::weights::{PERIOD, Utilisation};
use crate::advertiser::nd::wire::ServiceInformation;
use crate::base::address::{LinkLayerAddress, is_link_local};
use crate::base::peer::{IdentityHash, MISSED_UNTIL_DEAD, Peer, PeerState};
use crate::base::time::Timestamp;

/// The weight of a host that says none: that of `[service] weight` where nothing is configured.
const DEFAULT_WEIGHT: u16 = 100;
/// How often a server in idle standby is asked whether it still lives, if it sends no peer messages.
const STANDBY_ASKED_EVERY: Duration = Duration::from_secs(10);
/// RetransTimer (RFC 4861 §10).
const RETRANSMIT: Duration = Duration::from_secs(1);
/// MAX_UNICAST_SOLICIT (RFC 4861 §10): so many unanswered, and it is dead.
pub(super) const MOST_UNANSWERED: u32 = 3;
/// A next hop taken over from a predecessor waits so long for its server: three intervals of idle standby.
const INHERITED_FOR: Duration = Duration::from_secs(3);
/// An advertisement this far behind the last one is a late or a replayed one, not the first of a new life.
const LATE_WITHIN: u32 = 1_000;

/// What is the same for all members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// An active server not heard for so long is dead.
    pub(super) dead_after: Duration,
    /// This machine did not run for a while and may have missed signs: until then nobody is declared dead.
    pub(super) grace_until: Timestamp,
}

/// Where a server is on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gateway {
    pub(super) address: Ipv6Addr,
    /// Nobody has it: the server's link-local address is not known.
    pub(super) made_up: bool,
}

impl Gateway {
    /// The sender's own address if that is link-local; else one that stands for its link-layer address: `fe80::4844:MAC`.
    pub(super) fn of(source: Ipv6Addr, link_layer: LinkLayerAddress) -> Self {
        if is_link_local(source) {
            return Self {
                address: source,
                made_up: false,
            };
        }
        let LinkLayerAddress([a, b, c, d, e, f]) = link_layer;
        let pair = u16::from_be_bytes;
        Self {
            address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0x4844, pair([a, b]), pair([c, d]), pair([e, f])),
            made_up: true,
        }
    }
}

/// What may be delivered to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It wants queries.
    Active,
    /// It would serve queries if nobody else did.
    Standby,
    /// It serves what still comes: connections end in peace, new queries go elsewhere.
    Leaving,
    /// Taken over from a predecessor, not heard yet.
    Inherited,
    /// It says that it does not serve.
    Out,
    /// Not heard for too long.
    Dead,
}

impl Standing {
    /// The name that `heraldns neighbors` shows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Leaving => "leaving",
            Self::Inherited => "inherited",
            Self::Out => "out",
            Self::Dead => "dead",
        }
    }

    /// Queries that reach it are answered.
    #[must_use]
    pub const fn serves(self) -> bool {
        match self {
            Self::Active | Self::Standby | Self::Leaving => true,
            Self::Inherited | Self::Out | Self::Dead => false,
        }
    }
}

/// What one message or advertisement said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sign {
    pub(super) at: Timestamp,
    pub(super) state: PeerState,
    pub(super) holder: bool,
    pub(super) term: u32,
    pub(super) weight: u16,
    pub(super) utilisation: Option<Utilisation>,
    /// Until the next one is due.
    interval: Duration,
}

impl Sign {
    /// An advertisement; without option 253 all it says is that its sender serves.
    pub(super) fn advertised(information: Option<&ServiceInformation>, now: Timestamp) -> Self {
        let Some(information) = information else {
            return Self {
                at: now,
                state: PeerState::Active,
                holder: true,
                term: 0,
                weight: DEFAULT_WEIGHT,
                utilisation: None,
                interval: Duration::ZERO,
            };
        };
        let leaves = information.hand_over && information.state.is_ready();
        Self {
            at: now,
            state: if leaves { PeerState::Draining } else { information.state },
            holder: true,
            term: information.term,
            weight: information.weight,
            utilisation: Some(utilisation(information.load, information.recent_load)),
            interval: Duration::ZERO,
        }
    }

    /// A peer message; a server that does not name `service` does not serve it.
    pub(super) fn stated(peer: &Peer, service: Ipv6Addr) -> Self {
        let statement = &peer.statement;
        let served = statement.services.contains(&service);
        Self {
            at: peer.last_heard,
            state: if served { statement.state } else { PeerState::Withdrawn },
            holder: statement.holder,
            term: statement.term,
            weight: statement.weight,
            utilisation: Some(utilisation(statement.load, statement.recent_load)),
            interval: statement.interval,
        }
    }
}

impl Sign {
    /// A message counts before what is advertised until its sender's next ones are missing.
    fn counts_until(&self) -> Timestamp {
        self.at + self.interval * MISSED_UNTIL_DEAD
    }
}

fn utilisation(load: u16, recent: Option<u16>) -> Utilisation {
    Utilisation {
        value: f64::from(recent.unwrap_or(load)) / 1_000.0,
        recent: recent.is_some(),
    }
}

/// What the kernel still did for a server when this process began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited {
    /// Its share of the datagrams; 0: it was leaving.
    pub(super) datagrams: u16,
    pub(super) until: Timestamp,
}

/// How long a member may be silent.
enum Patience {
    Silence(Duration),
    /// It is asked after so long, again after so long, and dead after [`MOST_UNANSWERED`].
    Asked {
        every: Duration,
        again: Duration,
    },
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) link_layer: LinkLayerAddress,
    pub(super) gateway: Gateway,
    pub(super) identity: Option<IdentityHash>,
    /// Its identity in words, from its peer messages.
    pub(super) name: String,
    pub(super) signed: bool,
    pub(super) inherited: Option<Inherited>,
    /// The weight law's factor, and the one that the kernel's share stands for.
    pub(super) factor: f64,
    pub(super) in_force: f64,
    /// Since when the kernel delivers datagrams to it.
    pub(super) shared_since: Option<Timestamp>,
    pub(super) advertisements: u64,
    pub(super) messages: u64,
    message: Option<Sign>,
    advertisement: Option<Sign>,
    boot: Option<u64>,
    sequence: Option<u32>,
    /// Solicitations since the last sign, and when the next is due.
    pub(super) unanswered: u32,
    ask_at: Timestamp,
}

impl Member {
    pub(super) fn new(link_layer: LinkLayerAddress, gateway: Gateway) -> Self {
        Self {
            link_layer,
            gateway,
            identity: None,
            name: String::new(),
            signed: false,
            inherited: None,
            factor: 1.0,
            in_force: 1.0,
            shared_since: None,
            advertisements: 0,
            messages: 0,
            message: None,
            advertisement: None,
            boot: None,
            sequence: None,
            unanswered: 0,
            ask_at: Timestamp::ZERO,
        }
    }

    /// One that a predecessor delivered to.
    pub(super) fn inherited(link_layer: LinkLayerAddress, gateway: Gateway, datagrams: u16, now: Timestamp) -> Self {
        Self {
            inherited: Some(Inherited {
                datagrams,
                until: now + INHERITED_FOR,
            }),
            ..Self::new(link_layer, gateway)
        }
    }

    /// True for an advertisement that is not newer than the last one: late, doubled, or replayed.
    pub(super) fn is_late(&self, information: &ServiceInformation) -> bool {
        let behind = self.sequence.map(|last| last.wrapping_sub(information.sequence));
        let older = self.advertisement.is_some_and(|last| last.term >= information.term);
        self.identity == Some(information.identity) && older && behind.is_some_and(|behind| behind < LATE_WITHIN)
    }

    pub(super) fn hear_advertisement(&mut self, information: Option<&ServiceInformation>, rules: &Rules, now: Timestamp) {
        self.advertisements += 1;
        if let Some(information) = information {
            self.identity = Some(information.identity);
            self.sequence = Some(information.sequence);
        }
        self.advertisement = Some(Sign::advertised(information, now));
        self.is_heard(rules, now);
    }

    pub(super) fn hear_message(&mut self, peer: &Peer, sign: Sign, rules: &Rules, now: Timestamp) {
        self.messages += 1;
        self.identity = Some(peer.hash);
        self.signed = peer.signed;
        if self.boot.is_some_and(|boot| boot != peer.boot) {
            self.advertisement = None;
            self.sequence = None;
        }
        self.boot = Some(peer.boot);
        self.name.clone_from(&peer.statement.identity);
        self.message = Some(sign);
        self.is_heard(rules, now);
    }

    fn is_heard(&mut self, rules: &Rules, now: Timestamp) {
        self.unanswered = 0;
        if let Patience::Asked { every, .. } = self.patience(rules, now) {
            self.ask_at = now + every;
        }
    }

    pub(super) fn is_unheard(&self) -> bool {
        self.message.is_none() && self.advertisement.is_none()
    }

    /// What the last peer message of this server said.
    pub(super) fn message(&self) -> Option<Sign> {
        self.message
    }

    pub(super) fn last_heard(&self) -> Option<Timestamp> {
        let at = |sign: Option<Sign>| sign.map(|sign| sign.at);
        at(self.message).max(at(self.advertisement))
    }

    /// The sign that counts. Of an unsigned server that says in an advertisement that it leaves, that one: better once too early.
    pub(super) fn says(&self, now: Timestamp) -> Option<Sign> {
        let (Some(message), Some(advertisement)) = (self.message, self.advertisement) else {
            return self.message.or(self.advertisement);
        };
        let recent = now < message.counts_until();
        let later = advertisement.at > message.at;
        let leaves = later && !self.signed && !advertisement.state.is_ready();
        Some(if later && (leaves || !recent) { advertisement } else { message })
    }

    /// When a later advertisement will count before its last message, if no other comes.
    pub(super) fn doubted_at(&self) -> Option<Timestamp> {
        self.advertisement.and(self.message).map(|message| message.counts_until())
    }

    fn patience(&self, rules: &Rules, now: Timestamp) -> Patience {
        let state = self.says(now).map(|sign| sign.state);
        match (state, self.message) {
            _ if self.identity.is_none() => Patience::Asked {
                every: rules.dead_after,
                again: rules.dead_after / MOST_UNANSWERED,
            },
            (Some(PeerState::Standby), Some(message)) => Patience::Silence(message.interval * MISSED_UNTIL_DEAD),
            (Some(PeerState::Standby), None) => Patience::Asked {
                every: STANDBY_ASKED_EVERY,
                again: RETRANSMIT,
            },
            (_, _) => Patience::Silence(rules.dead_after),
        }
    }

    /// When it counts as dead, if that is known already.
    pub(super) fn dies_at(&self, rules: &Rules, now: Timestamp) -> Option<Timestamp> {
        let dies = match (self.patience(rules, now), self.last_heard()) {
            (_, None) => self.inherited.map(|inherited| inherited.until),
            (Patience::Silence(most), Some(last)) => Some(last + most),
            (Patience::Asked { .. }, Some(_)) => (self.unanswered >= MOST_UNANSWERED).then_some(self.ask_at),
        };
        dies.map(|at| at.max(rules.grace_until))
    }

    pub(super) fn is_dead(&self, rules: &Rules, now: Timestamp) -> bool {
        self.dies_at(rules, now).is_some_and(|at| now >= at)
    }

    pub(super) fn standing(&self, rules: &Rules, now: Timestamp) -> Standing {
        if self.is_dead(rules, now) {
            return Standing::Dead;
        }
        match self.says(now).map(|sign| sign.state) {
            None => Standing::Inherited,
            Some(PeerState::Active) => Standing::Active,
            Some(PeerState::Standby) => Standing::Standby,
            Some(PeerState::Draining | PeerState::Stopping) => Standing::Leaving,
            Some(PeerState::Starting | PeerState::Withdrawn | PeerState::Gone) => Standing::Out,
        }
    }

    /// When it is to be asked whether it lives.
    pub(super) fn ask_at(&self, rules: &Rules, now: Timestamp) -> Option<Timestamp> {
        let asked = matches!(self.patience(rules, now), Patience::Asked { .. }) && !self.is_unheard();
        (asked && self.unanswered < MOST_UNANSWERED).then_some(self.ask_at)
    }

    /// It is asked now.
    pub(super) fn is_asked(&mut self, rules: &Rules, now: Timestamp) {
        if let Patience::Asked { again, .. } = self.patience(rules, now) {
            self.unanswered += 1;
            self.ask_at = now + again;
        }
    }

    /// Its configured weight.
    pub(super) fn configured(&self, now: Timestamp) -> f64 {
        f64::from(self.says(now).map_or(DEFAULT_WEIGHT, |sign| sign.weight).max(1))
    }

    /// What it tells of its load, once it has had its share for a whole period.
    pub(super) fn utilisation(&self, now: Timestamp) -> Option<Utilisation> {
        let settled = self.shared_since.is_some_and(|since| now.since(since) >= PERIOD);
        self.says(now).filter(|_| settled)?.utilisation
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity {
            _ if !self.name.is_empty() => write!(formatter, "{} ({})", self.name, self.link_layer),
            Some(identity) => write!(formatter, "{identity} ({})", self.link_layer),
            None => self.link_layer.fmt(formatter),
        }
    }
}
