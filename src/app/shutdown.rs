//! The end of wanting queries: when a drain or a stop is over, and the receipt that says what it cost.
//!
//! Order of a stop: withdraw on all protocols, wait until inflow is quiet by the counters and the connections have ended,
//! empty the sockets, answer, close, address last. This file only knows when the waiting is over.

use std::time::Duration;

use crate::base::time::Timestamp;

/// No query to a service address for so long is quiet. Routers that were told have turned within milliseconds; what
/// still comes after that was on its way.
const QUIET: Duration = Duration::from_millis(500);

/// Counts that a receipt compares, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Queries read from service addresses that came from others.
    pub(crate) queries: u64,
    /// Answers that the kernel refused, on all addresses.
    pub(crate) refused: u64,
    /// Queries that the kernel dropped because a queue was full, on all addresses.
    pub(crate) dropped: u64,
    /// Queries that came on connections that had been closed from here, on all addresses.
    pub(crate) late: u64,
    /// Connections to service addresses from others: begun,
    pub(crate) opened: u64,
    /// ended in order,
    pub(crate) closed: u64,
    /// ended otherwise.
    pub(crate) broken: u64,
}

impl Tally {
    const fn open(&self) -> u64 {
        self.opened.saturating_sub(self.closed + self.broken)
    }

    const fn lost(&self) -> u64 {
        self.refused + self.dropped + self.late
    }
}

/// A drain or a stop on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    began: Timestamp,
    timeout: Duration,
    at_start: Tally,
    withdrawn: Option<Timestamp>,
}

/// Why the waiting is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing points here any more, nothing comes, and no connection is open.
    Quiet,
    /// `drain-timeout` has cut it.
    TimedOut,
    /// A second signal has cut it.
    CutShort,
}

/// What a drain cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) took: Duration,
    /// From the beginning until nothing that was advertised points here any more.
    pub(crate) withdrawn_after: Option<Duration>,
    /// From the beginning to the last query from others.
    pub(crate) last_query_after: Option<Duration>,
    /// Queries that came after the beginning.
    pub(crate) queries_after: u64,
    /// Queries without an answer after the beginning: dropped by the kernel, their answer refused by it, or come on a
    /// connection that had been closed.
    pub(crate) lost_after: u64,
    /// The connections to service addresses from others.
    pub(crate) connections: Connections,
}

/// What became of the connections during a drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    /// Open at the beginning.
    pub(crate) at_start: u64,
    /// Begun since.
    pub(crate) opened: u64,
    /// Ended in order.
    pub(crate) closed: u64,
    /// Ended otherwise.
    pub(crate) broken: u64,
    /// Still open at the end.
    pub(crate) left: u64,
}

impl Drain {
    pub(crate) const fn begin(now: Timestamp, timeout: Duration, at_start: Tally) -> Self {
        Self {
            began: now,
            timeout,
            at_start,
            withdrawn: None,
        }
    }

    /// The outcome, once there is one. `withdrawn`: nothing that was advertised points here any more; `connections` are open.
    pub(crate) fn outcome(&mut self, now: Timestamp, withdrawn: bool, last_inflow: Option<Timestamp>, connections: u64) -> Option<Outcome> {
        self.withdrawn = if withdrawn { self.withdrawn.or(Some(now)) } else { None };
        let silent_since = last_inflow.max(Some(self.began)).unwrap_or(self.began);
        if withdrawn && connections == 0 && now.since(silent_since) >= QUIET {
            Some(Outcome::Quiet)
        } else if now.since(self.began) >= self.timeout {
            Some(Outcome::TimedOut)
        } else {
            None
        }
    }

    pub(crate) fn receipt(&self, now: Timestamp, outcome: Outcome, tally: Tally, last_inflow: Option<Timestamp>) -> Receipt {
        Receipt {
            outcome,
            took: now.since(self.began),
            withdrawn_after: self.withdrawn.map(|withdrawn| withdrawn.since(self.began)),
            last_query_after: last_inflow.filter(|last| *last > self.began).map(|last| last.since(self.began)),
            queries_after: tally.queries.saturating_sub(self.at_start.queries),
            lost_after: tally.lost().saturating_sub(self.at_start.lost()),
            connections: Connections {
                at_start: self.at_start.open(),
                opened: tally.opened.saturating_sub(self.at_start.opened),
                closed: tally.closed.saturating_sub(self.at_start.closed),
                broken: tally.broken.saturating_sub(self.at_start.broken),
                left: tally.open(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_ends_when_withdrawn_and_quiet_or_at_its_timeout() {
        let mut drain = Drain::begin(Timestamp::from_secs(10), Duration::from_secs(10), Tally::default());
        let at = Timestamp::from_millis;
        assert_eq!(drain.outcome(at(10_400), true, None, 0), None, "too early to call it quiet");
        assert_eq!(drain.outcome(at(10_500), true, None, 0), Some(Outcome::Quiet));
        assert_eq!(drain.outcome(at(10_500), false, None, 0), None, "something may still point here");
        assert_eq!(drain.outcome(at(12_000), true, Some(at(11_900)), 0), None, "queries still come");
        assert_eq!(drain.outcome(at(20_000), false, Some(at(19_999)), 0), Some(Outcome::TimedOut));
    }

    #[test]
    fn the_receipt_counts_from_the_order() {
        let start = Tally {
            queries: 100,
            refused: 10,
            dropped: 5,
            late: 1,
            opened: 20,
            closed: 10,
            broken: 1,
        };
        let drain = Drain::begin(Timestamp::from_secs(10), Duration::from_secs(10), start);
        let after = Tally {
            queries: 107,
            refused: 11,
            dropped: 7,
            late: 2,
            opened: 23,
            closed: 15,
            broken: 3,
        };
        let receipt = drain.receipt(Timestamp::from_secs(12), Outcome::Quiet, after, Some(Timestamp::from_secs(11)));
        assert_eq!(
            (receipt.queries_after, receipt.lost_after, receipt.took),
            (7, 4, Duration::from_secs(2))
        );
        assert_eq!(receipt.last_query_after, Some(Duration::from_secs(1)));
        let connections = Connections {
            at_start: 9,
            opened: 3,
            closed: 5,
            broken: 2,
            left: 5,
        };
        assert_eq!(receipt.connections, connections);
    }

    #[test]
    fn open_connections_are_waited_for_until_the_timeout_and_their_queries_do_not_delay_it() {
        let mut drain = Drain::begin(Timestamp::from_secs(10), Duration::from_secs(10), Tally::default());
        let at = Timestamp::from_millis;
        assert_eq!(drain.outcome(at(15_000), true, None, 1), None, "one is idle");
        assert_eq!(drain.outcome(at(15_000), true, None, 0), Some(Outcome::Quiet));
        assert_eq!(drain.outcome(at(20_000), true, Some(at(19_999)), 1), Some(Outcome::TimedOut));
    }
}
