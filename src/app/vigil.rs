//! Whether main hangs, as the guardian sees it: a beat that no longer moves, looked at often and counted in looks.
//!
//! A farewell for a main that lives takes a healthy server away, so a look counts only if the guardian itself was on time: where
//! the whole machine was stopped or too busy, nobody knows which of the two it was.

use std::time::Duration;

use crate::base::time::Timestamp;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(50);
/// A look that is later than this proves nothing.
const LATE: Duration = Duration::from_millis(25);
/// After one that is later than this main is given all of its time again: it was stopped too, and wakes up now.
const STOPPED: Duration = Duration::from_millis(200);
/// So many looks at a beat that stands still, and main hangs: 400 ms. It moves every 100 ms, and with every answer.
const TOLERATED: u32 = 8;

/// The watch over one main process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vigil {
    beats: u64,
    moved: Timestamp,
    still: u32,
    due: Timestamp,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing new.
    Same,
    /// Main hangs, for as long as this.
    Hangs(Duration),
    /// It goes on, after so long.
    GoesOn(Duration),
}

impl Vigil {
    /// The watch over a main that was just started; it is not awaited before its first beat.
    pub(super) fn begin(now: Timestamp) -> Self {
        Self {
            beats: 0,
            moved: now,
            still: 0,
            due: now + INTERVAL,
        }
    }

    /// When the next look is due.
    pub(super) const fn due(&self) -> Timestamp {
        self.due
    }

    /// One look, if it is due. `beats`: 0 as long as main is not to be watched.
    pub(super) fn look(&mut self, beats: u64, now: Timestamp) -> Sight {
        if now < self.due {
            return Sight::Same;
        }
        let lateness = now.since(self.due);
        self.due = now + INTERVAL;
        let silence = now.since(self.moved);
        if beats != self.beats || beats == 0 {
            let hung = self.still >= TOLERATED;
            (self.beats, self.moved, self.still) = (beats, now, 0);
            return if hung { Sight::GoesOn(silence) } else { Sight::Same };
        }
        if lateness > STOPPED && self.still < TOLERATED {
            self.still = 0;
        }
        if lateness > LATE || self.still >= TOLERATED {
            return Sight::Same;
        }
        self.still += 1;
        if self.still == TOLERATED {
            Sight::Hangs(silence)
        } else {
            Sight::Same
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every so many milliseconds with what main's beat is then: what was seen, and when.
    fn watch(every: u64, beats: impl Fn(u64) -> u64, end: u64) -> Vec<(u64, Sight)> {
        let mut vigil = Vigil::begin(Timestamp::ZERO);
        let times = (0..end).step_by(every as usize);
        let seen = times.map(|millis| (millis, vigil.look(beats(millis), Timestamp::from_millis(millis))));
        seen.filter(|(_, sight)| *sight != Sight::Same).collect()
    }

    #[test]
    fn a_beat_that_stands_still_is_told_once_and_once_when_it_moves_again() {
        let beats = |millis: u64| match millis {
            0..=1_000 => 1 + millis / 100,
            1_001..=3_000 => 11,
            _ => millis,
        };
        let millis = Duration::from_millis;
        assert_eq!(
            watch(50, beats, 6_000),
            [(1_400, Sight::Hangs(millis(400))), (3_050, Sight::GoesOn(millis(2_050)))]
        );
    }

    #[test]
    fn who_has_not_begun_or_rests_is_not_awaited() {
        assert_eq!(watch(50, |_| 0, 5_000), []);
        assert_eq!(watch(50, |millis| if millis < 1_000 { 1 + millis } else { 0 }, 5_000), []);
    }

    #[test]
    fn a_slow_beat_is_a_beat() {
        assert_eq!(watch(50, |millis| 1 + millis / 350, 10_000), []);
    }

    #[test]
    fn looks_that_are_late_prove_nothing() {
        assert_eq!(watch(80, |_| 7, 10_000), []);
        let mut vigil = Vigil::begin(Timestamp::ZERO);
        let mut seen = Vec::new();
        // On time, then everything stands still for ten seconds, and goes on.
        for millis in (50..=300).step_by(50).chain([10_000]).chain((10_050..10_300).step_by(50)) {
            let beats = if millis > 10_150 { 8 } else { 7 };
            seen.push(vigil.look(beats, Timestamp::from_millis(millis)));
        }
        assert!(seen.iter().all(|sight| *sight == Sight::Same), "{seen:?}");
    }
}
