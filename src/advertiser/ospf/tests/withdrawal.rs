//! Taking the route back, in every way there is, and how fast; idle standby; the farewell.

use std::time::Duration;

use super::bench::*;
use crate::advertiser::ospf::config::{Config, Standby};
use crate::advertiser::ospf::wire::*;
use crate::advertiser::{Advertiser, State as Shown};
use crate::base::cost::LAST_RESORT;
use crate::scheduler::{CostClass, Intent};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(5);

fn two_servers(seed: u64) -> Bench {
    let mut bench = Bench::new(&[1, 200], seed);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.is_full() && bench.route() == [(1, 10), (200, 10)]);
    bench.run(3 * SECOND);
    bench
}

#[test]
fn a_planned_withdrawal_is_believed_at_once_and_the_adjacency_stays() {
    let mut bench = two_servers(1);
    bench.decide(0, PLANNED);
    assert!(!bench.machine(0).is_withdrawn());
    assert_eq!(bench.machine(0).report().state, Shown::Withdrawing);
    bench.wait(SOON, |bench| bench.route() == [(200, 10)]);
    bench.wait(SOON, |bench| bench.machine(0).is_withdrawn());
    bench.run(10 * SECOND);
    assert!(bench.is_full());
    assert_eq!(bench.machine(0).report().state, Shown::Withdrawn);
    bench.decide(0, Intent::Advertise);
    bench.wait(SOON, |bench| bench.route() == [(1, 10), (200, 10)]);
}

/// The router of the model keeps a dead next hop until it calculates anew, as FRR does: without the nudge this fails.
#[test]
fn no_next_hop_goes_stale_whoever_came_first() {
    for first in [0, 1] {
        let mut bench = Bench::new(&[1, 200], 2);
        bench.start_all(PLANNED);
        bench.wait(3 * SECOND, Bench::is_full);
        bench.run(3 * SECOND);
        for index in [first, 1 - first] {
            bench.decide(index, Intent::Advertise);
            bench.run(7 * SECOND);
        }
        bench.decide_class(first, Intent::Advertise, CostClass::Busy);
        bench.run(7 * SECOND);
        bench.decide(first, UNHEALTHY);
        let others = [(200, 10), (1, 10)][first];
        bench.wait(SOON, |bench| bench.route() == [others]);
        assert!(bench.is_full(), "no need to leave the neighbours");
    }
}

/// The update is lost, and only the nudge arrives, whose acknowledgment is lost too: with the repetition nothing makes the router calculate.
#[test]
fn a_nudge_that_came_before_its_withdrawal_is_followed_by_another() {
    let mut bench = two_servers(2);
    let source = bench.machine(0).sender.link.link_local.unwrap();
    bench.decide(0, PLANNED);
    bench.lose_until(bench.now + Duration::from_millis(20));
    let nudge = bench.machine(0).origination.lsa(&bench.machine(0).router_key(), bench.now).unwrap();
    let packet = Packet {
        router: RouterId(1),
        area: AreaId(0),
        instance: 0,
        body: Body::LinkStateUpdate(vec![nudge]),
    };
    let payload = packet.emit(source, ALL_D_ROUTERS, None);
    bench.deliver(source, ALL_D_ROUTERS, &payload);
    bench.lose_until(bench.now + Duration::from_millis(20));
    bench.run(Duration::from_millis(100));
    assert_eq!(bench.route(), [(1, 10), (200, 10)], "the next hop is dead, as it is with FRR");
    bench.wait(2 * SECOND, |bench| bench.route() == [(200, 10)]);
}

/// MinLSArrival: the router drops a withdrawal that follows too soon, without a word.
#[test]
fn failed_health_within_a_second_of_a_change_does_not_wait_for_it() {
    for pause in [0, 1, 300, 900, 1_040] {
        let mut bench = two_servers(3);
        bench.decide_class(0, Intent::Advertise, CostClass::Busy);
        bench.run(Duration::from_millis(pause));
        bench.decide(0, UNHEALTHY);
        bench.wait(SOON, |bench| bench.route() == [(200, 10)]);
        for _ in 0..200 {
            bench.run(Duration::from_millis(50));
            assert_eq!(bench.route(), [(200, 10)], "it does not come back, pause {pause} ms");
        }
        assert!(bench.is_full(), "the adjacency does: {}", bench.machine(0).report().detail);
        bench.decide(0, Intent::Advertise);
        bench.wait(SOON, |bench| bench.route().len() == 2);
    }
}

