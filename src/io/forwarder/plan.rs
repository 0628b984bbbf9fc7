//! From what is in the kernel to what is wished, in steps that never leave a service without a next hop. Pure.
//!
//! First what is new: next hops with their neighbours, groups (replacing one is atomic), routes, rules. Then, from the
//! other end, what is left over: a rule before the route it leads to, a group when no route uses it any more. The order
//! of [`Step`]'s variants is that order. No steps: the kernel is as it is wished.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use super::message::Member;
use super::objects::{Group, Kind, Neighbor, Objects, Route, Rule};
use crate::base::address::{LinkLayerAddress, ServiceAddress};
use crate::base::forwarding::{Forwarding, Grouping, MOST_SHARE, NextHop, ServiceForwarding};

/// The main table.
pub(super) const MAIN: u32 = 254;
/// Numbers of next hops and groups are looked for from here on: far from the small ones that people and FRR use.
const FIRST_ID: u32 = 72_000_001;
/// Our rules: after those of people (and VRFs, 1000), before the main table (32766).
const RULE_PRIORITY: u32 = 7_200;
/// Our routes: better than an administrator's (1024), than BIRD's (32) and FRR's (20). Whoever wants to win says 1 to 9.
const METRIC: u32 = 10;

/// One share of the connections where weights are wide: what is left of it, 1, is for whoever is to get no new ones.
///
/// A draining server in a group of one octet's weights gets one in 257 of the new connections at best. Among wide ones
/// it gets one in 65,281 then: a bucket or none, beside those that it has.
const WIDE: u16 = 255;

/// What the configuration and the kernel have to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) grouping: Grouping,
    /// Our own table, for TCP.
    pub(super) table: u32,
    /// When a bucket of a resilient group is idle, in milliseconds.
    pub(super) idle: u64,
    /// So many metrics after ours are another's, for a service address of ours.
    pub(super) metrics_taken: u32,
    /// Weights have two octets.
    pub(super) wide: bool,
}

impl Policy {
    /// The weight of a server in a group for connections.
    fn weight(&self, next_hop: &NextHop) -> u16 {
        let share = next_hop.connections.min(MOST_SHARE);
        let is_draining = next_hop.datagrams == 0;
        if self.wide && !is_draining { share * WIDE } else { share }
    }

    /// The share of which [`weight`](Self::weight) has made `weight`.
    pub(super) fn share(&self, weight: u16) -> u16 {
        if self.wide { (weight / WIDE).max(1) } else { weight }
    }
}

/// One change of the kernel, in the order in which they are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddNextHop {
        id: u32,
        gateway: Ipv6Addr,
    },
    SetNeighbor {
        gateway: Ipv6Addr,
        link_layer: LinkLayerAddress,
        made_up: bool,
    },
    AddGroup {
        id: u32,
        group: Group,
    },
    ReplaceGroup {
        id: u32,
        group: Group,
    },
    AddRoute(Route),
    ReplaceRoute(Route),
    AddRule(Rule),
    RemoveRule(Rule),
    RemoveRoute(Route),
    RemoveGroup {
        id: u32,
    },
    RemoveNextHop {
        id: u32,
    },
    RemoveNeighbor {
        gateway: Ipv6Addr,
    },
}

/// A group that a service wants, and the table in which its route stands.
struct Wanted {
    table: u32,
    kind: Kind,
    members: Vec<Member>,
}

/// What makes `objects` as `wish` wants them. `programmed` is which neighbours were last told to the kernel.
pub(super) fn plan(objects: &Objects, wish: &Forwarding, policy: &Policy, programmed: &BTreeMap<Ipv6Addr, LinkLayerAddress>) -> Vec<Step> {
    let mut planner = Planner::new(objects, policy);
    let mut gateways = BTreeMap::new();
    for next_hop in wish.services.iter().flat_map(|service| &service.next_hops) {
        gateways.entry(next_hop.gateway).or_insert(*next_hop);
    }
    for next_hop in gateways.values() {
        planner.next_hop(next_hop, programmed.get(&next_hop.gateway).copied());
    }
    for service in &wish.services {
        planner.service(service);
    }
    planner.finish()
}

