//! One holder: who takes over when, and who yields to whom.

use super::bench::*;
use crate::advertiser::State;
use crate::advertiser::nd::Config;
use crate::advertiser::nd::config::Start;
use crate::advertiser::nd::wire::Message;
use crate::base::address::ALL_NODES;
use crate::base::machine::{Input, InterfaceState, Wanted};
use crate::base::peer::PeerState;
use crate::scheduler::Intent;

#[test]
fn claim_1_a_ready_server_advertises_to_all_nodes_on_the_link() {
    let mut bench = Bench::new(Config::default());
    bench.run_until(2_000);
    assert_eq!(
        (bench.report().state, bench.times()),
        (State::Starting, vec![]),
        "not ready: silent"
    );
    bench.decide(Intent::Advertise);
    bench.run_until(3_700);
    assert_eq!(bench.times(), [2_900, 2_950, 3_050, 3_350, 3_650]);
    for sent in &bench.sent {
        assert_eq!((sent.destination, sent.frame), (ALL_NODES, None));
        assert_eq!((sent.advertisement().target, sent.link_layer()), (SERVICE, mac(OWN)));
    }
    let report = bench.report();
    assert_eq!(
        (report.state, report.holder, report.advertised, report.term, report.sent),
        (State::Advertising, true, true, 1, 5)
    );
}

#[test]
fn claim_4_the_advertisement_is_unsolicited_with_override() {
    let mut bench = Bench::holder();
    bench.run_until(2_400);
    let sent = bench.take_sent();
    let message = sent[0].advertisement();
    assert!(message.overriding && !message.solicited && !message.router);
}

#[test]
fn claim_16_the_advertisement_carries_load_and_weight() {
    let mut bench = Bench::holder();
    bench.run_until(2_400);
    let said = bench.sent[0].information();
    assert_eq!(
        (said.load, said.weight, said.state, said.identity, said.term),
        (310, 100, PeerState::Active, hash(OWN), 1)
    );
    assert_eq!(said.recent_load, Some(440));
}

#[test]
fn another_load_waits_for_the_next_advertisement() {
    let mut bench = Bench::holder();
    bench.run_until(2_400);
    bench.sent.clear();
    for step in 1..=4_u16 {
        bench.apply(Intent::Advertise, 440 + step);
        bench.assert_silent();
    }
    bench.run_until(2_700);
    let loads: Vec<_> = bench.sent.iter().map(|sent| sent.information().recent_load).collect();
    assert_eq!(loads, [Some(444)]);
}

#[test]
fn claim_3_the_next_in_line_takes_over_when_the_holder_is_dead() {
    let mut bench = Bench::follower(Config::default());
    bench.run_until(1_899);
    bench.assert_silent();
    bench.run_until(1_900);
    assert_eq!(bench.times(), [1_900], "three intervals after the last message");
    assert_eq!(bench.sent[0].information().term, 6);
    assert_eq!(bench.wanted, [Wanted::TakeOver], "the dead holder was active");
}

#[test]
fn an_advertisement_is_a_sign_of_life_too() {
    let mut bench = Bench::follower(Config::default());
    bench.run_until(1_500);
    bench.hear_advertisement(2, mac(2), Some(information(2, 5, 1)));
    bench.run_until(2_399);
    bench.assert_silent();
    bench.run_until(2_400);
    assert_eq!(bench.times(), [2_400]);
}

#[test]
fn a_holder_whose_link_layer_address_changed_to_and_fro_lives() {
    let holder_at = |number, millis| {
        let mut peer = peer(2, |statement| (statement.holder, statement.term) = (true, 5));
        (peer.statement.link_layer, peer.last_heard) = (mac(number), at(millis));
        peer
    };
    let mut bench = Bench::follower(Config::default());
    for step in 0..20 {
        let now = 1_000 + 300 * step;
        bench.run_until(now);
        bench.input(Input::Peers(&[holder_at(2, now), holder_at(7, 1_000)]));
    }
    bench.assert_silent();
    assert_eq!(bench.report().other_holder, Some(hash(2)));
}

