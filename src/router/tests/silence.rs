//! Who is silent: an active server is dead soon, a standby one later, a stock host is asked.

use super::bench::*;
use crate::base::address::solicited_node;
use crate::base::machine::Input;
use crate::base::peer::PeerState;
use crate::router::{Policy, Standing};

#[test]
fn an_active_server_not_heard_for_dead_after_leaves_at_once() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    bench.advertise(2, |_| {});
    bench.run_with(&[2], 600);
    bench.run_with(&[2], 899);
    assert_eq!(bench.delivered(), [1, 2]);
    bench.run_with(&[2], 900);
    assert_eq!(bench.delivered(), [2]);
    assert_eq!(bench.member(1).unwrap().standing, Standing::Dead, "still shown");
    bench.run_with(&[2], 61_000);
    assert_eq!(bench.member(1), None);
}

#[test]
fn either_kind_of_sign_keeps_a_server_alive() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |_| {}));
    bench.run_with(&[1], 5_000);
    assert_eq!(bench.delivered(), [1]);
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.advertise(1, |_| {});
    for round in 1..20 {
        bench.run_until(round * 300);
        bench.hear(peer(1, |_| {}));
    }
    assert_eq!(bench.delivered(), [1]);
}

#[test]
fn an_advertisement_counts_at_the_moment_when_messages_are_missing() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |peer| peer.signed = true));
    bench.run_until(600);
    bench.advertise(1, |information| information.state = PeerState::Withdrawn);
    bench.run_until(899);
    assert_eq!(bench.delivered(), [1]);
    bench.run_until(900);
    assert_eq!((bench.delivered(), bench.member(1).unwrap().standing), (vec![], Standing::Out));
}

#[test]
fn the_last_one_that_dies_leaves_nobody() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    bench.run_until(900);
    assert_eq!(bench.next_hops(), []);
    assert_eq!(bench.searches(), [0_u64; 0]);
    bench.run_until(1_000);
    assert_eq!(bench.searches(), [1_000]);
    assert!(bench.notices.last().unwrap().contains("goes to no server"), "{:?}", bench.notices);
}

#[test]
fn an_idle_server_without_peer_messages_is_asked_every_ten_seconds() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    bench.run_until(300);
    bench.advertise(1, |information| information.state = PeerState::Standby);
    bench.run_until(60_000);
    assert_eq!(bench.probes(1), [10_300, 11_300, 12_300]);
    assert!(
        bench
            .asked
            .iter()
            .filter(|asked| asked.whom.is_some())
            .all(|asked| asked.destination == SERVICE)
    );
    assert_eq!(bench.member(1).unwrap().standing, Standing::Dead);

    let mut bench = Bench::resolved(policy(Policy::Weighted));
    for round in 0..10 {
        bench.answer(1, |information| information.state = PeerState::Standby);
        bench.run_until(round * 10_000 + 10_000);
        bench.run_until(round * 10_000 + 10_001);
        assert_eq!(bench.delivered(), [1], "the only one, asked and answering");
    }
    assert_eq!(bench.probes(1).len(), 10);
}

#[test]
fn an_idle_server_with_peer_messages_is_known_by_them_and_not_asked() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    let idle = |round: u64, bench: &mut Bench| {
        bench.hear(peer(1, |peer| {
            peer.statement.state = PeerState::Standby;
            peer.statement.idle = true;
            peer.statement.interval = std::time::Duration::from_secs(1);
        }));
        bench.run_until((round + 1) * 1_000);
    };
    (0..30).for_each(|round| idle(round, &mut bench));
    assert_eq!((bench.delivered(), bench.probes(1)), (vec![1], vec![]));
    bench.run_until(31_999);
    assert_eq!(bench.delivered(), [1]);
    bench.run_until(32_000);
    assert_eq!(bench.delivered(), NOBODY, "three of its intervals");
}

#[test]
fn standby_servers_are_used_while_nobody_is_active() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.advertise(1, |information| information.state = PeerState::Standby);
    bench.advertise(2, |information| information.state = PeerState::Standby);
    assert_eq!(bench.delivered(), [1, 2]);
    bench.advertise(2, |_| {});
    assert_eq!(bench.delivered(), [2]);
    bench.run_until(900);
    assert_eq!(bench.delivered(), [1]);
}

#[test]
fn a_stock_host_is_a_member_that_is_asked_when_it_is_silent() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.advertise(2, |_| {});
    bench.advertisement(SERVICE, mac(1), false, None);
    let hop = bench.next_hops().iter().find(|hop| hop.link_layer == mac(1)).copied().unwrap();
    assert!(hop.made_up);
    assert_eq!(hop.gateway.to_string(), "fe80::4844:200:0:1");
    assert_eq!(
        bench.shares().iter().map(|share| share.1).collect::<Vec<_>>(),
        [256, 256],
        "the default weight"
    );
    bench.run_with(&[2], 900);
    assert_eq!(bench.probes(1), [900]);
    let asked = bench.asked.last().unwrap();
    assert_eq!(asked.destination, solicited_node(SERVICE), "so that its answer says who it is");
    bench.advertisement(SERVICE, mac(1), true, None);
    bench.run_with(&[2], 2_600);
    assert_eq!((bench.delivered(), bench.probes(1)), (vec![2, 1], vec![900, 1_800, 2_100, 2_400]));
    bench.run_with(&[2], 2_700);
    assert_eq!(bench.delivered(), [2]);
}

#[test]
fn an_answer_without_the_option_is_known_by_its_source() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.advertisement(link_local(1), mac(1), true, None);
    bench.run_until(1_000);
    let answer = crate::advertiser::nd::wire::NeighborAdvertisement {
        target: SERVICE,
        router: false,
        solicited: true,
        overriding: true,
        target_link_layer: None,
        information: None,
    };
    bench.message(link_local(1), &answer);
    assert_eq!((bench.delivered(), bench.member(1).unwrap().advertisements), (vec![1], 2));
    bench.message(link_local(2), &answer);
    assert_eq!(bench.dropped("no-link-layer"), 1);
}

#[test]
fn a_process_that_did_not_run_declares_nobody_dead() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    bench.advertise(2, |_| {});
    bench.now = at(10_000);
    bench.input(Input::Tick);
    assert_eq!(bench.delivered(), [1, 2], "their signs are in the socket's queue");
    bench.run_with(&[2], 10_899);
    assert_eq!(bench.delivered(), [1, 2]);
    bench.run_with(&[2], 10_900);
    assert_eq!(bench.delivered(), [2]);
}
