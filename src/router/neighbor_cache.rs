//! The neighbour-cache entry of one service address: claims 3 and 5, in the states of RFC 4861 §7.3.2.
//!
//! ```text
//!            solicitation            solicited advertisement          30 s
//!  (absent) --------------> INCOMPLETE ---------------------> REACHABLE ----> STALE
//!     ^  ^------- 1 s ----------'                                 |  another    ^|
//!     |                                                           '-- address --'|
//!     '------------------- its server is dead or does not serve -----------------'
//! ```
//!
//! The claims' advertisement is the unsolicited one (claim 4). A solicited one answers us: it resolves or confirms. DELAY is
//! not needed: that a server lives is known from its signs. While its server is asked, the entry is shown as in PROBE.
//! Override is not looked at: a server of mode `member` does not set it, so that a stock router's entry stays.

use std::time::Duration;

use crate::base::address::LinkLayerAddress;
use crate::base::time::Timestamp;

/// RetransTimer: an unanswered solicitation leaves no entry behind.
const INCOMPLETE_FOR: Duration = Duration::from_secs(1);
/// REACHABLE_TIME (RFC 4861 §10).
const REACHABLE_FOR: Duration = Duration::from_secs(30);

/// The entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Entry {
    #[default]
    Absent,
    Incomplete {
        until: Timestamp,
    },
    Reachable {
        link_layer: LinkLayerAddress,
        since: Timestamp,
    },
    Stale {
        link_layer: LinkLayerAddress,
        since: Timestamp,
    },
}

/// What happens to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// All servers were asked.
    Solicited,
    /// An advertisement nobody asked for.
    Advertised(LinkLayerAddress),
    /// An answer.
    Answered(LinkLayerAddress),
    /// A signed peer message, where only those count, in place of an advertisement.
    Stated(LinkLayerAddress),
    /// Its server does not serve any more.
    Lost,
    /// Time has passed.
    Aged,
}

/// What an event did to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    /// It has another link-layer address (claim 3), or its first one.
    Moved,
    /// Claim 5, by this rule.
    Discarded(Rule),
}

/// Why an advertisement is discarded (claim 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// There is no entry for its target.
    NoEntry,
    /// The entry is INCOMPLETE, and nobody asked its sender.
    Incomplete,
    /// The entry has that link-layer address.
    Unchanged,
    /// Not one of the claim's: an answer does not move an entry that has an address.
    Answer,
}

impl Rule {
    /// The name under which it is counted.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoEntry => "no-entry",
            Self::Incomplete => "incomplete",
            Self::Unchanged => "unchanged",
            Self::Answer => "answer",
        }
    }
}

impl Entry {
    /// The link-layer address it has.
    pub(super) const fn link_layer(self) -> Option<LinkLayerAddress> {
        match self {
            Self::Absent | Self::Incomplete { .. } => None,
            Self::Reachable { link_layer, .. } | Self::Stale { link_layer, .. } => Some(link_layer),
        }
    }

