//! Queries from others that reach a service address here, and what they mean while another server is the holder.
//!
//! One or two after a hand-over are normal. If they go on for three intervals the router's entry is wrong: the count goes
//! into the peer message, and the holder advertises again.

use std::time::Duration;

use crate::base::peer::MISSED_UNTIL_DEAD;
use crate::base::time::Timestamp;

/// After a pause this long, misdelivered queries count as new ones.
const PAUSE: Duration = Duration::from_secs(5);

/// Counts of queries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inflow {
    total: u64,
    last: Option<Timestamp>,
    /// Since when queries go on coming to a server that is not the holder.
    misdelivered_since: Option<Timestamp>,
    untold: u64,
    /// What the peers are told.
    pub(super) told: u32,
    told_at: Option<Timestamp>,
}

impl Inflow {
    /// When the last query came.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// From now on another server is the holder.
    pub(super) fn start_following(&mut self, now: Timestamp) {
        self.misdelivered_since = None;
        self.untold = 0;
        self.told_at = Some(now);
    }

    /// The number of queries has grown to `total`.
    pub(super) fn count(&mut self, total: u64, now: Timestamp, misdelivered: bool) {
        let more = total.saturating_sub(self.total);
        let paused = self.last.is_none_or(|last| now.since(last) > PAUSE);
        self.total = total;
        self.last = Some(now);
        if !misdelivered {
            return;
        }
        if paused {
            self.misdelivered_since = None;
            self.untold = 0;
        }
        self.misdelivered_since.get_or_insert(now);
        self.untold += more;
    }

    /// Tells, at most once an interval, of queries that went on for three.
    pub(super) fn tell(&mut self, now: Timestamp, interval: Duration) {
        let goes_on = |since: Timestamp| self.last.is_some_and(|last| last.since(since) >= interval * MISSED_UNTIL_DEAD);
        let told_lately = self.told_at.is_some_and(|at| now.since(at) < interval);
        if self.untold == 0 || told_lately || !self.misdelivered_since.is_some_and(goes_on) {
            return;
        }
        self.told = self.told.saturating_add(u32::try_from(self.untold).unwrap_or(u32::MAX));
        self.untold = 0;
        self.told_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(300);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_few_late_queries_are_told_to_nobody() {
        let mut inflow = Inflow::default();
        inflow.start_following(at(0));
        for (total, millis) in [(1, 10), (2, 400), (3, 890)] {
            inflow.count(total, at(millis), true);
            inflow.tell(at(millis), INTERVAL);
        }
        assert_eq!(inflow.told, 0);
    }

    #[test]
    fn queries_that_go_on_for_three_intervals_are_told_once_an_interval() {
        let mut inflow = Inflow::default();
        inflow.start_following(at(0));
        let mut told = Vec::new();
        for step in 0..200_u64 {
            inflow.count(step + 1, at(10 * step), true);
            inflow.tell(at(10 * step), INTERVAL);
            told.push(inflow.told);
        }
        told.dedup();
        assert_eq!(told, [0, 91, 121, 151, 181]);
    }

    #[test]
    fn the_holders_own_queries_are_not_misdelivered() {
        let mut inflow = Inflow::default();
        inflow.count(5, at(0), false);
        inflow.count(9, at(2_000), false);
        inflow.tell(at(2_000), INTERVAL);
        assert_eq!((inflow.told, inflow.last()), (0, Some(at(2_000))));
    }
}
