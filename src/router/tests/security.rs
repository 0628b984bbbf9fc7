//! Who may say what: sources, link-layer addresses, signatures, replays, and a table that cannot be flooded.

use super::bench::*;
use crate::advertiser::nd::wire::{Message, NeighborAdvertisement};
use crate::base::address::ALL_NODES;
use crate::base::address::LinkLayerAddress;
use crate::base::random::Random;
use crate::router::{Config, Policy, Standing};

#[test]
fn what_is_not_from_the_link_or_for_us_is_counted_and_changes_nothing() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    let information = bench.information(2, |_| {});
    let advertisement = NeighborAdvertisement {
        target: SERVICE,
        router: false,
        solicited: false,
        overriding: true,
        target_link_layer: Some(mac(2)),
        information: Some(information),
    };
    let payload = Message::Advertisement(advertisement.clone()).emit(link_local(2), ALL_NODES);
    bench.packet(link_local(2), ALL_NODES, 254, &payload);
    bench.packet(link_local(3), ALL_NODES, 255, &payload);
    bench.packet(link_local(2), ALL_NODES, 255, &payload[..20]);
    let other = NeighborAdvertisement {
        target: "2001:db8:5::54".parse().unwrap(),
        ..advertisement.clone()
    };
    bench.message(link_local(2), &other);
    for source in ["::", "ff02::2", "::1"] {
        bench.message(source.parse().unwrap(), &advertisement);
    }
    bench.message(link_local(OWN), &advertisement);
    for (link_layer, _) in [
        (LinkLayerAddress([0; 6]), ()),
        (LinkLayerAddress([0x33, 0x33, 0, 0, 0, 1]), ()),
        (mac(OWN), ()),
    ] {
        bench.advertisement(link_local(2), link_layer, false, None);
    }
    let counts = ["hop-limit", "checksum", "other-target", "source", "own", "link-layer"].map(|cause| bench.dropped(cause));
    assert_eq!(counts, [1, 2, 1, 3, 2, 2]);
    assert_eq!((bench.delivered(), bench.entry().members.len()), (vec![1], 1));
}

#[test]
fn only_allowed_link_layer_addresses_become_members() {
    let config = Config {
        allowed_macs: vec![mac(1), mac(2)],
        ..policy(Policy::Weighted)
    };
    let mut bench = Bench::new(config);
    (1..5).for_each(|number| bench.advertise(number, |_| {}));
    bench.hear(peer(5, |peer| peer.signed = true));
    assert_eq!((bench.delivered(), bench.dropped("not-allowed")), (vec![1, 2], 3));
    bench.hand_over(1, 4);
    assert_eq!(bench.dropped("not-allowed"), 4);
}

fn signed_only() -> Config {
    Config {
        require_signed: true,
        ..policy(Policy::Weighted)
    }
}

#[test]
fn with_require_signed_only_signed_messages_make_and_keep_members() {
    let mut bench = Bench::new(signed_only());
    bench.hear(peer(2, |_| {}));
    bench.run_until(1);
    bench.hear(peer(1, |peer| peer.signed = true));
    bench.advertise(3, |_| {});
    bench.answer(3, |_| {});
    assert_eq!(bench.delivered(), [1]);
    assert_eq!(bench.dropped("unsigned"), 3);
    bench.run_with(&[1], 900);
    assert_eq!(bench.delivered(), [1]);
    bench.run_with(&[1], 901);
    assert_eq!(bench.delivered(), NOBODY, "its advertisements do not prove that it lives");
}

