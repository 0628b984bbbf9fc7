//! Solicitations, strangers, and what is dropped.

use std::net::Ipv6Addr;

use super::bench::*;
use crate::advertiser::nd::Config;
use crate::advertiser::nd::wire::{Message, NeighborSolicitation, RouterAdvertisement};
use crate::base::address::{ALL_NODES, LinkLayerAddress, solicited_node};
use crate::base::machine::{Datagram, Input, InterfaceState};
use crate::scheduler::Intent;

#[test]
fn claim_2_the_holder_answers_a_solicitation_at_once_and_advertises_to_all() {
    let mut bench = Bench::holder();
    bench.solicit_all();
    let [answer, advertisement] = &bench.sent[..] else {
        panic!("{:?}", bench.sent)
    };
    assert!(answer.advertisement().solicited && !answer.advertisement().overriding);
    assert_eq!(
        (answer.destination, answer.frame, answer.link_layer()),
        (link_local(ROUTER), Some(mac(ROUTER)), mac(OWN))
    );
    assert!(advertisement.advertisement().overriding);
    assert_eq!((advertisement.destination, advertisement.at), (ALL_NODES, at(2_000)));
}

#[test]
fn claim_2_without_a_link_layer_option_the_answer_goes_by_the_neighbour_cache() {
    let mut bench = Bench::holder();
    bench.solicit(solicited_node(SERVICE), None);
    assert_eq!((bench.sent[0].destination, bench.sent[0].frame), (link_local(ROUTER), None));
}

#[test]
fn claim_2_the_next_in_line_answers_if_the_holder_does_not() {
    let mut bench = Bench::follower(Config::default());
    bench.run_until(1_030);
    bench.solicit_all();
    bench.run_until(1_049);
    bench.assert_silent();
    bench.run_until(1_050);
    assert_eq!(bench.times(), [1_050, 1_050]);
    assert!(bench.sent[0].advertisement().solicited);
    assert!(bench.report().holder, "and is then the holder");
}

#[test]
fn claim_2_the_next_in_line_is_silent_if_the_holder_gives_a_sign() {
    let mut bench = Bench::follower(Config::default());
    bench.solicit_all();
    bench.run_until(1_010);
    bench.hear_advertisement(2, mac(2), Some(information(2, 5, 1)));
    bench.run_until(1_800);
    bench.assert_silent();
}

#[test]
fn claim_2_a_unicast_solicitation_is_answered_by_whoever_gets_it() {
    let mut bench = Bench::follower(Config::default());
    bench.solicit(link_local(OWN), Some(mac(ROUTER)));
    assert_eq!((bench.sent.len(), bench.sent[0].link_layer()), (1, mac(OWN)));
    assert!(!bench.sent[0].advertisement().overriding);
    assert!(!bench.report().holder);
}

#[test]
fn one_answer_per_solicitor_in_100_ms() {
    let mut bench = Bench::holder();
    bench.solicit(link_local(OWN), Some(mac(ROUTER)));
    bench.solicit(link_local(OWN), Some(mac(ROUTER)));
    assert_eq!((bench.sent.len(), bench.report().dropped), (1, vec![("rate-limited", 1)]));
}

#[test]
fn what_is_not_to_be_answered_is_counted_by_cause() {
    let mut bench = Bench::holder();
    let solicitation = |target, source_link_layer| Message::Solicitation(NeighborSolicitation { target, source_link_layer });
    let group = solicited_node(SERVICE);
    bench.packet("::".parse().unwrap(), group, &solicitation(SERVICE, None));
    bench.packet(link_local(OWN), group, &solicitation(SERVICE, Some(mac(OWN))));
    bench.packet(link_local(9), group, &solicitation(link_local(4), Some(mac(9))));
    bench.packet(
        link_local(9),
        group,
        &solicitation(SERVICE, Some("33:33:00:00:00:01".parse().unwrap())),
    );
    let payload = solicitation(SERVICE, None).emit(link_local(9), group);
    let packet = Datagram {
        source: link_local(9),
        source_port: 0,
        destination: group,
        hop_limit: 64,
        payload: &payload,
    };
    bench.input(Input::Datagram(crate::advertiser::nd::sender::RAW, packet));
    bench.assert_silent();
    let causes: Vec<_> = bench.report().dropped.into_iter().map(|(cause, _)| cause).collect();
    assert_eq!(
        causes,
        [
            "duplicate-address-probe",
            "own",
            "other-target",
            "solicitor-link-layer",
            "hop-limit"
        ]
    );
}

