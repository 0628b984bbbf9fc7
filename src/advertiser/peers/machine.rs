//! The peers machine: says at once what changed and repeats it every interval; keeps the list of what the others say.
//!
//! Who is dead, holder or successor is for the readers of the list to find; here a peer is only forgotten after a minute.
//! A message counts once: its boot and sequence must be above the last of the same server, and where messages are signed even
//! of one that was forgotten. What comes from the link must have hop limit 255; from beyond the link only the configured addresses are heard, and not if they are on the link too.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::Config;
use super::wire::{self, Key, PeerMessage};
use crate::advertiser::{FAREWELLS, Farewell};
use crate::base::address::{LinkLayerAddress, is_link_local};
use crate::base::machine::{Channel, ChannelId, Datagram, Input, InterfaceState, Machine, OutDatagram, Outbox, Severity};
use crate::base::peer::{IdentityHash, Peer, PeerState, Statement};
use crate::base::tally::Tally;
use crate::base::time::{Timestamp, earliest};

/// The only channel.
const LINK: ChannelId = ChannelId(0);
/// Hop limit of all messages; nobody beyond the link can make one arrive with it.
const HOP_LIMIT: u8 = 255;
/// Most peers that are known at a time.
const MOST_PEERS: usize = 256;
/// Of so many servers the last message is remembered, so that what is recorded of a dead one cannot bring it back.
const MOST_REMEMBERED: usize = 4 * MOST_PEERS;
/// A peer not heard for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Time between messages in idle standby.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// Intervals that peers may claim; others are taken for the nearest of these.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// Between two messages of which the second answers another server's.
const SHORTEST_GAP: Duration = Duration::from_millis(20);
/// A process that did not run for so many intervals more than it should does not repeat what it said before.
const MISSED_UNTIL_STALLED: u32 = 2;
/// So many messages of an older server with our link-layer address, and we believe that it lives.
const SIGHTINGS_UNTIL_BELIEVED: u32 = 2;

/// What a peers machine is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The `[peers]` table.
    pub config: Config,
    /// What is in its key file.
    pub key: Option<Key>,
    /// The link shared with the peers.
    pub interface: String,
    /// This server's identity.
    pub identity: String,
    /// Which of its lives this server is in: the boot counter of the state directory, or the wall clock.
    pub boot: u64,
}

/// Two servers that cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Another server calls itself as this one does. Both serve; the link-layer address decides their order.
    SameIdentity(LinkLayerAddress),
    /// An older server has this server's link-layer address: this one has to withdraw.
    SameLinkLayer(IdentityHash),
}

/// What `status` and metrics show of the peer message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent.
    pub sent: u64,
    /// Messages that could not be sent.
    pub errors: u64,
    /// Messages that were believed.
    pub received: u64,
    /// Messages that were not, by cause.
    pub dropped: Tally,
}

/// How servers and router sides know each other.
#[derive(Debug)]
pub struct Peers {
    setup: Setup,
    channels: [Channel; 1],
    own_hash: IdentityHash,
    interface: InterfaceState,
    statement: Option<Statement>,
    sequence: u32,
    last_sent: Option<Timestamp>,
    due: Option<Timestamp>,
    /// What was last said may be out of date: until then nothing is repeated, only something new is said.
    quiet_until: Timestamp,
    peers: Vec<Peer>,
    heard: BTreeMap<ServerKey, Heard>,
    elder: Elder,
    changes: u64,
    traffic: Traffic,
}

/// One server: the same identity on two link-layer addresses is two servers.
type ServerKey = (IdentityHash, LinkLayerAddress);

/// Which of a server's messages came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    boot: u64,
    sequence: u32,
}

/// The last message of a server.
#[derive(Clone, Copy, Debug)]
struct Heard {
    life: Life,
    at: Timestamp,
    /// The group, or the address of ours, that it was sent to.
    destination: Ipv6Addr,
}

/// Signs of an older server with our own link-layer address.
#[derive(Clone, Copy, Debug, Default)]
struct Elder {
    sightings: u32,
    last: Option<(Life, IdentityHash, Timestamp)>,
}

/// What is wrong with the sender of a message that is well-formed; counted under these names.
mod refused {
    pub(super) const HOP_LIMIT: &str = "hop-limit";
    pub(super) const STRANGER: &str = "stranger";
    pub(super) const REPLAYED: &str = "replayed";
    /// The last message once more, by another of the groups that both are in.
    pub(super) const COPY: &str = "copy";
    /// A copy from beyond the link of what a server on the link says there.
    pub(super) const ON_LINK: &str = "on-link";
    pub(super) const OWN: &str = "own";
    pub(super) const OWN_LINK_LAYER: &str = "own-link-layer";
    pub(super) const TABLE_FULL: &str = "table-full";
}