#[test]
fn with_require_signed_no_forged_advertisement_moves_anything() {
    for each in [Policy::Latest, Policy::RoundRobin, Policy::Weighted] {
        let mut bench = Bench::new(Config {
            policy: each,
            ..signed_only()
        });
        let signed = |bench: &mut Bench| {
            bench.hear(peer(1, |peer| peer.signed = true));
            bench.hear(peer(2, |peer| peer.signed = true));
        };
        signed(&mut bench);
        let (wish, changes) = (bench.machine.forwarding().clone(), bench.machine.changes());
        assert!(!wish.services[0].next_hops.is_empty(), "{each:?}");
        let mut random = Random::seeded(7);
        for round in 0..2_000_u64 {
            if round % 20 == 0 {
                bench.run_until(round * 10);
                signed(&mut bench);
            }
            let (number, source) = (random.below(5) as u16, random.below(5) as u16);
            let state = crate::base::peer::PeerState::from_wire(random.below(7) as u8).unwrap();
            let information = bench.information(number, |information| {
                information.state = state;
                information.hand_over = random.chance(200);
                information.weight = random.below(1_000) as u16;
                information.recent_load = Some(random.below(60_000) as u16);
                information.sequence = random.next_u64() as u32;
            });
            bench.advertisement(link_local(source), mac(number), random.chance(500), Some(information));
        }
        assert_eq!((bench.machine.forwarding(), bench.machine.changes()), (&wish, changes), "{each:?}");
        assert_eq!(bench.dropped("unsigned"), 2_000);
    }
}

#[test]
fn with_require_signed_the_latest_is_the_signed_holder() {
    let mut bench = Bench::new(Config {
        policy: Policy::Latest,
        ..signed_only()
    });
    let says = |bench: &mut Bench, number, holder, term| {
        bench.hear(peer(number, |peer| {
            peer.signed = true;
            peer.statement.holder = holder;
            peer.statement.term = term;
            peer.statement.state = if holder {
                crate::base::peer::PeerState::Active
            } else {
                crate::base::peer::PeerState::Standby
            };
        }));
    };
    says(&mut bench, 2, false, 0);
    assert_eq!(bench.delivered(), [2], "better than nobody");
    says(&mut bench, 1, true, 4);
    assert_eq!(bench.delivered(), [1]);
    says(&mut bench, 3, true, 3);
    assert_eq!(bench.delivered(), [1]);
    says(&mut bench, 3, true, 5);
    assert_eq!(bench.delivered(), [3]);
}

#[test]
fn a_living_member_keeps_its_gateway_and_its_identity() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    let information = bench.information(1, |_| {});
    bench.advertisement(link_local(9), mac(1), false, Some(information));
    let stranger = bench.information(7, |_| {});
    bench.advertisement(link_local(1), mac(1), false, Some(stranger));
    bench.advertisement(link_local(1), mac(1), false, None);
    let thief = bench.information(8, |_| {});
    bench.advertisement(link_local(1), mac(8), false, Some(thief));
    let counts = ["other-gateway", "other-identity", "gateway-taken"].map(|cause| bench.dropped(cause));
    assert_eq!(counts, [1, 2, 1]);
    let member = bench.member(1).unwrap();
    assert_eq!(
        (member.gateway, member.identity, member.advertisements),
        (link_local(1), Some(hash(1)), 1)
    );
    bench.run_until(900);
    let stranger = bench.information(7, |_| {});
    bench.advertisement(link_local(9), mac(1), false, Some(stranger));
    let member = bench.member(1).unwrap();
    assert_eq!(
        (member.gateway, member.identity),
        (link_local(9), Some(hash(7))),
        "the dead do not object"
    );
}

#[test]
fn the_gateway_of_a_living_member_is_not_to_be_had_by_another_service_either() {
    let other = "2001:db8:5::54".parse().unwrap();
    let mut bench = Bench::new(Config {
        services: vec![other, SERVICE],
        ..policy(Policy::Weighted)
    });
    bench.advertise(1, |_| {});
    let thief = bench.information(8, |_| {});
    let forged = NeighborAdvertisement {
        target: other,
        router: false,
        solicited: false,
        overriding: false,
        target_link_layer: Some(mac(8)),
        information: Some(thief),
    };
    bench.message(link_local(1), &forged);
    let link_layers = |bench: &Bench| -> Vec<_> {
        let hops = bench.machine.forwarding().services.iter().flat_map(|service| &service.next_hops);
        hops.map(|hop| (hop.gateway, hop.link_layer)).collect()
    };
    assert_eq!(link_layers(&bench), [(link_local(1), mac(1))]);
    assert_eq!(bench.dropped("gateway-taken"), 1);
    bench.run_until(900);
    bench.message(link_local(1), &forged);
    assert_eq!(link_layers(&bench), [(link_local(1), mac(8))], "the dead do not object");
    bench.hear(peer(1, |peer| peer.signed = true));
    assert_eq!(link_layers(&bench), [(link_local(1), mac(1))], "a signed one takes it back");
}

