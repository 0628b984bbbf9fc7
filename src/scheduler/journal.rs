//! The decisions of this process with their inputs kept, so that each can be explained.
//!
//! A bounded ring: the oldest entries go first.

use std::collections::VecDeque;
use std::fmt;

use super::cost;
use super::decision::CostClass;
use super::standing::{Reason, Standing, State};
use crate::monitor::observation::Observation;

/// So many decisions are kept.
const KEPT: usize = 256;

/// One decision: what it was made from and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The decision's number.
    pub id: u64,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The cost class before.
    pub from_class: CostClass,
    /// The cost class after.
    pub to_class: CostClass,
    /// The part of all queries that was taken to come here after a return, in thousandths; 0: an equal one.
    pub share: u16,
    /// The rule that applied.
    pub rule: Rule,
    /// What was seen.
    pub seen: Observation,
}

/// A decision is one of the state or one of the cost class; a state may bring another class with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The state has changed.
    State(Reason),
    /// The load asked for another class.
    Class(cost::Rule),
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(reason) => reason.fmt(formatter),
            Self::Class(rule) => rule.fmt(formatter),
        }
    }
}

/// The last decisions, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
}

impl Journal {
    /// Keeps the step from `before` to `after` if it is a decision; says whether it was one.
    pub fn keep(&mut self, before: &Standing, after: &Standing, seen: &Observation) -> bool {
        if before.decision == after.decision {
            return false;
        }
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            id: after.decision,
            from: before.state,
            to: after.state,
            from_class: before.class(),
            to_class: after.class(),
            share: before.cost.share,
            rule: if before.cost.class == after.cost.class {
                Rule::State(after.reason)
            } else {
                Rule::Class(after.cost.rule)
            },
            seen: seen.clone(),
        });
        true
    }

    /// The entry of decision `id`, if it is still kept.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// All entries kept, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::monitor::observation::{Health, Order};

    #[test]
    fn decisions_are_kept_with_their_inputs_and_the_oldest_go_first() {
        let mut journal = Journal::default();
        let seen = Observation {
            load: 7,
            ..Observation::empty(Timestamp::from_secs(5), Health::Healthy, Order::Serve)
        };
        let mut standing = Standing::starting(Timestamp::ZERO);
        assert!(!journal.keep(&standing, &standing, &seen), "no change, no entry");
        for id in 1..=300 {
            let next = Standing {
                decision: id,
                state: State::Serving,
                reason: Reason::Healthy,
                ..standing
            };
            assert!(journal.keep(&standing, &next, &seen));
            standing = next;
        }
        assert_eq!(journal.entries().len(), KEPT);
        assert_eq!(journal.find(300).map(|entry| entry.rule), Some(Rule::State(Reason::Healthy)));
        assert_eq!(journal.find(300).map(|entry| entry.seen.clone()), Some(seen.clone()));
        assert!(journal.find(44).is_none());
        assert_eq!(
            journal.find(45).map(|entry| (entry.from, entry.to)),
            Some((State::Serving, State::Serving))
        );
        let mut busy = Standing { decision: 301, ..standing };
        (busy.cost.class, busy.cost.rule) = (CostClass::Busy, cost::Rule::NearCapacity);
        assert!(journal.keep(&standing, &busy, &seen));
        let entry = journal.find(301).unwrap();
        assert_eq!((entry.from_class, entry.to_class), (CostClass::Normal, CostClass::Busy));
        assert_eq!(entry.rule, Rule::Class(cost::Rule::NearCapacity));
    }
}
