//! Plans carried out on a model of the kernel that complains about every moment at which a service has no next hop.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TABLE: u32 = 720_000_001;
const SPLIT: Policy = Policy {
    grouping: Grouping::Split,
    table: TABLE,
    idle: 15_000,
    metrics_taken: 0,
    wide: true,
};

/// The kernel as a plan sees it, and what was told about neighbours.
#[derive(Clone, Default)]
struct Model {
    objects: Objects,
    programmed: BTreeMap<Ipv6Addr, LinkLayerAddress>,
}

impl Model {
    fn plan(&self, wish: &Forwarding, policy: &Policy) -> Vec<Step> {
        plan(&self.objects, wish, policy, &self.programmed)
    }

    /// Carries out what `wish` needs, looks at every moment of it, and returns the steps.
    fn apply(&mut self, wish: &Forwarding, policy: &Policy) -> Vec<Step> {
        let steps = self.plan(wish, policy);
        let served = |model: &Self| {
            let gets_something = |next_hop: &NextHop| match policy.grouping {
                Grouping::Split | Grouping::Plain => next_hop.datagrams > 0,
                Grouping::Resilient => next_hop.connections > 0,
            };
            let services = wish.services.iter();
            let services = services.filter(|service| service.next_hops.iter().any(gets_something));
            services
                .map(|service| model.objects.route_to(service.service.get(), MAIN).is_some())
                .collect::<Vec<bool>>()
        };
        for step in &steps {
            let before = served(self);
            self.carry_out(step);
            assert!(
                before.iter().zip(served(self)).all(|(before, now)| now || !before),
                "{step:?} of {steps:?}"
            );
        }
        assert_eq!(self.plan(wish, policy), [], "it is as wished");
        steps
    }

    fn carry_out(&mut self, step: &Step) {
        let objects = &mut self.objects;
        match step.clone() {
            Step::AddNextHop { id, gateway } => {
                assert!(objects.taken.insert(id), "{id} is taken");
                objects.next_hops.insert(id, gateway);
            }
            Step::SetNeighbor {
                gateway,
                link_layer,
                made_up,
            } => {
                let neighbor = Neighbor {
                    link_layer: Some(link_layer),
                    permanent: made_up,
                    managed: !made_up,
                    ours: true,
                };
                objects.neighbors.insert(gateway, neighbor);
                self.programmed.insert(gateway, link_layer);
            }
            Step::AddGroup { id, group } => {
                assert!(objects.taken.insert(id), "{id} is taken");
                Self::check_group(objects, &group);
                objects.groups.insert(id, group);
            }
            Step::ReplaceGroup { id, group } => {
                Self::check_group(objects, &group);
                let before = objects.groups.insert(id, group.clone()).expect("there is one to replace");
                assert!(before.kind.same_as(group.kind), "the kernel changes no kind");
                let is_in_both = |member: &Member| before.members.iter().any(|former| former.id == member.id);
                if group.kind == Kind::Plain {
                    assert!(!group.members.iter().any(is_in_both), "the kernel would discard what is on its way");
                } else {
                    let gateways = |group| {
                        objects
                            .gateways(group)
                            .into_iter()
                            .map(|(gateway, _)| gateway)
                            .collect::<BTreeSet<_>>()
                    };
                    let stay = gateways(&before).intersection(&gateways(&group)).count();
                    let kept = group.members.iter().filter(|member| is_in_both(member)).count();
                    assert_eq!(kept, stay, "buckets belong to next hops");
                }
            }
            Step::AddRoute(route) => {
                assert!(objects.groups.contains_key(&route.group), "{route:?}");
                assert_eq!(objects.route_to(route.destination, route.table), None);
                objects.routes.insert(route);
            }
            Step::ReplaceRoute(route) => {
                assert!(objects.groups.contains_key(&route.group), "{route:?}");
                objects
                    .routes
                    .retain(|other| (other.destination, other.table, other.metric) != (route.destination, route.table, route.metric));
                objects.routes.insert(route);
            }
            Step::AddRule(rule) => {
                assert!(objects.route_to(rule.destination, rule.table).is_some(), "{rule:?} leads nowhere");
                assert!(objects.rules.insert(rule));
            }
            Step::RemoveRule(rule) => assert!(objects.rules.remove(&rule)),
            Step::RemoveRoute(route) => {
                assert!(objects.routes.remove(&route));
                let is_left = |rule: &Rule| (rule.destination, rule.table) == (route.destination, route.table);
                assert!(!objects.rules.iter().any(is_left), "a rule leads nowhere");
            }
            Step::RemoveGroup { id } => {
                assert!(objects.groups.remove(&id).is_some() && objects.taken.remove(&id));
                assert!(
                    objects.routes.iter().all(|route| route.group != id),
                    "the kernel would remove its route"
                );
            }
            Step::RemoveNextHop { id } => {
                assert!(objects.next_hops.remove(&id).is_some() && objects.taken.remove(&id));
                let mut members = objects.groups.values().flat_map(|group| &group.members);
                assert!(members.all(|member| member.id != id), "a group would change");
            }
            Step::RemoveNeighbor { gateway } => {
                assert!(objects.neighbors.remove(&gateway).is_some());
                assert!(
                    objects.next_hops.values().all(|other| *other != gateway),
                    "it would be asked for again"
                );
            }
        }
    }