#[test]
fn a_drain_within_a_second_of_a_change_keeps_the_adjacency_and_is_repeated() {
    let mut bench = two_servers(4);
    bench.decide_class(0, Intent::Advertise, CostClass::Busy);
    bench.run(Duration::from_millis(300));
    bench.decide(0, PLANNED);
    let took = bench.wait(2 * SECOND, |bench| bench.route() == [(200, 10)]);
    assert!(took < Duration::from_millis(1_100), "{took:?}");
    assert!(bench.is_full());
}

#[test]
fn the_service_address_gone_withdraws_without_waiting_for_a_decision() {
    let mut bench = two_servers(5);
    bench.link(0, |link| link.service_addresses_held = false);
    bench.wait(SOON, |bench| bench.route() == [(200, 10)]);
    bench.link(0, |link| link.service_addresses_held = true);
    bench.run(2 * SECOND);
    assert_eq!(bench.route(), [(1, 10), (200, 10)]);
}

#[test]
fn a_lost_link_is_failed_and_comes_back() {
    let mut bench = two_servers(6);
    bench.link(0, |link| link.up = false);
    assert_eq!(bench.machine(0).report().state, Shown::Failed);
    assert!(bench.machine(0).is_withdrawn() && bench.machine(0).farewell().is_empty());
    bench.wait(5 * SECOND, |bench| bench.route() == [(200, 10)]);
    bench.link(0, |link| link.up = true);
    bench.wait(5 * SECOND, |bench| bench.is_full() && bench.route().len() == 2);
}

#[test]
fn an_orderly_end_leaves_nothing_behind() {
    let mut bench = two_servers(7);
    bench.decide(0, PLANNED);
    bench.run(3 * SECOND);
    bench.leave(0);
    bench.run(SOON);
    assert_eq!(bench.router.stage(RouterId(1)), Some(super::model::Stage::Init));
    let left: Vec<_> = bench.router.database.keys().filter(|key| key.router == RouterId(1)).collect();
    assert!(left.iter().all(|key| bench.router.has(key).unwrap().1), "{left:?}");
}

#[test]
fn an_orderly_end_is_heard_though_its_first_packets_are_lost() {
    let mut bench = two_servers(7);
    bench.decide(0, PLANNED);
    bench.run(3 * SECOND);
    bench.leave(0);
    bench.lose_until(bench.now + Duration::from_millis(60));
    let is_left = |bench: &Bench| bench.router.stage(RouterId(1)) == Some(super::model::Stage::Init);
    let took = bench.wait(SECOND, is_left);
    assert!(took > Duration::from_millis(140), "{took:?}");
}

#[test]
fn the_farewell_of_a_dead_process_is_a_hello_that_names_nobody() {
    let mut bench = two_servers(8);
    let farewell = bench.machine(0).farewell();
    let after: Vec<u128> = farewell.iter().map(|one| one.after.as_millis()).collect();
    assert_eq!(after, [0, 50, 150]);
    bench.kill(0, true);
    bench.wait(SOON, |bench| bench.route() == [(200, 10)]);
    bench.run(10 * SECOND);
    assert_eq!(bench.router.stage(RouterId(1)), None);

    bench.kill(1, false);
    let took = bench.wait(5 * SECOND, |bench| bench.route().is_empty());
    assert!(took > 3 * SECOND, "without a guardian it is the dead interval: {took:?}");
}