struct Planner<'a> {
    objects: &'a Objects,
    policy: &'a Policy,
    next_id: u32,
    /// Numbers of the next hops that are there when the first steps are done.
    ids: BTreeMap<Ipv6Addr, u32>,
    kept_groups: BTreeSet<u32>,
    kept_routes: BTreeSet<Route>,
    kept_rules: BTreeSet<Rule>,
    /// By the kind of the step.
    next_hops: Vec<Step>,
    neighbors: Vec<Step>,
    new_groups: Vec<Step>,
    groups: Vec<Step>,
    new_routes: Vec<Step>,
    routes: Vec<Step>,
    rules: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(objects: &'a Objects, policy: &'a Policy) -> Self {
        Self {
            objects,
            policy,
            next_id: FIRST_ID,
            ids: BTreeMap::new(),
            kept_groups: BTreeSet::new(),
            kept_routes: BTreeSet::new(),
            kept_rules: BTreeSet::new(),
            next_hops: Vec::new(),
            neighbors: Vec::new(),
            new_groups: Vec::new(),
            groups: Vec::new(),
            new_routes: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
        }
    }

    fn new_id(&mut self) -> u32 {
        while self.objects.taken.contains(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn next_hop(&mut self, wished: &NextHop, programmed: Option<LinkLayerAddress>) {
        let gateway = wished.gateway;
        let known = self.objects.next_hop_to(gateway);
        let id = known.unwrap_or_else(|| self.new_id());
        self.ids.insert(gateway, id);
        if known.is_none() {
            self.next_hops.push(Step::AddNextHop { id, gateway });
        }
        let neighbor = self.objects.neighbors.get(&gateway);
        if neighbor.is_none_or(|neighbor| is_to_be_set(neighbor, wished, known.is_none(), programmed)) {
            self.neighbors.push(Step::SetNeighbor {
                gateway,
                link_layer: wished.link_layer,
                made_up: wished.made_up,
            });
        }
    }

    fn service(&mut self, wished: &ServiceForwarding) {
        let service = wished.service;
        let connections = Kind::Resilient {
            idle: self.policy.idle,
            unbalanced: 0,
        };
        let (main, own) = (MAIN, self.policy.table);
        match self.policy.grouping {
            Grouping::Split => {
                self.route(
                    service,
                    main,
                    Kind::Plain,
                    self.members(wished, |next_hop| next_hop.datagrams.min(MOST_SHARE)),
                );
                if self.route(
                    service,
                    own,
                    connections,
                    self.members(wished, |next_hop| self.policy.weight(next_hop)),
                ) {
                    self.rule(service);
                }
            }
            Grouping::Plain => {
                self.route(
                    service,
                    main,
                    Kind::Plain,
                    self.members(wished, |next_hop| next_hop.datagrams.min(MOST_SHARE)),
                );
            }
            Grouping::Resilient => {
                self.route(
                    service,
                    main,
                    connections,
                    self.members(wished, |next_hop| self.policy.weight(next_hop)),
                );
            }
        }
    }

    /// The members in the order of their numbers, which is the kernel's.
    fn members(&self, wished: &ServiceForwarding, weight: impl Fn(&NextHop) -> u16) -> Vec<Member> {
        let mut members = BTreeMap::new();
        for next_hop in wished.next_hops.iter().filter(|next_hop| weight(next_hop) > 0) {
            if let Some(id) = self.ids.get(&next_hop.gateway) {
                members.insert(*id, weight(next_hop));
            }
        }
        members.into_iter().map(|(id, weight)| Member { id, weight }).collect()
    }

    /// One group and the route to it; false if nobody is in it.
    fn route(&mut self, service: ServiceAddress, table: u32, kind: Kind, members: Vec<Member>) -> bool {
        if members.is_empty() {
            return false;
        }
        let wanted = Wanted { table, kind, members };
        match self.objects.route_to(service.get(), table) {
            Some(route) => self.keep_route(route, wanted),
            None => self.add_route(service, wanted),
        }
        true
    }

    fn keep_route(&mut self, route: Route, wanted: Wanted) {
        self.kept_routes.insert(route);
        let Wanted { kind, members, .. } = wanted;
        let known = self.objects.groups.get(&route.group).filter(|group| group.kind.same_as(kind));
        let group = Group { kind, members };
        let Some(known) = known else {
            let id = self.new_id();
            self.new_groups.push(Step::AddGroup { id, group });
            self.routes.push(Step::ReplaceRoute(Route { group: id, ..route }));
            return;
        };
        self.kept_groups.insert(route.group);
        if *known != group {
            self.groups.push(Step::ReplaceGroup { id: route.group, group });
        }
    }

    fn add_route(&mut self, service: ServiceAddress, wanted: Wanted) {
        let Wanted { table, kind, members } = wanted;
        let id = self.new_id();
        self.new_groups.push(Step::AddGroup {
            id,
            group: Group { kind, members },
        });
        self.new_routes.push(Step::AddRoute(Route {
            destination: service.get(),
            table,
            metric: METRIC + self.policy.metrics_taken,
            group: id,
        }));
    }

    fn rule(&mut self, service: ServiceAddress) {
        let mut rules = self.objects.rules.iter();
        if let Some(known) = rules.find(|rule| rule.destination == service.get()) {
            self.kept_rules.insert(*known);
            return;
        }
        self.rules.push(Step::AddRule(Rule {
            destination: service.get(),
            table: self.policy.table,
            priority: RULE_PRIORITY,
        }));
    }

    fn finish(mut self) -> Vec<Step> {
        // Datagrams first: a resilient group takes longer to replace.
        self.groups
            .sort_by_key(|step| matches!(step, Step::ReplaceGroup { group, .. } if group.kind != Kind::Plain));
        let objects = self.objects;
        let rules = objects.rules.difference(&self.kept_rules).map(|rule| Step::RemoveRule(*rule));
        let routes = objects.routes.difference(&self.kept_routes).map(|route| Step::RemoveRoute(*route));
        let groups = objects.groups.keys().filter(|id| !self.kept_groups.contains(id));
        let groups = groups.map(|id| Step::RemoveGroup { id: *id });
        let next_hops = objects.next_hops.iter();
        let next_hops = next_hops.filter(|(id, gateway)| self.ids.get(gateway) != Some(id));
        let next_hops = next_hops.map(|(id, _)| Step::RemoveNextHop { id: *id });
        let neighbors = objects.neighbors.iter();
        let neighbors = neighbors.filter(|(gateway, neighbor)| neighbor.ours && !self.ids.contains_key(gateway));
        let neighbors = neighbors.map(|(gateway, _)| Step::RemoveNeighbor { gateway: *gateway });
        let left_over = rules.chain(routes).chain(groups).chain(next_hops).chain(neighbors).collect();
        [
            self.next_hops,
            self.neighbors,
            self.new_groups,
            self.groups,
            self.new_routes,
            self.routes,
            self.rules,
            left_over,
        ]
        .concat()
    }
}

impl Kind {
    /// A group of this kind can be made one of that kind by replacing it.
    const fn same_as(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Plain, Self::Plain) | (Self::Resilient { .. }, Self::Resilient { .. })
        )
    }
}

/// Whether the kernel is to be told where the frames for a neighbour go.
fn is_to_be_set(neighbor: &Neighbor, wished: &NextHop, is_new: bool, programmed: Option<LinkLayerAddress>) -> bool {
    if neighbor.permanent && !neighbor.ours {
        // An administrator's: it stays.
        return false;
    }
    // One that is known from before, and right, may have packets on their way.
    let is_unknown = is_new && neighbor.link_layer.is_none();
    if is_unknown || !neighbor.ours || neighbor.permanent != wished.made_up || neighbor.managed == wished.made_up {
        return true;
    }
    match neighbor.link_layer {
        Some(link_layer) => link_layer != wished.link_layer,
        // It does not answer where we said it is: to say that again would hide it.
        None => programmed.is_some_and(|programmed| programmed != wished.link_layer),
    }
}

#[cfg(test)]
mod tests;
