//! What does not fit, what is damaged or forged: dropped under its name, and said where an operator can mend it.

use std::time::Duration;

use proptest::prelude::*;

use super::bench::*;
use crate::advertiser::Advertiser;
use crate::advertiser::ospf::config::{AreaType, Config};
use crate::advertiser::ospf::wire::tests::any_body;
use crate::advertiser::ospf::wire::*;
use crate::base::machine::{ChannelId, Datagram, Input, Outbox};
use crate::scheduler::Intent;

const SECOND: Duration = Duration::from_secs(1);

/// Runs one server of this config for ten seconds: its warnings, and what `status` says.
fn misfit(config: Config, change: impl Fn(&mut Bench)) -> (Vec<String>, String) {
    let mut bench = Bench::new(&[], 1);
    bench.add(config, None);
    change(&mut bench);
    bench.start_all(Intent::Advertise);
    bench.run(10 * SECOND);
    assert_eq!(bench.route(), []);
    (bench.servers[0].notices.clone(), bench.machine(0).report().detail)
}

#[test]
fn every_misfit_is_one_line_in_the_log_and_one_in_status() {
    type Change = fn(&mut Bench);
    let cases: [(Config, Change, &str); 7] = [
        (
            config(1),
            |bench| bench.router.hello = 2,
            "router 0.0.0.100 has a hello interval of 2 s, and 1s is configured here",
        ),
        (
            config(1),
            |bench| bench.router.dead = 40,
            "router 0.0.0.100 has a dead interval of 40 s, and 4s is configured here",
        ),
        (
            config(1),
            |bench| bench.router.area = AreaId(1),
            "router 0.0.0.100 has area 0.0.0.1 on this link, and 0.0.0.0 is configured here",
        ),
        (
            config(1),
            |bench| bench.router.options = Options::V6,
            "router 0.0.0.100 takes area 0.0.0.0 for a stub, and a normal one is configured here",
        ),
        (
            config(1),
            |bench| bench.router.mtu = 9_000,
            "router 0.0.0.100 has an MTU of 9000 on this link, and eth0 has 1500",
        ),
        (
            config(1),
            |bench| bench.router.key = Some(Key::new(1, Algorithm::HmacSha256, b"secret")),
            "fe80::64: the packet is authenticated, and no key is configured here",
        ),
        (
            config(ROUTER),
            |bench| bench.router.address = "fe80::77".parse().unwrap(),
            "fe80::77 has the router ID 0.0.0.100, which is configured here",
        ),
    ];
    for (config, change, text) in cases {
        let (notices, detail) = misfit(config, change);
        assert_eq!(notices, [format!("ospf: {text}")]);
        assert!(detail.ends_with(text), "{detail}");
    }
    let nssa = Config {
        area: "0.0.0.1".parse().unwrap(),
        area_type: AreaType::Nssa,
        ..config(1)
    };
    let (notices, _) = misfit(nssa, |bench| bench.router.area = AreaId(1));
    assert_eq!(
        notices,
        ["ospf: router 0.0.0.100 takes area 0.0.0.1 for a normal one, and an NSSA is configured here"]
    );
}

fn keyed(secret: &[u8]) -> Option<Key> {
    Some(Key::new(1, Algorithm::HmacSha256, secret))
}

#[test]
fn the_right_key_is_full_and_the_wrong_one_is_said() {
    let mut bench = Bench::new(&[], 2);
    bench.add(config(1), keyed(b"secret"));
    bench.router.key = keyed(b"secret");
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    bench.run(3 * SECOND);
    bench.decide(0, PLANNED);
    bench.wait(SECOND, |bench| bench.route().is_empty());

    for (ours, text) in [
        (keyed(b"Secret"), "wrong digest"),
        (Some(Key::new(2, Algorithm::HmacSha256, b"secret")), "key 1 is not the one"),
    ] {
        let mut bench = Bench::new(&[], 3);
        bench.add(config(1), ours);
        bench.router.key = keyed(b"secret");
        bench.start_all(Intent::Advertise);
        bench.run(10 * SECOND);
        assert_eq!(bench.servers[0].notices.len(), 1);
        assert!(bench.servers[0].notices[0].contains(text), "{:?}", bench.servers[0].notices);
    }
}

/// A dead process and its successor, within the dead interval: the router compares the words of the numbers one by one.
#[test]
fn the_farewell_and_the_next_life_have_numbers_that_the_router_takes() {
    let mut bench = Bench::new(&[], 4);
    bench.add(config(1), keyed(b"secret"));
    bench.router.key = keyed(b"secret");
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    bench.run(10 * SECOND);
    bench.kill(0, true);
    bench.wait(Duration::from_millis(5), |bench| bench.route().is_empty());
    bench.run(Duration::from_millis(300));
    bench.start(0);
    bench.decide(0, Intent::Advertise);
    let took = bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    assert!(took < 2 * SECOND, "{took:?}");
}

