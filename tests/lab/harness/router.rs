//! A stock Linux router: its neighbour entry for the service address, read and brought into any state.

use heraldns::base::address::LinkLayerAddress;

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
        let entries: serde_json::Value = serde_json::from_str(&shown).expect("ip prints JSON");
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

    /// Whether unsolicited Neighbor Advertisements are dropped on the link.
    pub(crate) fn drop_unsolicited(&self, drop: bool) {
        self.namespace
            .sysctl("net/ipv6/conf/lan0/drop_unsolicited_na", if drop { "1" } else { "0" });
    }
}
