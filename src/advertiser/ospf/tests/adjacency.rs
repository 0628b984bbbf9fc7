//! Coming up: both roles in the exchange, loss, restarts of either side, old LSAs, what the router believes afterwards.

use std::time::Duration;

use super::bench::*;
use super::model::Model;
use crate::advertiser::ospf::config::{AreaType, LsaKind, Network};
use crate::advertiser::ospf::neighbor::State;
use crate::advertiser::ospf::wire::lsa::{Attachment, External, IntraAreaPrefix, Prefix, PrefixCost, Router};
use crate::advertiser::ospf::wire::*;
use crate::advertiser::{Advertiser, State as Shown};
use crate::scheduler::{CostClass, Intent};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn claim_10_the_route_to_the_anycast_address_is_an_lsa_of_the_servers_own() {
    let mut bench = Bench::new(&[1, 200], 1);
    bench.start_all(Intent::Advertise);
    let took = bench.wait(3 * SECOND, Bench::is_full);
    assert!(took < Duration::from_millis(1_200), "{took:?}: Hello at once, no waiting");
    bench.wait(SECOND, |bench| bench.route() == [(1, 10), (200, 10)]);
    assert_eq!(bench.machine(0).report().state, Shown::Advertising);
    assert!(
        bench
            .machine(0)
            .report()
            .detail
            .contains("0.0.0.100 Full, DR; 0.0.0.200 2-Way; cost 10"),
        "{}",
        bench.machine(0).report().detail
    );
}

#[test]
fn claim_11_and_12_the_cost_follows_the_class() {
    let mut bench = Bench::new(&[1, 200], 2);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route().len() == 2);
    for (class, cost) in [
        (CostClass::Busy, 20),
        (CostClass::Overloaded, 110),
        (CostClass::LastResort, 60_000),
        (CostClass::Normal, 10),
    ] {
        bench.run(2 * SECOND);
        bench.decide_class(0, Intent::Advertise, class);
        let took = bench.wait(SECOND, |bench| bench.route() == [(1, cost), (200, 10)]);
        assert!(took <= Duration::from_millis(5), "{took:?}");
        bench.run(SECOND);
        let seen_by_the_other = bench.machine(1).report().other_routes;
        assert_eq!(seen_by_the_other, Some(vec![u32::from(cost) - 10]));
    }
}

#[test]
fn many_lsas_take_several_descriptions_and_requests() {
    let mut bench = Bench::new(&[1, 200], 3);
    bench.router.remember_routes_to_elsewhere(300);
    bench.start_all(Intent::Advertise);
    bench.wait(5 * SECOND, |bench| bench.route().len() == 2);
    assert_eq!(bench.machine(0).database.size(), bench.machine(1).database.size());
    assert!(bench.machine(0).database.size().0 >= 302);
}

#[test]
fn nothing_is_originated_before_a_neighbour_is_full_and_nobody_is_dr() {
    let mut bench = Bench::new(&[1], 4);
    bench.router.is_dr = false;
    bench.start_all(Intent::Advertise);
    bench.run(5 * SECOND);
    assert_eq!(bench.state(0), Some(State::TwoWay));
    assert!(bench.sent.iter().all(|(_, _, body)| matches!(body, Body::Hello(_))));
    assert_eq!(bench.machine(0).report().state, Shown::Starting);
    bench.router.is_dr = true;
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
}

#[test]
fn a_point_to_point_link() {
    for id in [1, 200] {
        let mut bench = Bench::new(&[], 5);
        bench.add(
            crate::advertiser::ospf::Config {
                network: Network::PointToPoint,
                ..config(id)
            },
            None,
        );
        bench.router.point_to_point = true;
        bench.start_all(Intent::Advertise);
        bench.wait(3 * SECOND, |bench| bench.route() == [(id, 10)]);
        bench.run(2 * SECOND);
        bench.decide(0, PLANNED);
        bench.wait(SECOND, |bench| bench.route().is_empty());
    }
}

#[test]
fn a_stub_area_has_no_lsas_from_outside() {
    let mut bench = Bench::new(&[], 6);
    bench.add(
        crate::advertiser::ospf::Config {
            area: "0.0.0.7".parse().unwrap(),
            area_type: AreaType::Stub,
            ..config(1)
        },
        None,
    );
    bench.router.area = AreaId(7);
    bench.router.options = Options::V6.with(Options::R);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let key = LsaKey {
        kind: LsaType::AS_EXTERNAL,
        id: 1,
        router: RouterId(50),
    };
    bench.router.echo(Lsa::new(
        key,
        SequenceNumber::INITIAL,
        0,
        &Content::Opaque(vec![0, 0, 0, 1, 0, 0, 0, 0]),
    ));
    bench.run(SECOND);
    assert_eq!(bench.machine(0).dropped.of("lsa-scope"), 1);
}