#[test]
fn replayed_packets_are_dropped() {
    let mut bench = Bench::new(&[], 5);
    bench.add(config(1), keyed(b"secret"));
    bench.router.key = keyed(b"secret");
    bench.router.is_dr = false;
    bench.router.tick(bench.now);
    let (_, old) = bench.router.out.remove(0);
    bench.router.is_dr = true;
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let router = bench.router.address;
    for _ in 0..5 {
        bench.deliver(router, ALL_SPF_ROUTERS, &old);
    }
    assert_eq!(bench.machine(0).dropped.of("replayed"), 5);
    assert!(bench.is_full(), "the old Hello names nobody");
}

#[test]
fn forged_lsas_are_dropped_under_their_names() {
    let mut bench = Bench::new(&[1], 6);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let key = |kind| LsaKey {
        kind,
        id: 1,
        router: RouterId(50),
    };
    let opaque = |kind, octets: &[u8]| Lsa::new(key(kind), SequenceNumber::INITIAL, 0, &Content::Opaque(octets.to_vec()));
    let mut damaged = opaque(LsaType(0x2003), &[1; 12]);
    damaged.header.checksum ^= 0x0101;
    for lsa in [damaged, opaque(LsaType::ROUTER, &[0; 9]), opaque(LsaType(0x6001), &[0; 4])] {
        bench.router.echo(lsa);
        bench.run(SECOND);
    }
    let dropped = |name| bench.machine(0).dropped.of(name);
    assert_eq!([dropped("lsa-checksum"), dropped("lsa-body"), dropped("lsa-scope")], [1, 1, 1]);
    assert!(bench.is_full());
}

#[test]
fn an_lsa_that_cannot_be_read_is_acknowledged_and_does_not_hinder_full() {
    let mut bench = Bench::new(&[1, 200], 11);
    let key = |router| LsaKey {
        kind: LsaType::ROUTER,
        id: 9,
        router: RouterId(router),
    };
    for router in [50, 1] {
        let odd = Lsa::new(key(router), SequenceNumber(7), 0, &Content::Opaque(vec![0; 9]));
        bench.router.remember(odd);
    }
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.is_full() && bench.route().len() == 2);
    let acknowledged = |server, router| {
        bench.sent.iter().any(|(_, from, body)| match body {
            Body::LinkStateAcknowledgment(headers) => *from == RouterId(server) && headers.iter().any(|header| header.key == key(router)),
            _ => false,
        })
    };
    assert!(
        [(1, 50), (1, 1), (200, 50), (200, 1)]
            .iter()
            .all(|(server, router)| acknowledged(*server, *router))
    );
    // The model router, as FRR does, refuses whatever comes with something that it cannot read: nobody may send it.
    bench.run(10 * SECOND);
    assert!(bench.is_full());
}

#[test]
fn strangers_and_other_instances_are_not_listened_to() {
    let mut bench = Bench::new(&[1], 7);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let mut inject = |router, instance, body| {
        let source = "fe80::99".parse().unwrap();
        let packet = Packet {
            router: RouterId(router),
            area: AreaId(0),
            instance,
            body,
        };
        let payload = packet.emit(source, ALL_SPF_ROUTERS, None);
        let datagram = Datagram {
            source,
            source_port: 0,
            destination: ALL_SPF_ROUTERS,
            hop_limit: 1,
            payload: &payload,
        };
        bench.input(0, &Input::Datagram(ChannelId(0), datagram));
    };
    inject(ROUTER, 0, Body::LinkStateUpdate(Vec::new()));
    inject(77, 0, Body::LinkStateAcknowledgment(Vec::new()));
    inject(77, 5, Body::LinkStateAcknowledgment(Vec::new()));
    let dropped = |name| bench.machine(0).dropped.of(name);
    assert_eq!((dropped("stranger"), dropped("instance")), (2, 1));
    assert!(bench.is_full());
}

