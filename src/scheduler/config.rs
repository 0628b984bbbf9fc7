//! `[scheduler]`: when this server goes silent, how long it waits before it comes back, how long a drain may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::duration;
use crate::base::problem::Problem;

const LONGEST: Duration = Duration::from_secs(3_600);

/// The keys of `[scheduler]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// No query to a service address from others for so long: idle standby. Zero: never.
    #[serde(with = "duration")]
    pub standby_after: Duration,
    /// Healthy for so long before advertising again after a failure; at a start only if another holder is heard.
    #[serde(with = "duration")]
    pub hold: Duration,
    /// A drain ends after so long even if queries still come.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            standby_after: Duration::from_secs(30),
            hold: Duration::from_secs(3),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Adds what is wrong with these values.
    pub fn check(&self, problems: &mut Vec<Problem>) {
        for (key, value) in [("scheduler.hold", self.hold), ("scheduler.drain-timeout", self.drain_timeout)] {
            if value > LONGEST {
                let what = format!("{} is longer than {}", duration::format(value), duration::format(LONGEST));
                problems.push(Problem::new(key, what, "write a shorter time"));
            }
        }
        if self.drain_timeout.is_zero() {
            let cure = "write how long a drain may wait for the last query, as in \"10s\"";
            problems.push(Problem::new("scheduler.drain-timeout", "a drain needs time", cure));
        }
        let shortest = Duration::from_secs(1);
        if !self.standby_after.is_zero() && self.standby_after < shortest {
            let what = format!("{} without a query is no sign of idleness", duration::format(self.standby_after));
            problems.push(Problem::new(
                "scheduler.standby-after",
                what,
                "write at least \"1s\", or \"0s\" for never",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problems() {
        let mut problems = Vec::new();
        Config::default().check(&mut problems);
        assert_eq!(problems, []);
    }

    #[test]
    fn times_that_cannot_work_are_named() {
        let config = Config {
            standby_after: Duration::from_millis(10),
            hold: Duration::from_secs(7_200),
            drain_timeout: Duration::ZERO,
        };
        let mut problems = Vec::new();
        config.check(&mut problems);
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["scheduler.hold", "scheduler.drain-timeout", "scheduler.standby-after"]);
    }
}
