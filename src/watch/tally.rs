//! What was asked and what came of it, second by second; pure.
//!
//! A query that is not answered within [`PATIENCE`] is lost. The *gap* of a port runs from a lost query to the next one from that
//! port that was answered, by the times at which they were sent: the outage as one client had it. With several next hops in use an
//! outage of one of them would not show in the time between answers from anywhere.

use std::collections::{BTreeMap, VecDeque};
use std::ops::AddAssign;
use std::time::Duration;

use crate::base::time::Timestamp;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Seconds that are kept: more than the widest screen shows.
const HISTORY: usize = 512;
/// Names come from the network: so many are told apart, so long.
const SERVERS: usize = 32;
const NAME_LENGTH: usize = 32;
const OTHERS: &str = "others";
/// For an answer without a name that can be shown.
const NAMELESS: &str = "?";

/// All that was asked so far.
#[derive(Debug)]
pub struct Tally {
    ports: Vec<Port>,
    current: Row,
    history: VecDeque<Row>,
    totals: Totals,
}

/// One second: what was sent, answered and given up in it. What is lost is known a second after it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Queries sent.
    pub sent: u64,
    /// Queries answered.
    pub answered: u64,
    /// Queries given up.
    pub lost: u64,
    /// The longest gap of the worst port, as far as it is known.
    pub gap: Duration,
    /// Answers of each server that has ever answered.
    pub by_server: BTreeMap<String, u64>,
}

/// All seconds together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Queries sent.
    pub sent: u64,
    /// Queries answered.
    pub answered: u64,
    /// Queries given up.
    pub lost: u64,
    /// The longest gap of the worst port.
    pub gap: Duration,
}

impl AddAssign<&Row> for Totals {
    fn add_assign(&mut self, row: &Row) {
        self.sent += row.sent;
        self.answered += row.answered;
        self.lost += row.lost;
        self.gap = self.gap.max(row.gap);
    }
}

impl Tally {
    /// Of `ports` source ports, numbered from 0.
    #[must_use]
    pub fn new(ports: usize) -> Self {
        Self {
            ports: (0..ports).map(|_| Port::default()).collect(),
            current: Row::default(),
            history: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    /// A query has left `port`.
    pub fn asked(&mut self, port: usize, id: u16, at: Timestamp) {
        self.current.sent += 1;
        self.ports[port].queries.push_back(Query {
            id,
            at,
            is_answered: false,
        });
    }

    /// An answer has come to `port`; without an open query it counts for nothing.
    pub fn answered(&mut self, port: usize, id: u16, server: Option<&str>) {
        let open = |query: &&mut Query| query.id == id && !query.is_answered;
        let Some(query) = self.ports[port].queries.iter_mut().find(open) else {
            return;
        };
        query.is_answered = true;
        self.current.answered += 1;
        *self.current.by_server.entry(self.known_as(server)).or_default() += 1;
    }

    /// The second is over; it becomes the last row of the history.
    pub fn end_second(&mut self, now: Timestamp) -> Row {
        self.settle(now);
        let silent = self.current.by_server.keys().map(|name| (name.clone(), 0)).collect();
        let next = Row {
            by_server: silent,
            ..Row::default()
        };
        let row = std::mem::replace(&mut self.current, next);
        self.totals += &row;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(row.clone());
        row
    }

    /// The last seconds, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Row> + ExactSizeIterator {
        self.history.iter()
    }

    /// All seconds that have ended.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// True while an answer may still come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.ports.iter().any(|port| port.queries.iter().any(|query| !query.is_answered))
    }

    /// All of it, what is unanswered at `now` given up as lost.
    #[must_use]
    pub fn totals_at(mut self, now: Timestamp) -> Totals {
        self.end_second(now);
        self.totals
    }

    /// Queries that are answered, or too old to be, in the order in which they were sent.
    fn settle(&mut self, now: Timestamp) {
        for port in &mut self.ports {
            port.settle(now, &mut self.current);
        }
    }

    fn known_as(&self, server: Option<&str>) -> String {
        let name: String = server
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_graphic)
            .take(NAME_LENGTH)
            .collect();
        if name.is_empty() {
            NAMELESS.to_owned()
        } else if self.current.by_server.len() < SERVERS || self.current.by_server.contains_key(&name) {
            name
        } else {
            OTHERS.to_owned()
        }
    }
}