impl Peers {
    /// A machine that knows nobody and says nothing before the first [`Peers::say`].
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let channel = Channel::Udp {
            interface: setup.interface.clone(),
            port: setup.config.port,
            hop_limit: HOP_LIMIT,
            groups: setup.config.all_groups().copied().collect(),
        };
        Self {
            own_hash: IdentityHash::of(wire::cut(&setup.identity)),
            setup,
            channels: [channel],
            interface: InterfaceState::default(),
            statement: None,
            sequence: 0,
            last_sent: None,
            due: None,
            quiet_until: Timestamp::ZERO,
            peers: Vec::new(),
            heard: BTreeMap::new(),
            elder: Elder::default(),
            changes: 0,
            traffic: Traffic::default(),
        }
    }

    /// What this server says of itself from now on. At once if anything but load, offered queries and capacity changed.
    ///
    /// Identity, link-layer address, link-local address and interval are the machine's own and need not be filled in.
    pub fn say(&mut self, statement: Statement, now: Timestamp, out: &mut Outbox) {
        let statement = self.complete(statement);
        let changed = self.statement.as_ref().is_none_or(|last| !same_but_for_load(last, &statement));
        self.statement = Some(statement);
        if changed {
            self.send(now, out);
        }
    }

    /// The message that this server is gone, for whoever outlives this process; with the number after the last one's.
    #[must_use]
    pub fn farewell(&self) -> Vec<Farewell> {
        let Some(statement) = self.statement.as_ref().filter(|_| self.can_speak()) else {
            return Vec::new();
        };
        let gone = Statement {
            state: PeerState::Gone,
            holder: false,
            successor: None,
            ..statement.clone()
        };
        let datagrams = self.datagrams(gone, self.sequence.wrapping_add(1));
        let said_at = |after| {
            datagrams.iter().map(move |datagram| Farewell {
                after,
                channel: LINK,
                datagram: datagram.clone(),
            })
        };
        FAREWELLS.into_iter().flat_map(said_at).collect()
    }

    /// The farewell was said while this process hung. Whoever decides is given the time to say something new.
    pub fn taken_back(&mut self, now: Timestamp) {
        self.sequence = self.sequence.wrapping_add(1);
        self.wait_for_news(now);
    }

    /// All peers heard within the last minute, dead ones too.
    #[must_use]
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// Grows whenever [`Peers::peers`] has changed: after each message and each removal.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Servers that cannot be told apart from this one, at present.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let own = self.interface.link_layer;
        let same_identity = self.peers.iter().filter(|peer| peer.hash == self.own_hash);
        let mut conflicts: Vec<_> = same_identity
            .map(|peer| peer.statement.link_layer)
            .filter(|link_layer| *link_layer != own)
            .map(Conflict::SameIdentity)
            .collect();
        if let (Some((_, hash, _)), true) = (self.elder.last, self.elder.sightings >= SIGHTINGS_UNTIL_BELIEVED) {
            conflicts.push(Conflict::SameLinkLayer(hash));
        }
        conflicts
    }

    /// What was sent, received and dropped.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn complete(&self, statement: Statement) -> Statement {
        Statement {
            identity: self.setup.identity.clone(),
            interval: if statement.idle {
                IDLE_INTERVAL.max(self.setup.config.interval)
            } else {
                self.setup.config.interval
            },
            link_layer: self.interface.link_layer,
            link_local: self.interface.link_local,
            ..statement
        }
    }

    fn send(&mut self, now: Timestamp, out: &mut Outbox) {
        let Some(statement) = &self.statement else { return };
        self.due = Some(now + statement.interval);
        self.last_sent = Some(now);
        if !self.can_speak() {
            return;
        }
        self.sequence = self.sequence.wrapping_add(1);
        for datagram in self.datagrams(statement.clone(), self.sequence) {
            self.traffic.sent += 1;
            out.send(LINK, datagram);
        }
    }

    /// The message to all who are to hear it.
    fn datagrams(&self, statement: Statement, sequence: u32) -> Vec<OutDatagram> {
        let message = PeerMessage {
            statement,
            boot: self.setup.boot,
            sequence,
        };
        let payload = message.emit(self.setup.key.as_ref());
        let datagram = |destination: &Ipv6Addr| OutDatagram {
            source: None,
            destination: *destination,
            port: self.setup.config.port,
            link_layer: None,
            payload: payload.clone(),
        };
        let destinations = self.setup.config.all_groups().chain(&self.setup.config.addresses);
        destinations.map(datagram).collect()
    }

    fn can_speak(&self) -> bool {
        self.interface.up && self.interface.link_local.is_some()
    }

    fn receive(&mut self, packet: &Datagram<'_>, now: Timestamp, out: &mut Outbox) {
        match self.admit(packet, now, out) {
            Ok(()) => self.traffic.received += 1,
            Err(cause) => self.traffic.dropped.count(cause),
        }
    }

    fn admit(&mut self, packet: &Datagram<'_>, now: Timestamp, out: &mut Outbox) -> Result<(), &'static str> {
        let on_link = self.admit_source(packet)?;
        let message = PeerMessage::parse(packet.payload, self.setup.key.as_ref()).map_err(|malformed| malformed.name())?;
        let life = Life {
            boot: message.boot,
            sequence: message.sequence,
        };
        let hash = IdentityHash::of(&message.statement.identity);
        if on_link && message.statement.link_layer == self.interface.link_layer {
            return Err(self.meet_same_link_layer(hash, life, message.statement.state, now, out));
        }
        let key = (hash, message.statement.link_layer);
        let known = self.heard.get(&key).copied();
        let listed = self.peers.iter().find(|peer| key_of(peer) == key);
        if !on_link && listed.is_some_and(|peer| peer.on_link && now < peer.dies_at()) {
            return Err(refused::ON_LINK);
        }
        // The same message twice: that it came from the link too is news.
        let found_on_link = on_link && known.is_some_and(|last| last.life == life) && listed.is_some_and(|peer| !peer.on_link);
        if let Some(last) = known.filter(|last| life <= last.life && !found_on_link) {
            let is_copy = life == last.life && packet.destination != last.destination;
            return Err(if is_copy { refused::COPY } else { refused::REPLAYED });
        }
        self.make_room(key, now)?;
        let destination = packet.destination;
        self.remember(
            key,
            Heard {
                life,
                at: now,
                destination,
            },
        );
        let mut statement = message.statement;
        let two_holders = statement.holder && self.statement.as_ref().is_some_and(|own| own.holder);
        statement.interval = statement.interval.clamp(INTERVALS.0, INTERVALS.1);
        self.list(Peer {
            hash,
            statement,
            boot: life.boot,
            source: packet.source,
            on_link,
            signed: self.setup.key.is_some(),
            last_heard: now,
        });
        let newcomer = known.is_none_or(|last| last.life.boot != life.boot);
        if newcomer && hash == self.own_hash {
            out.notice(
                Severity::Warning,
                format!(
                    "another server, {}, has our identity '{}': give each its own",
                    key.1, self.setup.identity
                ),
            );
        }
        if newcomer || two_holders {
            self.hasten(now);
        }
        Ok(())
    }

    /// True: from the link.
    fn admit_source(&self, packet: &Datagram<'_>) -> Result<bool, &'static str> {
        if is_link_local(packet.source) {
            return if packet.hop_limit == HOP_LIMIT {
                Ok(true)
            } else {
                Err(refused::HOP_LIMIT)
            };
        }
        if self.setup.config.addresses.contains(&packet.source) {
            Ok(false)
        } else {
            Err(refused::STRANGER)
        }
    }

    /// A message with our own link-layer address: our own, our predecessor's, or that of a server that is not to be there.
    fn meet_same_link_layer(&mut self, hash: IdentityHash, life: Life, state: PeerState, now: Timestamp, out: &mut Outbox) -> &'static str {
        let ours = hash == self.own_hash && life.boot == self.setup.boot;
        let lives = state.is_ready() || state == PeerState::Draining;
        if ours || !lives {
            return refused::OWN;
        }
        let elder = (life.boot, hash) < (self.setup.boot, self.own_hash);
        let follows = self.elder.last.is_none_or(|(last, _, _)| last < life);
        if elder && follows {
            self.elder.sightings += 1;
            self.elder.last = Some((life, hash, now));
            if self.elder.sightings == SIGHTINGS_UNTIL_BELIEVED {
                let own = self.interface.link_layer;
                out.notice(
                    Severity::Warning,
                    format!("server {hash} on this link has our link-layer address {own}: one of the two needs another"),
                );
            }
        }
        refused::OWN_LINK_LAYER
    }

    /// Forgets the peer that is dead for longest when a new one needs its place.
    fn make_room(&mut self, key: ServerKey, now: Timestamp) -> Result<(), &'static str> {
        let is_listed = self.peers.iter().any(|peer| key_of(peer) == key);
        if is_listed || self.peers.len() < MOST_PEERS {
            return Ok(());
        }
        let dead = self.peers.iter().filter(|peer| peer.dies_at() < now);
        let oldest = dead.min_by_key(|peer| peer.last_heard).map(key_of).ok_or(refused::TABLE_FULL)?;
        self.forget(|peer| key_of(peer) == oldest);
        Ok(())
    }

    /// Who was heard longest ago makes room; all that are listed were heard later.
    fn remember(&mut self, key: ServerKey, heard: Heard) {
        if self.heard.len() >= MOST_REMEMBERED && !self.heard.contains_key(&key) {
            let oldest = self.heard.iter().min_by_key(|(_, heard)| heard.at).map(|(key, _)| *key);
            oldest.and_then(|key| self.heard.remove(&key));
        }
        self.heard.insert(key, heard);
    }

    fn list(&mut self, peer: Peer) {
        self.changes += 1;
        match self.peers.iter_mut().find(|known| key_of(known) == key_of(&peer)) {
            Some(known) => *known = peer,
            None => self.peers.push(peer),
        }
    }

    fn forget(&mut self, which: impl Fn(&Peer) -> bool) {
        // A forged message must not shut its server out for ever.
        let is_remembered = self.setup.key.is_some();
        let heard = &mut self.heard;
        let before = self.peers.len();
        self.peers.retain(|peer| {
            let forgotten = which(peer);
            if forgotten && !is_remembered {
                heard.remove(&key_of(peer));
            }
            !forgotten
        });
        if self.peers.len() < before {
            self.changes += 1;
        }
    }

    /// Answers now instead of after the interval: a newcomer learns who is here, a wrong holder that it is wrong.
    fn hasten(&mut self, now: Timestamp) {
        if self.statement.is_some() {
            let soonest = self.last_sent.map_or(now, |last| last + SHORTEST_GAP).max(now);
            self.due = earliest(self.due, Some(soonest));
        }
    }

    /// After an outage, of the link or our own, whoever decides is given the time to say something new.
    fn wait_for_news(&mut self, now: Timestamp) {
        self.due = Some(now);
        self.quiet_until = now + SHORTEST_GAP;
    }

    /// This process did not run for a while: it may not be any more what it said it was.
    fn notice_stall(&mut self, now: Timestamp) {
        let interval = self.setup.config.interval;
        if self.due.is_some_and(|due| now > due + interval * MISSED_UNTIL_STALLED) {
            self.wait_for_news(now);
        }
    }

    fn run(&mut self, now: Timestamp, out: &mut Outbox) {
        self.forget(|peer| now.since(peer.last_heard) >= FORGET_AFTER);
        if self.elder.last.is_some_and(|(_, _, seen)| now.since(seen) >= FORGET_AFTER) {
            self.elder = Elder::default();
        }
        if self.due.is_some_and(|due| now >= due.max(self.quiet_until)) {
            self.send(now, out);
        }
    }
}

