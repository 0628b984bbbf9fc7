//! A stock Linux router: its neighbour entry and its route for the service address, read, and the entry brought into any state.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::base::address::LinkLayerAddress;
use serde_json::Value;

use super::clock;
use super::command::{output, run};
use super::namespace::Namespace;
use super::network::SERVICE;

/// A router between the client and the link: the kernel's own forwarding and Neighbor Discovery.
#[derive(Debug)]
pub(crate) struct Router {
    /// Where it runs; `lan0` is on the link.
    pub(crate) namespace: Namespace,
    /// Its link-layer address on the link.
    pub(crate) mac: LinkLayerAddress,
}

/// What `ip -6 neigh` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbor {
    /// `REACHABLE`, `STALE`, `FAILED`, ...
    pub(crate) state: String,
    /// Where packets go; none while INCOMPLETE or FAILED.
    pub(crate) mac: Option<LinkLayerAddress>,
}

impl Router {
    pub(crate) fn new(namespace: Namespace, mac: LinkLayerAddress) -> Self {
        Self { namespace, mac }
    }

    /// The entry of the service address, if there is one.
    pub(crate) fn entry(&self) -> Option<Neighbor> {
        let shown = run(&mut self
            .namespace
            .ip(&["-json", "neighbor", "show", "to", &SERVICE.to_string(), "dev", "lan0"]));
        let entries: Value = serde_json::from_str(&shown).expect("ip prints JSON");
        let entry = entries.get(0)?;
        Some(Neighbor {
            state: entry["state"][0].as_str().unwrap_or_default().to_owned(),
            mac: entry["lladdr"].as_str().and_then(|mac| mac.parse().ok()),
        })
    }

    /// The link-layer address that packets for the service address go to.
    pub(crate) fn next_hop(&self) -> Option<LinkLayerAddress> {
        self.entry()?.mac
    }

    /// Writes the entry, as if the router had learned `mac`.
    pub(crate) fn set_entry(&self, mac: LinkLayerAddress, state: &str) {
        let (service, mac) = (SERVICE.to_string(), mac.to_string());
        run(&mut self
            .namespace
            .ip(&["neighbor", "replace", &service, "lladdr", &mac, "nud", state, "dev", "lan0"]));
    }

    /// Makes the entry FAILED: resolved without success, and deaf to advertisements.
    pub(crate) fn fail_entry(&self) {
        let service = SERVICE.to_string();
        run(&mut self
            .namespace
            .ip(&["neighbor", "replace", &service, "nud", "failed", "dev", "lan0"]));
    }

    /// Removes the entry, if there is one.
    pub(crate) fn delete_entry(&self) {
        let _may_be_absent = output(&mut self.namespace.ip(&["neighbor", "del", &SERVICE.to_string(), "dev", "lan0"]));
    }

    /// Forgets all neighbours on the link, as a reboot does.
    pub(crate) fn flush_neighbors(&self) {
        run(&mut self.namespace.ip(&["neighbor", "flush", "dev", "lan0"]));
    }

    /// The gateways of the kernel's route to the service address alone (`/128`); empty without such a route.
    pub(crate) fn gateways(&self) -> BTreeSet<Ipv6Addr> {
        self.gateways_to(SERVICE)
    }

    /// The gateways of the kernel's route to `destination` alone.
    pub(crate) fn gateways_to(&self, destination: Ipv6Addr) -> BTreeSet<Ipv6Addr> {
        let shown = run(&mut self.namespace.ip(&["-json", "route", "show", &format!("{destination}/128")]));
        let routes: Value = serde_json::from_str(&shown).unwrap_or_default();
        let routes = routes.as_array().into_iter().flatten();
        let hops = routes.flat_map(|route| route["nexthops"].as_array().into_iter().flatten().chain([route]));
        hops.filter_map(|hop| hop["gateway"].as_str()?.parse().ok()).collect()
    }

    /// Waits until these are the gateways of the service address, and no others; returns how long that took.
    #[track_caller]
    pub(crate) fn wait_for_gateways(&self, limit: Duration, expected: impl IntoIterator<Item = Ipv6Addr>) -> Duration {
        let expected: BTreeSet<Ipv6Addr> = expected.into_iter().collect();
        let begin = clock::now();
        loop {
            let found = self.gateways();
            if found == expected {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < limit, "gateways {found:?} and not {expected:?} within {limit:?}");
        }
    }

    /// Whether unsolicited Neighbor Advertisements are dropped on the link.
    pub(crate) fn drop_unsolicited(&self, drop: bool) {
        self.namespace
            .sysctl("net/ipv6/conf/lan0/drop_unsolicited_na", if drop { "1" } else { "0" });
    }
}
