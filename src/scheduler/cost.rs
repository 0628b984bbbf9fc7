//! The cost class that the load asks for: when it goes up, when it comes down, and why it stays.
//!
//! Pure, as all of the scheduler: time is in the observation, jitter is a hash. The rules, where their numbers come from and why
//! they have no cycle: docs/decisions/0010-cost-from-load.md. Last resort is no business of the load's.

use std::fmt;
use std::time::Duration;

use super::forecast::{alone_in_front, if_left, if_returned, own_share};
use crate::base::cost::CostClass;
use crate::base::peer::IdentityHash;
use crate::base::random::mix;
use crate::base::time::Timestamp;
use crate::monitor::observation::Observation;

/// From here on a server is busy. Loads are in thousandths of the capacity.
pub const BUSY: u16 = 850;
/// From here on it is overloaded.
pub const OVERLOADED: u16 = 1_000;
/// Down to here it must come to return.
pub const QUIET: u16 = 500;
/// A load above a bound is believed after so long: one time constant of the smoothing.
const PROOF: Duration = Duration::from_secs(10);
/// Quiet is believed after so long; twice as long after each return that did not last.
const HOLD: Duration = Duration::from_secs(60);
const LONGEST_HOLD: Duration = Duration::from_secs(900);
/// Between two changes.
const REST: Duration = Duration::from_secs(60);
/// Between changes of two servers of a group.
const ONE_AT_A_TIME: Duration = Duration::from_secs(5);
/// Two changes in this time are the most. A return that is undone within it did not last.
const WINDOW: Duration = Duration::from_secs(600);

/// The class by load, with what must be remembered of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The class; never last resort.
    pub class: CostClass,
    /// The rule of the last change.
    pub rule: Rule,
    /// The last change and the one before.
    pub changes: [Option<Timestamp>; 2],
    /// The last change down.
    pub returned: Option<Timestamp>,
    /// It must be quiet for so long to return.
    pub hold: Duration,
    /// The part of all queries, in thousandths, that came here after a return that did not last: the next one is not to an
    /// equal share. 0: the last one lasted.
    pub share: u16,
    /// The change that has been asked for without a break.
    pub wish: Option<Wish>,
    /// Why nothing changes now.
    pub stay: Stay,
}

/// A change that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// By which rule.
    pub rule: Rule,
    /// Since when.
    pub since: Timestamp,
}

/// The rules by which a class changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Not changed yet.
    Started,
    /// Up: load has reached [`BUSY`].
    NearCapacity,
    /// Up: load has reached [`OVERLOADED`].
    AboveCapacity,
    /// Down: an equal share of the group's queries would leave this server quiet.
    RoomForUs,
    /// Down: another server drowns and cannot leave, and with this one fewer queries are lost.
    OthersDrown,
    /// Down: this server is quiet, and of the group nothing is known.
    LoadGone,
}

/// Why a class does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stay {
    /// The server is not serving.
    NotServing,
    /// The load asks for no other class.
    Fits,
    /// Asked for, not for long enough yet.
    NotLongEnough,
    /// The last change was a moment ago.
    JustChanged,
    /// There were two changes in ten minutes.
    ChangedTwice,
    /// Without peers there is one return in ten minutes.
    ReturnedLately,
    /// Another server of the group has just moved.
    OtherMoved,
    /// No other server is in a better class than the next one: the last one stays.
    NobodyElse,
    /// The others could not take all queries, and no fewer would be lost.
    OthersFull,
    /// What another server could take is not known.
    OthersUnknown,
    /// Load still comes here.
    StillLoaded,
    /// An equal share of the group's queries would be too much.
    GroupLoaded,
}

impl Cost {
    /// That of a server that has just been started.
    pub const STARTED: Self = Self {
        class: CostClass::Normal,
        rule: Rule::Started,
        changes: [None; 2],
        returned: None,
        hold: HOLD,
        share: 0,
        wish: None,
        stay: Stay::NotServing,
    };

    /// While the server is not serving: what was asked for must be asked for anew.
    #[must_use]
    pub const fn at_rest(self) -> Self {
        Self {
            wish: None,
            stay: Stay::NotServing,
            ..self
        }
    }

    /// The cost that follows from `seen`, one change at the most; `decision` is the last decision's id.
    #[must_use]
    pub fn follow(self, identity: IdentityHash, decision: u64, seen: &Observation) -> Self {
        let rule = match self.asked_for(seen) {
            Ok(rule) => rule,
            Err(stay) => return Self { wish: None, stay, ..self },
        };
        let held = self.wish.filter(|wish| wish.rule == rule);
        let wish = held.unwrap_or(Wish { rule, since: seen.at });
        let asking = Self { wish: Some(wish), ..self };
        match self.delay(wish, seen, |time| lengthen(time, identity, decision)) {
            Some(stay) => Self { stay, ..asking },
            // What the load asks for in the new class.
            None => self.changed(rule, seen).follow(identity, decision + 1, seen),
        }
    }

