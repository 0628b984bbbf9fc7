//! A model of the one thing in a stock Linux router that matters here: its neighbour-cache entry for the service address.
//!
//! Rules and timers are those of RFC 4861 §7 as the kernel keeps them: what an advertisement does in each state, when a
//! query resolves, delays, probes. Everything else of a router is left out.

use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::advertiser::nd::wire::{Message, NeighborAdvertisement, NeighborSolicitation};
use heraldns::base::address::{LinkLayerAddress, solicited_node};
use heraldns::base::random::Random;
use heraldns::base::time::Timestamp;

use super::network::{Packet, SERVICE};

const DELAY: Duration = Duration::from_secs(5);
const RETRANSMIT: Duration = Duration::from_secs(1);
const SOLICITATIONS: u32 = 3;
/// Packets that wait for a resolution.
const QUEUE: usize = 3;

/// Where the entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Absent,
    Incomplete { sent: u32 },
    Reachable { mac: LinkLayerAddress },
    Stale { mac: LinkLayerAddress },
    Delay { mac: LinkLayerAddress },
    Probe { mac: LinkLayerAddress, sent: u32 },
    Failed,
}

impl Entry {
    pub(super) fn mac(self) -> Option<LinkLayerAddress> {
        match self {
            Self::Reachable { mac } | Self::Stale { mac } | Self::Delay { mac } | Self::Probe { mac, .. } => Some(mac),
            Self::Absent | Self::Incomplete { .. } | Self::Failed => None,
        }
    }
}

/// What the router wants sent.
pub(super) enum Out {
    /// A query to a link-layer address.
    Query { to: LinkLayerAddress, number: u64 },
    /// A packet, to a link-layer address or to a group.
    Packet { to: Option<LinkLayerAddress>, packet: Packet },
}

/// The router's entry for the service address.
pub(super) struct Router {
    pub(super) mac: LinkLayerAddress,
    pub(super) address: Ipv6Addr,
    pub(super) entry: Entry,
    pub(super) timer: Option<Timestamp>,
    queue: Vec<u64>,
    /// Queries that could not be delivered because nothing answered the solicitations.
    pub(super) unresolved: u64,
    random: Random,
}

