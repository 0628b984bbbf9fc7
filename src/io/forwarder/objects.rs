//! What is in the kernel for the service addresses, read from its dumps.
//!
//! Ours is what carries our protocol number *and* hangs on our interface: a next hop by its interface, a group by its
//! members, a route by its group, a rule by its table. So two instances on two interfaces do not see each other's, and
//! nothing has to be remembered over a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};

use super::message::{Member, NextHopAttribute, NextHopMessage, ResilientAttribute};
use crate::base::address::{InterfaceIndex, LinkLayerAddress};

/// Who we are among those who write routes (`RTPROT_*`): `H`, the mark our addresses carry too. Neither iproute2's nor
/// FRR's list of protocol numbers has it.
pub(super) const PROTOCOL: u8 = 0x48;

/// The kinds of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Each packet by its flow's hash over the shares; members whose neighbour does not answer are skipped.
    Plain,
    /// By hash over buckets, which keep their member while packets come.
    Resilient {
        /// So many milliseconds without a packet let a bucket move.
        idle: u64,
        /// Busy ones move after so many milliseconds; 0: never.
        unbalanced: u64,
    },
}

/// A group of next hops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: Kind,
    /// By their numbers.
    pub(super) members: Vec<Member>,
}

/// A route to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) destination: Ipv6Addr,
    pub(super) table: u32,
    pub(super) metric: u32,
    pub(super) group: u32,
}

/// A rule that sends TCP for one address to our table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) destination: Ipv6Addr,
    pub(super) table: u32,
    pub(super) priority: u32,
}

/// A neighbour on our interface, whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbor {
    /// None while the kernel asks for it, or has asked in vain.
    pub(super) link_layer: Option<LinkLayerAddress>,
    /// Set by hand or by us, and never asked for.
    pub(super) permanent: bool,
    /// Asked for by the kernel from time to time, used or not.
    pub(super) managed: bool,
    /// It carries our protocol number.
    pub(super) ours: bool,
}

/// Everything of ours, and what it must not collide with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Objects {
    /// Our next hops: gateways by number.
    pub(super) next_hops: BTreeMap<u32, Ipv6Addr>,
    /// Our groups by number.
    pub(super) groups: BTreeMap<u32, Group>,
    /// Our routes.
    pub(super) routes: BTreeSet<Route>,
    /// Our rules.
    pub(super) rules: BTreeSet<Rule>,
    /// All neighbours on the interface.
    pub(super) neighbors: BTreeMap<Ipv6Addr, Neighbor>,
    /// All numbers of next hops and groups in use, by anybody.
    pub(super) taken: BTreeSet<u32>,
    /// A group has told that weights have two octets here.
    pub(super) wide: bool,
}

impl Objects {
    /// Takes in all next hops and groups of a dump.
    pub(super) fn read_next_hops(&mut self, dumped: &[NextHopMessage], interface: InterfaceIndex) {
        for message in dumped {
            let id = message.attributes.iter().find_map(|attribute| match attribute {
                NextHopAttribute::Id(id) => Some(*id),
                _ => None,
            });
            let Some(id) = id else { continue };
            self.taken.insert(id);
            self.wide |= message.tells_of_wide_weights();
            if message.protocol != PROTOCOL {
                continue;
            }
            if let Some(gateway) = gateway_on(interface, message) {
                self.next_hops.insert(id, gateway);
            } else if let Some(group) = read_group(message) {
                self.groups.insert(id, group);
            }
        }
        let next_hops = &self.next_hops;
        let is_ours = |group: &Group| group.members.iter().all(|member| next_hops.contains_key(&member.id));
        self.groups.retain(|_, group| is_ours(group));
    }

    /// Takes in the routes of a dump. The groups must have been read.
    pub(super) fn read_routes(&mut self, dumped: &[RouteMessage]) {
        let groups = &self.groups;
        let ours = dumped
            .iter()
            .filter_map(read_route)
            .filter(|route| groups.contains_key(&route.group));
        self.routes.extend(ours);
    }

    /// Takes in the rules of a dump that lead to `table`.
    pub(super) fn read_rules(&mut self, dumped: &[RuleMessage], table: u32) {
        self.rules
            .extend(dumped.iter().filter_map(read_rule).filter(|rule| rule.table == table));
    }

    /// Takes in the neighbours of a dump.
    pub(super) fn read_neighbors(&mut self, dumped: &[NeighbourMessage], interface: InterfaceIndex) {
        let here = dumped.iter().filter(|message| message.header.ifindex == interface.0);
        self.neighbors.extend(here.filter_map(read_neighbor));
    }

