//! The kernel's part of the router side: groups of next hops, driven by the forwarder alone, on the real thing.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use heraldns::base::address::{LinkLayerAddress, ServiceAddress};
use heraldns::base::forwarding::{Forwarding, Grouping, MOST_SHARE, NextHop, ServiceForwarding};
use heraldns::io::forwarder::{Applied, Changes, Forwarder, Setup};
use serde_json::Value;

use super::sinks::{Connections, Sinks, numbered};
use crate::harness::clock::{self, millis, wait_for};
use crate::harness::command::run;
use crate::harness::figures;
use crate::harness::host::{Host, link_local};
use crate::harness::namespace::Namespace;
use crate::harness::network::{Network, SERVICE};

const SOON: Duration = Duration::from_secs(5);
/// So long can a connection be silent here; the connections of these tests send more often, before and after each change.
const IDLE: Duration = Duration::from_secs(2);
const FLOWS: usize = 10_000;
/// Points of percent that a share may be off: four standard deviations of a half of 10,000 flows, and of 2,000.
const POINTS: f64 = 2.0;
const CHANGES: usize = 100;
const FEW_FLOWS: usize = 2_000;
const FEW_POINTS: f64 = 4.5;

pub(crate) fn claim_15_kernel_shares_flows_as_wished() {
    let network = Network::new(3);
    let sinks = Sinks::start(&network.hosts);
    let mut forwarder = open(&network.router().namespace, "lan0", SERVICE, Grouping::Split);
    for (shares, percents) in [([1, 2, 1], [25.0, 50.0, 25.0]), ([1, 1, 1], [33.3, 33.3, 33.3])] {
        let wish = wish(
            SERVICE,
            network.hosts.iter().zip(shares).map(|(host, share)| to(host, share, share)),
        );
        let applied = forwarder.apply(&wish).expect("the kernel takes it");
        assert_ne!(applied, Applied::default());
        assert_eq!(forwarder.apply(&wish).expect("it is so already"), Applied::default());
        assert!(!forwarder.check().expect("the kernel answers"));
        assert_eq!(forwarder.found().expect("the kernel answers"), wish);
        let measured = sinks.shares(&network.client, FLOWS);
        figures::print(&format!("shares of {shares:?}"), format_args!("{measured:.1?} %"));
        assert_near(&measured, &percents);
    }
    for grouping in [Grouping::Plain, Grouping::Resilient] {
        drop(forwarder);
        forwarder = open(&network.router().namespace, "lan0", SERVICE, grouping);
        let wish = wish(
            SERVICE,
            network.hosts.iter().zip([1, 2, 1]).map(|(host, share)| to(host, share, share)),
        );
        let applied = forwarder.apply(&wish).expect("another grouping takes over");
        assert_eq!(applied.neighbors, Changes::default(), "{applied}");
        assert_near(&sinks.shares(&network.client, FLOWS), &[25.0, 50.0, 25.0]);
        assert_eq!(rules(&network.router().namespace).len(), 2, "a single group needs no rule");
    }
}

pub(crate) fn claim_15_changed_shares_break_no_connection() {
    let network = Network::new(3);
    let (hosts, router) = (&network.hosts, &network.router().namespace);
    let sinks = Sinks::start(hosts);
    let mut forwarder = open(router, "lan0", SERVICE, Grouping::Split);
    let mut apply = |shares: [(u16, u16); 3]| {
        let next_hops = hosts.iter().zip(shares).filter(|(_, shares)| *shares != (0, 0));
        let next_hops = next_hops.map(|(host, (datagrams, connections))| to(host, datagrams, connections));
        forwarder.apply(&wish(SERVICE, next_hops)).expect("the kernel takes it");
    };
    apply([(64, 64), (64, 64), (64, 64)]);
    let mut connections = Connections::open(&network.client, 200);
    assert_eq!(connections.hosts().len(), 3, "{connections:?}");
    // The kernel takes a bucket for unused whose only packets came in the clock tick (10 ms at most) in which it was made.
    assert_eq!(connections.broken(), BTreeMap::new());

    apply([(8, 8), (64, 64), (32, 32)]);
    assert_eq!(connections.broken(), BTreeMap::new(), "by other shares");
    assert_near_with_few(&sinks.shares(&network.client, FEW_FLOWS), &[7.7, 61.5, 30.8]);

    // Drained: out of the datagrams at once, and nobody's connection breaks.
    assert_eq!(connections.broken(), BTreeMap::new(), "by time");
    apply([(64, 64), (64, 64), (0, 1)]);
    assert_eq!(connections.broken(), BTreeMap::new(), "by a drain");
    assert_near_with_few(&sinks.shares(&network.client, FEW_FLOWS), &[50.0, 50.0, 0.0]);
    assert_eq!(connections.broken(), BTreeMap::new(), "by the time after it");

    // The kernel's answer about a flow is kept with a next hop, and no two routes of ours share one.
    let route_of = |protocol| run(&mut router.ip(&["-6", "route", "get", &SERVICE.to_string(), "ipproto", protocol]));
    for round in 0..4 {
        assert!(!route_of("udp").contains("table"), "round {round}");
        assert!(route_of("tcp").contains("table 72"), "round {round}");
    }

    // Its last share of the connections goes with its idle buckets.
    connections.close(3);
    let drained = wait_for(Duration::from_secs(10), "no new connection goes to the drained one", || {
        assert_eq!(connections.broken(), BTreeMap::new(), "while others' buckets move");
        !Connections::open(&network.client, 100).hosts().contains_key(&3)
    });
    figures::print("drained of connections after", format_args!("{:.1} s", drained.as_secs_f64()));

    apply([(64, 64), (64, 64), (0, 0)]);
    assert_eq!(connections.broken(), BTreeMap::new(), "by the removal of another");
    apply([(64, 64), (64, 64), (64, 64)]);
    assert_eq!(connections.broken(), BTreeMap::new(), "by a newcomer");

    // Gone for good: its own connections break, and no others.
    let own = connections.hosts()[&2];
    apply([(64, 64), (0, 0), (64, 64)]);
    assert_eq!(connections.broken().into_iter().collect::<Vec<_>>(), [(2, own)]);
}