impl Router {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            mac: LinkLayerAddress([2, 0, 0, 0, 0xff, 0xfe]),
            address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfffe),
            entry: Entry::Absent,
            timer: None,
            queue: Vec::new(),
            unresolved: 0,
            random: Random::seeded(seed),
        }
    }

    /// A client's query for the service address is to be forwarded.
    pub(super) fn forward(&mut self, number: u64, now: Timestamp) -> Vec<Out> {
        match self.entry {
            Entry::Absent | Entry::Failed => {
                self.queue = vec![number];
                self.entry = Entry::Incomplete { sent: 1 };
                self.timer = Some(now + RETRANSMIT);
                vec![self.solicitation(None)]
            }
            Entry::Incomplete { .. } => {
                if self.queue.len() < QUEUE {
                    self.queue.push(number);
                } else {
                    self.unresolved += 1;
                }
                Vec::new()
            }
            Entry::Stale { mac } => {
                self.entry = Entry::Delay { mac };
                self.timer = Some(now + DELAY);
                vec![Out::Query { to: mac, number }]
            }
            Entry::Reachable { mac } | Entry::Delay { mac } | Entry::Probe { mac, .. } => vec![Out::Query { to: mac, number }],
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Out> {
        self.timer = None;
        match self.entry {
            Entry::Reachable { mac } => {
                self.entry = Entry::Stale { mac };
                Vec::new()
            }
            Entry::Delay { mac } => self.probe(mac, 1, now),
            Entry::Probe { mac, sent } if sent < SOLICITATIONS => self.probe(mac, sent + 1, now),
            Entry::Incomplete { sent } if sent < SOLICITATIONS => {
                self.entry = Entry::Incomplete { sent: sent + 1 };
                self.timer = Some(now + RETRANSMIT);
                vec![self.solicitation(None)]
            }
            Entry::Probe { .. } | Entry::Incomplete { .. } => {
                self.entry = Entry::Failed;
                self.unresolved += self.queue.len() as u64;
                self.queue.clear();
                Vec::new()
            }
            Entry::Absent | Entry::Stale { .. } | Entry::Failed => Vec::new(),
        }
    }

    pub(super) fn receive(&mut self, message: &Message, source: Ipv6Addr, now: Timestamp) -> Vec<Out> {
        match message {
            Message::Advertisement(advertisement) if advertisement.target == SERVICE => self.advertised(advertisement, now),
            Message::Solicitation(solicitation) if solicitation.target == self.address => self.solicited(solicitation, source, now),
            Message::Advertisement(_) | Message::Solicitation(_) | Message::Router(_) => Vec::new(),
        }
    }

    fn advertised(&mut self, message: &NeighborAdvertisement, now: Timestamp) -> Vec<Out> {
        let Some(new) = message.target_link_layer else { return Vec::new() };
        let confirmed = message.solicited;
        match self.entry {
            Entry::Absent | Entry::Failed => Vec::new(),
            Entry::Incomplete { .. } => self.resolve(new, confirmed, now),
            Entry::Reachable { mac } | Entry::Stale { mac } | Entry::Delay { mac } | Entry::Probe { mac, .. } if mac == new => {
                if confirmed {
                    self.reachable(mac, now);
                }
                Vec::new()
            }
            Entry::Reachable { mac } if !message.overriding => {
                self.stale(mac);
                Vec::new()
            }
            Entry::Stale { .. } | Entry::Delay { .. } | Entry::Probe { .. } if !message.overriding => Vec::new(),
            Entry::Reachable { .. } | Entry::Stale { .. } | Entry::Delay { .. } | Entry::Probe { .. } => {
                if confirmed {
                    self.reachable(new, now);
                } else {
                    self.stale(new);
                }
                Vec::new()
            }
        }
    }

    /// A solicitation creates or changes the entry of its sender, here if that is the service address, and is answered.
    fn solicited(&mut self, message: &NeighborSolicitation, source: Ipv6Addr, now: Timestamp) -> Vec<Out> {
        let Some(mac) = message.source_link_layer else { return Vec::new() };
        let mut out = Vec::new();
        if source == SERVICE {
            out = match self.entry {
                Entry::Incomplete { .. } => self.resolve(mac, false, now),
                entry if entry.mac() == Some(mac) => Vec::new(),
                _ => {
                    self.stale(mac);
                    Vec::new()
                }
            };
        }
        let answer = Message::Advertisement(NeighborAdvertisement {
            target: self.address,
            router: true,
            solicited: true,
            overriding: true,
            target_link_layer: Some(self.mac),
            information: None,
        });
        out.push(Out::Packet {
            to: Some(mac),
            packet: Packet::icmp(self.address, source, answer.emit(self.address, source)),
        });
        out
    }

    fn resolve(&mut self, mac: LinkLayerAddress, confirmed: bool, now: Timestamp) -> Vec<Out> {
        if confirmed {
            self.reachable(mac, now);
        } else {
            self.stale(mac);
        }
        let waiting = std::mem::take(&mut self.queue);
        waiting.into_iter().flat_map(|number| self.forward(number, now)).collect()
    }

    fn reachable(&mut self, mac: LinkLayerAddress, now: Timestamp) {
        self.entry = Entry::Reachable { mac };
        self.timer = Some(now + Duration::from_secs(15) + self.random.duration_below(Duration::from_secs(30)));
    }

    fn stale(&mut self, mac: LinkLayerAddress) {
        self.entry = Entry::Stale { mac };
        self.timer = None;
    }

    fn probe(&mut self, mac: LinkLayerAddress, sent: u32, now: Timestamp) -> Vec<Out> {
        self.entry = Entry::Probe { mac, sent };
        self.timer = Some(now + RETRANSMIT);
        vec![self.solicitation(Some(mac))]
    }

    fn solicitation(&self, to: Option<LinkLayerAddress>) -> Out {
        let destination = if to.is_some() { SERVICE } else { solicited_node(SERVICE) };
        let message = Message::Solicitation(NeighborSolicitation {
            target: SERVICE,
            source_link_layer: Some(self.mac),
        });
        Out::Packet {
            to,
            packet: Packet::icmp(self.address, destination, message.emit(self.address, destination)),
        }
    }
}