    fn check_group(objects: &Objects, group: &Group) {
        assert!(!group.members.is_empty());
        assert!(group.members.is_sorted(), "the kernel has them in this order");
        for member in &group.members {
            assert!(objects.next_hops.contains_key(&member.id), "{member:?}");
            let gateway = objects.next_hops[&member.id];
            assert!(objects.neighbors.contains_key(&gateway), "no queue at a neighbour that is known");
            assert!(member.weight > 0 && (group.kind != Kind::Plain || member.weight <= MOST_SHARE));
        }
    }
}

fn service(number: u16) -> ServiceAddress {
    ServiceAddress::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number)).unwrap()
}

fn gateway(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number)
}

fn next_hop(number: u16, datagrams: u16, connections: u16) -> NextHop {
    NextHop {
        gateway: gateway(number),
        made_up: false,
        link_layer: LinkLayerAddress([2, 0, 0, 0, 0, number as u8]),
        datagrams,
        connections,
    }
}

fn wish(next_hops: &[NextHop]) -> Forwarding {
    Forwarding {
        services: vec![ServiceForwarding {
            service: service(1),
            next_hops: next_hops.to_vec(),
        }],
    }
}

/// The weights in a service's group, by gateway.
fn weights(model: &Model, table: u32) -> Vec<(Ipv6Addr, u16)> {
    let Some(route) = model.objects.route_to(service(1).get(), table) else {
        return Vec::new();
    };
    let members = &model.objects.groups[&route.group].members;
    let mut weights: Vec<_> = members
        .iter()
        .map(|member| (model.objects.next_hops[&member.id], member.weight))
        .collect();
    weights.sort_unstable();
    weights
}

#[test]
fn a_draining_server_gets_no_datagrams_and_hardly_a_new_connection() {
    let mut model = Model::default();
    model.apply(&wish(&[next_hop(1, 64, 64), next_hop(2, 0, 1)]), &SPLIT);
    assert_eq!(weights(&model, MAIN), [(gateway(1), 64)]);
    assert_eq!(weights(&model, TABLE), [(gateway(1), 64 * 255), (gateway(2), 1)]);
    let narrow = Policy { wide: false, ..SPLIT };
    model.apply(&wish(&[next_hop(1, 64, 64), next_hop(2, 0, 1)]), &narrow);
    assert_eq!(weights(&model, TABLE), [(gateway(1), 64), (gateway(2), 1)]);
}

#[test]
fn the_greatest_share_fits() {
    let mut model = Model::default();
    model.apply(&wish(&[next_hop(1, u16::MAX, u16::MAX)]), &SPLIT);
    assert_eq!(weights(&model, MAIN), [(gateway(1), 256)]);
    assert_eq!(weights(&model, TABLE), [(gateway(1), 65_280)]);
    assert_eq!(SPLIT.share(65_280), 256);
}

#[test]
fn other_shares_replace_two_groups_and_the_next_hops_for_datagrams() {
    let mut model = Model::default();
    model.apply(&wish(&[next_hop(1, 1, 1), next_hop(2, 1, 1)]), &SPLIT);
    let steps = model.apply(&wish(&[next_hop(1, 2, 2), next_hop(2, 1, 1)]), &SPLIT);
    let (added, replaced, removed) = match &steps[..] {
        [
            Step::AddNextHop { id: added, .. },
            Step::AddNextHop { .. },
            Step::ReplaceGroup { group, .. },
            Step::ReplaceGroup { .. },
            Step::RemoveNextHop { id: removed },
            Step::RemoveNextHop { .. },
        ] => (*added, group, *removed),
        _ => panic!("{steps:?}"),
    };
    assert_eq!((replaced.kind, replaced.members[0].id), (Kind::Plain, added), "datagrams first");
    assert_ne!(added, removed);
}

#[test]
fn shares_of_connections_alone_leave_the_datagrams_as_they_are() {
    let mut model = Model::default();
    model.apply(&wish(&[next_hop(1, 1, 1), next_hop(2, 1, 1)]), &SPLIT);
    let steps = model.apply(&wish(&[next_hop(1, 1, 2), next_hop(2, 1, 1)]), &SPLIT);
    assert!(matches!(&steps[..], [Step::ReplaceGroup { .. }]), "{steps:?}");
}

#[test]
fn a_changed_group_keeps_its_order_and_newcomers_come_last() {
    let mut model = Model::default();
    model.apply(&wish(&[next_hop(2, 1, 1)]), &SPLIT);
    model.apply(&wish(&[next_hop(1, 1, 1), next_hop(2, 1, 1)]), &SPLIT);
    model.apply(&wish(&[next_hop(0, 1, 1), next_hop(1, 1, 1), next_hop(2, 1, 1)]), &SPLIT);
    let route = model.objects.route_to(service(1).get(), MAIN).unwrap();
    let members = model.objects.gateways(&model.objects.groups[&route.group]);
    let gateways: Vec<Ipv6Addr> = members.into_iter().map(|(gateway, _)| gateway).collect();
    assert_eq!(gateways, [gateway(2), gateway(1), gateway(0)]);
}