#[test]
fn a_made_up_gateway_gives_way_to_the_real_one() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.advertisement(SERVICE, mac(1), false, None);
    assert!(bench.member(1).unwrap().made_up);
    bench.advertise(1, |_| {});
    let member = bench.member(1).unwrap();
    assert_eq!((member.made_up, member.gateway), (false, link_local(1)));
    let again = bench.information(1, |_| {});
    bench.advertisement(SERVICE, mac(1), false, Some(again));
    assert_eq!(bench.member(1).unwrap().gateway, link_local(1));
}

#[test]
fn a_signed_server_takes_its_place_from_an_unsigned_one() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    let forged = bench.information(9, |_| {});
    bench.advertisement(link_local(9), mac(1), false, Some(forged));
    bench.hear(peer(1, |peer| peer.signed = true));
    let member = bench.member(1).unwrap();
    assert_eq!(
        (member.identity, member.gateway, member.signed),
        (Some(hash(1)), link_local(1), true)
    );
    bench.run_until(100);
    let forged = bench.information(1, |information| information.state = crate::base::peer::PeerState::Gone);
    bench.advertisement(link_local(1), mac(1), false, Some(forged));
    assert_eq!(bench.delivered(), [1], "its own message counts before that");
}

#[test]
fn replayed_advertisements_are_dropped_and_a_restart_is_not() {
    let mut bench = Bench::resolved(policy(Policy::Weighted));
    let old = bench.information(1, |information| information.weight = 7);
    bench.advertise(1, |_| {});
    bench.run_until(300);
    for _ in 0..3 {
        bench.advertisement(link_local(1), mac(1), false, Some(old));
    }
    assert_eq!((bench.dropped("late"), bench.member(1).unwrap().weight), (3, 100));
    bench.run_until(900);
    assert_eq!(bench.delivered(), NOBODY, "a replay is no sign of life");
    bench.advertise(1, |information| information.sequence = 4_000_000_000);
    assert_eq!(bench.delivered(), [1], "far off: a new life with its own count");
    bench.advertise(1, |information| information.sequence = 4_000_000_001);
    assert_eq!(bench.dropped("late"), 3);
}

#[test]
fn a_peer_beyond_the_link_is_shown_and_not_delivered_to() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    bench.hear(peer(1, |peer| {
        peer.on_link = false;
        peer.source = "2001:db8:9::1".parse().unwrap();
    }));
    assert_eq!(bench.next_hops(), []);
    let member = bench.member(1).unwrap();
    assert_eq!((member.on_link, member.gateway.to_string().as_str()), (false, "2001:db8:9::1"));
    bench.run_until(100);
    bench.hear(peer(2, |_| {}));
    assert_eq!((bench.delivered(), bench.dropped("beyond-the-link")), (vec![2], 1));
}

#[test]
fn a_flood_of_forged_servers_pushes_nobody_out() {
    let mut bench = Bench::new(policy(Policy::Weighted));
    (1..=10).for_each(|number| bench.advertise(number, |_| {}));
    (100..2_000).for_each(|number| bench.advertise(number, |_| {}));
    assert_eq!(bench.entry().members.len(), 256);
    assert_eq!(bench.dropped("table-full"), 1_900 - 246);
    assert_eq!(bench.delivered()[..10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    bench.hear(peer(50, |peer| peer.signed = true));
    assert_eq!(
        bench.member(50).unwrap().standing,
        Standing::Active,
        "an unsigned one makes room for a signed one"
    );
    bench.run_with(&[2, 3], 900);
    (3_000..3_300).for_each(|number| bench.advertise(number, |_| {}));
    assert!(
        bench.delivered().contains(&2) && bench.delivered().contains(&3),
        "the dead make room, the living do not"
    );
    assert_eq!(bench.entry().members.len(), 256);
}
