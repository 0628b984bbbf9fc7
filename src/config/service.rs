//! `[service]`: the service-specific anycast address (314) and this server's share of it.

use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::base::address::ServiceAddress;
use crate::base::problem::Problem;

/// The keys of `[service]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The addresses that the servers share; one election for all of them.
    pub addresses: Vec<IpAddr>,
    /// UDP and TCP port.
    pub port: u16,
    /// The link shared with the router and the peers.
    pub interface: String,
    /// Queries per second this server can take; 0: learned.
    pub capacity: u32,
    /// Share in rotate mode and at a router side, against the peers' weights.
    pub weight: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            port: 53,
            interface: String::new(),
            capacity: 0,
            weight: 100,
        }
    }
}

/// `[service]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// At least one, all different.
    pub addresses: Vec<ServiceAddress>,
    /// UDP and TCP port.
    pub port: NonZeroU16,
    /// A name that an interface can have; whether it is there is seen at run time.
    pub interface: String,
    /// Queries per second this server can take; `None`: learned.
    pub capacity: Option<u32>,
    /// Share against the peers' weights; not zero.
    pub weight: NonZeroU16,
}

impl Config {
    /// The checked service, or everything that is wrong with it.
    pub fn check(&self, problems: &mut Vec<Problem>) -> Option<Service> {
        let before = problems.len();
        let addresses = self.check_addresses(problems);
        let port = NonZeroU16::new(self.port);
        if port.is_none() {
            let what = "port 0 is no port that resolvers can ask";
            problems.push(Problem::new("service.port", what, "write 53, or leave the key out"));
        }
        if let Err(problem) = check_interface("service.interface", &self.interface) {
            problems.push(problem);
        }
        let weight = NonZeroU16::new(self.weight);
        if weight.is_none() {
            let cure = "write a share above 0 (100 is the usual one); `heraldns drain` takes a server out";
            problems.push(Problem::new("service.weight", "weight 0 would never get a query", cure));
        }
        if problems.len() > before {
            return None;
        }
        Some(Service {
            addresses,
            port: port?,
            interface: self.interface.clone(),
            capacity: Some(self.capacity).filter(|capacity| *capacity > 0),
            weight: weight?,
        })
    }

    fn check_addresses(&self, problems: &mut Vec<Problem>) -> Vec<ServiceAddress> {
        if self.addresses.is_empty() {
            let cure = "write addresses = [\"2001:db8:5::53\"] with the address that the servers share, or remove [service]";
            problems.push(Problem::new("service.addresses", "there is no service address", cure));
        }
        let mut checked: Vec<ServiceAddress> = Vec::new();
        for (index, address) in self.addresses.iter().enumerate() {
            let key = format!("service.addresses[{index}]");
            match check_address(*address) {
                Ok(address) if checked.contains(&address) => {
                    problems.push(Problem::new(key, format!("{address} is listed twice"), "remove one of them"));
                }
                Ok(address) => checked.push(address),
                Err((what, cure)) => problems.push(Problem::new(key, what, cure)),
            }
        }
        checked
    }
}

fn check_address(address: IpAddr) -> Result<ServiceAddress, (String, &'static str)> {
    match address {
        IpAddr::V4(address) => Err((
            format!("{address} is an IPv4 address, and service addresses are advertised by IPv6 protocols only"),
            "write an IPv6 address here; IPv4 addresses are served from [dns] listen, without being advertised",
        )),
        IpAddr::V6(address) => ServiceAddress::new(address).map_err(|refused| {
            let cure = "write a global or unique local IPv6 address that the router forwards to this link";
            let what = format!("{} cannot be a service address: it is {}", refused.address, refused.why);
            (what, cure)
        }),
    }
}

/// Checks that `name` can be the name of an interface.
///
/// # Errors
/// The problem, under `key`.
pub fn check_interface(key: &str, name: &str) -> Result<(), Problem> {
    /// IFNAMSIZ without the final zero.
    const LONGEST: usize = 15;
    let refuse = |what: String| {
        let cure = "write the name of the link shared with the router, as `ip link` shows it";
        Err(Problem::new(key, what, cure))
    };
    if name.is_empty() {
        return refuse("the interface is missing".to_owned());
    }
    if name.len() > LONGEST || name.contains(|character: char| character == '/' || character.is_whitespace()) {
        return refuse(format!("'{name}' cannot be the name of an interface"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(addresses: &[&str]) -> Config {
        Config {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            interface: "eth0".to_owned(),
            ..Config::default()
        }
    }

    #[test]
    fn a_good_service_becomes_checked_types() {
        let mut problems = Vec::new();
        let service = config(&["2001:db8:5::53"]).check(&mut problems).unwrap();
        assert_eq!(problems, []);
        assert_eq!(service.port.get(), 53);
        assert_eq!(service.capacity, None);
    }

    #[test]
    fn every_address_that_cannot_be_shared_is_named() {
        let mut problems = Vec::new();
        let refused = ["192.0.2.1", "fe80::1", "ff02::1", "::1", "2001:db8::1", "2001:db8::1"];
        assert_eq!(config(&refused).check(&mut problems), None);
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(
            keys,
            [0, 1, 2, 3, 5].map(|index| format!("service.addresses[{index}]")),
            "{problems:?}"
        );
    }

    #[test]
    fn interfaces_have_short_names_without_slashes() {
        assert!(check_interface("key", "eth0").is_ok());
        for refused in ["", "a/b", "eth 0", "sixteen-is-much-2"] {
            assert!(check_interface("key", refused).is_err(), "{refused}");
        }
    }
}