pub(crate) fn claim_15_changes_under_load_lose_no_datagram() {
    let network = Network::new(3);
    let (hosts, router) = (&network.hosts, &network.router().namespace);
    let sinks = Sinks::start(hosts);
    let mut forwarder = open(router, "lan0", SERVICE, Grouping::Split);
    // Other shares, one server less, another one more, a gateway that is made up, and back.
    let made_up = |host: &Host| NextHop {
        made_up: true,
        gateway: numbered(host.number as u16),
        ..to(host, 9, 9)
    };
    let wishes = [
        wish(SERVICE, [to(&hosts[0], 1, 1), to(&hosts[1], 2, 2)]),
        wish(SERVICE, [to(&hosts[0], 100, 7)]),
        wish(SERVICE, [to(&hosts[1], 1, 1), to(&hosts[2], 0, 1)]),
        wish(SERVICE, [to(&hosts[0], 1, 1), made_up(&hosts[1]), to(&hosts[2], 256, 256)]),
    ];
    forwarder.apply(&wishes[3]).expect("the kernel takes it");
    let sent = std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for change in 0..CHANGES {
                forwarder.apply(&wishes[change % wishes.len()]).expect("the kernel takes it");
            }
        });
        let mut sent = 0;
        while !changing.is_finished() || sent < FLOWS {
            // Panics if one of the datagrams does not arrive.
            sinks.shares(&network.client, 500);
            sent += 500;
        }
        sent
    });
    figures::print("changes under load", format_args!("{CHANGES}, of {sent} datagrams 0 lost"));
}

pub(crate) fn claim_15_a_predecessors_group_is_taken_over_and_foreign_objects_stay() {
    let network = Network::new(2);
    let (hosts, router) = (&network.hosts, network.router());
    let namespace = &router.namespace;
    let foreign = [
        "nexthop add id 72000001 via fe80::1:1 dev lan0",
        "nexthop add id 72000002 group 72000001",
        "-6 route add 2001:db8:5::99/128 nhid 72000002 metric 10",
        "-6 route add 2001:db8:5::53/128 via fe80::1:2 dev lan0 metric 10 proto static",
        "-6 route add 2001:db8:5::53/128 via fe80::1:2 dev lan0 metric 2048 proto 72",
        "-6 rule add to 2001:db8:5::98/128 lookup 98 priority 7200",
        "-6 neighbor add fe80::1:2 lladdr 02:00:00:00:99:01 nud permanent dev lan0",
    ];
    for line in foreign {
        ip(namespace, line);
    }
    let before = everything(namespace);
    let mut first = open(namespace, "lan0", SERVICE, Grouping::Split);
    let wish = wish(
        SERVICE,
        [
            to(&hosts[0], 3, 2),
            NextHop {
                made_up: true,
                gateway: numbered(9),
                ..to(&hosts[1], 1, 5)
            },
        ],
    );
    first.apply(&wish).expect("the kernel takes it");
    // As after SIGKILL: nobody has said goodbye.
    drop(first);
    let mut second = open(namespace, "lan0", SERVICE, Grouping::Split);
    assert_eq!(second.found().expect("the kernel answers"), wish);
    assert_eq!(second.apply(&wish).expect("it is so already"), Applied::default());
    second.withdraw().expect("the kernel takes it back");
    assert_eq!(everything(namespace), before);
}

