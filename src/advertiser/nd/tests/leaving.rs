//! How a holder leaves, and how its successor takes over.

use super::bench::*;
use crate::advertiser::nd::Config;
use crate::advertiser::nd::wire::{Message, ServiceInformation};
use crate::advertiser::{Advertiser, State};
use crate::base::machine::{Datagram, Input, Wanted};
use crate::base::peer::PeerState;
use crate::scheduler::Intent;

/// A holder of term 1 at 2 s with the ready servers 2 and 3.
fn holder_among_peers() -> Bench {
    let mut bench = Bench::holder();
    bench.hear(peer(2, |statement| statement.term = 1));
    bench.hear(peer(3, |statement| statement.term = 1));
    bench.sent.clear();
    bench
}

#[test]
fn a_leaving_holder_advertises_its_successors_address_until_it_is_quiet() {
    let mut bench = holder_among_peers();
    bench.decide(PLANNED);
    let report = bench.report();
    assert_eq!(
        (report.state, report.holder, report.successor),
        (State::Withdrawing, true, Some(hash(3)))
    );
    bench.input(Input::Inflow(100));
    bench.run_until(2_100);
    bench.hear(peer(3, |statement| {
        (statement.holder, statement.term, statement.state) = (true, 2, PeerState::Active);
    }));
    assert!(!bench.report().holder);
    assert!(!bench.machine.is_withdrawn());
    bench.run_alongside(3, 2_599);
    assert!(!bench.machine.is_withdrawn());
    bench.run_alongside(3, 2_600);
    assert!(bench.machine.is_withdrawn(), "two intervals without a query");
    assert_eq!(bench.times(), [2_020, 2_070, 2_170, 2_470], "the successor has a head start");
    for sent in &bench.sent {
        assert_eq!((sent.link_layer(), sent.advertisement().overriding), (mac(3), true));
        assert_eq!(
            (sent.information().state, sent.information().hand_over),
            (PeerState::Draining, true)
        );
    }
}

#[test]
fn the_farewell_of_a_holder_hands_over_to_its_successor() {
    let bench = holder_among_peers();
    let farewell = bench.machine.farewell();
    let after: Vec<u128> = farewell.iter().map(|one| one.after.as_millis()).collect();
    assert_eq!(after, [0, 50, 150]);
    let last = bench.machine.sender.sequence;
    for (one, number) in farewell.iter().zip(last + 1..) {
        let packet = Datagram {
            source: link_local(OWN),
            source_port: 0,
            destination: one.datagram.destination,
            hop_limit: 255,
            payload: &one.datagram.payload,
        };
        let Ok(Message::Advertisement(message)) = Message::parse(&packet) else {
            panic!("an advertisement")
        };
        let information = message.information.unwrap();
        assert_eq!((message.target_link_layer, message.overriding), (Some(mac(3)), true));
        assert_eq!((information.hand_over, information.sequence), (true, number));
    }
}

#[test]
fn there_is_no_farewell_where_nothing_points_here_or_nobody_can_take_over() {
    assert_eq!(Bench::holder().machine.farewell(), [], "nobody is there");
    assert_eq!(Bench::follower(Config::default()).machine.farewell(), []);
    let mut bench = holder_among_peers();
    bench.run_until(4_000);
    assert!(bench.report().holder);
    assert_eq!(bench.machine.farewell(), [], "those who could are dead");
}

#[test]
fn who_was_spoken_for_while_it_hung_listens_before_it_speaks() {
    let mut bench = holder_among_peers();
    let used = bench.machine.sender.sequence + 3;
    bench.now = at(2_400);
    bench.taken_back();
    assert!(!bench.report().holder);
    bench.hear(peer(3, |statement| {
        (statement.holder, statement.term, statement.state) = (true, 2, PeerState::Active);
    }));
    bench.run_alongside(3, 6_000);
    bench.assert_silent();
    bench.run_until(9_000);
    assert!(bench.report().holder && bench.sent[0].information().sequence == used + 1);
}

#[test]
fn as_long_as_queries_come_the_hand_over_is_repeated() {
    let mut bench = holder_among_peers();
    bench.decide(PLANNED);
    bench.hear(peer(3, |statement| {
        (statement.holder, statement.term, statement.state) = (true, 2, PeerState::Active);
    }));
    for step in 1..30 {
        bench.run_alongside(3, 2_000 + 100 * step);
        bench.input(Input::Inflow(step));
    }
    assert!(!bench.machine.is_withdrawn());
    assert_eq!(bench.times().len(), 3 + 9);
}

#[test]
fn claim_9_a_failed_holder_hands_over_and_sends_nothing_with_its_own_address() {
    let mut bench = holder_among_peers();
    bench.decide(UNHEALTHY);
    bench.solicit_all();
    bench.solicit(link_local(OWN), Some(mac(ROUTER)));
    bench.run_until(2_400);
    assert_eq!(bench.times(), [2_000, 2_050, 2_150]);
    assert!(
        bench
            .sent
            .iter()
            .all(|sent| sent.link_layer() == mac(3) && sent.information().state == PeerState::Withdrawn)
    );
}

