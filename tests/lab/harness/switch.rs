//! The link: a Linux bridge in a namespace of its own, with multicast snooping, and what can go wrong in a switch.

use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use heraldns::base::address::LinkLayerAddress;

use super::clock::wait_for;
use super::command::{ip_batch, output, run};
use super::namespace::Namespace;

const SOON: Duration = Duration::from_secs(5);

/// A snooping switch. Ports are named `h1`, `h2`, ... for hosts and `r1`, `r2` for routers.
#[derive(Debug)]
pub(crate) struct Switch {
    namespace: Namespace,
    ports: Vec<String>,
}

impl Switch {
    pub(crate) fn new(lab: usize) -> Self {
        let namespace = Namespace::new(lab, "lan");
        ip_batch(
            namespace.name(),
            &[
                "link add br0 address 02:00:00:00:05:fe type bridge stp_state 0 forward_delay 0 mcast_snooping 1 \
                 mcast_query_response_interval 10 mcast_querier 1"
                    .to_owned(),
                "link set br0 up".to_owned(),
            ],
        );
        Self {
            namespace,
            ports: Vec::new(),
        }
    }

    /// Connects a new interface `device` with address `station` in `namespace` to a new port.
    pub(crate) fn plug(&mut self, port: &str, namespace: &Namespace, device: &str, station: LinkLayerAddress) {
        ip_batch(
            namespace.name(),
            &[
                format!(
                    "link add {device} address {station} type veth peer name {port} netns {}",
                    self.namespace.name()
                ),
                format!("link set {device} up"),
            ],
        );
        ip_batch(self.namespace.name(), &[format!("link set {port} master br0 up")]);
        self.ports.push(port.to_owned());
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn ports(&self) -> &[String] {
        &self.ports
    }

    /// Forgets behind which port each station is.
    pub(crate) fn forget_stations(&self) {
        run(&mut self.namespace.ip(&["link", "set", "br0", "type", "bridge", "fdb_flush"]));
    }

    /// Forgets that `station` is behind `port`, if it is known.
    pub(crate) fn forget(&self, port: &str, station: LinkLayerAddress) {
        let station = station.to_string();
        let arguments = ["-netns", self.namespace.name(), "fdb", "del", &station, "dev", port, "master"];
        let _may_be_unknown = output(Command::new("bridge").args(arguments));
    }

    /// Whether frames for an unknown station go out of every port. Without, as in many fabrics, they are dropped.
    pub(crate) fn set_flooding(&self, flooding: bool) {
        for port in &self.ports {
            self.set_port(port, "flood", flooding);
        }
    }

    /// Cuts the hosts off from one another; the routers still reach each of them.
    pub(crate) fn set_partition(&self, partitioned: bool) {
        for port in self.ports.iter().filter(|port| port.starts_with('h')) {
            self.set_port(port, "isolated", partitioned);
        }
    }

    /// Takes the carrier of a port away, or gives it back.
    pub(crate) fn set_carrier(&self, port: &str, carrier: bool) {
        run(&mut self.namespace.ip(&["link", "set", port, if carrier { "up" } else { "down" }]));
    }

    /// Waits until a port forwards, which it does a moment after its carrier is back.
    #[track_caller]
    pub(crate) fn wait_until_forwarding(&self, port: &str) {
        wait_for(SOON, "the switch's port forwards", || {
            self.bridge(&["link", "show", "dev", port]).contains("state forwarding")
        });
    }

    /// True if the switch has learned behind which port `station` is.
    pub(crate) fn has_station(&self, station: LinkLayerAddress) -> bool {
        self.bridge(&["fdb", "show", "br", "br0", "dynamic"]).contains(&station.to_string())
    }

    /// The ports from which a report for `group` has come (RFC 3810), sorted.
    pub(crate) fn members(&self, group: Ipv6Addr) -> Vec<String> {
        let group = format!(" grp {group} ");
        let table = self.bridge(&["mdb", "show", "dev", "br0"]);
        let mut ports: Vec<String> = self.ports.clone();
        ports.retain(|port| {
            table
                .lines()
                .any(|line| line.contains(&format!(" port {port} ")) && line.contains(&group))
        });
        ports.sort();
        ports
    }

    fn set_port(&self, port: &str, setting: &str, on: bool) {
        let value = if on { "on" } else { "off" };
        self.bridge(&["link", "set", "dev", port, setting, value]);
    }

    fn bridge(&self, arguments: &[&str]) -> String {
        run(Command::new("bridge").args(["-netns", self.namespace.name()]).args(arguments))
    }
}
