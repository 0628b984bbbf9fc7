//! A restart: what a predecessor left in the kernel stays until the servers have been heard.

use super::bench::*;
use crate::base::forwarding::{Forwarding, NextHop, ServiceForwarding};
use crate::router::{Policy, Standing};

fn hop(number: u16, datagrams: u16, connections: u16) -> NextHop {
    NextHop {
        gateway: link_local(number),
        made_up: false,
        link_layer: mac(number),
        datagrams,
        connections,
    }
}

fn found(next_hops: &[NextHop]) -> Forwarding {
    Forwarding {
        services: vec![ServiceForwarding {
            service: service(),
            next_hops: next_hops.to_vec(),
        }],
    }
}

fn resumed(each: Policy, hops: &[NextHop]) -> Bench {
    let mut bench = Bench::unlinked(policy(each));
    bench.machine.adopt(&found(hops), bench.now);
    bench.link(&usable());
    bench
}

#[test]
fn what_is_found_is_what_is_wished_first() {
    let hops = [hop(1, 64, 64), hop(2, 256, 256), hop(3, 0, 1)];
    let bench = resumed(Policy::Weighted, &hops);
    assert_eq!(bench.machine.forwarding(), &found(&hops));
    assert_eq!(bench.searches(), [0], "and the servers are asked at once");
    assert_eq!(bench.member(1).unwrap().standing, Standing::Inherited);
    assert_eq!(bench.notices, [""; 0], "nothing new for the operator");
}

#[test]
fn shares_do_not_move_while_the_servers_are_heard_one_by_one() {
    let hops = [hop(1, 64, 64), hop(2, 256, 256), hop(3, 128, 128)];
    let mut bench = resumed(Policy::Weighted, &hops);
    let weights = [100, 200, 100];
    for (number, weight) in (1..).zip(weights) {
        bench.run_until(u64::from(number) * 100);
        bench.answer(number, |information| information.weight = weight);
        assert_eq!(bench.machine.forwarding(), &found(&hops), "server {number}");
    }
    let effective = [1, 2, 3].map(|number| bench.member(number).unwrap().effective);
    assert_eq!(effective, [50.0, 200.0, 100.0], "server 1 was held back by its load before");
    bench.run_until(500);
    bench.hear(peer(4, |_| {}));
    assert_eq!(bench.shares().last(), Some(&(4, 128, 128)), "a newcomer is measured against them");
}

#[test]
fn who_is_not_heard_within_three_seconds_is_not_there() {
    let hops = [hop(1, 128, 128), hop(2, 256, 256)];
    let mut bench = resumed(Policy::Weighted, &hops);
    bench.run_with(&[2], 2_999);
    assert_eq!(bench.machine.forwarding(), &found(&hops));
    bench.run_with(&[2], 3_000);
    assert_eq!(bench.shares(), [(2, 256, 256)]);
    assert_eq!(bench.member(1), None);
}

#[test]
fn the_latest_is_resumed_too() {
    let mut bench = resumed(Policy::Latest, &[hop(2, 256, 256)]);
    assert_eq!((bench.delivered(), bench.entry().entry), (vec![2], "stale"));
    bench.advertise(2, |_| {});
    assert_eq!(bench.delivered(), [2]);
    bench.run_until(900);
    assert_eq!(bench.delivered(), NOBODY);
}

#[test]
fn nonsense_in_the_kernel_is_not_resumed() {
    let wrong = [
        NextHop {
            gateway: SERVICE,
            ..hop(1, 256, 256)
        },
        hop(2, 257, 1),
        NextHop {
            link_layer: crate::base::address::LinkLayerAddress([0; 6]),
            ..hop(3, 1, 1)
        },
        NextHop {
            gateway: link_local(5),
            ..hop(4, 256, 256)
        },
        hop(5, 256, 256),
    ];
    assert_eq!(
        resumed(Policy::RoundRobin, &wrong).delivered(),
        [4],
        "of two with one gateway the first"
    );
}
