//! Steps as the kernel's messages.

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, IpProtocol, RouteNetlinkMessage};

use super::message::{NextHopAttribute, NextHopMessage, ResilientAttribute, Verb};
use super::objects::{Group, Kind, PROTOCOL, Route, Rule};
use super::plan::Step;
use crate::base::address::{InterfaceIndex, LinkLayerAddress};
use crate::io::netlink::{Entry, Order, Request};

/// Buckets of a resilient group, which cannot be changed later: the most there can be, two megabytes.
///
/// A bucket moves only when none of its flows has sent for the idle time, so the fewer flows share one, the sooner other
/// shares count and a draining server is empty. At 1,000 new connections a second and an idle time of 15 s a fifth of
/// these is busy; of 16,384 it would be more than half, and of 256 all would be, always. The price is 5 ms for a change.
const BUCKETS: u16 = u16::MAX;
const PLAIN: u16 = 0;
const RESILIENT: u16 = 1;

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;
const NEW_OR_OTHER: u16 = NLM_F_CREATE | NLM_F_REPLACE;

/// What one step sends; some are about next hops, the others about what the library knows.
pub(super) enum Orders {
    NextHop(Order<NextHopMessage>),
    Route(Vec<Order<RouteNetlinkMessage>>),
}

/// The orders of one step, on one interface.
pub(super) fn orders(step: &Step, interface: InterfaceIndex) -> Orders {
    match step {
        Step::AddNextHop { id, gateway } => {
            let message = next_hop(Verb::New, u8::from(AddressFamily::Inet6), *id)
                .with(NextHopAttribute::Interface(interface.0))
                .with(NextHopAttribute::Gateway(*gateway));
            of_next_hop(Request::Put(Entry::NextHop(*id)), message, NEW)
        }
        Step::AddGroup { id, group } => of_next_hop(Request::Put(Entry::Group(*id)), group_message(*id, group, true), NEW),
        Step::ReplaceGroup { id, group } => of_next_hop(Request::Put(Entry::Group(*id)), group_message(*id, group, false), NLM_F_REPLACE),
        Step::RemoveGroup { id } => of_next_hop(Request::Remove(Entry::Group(*id)), next_hop(Verb::Delete, 0, *id), 0),
        Step::RemoveNextHop { id } => of_next_hop(Request::Remove(Entry::NextHop(*id)), next_hop(Verb::Delete, 0, *id), 0),
        Step::SetNeighbor {
            gateway,
            link_layer,
            made_up,
        } => Orders::Route(neighbor_orders(interface, *gateway, *link_layer, *made_up)),
        Step::AddRoute(route) => of_route(Request::Put(Entry::Route(route.destination)), route, NEW),
        Step::ReplaceRoute(route) => of_route(Request::Put(Entry::Route(route.destination)), route, NEW_OR_OTHER),
        Step::RemoveRoute(route) => Orders::Route(vec![Order {
            request: Request::Remove(Entry::Route(route.destination)),
            message: RouteNetlinkMessage::DelRoute(route_message(route)),
            flags: 0,
        }]),
        Step::AddRule(rule) => Orders::Route(vec![Order {
            request: Request::Put(Entry::Rule(rule.destination)),
            message: RouteNetlinkMessage::NewRule(rule_message(rule)),
            flags: NEW,
        }]),
        Step::RemoveRule(rule) => Orders::Route(vec![Order {
            request: Request::Remove(Entry::Rule(rule.destination)),
            message: RouteNetlinkMessage::DelRule(rule_message(rule)),
            flags: 0,
        }]),
        Step::RemoveNeighbor { gateway } => Orders::Route(vec![Order {
            request: Request::Remove(Entry::Neighbor(*gateway)),
            message: RouteNetlinkMessage::DelNeighbour(neighbor_message(interface, *gateway)),
            flags: 0,
        }]),
    }
}

fn of_next_hop(request: Request, message: NextHopMessage, flags: u16) -> Orders {
    Orders::NextHop(Order { request, message, flags })
}

fn of_route(request: Request, route: &Route, flags: u16) -> Orders {
    Orders::Route(vec![Order {
        request,
        message: RouteNetlinkMessage::NewRoute(route_message(route)),
        flags,
    }])
}

fn next_hop(verb: Verb, family: u8, id: u32) -> NextHopMessage {
    // The kernel refuses a deletion that says who it is for.
    let protocol = if verb == Verb::New { PROTOCOL } else { 0 };
    NextHopMessage::new(verb, family, protocol).with(NextHopAttribute::Id(id))
}

fn group_message(id: u32, group: &Group, is_new: bool) -> NextHopMessage {
    let message = next_hop(Verb::New, 0, id).with(NextHopAttribute::Group(group.members.clone()));
    let Kind::Resilient { idle, unbalanced } = group.kind else {
        return message.with(NextHopAttribute::GroupType(PLAIN));
    };
    let timers = [ResilientAttribute::IdleTimer(idle), ResilientAttribute::UnbalancedTimer(unbalanced)];
    let buckets = is_new.then_some(ResilientAttribute::Buckets(BUCKETS));
    message
        .with(NextHopAttribute::GroupType(RESILIENT))
        .with(NextHopAttribute::Resilient(buckets.into_iter().chain(timers).collect()))
}

/// The kernel takes the link-layer address only from a message that does not make it managed, and makes it managed
/// only by one whose link-layer address it ignores: so there are two.
fn neighbor_orders(
    interface: InterfaceIndex,
    gateway: Ipv6Addr,
    link_layer: LinkLayerAddress,
    made_up: bool,
) -> Vec<Order<RouteNetlinkMessage>> {
    let order = |message| Order {
        request: Request::Put(Entry::Neighbor(gateway)),
        message: RouteNetlinkMessage::NewNeighbour(message),
        flags: NEW_OR_OTHER,
    };
    let mut address = neighbor_message(interface, gateway);
    // STALE, as what an unsolicited advertisement tells (RFC 4861 §7.2.5): used at once, and asked for.
    address.header.state = if made_up {
        NeighbourState::Permanent
    } else {
        NeighbourState::Stale
    };
    address.attributes.push(NeighbourAttribute::LinkLayerAddress(link_layer.0.to_vec()));
    address.attributes.push(NeighbourAttribute::Protocol(RouteProtocol::from(PROTOCOL)));
    if made_up {
        return vec![order(address)];
    }
    let mut managed = neighbor_message(interface, gateway);
    managed.attributes.push(NeighbourAttribute::Protocol(RouteProtocol::from(PROTOCOL)));
    managed.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    vec![order(address), order(managed)]
}

fn neighbor_message(interface: InterfaceIndex, gateway: Ipv6Addr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.ifindex = interface.0;
    message
        .attributes
        .push(NeighbourAttribute::Destination(NeighbourAddress::Inet6(gateway)));
    message
}

fn route_message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet6;
    message.header.destination_prefix_length = 128;
    message.header.protocol = RouteProtocol::from(PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet6(route.destination)),
        RouteAttribute::Table(route.table),
        RouteAttribute::Priority(route.metric),
        RouteAttribute::NhId(route.group),
    ];
    message
}

fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.dst_len = 128;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Destination(IpAddr::V6(rule.destination)),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)),
        RuleAttribute::IpProtocol(IpProtocol::Tcp),
    ];
    message
}
