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
/// Anybody on the link can make us complain.
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
    said: Timestamp,
    seen: Timestamp,
}

/// What does not fit at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints(Vec<Complaint>);

impl Complaints {
    /// Says `text` about `from`, unless that was said lately.
    pub(super) fn complain(&mut self, misfit: Misfit, from: Ipv6Addr, text: String, now: Timestamp, out: &mut Outbox) {
        let known = self.0.iter().position(|one| (one.misfit, one.from) == (misfit, from));
        let Some(known) = known.and_then(|index| self.0.get_mut(index)) else {
            if self.0.len() < MOST {
                out.notice(Severity::Warning, format!("ospf: {text}"));
                self.0.push(Complaint {
                    misfit,
                    from,
                    text,
                    said: now,
                    seen: now,
                });
            }
            return;
        };
        known.seen = now;
        known.text.clone_from(&text);
        if now.since(known.said) < SILENCE {
            return;
        }
        known.said = now;
        out.notice(Severity::Warning, format!("ospf: {text}"));
    }

    /// Forgets what is over, once it may be said again.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|one| now.since(one.seen) < OVER || now.since(one.said) < SILENCE);
    }

    /// What does not fit now, in words.
    pub(super) fn lasting(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.0
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
        assert!(complaints.0.is_empty());
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
    fn strangers_cannot_fill_the_memory() {
        let (mut complaints, mut out) = (Complaints::default(), Outbox::new());
        for from in 0..1_000_u128 {
            complaints.complain(Misfit::Area, from.into(), String::new(), Timestamp::ZERO, &mut out);
        }
        assert_eq!(complaints.0.len(), MOST);
    }
}
