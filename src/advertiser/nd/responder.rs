//! Who may be answered when: at most one answer per solicitor and target in 100 ms, and the answers that wait for their
//! turn because a server before us in the order may give them (claim 2).

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::sender::Solicitor;
use crate::base::time::Timestamp;

/// A server waits so long for each server before it in the order that may answer a solicitation.
pub(super) const ANSWER_STEP: Duration = Duration::from_millis(20);
/// Between two answers to the same solicitor about the same target.
const ANSWER_GAP: Duration = Duration::from_millis(100);
/// Most answers that are remembered; above that, new solicitors wait for the oldest to leave.
const MOST_RECENT: usize = 256;
/// Most solicitors that wait for an answer.
const MOST_PENDING: usize = 32;

/// Answers given lately, and answers to be given.
#[derive(Debug, Default)]
pub(super) struct Responder {
    recent: VecDeque<(Timestamp, Ipv6Addr, Ipv6Addr)>,
    pending: Vec<Pending>,
}

/// An answer that waits for the servers before us in the order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) solicitor: Solicitor,
    pub(super) asked: Timestamp,
    pub(super) due: Timestamp,
}

impl Responder {
    /// True if `solicitor` may be answered about `target` now; counts as the answer.
    pub(super) fn admit(&mut self, solicitor: Ipv6Addr, target: Ipv6Addr, now: Timestamp) -> bool {
        while self.recent.front().is_some_and(|(at, _, _)| now.since(*at) >= ANSWER_GAP) {
            self.recent.pop_front();
        }
        let same = |(_, address, about): &(Timestamp, Ipv6Addr, Ipv6Addr)| *address == solicitor && *about == target;
        if self.recent.len() >= MOST_RECENT || self.recent.iter().any(same) {
            return false;
        }
        self.recent.push_back((now, solicitor, target));
        true
    }

    /// Lets `solicitor` wait until `due`. False if too many wait.
    pub(super) fn postpone(&mut self, solicitor: Solicitor, asked: Timestamp, due: Timestamp) -> bool {
        if self.pending.iter().any(|pending| pending.solicitor == solicitor) {
            return true;
        }
        if self.pending.len() >= MOST_PENDING {
            return false;
        }
        self.pending.push(Pending { solicitor, asked, due });
        true
    }

    /// Forgets those whom the holder must have heard: it gave a sign of life at `alive`, after they asked or so shortly
    /// before that its answer may have overtaken the question.
    pub(super) fn leave_to_holder(&mut self, alive: Timestamp) {
        self.pending.retain(|pending| pending.asked > alive + ANSWER_STEP);
    }

    /// When the first of those who wait is to be answered.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.pending.iter().map(|pending| pending.due).min()
    }

    /// All who wait; nobody waits afterwards.
    pub(super) fn take_pending(&mut self) -> Vec<Pending> {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn one_answer_per_solicitor_and_target_in_100_ms() {
        let mut responder = Responder::default();
        assert!(responder.admit(address(1), address(8), at(0)));
        assert!(!responder.admit(address(1), address(8), at(99)));
        assert!(responder.admit(address(1), address(9), at(99)), "another target");
        assert!(responder.admit(address(2), address(8), at(99)), "another solicitor");
        assert!(responder.admit(address(1), address(8), at(100)));
    }

    #[test]
    fn both_tables_are_bounded() {
        let mut responder = Responder::default();
        let admitted = (0..1_000)
            .filter(|number| responder.admit(address(*number), address(8), at(0)))
            .count();
        assert_eq!(admitted, MOST_RECENT);
        let solicitor = |number| Solicitor {
            address: address(number),
            link_layer: None,
            target: address(8),
        };
        let waiting = (0..1_000)
            .filter(|number| responder.postpone(solicitor(*number), at(0), at(20)))
            .count();
        assert_eq!(waiting, MOST_PENDING);
        assert_eq!(responder.due(), Some(at(20)));
        responder.leave_to_holder(at(0));
        assert_eq!(responder.due(), None);
    }
}