#[test]
fn the_next_in_line_waits_one_interval_more() {
    let mut bench = Bench::follower(Config::default());
    bench.hear(peer(3, |_| {}));
    bench.run_alongside(3, 2_199);
    bench.assert_silent();
    bench.run_alongside(3, 2_210);
    assert_eq!(bench.times(), [2_200]);
}

#[test]
fn who_goes_first_is_health_then_weight_then_hash() {
    let waits = |change: fn(&mut crate::base::peer::Statement)| {
        let mut bench = Bench::follower(Config::default());
        bench.hear(peer(3, change));
        bench.run_alongside(3, 2_300);
        bench.times().first() == Some(&2_200)
    };
    assert!(waits(|_| {}), "a higher hash");
    assert!(!waits(|statement| statement.weight = 99));
    assert!(waits(|statement| statement.weight = 101));
    assert!(!waits(|statement| (statement.health, statement.weight) = (254, 101)));
    assert!(!waits(|statement| statement.state = PeerState::Draining), "not ready");
}

#[test]
fn a_holder_that_says_it_is_gone_is_followed_at_once() {
    for state in [PeerState::Gone, PeerState::Withdrawn] {
        let mut bench = Bench::follower(Config::default());
        bench.hear(peer(2, |statement| {
            statement.state = state;
            statement.term = 5;
        }));
        assert_eq!(bench.times(), [1_000], "{state:?}");
    }
}

#[test]
fn a_holder_that_was_only_lost_sight_of_is_given_three_intervals() {
    let mut bench = Bench::follower(Config::default());
    bench.hear(peer(2, |statement| statement.term = 5));
    bench.run_alongside(2, 2_199);
    bench.assert_silent();
    bench.run_alongside(2, 2_210);
    assert_eq!(bench.times(), [2_200], "and one more because server 2 is still first in line");
}

#[test]
fn a_holder_that_has_restarted_is_followed_at_once_whatever_it_advertised_before() {
    let mut bench = Bench::follower(Config::default());
    bench.hear_advertisement(2, mac(2), Some(information(2, 5, 1)));
    bench.run_until(1_100);
    let mut restarted = peer(2, |statement| statement.weight = 99);
    restarted.boot = 2;
    bench.hear(restarted);
    assert_eq!(bench.times(), [1_100]);
}

#[test]
fn a_newcomer_never_displaces_a_running_holder() {
    let mut bench = Bench::new(Config::default());
    bench.decide(Intent::Advertise);
    bench.run_until(500);
    bench.hear(peer(2, |statement| {
        (statement.holder, statement.term, statement.health, statement.weight) = (true, 1, 10, 1);
    }));
    bench.run_alongside(2, 10_000);
    bench.assert_silent();
    assert_eq!((bench.report().state, bench.report().holder), (State::Silent, false));
}

#[test]
fn at_a_common_start_the_second_in_line_waits_for_the_first() {
    let mut bench = Bench::new(Config::default());
    bench.decide(Intent::Advertise);
    bench.hear(peer(2, |statement| statement.state = PeerState::Starting));
    bench.run_alongside(2, 1_199);
    bench.assert_silent();
    bench.run_alongside(2, 1_201);
    assert_eq!(bench.times(), [1_200]);
}

#[test]
fn of_two_holders_the_lower_yields_at_once_and_sends_nothing() {
    let mut bench = Bench::holder();
    bench.hear_advertisement(2, mac(2), Some(information(2, 1, 1)));
    assert_eq!((bench.report().holder, bench.report().other_holder), (false, Some(hash(2))));
    bench.run_until(2_800);
    bench.assert_silent();
}

#[test]
fn whoever_yields_says_to_whom() {
    let mut bench = Bench::holder();
    bench.hear(peer(2, |statement| (statement.holder, statement.term) = (true, 9)));
    assert_eq!(bench.report().detail, "holder is s2");
}

#[test]
fn of_two_holders_the_higher_sends_an_advertisement_at_once() {
    let mut bench = Bench::holder();
    let lower = crate::advertiser::nd::wire::ServiceInformation {
        weight: 99,
        ..information(2, 1, 1)
    };
    bench.hear_advertisement(2, mac(2), Some(lower));
    assert!(bench.report().holder);
    assert_eq!(bench.times(), [2_000]);
    bench.run_until(2_005);
    bench.hear(peer(2, |statement| {
        (statement.holder, statement.term, statement.weight) = (true, 1, 99);
    }));
    bench.run_until(2_020);
    assert_eq!(bench.times(), [2_000, 2_020], "not faster than every 20 ms");
}

