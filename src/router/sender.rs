//! Composes and counts the solicitations (RFC 4861 §4.3): to all servers, or to one that has to show that it lives.

use std::net::Ipv6Addr;

use crate::advertiser::nd::wire::{HOP_LIMIT, ICMPV6, Message, NEIGHBOR_ADVERTISEMENT, NeighborSolicitation};
use crate::base::address::{ALL_NODES, LinkLayerAddress, ServiceAddress};
use crate::base::machine::{Channel, ChannelId, InterfaceState, OutDatagram, Outbox};

/// Receives advertisements; solicits all servers.
const RAW: ChannelId = ChannelId(0);
/// Solicits one server, past the kernel's neighbour cache: for the kernel the service address has no single neighbour.
const FRAME: ChannelId = ChannelId(1);

/// The channels of a router side.
pub(super) fn channels(interface: &str) -> [Channel; 2] {
    [
        Channel::Raw {
            interface: interface.to_owned(),
            next_header: ICMPV6,
            hop_limit: HOP_LIMIT,
            groups: vec![ALL_NODES],
            icmp_types: vec![NEIGHBOR_ADVERTISEMENT],
        },
        Channel::Frame {
            interface: interface.to_owned(),
            next_header: ICMPV6,
            hop_limit: HOP_LIMIT,
        },
    ]
}

/// Writes the packets.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) link: InterfaceState,
    pub(super) sent: u64,
    pub(super) errors: u64,
}

impl Sender {
    /// It can be sent and heard.
    pub(super) fn is_usable(&self) -> bool {
        self.link.up && self.link.link_local.is_some()
    }

    /// Asks all servers.
    pub(super) fn solicit_all(&mut self, service: ServiceAddress, out: &mut Outbox) {
        self.send(RAW, service, service.solicited_node(), None, out);
    }

    /// Asks one server. A host without option 253 is asked by the group's address in its own frame: to a packet for its unicast
    /// address it would answer without option 2, from an address that it shares with others, and could be any of them.
    pub(super) fn solicit(&mut self, service: ServiceAddress, link_layer: LinkLayerAddress, says_who_it_is: bool, out: &mut Outbox) {
        let destination = if says_who_it_is { service.get() } else { service.solicited_node() };
        self.send(FRAME, service, destination, Some(link_layer), out);
    }

    fn send(
        &mut self,
        channel: ChannelId,
        service: ServiceAddress,
        destination: Ipv6Addr,
        link_layer: Option<LinkLayerAddress>,
        out: &mut Outbox,
    ) {
        let Some(source) = self.link.link_local.filter(|_| self.link.up) else {
            return;
        };
        let message = Message::Solicitation(NeighborSolicitation {
            target: service.get(),
            source_link_layer: Some(self.link.link_layer),
        });
        self.sent += 1;
        let datagram = OutDatagram {
            source: None,
            destination,
            port: 0,
            link_layer,
            payload: message.emit(source, destination),
        };
        out.send(channel, datagram);
    }
}
