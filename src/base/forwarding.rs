//! How queries for the service addresses are to be delivered, as data (claim 15: "in a predetermined way").
//!
//! `router` wishes it, `io::forwarder` makes the kernel's forwarding table so. A [`Forwarding`] is always the whole: what is
//! not in it is not there.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::address::{LinkLayerAddress, ServiceAddress};

/// The greatest share that every kernel with nexthop objects can hold (`nexthop_grp.weight` is one octet, and counts from 1).
pub const MOST_SHARE: u16 = 256;

/// Which groups of next hops the kernel is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// Datagrams by a plain group, TCP by a resilient one: shares follow at once, and no connection breaks.
    #[default]
    Split,
    /// Everything by a plain group: a change of shares moves connections too.
    Plain,
    /// Everything by a resilient group: a change of shares moves only what has been idle.
    Resilient,
}

/// The delivery of all service addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// One for each service address, in their order.
    pub services: Vec<ServiceForwarding>,
}

/// The delivery of one service address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceForwarding {
    /// The service address.
    pub service: ServiceAddress,
    /// Where its queries go, in the order of the gateways. None: nothing of ours is in the kernel, which does what it did without.
    pub next_hops: Vec<NextHop>,
}

/// One server as the kernel forwards to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextHop {
    /// Its link-local address on the link.
    pub gateway: Ipv6Addr,
    /// Nobody has `gateway`: it stands for a server whose link-local address is not known, and must not be probed.
    pub made_up: bool,
    /// Where its frames go.
    pub link_layer: LinkLayerAddress,
    /// Its share of the datagrams, up to [`MOST_SHARE`]; 0: none.
    pub datagrams: u16,
    /// Its share of the TCP connections, up to [`MOST_SHARE`]; 0: none.
    pub connections: u16,
}
