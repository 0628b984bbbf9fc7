//! The database exchange (RFC 2328 §7.2, §10.6 to §10.9): descriptions, and requests for what is missing.
//!
//! The master (the higher router ID) numbers the descriptions and repeats them; the slave answers each once, and again when it
//! is repeated. What the other has and we have not is asked for while the exchange goes on.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::machine::Ospf;
use super::neighbor::{Event, State};
use super::wire::lsa::{HEADER, Scope};
use super::wire::{Body, DESCRIPTION_FIXED, DatabaseDescription, LsaHeader, LsaKey, Options, REQUEST, RouterId};
use crate::base::machine::Outbox;
use crate::base::time::{Timestamp, earliest};

/// A description or a request that is not answered is repeated after so long. Nothing of it is ever answered late on purpose,
/// as acknowledgments are, so it need not be RxmtInterval.
const REPEAT: Duration = Duration::from_secs(2);
/// A description that crossed the other's first one is repeated at once, but not more often than this.
const SHORTLY: Duration = Duration::from_millis(100);
/// A DR and a BDR.
const MOST_INVITATIONS: usize = 2;
/// LSAs that are asked for at a time.
const REQUESTS_AT_A_TIME: usize = 64;

/// What tells a repeated description from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    init: bool,
    more: bool,
    master: bool,
    options: Options,
    sequence: u32,
}

impl Seen {
    fn of(description: &DatabaseDescription) -> Self {
        Self {
            init: description.init,
            more: description.more,
            master: description.master,
            options: description.options,
            sequence: description.sequence,
        }
    }
}

/// True for the description with which somebody who would be master begins.
fn is_first(description: &DatabaseDescription) -> bool {
    description.init && description.more && description.master && description.headers.is_empty()
}

/// An exchange with one neighbour.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    /// We are the master.
    is_master: bool,
    sequence: u32,
    /// What is still to be described.
    summary: VecDeque<LsaHeader>,
    received: Option<Seen>,
    sent: Option<(DatabaseDescription, Timestamp)>,
    /// When the description is repeated: by the master, and by both in ExStart.
    repeat_at: Option<Timestamp>,
    asked: Vec<LsaKey>,
    ask_again_at: Option<Timestamp>,
}

impl Exchange {
    /// Ends it; the sequence number goes on.
    pub(super) fn forget(&mut self) {
        *self = Self {
            sequence: self.sequence,
            ..Self::default()
        };
    }

    /// The next thing to do.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        earliest(self.repeat_at, self.ask_again_at)
    }
}

impl Ospf {
    /// ExStart: says that an exchange is wanted, as its master for now.
    pub(super) fn start_exchange(&mut self, router: RouterId, now: Timestamp, out: &mut Outbox) {
        let first = self.random.next_u64() as u32;
        let (options, mtu) = (self.options(), self.mtu());
        let Some(neighbor) = self.neighbor(router) else { return };
        let sequence = if neighbor.exchange.sequence == 0 {
            first
        } else {
            neighbor.exchange.sequence
        };
        neighbor.exchange.is_master = true;
        neighbor.exchange.sequence = sequence.wrapping_add(1);
        let description = DatabaseDescription {
            options,
            mtu,
            init: true,
            more: true,
            master: true,
            sequence: neighbor.exchange.sequence,
            headers: Vec::new(),
        };
        if self.begun_by != Some(router) {
            self.send_description(router, description, now, out);
        }
    }

    fn send_description(&mut self, router: RouterId, description: DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        let Some(destination) = self.destination_of(router) else { return };
        let Some(neighbor) = self.neighbor(router) else { return };
        neighbor.exchange.sent = Some((description.clone(), now));
        let repeats = neighbor.exchange.is_master && neighbor.state <= State::Exchange;
        neighbor.exchange.repeat_at = repeats.then_some(now + REPEAT);
        self.sender.send(Body::DatabaseDescription(description), destination, out);
    }

    fn repeat_description(&mut self, router: RouterId, now: Timestamp, out: &mut Outbox) {
        let sent = self.neighbor(router).and_then(|neighbor| neighbor.exchange.sent.clone());
        if let Some((description, _)) = sent {
            self.send_description(router, description, now, out);
        }
    }

    /// A description came from a neighbour whose MTU fits.
    pub(super) fn receive_description(&mut self, router: RouterId, description: DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        let is_masters_first = is_first(&description) && router > self.sender.router;
        self.begun_by = is_masters_first.then_some(router);
        self.hear_description(router, description, now, out);
        self.begun_by = None;
    }

