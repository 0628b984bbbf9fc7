//! Who is limited, for the log: a few prefixes with the name that was too much, told when it begins and when it ends.
//!
//! Bounded in every way, since the network chooses who is in it: so many prefixes at once, one look in so many milliseconds,
//! nobody waits for its lock. What finds no room is told in one line. The counters count all of it; this is for people.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rate_limit::Kind;
use crate::base::prefix::Prefix;
use crate::base::time::Timestamp;
use crate::dns::name::{self, MAX_NAME};

/// Prefixes that are watched at the same time.
const PREFIXES: usize = 16;
/// A prefix that was not limited for so long is limited no more. With [`PREFIXES`] it bounds the log: three lines a second.
const QUIET: Duration = Duration::from_secs(10);
/// Limited answers in between are not looked at, in microseconds.
const GAP: u64 = 10_000;

/// Something for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Answers to this prefix are limited from now on.
    Began {
        /// Whose.
        prefix: Prefix,
        /// Of which kind the answer was with which it began.
        kind: Kind,
        /// Its name, as text.
        name: String,
    },
    /// No answer to this prefix was limited for a while.
    Ended {
        /// Whose.
        prefix: Prefix,
        /// From the first limited answer to the last.
        lasted: Duration,
    },
    /// More prefixes are limited than are told one by one.
    Crowded,
}

impl fmt::Display for News {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began {
                prefix,
                kind: Kind::Error,
                name: _,
            } => write!(formatter, "answers to {prefix} are limited: too many errors a second"),
            Self::Began { prefix, kind, name } => {
                write!(formatter, "answers to {prefix} are limited: too many {kind} {name} a second")
            }
            Self::Ended { prefix, lasted } => {
                write!(formatter, "answers to {prefix} are no longer limited, after {} s", lasted.as_secs())
            }
            Self::Crowded => write!(
                formatter,
                "answers to more prefixes are limited than the {PREFIXES} that are told one by one"
            ),
        }
    }
}

/// The prefixes that are limited now.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Nothing is looked at before this time, in microseconds.
    next: AtomicU64,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    entries: [Option<Entry>; PREFIXES],
    /// When there last was no room, if that is yet to be told.
    crowded: bool,
    crowded_told: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: Prefix,
    kind: Kind,
    name: [u8; MAX_NAME],
    length: usize,
    first: Timestamp,
    last: Timestamp,
    told: bool,
}

impl Watch {
    /// Notes that an answer was limited, unless one was a moment ago or somebody else is at it.
    pub(super) fn note(&self, prefix: Prefix, kind: Kind, name: &[u8], now: Timestamp) {
        let micros = now.as_micros();
        if micros < self.next.load(Relaxed) {
            return;
        }
        let Ok(mut list) = self.list.try_lock() else { return };
        self.next.store(micros + GAP, Relaxed);
        list.note(prefix, kind, name, now);
    }

    /// What has changed since the last call.
    pub(super) fn news(&self, now: Timestamp) -> Vec<News> {
        self.list().news(now)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn note(&mut self, prefix: Prefix, kind: Kind, name: &[u8], now: Timestamp) {
        if let Some(entry) = self.entries.iter_mut().flatten().find(|entry| entry.prefix == prefix) {
            entry.last = entry.last.max(now);
            return;
        }
        let Some(free) = self.entries.iter_mut().find(|entry| entry.is_none()) else {
            self.crowded = true;
            return;
        };
        let mut kept = [0; MAX_NAME];
        let length = name.len().min(MAX_NAME);
        kept[..length].copy_from_slice(&name[..length]);
        *free = Some(Entry {
            prefix,
            kind,
            name: kept,
            length,
            first: now,
            last: now,
            told: false,
        });
    }

    fn news(&mut self, now: Timestamp) -> Vec<News> {
        let mut news = Vec::new();
        for slot in &mut self.entries {
            let Some(entry) = slot else { continue };
            if !entry.told {
                entry.told = true;
                news.push(News::Began {
                    prefix: entry.prefix,
                    kind: entry.kind,
                    name: name::display(&entry.name[..entry.length]).to_string(),
                });
            }
            if now.since(entry.last) >= QUIET {
                news.push(News::Ended {
                    prefix: entry.prefix,
                    lasted: entry.last.since(entry.first),
                });
                *slot = None;
            }
        }
        let told_of_late = self.crowded_told.is_some_and(|told| now.since(told) < QUIET);
        if std::mem::take(&mut self.crowded) && !told_of_late {
            self.crowded_told = Some(now);
            news.push(News::Crowded);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(number: u8) -> Prefix {
        format!("192.0.{number}.0/24").parse().unwrap()
    }

    fn note(watch: &Watch, number: u8, millis: u64) {
        watch.note(prefix(number), Kind::NameError, b"\x07example\0", Timestamp::from_millis(millis));
    }

    fn told(watch: &Watch, millis: u64) -> Vec<String> {
        watch.news(Timestamp::from_millis(millis)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_prefix_is_told_once_when_it_begins_and_once_when_it_ends() {
        let watch = Watch::default();
        assert!(told(&watch, 0).is_empty());
        note(&watch, 1, 1_000);
        let began = "answers to 192.0.1.0/24 are limited: too many NXDOMAIN below example. a second";
        assert_eq!(told(&watch, 1_000), [began]);
        for millis in (1_100..21_000).step_by(100) {
            note(&watch, 1, millis);
            assert!(told(&watch, millis).is_empty(), "at {millis} ms");
        }
        assert!(told(&watch, 30_899).is_empty());
        let ended = "answers to 192.0.1.0/24 are no longer limited, after 19 s";
        assert_eq!(told(&watch, 30_900), [ended]);
        assert!(told(&watch, 60_000).is_empty());
        note(&watch, 1, 60_000);
        assert_eq!(told(&watch, 60_000), [began]);
    }

    #[test]
    fn one_that_came_and_went_between_two_looks_is_told_whole() {
        let watch = Watch::default();
        note(&watch, 1, 1_000);
        assert_eq!(told(&watch, 20_000).len(), 2);
    }

    #[test]
    fn a_crowd_is_told_in_one_line() {
        let watch = Watch::default();
        for number in 0..=255 {
            note(&watch, number, 1_000 + 10 * u64::from(number));
        }
        let lines = told(&watch, 4_000);
        assert_eq!(lines.len(), PREFIXES + 1);
        assert!(lines[PREFIXES].contains("more prefixes"), "{lines:?}");
        note(&watch, 99, 4_010);
        assert!(told(&watch, 4_020).is_empty(), "told a moment ago");
    }

    #[test]
    fn only_one_look_in_a_while_costs_anything() {
        let watch = Watch::default();
        (0..10).for_each(|number| note(&watch, number, 1_000));
        assert_eq!(told(&watch, 1_000).len(), 1);
        let list = watch.list();
        note(&watch, 20, 2_000);
        drop(list);
        assert!(told(&watch, 2_000).is_empty(), "nobody waits for the lock");
    }
}
