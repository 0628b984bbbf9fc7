//! When all servers are solicited at once (claim 2): while there is nobody to deliver to, at first at once, then less and less.

use std::time::Duration;

use crate::base::time::Timestamp;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The solicitations of one service address to its solicited-node group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Discovery {
    last: Option<Timestamp>,
    wait: Duration,
}

impl Discovery {
    pub(super) const fn new() -> Self {
        Self {
            last: None,
            wait: FIRST_WAIT,
        }
    }

    /// When the next solicitation is due, as long as one is wanted.
    pub(super) fn due(&self) -> Timestamp {
        self.last.map_or(Timestamp::ZERO, |last| last + self.wait)
    }

    /// True: one is to be sent now.
    pub(super) fn ask(&mut self, now: Timestamp) -> bool {
        if now < self.due() {
            return false;
        }
        if self.last.replace(now).is_some() {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        true
    }

    /// Something has changed, there may be somebody now: the next one comes soon again.
    pub(super) fn hasten(&mut self) {
        self.wait = FIRST_WAIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_seconds() {
        let mut discovery = Discovery::new();
        let asked = |discovery: &mut Discovery, until: u64| -> Vec<u64> {
            (0..until).filter(|at| discovery.ask(Timestamp::from_secs(*at))).collect()
        };
        assert_eq!(asked(&mut discovery, 50), [0, 1, 3, 7, 15, 25, 35, 45]);
        discovery.hasten();
        assert!(discovery.ask(Timestamp::from_secs(46)), "never twice in a second");
    }
}