#[test]
fn two_entries_lost_within_180_s_put_a_server_behind_the_others() {
    let mut bench = Bench::holder();
    bench.hear_advertisement(2, mac(2), Some(information(2, 2, 1)));
    bench.run_until(3_000);
    assert!(bench.report().holder, "server 2 died, term 3");
    bench.hear_advertisement(2, mac(2), Some(information(2, 4, 2)));
    assert!(
        bench.notices.iter().any(|text| text.contains("lost the service address")),
        "{:?}",
        bench.notices
    );
    bench.sent.clear();
    bench.hear(peer(0, |statement| statement.term = 4));
    bench.run_alongside(0, 4_199);
    bench.assert_silent();
    bench.run_alongside(0, 4_210);
    assert_eq!(bench.times(), [4_200], "a lower one in the order goes first");
}

#[test]
fn a_take_over_that_is_not_believed_asks_every_router_once() {
    let mut bench = Bench::follower(Config::default());
    bench.solicit_all();
    bench.hear_advertisement(2, mac(2), Some(information(2, 5, 9)));
    bench.run_until(2_899);
    assert!(bench.report().holder);
    bench.sent.clear();
    bench.run_until(4_000);
    let asked: Vec<_> = bench.sent.iter().filter(|sent| sent.frame.is_some()).collect();
    assert_eq!(
        (asked.len(), asked[0].at, asked[0].frame, asked[0].destination),
        (1, at(2_900), Some(mac(ROUTER)), link_local(ROUTER))
    );
    let Message::Solicitation(message) = &asked[0].message else {
        panic!()
    };
    assert_eq!((message.target, message.source_link_layer), (link_local(ROUTER), Some(mac(OWN))));
    assert_eq!(bench.notices.iter().filter(|text| text.contains("no query came")).count(), 1);
}

#[test]
fn a_take_over_that_is_believed_asks_nobody() {
    let mut bench = Bench::follower(Config::default());
    bench.solicit_all();
    bench.hear_advertisement(2, mac(2), Some(information(2, 5, 9)));
    bench.run_until(2_000);
    bench.input(Input::Inflow(1));
    bench.run_until(4_000);
    assert!(bench.sent.iter().all(|sent| sent.frame.is_none()));
}