#[derive(Debug, Default)]
struct Port {
    /// Oldest first; those that are settled have left.
    queries: VecDeque<Query>,
    /// When the first of the queries was sent that were lost since the last answered one.
    silent_since: Option<Timestamp>,
}

#[derive(Debug)]
struct Query {
    id: u16,
    at: Timestamp,
    is_answered: bool,
}

impl Port {
    fn settle(&mut self, now: Timestamp, row: &mut Row) {
        while let Some(query) = self.queries.front() {
            if !query.is_answered && query.at + PATIENCE > now {
                return;
            }
            let since = *self.silent_since.get_or_insert(query.at);
            row.gap = row.gap.max(query.at.since(since));
            if query.is_answered {
                self.silent_since = None;
            } else {
                row.lost += 1;
            }
            self.queries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(100_000 + millis)
    }

    /// Asks every 100 ms from one port from `from` to `to`; `server` answers at once, if there is one.
    fn run(tally: &mut Tally, from: u64, to: u64, server: Option<&str>) {
        for time in (from..to).step_by(100) {
            tally.asked(0, time as u16, at(time));
            if let Some(server) = server {
                tally.answered(0, time as u16, Some(server));
            }
        }
    }

    #[test]
    fn answers_are_counted_by_server_and_silent_ones_stay_in_the_row() {
        let mut tally = Tally::new(1);
        run(&mut tally, 0, 1_000, Some("s1"));
        let first = tally.end_second(at(1_000));
        assert_eq!((first.sent, first.answered, first.lost), (10, 10, 0));
        run(&mut tally, 1_000, 2_000, Some("s2"));
        let second = tally.end_second(at(2_000));
        assert_eq!(second.by_server, BTreeMap::from([("s1".to_owned(), 0), ("s2".to_owned(), 10)]));
        assert_eq!(tally.history().len(), 2);
        assert!(!tally.is_waiting());
    }

    #[test]
    fn the_gap_runs_from_the_first_lost_query_to_the_next_answered_one() {
        let mut tally = Tally::new(1);
        run(&mut tally, 0, 500, Some("s1"));
        run(&mut tally, 500, 800, None);
        run(&mut tally, 800, 2_000, Some("s2"));
        let row = tally.end_second(at(1_200));
        assert_eq!((row.lost, row.gap), (0, Duration::ZERO), "they may still be answered");
        let row = tally.end_second(at(2_000));
        assert_eq!((row.lost, row.gap), (3, Duration::from_millis(300)));
    }

    #[test]
    fn a_gap_that_lasts_is_told_as_far_as_it_is_known() {
        let mut tally = Tally::new(1);
        run(&mut tally, 0, 3_000, None);
        assert_eq!(tally.end_second(at(2_000)).gap, Duration::from_millis(1_000));
        assert!(tally.is_waiting());
        let totals = tally.totals_at(at(4_000));
        assert_eq!((totals.lost, totals.gap), (30, Duration::from_millis(2_900)));
    }

    #[test]
    fn late_and_doubled_answers_count_for_nothing() {
        let mut tally = Tally::new(1);
        tally.asked(0, 1, at(0));
        tally.asked(0, 2, at(0));
        tally.answered(0, 1, Some("s1"));
        tally.answered(0, 1, Some("s1"));
        tally.answered(0, 7, Some("s1"));
        tally.end_second(at(1_000));
        tally.answered(0, 2, Some("s1"));
        let totals = tally.totals_at(at(2_000));
        assert_eq!((totals.sent, totals.answered, totals.lost), (2, 1, 1));
    }

    #[test]
    fn names_from_the_network_are_bounded_and_cannot_steer_a_terminal() {
        let mut tally = Tally::new(1);
        for number in 0..100 {
            tally.asked(0, number, at(0));
            tally.answered(0, number, Some(&format!("\u{1b}[2Js{number}")));
        }
        tally.asked(0, 100, at(0));
        tally.answered(0, 100, None);
        let row = tally.end_second(at(1));
        assert_eq!(row.by_server.len(), SERVERS + 2, "and the nameless, and the others");
        assert!(row.by_server.keys().all(|name| !name.contains('\u{1b}')));
        assert_eq!(row.by_server[NAMELESS], 1);
    }
}