#[test]
fn claim_9_without_a_successor_a_leaving_holder_sends_nothing() {
    for (intent, withdrawn_at) in [(PLANNED, 2_600), (UNHEALTHY, 2_000)] {
        let mut bench = Bench::holder();
        bench.decide(intent);
        bench.solicit_all();
        bench.run_until(withdrawn_at);
        assert_eq!((bench.times(), bench.machine.is_withdrawn()), (vec![], true), "{intent}");
        bench.solicit(link_local(OWN), Some(mac(ROUTER)));
        bench.run_until(60_000);
        bench.assert_silent();
    }
}

#[test]
fn a_successor_that_goes_away_is_replaced() {
    let mut bench = holder_among_peers();
    bench.decide(PLANNED);
    bench.sent.clear();
    bench.hear(peer(3, |statement| statement.state = PeerState::Gone));
    assert_eq!(bench.report().successor, Some(hash(2)));
    bench.run_until(2_020);
    assert_eq!(bench.sent[0].link_layer(), mac(2));
}

#[test]
fn a_successor_that_lives_and_does_not_take_over_is_passed_over_after_three_intervals() {
    let mut bench = holder_among_peers();
    bench.decide(PLANNED);
    let mut named = Vec::new();
    for step in 0..12 {
        bench.run_until(2_000 + 300 * step);
        bench.hear_again(2);
        bench.hear_again(3);
        named.push(bench.report().successor.unwrap());
    }
    let (best, next) = (hash(3), hash(2));
    assert_eq!(named, [best, best, best, next, next, next, best, best, best, next, next, next]);
    bench.run_until(5_620);
    let told: Vec<_> = bench.sent.iter().map(Sent::link_layer).collect();
    assert_eq!(told.chunk_by(PartialEq::eq).count(), 5, "and the routers are told: {told:?}");
}

#[test]
fn the_only_possible_successor_stays_named() {
    let mut bench = Bench::holder();
    bench.hear(peer(2, |_| {}));
    bench.decide(PLANNED);
    bench.run_alongside(2, 6_000);
    assert_eq!(bench.report().successor, Some(hash(2)));
    assert_eq!(bench.notices.iter().filter(|text| text.contains("hands over to")).count(), 1);
}

#[test]
fn a_draining_server_gives_its_successors_address_to_whoever_asks() {
    let mut bench = holder_among_peers();
    bench.decide(PLANNED);
    bench.sent.clear();
    bench.solicit(link_local(OWN), Some(mac(ROUTER)));
    let message = bench.sent[0].advertisement();
    assert!(message.solicited && message.overriding);
    assert_eq!((bench.sent[0].link_layer(), bench.sent[0].frame), (mac(3), Some(mac(ROUTER))));
}

#[test]
fn the_named_successor_advertises_at_once() {
    let leaving = |statement: &mut crate::base::peer::Statement| {
        (statement.holder, statement.term, statement.state) = (true, 5, PeerState::Draining);
        statement.successor = Some(hash(OWN));
    };
    let mut bench = Bench::follower(Config::default());
    bench.hear(peer(2, leaving));
    assert_eq!((bench.times(), bench.report().term), (vec![1_000], 6));
    assert_eq!(bench.wanted, [Wanted::TakeOver]);
    bench.run_alongside(2, 3_000);
    assert!(bench.report().holder, "the leaving one goes on leaving");
}

#[test]
fn the_hand_over_advertisement_alone_is_enough_for_the_successor() {
    let mut bench = Bench::follower(Config::default());
    bench.run_until(1_010);
    let hand_over = ServiceInformation {
        state: PeerState::Draining,
        hand_over: true,
        ..information(2, 5, 1)
    };
    bench.hear_advertisement(2, mac(4), Some(hand_over));
    bench.assert_silent();
    bench.hear_advertisement(2, mac(OWN), Some(ServiceInformation { sequence: 2, ..hand_over }));
    assert_eq!(bench.times(), [1_010]);
}

#[test]
fn whoever_is_not_named_waits() {
    let mut bench = Bench::follower(Config::default());
    bench.hear(peer(2, |statement| {
        (statement.holder, statement.term, statement.state) = (true, 5, PeerState::Draining);
        statement.successor = Some(hash(3));
    }));
    bench.run_alongside(2, 5_000);
    bench.assert_silent();
}

#[test]
fn after_an_undrain_the_server_follows_its_successor() {
    let mut bench = holder_among_peers();
    bench.decide(PLANNED);
    bench.hear(peer(3, |statement| {
        (statement.holder, statement.term) = (true, 2);
    }));
    bench.sent.clear();
    bench.decide(Intent::Advertise);
    bench.run_alongside(3, 5_000);
    assert_eq!((bench.report().state, bench.times()), (State::Silent, vec![]));
}

#[test]
fn claim_9_a_server_that_is_not_the_holder_leaves_without_a_word() {
    let mut bench = Bench::follower(Config::default());
    bench.decide(PLANNED);
    assert!(bench.machine.is_withdrawn());
    bench.run_until(10_000);
    assert_eq!((bench.times(), bench.report().state), (vec![], State::Withdrawn));
}
