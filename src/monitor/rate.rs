//! From two counts to a rate, and from rates to a smoothed one.

use std::time::Duration;

use crate::base::time::Timestamp;

/// A rate a second of something that is counted, smoothed exponentially over `horizon`.
#[derive(Clone, Debug)]
pub struct Rate {
    horizon: Duration,
    last: Option<(Timestamp, u64)>,
    smoothed: f64,
}

impl Rate {
    /// A rate that forgets with the time constant `horizon`.
    #[must_use]
    pub const fn over(horizon: Duration) -> Self {
        Self {
            horizon,
            last: None,
            smoothed: 0.0,
        }
    }

    /// Takes the count as it is at `now`. Counts that went back (a restart) begin anew.
    pub fn update(&mut self, count: u64, now: Timestamp) {
        let Some((then, before)) = self.last.replace((now, count)) else {
            return;
        };
        let elapsed = now.since(then).as_secs_f64();
        let Some(grown) = count.checked_sub(before).filter(|_| elapsed > 0.0) else {
            return;
        };
        let keep = (-elapsed / self.horizon.as_secs_f64()).exp();
        self.smoothed = self.smoothed * keep + (grown as f64 / elapsed) * (1.0 - keep);
    }

    /// Units a second.
    #[must_use]
    pub const fn per_second(&self) -> f64 {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_count_becomes_its_rate() {
        let mut rate = Rate::over(Duration::from_secs(1));
        for step in 0..200_u64 {
            rate.update(step * 10, Timestamp::from_millis(step * 100));
        }
        assert!((rate.per_second() - 100.0).abs() < 0.1, "{}", rate.per_second());
    }

    #[test]
    fn silence_decays_and_a_restart_is_no_spike() {
        let mut rate = Rate::over(Duration::from_secs(1));
        rate.update(0, Timestamp::ZERO);
        rate.update(1_000, Timestamp::from_secs(1));
        let busy = rate.per_second();
        rate.update(1_000, Timestamp::from_secs(6));
        assert!(rate.per_second() < busy / 100.0);
        rate.update(5, Timestamp::from_secs(7));
        assert!(rate.per_second() < busy / 100.0);
    }
}