#[test]
fn numbers_and_metrics_of_others_are_passed_over() {
    let mut model = Model::default();
    model.objects.taken.extend([FIRST_ID, FIRST_ID + 2]);
    let policy = Policy { metrics_taken: 2, ..SPLIT };
    model.apply(&wish(&[next_hop(1, 1, 1)]), &policy);
    let next_hops: Vec<u32> = model.objects.next_hops.keys().copied().collect();
    assert_eq!(next_hops, [FIRST_ID + 1, FIRST_ID + 4]);
    let groups: Vec<u32> = model.objects.groups.keys().copied().collect();
    assert_eq!(groups, [FIRST_ID + 3, FIRST_ID + 5]);
    assert_eq!(model.objects.route_to(service(1).get(), MAIN).unwrap().metric, METRIC + 2);
}

#[test]
fn neighbors_are_told_when_they_must_be() {
    let wished = next_hop(1, 1, 1);
    let known = Neighbor {
        link_layer: Some(wished.link_layer),
        permanent: false,
        managed: true,
        ours: true,
    };
    let elsewhere = Some(LinkLayerAddress([2, 0, 0, 0, 0, 99]));
    let told = Some(wished.link_layer);
    for (what, neighbor, is_new, programmed, expected) in [
        ("as it should be", known, false, told, false),
        ("one that left and is back", known, true, told, false),
        (
            "a newcomer's that was asked for in vain",
            Neighbor { link_layer: None, ..known },
            true,
            told,
            true,
        ),
        (
            "somewhere else",
            Neighbor {
                link_layer: elsewhere,
                ..known
            },
            false,
            told,
            true,
        ),
        ("the kernel's own", Neighbor { ours: false, ..known }, false, None, true),
        ("no longer asked for", Neighbor { managed: false, ..known }, false, told, true),
        (
            "an administrator's",
            Neighbor {
                ours: false,
                permanent: true,
                ..known
            },
            true,
            None,
            false,
        ),
        ("silent", Neighbor { link_layer: None, ..known }, false, told, false),
        ("silent and moved", Neighbor { link_layer: None, ..known }, false, elsewhere, true),
    ] {
        assert_eq!(is_to_be_set(&neighbor, &wished, is_new, programmed), expected, "{what}");
    }
}

#[test]
fn an_administrators_neighbor_is_neither_set_nor_removed() {
    let mut model = Model::default();
    let neighbor = Neighbor {
        link_layer: Some(LinkLayerAddress([2, 0, 0, 0, 0, 99])),
        permanent: true,
        managed: false,
        ours: false,
    };
    model.objects.neighbors.insert(gateway(1), neighbor);
    model.apply(&wish(&[next_hop(1, 1, 1)]), &SPLIT);
    model.apply(&Forwarding::default(), &SPLIT);
    assert_eq!(model.objects.neighbors, BTreeMap::from([(gateway(1), neighbor)]));
}

fn next_hops() -> impl Strategy<Value = Vec<NextHop>> {
    let share = || prop_oneof![Just(0), 1_u16..300];
    vec((1_u16..8, any::<bool>(), 0_u16..3, share(), share()), 0..6).prop_map(|servers| {
        let next_hops: BTreeMap<u16, NextHop> = servers
            .into_iter()
            .map(|(number, made_up, station, datagrams, connections)| {
                let link_layer = LinkLayerAddress([2, 0, 0, 0, station as u8, number as u8]);
                let next_hop = next_hop(number, datagrams, connections);
                (
                    number,
                    NextHop {
                        made_up,
                        link_layer,
                        ..next_hop
                    },
                )
            })
            .collect();
        next_hops.into_values().collect()
    })
}

fn wishes() -> impl Strategy<Value = Vec<(Forwarding, Policy)>> {
    let policy = (0_usize..3, any::<bool>()).prop_map(|(grouping, wide)| Policy {
        grouping: [Grouping::Split, Grouping::Plain, Grouping::Resilient][grouping],
        wide,
        ..SPLIT
    });
    let forwarding = vec(next_hops(), 0..3).prop_map(|services| Forwarding {
        services: services
            .into_iter()
            .zip(1..)
            .map(|(next_hops, number)| ServiceForwarding {
                service: service(number),
                next_hops,
            })
            .collect(),
    });
    vec((forwarding, policy), 1..6)
}

proptest! {
    /// Whatever is wished after whatever, under whatever grouping: see [`Model::apply`] for what must hold at each step.
    #[test]
    fn no_moment_of_any_change_leaves_a_service_without_next_hops(wishes in wishes()) {
        let mut model = Model::default();
        for (wish, policy) in &wishes {
            model.apply(wish, policy);
        }
        model.apply(&Forwarding::default(), &SPLIT);
        prop_assert_eq!(model.objects, Objects::default());
    }
}