fn service_key() -> LsaKey {
    old_lsas(SequenceNumber::INITIAL)[0].header.key
}

fn router_key() -> LsaKey {
    LsaKey {
        kind: LsaType::ROUTER,
        id: 0,
        router: RouterId(1),
    }
}

/// The service as an earlier life has told it, and something that nobody wants any more.
fn old_lsas(sequence: SequenceNumber) -> Vec<Lsa> {
    let prefix = |id, router| {
        let key = LsaKey {
            kind: LsaType::INTRA_AREA_PREFIX,
            id,
            router: RouterId(router),
        };
        let content = Content::IntraAreaPrefix(IntraAreaPrefix {
            attached_to: Attachment {
                kind: LsaType::ROUTER,
                id: 0,
                router: RouterId(router),
            },
            prefixes: vec![PrefixCost {
                prefix: Prefix::host(SERVICE, 2),
                metric: 7,
            }],
        });
        Lsa::new(key, sequence, 0, &content)
    };
    vec![prefix(1, 1), prefix(9, 1)]
}

#[test]
fn old_lsas_of_an_earlier_life_are_gone_on_from_or_flushed() {
    let sequence = SequenceNumber(SequenceNumber::INITIAL.0 + 500);
    let mut bench = Bench::new(&[1], 7);
    old_lsas(sequence).into_iter().for_each(|lsa| bench.router.remember(lsa));
    bench.start_all(Intent::Advertise);
    bench.wait(10 * SECOND, |bench| bench.route() == [(1, 10)]);
    let [told, unwanted] = old_lsas(sequence).try_into().unwrap();
    assert_eq!(bench.router.has(&told.header.key), Some((sequence.next().unwrap(), false)));
    assert_eq!(bench.router.has(&unwanted.header.key), Some((sequence.next().unwrap(), true)));
}

#[test]
fn an_earlier_life_is_taken_back_while_the_service_is_down() {
    let mut bench = Bench::new(&[1], 8);
    old_lsas(SequenceNumber(5)).into_iter().for_each(|lsa| bench.router.remember(lsa));
    bench.start_all(UNHEALTHY);
    bench.wait(10 * SECOND, Bench::is_full);
    bench.run(SECOND);
    assert_eq!(bench.route(), []);
    assert!(
        old_lsas(SequenceNumber(5))
            .iter()
            .all(|lsa| bench.router.has(&lsa.header.key) == Some((SequenceNumber(6), true)))
    );
}

/// FRR sends the withdrawals of an earlier life behind what was asked for: this one is Full by then and has begun with the first number, which
/// FRR has taken. What it has taken everybody hears, whenever another server asks for it.
#[test]
fn a_late_withdrawal_by_an_earlier_life_takes_nothing_back() {
    let mut bench = Bench::new(&[1], 22);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let key = service_key();
    let numbered = |above| SequenceNumber(SequenceNumber::INITIAL.0 + above);
    let first = bench.machine(0).origination.lsa(&key, bench.now).unwrap();
    assert_eq!(first.header.sequence, numbered(0));
    // The second one is answered after MinLSInterval only.
    for (withdrawn, answered_after) in [(1, 0), (3, 55)] {
        bench.pass_on(first.again(numbered(withdrawn), lsa::MAX_AGE));
        bench.run(Duration::from_millis(5));
        for tenth in 0..answered_after + 20 {
            let present = bench.machine(0).origination.header(&key, bench.now).unwrap();
            let is_answered = (present.sequence, present.is_max_age()) == (numbered(withdrawn + 1), false);
            assert!(is_answered || tenth < answered_after, "withdrawn as {withdrawn}: {present:?}");
            let (kept, _) = bench.router.database[&key].clone();
            bench.pass_on(kept);
            bench.run(Duration::from_millis(100));
            assert_eq!(bench.route(), [(1, 10)], "withdrawn as {withdrawn}");
        }
        assert_eq!(bench.router.has(&key), Some((numbered(withdrawn + 1), false)));
    }
}