    fn hear_description(&mut self, router: RouterId, description: DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        if self.neighbor(router).is_some_and(|neighbor| neighbor.state == State::Init) {
            // Whoever describes its database to us has heard us, and its Hello that says so may come later.
            self.step(router, Event::TwoWay(false), now, out);
            self.elect(now, out);
        }
        let invited = self.neighbors.iter().filter(|one| one.invites).count();
        if let Some(neighbor) = self
            .neighbor(router)
            .filter(|one| one.state == State::TwoWay && one.priority > 0 && is_first(&description) && invited < MOST_INVITATIONS)
        {
            neighbor.invites = true;
            self.elect(now, out);
        }
        let Some(state) = self.neighbor(router).map(|neighbor| neighbor.state) else {
            return;
        };
        match state {
            State::Down | State::Init | State::TwoWay => self.dropped.count("description-too-early"),
            State::ExStart => self.negotiate(router, description, now, out),
            State::Exchange => self.go_on(router, description, now, out),
            State::Loading | State::Full => self.meet_repetition(router, &description, now, out),
        }
    }

    /// ExStart: the lower router ID gives in, and thereby begins.
    fn negotiate(&mut self, router: RouterId, description: DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        let own = self.sender.router;
        let Some(neighbor) = self.neighbor(router) else { return };
        let is_first = is_first(&description);
        if is_first && router > own {
            neighbor.exchange.is_master = false;
            neighbor.exchange.sequence = description.sequence;
        } else if !description.init && !description.master && description.sequence == neighbor.exchange.sequence && router < own {
            neighbor.exchange.is_master = true;
        } else {
            // Both begin. The slave has to hear our first one, and may have been deaf when it came.
            let lately = neighbor.exchange.sent.as_ref().is_some_and(|(_, at)| now.since(*at) < SHORTLY);
            if is_first && !lately {
                self.repeat_description(router, now, out);
            }
            return;
        }
        neighbor.options = description.options;
        self.step(router, Event::Negotiated, now, out);
        self.summarize(router, now);
        self.accept(router, description, now, out);
    }

    /// Everything that is to be described; what is withdrawn is sent whole instead.
    fn summarize(&mut self, router: RouterId, now: Timestamp) {
        let mut headers = self.origination.headers(now);
        if !self.database.is_incomplete() {
            headers.extend(self.database.headers(now));
        }
        let mut withdrawn = self.origination.withdrawn();
        withdrawn.retain(|key| !self.is_overcome(key, now));
        let Some(neighbor) = self.neighbor(router) else { return };
        neighbor.exchange.summary = headers.into();
        for key in withdrawn {
            neighbor.owe_unsent(key, now);
        }
    }

    fn go_on(&mut self, router: RouterId, description: DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        let Some(neighbor) = self.neighbor(router) else { return };
        let exchange = &neighbor.exchange;
        if exchange.received == Some(Seen::of(&description)) {
            if !exchange.is_master {
                self.repeat_description(router, now, out);
            }
            return;
        }
        let expected = if exchange.is_master {
            exchange.sequence
        } else {
            exchange.sequence.wrapping_add(1)
        };
        let fits = description.master != exchange.is_master
            && !description.init
            && description.options == neighbor.options
            && description.sequence == expected;
        if fits {
            return self.accept(router, description, now, out);
        }
        self.dropped.count("description-mismatch");
        self.step(router, Event::Mismatch, now, out);
        if self.begun_by.is_some() {
            // The master has begun anew, and this is its first one: it would repeat it only after RxmtInterval.
            self.negotiate(router, description, now, out);
        }
    }

    /// Loading and Full: only the slave still answers, and only what it has answered before.
    fn meet_repetition(&mut self, router: RouterId, description: &DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        let kept = self.dead();
        let Some(neighbor) = self.neighbor(router) else { return };
        let exchange = &neighbor.exchange;
        let is_kept = exchange.sent.as_ref().is_some_and(|(_, at)| now.since(*at) < kept);
        if exchange.received != Some(Seen::of(description)) || !exchange.is_master && !is_kept {
            self.dropped.count("description-mismatch");
            self.step(router, Event::Mismatch, now, out);
            if self.begun_by.is_some() {
                self.negotiate(router, description.clone(), now, out);
            }
        } else if !exchange.is_master {
            self.repeat_description(router, now, out);
        }
    }

    /// Takes a description that is in turn, and answers it.
    fn accept(&mut self, router: RouterId, description: DatabaseDescription, now: Timestamp, out: &mut Outbox) {
        let missing: Vec<LsaHeader> = description
            .headers
            .iter()
            .filter(|header| self.is_wanted(header, now))
            .copied()
            .collect();
        let room = (self.sender.room() - DESCRIPTION_FIXED) / HEADER;
        let (options, mtu) = (self.options(), self.mtu());
        // What would not be kept need not be asked for, whoever describes it.
        let asked: usize = self.neighbors.iter().map(|one| one.requests.len()).sum();
        let more = self.database.bounds().headers.saturating_sub(asked);
        let Some(neighbor) = self.neighbor(router) else { return };
        let missing = missing.into_iter().take(more);
        neighbor.requests.extend(missing.map(|header| (header.key, header)));
        let exchange = &mut neighbor.exchange;
        exchange.received = Some(Seen::of(&description));
        let said_all = exchange.summary.is_empty() && exchange.sent.as_ref().is_some_and(|(sent, _)| !sent.more);
        if exchange.is_master && said_all && !description.more {
            exchange.repeat_at = None;
            return self.finish(router, now, out);
        }
        exchange.sequence = if exchange.is_master {
            exchange.sequence.wrapping_add(1)
        } else {
            description.sequence
        };
        let count = room.min(exchange.summary.len());
        let answer = DatabaseDescription {
            options,
            mtu,
            init: false,
            headers: exchange.summary.drain(..count).collect(),
            more: !exchange.summary.is_empty(),
            master: exchange.is_master,
            sequence: exchange.sequence,
        };
        let is_over = !exchange.is_master && !description.more && !answer.more;
        self.send_description(router, answer, now, out);
        if is_over {
            self.finish(router, now, out);
        } else {
            self.ask(router, now, out);
        }
    }

