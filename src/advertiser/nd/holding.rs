//! What the holder does: it advertises at once and every interval, contradicts whoever claims its place wrongly, goes silent
//! in idle standby (claim 7) and wakes from it (claim 8), and asks the routers when nobody believes its take-over.

use std::time::Duration;

use super::config::{Idle, Mode};
use super::machine::NeighborDiscovery;
use super::sender::Target;
use crate::base::machine::{Outbox, Severity, Wanted};
use crate::base::peer::PeerState;
use crate::base::time::{Timestamp, earliest};

/// The first advertisements, counted from the take-over; after them, one every interval.
pub(super) const BURST: [Duration; 3] = [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(150)];
/// Between two advertisements that are answers to what others sent.
const SHORTEST_GAP: Duration = Duration::from_millis(20);
/// After a take-over from an active holder, queries come within this time from every router that believes it.
const QUERIES_WITHIN: Duration = Duration::from_secs(1);

/// When the next advertisement goes out: a burst, then every interval.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    pub(super) next: Option<Timestamp>,
    started: Timestamp,
    sent: usize,
    last: Option<Timestamp>,
}

impl Schedule {
    pub(super) fn burst(now: Timestamp) -> Self {
        Self {
            next: Some(now),
            started: now,
            sent: 0,
            last: None,
        }
    }

    /// One more as soon as the gap to the last allows.
    pub(super) fn hasten(&mut self, now: Timestamp) {
        let soonest = self.last.map_or(now, |last| last + SHORTEST_GAP).max(now);
        self.next = earliest(self.next, Some(soonest));
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| now >= next)
    }

    /// Counts one that was sent; with an `interval` there will be another.
    pub(super) fn advance(&mut self, now: Timestamp, interval: Option<Duration>) {
        self.sent += 1;
        self.last = Some(now);
        let in_burst = BURST.get(self.sent).map(|after| self.started + *after).filter(|next| *next > now);
        self.next = interval.map(|interval| in_burst.unwrap_or(now + interval));
    }
}

/// The holder's own state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    /// In idle standby: the last advertisement said so, and nothing more is sent.
    pub(super) idle: bool,
    pub(super) schedule: Schedule,
    /// The last sign of another holder that needs no answer any more.
    contradicted: Option<Timestamp>,
    queries_due: Option<Timestamp>,
    /// A query came since the take-over: by way of one of the routers, and nobody can tell which.
    queried: bool,
}

impl Holding {
    pub(super) fn announce_again(&mut self, now: Timestamp) {
        self.schedule = Schedule::burst(now);
    }

    /// Another server claims, wrongly, to be the holder: what it said was heard at `heard`.
    pub(super) fn contradict(&mut self, heard: Timestamp) {
        if self.contradicted.is_none_or(|last| last < heard) {
            self.contradicted = Some(heard);
            self.schedule.hasten(heard);
        }
    }

    pub(super) fn expect_queries(&mut self, now: Timestamp) {
        self.queries_due = Some(now + QUERIES_WITHIN);
    }

    pub(super) fn queries_came(&mut self) {
        self.queried = true;
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        earliest(self.schedule.next, self.queries_due)
    }
}

impl NeighborDiscovery {
    pub(super) fn start_holding(&mut self, now: Timestamp, out: &mut Outbox) {
        self.holding = Holding {
            schedule: Schedule::burst(now),
            contradicted: Some(now),
            ..Holding::default()
        };
        for pending in self.responder.take_pending() {
            self.answer_as_holder(&pending.solicitor, now, out);
        }
    }

    pub(super) fn hold(&mut self, now: Timestamp, out: &mut Outbox) {
        let to_be_idle = self.is_to_be_idle(now);
        if to_be_idle != self.holding.idle {
            self.holding.idle = to_be_idle;
            self.holding.announce_again(now);
        }
        self.renew_turn(now);
        if self.holding.schedule.is_due(now) {
            self.advertise_as_holder(out);
            let repeats = !self.holding.idle && self.setup.config.mode != Mode::Rotate;
            self.holding.schedule.advance(now, repeats.then_some(self.setup.config.interval));
        }
        self.ask_routers(now, out);
    }

    /// A peer's queries should have come here: the router's entry is wrong.
    pub(super) fn hear_misdelivered(&mut self, misdelivering: &[String], now: Timestamp, out: &mut Outbox) {
        if misdelivering.is_empty() || !self.is_holding() {
            return;
        }
        out.notice(
            Severity::Info,
            format!("nd: queries still reach {}: advertised again", misdelivering.join(", ")),
        );
        self.wake(Wanted::Misdelivered, now, out);
        self.holding.schedule.hasten(now);
    }

    /// Rotate: everybody else missed the turn, or nobody else is there.
    fn renew_turn(&mut self, now: Timestamp) {
        if self.holding.idle || self.scene(now).take_over_at().is_none_or(|at| now < at) {
            return;
        }
        self.term = self.term.saturating_add(1);
        self.since = now;
        self.holding.announce_again(now);
    }

    fn advertise_as_holder(&mut self, out: &mut Outbox) {
        let state = if self.holding.idle { PeerState::Standby } else { PeerState::Active };
        let target = match (self.setup.config.mode, self.setup.config.idle) {
            (Mode::Member, _) => Target::Member,
            (Mode::Failover | Mode::Rotate, Idle::GroupMac) if self.holding.idle => Target::Group,
            (Mode::Failover | Mode::Rotate, Idle::GroupMac | Idle::Silent) => Target::Own,
        };
        let information = self.information(state);
        self.sender.advertise(target, information, out);
    }

    /// No query came although there should be some: an entry is missing or has failed, or its router takes no
    /// unsolicited advertisements. A solicitation it takes in any case. With several routers a query proves only one of them.
    fn ask_routers(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.holding.queries_due.is_none_or(|due| now < due) {
            return;
        }
        self.holding.queries_due = None;
        let routers: Vec<_> = self.routers.iter().copied().collect();
        let all_believe = self.holding.queried && routers.len() <= 1;
        if self.holding.idle || all_believe {
            return;
        }
        for router in &routers {
            self.sender.solicit(router, out);
        }
        if self.holding.queried {
            return;
        }
        let text = match routers.len() {
            0 => "nd: no query came within 1 s of the take-over, and no router was heard that could be asked".to_owned(),
            count => format!("nd: no query came within 1 s of the take-over: solicited {count} router(s) from the service address"),
        };
        out.notice(Severity::Warning, text);
    }
}