/// Nor is it told to a router whose exchange begins before it is answered.
#[test]
fn a_late_withdrawal_that_is_not_answered_yet_is_told_to_nobody() {
    let mut bench = Bench::new(&[1], 23);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let key = service_key();
    bench.run(2 * SECOND);
    for _ in 0..2 {
        let present = bench.machine(0).origination.lsa(&key, bench.now).unwrap();
        bench.pass_on(present.again(present.header.sequence.next().unwrap(), lsa::MAX_AGE));
        bench.run(Duration::from_millis(10));
    }
    let held = |bench: &Bench| bench.machine(0).origination.header(&key, bench.now).unwrap();
    assert!(held(&bench).is_max_age(), "the second one waits for MinLSInterval");
    let request = Packet {
        router: RouterId(ROUTER),
        area: AreaId(0),
        instance: 0,
        body: Body::LinkStateRequest(vec![key]),
    };
    let (router, server) = (bench.router.address, bench.machine(0).sender.link.link_local.unwrap());
    bench.deliver(router, server, &request.emit(router, server, None));
    let (kept, _) = bench.router.database[&key].clone();
    bench.router = Model::new(ROUTER);
    bench.router.remember(kept);
    bench.wait(4 * SECOND, Bench::is_full);
    assert!(held(&bench).is_max_age(), "and has not been answered yet");
    for _ in 0..60 {
        bench.run(Duration::from_millis(100));
        assert!(!bench.router.has(&key).unwrap().1, "the router was told of it");
    }
    assert!(!held(&bench).is_max_age());
    let updates = bench.sent.iter().filter_map(|(_, _, body)| match body {
        Body::LinkStateUpdate(lsas) => Some(lsas),
        _ => None,
    });
    assert!(updates.flatten().all(|lsa| lsa.header.key != key || !lsa.header.is_max_age()));
}

#[test]
fn used_up_numbers_are_withdrawn_and_gone_on_from_under_another_id() {
    for used_up in old_lsas(SequenceNumber::MAX) {
        let mut bench = Bench::new(&[1], 9);
        bench.start_all(Intent::Advertise);
        bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
        bench.run(6 * SECOND);
        let key = used_up.header.key;
        bench.router.echo(used_up);
        // The router drops the withdrawal that comes at once. It keeps what is withdrawn for a while, and takes no lower number until then.
        let another_id = |bench: &Bench| {
            let database = bench.router.database.values();
            let mut same_kind = database.map(|(lsa, _)| lsa.header).filter(|header| header.key.kind == key.kind);
            same_kind.any(|header| header.key.router == key.router && header.key.id != key.id && !header.is_max_age())
        };
        bench.wait(3 * SECOND, |bench| {
            let first = bench.router.has(&key);
            another_id(bench) && first.is_none_or(|(sequence, is_old)| sequence == SequenceNumber::MAX && is_old)
        });
        // What makes the router calculate waits for MinLSArrival.
        bench.wait(2 * SECOND, |bench| bench.route() == [(1, 10)]);
        bench.run(70 * SECOND);
        assert_eq!(bench.route(), [(1, 10)]);
    }
}

#[test]
fn another_router_with_our_id_is_said_and_does_not_start_a_storm() {
    for stolen in [service_key(), router_key()] {
        let mut bench = Bench::new(&[1], 10);
        bench.start_all(Intent::Advertise);
        bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
        bench.run(6 * SECOND);
        let before = bench.sent.len();
        for _ in 0..100 {
            let present = bench.machine(0).origination.lsa(&stolen, bench.now).unwrap();
            bench.router.echo(present.again(present.header.sequence.next().unwrap(), 0));
            bench.run(Duration::from_millis(50));
        }
        let is_update = |body: &Body| matches!(body, Body::LinkStateUpdate(_));
        let updates = bench.sent[before..].iter().filter(|(_, _, body)| is_update(body)).count();
        assert!(updates < 20, "{updates} updates in 5 s");
        let detail = bench.machine(0).report().detail;
        assert!(detail.contains("another router originates LSAs as 0.0.0.1"), "{detail}");
    }
}

#[test]
fn a_restarted_router_has_the_route_again() {
    let mut bench = Bench::new(&[1, 200], 11);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route().len() == 2);
    for away in [100, 3_000, 9_000] {
        bench.router_lives = false;
        bench.run(Duration::from_millis(away));
        let mut fresh = Model::new(ROUTER);
        std::mem::swap(&mut fresh, &mut bench.router);
        bench.router_lives = true;
        let took = bench.wait(12 * SECOND, |bench| bench.is_full() && bench.route() == [(1, 10), (200, 10)]);
        assert!(took < 8 * SECOND, "{took:?}");
    }
}

