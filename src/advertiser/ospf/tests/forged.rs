//! A forger on a link without authentication: nonsense in the router's name, its router ID from elsewhere, floods of neighbours.
//!
//! Nothing may make the machine panic, work without end or stay without a route when the forger is gone; and what a neighbour with
//! another name says must not end the conversation with the router at all.

use std::time::Duration;

use super::bench::*;
use crate::advertiser::Advertiser;
use crate::advertiser::ospf::hello::MOST_NEIGHBORS;
use crate::advertiser::ospf::neighbor::State;
use crate::advertiser::ospf::wire::*;
use crate::base::random::Random;
use crate::scheduler::Intent;

const SEEDS: u64 = 200;
const PACKETS: usize = 60;

/// Of the server, of another one and of a router elsewhere; not of the router itself, whose numbers are its own to mend.
fn any_key(random: &mut Random) -> LsaKey {
    let kinds = [0x2001, 0x0008, 0x2009, 0x2002, 0x4005, 0x2007, 0x6001, 0xa00d];
    LsaKey {
        kind: LsaType(kinds[random.below(8) as usize]),
        id: random.below(4) as u32,
        router: RouterId([1, 50, 200][random.below(3) as usize]),
    }
}

fn any_lsa(random: &mut Random) -> Lsa {
    let sequences = [i32::MIN, i32::MIN + 1, i32::MIN + 9, 0, i32::MAX - 1, i32::MAX];
    let sequence = SequenceNumber(sequences[random.below(6) as usize]);
    let age = [0, 1, 1_800, 3_599, 3_600][random.below(5) as usize];
    let length = [0, 4, 9, 12, 24, 44][random.below(6) as usize];
    let body = (0..length)
        .map(|_| [0, random.next_u64() as u8][random.below(2) as usize])
        .collect();
    Lsa::new(any_key(random), sequence, age, &Content::Opaque(body))
}

fn any_body(random: &mut Random) -> Body {
    let count = random.below(6);
    match random.below(5) {
        0 => Body::Hello(Hello {
            interface: InterfaceId(random.below(3) as u32),
            priority: random.below(2) as u8,
            options: Options::V6.with(Options::E),
            hello_interval: 1,
            dead_interval: 4,
            designated_router: RouterId([0, 1, ROUTER][random.below(3) as usize]),
            backup_designated_router: RouterId([0, 1, ROUTER][random.below(3) as usize]),
            neighbors: (0..count).map(|id| RouterId(id as u32)).collect(),
        }),
        1 => Body::DatabaseDescription(DatabaseDescription {
            options: Options::V6.with(Options::E).with(Options::R),
            mtu: 1_500,
            init: random.chance(300),
            more: random.chance(500),
            master: random.chance(500),
            sequence: random.below(4) as u32,
            headers: (0..count).map(|_| any_lsa(random).header).collect(),
        }),
        2 => Body::LinkStateRequest((0..count).map(|_| any_key(random)).collect()),
        3 => Body::LinkStateUpdate((0..count).map(|_| any_lsa(random)).collect()),
        _ => Body::LinkStateAcknowledgment((0..count).map(|_| any_lsa(random).header).collect()),
    }
}

fn hello(designated_router: u32, neighbors: &[u32]) -> Body {
    Body::Hello(Hello {
        interface: InterfaceId(5),
        priority: 1,
        options: Options::V6.with(Options::E),
        hello_interval: 1,
        dead_interval: 4,
        designated_router: RouterId(designated_router),
        backup_designated_router: RouterId::NONE,
        neighbors: neighbors.iter().copied().map(RouterId).collect(),
    })
}

/// A packet in the name of `router`, from its usual address or from another one, to the server of this ID alone.
fn forge(bench: &mut Bench, router: u32, address: u32, server: u32, body: Body) {
    let place = |id: u32| (0xfe80_u128 << 112 | u128::from(id)).into();
    let packet = Packet {
        router: RouterId(router),
        area: AreaId(0),
        instance: 0,
        body,
    };
    let (source, destination) = (place(address), place(server));
    bench.deliver(source, destination, &packet.emit(source, destination, None));
}

fn started(id: u32, seed: u64) -> Bench {
    let mut bench = Bench::new(&[id], seed);
    bench.start_all(Intent::Advertise);
    bench.wait(Duration::from_secs(3), |bench| bench.route() == [(id, 10)]);
    bench
}

