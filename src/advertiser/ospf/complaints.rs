//! What does not fit between a router and this server: said once in the log, and shown in `status` as long as it lasts.
//!
//! A neighbour that never comes up is the usual trouble with OSPF, and both sides drop what does not fit without a word.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::base::machine::{Outbox, Severity};
use crate::base::time::Timestamp;

/// The same is said again after so long.
const SILENCE: Duration = Duration::from_secs(300);
/// What was not seen again for so long is over.
const OVER: Duration = Duration::from_secs(30);
/// Anybody on the link can make us complain: so many are remembered, and as many lines go into the log within [`SILENCE`]. What lasts
/// is said in any case.
const MOST: usize = 16;

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    HelloInterval,
    DeadInterval,
    Area,
    AreaType,
    Mtu,
    Authentication,
    RouterId,
}

#[derive(Clone, Debug)]
struct Complaint {
    misfit: Misfit,
    from: Ipv6Addr,
    text: String,
    first_seen: Timestamp,
    seen: Timestamp,
    times: u64,
    said: Option<Timestamp>,
}

/// What does not fit at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints {
    all: Vec<Complaint>,
    /// Lines in the log since then.
    lines: usize,
    lines_since: Timestamp,
}

impl Complaints {
    /// Says `text` about `from`, unless that was said lately.
    pub(super) fn complain(&mut self, misfit: Misfit, from: Ipv6Addr, text: String, now: Timestamp, out: &mut Outbox) {
        if now.since(self.lines_since) >= SILENCE {
            (self.lines, self.lines_since) = (0, now);
        }
        let may_say = self.lines < MOST;
        let one = self.remember(misfit, from, now);
        one.seen = now;
        one.times += 1;
        let is_due = match one.said {
            Some(said) => now.since(said) >= SILENCE,
            None => may_say || now.since(one.first_seen) >= OVER,
        };
        one.text.clone_from(&text);
        if is_due {
            one.said = Some(now);
            self.lines += 1;
            out.notice(Severity::Warning, format!("ospf: {text}"));
        }
    }

    /// The one that is known, or a new one, in place of what is over, or was seen least.
    fn remember(&mut self, misfit: Misfit, from: Ipv6Addr, now: Timestamp) -> &mut Complaint {
        let known = self.all.iter().position(|one| (one.misfit, one.from) == (misfit, from));
        let index = known.unwrap_or_else(|| {
            let least = (0..self.all.len()).min_by_key(|index| {
                let one = &self.all[*index];
                (now.since(one.seen) < OVER, one.times, one.seen)
            });
            if let Some(least) = least.filter(|_| self.all.len() >= MOST) {
                self.all.swap_remove(least);
            }
            self.all.push(Complaint {
                misfit,
                from,
                text: String::new(),
                first_seen: now,
                seen: now,
                times: 0,
                said: None,
            });
            self.all.len() - 1
        });
        &mut self.all[index]
    }

    /// Forgets what is over, once it may be said again.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let was_said = |one: &Complaint| one.said.is_some_and(|said| now.since(said) < SILENCE);
        self.all.retain(|one| now.since(one.seen) < OVER || was_said(one));
    }

    /// What does not fit now, in words.
    pub(super) fn lasting(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.all
            .iter()
            .filter(move |one| now.since(one.seen) < OVER)
            .map(|one| one.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_misfit_is_said_once_and_lasts_while_it_is_seen() {
        let (mut complaints, mut out) = (Complaints::default(), Outbox::new());
        let from = Ipv6Addr::LOCALHOST;
        for second in 0..299 {
            complaints.complain(Misfit::Area, from, "area".to_owned(), Timestamp::from_secs(second), &mut out);
        }
        complaints.complain(Misfit::Mtu, from, "mtu".to_owned(), Timestamp::from_secs(299), &mut out);
        assert_eq!(out.drain().count(), 2);
        assert_eq!(complaints.lasting(Timestamp::from_secs(300)).collect::<Vec<_>>(), ["area", "mtu"]);
        assert_eq!(complaints.lasting(Timestamp::from_secs(328)).collect::<Vec<_>>(), ["mtu"]);
        complaints.complain(Misfit::Area, from, "area".to_owned(), Timestamp::from_secs(400), &mut out);
        assert_eq!(out.drain().count(), 1);
        complaints.sweep(Timestamp::from_secs(800));
        assert!(complaints.all.is_empty());
    }

    #[test]
    fn status_has_what_is_seen_now_though_the_log_has_heard_enough() {
        let (mut complaints, mut out) = (Complaints::default(), Outbox::new());
        for (second, text) in [(0, "hello interval of 10 s"), (1, "hello interval of 5 s")] {
            let at = Timestamp::from_secs(second);
            complaints.complain(Misfit::HelloInterval, Ipv6Addr::LOCALHOST, text.to_owned(), at, &mut out);
        }
        assert_eq!(out.drain().count(), 1);
        let lasting: Vec<_> = complaints.lasting(Timestamp::from_secs(1)).collect();
        assert_eq!(lasting, ["hello interval of 5 s"]);
    }

    #[test]
    fn strangers_cannot_fill_the_memory_or_the_log_and_hide_nothing_that_lasts() {
        let (mut complaints, mut out) = (Complaints::default(), Outbox::new());
        let forge = |complaints: &mut Complaints, out: &mut Outbox, second: u64| {
            for number in 0..100 {
                let from = u128::from(second * 100 + number).into();
                complaints.complain(Misfit::Area, from, "forged".to_owned(), Timestamp::from_secs(second), out);
            }
        };
        forge(&mut complaints, &mut out, 0);
        assert_eq!((complaints.all.len(), out.drain().count()), (MOST, MOST));
        let router = "fe80::1".parse().unwrap();
        for second in 1..60 {
            for _ in 0..2 {
                let now = Timestamp::from_secs(second);
                complaints.complain(Misfit::Mtu, router, "mtu".to_owned(), now, &mut out);
            }
            forge(&mut complaints, &mut out, second);
            assert_eq!(complaints.all.len(), MOST);
            assert!(complaints.lasting(Timestamp::from_secs(second)).any(|text| text == "mtu"));
        }
        assert_eq!(out.drain().count(), 1, "what lasts is said, after half a minute");
    }
}
