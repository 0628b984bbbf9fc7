//! What a leaving holder does: it names a successor and advertises that one's link-layer address until no query comes any
//! more (claim 9: nothing with its own address is sent). Without a successor it says nothing.

use std::time::Duration;

use super::config::Mode;
use super::holding::Schedule;
use super::machine::NeighborDiscovery;
use super::others::Other;
use super::phase::{Event, Phase};
use super::sender::Target;
use crate::advertiser::Farewell;
use crate::base::address::LinkLayerAddress;
use crate::base::machine::{Outbox, Severity};
use crate::base::peer::{IdentityHash, PeerState};
use crate::base::time::{Timestamp, earliest};
use crate::scheduler::{Intent, Withdrawal};

/// So many intervals after it was named, a successor that has not taken over is passed over.
const SUCCESSOR_INTERVALS: u32 = 3;
/// So many intervals without a query, and it is quiet.
const QUIET_INTERVALS: u32 = 2;

/// On a planned leave the successor, named by the peer message, advertises first: its frame moves the router's entry and
/// teaches the switch where it is. Were ours first, queries would go to an address that the switch may have forgotten: one
/// was lost in 3 of 13 leaves at 1,000 queries/s, none in 24 with the head start (tests/lab).
const HEAD_START: Duration = Duration::from_millis(20);

/// The leaving server's own state.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaving {
    successor: Option<Successor>,
    /// Until then the successor may take over.
    patience_until: Option<Timestamp>,
    /// Those named before who live and did not take over.
    reluctant: Vec<Successor>,
    /// The link-layer address of the server that has taken over.
    taken_over: Option<LinkLayerAddress>,
    /// What still comes is answered.
    pub(super) serving: bool,
    /// A member has no successor: whoever delivers to it delivers to the others already.
    alone: bool,
    schedule: Schedule,
    quiet_at: Option<Timestamp>,
}

/// Who is to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Successor {
    identity: IdentityHash,
    link_layer: LinkLayerAddress,
    name: String,
}

impl Leaving {
    /// True until another server has taken over: the routers have nobody else's address yet.
    pub(super) fn is_holder(&self) -> bool {
        self.taken_over.is_none()
    }

    pub(super) fn successor(&self) -> Option<IdentityHash> {
        self.successor.as_ref().map(|successor| successor.identity)
    }

    /// Whose address is given to whoever asks.
    pub(super) fn target(&self) -> Option<Target> {
        let named = self.successor.as_ref().map(|successor| successor.link_layer);
        self.taken_over.or(named).map(Target::Successor)
    }

    pub(super) fn watch_successor(&mut self, keeper: Option<LinkLayerAddress>) {
        self.taken_over = keeper.or(self.taken_over);
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        earliest(self.schedule.next, earliest(self.quiet_at, self.patience_until))
    }

    pub(super) fn detail(&self) -> String {
        match (&self.successor, self.taken_over) {
            (Some(successor), None) => format!("hands over to {}", successor.name),
            (Some(successor), Some(_)) => format!("handed over to {}, serves what still comes", successor.name),
            (None, _) if self.alone => "leaves; serves what still comes".to_owned(),
            (None, _) => "leaves, and nobody is there to take over".to_owned(),
        }
    }
}

impl NeighborDiscovery {
    pub(super) fn start_leaving(&mut self, now: Timestamp, out: &mut Outbox) {
        let failed = self
            .decision
            .as_ref()
            .is_some_and(|decision| decision.intent == Intent::Withdraw(Withdrawal::Unhealthy));
        self.leaving = Leaving {
            serving: !failed,
            alone: self.setup.config.mode == Mode::Member,
            ..Leaving::default()
        };
        self.choose_successor(now, out);
        if self.leaving.successor.is_none() && !self.leaving.alone {
            out.notice(Severity::Warning, "nd: leaves, and no other server is ready to take over");
        }
    }