    /// The members of a group of ours and where they lead, in their order.
    pub(super) fn gateways(&self, group: &Group) -> Vec<(Ipv6Addr, Member)> {
        let members = group.members.iter();
        members
            .filter_map(|member| Some((*self.next_hops.get(&member.id)?, *member)))
            .collect()
    }

    /// Our route to `destination` in `table`, the one that counts.
    pub(super) fn route_to(&self, destination: Ipv6Addr, table: u32) -> Option<Route> {
        let mut routes = self.routes.iter();
        routes
            .find(|route| (route.destination, route.table) == (destination, table))
            .copied()
    }
}

fn gateway_on(interface: InterfaceIndex, message: &NextHopMessage) -> Option<Ipv6Addr> {
    let mut gateway = None;
    let mut is_here = false;
    for attribute in &message.attributes {
        match attribute {
            NextHopAttribute::Gateway(address) => gateway = Some(*address),
            NextHopAttribute::Interface(index) => is_here = *index == interface.0,
            _ => {}
        }
    }
    gateway.filter(|_| is_here)
}

fn read_group(message: &NextHopMessage) -> Option<Group> {
    let mut found = None;
    let mut kind = Kind::Plain;
    for attribute in &message.attributes {
        match attribute {
            NextHopAttribute::Group(members) => found = Some(members.clone()),
            NextHopAttribute::Resilient(attributes) => kind = read_timers(attributes),
            _ => {}
        }
    }
    let mut members = found?;
    members.sort_unstable();
    Some(Group { kind, members })
}

fn read_timers(attributes: &[ResilientAttribute]) -> Kind {
    let (mut idle, mut unbalanced) = (0, 0);
    for attribute in attributes {
        match attribute {
            ResilientAttribute::IdleTimer(millis) => idle = *millis,
            ResilientAttribute::UnbalancedTimer(millis) => unbalanced = *millis,
            _ => {}
        }
    }
    Kind::Resilient { idle, unbalanced }
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    // A cloned one is the kernel's own note about a path, made from one of ours.
    let is_note = header.flags.contains(RouteFlags::Cloned);
    if header.protocol != RouteProtocol::from(PROTOCOL) || header.destination_prefix_length != 128 || is_note {
        return None;
    }
    let (mut destination, mut table, mut metric, mut group) = (None, u32::from(header.table), 0, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => destination = Some(*address),
            RouteAttribute::Table(wide) => table = *wide,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::NhId(id) => group = Some(*id),
            _ => {}
        }
    }
    Some(Route {
        destination: destination?,
        table,
        metric,
        group: group?,
    })
}

fn read_rule(message: &RuleMessage) -> Option<Rule> {
    let (mut destination, mut table, mut priority, mut ours) = (None, u32::from(message.header.table), 0, false);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Destination(IpAddr::V6(address)) => destination = Some(*address),
            RuleAttribute::Table(wide) => table = *wide,
            RuleAttribute::Priority(value) => priority = *value,
            RuleAttribute::Protocol(protocol) => ours = *protocol == RouteProtocol::from(PROTOCOL),
            _ => {}
        }
    }
    let destination = destination.filter(|_| ours && message.header.dst_len == 128)?;
    Some(Rule {
        destination,
        table,
        priority,
    })
}

fn read_neighbor(message: &NeighbourMessage) -> Option<(Ipv6Addr, Neighbor)> {
    let mut address = None;
    let mut neighbor = Neighbor {
        link_layer: None,
        permanent: matches!(message.header.state, NeighbourState::Permanent | NeighbourState::Noarp),
        managed: false,
        ours: false,
    };
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(destination)) => address = Some(*destination),
            NeighbourAttribute::LinkLayerAddress(octets) => neighbor.link_layer = octets.as_slice().try_into().ok().map(LinkLayerAddress),
            NeighbourAttribute::ExtFlags(flags) => neighbor.managed = flags.contains(NeighbourExtFlags::Managed),
            NeighbourAttribute::Protocol(protocol) => neighbor.ours = *protocol == RouteProtocol::from(PROTOCOL),
            _ => {}
        }
    }
    let is_unanswered = matches!(
        message.header.state,
        NeighbourState::Incomplete | NeighbourState::Failed | NeighbourState::None
    );
    if is_unanswered {
        neighbor.link_layer = None;
    }
    Some((address?, neighbor))
}