#[test]
fn who_was_spoken_for_while_it_hung_starts_as_new() {
    for key in [None, Some(Key::new(1, Algorithm::HmacSha256, b"secret"))] {
        let mut bench = Bench::new(&[], 12);
        bench.add(config(1), key.clone());
        bench.add(config(200), key.clone());
        bench.router.key = key;
        bench.start_all(Intent::Advertise);
        bench.wait(5 * SECOND, |bench| bench.route().len() == 2);
        bench.run(10 * SECOND);
        for (hung, left) in [(0, (200, 10)), (1, (1, 10))] {
            // Sooner and later than the routers give it up.
            for duration in [Duration::from_millis(20), SECOND, 8 * SECOND] {
                let begin = bench.now;
                bench.hang(hung, duration);
                assert_eq!(bench.route(), [left], "after {duration:?}");
                bench.wait(5 * SECOND, |bench| bench.is_full() && bench.route().len() == 2);
                bench.run_until(begin + 20 * SECOND);
                assert_eq!(bench.route().len(), 2);
            }
        }
    }
}

#[test]
fn claim_7_idle_standby_is_the_last_resort() {
    let mut bench = two_servers(9);
    bench.decide(0, Intent::Silent);
    bench.wait(SOON, |bench| bench.route() == [(1, LAST_RESORT), (200, 10)]);
    let report = bench.machine(0).report();
    assert_eq!((report.state, report.holder, report.advertised), (Shown::Silent, true, false));
    bench.decide(0, Intent::Advertise);
    bench.wait(2 * SECOND, |bench| bench.route() == [(1, 10), (200, 10)]);
}

fn two_that_withdraw_when_idle(seed: u64) -> Bench {
    let mut bench = Bench::new(&[], seed);
    for id in [1, 200] {
        let standby = Standby::Withdraw;
        bench.add(Config { standby, ..config(id) }, None);
    }
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.is_full() && bench.route().len() == 2);
    bench.run(3 * SECOND);
    bench
}

#[test]
fn somebody_remains_whom_a_query_can_wake() {
    let mut bench = two_that_withdraw_when_idle(10);
    bench.decide(0, Intent::Silent);
    bench.wait(SOON, |bench| bench.route() == [(1, LAST_RESORT), (200, 10)]);
    bench.wait(7 * SECOND, |bench| bench.route() == [(200, 10)]);
    bench.run(5 * SECOND);
    bench.decide(1, Intent::Silent);
    bench.wait(2 * SECOND, |bench| bench.route() == [(1, LAST_RESORT), (200, LAST_RESORT)]);
    bench.run(5 * SECOND);
    bench.decide(1, Intent::Advertise);
    bench.wait(2 * SECOND, |bench| bench.route() == [(200, 10)]);
    bench.run(5 * SECOND);
    bench.kill(1, false);
    let took = bench.wait(6 * SECOND, |bench| bench.route() == [(1, LAST_RESORT)]);
    assert!(took < Duration::from_millis(4_100), "{took:?}");
}

/// Each sees the other's old LSA, which does not say yet that it is idle too.
#[test]
fn two_that_go_idle_at_once_leave_no_moment_without_a_route() {
    let mut bench = two_that_withdraw_when_idle(11);
    bench.decide(0, Intent::Silent);
    bench.decide(1, Intent::Silent);
    for _ in 0..6_000 {
        bench.run(Duration::from_millis(10));
        assert_ne!(bench.route(), []);
    }
    assert_eq!(bench.route(), [(1, LAST_RESORT), (200, LAST_RESORT)]);
}

/// Every change goes out with a new Router-LSA behind it, and again after 50 ms, 1.05 s and 2.1 s while nobody acknowledges.
#[test]
fn a_change_is_one_update_with_the_nudge_and_is_repeated() {
    let mut bench = two_servers(12);
    bench.router_lives = false;
    let (from, start) = (bench.sent.len(), bench.now);
    bench.decide(0, PLANNED);
    bench.run(3 * SECOND);
    let mut at = Vec::new();
    for (time, _, body) in bench.sent[from..].iter().filter(|(_, id, _)| *id == RouterId(1)) {
        if let Body::LinkStateUpdate(lsas) = body {
            let kinds: Vec<_> = lsas
                .iter()
                .map(|lsa| (lsa.header.key.kind, lsa.header.is_max_age(), lsa.length() > 20))
                .collect();
            assert_eq!(kinds, [(LsaType::INTRA_AREA_PREFIX, true, true), (LsaType::ROUTER, false, true)]);
            at.push(time.since(start).as_millis());
        }
    }
    assert_eq!(at, [0, 50, 1_050, 2_100]);
}
