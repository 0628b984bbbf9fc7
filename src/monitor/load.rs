//! The load of this server, from counts: what it is asked and how busy those are who answer, against what it can take.
//!
//! Pure arithmetic; `monitor` reads the counts. Load = the larger of queries/s over capacity and the busy share of the
//! busiest crew, times (read + dropped) / read: what a full queue lost was asked too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::rate::Rate;
use crate::base::time::Timestamp;

/// Load and rates forget with this time constant.
pub const SMOOTHING: Duration = Duration::from_secs(10);
/// The recent load with this one: a router side shifts shares within seconds, and must see what came of the last shift.
pub const RECENT: Duration = Duration::from_millis(1_500);
/// What is learned of the capacity forgets with this one.
const LEARNING: Duration = Duration::from_secs(60);
/// Below this busy share nothing is learned: a worker that wakes for each query needs more time for it than a full one.
const TELLING: f64 = 0.25;
/// More than this is not told apart.
const MOST: f64 = 10.0;

/// Threads that share one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Crew {
    /// The UDP workers of one address, by the time that their threads had a processor.
    Threads(SocketAddr),
    /// The same, by the time that they had a batch in hand: more, where they have to wait for a processor with it.
    Batches(SocketAddr),
    /// The runtime's threads: everything with connections.
    Runtime,
}

/// What a crew has done since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Who.
    pub crew: Crew,
    /// How many they are.
    pub threads: usize,
    /// How long they worked, all together.
    pub busy: Duration,
}

/// What came in since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inflow {
    /// Queries that were read.
    pub read: u64,
    /// Datagrams that the kernel dropped because a queue was full.
    pub dropped: u64,
}

/// Measures the load.
#[derive(Clone, Debug)]
pub struct Meter {
    configured: Option<u32>,
    smoothed: Window,
    recent: Window,
    learned: Option<f64>,
    last: Option<Timestamp>,
}

/// The same counts as rates over one time constant.
#[derive(Clone, Debug)]
struct Window {
    horizon: Duration,
    read: Rate,
    dropped: Rate,
    crews: BTreeMap<Crew, (Rate, usize)>,
}

impl Meter {
    /// For a server whose capacity is `configured`, in queries a second, or is to be learned.
    #[must_use]
    pub const fn new(configured: Option<u32>) -> Self {
        Self {
            configured,
            smoothed: Window::over(SMOOTHING),
            recent: Window::over(RECENT),
            learned: None,
            last: None,
        }
    }

    /// Takes the counts as they are at `now`.
    pub fn update(&mut self, inflow: Inflow, work: &[Work], now: Timestamp) {
        self.smoothed.update(inflow, work, now);
        self.recent.update(inflow, work, now);
        let elapsed = self.last.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        self.learn(elapsed);
    }

    /// The share of its time that the busiest crew works, 0 to 1.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.smoothed.busy()
    }

    /// Queries a second that are asked, lost ones too.
    #[must_use]
    pub fn offered(&self) -> f64 {
        self.smoothed.read.per_second() + self.smoothed.dropped.per_second()
    }

    /// Queries a second that this server can take; the smaller of what is configured and what was learned. `None`: not known.
    #[must_use]
    pub fn capacity(&self) -> Option<f64> {
        let configured = self.configured.map(f64::from);
        match (configured, self.learned) {
            (Some(configured), Some(learned)) => Some(configured.min(learned)),
            (known, None) | (None, known) => known,
        }
    }

    /// Share of the capacity that is asked: 0 to 1 and above.
    #[must_use]
    pub fn load(&self) -> f64 {
        self.smoothed.load(self.configured)
    }

    /// The same over the last second or two.
    #[must_use]
    pub fn recent_load(&self) -> f64 {
        self.recent.load(self.configured)
    }

    fn learn(&mut self, elapsed: Duration) {
        let (busy, read) = (self.busy(), self.smoothed.read.per_second());
        if busy < TELLING || read < 1.0 {
            return;
        }
        let seen = read / busy;
        let keep = (-elapsed.as_secs_f64() / LEARNING.as_secs_f64()).exp();
        self.learned = Some(self.learned.map_or(seen, |known| known * keep + seen * (1.0 - keep)));
    }
}

impl Window {
    const fn over(horizon: Duration) -> Self {
        Self {
            horizon,
            read: Rate::over(horizon),
            dropped: Rate::over(horizon),
            crews: BTreeMap::new(),
        }
    }

    fn update(&mut self, inflow: Inflow, work: &[Work], now: Timestamp) {
        self.read.update(inflow.read, now);
        self.dropped.update(inflow.dropped, now);
        self.crews.retain(|crew, _| work.iter().any(|work| work.crew == *crew));
        for work in work {
            let (rate, threads) = self.crews.entry(work.crew).or_insert((Rate::over(self.horizon), work.threads));
            *threads = work.threads;
            rate.update(u64::try_from(work.busy.as_nanos()).unwrap_or(u64::MAX), now);
        }
    }