#[test]
fn a_stranger_is_contradicted_ten_times_and_then_reported() {
    let mut bench = Bench::holder();
    for step in 0..100 {
        bench.run_until(2_000 + 100 * step);
        bench.hear_advertisement(66, mac(66), None);
    }
    let alarms = bench.notices.iter().filter(|text| text.contains("none of our servers")).count();
    let gaps: Vec<_> = bench.times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(alarms, 1);
    assert!(gaps.iter().all(|gap| *gap <= 300), "{gaps:?}");
    assert!(bench.report().holder, "and keeps serving");
}

#[test]
fn with_a_key_who_only_calls_itself_a_server_is_a_stranger_too() {
    let mut bench = Bench::with(Config::default(), true);
    bench.decide(Intent::Advertise);
    bench.run_until(2_000);
    bench.hear(peer(2, |statement| statement.term = 1));
    bench.sent.clear();
    bench.hear_advertisement(2, mac(2), Some(information(2, 9, 1)));
    bench.assert_silent();
    for step in 0..100 {
        bench.run_until(2_000 + 100 * step);
        bench.hear_advertisement(66, mac(66), Some(information(66, 9, 1)));
    }
    assert_eq!(bench.times()[0], 2_000, "contradicted at once");
    assert_eq!(bench.notices.iter().filter(|text| text.contains("none of our servers")).count(), 1);
    assert!(bench.report().holder);
}

#[test]
fn a_stranger_that_comes_after_a_flood_of_servers_is_contradicted() {
    let mut bench = Bench::holder();
    for number in 100..164 {
        bench.hear_advertisement(number, mac(number), Some(information(number, 0, 1)));
    }
    bench.run_until(2_100);
    bench.sent.clear();
    bench.hear_advertisement(66, mac(66), Some(information(66, 9, 1)));
    assert_eq!((bench.times(), bench.report().dropped), (vec![2_100], vec![("table-full", 1)]));
}

#[test]
fn an_idle_holder_contradicts_a_stranger_too() {
    let mut bench = Bench::holder();
    bench.decide(Intent::Silent);
    bench.sent.clear();
    for step in 1..=100 {
        bench.run_until(2_000 + 100 * step);
        bench.hear_advertisement(66, mac(66), None);
    }
    assert_eq!(bench.times().len(), 10);
}

#[test]
fn the_next_hop_of_a_default_route_is_asked_by_its_group() {
    let router: Ipv6Addr = "fe80::abcd".parse().unwrap();
    let mut bench = Bench::follower(Config::default());
    bench.link(&InterfaceState {
        routers: vec![router],
        ..usable()
    });
    bench.run_until(3_000);
    let asked: Vec<_> = bench.sent.iter().filter(|sent| sent.frame.is_some()).collect();
    let group = solicited_node(router);
    assert_eq!(
        (asked.len(), asked[0].at, asked[0].frame, asked[0].destination),
        (1, at(2_900), Some(LinkLayerAddress::of_group(group)), group)
    );
}

#[test]
fn routers_are_learned_from_their_advertisements_and_from_solicitations() {
    let mut bench = Bench::holder();
    let router = |seconds| {
        Message::Router(RouterAdvertisement {
            lifetime: std::time::Duration::from_secs(seconds),
            source_link_layer: Some(mac(98)),
        })
    };
    bench.packet(link_local(98), ALL_NODES, &router(1_800));
    bench.solicit_all();
    let known = |bench: &Bench| bench.machine.routers.iter().map(|router| router.address).collect::<Vec<_>>();
    assert_eq!(known(&bench), [link_local(98), link_local(ROUTER)]);
    bench.packet(link_local(98), ALL_NODES, &router(0));
    assert_eq!(known(&bench), [link_local(ROUTER)]);
}