    pub(super) fn leave(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.leaving.taken_over.is_none() {
            self.choose_successor(now, out);
        }
        if let (Some(target), true) = (self.leaving.target(), self.leaving.schedule.is_due(now)) {
            let state = if self.leaving.serving {
                PeerState::Draining
            } else {
                PeerState::Withdrawn
            };
            let information = self.information(state);
            self.sender.advertise(target, information, out);
            self.leaving.schedule.advance(now, Some(self.repeat_interval()));
        }
        self.leaving.quiet_at = self.quiet_at();
        if self.leaving.quiet_at.is_some_and(|at| now >= at) {
            self.step(Event::Quiet, now, out);
        }
    }

    /// Names the best ready server, and the next one if that is no longer ready or does not take over.
    fn choose_successor(&mut self, now: Timestamp, out: &mut Outbox) {
        let overdue = self.leaving.patience_until.is_some_and(|until| now >= until);
        let named = self.leaving.successor.clone();
        if let Some(named) = &named
            && self.is_still_ready(named, now)
        {
            if !overdue {
                return;
            }
            self.leaving.reluctant.push(named.clone());
        }
        if self.best_successor(now).is_none() {
            // All had their chance; perhaps the first one has heard of it by now.
            self.leaving.reluctant.clear();
        }
        self.leaving.successor = self.best_successor(now);
        let patience = self.setup.peer_interval * SUCCESSOR_INTERVALS;
        self.leaving.patience_until = self.leaving.successor.is_some().then_some(now + patience);
        if let (Some(successor), true) = (&self.leaving.successor, self.leaving.successor != named) {
            out.notice(Severity::Info, format!("nd: hands over to {}", successor.name));
            let head_start = if self.leaving.serving { HEAD_START } else { Duration::ZERO };
            self.leaving.schedule = Schedule::burst(now + head_start);
        }
    }

    fn is_still_ready(&self, named: &Successor, now: Timestamp) -> bool {
        let other = self.others.find(named.identity, named.link_layer);
        other.is_some_and(|other| other.is_ready(now))
    }

    fn best_successor(&self, now: Timestamp) -> Option<Successor> {
        let reluctant = |other: &Other| {
            let named_before = |named: &Successor| named.identity == other.identity && Some(named.link_layer) == other.link_layer();
            self.leaving.reluctant.iter().any(named_before)
        };
        let scene = self.scene(now);
        let other = scene.successor(|other| !reluctant(other))?;
        Some(Successor {
            identity: other.identity,
            link_layer: other.link_layer()?,
            name: other.name(),
        })
    }

    /// What is to be said if this process dies or hangs: the routers are to send to the server that takes over, at once. Nothing
    /// where nobody can.
    pub(super) fn hand_over_of_the_dead(&self) -> Vec<Farewell> {
        let successor = || {
            self.best_successor(self.ran)
                .map(|successor| Target::Successor(successor.link_layer))
        };
        let target = match self.phase {
            Phase::Holding => successor(),
            Phase::Leaving => self.leaving.target(),
            Phase::Out | Phase::Failed | Phase::Listening | Phase::Following => None,
        };
        target.map_or_else(Vec::new, |target| {
            self.sender.farewell(target, self.information(PeerState::Withdrawn))
        })
    }

    /// When it is over: nobody else is waited for, and no query came for a while.
    fn quiet_at(&self) -> Option<Timestamp> {
        let waits_for_successor = self.leaving.successor.is_some() && self.leaving.taken_over.is_none();
        if waits_for_successor {
            return None;
        }
        let quiet = if self.leaving.serving || self.leaving.taken_over.is_some() {
            self.setup.peer_interval * QUIET_INTERVALS
        } else {
            Duration::ZERO
        };
        let last_query = self.inflow.last().filter(|_| self.leaving.serving);
        Some(last_query.map_or(self.since, |last| last.max(self.since)) + quiet)
    }

    fn repeat_interval(&self) -> Duration {
        self.setup.config.interval.min(self.setup.peer_interval)
    }
}
