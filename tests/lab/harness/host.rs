//! A machine on the link on which a server can run: its namespace, its interface `eth0`, its addresses.

use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::base::address::LinkLayerAddress;

use super::clock::wait_for;
use super::command::{ip_batch, run};
use super::namespace::Namespace;
use super::network::SERVICE;

const SOON: Duration = Duration::from_secs(5);

/// A machine on the link.
#[derive(Debug)]
pub(crate) struct Host {
    /// Where it runs.
    pub(crate) namespace: Namespace,
    /// The address of its interface.
    pub(crate) mac: LinkLayerAddress,
    /// Counts from 1.
    pub(crate) number: usize,
    routers: usize,
}

impl Host {
    pub(crate) fn new(namespace: Namespace, mac: LinkLayerAddress, number: usize, routers: usize) -> Self {
        Self {
            namespace,
            mac,
            number,
            routers,
        }
    }

    /// Its own address on the link.
    pub(crate) fn address(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x100 + self.number as u16)
    }

    /// Its link-local address: the one the kernel makes of the interface's.
    pub(crate) fn link_local(&self) -> Ipv6Addr {
        link_local(self.mac)
    }

    /// Its port on the switch.
    pub(crate) fn port(&self) -> String {
        format!("h{}", self.number)
    }

    /// Address and routes, as a network manager would set them after the link came up.
    pub(crate) fn configure_link(&self) {
        let mut lines = vec![
            format!("address replace {}/64 dev eth0", self.address()),
            "route replace default via 2001:db8:5::1 dev eth0".to_owned(),
        ];
        lines.extend((2..=self.routers).map(|number| format!("route replace 2001:db8:{number}::/64 via 2001:db8:5::{number} dev eth0")));
        ip_batch(self.namespace.name(), &lines);
    }

    /// Takes the interface down, or up again with its addresses and routes.
    pub(crate) fn set_link(&self, up: bool) {
        run(&mut self.namespace.ip(&["link", "set", "eth0", if up { "up" } else { "down" }]));
        if up {
            self.configure_link();
        }
    }

    /// The admin's hand: the service address on `lo`, or off it. What is sent to it arrives, then.
    #[track_caller]
    pub(crate) fn set_service_address(&self, present: bool) {
        let address = format!("{SERVICE}/128");
        let arguments: &[&str] = if present {
            &["address", "add", &address, "dev", "lo", "nodad"]
        } else {
            &["address", "del", &address, "dev", "lo"]
        };
        run(&mut self.namespace.ip(arguments));
        // The kernel makes the route to a new address a moment after the address.
        let route = || run(&mut self.namespace.ip(&["route", "show", "table", "local", &address]));
        wait_for(SOON, "the address is delivered to", || !present || !route().is_empty());
    }

    /// True if the service address is on one of its interfaces.
    pub(crate) fn has_service_address(&self) -> bool {
        run(&mut self.namespace.ip(&["-o", "address", "show", "to", &SERVICE.to_string()])).contains(&SERVICE.to_string())
    }
}

/// The link-local address that the kernel makes of a link-layer address (RFC 4291, appendix A).
pub(crate) fn link_local(mac: LinkLayerAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}
