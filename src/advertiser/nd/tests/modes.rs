//! Modes rotate and member.

use std::time::Duration;

use super::bench::*;
use crate::advertiser::State;
use crate::advertiser::nd::config::Mode;
use crate::advertiser::nd::wire::ServiceInformation;
use crate::base::address::ALL_NODES;
use crate::base::machine::Wanted;
use crate::base::peer::PeerState;
use crate::scheduler::Intent;

/// A rotating server, number 1, that has listened, with servers 2 and 3; at 2.9 s server 2's turn of term 5 has begun.
fn rotating() -> Bench {
    let mut bench = Bench::new(config(Mode::Rotate));
    bench.decide(Intent::Advertise);
    for step in 0..10_u32 {
        bench.run_until(300 * u64::from(step));
        for number in [2, 3] {
            bench.hear(peer(number, |statement| {
                (statement.state, statement.term) = (PeerState::Active, 4);
                statement.holder = number == 3;
            }));
        }
    }
    bench.run_until(2_900);
    bench.hear_advertisement(2, mac(2), Some(information(2, 5, 1)));
    bench.run_until(3_000);
    assert_eq!((bench.times(), bench.report().state), (vec![], State::Silent));
    bench
}

/// Messages of both peers every 100 ms until `millis`.
fn run(bench: &mut Bench, millis: u64, holder: u8, term: u32) {
    while bench.now < at(millis) {
        let next = (bench.now + Duration::from_millis(100)).min(at(millis));
        bench.run_until(next.as_micros() / 1_000);
        for number in [2, 3] {
            bench.hear(peer(number, |statement| {
                (statement.state, statement.term) = (PeerState::Active, term);
                statement.holder = number == holder;
            }));
        }
    }
}

#[test]
fn claim_6_a_turn_is_delayed_until_the_one_before_it_has_ended() {
    let mut bench = rotating();
    run(&mut bench, 3_500, 2, 5);
    bench.hear_advertisement(3, mac(3), Some(information(3, 6, 1)));
    run(&mut bench, 4_450, 3, 6);
    bench.assert_silent();
    run(&mut bench, 4_600, 3, 6);
    assert_eq!(bench.times()[0], 4_500, "one second after server 3 began");
    assert_eq!(bench.sent[0].information().term, 7);
    assert!(bench.report().holder);
}

#[test]
fn a_missing_servers_turn_goes_to_the_next_after_a_grace() {
    let mut bench = rotating();
    run(&mut bench, 3_999, 2, 5);
    bench.assert_silent();
    run(&mut bench, 4_100, 2, 5);
    assert_eq!(bench.times()[0], 4_000, "server 3 did not begin at 3.9 s");
}

#[test]
fn a_turn_lasts_as_long_as_the_weight_against_the_mean_says() {
    let mut bench = rotating();
    bench.hear_advertisement(
        3,
        mac(3),
        Some(ServiceInformation {
            weight: 250,
            ..information(3, 6, 1)
        }),
    );
    let heavy = |bench: &mut Bench| {
        bench.hear(peer(2, |statement| (statement.state, statement.term) = (PeerState::Active, 6)));
        bench.hear(peer(3, |statement| {
            (statement.state, statement.term, statement.holder, statement.weight) = (PeerState::Active, 6, true, 250);
        }));
    };
    for step in 1..20 {
        bench.run_until(3_000 + 100 * step);
        heavy(&mut bench);
    }
    assert_eq!(bench.times()[0], 4_666, "250 against a mean of 150");
}

#[test]
fn alone_a_rotating_server_takes_one_turn_after_the_other() {
    let mut bench = Bench::new(config(Mode::Rotate));
    bench.decide(Intent::Advertise);
    bench.run_until(4_500);
    assert_eq!(bench.times(), [1_000, 2_000, 3_000, 4_000]);
}

#[test]
fn in_idle_standby_the_last_owner_stays_holder() {
    let mut bench = rotating();
    let idle = |number: u8, term| {
        peer(number, move |statement| {
            (statement.state, statement.term, statement.idle) = (PeerState::Standby, term, true);
            statement.holder = number == 2;
        })
    };
    bench.hear(idle(2, 5));
    for step in 1..40 {
        bench.run_until(3_000 + 300 * step);
        bench.hear(idle(2, 5));
        bench.hear(idle(3, 5));
    }
    bench.assert_silent();
}

#[test]
fn a_server_that_saw_no_queries_takes_its_turn_and_says_standby_if_none_come() {
    let mut bench = rotating();
    bench.decide(Intent::Silent);
    run(&mut bench, 3_950, 2, 5);
    bench.run_until(5_500);
    let said: Vec<_> = bench.sent.iter().map(|sent| sent.information().state).collect();
    assert_eq!(
        (bench.times(), said),
        (vec![4_000, 4_750], vec![PeerState::Active, PeerState::Standby])
    );
    assert_eq!((bench.wanted.len(), bench.report().holder), (0, true));
}

#[test]
fn a_leaving_owner_gives_its_turn_to_the_next_in_the_ring() {
    let mut bench = rotating();
    run(&mut bench, 4_200, 2, 5);
    bench.sent.clear();
    bench.decide(PLANNED);
    assert_eq!(bench.report().successor, Some(hash(2)));
    bench.run_until(4_220);
    assert_eq!((bench.sent[0].link_layer(), bench.sent[0].information().hand_over), (mac(2), true));
}

#[test]
fn claim_15_a_member_announces_itself_at_once_and_leaves_other_entries_alone() {
    let mut bench = Bench::new(config(Mode::Member));
    bench.decide(Intent::Advertise);
    bench.hear_advertisement(2, mac(2), Some(information(2, 9, 1)));
    bench.run_until(500);
    assert_eq!(bench.times(), [0, 50, 150, 450]);
    for sent in &bench.sent {
        assert_eq!(sent.destination, ALL_NODES);
        assert!(!sent.advertisement().overriding);
        assert_eq!(sent.link_layer(), mac(OWN));
        assert_eq!(sent.information().recent_load, Some(440));
    }
    assert!(bench.report().holder);
    assert_eq!(bench.report().other_holder, None, "a member waits for no other");
}

#[test]
fn claim_9_a_member_that_leaves_just_stops() {
    let mut bench = Bench::new(config(Mode::Member));
    bench.decide(Intent::Advertise);
    bench.hear(peer(2, |_| {}));
    bench.run_until(500);
    bench.sent.clear();
    bench.decide(PLANNED);
    bench.run_until(5_000);
    assert_eq!((bench.times(), bench.report().state), (vec![], State::Withdrawn));
}

#[test]
fn an_idle_member_is_not_woken_by_the_router_sides_checks() {
    let mut bench = Bench::new(config(Mode::Member));
    bench.decide(Intent::Silent);
    bench.run_until(1_000);
    bench.sent.clear();
    bench.solicit(link_local(OWN), Some(mac(ROUTER)));
    assert_eq!((bench.sent.len(), bench.wanted.len()), (1, 0));
    assert_eq!(bench.sent[0].information().state, PeerState::Standby);
    bench.run_until(2_000);
    bench.solicit_all();
    assert_eq!(bench.wanted, [Wanted::Solicitation]);
}