fn nonsense(seed: u64) {
    let mut random = Random::seeded(seed);
    // The server is the slave of the router, or its master.
    let id = [1, 200][random.below(2) as usize];
    let mut bench = started(id, seed);
    let from = bench.sent.len();
    for _ in 0..PACKETS {
        let body = any_body(&mut random);
        forge(&mut bench, ROUTER, ROUTER, id, body);
        bench.run(random.duration_below(Duration::from_millis(200)));
    }
    let sent = bench.sent.len() - from;
    assert!(sent < 40 * PACKETS, "seed {seed}: {sent} packets for {PACKETS}");
    bench.run(Duration::from_secs(150));
    let detail = bench.machine(0).report().detail;
    assert!(bench.is_full(), "seed {seed}: {detail}");
    assert_eq!(bench.route(), [(id, 10)], "seed {seed}: {detail}");
}

#[test]
fn well_formed_nonsense_in_the_routers_name_is_survived() {
    (0..SEEDS).for_each(nonsense);
}

#[test]
fn the_routers_id_from_another_address_is_said_and_ends_nothing() {
    let mut bench = started(1, 1);
    for turn in 0..50 {
        let neighbors: &[u32] = if turn % 2 == 0 { &[1] } else { &[] };
        forge(&mut bench, ROUTER, 666, 1, hello(0, neighbors));
        assert_eq!(bench.state(0), Some(State::Full));
        bench.run(Duration::from_millis(200));
    }
    assert!(bench.is_full() && bench.route() == [(1, 10)]);
    let said = "ospf: two routers on the link have the router ID 0.0.0.100, fe80::64 and fe80::29a";
    assert_eq!(bench.servers[0].notices.iter().filter(|text| *text == said).count(), 1);

    // The router itself has a new address: it is not believed while the old one lives, and then it is.
    bench.router.address = "fe80::77".parse().unwrap();
    let is_left = |bench: &Bench| bench.state(0) < Some(State::Full);
    let took = bench.wait(Duration::from_secs(5), is_left);
    assert!(took > Duration::from_secs(3), "{took:?}");
    bench.wait(Duration::from_secs(6), |bench| bench.is_full() && bench.route() == [(1, 10)]);
}

/// Forged neighbours, some of whom hear the server and begin an exchange.
fn flood(bench: &mut Bench, first: u32) {
    for router in first..first + 300 {
        forge(bench, router, router, 1, hello(0, if router % 2 == 0 { &[1] } else { &[] }));
        let description = DatabaseDescription {
            options: Options::V6.with(Options::E),
            mtu: 1_500,
            init: true,
            more: true,
            master: true,
            sequence: 1,
            headers: Vec::new(),
        };
        if router % 5 == 0 {
            forge(bench, router, router, 1, Body::DatabaseDescription(description));
        }
        assert!(bench.machine(0).neighbors.len() <= MOST_NEIGHBORS);
        bench.run(Duration::from_millis(1));
    }
}

#[test]
fn a_flood_of_forged_neighbours_takes_no_place_from_the_router() {
    let mut bench = Bench::new(&[1], 2);
    bench.router_lives = false;
    bench.start_all(Intent::Advertise);
    let from = bench.sent.len();
    flood(&mut bench, 1_000);
    let hellos = bench.sent[from..]
        .iter()
        .filter(|(_, _, body)| matches!(body, Body::Hello(_)))
        .count();
    assert!(hellos < 10, "{hellos} Hellos within 300 ms");
    assert_eq!(bench.machine(0).neighbors.len(), MOST_NEIGHBORS);
    let adjacent = bench.machine(0).neighbors.iter().filter(|one| one.state >= State::ExStart).count();
    assert!(adjacent <= 2, "{adjacent} have got an exchange");

    bench.router_lives = true;
    for turn in 0..10 {
        flood(&mut bench, 2_000 + turn * 300);
    }
    bench.wait(Duration::from_secs(1), |bench| bench.is_full() && bench.route() == [(1, 10)]);
    for turn in 0..20 {
        flood(&mut bench, 10_000 + turn * 300);
        assert!(bench.is_full() && bench.route() == [(1, 10)]);
    }
}