    /// Since when it is as it is, once it has an address.
    pub(super) const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Absent | Self::Incomplete { .. } => None,
            Self::Reachable { since, .. } | Self::Stale { since, .. } => Some(since),
        }
    }

    /// When [`Event::Aged`] will change it.
    pub(super) fn ages_at(self) -> Option<Timestamp> {
        match self {
            Self::Absent | Self::Stale { .. } => None,
            Self::Incomplete { until } => Some(until),
            Self::Reachable { since, .. } => Some(since + REACHABLE_FOR),
        }
    }

    /// The transition.
    pub(super) fn after(self, event: Event, now: Timestamp) -> (Self, Effect) {
        let reachable = |link_layer| Self::Reachable { link_layer, since: now };
        match (self, event) {
            (Self::Absent | Self::Incomplete { .. }, Event::Solicited) => {
                let until = now + INCOMPLETE_FOR;
                (Self::Incomplete { until }, Effect::Nothing)
            }
            (Self::Reachable { .. } | Self::Stale { .. }, Event::Solicited) => (self, Effect::Nothing),

            (Self::Absent, Event::Advertised(_) | Event::Answered(_)) => (self, Effect::Discarded(Rule::NoEntry)),
            (Self::Incomplete { .. }, Event::Advertised(_)) => (self, Effect::Discarded(Rule::Incomplete)),
            (Self::Incomplete { .. }, Event::Answered(link_layer)) => (reachable(link_layer), Effect::Moved),
            (Self::Reachable { link_layer, .. } | Self::Stale { link_layer, .. }, Event::Advertised(new)) => {
                if new == link_layer {
                    return (self, Effect::Discarded(Rule::Unchanged));
                }
                let moved = Self::Stale {
                    link_layer: new,
                    since: now,
                };
                (moved, Effect::Moved)
            }
            (Self::Reachable { link_layer, .. } | Self::Stale { link_layer, .. }, Event::Answered(new)) => {
                if new == link_layer {
                    return (reachable(link_layer), Effect::Nothing);
                }
                (self, Effect::Discarded(Rule::Answer))
            }

            (Self::Absent | Self::Incomplete { .. } | Self::Reachable { .. } | Self::Stale { .. }, Event::Stated(new)) => {
                if self.link_layer() == Some(new) {
                    return (self, Effect::Nothing);
                }
                let moved = Self::Stale {
                    link_layer: new,
                    since: now,
                };
                (moved, Effect::Moved)
            }

            (Self::Absent | Self::Incomplete { .. } | Self::Reachable { .. } | Self::Stale { .. }, Event::Lost) => {
                (Self::Absent, Effect::Nothing)
            }

            (Self::Absent | Self::Stale { .. }, Event::Aged) => (self, Effect::Nothing),
            (Self::Incomplete { until }, Event::Aged) => (if now >= until { Self::Absent } else { self }, Effect::Nothing),
            (Self::Reachable { link_layer, since }, Event::Aged) => {
                let aged = now >= since + REACHABLE_FOR;
                (if aged { Self::Stale { link_layer, since: now } } else { self }, Effect::Nothing)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LinkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 0, 1]);
    const B: LinkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 0, 2]);

    #[test]
    fn claim_5_every_event_in_every_state() {
        let (then, now) = (Timestamp::from_secs(1), Timestamp::from_secs(2));
        let incomplete = Entry::Incomplete {
            until: Timestamp::from_secs(3),
        };
        let reachable = |link_layer, since| Entry::Reachable { link_layer, since };
        let stale = |link_layer, since| Entry::Stale { link_layer, since };
        let discarded = Effect::Discarded;
        #[rustfmt::skip]
        let table = [
            (Entry::Absent,      Event::Solicited,     incomplete,         Effect::Nothing),
            (Entry::Absent,      Event::Advertised(A), Entry::Absent,      discarded(Rule::NoEntry)),
            (Entry::Absent,      Event::Answered(A),   Entry::Absent,      discarded(Rule::NoEntry)),
            (Entry::Absent,      Event::Stated(A),     stale(A, now),      Effect::Moved),
            (incomplete,         Event::Stated(A),     stale(A, now),      Effect::Moved),
            (reachable(A, then), Event::Stated(A),     reachable(A, then), Effect::Nothing),
            (reachable(A, then), Event::Stated(B),     stale(B, now),      Effect::Moved),
            (stale(A, then),     Event::Stated(A),     stale(A, then),     Effect::Nothing),
            (stale(A, then),     Event::Stated(B),     stale(B, now),      Effect::Moved),
            (Entry::Absent,      Event::Lost,          Entry::Absent,      Effect::Nothing),
            (Entry::Absent,      Event::Aged,          Entry::Absent,      Effect::Nothing),
            (incomplete,         Event::Solicited,     incomplete,         Effect::Nothing),
            (incomplete,         Event::Advertised(A), incomplete,         discarded(Rule::Incomplete)),
            (incomplete,         Event::Answered(A),   reachable(A, now),  Effect::Moved),
            (incomplete,         Event::Lost,          Entry::Absent,      Effect::Nothing),
            (incomplete,         Event::Aged,          incomplete,         Effect::Nothing),
            (reachable(A, then), Event::Solicited,     reachable(A, then), Effect::Nothing),
            (reachable(A, then), Event::Advertised(A), reachable(A, then), discarded(Rule::Unchanged)),
            (reachable(A, then), Event::Advertised(B), stale(B, now),      Effect::Moved),
            (reachable(A, then), Event::Answered(A),   reachable(A, now),  Effect::Nothing),
            (reachable(A, then), Event::Answered(B),   reachable(A, then), discarded(Rule::Answer)),
            (reachable(A, then), Event::Lost,          Entry::Absent,      Effect::Nothing),
            (reachable(A, then), Event::Aged,          reachable(A, then), Effect::Nothing),
            (stale(A, then),     Event::Solicited,     stale(A, then),     Effect::Nothing),
            (stale(A, then),     Event::Advertised(A), stale(A, then),     discarded(Rule::Unchanged)),
            (stale(A, then),     Event::Advertised(B), stale(B, now),      Effect::Moved),
            (stale(A, then),     Event::Answered(A),   reachable(A, now),  Effect::Nothing),
            (stale(A, then),     Event::Answered(B),   stale(A, then),     discarded(Rule::Answer)),
            (stale(A, then),     Event::Lost,          Entry::Absent,      Effect::Nothing),
            (stale(A, then),     Event::Aged,          stale(A, then),     Effect::Nothing),
        ];
        for (entry, event, after, effect) in table {
            assert_eq!(entry.after(event, now), (after, effect), "{entry:?}, {event:?}");
        }
    }

    #[test]
    fn an_entry_ages() {
        let aged = |entry: Entry, at| entry.after(Event::Aged, Timestamp::from_secs(at)).0;
        let (entry, _) = Entry::Absent.after(Event::Solicited, Timestamp::from_secs(1));
        assert_eq!(entry.ages_at(), Some(Timestamp::from_secs(2)));
        assert_eq!(aged(entry, 2), Entry::Absent);
        let (entry, _) = entry.after(Event::Answered(A), Timestamp::from_secs(1));
        assert_eq!(entry.ages_at(), Some(Timestamp::from_secs(31)));
        assert_eq!(aged(entry, 30), entry);
        assert!(matches!(aged(entry, 31), Entry::Stale { link_layer: A, .. }));
    }
}