    fn asked_for(&self, seen: &Observation) -> Result<Rule, Stay> {
        match self.class {
            CostClass::Normal if seen.load >= BUSY => if_left(self.class, seen).map(|()| Rule::NearCapacity),
            CostClass::Normal => Err(Stay::Fits),
            CostClass::Busy if seen.load >= OVERLOADED => if_left(self.class, seen).map(|()| Rule::AboveCapacity),
            CostClass::Busy | CostClass::Overloaded | CostClass::LastResort => self.way_back(seen),
        }
    }

    fn way_back(&self, seen: &Observation) -> Result<Rule, Stay> {
        let is_quiet = seen.load <= QUIET;
        let Some(back) = if_returned(self.class, self.share, seen) else {
            let alone = alone_in_front(self.class, seen);
            return match is_quiet {
                false => Err(Stay::StillLoaded),
                true if alone.is_some_and(|load| load > QUIET) => Err(Stay::GroupLoaded),
                true => Ok(Rule::LoadGone),
            };
        };
        if seen.load < BUSY && back.helps {
            Ok(Rule::OthersDrown)
        } else if is_quiet && back.load <= QUIET {
            Ok(Rule::RoomForUs)
        } else if is_quiet {
            Err(Stay::GroupLoaded)
        } else {
            Err(Stay::StillLoaded)
        }
    }

    /// Why a wish has to wait.
    fn delay(&self, wish: Wish, seen: &Observation, lengthen: impl Fn(Duration) -> Duration) -> Option<Stay> {
        let within = |since: Option<Timestamp>, time: Duration| since.is_some_and(|since| seen.at.since(since) < time);
        let proof = match wish.rule {
            Rule::NearCapacity | Rule::AboveCapacity | Rule::OthersDrown => PROOF,
            Rule::RoomForUs | Rule::LoadGone | Rule::Started => self.hold,
        };
        let last_move = seen.group.as_ref().and_then(|group| group.last_move);
        if within(Some(wish.since), lengthen(proof)) {
            Some(Stay::NotLongEnough)
        } else if within(self.changes[0], lengthen(REST)) {
            Some(Stay::JustChanged)
        } else if within(self.changes[1], WINDOW) {
            Some(Stay::ChangedTwice)
        } else if wish.rule == Rule::LoadGone && within(self.returned, WINDOW) {
            Some(Stay::ReturnedLately)
        } else if within(last_move, ONE_AT_A_TIME) {
            Some(Stay::OtherMoved)
        } else {
            None
        }
    }

    fn changed(self, rule: Rule, seen: &Observation) -> Self {
        let at = seen.at;
        let (class, is_up) = match (rule, self.class) {
            (Rule::Started, class) => (class, false),
            (Rule::NearCapacity, _) => (CostClass::Busy, true),
            (Rule::AboveCapacity, _) => (CostClass::Overloaded, true),
            (Rule::RoomForUs | Rule::OthersDrown | Rule::LoadGone, CostClass::Normal | CostClass::Busy) => (CostClass::Normal, false),
            (Rule::RoomForUs | Rule::OthersDrown | Rule::LoadGone, _) => (CostClass::Busy, false),
        };
        let did_not_last = self.returned.is_some_and(|returned| at.since(returned) < WINDOW);
        Self {
            class,
            rule,
            changes: [Some(at), self.changes[0]],
            returned: if is_up { self.returned } else { Some(at) },
            hold: match (is_up, did_not_last) {
                (true, true) => (self.hold * 2).min(LONGEST_HOLD),
                (true, false) => HOLD,
                (false, _) => self.hold,
            },
            share: match (is_up, did_not_last) {
                (true, true) => own_share(seen),
                (true, false) => 0,
                (false, _) => self.share,
            },
            wish: None,
            ..self
        }
    }
}

/// Up to a quarter longer, by who and by which decision: a replay waits exactly as long.
fn lengthen(time: Duration, identity: IdentityHash, decision: u64) -> Duration {
    let share = mix(identity.0 ^ mix(decision)) % 1_000;
    time + time.mul_f64(share as f64 / 4_000.0)
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Started => "started",
            Self::NearCapacity => "load has come near the capacity, and it fits better elsewhere",
            Self::AboveCapacity => "load is still above the capacity, and it fits better elsewhere",
            Self::RoomForUs => "an equal share of the group's queries leaves this server quiet",
            Self::OthersDrown => "another server is above its capacity",
            Self::LoadGone => "the load is gone",
        })
    }
}

impl fmt::Display for Stay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotServing => "not serving",
            Self::Fits => "it fits the load",
            Self::NotLongEnough => "a change is asked for, not for long enough yet",
            Self::JustChanged => "the last change was a moment ago",
            Self::ChangedTwice => "there were two changes in ten minutes",
            Self::ReturnedLately => "without peers there is one return in ten minutes",
            Self::OtherMoved => "another server has just moved",
            Self::NobodyElse => "no other server attracts queries at as low a cost",
            Self::OthersFull => "the other servers could not take the queries",
            Self::OthersUnknown => "what the other servers could take is not known",
            Self::StillLoaded => "load still comes here",
            Self::GroupLoaded => "an equal share of the group's queries would be too much",
        })
    }
}

#[cfg(test)]
#[path = "cost/tests.rs"]
mod tests;
