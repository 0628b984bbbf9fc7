//! The keys of `[peers]`, their defaults and their limits.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::duration;
use crate::base::problem::Problem;

/// Each message goes to each of them.
const MOST_GROUPS: usize = 8;
const INTERVAL: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(10);

/// How servers and router sides know each other.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Peer messages are sent and listened for.
    pub enabled: bool,
    /// The multicast group they are sent to: link scope.
    pub group: Ipv6Addr,
    /// More such groups, spoken to and listened to as well: several farms of servers on one link.
    pub groups: Vec<Ipv6Addr>,
    /// Their UDP port.
    pub port: u16,
    /// Time between them; 1 s in idle standby. 50 ms to 10 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// File with the HMAC-SHA256 key; empty: unsigned.
    pub key_file: PathBuf,
    /// Unicast peers beyond the link.
    pub addresses: Vec<Ipv6Addr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            group: Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4844),
            groups: Vec::new(),
            port: 4844,
            interval: Duration::from_millis(300),
            key_file: PathBuf::new(),
            addresses: Vec::new(),
        }
    }
}

impl Config {
    /// All groups, the first one first.
    pub fn all_groups(&self) -> impl Iterator<Item = &Ipv6Addr> {
        std::iter::once(&self.group).chain(&self.groups)
    }

    /// Adds what is wrong with the values to `problems`; `key_prefix` is this table's path, `peers`.
    pub fn check(&self, key_prefix: &str, problems: &mut Vec<Problem>) {
        let mut refuse = |key: String, what: String, cure: &str| problems.push(Problem::new(format!("{key_prefix}.{key}"), what, cure));
        if !is_link_scope_group(self.group) {
            refuse(
                "group".to_owned(),
                format!("{} is no multicast group of link scope", self.group),
                "write a group like \"ff12::4844\"",
            );
        }
        if self.groups.len() > MOST_GROUPS {
            refuse(
                "groups".to_owned(),
                format!("{} groups are more than a link needs", self.groups.len()),
                "write up to 8 groups; servers of one farm need one",
            );
        }
        for (index, group) in self.groups.iter().enumerate() {
            if !is_link_scope_group(*group) {
                refuse(
                    format!("groups[{index}]"),
                    format!("{group} is no multicast group of link scope"),
                    "write a group like \"ff12::4845\"",
                );
            } else if self.all_groups().take(index + 1).any(|known| known == group) {
                refuse(
                    format!("groups[{index}]"),
                    format!("{group} is there already"),
                    "write each group once; `group` is one of them",
                );
            }
        }
        if self.port == 0 {
            refuse(
                "port".to_owned(),
                "port 0 cannot be listened on".to_owned(),
                "write a port from 1 to 65535",
            );
        }
        if !INTERVAL.contains(&self.interval) {
            refuse(
                "interval".to_owned(),
                format!("an interval of {} is out of range", duration::format(self.interval)),
                "write a duration from \"50ms\" to \"10s\"",
            );
        }
        for (index, address) in self.addresses.iter().enumerate() {
            if address.is_multicast() || address.is_unspecified() || address.is_loopback() {
                refuse(
                    format!("addresses[{index}]"),
                    format!("{address} is no unicast address of another server"),
                    "write the peer's own unicast address; peers on the link need none",
                );
            }
        }
    }
}

fn is_link_scope_group(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xff0f == 0xff02
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> Vec<String> {
        let mut problems = Vec::new();
        config.check("peers", &mut problems);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(problems(&Config::default()), Vec::<String>::new());
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }

    #[test]
    fn every_wrong_value_is_reported() {
        let config = Config {
            group: "ff05::1".parse().unwrap(),
            port: 0,
            interval: Duration::from_millis(10),
            addresses: vec!["2001:db8::1".parse().unwrap(), "ff02::1".parse().unwrap()],
            ..Config::default()
        };
        assert_eq!(
            problems(&config),
            ["peers.group", "peers.port", "peers.interval", "peers.addresses[1]"]
        );
    }

    #[test]
    fn more_groups_are_of_the_link_and_differ() {
        let group = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let mut config = Config {
            groups: vec![group("ff12::4845"), group("ff02::4846")],
            ..Config::default()
        };
        assert_eq!(problems(&config), Vec::<String>::new());
        config
            .groups
            .extend(["ff12::4844", "ff12::4845", "ff05::1", "2001:db8::1"].map(group));
        assert_eq!(
            problems(&config),
            ["peers.groups[2]", "peers.groups[3]", "peers.groups[4]", "peers.groups[5]"]
        );
        config.groups = (0..9).map(|last| Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 1, last)).collect();
        assert_eq!(problems(&config), ["peers.groups"]);
    }

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_refused() {
        let read: Config = serde_json::from_str(r#"{"key-file":"peers.key","interval":"100ms"}"#).unwrap();
        assert_eq!(read.key_file, PathBuf::from("peers.key"));
        assert!(serde_json::from_str::<Config>(r#"{"key_file":"x"}"#).is_err());
    }
}
