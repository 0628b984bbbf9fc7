//! Links, IPv6 addresses and default routes, read from the kernel's messages into small values.

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};

use crate::base::address::{InterfaceIndex, LinkLayerAddress};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub index: InterfaceIndex,
    /// Its name now.
    pub name: String,
    /// Its link-layer address; zero for one that has none of six octets.
    pub link_layer: LinkLayerAddress,
    /// Its MTU in octets.
    pub mtu: u32,
    /// Administratively up, with carrier, and not waiting for anything (802.1X).
    pub up: bool,
}

/// An IPv6 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub index: InterfaceIndex,
    /// The address.
    pub address: Ipv6Addr,
    /// Length of its prefix.
    pub prefix_length: u8,
    /// Duplicate address detection is not going on and has not failed.
    pub usable: bool,
    /// Who put it there (`IFA_PROTO`): 0 for not said, 1 to 3 for the kernel. Kernels before 5.18 do not keep it.
    pub origin: u8,
}

/// A default route of the main table, or one next hop of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The router; `None` for a route that only names an interface.
    pub gateway: Option<Ipv6Addr>,
    /// The interface.
    pub index: InterfaceIndex,
    /// The metric: lower ones come first.
    pub metric: u32,
}

pub(super) fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: InterfaceIndex(message.header.index),
        name: String::new(),
        link_layer: LinkLayerAddress::default(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(octets) => link.link_layer = octets.as_slice().try_into().map(LinkLayerAddress).unwrap_or_default(),
            _ => {}
        }
    }
    link
}

pub(super) fn address(message: &AddressMessage) -> Option<Address> {
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut local, mut remote, mut origin) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V6(address)) => local = Some(*address),
            AddressAttribute::Address(IpAddr::V6(address)) => remote = Some(*address),
            AddressAttribute::Flags(wide) => flags |= *wide,
            AddressAttribute::Protocol(protocol) => origin = u8::from(*protocol),
            _ => {}
        }
    }
    Some(Address {
        index: InterfaceIndex(message.header.index),
        // On a point-to-point interface the other one is the far end's.
        address: local.or(remote)?,
        prefix_length: message.header.prefix_len,
        usable: !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
        origin,
    })
}

pub(super) fn default_routes(message: &RouteMessage, found: &mut Vec<DefaultRoute>) {
    let header = &message.header;
    if header.destination_prefix_length != 0 || header.table != RouteHeader::RT_TABLE_MAIN || header.kind != RouteType::Unicast {
        return;
    }
    let attributes = &message.attributes;
    let metric = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    let metric = metric.unwrap_or(0);
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(index) => found.push(DefaultRoute {
                gateway: gateway(attributes),
                index: InterfaceIndex(*index),
                metric,
            }),
            RouteAttribute::MultiPath(hops) => found.extend(hops.iter().map(|hop| DefaultRoute {
                gateway: gateway(&hop.attributes),
                index: InterfaceIndex(hop.interface_index),
                metric,
            })),
            _ => {}
        }
    }
}

fn gateway(attributes: &[RouteAttribute]) -> Option<Ipv6Addr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(*gateway),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::address_message;
    use super::*;

    #[test]
    fn an_address_in_detection_is_not_usable() {
        let mut message = address_message(InterfaceIndex(3), "2001:db8::1".parse().unwrap());
        assert!(address(&message).unwrap().usable);
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Tentative));
        assert!(!address(&message).unwrap().usable);
        message.attributes.pop();
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Permanent | AddressFlags::Dadfailed));
        assert!(!address(&message).unwrap().usable);
    }

    #[test]
    fn the_near_end_of_a_point_to_point_address_is_ours() {
        let mut message = address_message(InterfaceIndex(3), "2001:db8::1".parse().unwrap());
        message.attributes[1] = AddressAttribute::Address("2001:db8::2".parse().unwrap());
        assert_eq!(address(&message).unwrap().address, "2001:db8::1".parse::<Ipv6Addr>().unwrap());
    }
}
