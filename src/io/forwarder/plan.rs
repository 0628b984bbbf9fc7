//! From what is in the kernel to what is wished, in steps that never leave a service without a next hop. Pure.
//!
//! First what is new: next hops with their neighbours, groups (replacing one is atomic), routes, rules. Then, from the
//! other end, what is left over: a rule before the route it leads to, a group when no route uses it any more. The order
//! of [`Step`]'s variants is that order. No steps: the kernel is as it is wished.
//!
//! Each group has next hops of its own, and a changed group for datagrams gets new ones: replacing a group, the kernel makes
//! the cached paths of all its former members discard, and with them the packets that are on their way over one that it
//! still has (docs/decisions/0011). Connections must keep theirs, because buckets belong to them; TCP sends again.

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

/// A group that a service wants, its members' weights by gateway, and the table in which its route stands.
struct Wanted {
    table: u32,
    kind: Kind,
    weights: BTreeMap<Ipv6Addr, u16>,
}

/// What makes `objects` as `wish` wants them. `programmed` is which neighbours were last told to the kernel.
pub(super) fn plan(objects: &Objects, wish: &Forwarding, policy: &Policy, programmed: &BTreeMap<Ipv6Addr, LinkLayerAddress>) -> Vec<Step> {
    let mut planner = Planner::new(objects, policy);
    let mut gateways = BTreeMap::new();
    for next_hop in wish.services.iter().flat_map(|service| &service.next_hops) {
        gateways.entry(next_hop.gateway).or_insert(*next_hop);
    }
    for next_hop in gateways.values() {
        planner.neighbor(next_hop, programmed.get(&next_hop.gateway).copied());
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
    /// All who are to get something.
    gateways: BTreeSet<Ipv6Addr>,
    /// Numbers of the next hops that the wished groups have.
    members: BTreeSet<u32>,
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
            gateways: BTreeSet::new(),
            members: BTreeSet::new(),
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

    fn neighbor(&mut self, wished: &NextHop, programmed: Option<LinkLayerAddress>) {
        let gateway = wished.gateway;
        self.gateways.insert(gateway);
        let is_new = self.objects.next_hops.values().all(|known| *known != gateway);
        let neighbor = self.objects.neighbors.get(&gateway);
        if neighbor.is_none_or(|neighbor| is_to_be_set(neighbor, wished, is_new, programmed)) {
            self.neighbors.push(Step::SetNeighbor {
                gateway,
                link_layer: wished.link_layer,
                made_up: wished.made_up,
            });
        }
    }

    fn service(&mut self, wished: &ServiceForwarding) {
        let service = wished.service;
        let main = match self.policy.grouping {
            Grouping::Split | Grouping::Plain => self.for_datagrams(wished),
            Grouping::Resilient => self.for_connections(wished, MAIN),
        };
        self.route(service, main);
        if self.policy.grouping == Grouping::Split && self.route(service, self.for_connections(wished, self.policy.table)) {
            self.rule(service);
        }
    }

    fn for_datagrams(&self, wished: &ServiceForwarding) -> Wanted {
        Wanted {
            table: MAIN,
            kind: Kind::Plain,
            weights: weights(wished, |next_hop| next_hop.datagrams.min(MOST_SHARE)),
        }
    }

    fn for_connections(&self, wished: &ServiceForwarding, table: u32) -> Wanted {
        Wanted {
            table,
            kind: Kind::Resilient {
                idle: self.policy.idle,
                unbalanced: 0,
            },
            weights: weights(wished, |next_hop| self.policy.weight(next_hop)),
        }
    }

    /// One group and the route to it; false if nobody is in it.
    fn route(&mut self, service: ServiceAddress, wanted: Wanted) -> bool {
        if wanted.weights.is_empty() {
            return false;
        }
        match self.objects.route_to(service.get(), wanted.table) {
            Some(route) => self.keep_route(route, &wanted),
            None => self.add_route(service, &wanted),
        }
        true
    }

    fn keep_route(&mut self, route: Route, wanted: &Wanted) {
        self.kept_routes.insert(route);
        let known = self
            .objects
            .groups
            .get(&route.group)
            .filter(|group| group.kind.same_as(wanted.kind));
        let group = self.group(wanted, known);
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

    fn add_route(&mut self, service: ServiceAddress, wanted: &Wanted) {
        let group = self.group(wanted, None);
        let id = self.new_id();
        self.new_groups.push(Step::AddGroup { id, group });
        self.new_routes.push(Step::AddRoute(Route {
            destination: service.get(),
            table: wanted.table,
            metric: METRIC + self.policy.metrics_taken,
            group: id,
        }));
    }

    /// The group as it is to be, with the next hops that are to be made for it. `known` is what it is now.
    fn group(&mut self, wanted: &Wanted, known: Option<&Group>) -> Group {
        let known: Vec<(Ipv6Addr, Member)> = known.map_or_else(Vec::new, |group| self.objects.gateways(group));
        let is_kept = match wanted.kind {
            Kind::Plain => {
                known
                    .iter()
                    .map(|(gateway, member)| (*gateway, member.weight))
                    .collect::<BTreeMap<_, _>>()
                    == wanted.weights
            }
            Kind::Resilient { .. } => true,
        };
        let (mut members, mut newcomers) = (Vec::new(), wanted.weights.clone());
        // In the order in which they were, so that hardly a flow goes elsewhere.
        for (gateway, member) in known {
            let Some(weight) = newcomers.remove(&gateway) else { continue };
            let id = if is_kept { member.id } else { self.new_next_hop(gateway) };
            members.push(Member { id, weight });
        }
        for (gateway, weight) in newcomers {
            let id = self.new_next_hop(gateway);
            members.push(Member { id, weight });
        }
        // The kernel's order, too.
        members.sort_unstable();
        self.members.extend(members.iter().map(|member| member.id));
        Group {
            kind: wanted.kind,
            members,
        }
    }

    fn new_next_hop(&mut self, gateway: Ipv6Addr) -> u32 {
        let id = self.new_id();
        self.next_hops.push(Step::AddNextHop { id, gateway });
        id
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
        let next_hops = objects.next_hops.keys().filter(|id| !self.members.contains(id));
        let next_hops = next_hops.map(|id| Step::RemoveNextHop { id: *id });
        let neighbors = objects.neighbors.iter();
        let neighbors = neighbors.filter(|(gateway, neighbor)| neighbor.ours && !self.gateways.contains(gateway));
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

/// The weights of those that get anything.
fn weights(wished: &ServiceForwarding, weight: impl Fn(&NextHop) -> u16) -> BTreeMap<Ipv6Addr, u16> {
    let weights = wished.next_hops.iter().map(|next_hop| (next_hop.gateway, weight(next_hop)));
    weights.filter(|(_, weight)| *weight > 0).collect()
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