#[test]
fn a_restarted_server_is_full_again_with_an_adjacency_left_over() {
    let mut bench = Bench::new(&[1, 200], 12);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route().len() == 2);
    for (index, guardian_lives) in [(0, false), (1, false), (0, true), (1, true)] {
        bench.run(2 * SECOND);
        bench.kill(index, guardian_lives);
        bench.run(Duration::from_millis(200));
        bench.start(index);
        bench.decide(index, Intent::Advertise);
        bench.wait(10 * SECOND, |bench| bench.is_full() && bench.route() == [(1, 10), (200, 10)]);
    }
}

#[test]
fn a_new_link_local_address_or_mtu_begins_anew() {
    let mut bench = Bench::new(&[1], 13);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route().len() == 1);
    bench.link(0, |link| link.mtu = 1_400);
    assert_eq!(bench.state(0), None);
    bench.run(3 * SECOND);
    assert!(
        bench
            .machine(0)
            .report()
            .detail
            .contains("router 0.0.0.100 has an MTU of 1500 on this link, and eth0 has 1400")
    );
    bench.link(0, |link| link.mtu = 1_500);
    bench.wait(12 * SECOND, |bench| bench.is_full() && bench.route().len() == 1);
}

#[test]
fn lsas_are_refreshed_before_they_are_old() {
    let mut bench = Bench::new(&[1], 14);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route().len() == 1);
    let key = old_lsas(SequenceNumber::INITIAL)[0].header.key;
    bench.run(Duration::from_secs(7_200));
    let (sequence, _) = bench.router.has(&key).unwrap();
    let refreshed = sequence.0 - SequenceNumber::INITIAL.0;
    assert!((4..=5).contains(&refreshed), "{refreshed} times in two hours");
    assert_eq!(bench.route(), [(1, 10)]);
    assert!(bench.machine(0).lsa(&key, bench.now).unwrap().header.age < 1_800);
}

/// What a server of this kind says of the service, and the flags and options of its Router-LSA.
fn told(lsa: LsaKind, area_type: AreaType) -> (LsaKey, External, Router) {
    let mut bench = Bench::new(&[], 15);
    let area = if area_type == AreaType::Nssa { 7 } else { 0 };
    bench.add(
        crate::advertiser::ospf::Config {
            area: std::net::Ipv4Addr::from(area),
            area_type,
            lsa,
            ..config(1)
        },
        None,
    );
    bench.router.area = AreaId(area);
    if area_type == AreaType::Nssa {
        bench.router.options = Options::V6.with(Options::R).with(Options::N);
    }
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, Bench::is_full);
    bench.run(SECOND);
    let own = bench
        .router
        .database
        .values()
        .map(|(lsa, _)| lsa)
        .filter(|lsa| lsa.header.key.router == RouterId(1));
    let (mut service, mut router) = (None, None);
    for lsa in own {
        match lsa.content().unwrap() {
            Content::External(content) => service = Some((lsa.header.key, content)),
            Content::Router(content) => router = Some(content),
            Content::Link(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let (key, service) = service.unwrap();
    (key, service, router.unwrap())
}

#[test]
fn routes_to_elsewhere_come_from_an_active_border_router() {
    for (lsa, area_type) in [
        (LsaKind::E1, AreaType::Normal),
        (LsaKind::E2, AreaType::Normal),
        (LsaKind::Nssa, AreaType::Nssa),
    ] {
        let (key, service, router) = told(lsa, area_type);
        assert_eq!(
            key.kind,
            if lsa == LsaKind::Nssa {
                LsaType::NSSA
            } else {
                LsaType::AS_EXTERNAL
            }
        );
        assert_eq!((service.type_2, service.metric), (lsa != LsaKind::E1, 10));
        assert_eq!(service.prefix.as_host(), Some(SERVICE));
        assert_eq!(
            (service.forwarding, service.prefix.options),
            (None, 0),
            "FRR would find a forwarding address by its connected route"
        );
        assert!(
            router.options.contains(Options::R) && router.flags == Router::AS_BOUNDARY,
            "FRR ignores them otherwise"
        );
    }
}