impl Machine for Peers {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn handle(&mut self, input: Input<'_>, now: Timestamp, out: &mut Outbox) {
        self.notice_stall(now);
        match input {
            Input::Tick | Input::Peers(_) | Input::Inflow(_) => {}
            Input::Interface(state) => {
                let could_speak = self.can_speak();
                self.interface = state.clone();
                match self.statement.clone() {
                    Some(statement) if could_speak => self.say(statement, now, out),
                    Some(statement) if self.can_speak() => {
                        self.statement = Some(self.complete(statement));
                        self.wait_for_news(now);
                    }
                    Some(_) | None => {}
                }
            }
            Input::Datagram(_, packet) => self.receive(&packet, now, out),
            Input::Unsent(..) => self.traffic.errors += 1,
        }
        self.run(now, out);
    }

    fn deadline(&self) -> Option<Timestamp> {
        let forget = self.peers.iter().map(|peer| peer.last_heard + FORGET_AFTER).min();
        let forget_elder = self.elder.last.map(|(_, _, seen)| seen + FORGET_AFTER);
        let due = self.due.map(|due| due.max(self.quiet_until));
        earliest(due, earliest(forget, forget_elder))
    }
}

fn key_of(peer: &Peer) -> ServerKey {
    (peer.hash, peer.statement.link_layer)
}

/// Load, offered queries and the capacity that is learned change all the time; they can wait for the next interval.
fn same_but_for_load(one: &Statement, other: &Statement) -> bool {
    let other = Statement {
        load: one.load,
        recent_load: one.recent_load,
        offered: one.offered,
        capacity: one.capacity,
        ..other.clone()
    };
    *one == other
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
