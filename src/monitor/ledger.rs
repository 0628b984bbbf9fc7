//! The ledger of the reply path: answers that the kernel took against answers that it refused.
//!
//! A service that reads queries and computes answers is not healthy when the answers do not leave. Pure arithmetic over
//! the counters of the service process (300), in windows of a second.

use std::time::Duration;

use super::observation::{Fault, Health};
use crate::base::time::Timestamp;

const WINDOW: Duration = Duration::from_secs(1);
/// Fewer refusals than this in a window are an accident.
const REFUSALS: u64 = 8;
/// So many answers in a window are a flow: probes alone are far fewer.
const FLOW: u64 = 1_000;

/// Balances one window after the other.
#[derive(Clone, Debug)]
pub struct Ledger {
    opened: Option<(Timestamp, Page)>,
    health: Health,
    flowing: bool,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Answers that the kernel took.
    pub accepted: u64,
    /// Answers that it refused for a reason of this host: what a client can cause is not among them.
    pub refused: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            opened: None,
            health: Health::Healthy,
            flowing: false,
        }
    }
}

impl Ledger {
    /// Many answers left in the last full window: more than the self-probe's own.
    #[must_use]
    pub const fn is_flowing(&self) -> bool {
        self.flowing
    }

    /// Takes the counts at `now`; the health is that of the last full window.
    pub fn enter(&mut self, page: Page, now: Timestamp) -> Health {
        let Some((since, before)) = self.opened else {
            self.opened = Some((now, page));
            return self.health;
        };
        if now.since(since) >= WINDOW {
            self.opened = Some((now, page));
            let accepted = page.accepted.saturating_sub(before.accepted);
            self.health = balance(accepted, page.refused.saturating_sub(before.refused));
            self.flowing = accepted >= FLOW;
        }
        self.health
    }
}

const fn balance(accepted: u64, refused: u64) -> Health {
    if refused >= REFUSALS && refused > accepted {
        Health::Faulty(Fault::RepliesNotLeaving)
    } else {
        Health::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_answers_are_a_fault_until_a_window_without_them() {
        let mut ledger = Ledger::default();
        let at = Timestamp::from_secs;
        assert_eq!(ledger.enter(Page { accepted: 0, refused: 0 }, at(0)), Health::Healthy);
        assert_eq!(
            ledger.enter(
                Page {
                    accepted: 10,
                    refused: 100
                },
                at(1)
            ),
            Health::Faulty(Fault::RepliesNotLeaving)
        );
        assert_eq!(
            ledger.enter(
                Page {
                    accepted: 20,
                    refused: 100
                },
                at(2)
            ),
            Health::Healthy
        );
    }

    #[test]
    fn a_few_refusals_are_no_fault() {
        let mut ledger = Ledger::default();
        ledger.enter(Page::default(), Timestamp::ZERO);
        assert_eq!(
            ledger.enter(Page { accepted: 0, refused: 7 }, Timestamp::from_secs(1)),
            Health::Healthy
        );
        assert_eq!(
            ledger.enter(
                Page {
                    accepted: 1_000,
                    refused: 507
                },
                Timestamp::from_secs(2)
            ),
            Health::Healthy
        );
    }
}
