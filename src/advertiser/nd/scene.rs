//! What a mode needs to see to say when this server takes over and whom it hands over to.

use std::time::Duration;

use super::Config;
use super::config::Mode;
use super::others::{Candidate, Other, Others};
use super::phase::Phase;
use super::{failover, member, rotate};
use crate::base::address::LinkLayerAddress;
use crate::base::peer::{IdentityHash, MISSED_UNTIL_DEAD};
use crate::base::time::Timestamp;

/// The machine's view at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) config: &'a Config,
    pub(super) now: Timestamp,
    pub(super) phase: Phase,
    /// When the phase, or in `Holding` the present turn, began.
    pub(super) since: Timestamp,
    /// Time between peer messages: the measure of everything that depends on who lives.
    pub(super) interval: Duration,
    pub(super) own: Candidate,
    pub(super) others: &'a Others,
    /// Since when a solicitation is no longer waited for (`start = "solicited"`).
    pub(super) released: Option<Timestamp>,
    /// Nobody holds the service address.
    pub(super) vacancy: Option<Vacancy>,
    /// Rotate: whose turn it is, or was.
    pub(super) turn: Option<Turn>,
    /// This server lost the service address too often and lets all others go first.
    pub(super) behind: bool,
}

/// Nobody holds the service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vacancy {
    pub(super) since: Timestamp,
    /// How long the first in line waits: not at all once the holder is dead, three intervals if it was only lost sight of.
    pub(super) patience: Duration,
}

/// Rotate: one server's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) owner: Candidate,
    pub(super) term: u32,
    pub(super) started: Timestamp,
}

impl Scene<'_> {
    /// When this server takes over, or takes its next turn, unless something changes before.
    pub(super) fn take_over_at(&self) -> Option<Timestamp> {
        if self.phase.is_candidate() && self.is_named() {
            return Some(self.now);
        }
        match self.config.mode {
            Mode::Failover => failover::take_over_at(self),
            Mode::Rotate => rotate::take_over_at(self),
            Mode::Member => member::take_over_at(self),
        }
    }

    /// Whom to hand over to: the first ready one of those who are `eligible`.
    pub(super) fn successor(&self, eligible: impl Fn(&Other) -> bool) -> Option<&Other> {
        let ready = self.others.iter().filter(|other| other.is_ready(self.now) && eligible(other));
        match self.config.mode {
            Mode::Failover => failover::first(ready),
            Mode::Rotate => rotate::first(self, ready),
            Mode::Member => None,
        }
    }

    /// How long the listening before the first word takes.
    pub(super) fn listening(&self) -> Duration {
        match self.config.mode {
            Mode::Failover => self.interval * MISSED_UNTIL_DEAD,
            Mode::Rotate => rotate::listening(self),
            Mode::Member => Duration::ZERO,
        }
    }

    pub(super) fn has_listened(&self) -> bool {
        self.now >= self.since + self.listening()
    }

    /// How many servers go before this one when the service address is vacant.
    pub(super) fn rank(&self) -> u32 {
        let starting_counts = self.phase == Phase::Listening;
        let is_in_line = |other: &&Other| other.is_ready(self.now) || starting_counts && other.is_starting(self.now);
        let goes_first = |other: &&Other| self.behind || other.candidate() > Some(self.own);
        let others = self.others.iter().filter(is_in_line);
        others.filter(|other| !other.holds(self.now)).filter(goes_first).count() as u32
    }

    /// How many servers go before this one with the answer to a solicitation.
    pub(super) fn answer_rank(&self) -> u32 {
        u32::from(self.others.holder(self.now).is_some()) + self.rank()
    }

    /// A leaving server names this one, and nobody else has taken over.
    fn is_named(&self) -> bool {
        let kept = self.others.iter().any(|other| other.keeps(self.now));
        !kept && self.others.iter().any(|other| other.names(&self.own, self.now))
    }

    /// The ready servers, this one included, in the order of their turns.
    pub(super) fn ring(&self) -> Vec<Candidate> {
        let ready = self
            .others
            .iter()
            .filter(|other| other.is_ready(self.now))
            .filter_map(Other::candidate);
        let mut ring: Vec<_> = ready.chain([self.own]).collect();
        ring.sort_unstable_by_key(place);
        ring
    }
}

/// Where a server is in the order of turns.
pub(super) fn place(candidate: &Candidate) -> (IdentityHash, LinkLayerAddress) {
    (candidate.identity, candidate.link_layer)
}