    fn busy(&self) -> f64 {
        let share = |(rate, threads): &(Rate, usize)| rate.per_second() / 1e9 / (*threads).max(1) as f64;
        self.crews.values().map(share).fold(0.0, f64::max).min(1.0)
    }

    fn load(&self, configured: Option<u32>) -> f64 {
        let read = self.read.per_second();
        let used = configured.map_or(0.0, |capacity| read / f64::from(capacity));
        let lost = 1.0 + self.dropped.per_second() / read.max(1.0);
        (used.max(self.busy()) * lost).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` of `rate` queries a second, `dropped` more lost, and workers busy for so many thousandths of each second.
    struct Day {
        meter: Meter,
        at: u64,
        inflow: Inflow,
        busy: Duration,
    }

    impl Day {
        fn new(configured: Option<u32>) -> Self {
            Self {
                meter: Meter::new(configured),
                at: 0,
                inflow: Inflow::default(),
                busy: Duration::ZERO,
            }
        }

        fn pass(&mut self, seconds: u64, rate: u64, dropped: u64, busy: [u64; 2]) -> &Meter {
            let crews = [Crew::Threads("[::1]:53".parse().unwrap()), Crew::Runtime];
            let mut others = Duration::ZERO;
            for _ in 0..seconds {
                self.at += 1;
                self.inflow.read += rate;
                self.inflow.dropped += dropped;
                self.busy += Duration::from_millis(busy[0]);
                others += Duration::from_millis(busy[1]);
                let work = |crew, busy| Work { crew, threads: 2, busy };
                let work = [work(crews[0], self.busy), work(crews[1], others)];
                self.meter.update(self.inflow, &work, Timestamp::from_secs(self.at));
            }
            &self.meter
        }
    }

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() <= expected * 0.02 + 0.001, "{value} is not {expected}");
    }

    #[test]
    fn load_is_the_larger_of_queries_and_busy_share() {
        near(Day::new(Some(1_000)).pass(100, 400, 0, [100, 0]).load(), 0.4);
        near(Day::new(Some(1_000)).pass(100, 100, 0, [1_000, 0]).load(), 0.5);
        near(Day::new(None).pass(100, 400, 0, [100, 0]).load(), 0.05);
    }

    #[test]
    fn the_busiest_crew_counts_not_the_mean_of_all() {
        near(Day::new(None).pass(100, 100, 0, [200, 1_600]).load(), 0.8);
    }

    #[test]
    fn what_a_full_queue_lost_was_asked_too() {
        let mut day = Day::new(None);
        let meter = day.pass(100, 900, 300, [2_000, 0]);
        near(meter.load(), 4.0 / 3.0);
        near(meter.offered(), 1_200.0);
        near(day.pass(100, 900, 0, [2_000, 0]).load(), 1.0);
    }

    #[test]
    fn load_is_smoothed_over_ten_seconds() {
        let mut day = Day::new(Some(1_000));
        day.pass(1, 0, 0, [0, 0]);
        near(day.pass(10, 1_000, 0, [0, 0]).load(), 1.0 - (-1.0_f64).exp());
        near(day.pass(60, 1_000, 0, [0, 0]).load(), 1.0);
        near(day.pass(10, 0, 0, [0, 0]).load(), (-1.0_f64).exp());
    }

    #[test]
    fn recent_load_is_the_same_smoothed_over_a_second_and_a_half() {
        let mut day = Day::new(Some(1_000));
        day.pass(1, 0, 0, [0, 0]);
        near(day.pass(3, 1_000, 0, [0, 0]).recent_load(), 1.0 - (-2.0_f64).exp());
        let meter = day.pass(60, 900, 300, [2_000, 0]);
        near(meter.recent_load(), 4.0 / 3.0);
        near(meter.recent_load(), meter.load());
        near(day.pass(3, 0, 0, [0, 0]).recent_load(), (-2.0_f64).exp() * 4.0 / 3.0);
    }

    #[test]
    fn capacity_is_learned_while_workers_are_busy_and_kept_when_they_are_not() {
        let mut day = Day::new(None);
        assert_eq!(day.pass(100, 100, 0, [200, 0]).capacity(), None, "a tenth busy tells nothing");
        near(day.pass(300, 800, 0, [1_600, 0]).capacity().unwrap(), 1_000.0);
        let known = day.pass(1, 0, 0, [0, 0]).capacity().unwrap();
        near(day.pass(1_000, 0, 0, [0, 0]).capacity().unwrap(), known);
    }

    #[test]
    fn a_configured_capacity_that_the_workers_cannot_reach_is_not_told() {
        let mut day = Day::new(Some(1_000));
        near(day.pass(10, 100, 0, [20, 0]).capacity().unwrap(), 1_000.0);
        near(day.pass(300, 600, 0, [2_000, 0]).capacity().unwrap(), 600.0);
    }
}
