//! The keys of `[router]`, their defaults and their limits.

use std::net::Ipv6Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::address::{LinkLayerAddress, ServiceAddress};
use crate::base::duration;
use crate::base::forwarding::Grouping;
use crate::base::problem::Problem;

const DEAD_AFTER: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const TCP_IDLE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);

/// How the router side delivers queries, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The link shared with the servers.
    pub interface: String,
    /// The service addresses whose queries are delivered.
    pub services: Vec<Ipv6Addr>,
    /// To which of the servers queries go.
    pub policy: Policy,
    /// By which groups of next hops the kernel delivers.
    pub group: Grouping,
    /// An active server not heard for so long leaves: 100 ms to 60 s.
    #[serde(with = "duration")]
    pub dead_after: Duration,
    /// A TCP connection can be silent for so long and still lives: above the servers' `[dns] tcp-idle`. 1 s to an hour.
    #[serde(with = "duration")]
    pub tcp_idle: Duration,
    /// Only servers whose signed peer messages are heard; advertisements then change nothing.
    pub require_signed: bool,
    /// Only servers with these link-layer addresses; empty: all.
    pub allowed_macs: Vec<LinkLayerAddress>,
}

/// To which of the servers queries go: the claims' "predetermined way".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The one that advertised last, as in a stock router (claims 3 and 5).
    Latest,
    /// All active ones in equal shares (claim 15).
    RoundRobin,
    /// All active ones by their weight, corrected by the load that they tell (claims 15 to 17).
    #[default]
    Weighted,
}

impl Policy {
    /// The policy's name in the config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interface: String::new(),
            services: Vec::new(),
            policy: Policy::default(),
            group: Grouping::default(),
            dead_after: Duration::from_millis(900),
            // Half as much again as the servers' limit, so that retransmissions find their server too.
            tcp_idle: Duration::from_secs(15),
            require_signed: false,
            allowed_macs: Vec::new(),
        }
    }
}

impl Config {
    /// Adds what is wrong with the values to `problems`; `key_prefix` is this table's path, `router`. Returns the service addresses.
    pub fn check(&self, key_prefix: &str, problems: &mut Vec<Problem>) -> Vec<ServiceAddress> {
        let mut refuse = |key: String, what: String, cure: &str| problems.push(Problem::new(format!("{key_prefix}.{key}"), what, cure));
        if self.interface.is_empty() {
            let cure = "name the interface towards the servers, like \"eth1\"";
            refuse("interface".to_owned(), "no interface is named".to_owned(), cure);
        }
        if self.services.is_empty() {
            let cure = "name the addresses that the servers share, like [\"2001:db8:5::53\"]";
            refuse("services".to_owned(), "no service address is named".to_owned(), cure);
        }
        let mut services = Vec::new();
        for (index, address) in self.services.iter().enumerate() {
            let key = || format!("services[{index}]");
            match ServiceAddress::new(*address) {
                Ok(service) if services.contains(&service) => refuse(key(), format!("{service} is named twice"), "name it once"),
                Ok(service) => services.push(service),
                Err(refused) => refuse(key(), refused.to_string(), "write the unicast address that the servers share"),
            }
        }
        if !DEAD_AFTER.contains(&self.dead_after) {
            refuse(
                "dead-after".to_owned(),
                format!("{} is out of range", duration::format(self.dead_after)),
                "write a duration from \"100ms\" to \"60s\"",
            );
        }
        if !TCP_IDLE.contains(&self.tcp_idle) {
            refuse(
                "tcp-idle".to_owned(),
                format!("{} is out of range", duration::format(self.tcp_idle)),
                "write a duration from \"1s\" to \"1h\", above the servers' [dns] tcp-idle",
            );
        }
        for (index, address) in self.allowed_macs.iter().enumerate() {
            if address.is_group() || address.is_zero() {
                let what = format!("{address} is no server's link-layer address");
                refuse(format!("allowed-macs[{index}]"), what, "write the server's own address");
            }
        }
        services
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> Vec<String> {
        let mut problems = Vec::new();
        config.check("router", &mut problems);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    fn example() -> Config {
        serde_json::from_str(r#"{"interface":"lan","services":["2001:db8:5::53"]}"#).unwrap()
    }

    #[test]
    fn interface_and_services_are_enough() {
        assert_eq!(problems(&example()), Vec::<String>::new());
        assert_eq!(problems(&Config::default()), ["router.interface", "router.services"]);
        assert_eq!(example().check("router", &mut Vec::new())[0].to_string(), "2001:db8:5::53");
    }

    #[test]
    fn every_wrong_value_is_reported() {
        let text = r#"{"interface":"lan","services":["ff02::1","2001:db8::1","2001:db8::1"],"dead-after":"90ms",
            "allowed-macs":["02:00:00:00:00:01","33:33:00:00:00:01","00:00:00:00:00:00"]}"#;
        let expected = [
            "router.services[0]",
            "router.services[2]",
            "router.dead-after",
            "router.allowed-macs[1]",
            "router.allowed-macs[2]",
        ];
        assert_eq!(problems(&serde_json::from_str(text).unwrap()), expected);
    }

    #[test]
    fn keys_and_values_are_kebab_case_and_unknown_ones_refused() {
        let text = r#"{"policy":"round-robin","group":"resilient","require-signed":true,"allowed-macs":["02:00:00:00:00:01"]}"#;
        let read: Config = serde_json::from_str(text).unwrap();
        assert_eq!((read.policy, read.group), (Policy::RoundRobin, Grouping::Resilient));
        assert_eq!(read.allowed_macs, [LinkLayerAddress([2, 0, 0, 0, 0, 1])]);
        for policy in [Policy::Latest, Policy::RoundRobin, Policy::Weighted] {
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.name());
        }
        for wrong in [r#"{"allowed_macs":[]}"#, r#"{"policy":"random"}"#, r#"{"allowed-macs":["02:00"]}"#] {
            assert!(serde_json::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
    }
}
