//! Whether main hangs, as the guardian sees it: a beat that no longer moves, looked at often and counted in looks.
//!
//! A farewell for a main that lives takes a healthy server away, so a look counts only if the guardian itself was on time: where
//! the whole machine was stopped or too busy, nobody knows which of the two it was. And a main that waits inside the kernel, for
//! the lock of all network settings, say, is given more time: it does not hang, and its queries are answered meanwhile.

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
/// A main that is found waiting inside the kernel then is given all of its time again, until its silence is as long as this.
const IN_KERNEL: Duration = Duration::from_secs(2);

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

    /// One look, if it is due. `beats`: 0 as long as main is not to be watched. `is_in_kernel` is asked only when it matters.
    pub(super) fn look(&mut self, beats: u64, is_in_kernel: impl FnOnce() -> bool, now: Timestamp) -> Sight {
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
        if self.still < TOLERATED {
            return Sight::Same;
        }
        if silence < IN_KERNEL && is_in_kernel() {
            self.still = 0;
            return Sight::Same;
        }
        Sight::Hangs(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every so many milliseconds with what main's beat is then: what was seen, and when.
    fn watch(every: u64, beats: impl Fn(u64) -> u64, end: u64) -> Vec<(u64, Sight)> {
        watch_kernel(every, beats, |_| false, end)
    }

    /// The same with when main waits inside the kernel.
    fn watch_kernel(every: u64, beats: impl Fn(u64) -> u64, waits: impl Fn(u64) -> bool, end: u64) -> Vec<(u64, Sight)> {
        let mut vigil = Vigil::begin(Timestamp::ZERO);
        let times = (0..end).step_by(every as usize);
        let seen = times.map(|millis| (millis, vigil.look(beats(millis), || waits(millis), Timestamp::from_millis(millis))));
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
    fn who_waits_inside_the_kernel_is_given_time_and_not_for_ever() {
        let millis = Duration::from_millis;
        let beats = |until: u64| move |millis: u64| if (1_001..until).contains(&millis) { 11 } else { 1 + millis / 100 };
        assert_eq!(
            watch_kernel(50, beats(2_600), |millis| millis < 2_500, 6_000),
            [],
            "and time to beat after it"
        );
        assert_eq!(
            watch_kernel(50, beats(6_000), |_| true, 5_000),
            [(3_000, Sight::Hangs(millis(2_000)))],
            "a dead disk is no reason to stay"
        );
        let waits_first = |millis| millis < 1_600;
        assert_eq!(
            watch_kernel(50, beats(6_000), waits_first, 5_000),
            [(1_800, Sight::Hangs(millis(800)))],
            "it has come out of the kernel, and hangs"
        );
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
            seen.push(vigil.look(beats, || false, Timestamp::from_millis(millis)));
        }
        assert!(seen.iter().all(|sight| *sight == Sight::Same), "{seen:?}");
    }
}