/// A packet that has its next hop already still finds the neighbour; the next look takes it away, and finds nothing amiss.
pub(crate) fn claim_15_a_neighbor_outlives_its_next_hop_by_a_look() {
    let network = Network::new(2);
    let (hosts, router) = (&network.hosts, &network.router().namespace);
    let mut forwarder = open(router, "lan0", SERVICE, Grouping::Split);
    let leaver = to(&hosts[0], 1, 1);
    let is_there = || {
        let neighbors = run(&mut router.ip(&["neighbor", "show", "dev", "lan0"]));
        neighbors.lines().any(|line| line.starts_with(&leaver.gateway.to_string()))
    };
    forwarder
        .apply(&wish(SERVICE, [leaver, to(&hosts[1], 1, 1)]))
        .expect("the kernel takes it");
    forwarder.apply(&wish(SERVICE, [to(&hosts[1], 1, 1)])).expect("the kernel takes it");
    assert!(is_there(), "the group is another one, the neighbour stays");
    assert!(!forwarder.check().expect("the kernel answers"), "that is as it should be");
    assert!(!is_there(), "and then it goes");
}

pub(crate) fn claim_15_what_a_link_or_a_hand_has_taken_away_is_put_back() {
    let network = Network::new(2);
    let (hosts, router) = (&network.hosts, network.router());
    let sinks = Sinks::start(hosts);
    let mut forwarder = open(&router.namespace, "lan0", SERVICE, Grouping::Split);
    let wish = wish(SERVICE, [to(&hosts[0], 1, 1), to(&hosts[1], 1, 1)]);
    forwarder.apply(&wish).expect("the kernel takes it");
    let hands = [
        "nexthop flush proto 72",
        "-6 route del 2001:db8:5::53 metric 10",
        "-6 rule del priority 7200",
        "-6 neighbor flush dev lan0",
    ];
    for hand in hands {
        assert!(!forwarder.check().expect("the kernel answers"), "before '{hand}'");
        ip(&router.namespace, hand);
        assert!(forwarder.check().expect("the kernel answers"), "after '{hand}'");
        forwarder.apply(&wish).expect("the kernel takes it");
        assert_near_with_few(&sinks.shares(&network.client, FEW_FLOWS), &[50.0, 50.0]);
    }

    // Somebody's better route hides ours, which is there all the same.
    ip(&router.namespace, "-6 route add 2001:db8:5::53/128 dev lan0 metric 1");
    assert!(!forwarder.check().expect("the kernel answers"), "only hidden");
    ip(&router.namespace, "-6 route del 2001:db8:5::53/128 metric 1");

    run(&mut router.namespace.ip(&["link", "set", "lan0", "down"]));
    assert!(!forwarder.check().expect("the kernel answers"), "nothing can be done");
    assert!(forwarder.apply(&wish).expect("it waits").waiting);
    run(&mut router.namespace.ip(&["link", "set", "lan0", "up"]));
    let up = || forwarder.check().expect("the kernel answers");
    wait_for(SOON, "the link is up", up);
    forwarder.apply(&wish).expect("the kernel takes it");
    network.switch.wait_until_forwarding("r1");
    run(&mut router.namespace.ip(&["address", "replace", "2001:db8:5::1/64", "dev", "lan0"]));
    assert_near_with_few(&sinks.shares(&network.client, FEW_FLOWS), &[50.0, 50.0]);

    forwarder.withdraw().expect("the kernel takes it back");
    router.set_entry(hosts[1].mac, "permanent");
    assert_eq!(sinks.shares(&network.client, FEW_FLOWS), [0.0, 100.0]);
}

pub(crate) fn claim_15_a_server_that_the_kernel_refuses_hinders_no_other() {
    let network = Network::new(1);
    let (hosts, router) = (&network.hosts, network.router());
    let sinks = Sinks::start(hosts);
    let mut forwarder = open(&router.namespace, "lan0", SERVICE, Grouping::Split);
    // It says that it is at the router's own address.
    let impostor = NextHop {
        gateway: link_local(router.mac),
        ..numbered_server(1, 1)
    };
    let applied = forwarder
        .apply(&wish(SERVICE, [to(&hosts[0], 1, 1), impostor]))
        .expect("the kernel takes the other");
    assert_eq!(applied.refused, 1, "{applied}");
    let refused: Vec<Ipv6Addr> = forwarder.refused().map(|(gateway, _)| gateway).collect();
    assert_eq!(refused, [impostor.gateway]);
    assert!(!forwarder.check().expect("the kernel answers"), "more cannot be done");
    assert_eq!(forwarder.found().expect("the kernel answers"), wish(SERVICE, [to(&hosts[0], 1, 1)]));
    assert_eq!(sinks.shares(&network.client, FEW_FLOWS), [100.0]);
}

