//! Composes and counts what the nd machine sends. What it says is decided elsewhere; this file only knows how it is written.

use std::net::Ipv6Addr;

use super::routers::Router;
use super::wire::{HOP_LIMIT, ICMPV6, Message, NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION, ROUTER_ADVERTISEMENT};
use super::wire::{NeighborAdvertisement, NeighborSolicitation, ServiceInformation};
use crate::advertiser::{FAREWELLS, Farewell};
use crate::base::address::{ALL_NODES, LinkLayerAddress, ServiceAddress, solicited_node};
use crate::base::machine::{Channel, ChannelId, InterfaceState, OutDatagram, Outbox};

/// Receives everything; sends by the kernel's neighbour cache.
pub(super) const RAW: ChannelId = ChannelId(0);
/// Sends past it.
pub(super) const FRAME: ChannelId = ChannelId(1);

/// The channels of an nd machine.
pub(super) fn channels(interface: &str, services: &[ServiceAddress]) -> [Channel; 2] {
    let mut groups: Vec<_> = services.iter().map(|service| service.solicited_node()).collect();
    groups.sort_unstable();
    groups.dedup();
    [
        Channel::Raw {
            interface: interface.to_owned(),
            next_header: ICMPV6,
            hop_limit: HOP_LIMIT,
            groups,
            icmp_types: vec![ROUTER_ADVERTISEMENT, NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT],
        },
        Channel::Frame {
            interface: interface.to_owned(),
            next_header: ICMPV6,
            hop_limit: HOP_LIMIT,
        },
    ]
}

/// Whose link-layer address an advertisement carries, and what it does to the entry that a router has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Ours, instead of the one the router has.
    Own,
    /// Ours, beside the others (claim 15).
    Member,
    /// That of the solicited-node group: all servers.
    Group,
    /// That of the server that takes over.
    Successor(LinkLayerAddress),
}

/// Who asked for a service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitor {
    pub(super) address: Ipv6Addr,
    pub(super) link_layer: Option<LinkLayerAddress>,
    pub(super) target: Ipv6Addr,
}

/// Writes the packets.
#[derive(Debug)]
pub(super) struct Sender {
    services: Vec<ServiceAddress>,
    pub(super) link: InterfaceState,
    pub(super) sequence: u32,
    pub(super) sent: u64,
    pub(super) errors: u64,
}

impl Sender {
    pub(super) fn new(services: Vec<ServiceAddress>, first_sequence: u32) -> Self {
        Self {
            services,
            link: InterfaceState::default(),
            sequence: first_sequence,
            sent: 0,
            errors: 0,
        }
    }

    pub(super) fn serves(&self, address: Ipv6Addr) -> bool {
        self.services.iter().any(|service| service.get() == address)
    }

    /// One unsolicited advertisement per service address, to all nodes (claims 1 and 4).
    pub(super) fn advertise(&mut self, target: Target, information: ServiceInformation, out: &mut Outbox) {
        let Some(source) = self.link.link_local else { return };
        for service in self.services.clone() {
            let message = self.advertisement(service.get(), target, false, information);
            out.send(RAW, packet(ALL_NODES, None, None, message.emit(source, ALL_NODES)));
        }
    }

    /// An answer to one solicitation (claim 2): straight to the link-layer address it named, else by the neighbour cache.
    pub(super) fn answer(&mut self, solicitor: &Solicitor, target: Target, information: ServiceInformation, out: &mut Outbox) {
        let Some(source) = self.link.link_local else { return };
        let message = self.advertisement(solicitor.target, target, true, information);
        let payload = message.emit(source, solicitor.address);
        let channel = if solicitor.link_layer.is_some() { FRAME } else { RAW };
        out.send(channel, packet(solicitor.address, None, solicitor.link_layer, payload));
    }

    /// Asks a router for its own address, from each service address: its entry for that then carries our link-layer address,
    /// even where it takes no unsolicited advertisement.
    pub(super) fn solicit(&mut self, router: &Router, out: &mut Outbox) {
        let group = solicited_node(router.address);
        for service in self.services.clone() {
            let message = Message::Solicitation(NeighborSolicitation {
                target: router.address,
                source_link_layer: Some(self.link.link_layer),
            });
            let (destination, link_layer) = match router.link_layer {
                Some(link_layer) => (router.address, link_layer),
                None => (group, LinkLayerAddress::of_group(group)),
            };
            self.sent += 1;
            let payload = message.emit(service.get(), destination);
            out.send(FRAME, packet(destination, Some(service.get()), Some(link_layer), payload));
        }
    }

    /// What [`Self::advertise`] would send, three times over, for whoever outlives this process.
    pub(super) fn farewell(&self, target: Target, information: ServiceInformation) -> Vec<Farewell> {
        let Some(source) = self.link.link_local else { return Vec::new() };
        let mut sequence = self.sequence;
        let mut farewells = Vec::new();
        for after in FAREWELLS {
            for service in &self.services {
                sequence = sequence.wrapping_add(1);
                let message = self.compose(service.get(), target, false, ServiceInformation { sequence, ..information });
                farewells.push(Farewell {
                    after,
                    channel: RAW,
                    datagram: packet(ALL_NODES, None, None, message.emit(source, ALL_NODES)),
                });
            }
        }
        farewells
    }

    /// The farewell was sent: its numbers are used up.
    pub(super) fn skip_farewell(&mut self) {
        let used = FAREWELLS.len() * self.services.len();
        self.sequence = self.sequence.wrapping_add(used as u32);
    }

    fn advertisement(&mut self, address: Ipv6Addr, target: Target, solicited: bool, information: ServiceInformation) -> Message {
        self.sent += 1;
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        self.compose(address, target, solicited, ServiceInformation { sequence, ..information })
    }

    fn compose(&self, address: Ipv6Addr, target: Target, solicited: bool, information: ServiceInformation) -> Message {
        let own = self.link.link_layer;
        let (link_layer, overriding, hand_over) = match target {
            Target::Own => (own, !solicited, false),
            Target::Member => (own, false, false),
            Target::Group => (LinkLayerAddress::of_group(solicited_node(address)), true, false),
            Target::Successor(link_layer) => (link_layer, true, true),
        };
        Message::Advertisement(NeighborAdvertisement {
            target: address,
            router: false,
            solicited,
            overriding,
            target_link_layer: Some(link_layer),
            information: Some(ServiceInformation { hand_over, ..information }),
        })
    }
}

fn packet(destination: Ipv6Addr, source: Option<Ipv6Addr>, link_layer: Option<LinkLayerAddress>, payload: Vec<u8>) -> OutDatagram {
    OutDatagram {
        source,
        destination,
        port: 0,
        link_layer,
        payload,
    }
}