    fn finish(&mut self, router: RouterId, now: Timestamp, out: &mut Outbox) {
        let Some(neighbor) = self.neighbor(router) else { return };
        let has_requests = !neighbor.requests.is_empty();
        self.step(router, Event::Exchanged(has_requests), now, out);
        self.ask(router, now, out);
    }

    /// True if what is described is newer than what is here.
    fn is_wanted(&self, header: &LsaHeader, now: Timestamp) -> bool {
        let here = self.held(&header.key, now);
        self.accepts_scope(header.key.kind.scope()) && here.is_none_or(|here| header.compare(&here).is_gt())
    }

    /// True if LSAs that go so far belong into this area's database.
    pub(super) fn accepts_scope(&self, scope: Scope) -> bool {
        match scope {
            Scope::Link | Scope::Area => true,
            Scope::AutonomousSystem => self.takes_external(),
            Scope::Reserved => false,
        }
    }

    /// Asks for some of what is missing, if nothing is being waited for.
    pub(super) fn ask(&mut self, router: RouterId, now: Timestamp, out: &mut Outbox) {
        let room = (self.sender.room() / REQUEST).min(REQUESTS_AT_A_TIME);
        let Some(destination) = self.destination_of(router) else { return };
        let Some(neighbor) = self.neighbor(router) else { return };
        let waiting = neighbor.exchange.asked.iter().any(|key| neighbor.requests.contains_key(key));
        let is_late = neighbor.exchange.ask_again_at.is_some_and(|at| at <= now);
        if waiting && !is_late {
            return;
        }
        let keys: Vec<LsaKey> = neighbor.requests.keys().take(room).copied().collect();
        neighbor.exchange.asked.clone_from(&keys);
        neighbor.exchange.ask_again_at = (!keys.is_empty()).then_some(now + REPEAT);
        if !keys.is_empty() {
            self.sender.send(Body::LinkStateRequest(keys), destination, out);
        }
    }

    /// Something that was asked for has come: more is asked for, or all is there.
    pub(super) fn load(&mut self, router: RouterId, now: Timestamp, out: &mut Outbox) {
        let Some(neighbor) = self.neighbor(router) else { return };
        if neighbor.requests.is_empty() {
            neighbor.exchange.ask_again_at = None;
            if neighbor.state == State::Loading {
                self.step(router, Event::Loaded, now, out);
            }
        } else {
            self.ask(router, now, out);
        }
    }

    /// A neighbour asks for LSAs (RFC 2328 §10.7).
    pub(super) fn receive_request(&mut self, router: RouterId, keys: &[LsaKey], now: Timestamp, out: &mut Outbox) {
        let takes_updates = self.neighbor(router).is_some_and(|neighbor| neighbor.takes_updates());
        if !takes_updates {
            self.dropped.count("request-too-early");
            return;
        }
        // An LSA that is named again and again would make one packet ask for thousands.
        let keys: BTreeSet<LsaKey> = keys.iter().copied().collect();
        let mut lsas: Vec<_> = keys.iter().map_while(|key| self.lsa(key, now)).collect();
        if lsas.len() < keys.len() {
            self.dropped.count("bad-request");
            self.step(router, Event::BadRequest, now, out);
            return;
        }
        lsas.retain(|lsa| !self.is_overcome(&lsa.header.key, now));
        if let Some(destination) = self.destination_of(router) {
            self.send_updates(lsas, destination, out);
        }
    }

    /// Repeats what was not answered.
    pub(super) fn repeat_exchanges(&mut self, now: Timestamp, out: &mut Outbox) {
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let due: Vec<RouterId> = self
            .neighbors
            .iter()
            .filter(|one| is_due(one.exchange.deadline()))
            .map(|one| one.router)
            .collect();
        for router in due {
            if self.neighbor(router).is_some_and(|one| is_due(one.exchange.repeat_at)) {
                self.repeat_description(router, now, out);
            }
            if self.neighbor(router).is_some_and(|one| is_due(one.exchange.ask_again_at)) {
                self.ask(router, now, out);
            }
        }
    }
}