pub(crate) fn claim_15_two_hundred_servers_on_two_links() {
    let network = Network::new(0);
    let namespace = &network.router().namespace;
    let other: Ipv6Addr = "2001:db8:6::53".parse().expect("an address");
    let mut neighbor = open(namespace, "up0", other, Grouping::Split);
    let others_wish = wish(other, [numbered_server(1, 1), numbered_server(2, 7)]);
    neighbor.apply(&others_wish).expect("the kernel takes it");

    let mut forwarder = open(namespace, "lan0", SERVICE, Grouping::Split);
    let wished = |share: &dyn Fn(u16) -> u16| wish(SERVICE, (1..=200).map(|number| numbered_server(number, share(number))));
    let mut apply = |what: &str, wish: &Forwarding| {
        let begin = clock::now();
        let applied = forwarder.apply(wish).expect("the kernel takes it");
        let took = begin.elapsed();
        figures::print(what, format_args!("{:.1} ms ({applied})", millis(took)));
        assert_eq!(forwarder.found().expect("the kernel answers"), *wish);
        took
    };
    apply("200 servers from nothing", &wished(&|_| 64));
    let changed = wished(&|number| 1 + number % MOST_SHARE);
    let took = apply("200 servers, all shares changed", &changed);
    assert!(took < Duration::from_millis(300), "{took:?}");
    let mut fewer = changed;
    fewer.services[0].next_hops.remove(100);
    apply("200 servers, one removed", &fewer);
    let begin = clock::now();
    assert!(!forwarder.check().expect("the kernel answers"));
    figures::print("200 servers, looked at", format_args!("{:.1} ms", millis(begin.elapsed())));

    assert!(
        !neighbor.check().expect("the kernel answers"),
        "the other link's instance is undisturbed"
    );
    assert_eq!(neighbor.found().expect("the kernel answers"), others_wish);
    neighbor.withdraw().expect("the kernel takes it back");
    assert!(!forwarder.check().expect("the kernel answers"), "nor disturbs this one");
    forwarder.withdraw().expect("the kernel takes it back");
    assert_eq!(everything(namespace)[0], "");
}

fn open(router: &Namespace, interface: &str, service: Ipv6Addr, grouping: Grouping) -> Forwarder {
    let setup = Setup {
        interface: interface.to_owned(),
        services: vec![ServiceAddress::new(service).expect("a service address")],
        grouping,
        tcp_idle: IDLE,
    };
    let forwarder = router.enter(|| Forwarder::open(setup)).expect("a router with nexthop objects");
    assert_eq!(forwarder.warnings(), [""; 0]);
    forwarder
}

fn wish(service: Ipv6Addr, next_hops: impl IntoIterator<Item = NextHop>) -> Forwarding {
    let mut next_hops: Vec<NextHop> = next_hops.into_iter().collect();
    next_hops.sort_unstable();
    let service = ServiceAddress::new(service).expect("a service address");
    Forwarding {
        services: vec![ServiceForwarding { service, next_hops }],
    }
}

fn to(host: &Host, datagrams: u16, connections: u16) -> NextHop {
    NextHop {
        gateway: host.link_local(),
        made_up: false,
        link_layer: host.mac,
        datagrams,
        connections,
    }
}

fn numbered_server(number: u16, share: u16) -> NextHop {
    let [high, low] = number.to_be_bytes();
    NextHop {
        gateway: numbered(number),
        made_up: false,
        link_layer: LinkLayerAddress([2, 0, 0, 53, high, low]),
        datagrams: share,
        connections: share,
    }
}

/// Objects, routes of all tables, rules and permanent neighbours, as `ip` shows them.
fn everything(router: &Namespace) -> Vec<String> {
    [
        "nexthop show",
        "-6 route show table all",
        "-6 rule show",
        "-6 neighbor show nud permanent",
    ]
    .map(|line| ip(router, line))
    .to_vec()
}

fn rules(router: &Namespace) -> Vec<Value> {
    serde_json::from_str(&run(&mut router.ip(&["-json", "rule", "show"]))).expect("ip prints JSON")
}

fn ip(router: &Namespace, line: &str) -> String {
    router.run("ip", &line.split(' ').collect::<Vec<_>>())
}

#[track_caller]
fn assert_near(measured: &[f64], expected: &[f64]) {
    assert_within(measured, expected, POINTS);
}

#[track_caller]
fn assert_near_with_few(measured: &[f64], expected: &[f64]) {
    assert_within(measured, expected, FEW_POINTS);
}

#[track_caller]
fn assert_within(measured: &[f64], expected: &[f64], points: f64) {
    let near = |(measured, expected): (&f64, &f64)| (measured - expected).abs() <= points;
    assert!(
        measured.len() == expected.len() && measured.iter().zip(expected).all(near),
        "{measured:.1?} % and not {expected:.1?} %"
    );
}