#[test]
fn with_several_routers_a_query_proves_only_one_of_them_and_each_is_asked_once() {
    let mut bench = Bench::follower(Config::default());
    bench.link(&InterfaceState {
        routers: vec![link_local(97), link_local(98)],
        ..usable()
    });
    bench.run_until(2_000);
    bench.input(Input::Inflow(1));
    bench.sent.clear();
    for step in 2..40 {
        bench.run_until(2_000 + 100 * step);
        bench.input(Input::Inflow(step));
    }
    let solicitations = bench.sent.iter().filter(|sent| sent.frame.is_some());
    let asked: Vec<_> = solicitations
        .map(|sent| match &sent.message {
            Message::Solicitation(message) => (sent.at, message.target),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [(at(2_900), link_local(97)), (at(2_900), link_local(98))]);
    assert!(!bench.notices.iter().any(|text| text.contains("no query came")));
}

#[test]
fn claim_2_with_start_solicited_the_first_solicitation_activates_the_sending() {
    let mut bench = Bench::new(Config {
        start: Start::Solicited,
        ..Config::default()
    });
    bench.decide(Intent::Advertise);
    bench.run_until(60_000);
    assert_eq!((bench.times(), bench.report().state), (vec![], State::Silent));
    bench.solicit_all();
    bench.run_until(60_400);
    assert_eq!(bench.times(), [60_000, 60_000, 60_050, 60_150]);
    assert!(bench.sent[0].advertisement().solicited);
}

#[test]
fn a_link_that_is_lost_fails_and_a_flap_is_announced_at_once() {
    let mut bench = Bench::holder();
    bench.link(&InterfaceState { up: false, ..usable() });
    assert_eq!((bench.report().state, bench.report().holder), (State::Failed, false));
    bench.run_until(2_500);
    bench.assert_silent();
    bench.link(&usable());
    assert_eq!((bench.times(), bench.report().term), (vec![2_500], 1));
}

/// The link goes, the scheduler withdraws; `millis` later the link is back, and the scheduler wants queries again.
fn link_away_for(bench: &mut Bench, millis: u64, meanwhile: impl FnOnce(&mut Bench)) {
    bench.link(&InterfaceState { up: false, ..usable() });
    bench.decide(UNHEALTHY);
    bench.run_until(2_000 + millis);
    bench.link(&usable());
    meanwhile(bench);
    bench.decide(Intent::Advertise);
}

#[test]
fn a_flap_is_announced_at_once_though_the_scheduler_withdrew_meanwhile() {
    let mut bench = Bench::holder();
    link_away_for(&mut bench, 500, |_| {});
    assert_eq!((bench.times(), bench.report().term), (vec![2_500], 1));
}

#[test]
fn a_link_that_flaps_twice_before_the_scheduler_looks_was_away_since_the_first_time() {
    for (second, flap) in [(300, true), (700, false)] {
        let mut bench = Bench::holder();
        link_away_for(&mut bench, 300, |bench| {
            bench.link(&InterfaceState { up: false, ..usable() });
            bench.run_until(2_300 + second);
            bench.link(&usable());
        });
        assert_eq!(bench.report().holder, flap, "{second}");
    }
}

#[test]
fn it_was_no_flap_if_another_server_became_the_holder_or_the_others_have_lost_patience() {
    let mut bench = Bench::holder();
    link_away_for(&mut bench, 500, |bench| {
        bench.hear(peer(2, |statement| (statement.holder, statement.term) = (true, 2)));
    });
    bench.run_alongside(2, 5_000);
    assert_eq!((bench.times(), bench.report().other_holder), (vec![], Some(hash(2))));

    let mut bench = Bench::holder();
    link_away_for(&mut bench, 900, |_| {});
    bench.run_until(3_799);
    bench.assert_silent();
}

#[test]
fn after_a_longer_failure_of_the_link_a_server_listens_first() {
    let mut bench = Bench::holder();
    bench.link(&InterfaceState {
        groups_held: false,
        ..usable()
    });
    bench.run_until(3_000);
    bench.link(&usable());
    bench.run_until(3_899);
    bench.assert_silent();
    bench.run_until(3_900);
    assert_eq!(bench.times(), [3_900]);
}

#[test]
fn a_changed_link_layer_address_is_announced_at_once() {
    let mut bench = Bench::holder();
    bench.link(&InterfaceState {
        link_layer: mac(7),
        ..usable()
    });
    bench.run_until(2_150);
    assert_eq!(bench.times(), [2_000, 2_050, 2_150]);
    assert!(bench.sent.iter().all(|sent| sent.link_layer() == mac(7)));
}

#[test]
fn a_process_that_did_not_run_sends_nothing_and_starts_as_new() {
    let mut bench = Bench::holder();
    bench.now = at(5_000);
    bench.input(Input::Tick);
    assert_eq!(
        (bench.times(), bench.report().state, bench.report().holder),
        (vec![], State::Starting, false)
    );
    bench.run_until(5_899);
    bench.assert_silent();
    bench.run_until(5_900);
    assert_eq!((bench.times(), bench.report().term), (vec![5_900], 2));
}

#[test]
fn with_a_key_an_advertisement_alone_makes_nobody_yield() {
    let mut bench = Bench::with(Config::default(), true);
    bench.decide(Intent::Advertise);
    bench.run_until(1_000);
    bench.hear_advertisement(2, mac(2), Some(information(2, 9, 1)));
    assert!(bench.report().holder);
    assert_eq!(bench.report().dropped, [("unsigned", 1)]);
    bench.hear(peer(2, |statement| {
        (statement.holder, statement.term) = (true, 9);
    }));
    assert!(!bench.report().holder);
}
