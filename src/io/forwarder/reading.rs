//! What is in the kernel, asked for by dumps.
//!
//! Never by the route to one address (`ip route get`): the kernel's answer is one kept with the next hop, which
//! names whichever of the routes that share this next hop was asked for first.

use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteMessage, RouteProtocol};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::message::{NextHopMessage, Verb};
use super::objects::{Objects, PROTOCOL};
use crate::base::address::InterfaceIndex;
use crate::io::netlink::{Netlink, NetlinkError, Request};

/// Everything of ours on `interface`.
pub(super) fn read(netlink: &mut Netlink, interface: InterfaceIndex, table: u32) -> Result<Objects, NetlinkError> {
    let mut objects = Objects::default();
    let next_hops = netlink.dump(Request::NextHops, NextHopMessage::new(Verb::Get, 0, 0))?;
    objects.read_next_hops(&next_hops, interface);
    objects.read_routes(&routes(netlink)?);
    objects.read_rules(&rules(netlink)?, table);
    objects.read_neighbors(&neighbors(netlink, interface)?, interface);
    Ok(objects)
}

fn routes(netlink: &mut Netlink) -> Result<Vec<RouteMessage>, NetlinkError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet6;
    // The kernel leaves out the rest, of which there can be a whole Internet.
    message.header.protocol = RouteProtocol::from(PROTOCOL);
    let dumped = netlink.dump(Request::Routes, RouteNetlinkMessage::GetRoute(message))?;
    let routes = dumped.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    });
    Ok(routes.collect())
}

fn rules(netlink: &mut Netlink) -> Result<Vec<RuleMessage>, NetlinkError> {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet6;
    let dumped = netlink.dump(Request::Rules, RouteNetlinkMessage::GetRule(message))?;
    let rules = dumped.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewRule(rule) => Some(rule),
        _ => None,
    });
    Ok(rules.collect())
}

fn neighbors(netlink: &mut Netlink, interface: InterfaceIndex) -> Result<Vec<NeighbourMessage>, NetlinkError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.attributes.push(NeighbourAttribute::IfIndex(interface.0));
    let dumped = netlink.dump(Request::Neighbors, RouteNetlinkMessage::GetNeighbour(message))?;
    let neighbors = dumped.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(neighbor) => Some(neighbor),
        _ => None,
    });
    Ok(neighbors.collect())
}
