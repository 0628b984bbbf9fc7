//! Idle standby: how it begins, and what ends it.

use super::bench::*;
use crate::advertiser::State;
use crate::advertiser::nd::Config;
use crate::advertiser::nd::config::Idle;
use crate::base::machine::{Input, Wanted};
use crate::base::peer::PeerState;
use crate::scheduler::Intent;

/// A holder in idle standby since 2 s.
fn idle() -> Bench {
    let mut bench = Bench::holder();
    bench.decide(Intent::Silent);
    bench.sent.clear();
    bench
}

#[test]
fn claim_7_without_queries_the_sending_stops_and_the_last_advertisement_says_standby() {
    let mut bench = Bench::holder();
    bench.decide(Intent::Silent);
    bench.run_until(600_000);
    assert_eq!(bench.times(), [2_000]);
    assert_eq!(
        (bench.sent[0].information().state, bench.sent[0].link_layer()),
        (PeerState::Standby, mac(OWN))
    );
    let report = bench.report();
    assert_eq!((report.state, report.holder, report.advertised), (State::Silent, true, false));
}

#[test]
fn claim_8_a_solicitation_in_standby_is_answered_and_the_sending_goes_on() {
    let mut bench = idle();
    bench.run_until(60_000);
    bench.solicit_all();
    assert_eq!(bench.wanted, [Wanted::Solicitation]);
    bench.decide(Intent::Advertise);
    bench.run_until(60_500);
    assert_eq!(bench.times(), [60_000, 60_000, 60_050, 60_150, 60_450]);
    assert_eq!(bench.sent[1].information().state, PeerState::Active);
}

#[test]
fn a_server_that_was_woken_for_nothing_goes_back_to_standby() {
    let mut bench = idle();
    bench.solicit(link_local(OWN), None);
    bench.run_until(30_000);
    assert_eq!(bench.wanted, [Wanted::Solicitation]);
    assert_eq!(
        bench.sent.last().map(|sent| (sent.at, sent.information().state)),
        Some((at(4_000), PeerState::Standby))
    );
}

#[test]
fn a_query_at_the_holder_ends_standby_by_the_schedulers_decision() {
    let mut bench = idle();
    bench.run_until(50_000);
    bench.input(Input::Inflow(1));
    bench.assert_silent();
    bench.decide(Intent::Advertise);
    assert_eq!(bench.times(), [50_000]);
}

#[test]
fn the_next_in_line_of_a_dead_idle_holder_sends_one_advertisement_and_is_idle_holder() {
    let mut bench = Bench::new(Config::default());
    bench.decide(Intent::Silent);
    bench.hear(peer(2, |statement| {
        (statement.holder, statement.idle, statement.term) = (true, true, 5);
        statement.interval = std::time::Duration::from_secs(1);
    }));
    bench.run_until(60_000);
    assert_eq!(bench.times(), [3_000]);
    assert_eq!(
        (bench.sent[0].information().state, bench.sent[0].information().term),
        (PeerState::Standby, 6)
    );
    assert_eq!((bench.wanted.len(), bench.report().holder), (0, true));
}

#[test]
fn with_group_mac_the_last_advertisement_points_to_all_servers() {
    let mut bench = Bench::new(Config {
        idle: Idle::GroupMac,
        ..Config::default()
    });
    bench.decide(Intent::Advertise);
    bench.run_until(2_000);
    bench.sent.clear();
    bench.decide(Intent::Silent);
    assert_eq!(bench.take_sent()[0].link_layer().to_string(), "33:33:ff:00:00:53");
    bench.decide(Intent::Advertise);
    assert_eq!(bench.take_sent()[0].link_layer(), mac(OWN));
}

#[test]
fn queries_that_reach_a_peer_wake_the_idle_holder() {
    let mut bench = idle();
    bench.hear(peer(2, |_| {}));
    bench.hear(peer(2, |statement| statement.misdelivered = 40));
    assert_eq!(
        (bench.wanted.as_slice(), bench.times()),
        ([Wanted::Misdelivered].as_slice(), vec![2_000])
    );
    assert_eq!(bench.sent[0].information().state, PeerState::Active);
}

#[test]
fn queries_at_a_server_that_is_not_the_holder_are_told_and_wake_nobody() {
    let mut bench = Bench::follower(Config::default());
    let mut total = 0;
    for step in 0..10 {
        total += 5;
        bench.input(Input::Inflow(total));
        bench.run_alongside(2, 1_000 + 100 * (step + 1));
    }
    assert_eq!((bench.report().misdelivered, bench.times(), bench.wanted.len()), (50, vec![], 0));
}
