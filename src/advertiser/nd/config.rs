//! The keys of `[[advertiser]]` with `protocol = "nd"`, their defaults and their limits.
//!
//! The `protocol` tag itself belongs to the list of advertisers, not to this part.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::duration;
use crate::base::problem::Problem;

const INTERVAL: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(10);
const SHORTEST_TURN: Duration = Duration::from_millis(20);

/// How Neighbor Discovery advertises.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Who of the ready servers advertises.
    pub mode: Mode,
    /// Time between the holder's unsolicited advertisements: 50 ms to 10 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// When advertising begins.
    pub start: Start,
    /// What idle standby leaves in the router.
    pub idle: Idle,
    /// Rotate only: length of a turn at equal weights, at least 20 ms.
    #[serde(with = "duration")]
    pub turn: Duration,
}

/// Who of the ready servers advertises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One holder; the others are silent until it leaves or dies.
    #[default]
    Failover,
    /// The ready servers take turns (claim 6).
    Rotate,
    /// Every server at once, without Override, for a router side that keeps them all (claim 15).
    Member,
}

/// When advertising begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// As soon as the server is ready (claim 1).
    #[default]
    Ready,
    /// With the first solicitation (claim 2).
    Solicited,
}

/// What idle standby leaves in the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// The holder's own link-layer address.
    #[default]
    Silent,
    /// The link-layer address of the solicited-node group: the first query reaches every live server.
    GroupMac,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            interval: Duration::from_millis(300),
            start: Start::default(),
            idle: Idle::default(),
            turn: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Adds what is wrong with the values to `problems`; `key_prefix` is this table's path, as in `advertiser[0]`.
    pub fn check(&self, key_prefix: &str, problems: &mut Vec<Problem>) {
        if !INTERVAL.contains(&self.interval) {
            problems.push(Problem::new(
                format!("{key_prefix}.interval"),
                format!("an interval of {} is out of range", duration::format(self.interval)),
                "write a duration from \"50ms\" to \"10s\"",
            ));
        }
        if self.turn < SHORTEST_TURN {
            problems.push(Problem::new(
                format!("{key_prefix}.turn"),
                format!("a turn of {} is too short", duration::format(self.turn)),
                "write \"20ms\" or more",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> Vec<String> {
        let mut problems = Vec::new();
        config.check("advertiser[0]", &mut problems);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(problems(&Config::default()), Vec::<String>::new());
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }

    #[test]
    fn limits_are_checked_at_both_ends() {
        let with_interval = |interval| Config {
            interval,
            ..Config::default()
        };
        for (interval, right) in [
            (Duration::from_millis(49), false),
            (Duration::from_millis(50), true),
            (Duration::from_secs(10), true),
            (Duration::from_millis(10_001), false),
        ] {
            assert_eq!(problems(&with_interval(interval)).is_empty(), right, "{interval:?}");
        }
        let short = Config {
            turn: Duration::from_millis(19),
            ..Config::default()
        };
        assert_eq!(problems(&short), ["advertiser[0].turn"]);
    }

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_refused() {
        let read: Config = serde_json::from_str(r#"{"mode":"rotate","start":"solicited","idle":"group-mac","turn":"100ms"}"#).unwrap();
        assert_eq!((read.mode, read.start, read.idle), (Mode::Rotate, Start::Solicited, Idle::GroupMac));
        assert_eq!(read.turn, Duration::from_millis(100));
        assert!(serde_json::from_str::<Config>(r#"{"intervall":"1s"}"#).is_err());
    }
}
