//! Whatever comes in: bounded, no panic, and a wish that can be granted.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::bench::*;
use crate::base::forwarding::MOST_SHARE;
use crate::base::machine::Input;
use crate::base::peer::PeerState;
use crate::router::{Config, Policy, Standing};

/// One thing that happens; numbers are those of servers, small so that they meet.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Advertisement {
        number: u16,
        source: u16,
        state: u8,
        solicited: bool,
        hand_over: bool,
        load: u16,
        sequence: u32,
    },
    StockHost {
        number: u16,
        from_service: bool,
        solicited: bool,
    },
    Peer {
        number: u16,
        link_layer: u16,
        state: u8,
        signed: bool,
        on_link: bool,
        weight: u16,
    },
    LinkDown(bool),
    Wait(u16),
    Freeze(u16),
}

fn happening() -> impl Strategy<Value = Happening> {
    let bools = any::<(bool, bool)>;
    prop_oneof![
        4 => (1..6_u16, 1..6_u16, 0..7_u8, bools(), any::<u16>(), 0..40_u32).prop_map(|(number, other, state, flags, load, sequence)| {
            let source = if load % 5 == 0 { other } else { number };
            Happening::Advertisement { number, source, state, solicited: flags.0, hand_over: flags.1 && load % 3 == 0, load, sequence }
        }),
        2 => (1..6_u16, bools()).prop_map(|(number, flags)| Happening::StockHost { number, from_service: flags.0, solicited: flags.1 }),
        4 => (1..6_u16, 1..6_u16, 0..7_u8, bools(), any::<u16>()).prop_map(|(number, other, state, flags, weight)| {
            let link_layer = if weight % 4 == 0 { other } else { number };
            Happening::Peer { number, link_layer, state, signed: flags.0, on_link: flags.1 || weight % 2 == 0, weight }
        }),
        1 => any::<bool>().prop_map(Happening::LinkDown),
        6 => (0..1_500_u16).prop_map(Happening::Wait),
        1 => (0..9_000_u16).prop_map(Happening::Freeze),
    ]
}

fn happen(bench: &mut Bench, happening: Happening) {
    let now = bench.now.as_micros() / 1_000;
    match happening {
        Happening::Advertisement {
            number,
            source,
            state,
            solicited,
            hand_over,
            load,
            sequence,
        } => {
            let information = bench.information(number, |information| {
                information.state = PeerState::from_wire(state).unwrap();
                information.hand_over = hand_over;
                information.recent_load = (load % 2 == 0).then_some(load);
                information.load = load;
                information.sequence = sequence;
            });
            bench.advertisement(link_local(source), mac(number), solicited, Some(information));
        }
        Happening::StockHost {
            number,
            from_service,
            solicited,
        } => {
            let source = if from_service { SERVICE } else { link_local(number) };
            bench.advertisement(source, mac(number), solicited, None);
        }
        Happening::Peer {
            number,
            link_layer,
            state,
            signed,
            on_link,
            weight,
        } => bench.hear(peer(number, |peer| {
            peer.statement.link_layer = mac(link_layer);
            peer.statement.state = PeerState::from_wire(state).unwrap();
            peer.statement.weight = weight;
            peer.signed = signed;
            peer.on_link = on_link;
        })),
        Happening::LinkDown(up) => {
            let mut state = usable();
            state.up = up;
            bench.link(&state);
        }
        Happening::Wait(millis) => bench.run_until(now + u64::from(millis)),
        Happening::Freeze(millis) => {
            bench.now = bench.now + Duration::from_millis(millis.into());
            bench.input(Input::Tick);
        }
    }
}

fn check(bench: &Bench, each: Policy) {
    let report = bench.entry();
    let hops = bench.next_hops();
    let gateways: BTreeSet<_> = hops.iter().map(|hop| hop.gateway).collect();
    assert_eq!(gateways.len(), hops.len(), "one link-layer address for each gateway");
    assert!(hops.is_sorted());
    assert!(
        hops.iter()
            .all(|hop| hop.datagrams <= MOST_SHARE && hop.connections <= MOST_SHARE && hop.connections > 0)
    );
    assert!(
        hops.is_empty() || hops.iter().any(|hop| hop.datagrams > 0),
        "datagrams go somewhere: {hops:?}"
    );
    for hop in hops {
        let member = report
            .members
            .iter()
            .find(|member| member.link_layer == hop.link_layer && member.on_link);
        let Some(member) = member else {
            assert_eq!(each, Policy::Latest, "{hop:?} belongs to nobody");
            continue;
        };
        assert!(member.standing.serves(), "{member:?}");
        assert_eq!((member.gateway, member.made_up), (hop.gateway, hop.made_up));
    }
    let serving = report.members.iter().filter(|member| member.on_link && member.standing.serves());
    if each != Policy::Latest {
        assert_eq!(serving.count() > 0, !hops.is_empty(), "whoever serves is used: {report:?}");
    }
    let latest = report.link_layer.into_iter().collect::<Vec<_>>();
    if each == Policy::Latest {
        assert_eq!(hops.iter().map(|hop| hop.link_layer).collect::<Vec<_>>(), latest);
    }
    let active = report
        .members
        .iter()
        .filter(|member| member.standing == Standing::Active && member.on_link);
    let shared = active.filter(|member| member.datagrams == 0).count();
    assert!(each == Policy::Latest || shared == 0, "every active server has a share: {report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_wish_can_be_granted(
        happenings in proptest::collection::vec(happening(), 1..80),
        each in prop_oneof![Just(Policy::Latest), Just(Policy::RoundRobin), Just(Policy::Weighted)],
        require_signed in any::<bool>(),
    ) {
        let mut bench = Bench::new(Config { require_signed, ..policy(each) });
        for one in happenings {
            happen(&mut bench, one);
            check(&bench, each);
        }
    }

    #[test]
    fn no_bytes_panic(packets in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..120)), 0..20)) {
        let mut bench = Bench::new(policy(Policy::Weighted));
        for (advertisement, mut bytes) in packets {
            if let [kind, code, ..] = &mut bytes[..] && advertisement {
                (*kind, *code) = (136, 0);
            }
            if bytes.len() > 24 {
                bytes[8..24].copy_from_slice(&SERVICE.octets());
                bytes[2..4].fill(0);
                let sum = crate::base::checksum::upper_layer(link_local(1), link_local(OWN), 58, &bytes);
                bytes[2..4].copy_from_slice(&sum.to_be_bytes());
            }
            bench.packet(link_local(1), link_local(OWN), 255, &bytes);
            bench.run_until(bench.now.as_micros() / 1_000 + 100);
            check(&bench, Policy::Weighted);
        }
    }
}