#[test]
fn a_database_beyond_the_bound_still_leads_to_full() {
    use crate::advertiser::ospf::database::Bounds;
    use crate::advertiser::ospf::{Ospf, Setup};
    let mut bench = Bench::new(&[1], 8);
    bench.router.remember_routes_to_elsewhere(60);
    bench.start_all(Intent::Advertise);
    let setup: Setup = bench.machine(0).setup.clone();
    let bounds = Bounds {
        lsas: 10,
        octets: usize::MAX,
        headers: 40,
    };
    bench.servers[0].machine = Some(Ospf::bounded(setup, bounds));
    bench.link(0, |_| ());
    bench.decide(0, Intent::Advertise);
    bench.wait(5 * SECOND, |bench| bench.route() == [(1, 10)]);
    assert_eq!(bench.machine(0).database.size(), (10, 40));
    // Known as incomplete, it is not described in the next exchange; the route comes back all the same.
    bench.link(0, |link| link.mtu = 1_400);
    bench.link(0, |link| link.mtu = 1_500);
    bench.wait(12 * SECOND, |bench| bench.is_full() && bench.route() == [(1, 10)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a neighbour says, with the right checksum, at whatever stage: nothing panics, and what is owed goes out in packets that fit.
    #[test]
    fn no_neighbour_can_make_it_panic(bodies in prop::collection::vec(any_body(), 1..30), stage in 0..1_100_u64, pause in 0..3_000_u64) {
        let mut bench = Bench::new(&[1], 9);
        bench.start_all(Intent::Advertise);
        bench.run(Duration::from_millis(stage));
        bench.router_lives = false;
        let (source, destination) = (bench.router.address, ALL_SPF_ROUTERS);
        for body in bodies {
            let body = match body {
                Body::Hello(hello) => Body::Hello(Hello { hello_interval: 1, dead_interval: 4, options: Options::V6.with(Options::E), ..hello }),
                Body::DatabaseDescription(description) => Body::DatabaseDescription(DatabaseDescription { mtu: 1_500, ..description }),
                other => other,
            };
            let packet = Packet { router: RouterId(ROUTER), area: AreaId(0), instance: 0, body };
            let payload = packet.emit(source, destination, None);
            bench.deliver(source, destination, &payload);
            bench.run(Duration::from_millis(pause / 10));
        }
        bench.decide(0, UNHEALTHY);
        bench.run(Duration::from_secs(20));
        bench.leave(0);
    }
}

/// Another server's route is withdrawn, its numbers are forgotten, and it starts again with the first one, all within a few seconds.
#[test]
fn anothers_withdrawn_lsa_is_not_held_against_its_next_life() {
    let mut bench = Bench::new(&[1], 21);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    let key = LsaKey {
        kind: LsaType::INTRA_AREA_PREFIX,
        id: 1,
        router: RouterId(9),
    };
    let instance = |number, age| {
        let content = Content::IntraAreaPrefix(lsa::IntraAreaPrefix {
            attached_to: lsa::Attachment {
                kind: LsaType::ROUTER,
                id: 0,
                router: key.router,
            },
            prefixes: Vec::new(),
        });
        Lsa::new(key, SequenceNumber(number), age, &content)
    };
    for (number, age) in [(5, 0), (6, lsa::MAX_AGE), (1, 0)] {
        bench.router.echo(instance(number, age));
        bench.run(2 * SECOND);
    }
    let held = bench.machine(0).database.header(&key, bench.now).map(|header| header.sequence);
    assert_eq!(held, Some(SequenceNumber(1)));
    let said = bench.sent.iter().filter_map(|(_, _, body)| match body {
        Body::LinkStateUpdate(lsas) => Some(lsas),
        _ => None,
    });
    assert!(
        said.flatten().all(|lsa| lsa.header.key.router == RouterId(1)),
        "nothing of another router is said"
    );
}

/// Anybody on the link can be a neighbour, and describe what it has not.
#[test]
fn no_more_is_asked_for_than_is_kept_however_many_describe_it() {
    use crate::advertiser::ospf::database::Bounds;
    use crate::advertiser::ospf::neighbor::{Neighbor, State};
    use crate::advertiser::ospf::{Ospf, Setup};
    let mut bench = Bench::new(&[1], 9);
    bench.start_all(Intent::Advertise);
    let setup: Setup = bench.machine(0).setup.clone();
    let bounds = Bounds {
        headers: 40,
        ..Bounds::default()
    };
    let mut machine = Ospf::bounded(setup, bounds);
    let mut out = Outbox::new();
    for router in [50, 51].map(RouterId) {
        let mut neighbor = Neighbor::new(router, "fe80::99".parse().unwrap(), bench.now);
        neighbor.state = State::Exchange;
        machine.neighbors.push(neighbor);
        let header = |id| {
            let kind = LsaType(0x2003);
            Lsa::new(
                LsaKey { kind, id, router },
                SequenceNumber::INITIAL,
                0,
                &Content::Opaque(vec![0; 12]),
            )
            .header
        };
        let description = DatabaseDescription {
            options: Options::default(),
            mtu: 1_500,
            init: false,
            more: true,
            master: true,
            sequence: 1,
            headers: (0..30).map(header).collect(),
        };
        machine.receive_description(router, description, bench.now, &mut out);
    }
    let asked: Vec<usize> = machine.neighbors.iter().map(|one| one.requests.len()).collect();
    assert_eq!(asked, [30, 10]);
}

#[test]
fn an_lsa_that_is_asked_for_several_times_is_sent_once() {
    let mut bench = Bench::new(&[1], 10);
    bench.start_all(Intent::Advertise);
    bench.wait(3 * SECOND, |bench| bench.route() == [(1, 10)]);
    bench.run(3 * SECOND);
    let (router, server) = (bench.router.address, "fe80::1".parse().unwrap());
    let packet = Packet {
        router: RouterId(ROUTER),
        area: AreaId(0),
        instance: 0,
        body: Body::LinkStateRequest(vec![bench.machine(0).router_key(); 50]),
    };
    let from = bench.sent.len();
    bench.deliver(router, server, &packet.emit(router, server, None));
    let sent: Vec<usize> = bench.sent[from..]
        .iter()
        .filter_map(|(_, _, body)| match body {
            Body::LinkStateUpdate(lsas) => Some(lsas.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [1]);
}
