//! What `heraldns neighbors` shows, as plain data.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::config::Policy;
use super::member::Standing;
use crate::base::address::{LinkLayerAddress, ServiceAddress};
use crate::base::peer::IdentityHash;

/// The router side at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The policy that makes shares.
    pub policy: Policy,
    /// One for each service address, in the config's order.
    pub services: Vec<ServiceReport>,
    /// Solicitations sent.
    pub solicitations: u64,
    /// Packets that could not be sent.
    pub errors: u64,
    /// Signs that nothing was learned from, by cause.
    pub dropped: Vec<(&'static str, u64)>,
}

/// One service address.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceReport {
    /// The service address.
    pub service: ServiceAddress,
    /// `absent`, `incomplete`, `reachable`, `stale` or `probe`: the neighbour-cache entry's state.
    pub entry: &'static str,
    /// The link-layer address that the entry has.
    pub link_layer: Option<LinkLayerAddress>,
    /// How often the entry has moved to another link-layer address (claim 3).
    pub moves: u64,
    /// Advertisements that were recorded and did not change the entry, by the rule of claim 5.
    pub discarded: Vec<(&'static str, u64)>,
    /// All servers that were heard within the last minute; those beyond the link last.
    pub members: Vec<MemberReport>,
}

/// One server.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberReport {
    /// Hash of its identity; `None`: a host that says none.
    pub identity: Option<IdentityHash>,
    /// Its identity, known from its peer messages; else empty.
    pub name: String,
    /// Its link-layer address.
    pub link_layer: LinkLayerAddress,
    /// Its link-local address; of one beyond the link, where its messages come from.
    pub gateway: Ipv6Addr,
    /// Its link-local address is not known: the gateway stands for its link-layer address.
    pub made_up: bool,
    /// It is on the link: only then anything is delivered to it.
    pub on_link: bool,
    /// What may be delivered to it.
    pub standing: Standing,
    /// The state that it says it is in; `None`: it says none.
    pub state: Option<&'static str>,
    /// Its signed peer messages are heard.
    pub signed: bool,
    /// The weight that it is configured with.
    pub weight: u16,
    /// The weight in force, after its load.
    pub effective: f64,
    /// Its share of the datagrams in force, of 256.
    pub datagrams: u16,
    /// Its share of the TCP connections in force, of 256.
    pub connections: u16,
    /// Its load over its capacity, the most recent that it tells.
    pub load: Option<f64>,
    /// Since its last sign.
    pub age: Option<Duration>,
    /// Advertisements of it that were recorded.
    pub advertisements: u64,
    /// Peer messages of it that were recorded.
    pub messages: u64,
    /// Solicitations that it has not answered yet.
    pub unanswered: u32,
}
