//! What a running router side shows of itself: the JSON object behind `neighbors`. Field names are promised to the outside.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::status::PeerMessages;

/// The neighbour cache of a router side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbors {
    /// Version of the running program.
    pub version: String,
    /// The link shared with the servers.
    pub interface: String,
    /// `latest`, `round-robin` or `weighted`.
    pub policy: String,
    /// `split`, `plain` or `resilient`.
    pub group: String,
    /// One entry for each service address.
    pub services: Vec<Entry>,
    /// Neighbor Solicitations that were sent.
    pub solicitations: u64,
    /// Advertisements that were refused before they reached an entry, by cause.
    pub dropped: BTreeMap<String, u64>,
    /// The peer messages in numbers; none with `enabled = false`.
    pub peer_messages: Option<PeerMessages>,
    /// What was done in the kernel.
    pub kernel: Kernel,
    /// What the operator should look at; empty when all is well.
    pub problems: Vec<String>,
}

/// What was done in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// How often the forwarding was changed since the start.
    pub changes: u64,
    /// How long the last change took, in microseconds.
    pub last_change_us: u64,
    /// How often it was found changed by others, and put right.
    pub repairs: u64,
}

/// The cache's entry for one service address: several link-layer addresses (claim 15).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The service address.
    pub address: Ipv6Addr,
    /// The entry's state, as RFC 4861 names it in lower case; `absent` without an entry.
    pub state: String,
    /// The link-layer address that claim 3 gives it: where `latest` delivers.
    pub link_layer: Option<String>,
    /// How often it has moved to another link-layer address.
    pub moves: u64,
    /// The servers that are known.
    pub members: Vec<Member>,
    /// Advertisements that left the entry as it was (claim 5), by rule. What they said was recorded all the same.
    pub discarded: BTreeMap<String, u64>,
}

/// A server in an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity, the hash of it, or nothing.
    pub identity: String,
    /// Its link-layer address.
    pub link_layer: String,
    /// The next hop's address.
    pub gateway: Ipv6Addr,
    /// What it is delivered: active, standby, leaving, inherited, out or dead.
    pub state: String,
    /// The state that it says it is in; none if it says none.
    pub says: Option<String>,
    /// Its configured weight.
    pub weight: u16,
    /// Its weight now.
    pub effective_weight: f64,
    /// Its share of the datagrams, 0 to 1.
    pub share: f64,
    /// Its share of the TCP connections, 0 to 1.
    pub connections_share: f64,
    /// Share of its capacity; none if it does not say.
    pub load: Option<f64>,
    /// Milliseconds since it was last heard; none for one that was taken over from an earlier run.
    pub last_heard_ms: Option<u64>,
    /// Its peer messages are signed with our key.
    pub signed: bool,
    /// Its messages come from this link: it can be delivered to.
    pub on_link: bool,
    /// Advertisements of it that were recorded.
    pub advertisements: u64,
    /// Peer messages of it that were recorded.
    pub messages: u64,
}
