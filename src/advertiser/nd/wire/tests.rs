//! The messages octet by octet, every cause of refusal, and properties of the codec.

use std::net::Ipv6Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::address::ALL_NODES;
use crate::base::peer::{IdentityHash, PeerState};

const OURS: &str = "2001:db8:5::53";
const MAC: LinkLayerAddress = LinkLayerAddress([0x02, 0, 0, 0, 0, 0x0a]);

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn parse(source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, payload: &[u8]) -> Result<Message, Malformed> {
    Message::parse(&Datagram {
        source,
        source_port: 0,
        destination,
        hop_limit,
        payload,
    })
}

/// Puts the right checksum into hand-made bytes, then parses them.
fn parse_summed(source: &str, destination: &str, bytes: &[u8]) -> Result<Message, Malformed> {
    let (source, destination) = (address(source), address(destination));
    let mut bytes = bytes.to_vec();
    bytes[2..4].fill(0);
    let sum = checksum::upper_layer(source, destination, ICMPV6, &bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    parse(source, destination, HOP_LIMIT, &bytes)
}

fn advertisement() -> Message {
    Message::Advertisement(NeighborAdvertisement {
        target: address(OURS),
        router: false,
        solicited: false,
        overriding: true,
        target_link_layer: Some(MAC),
        information: Some(ServiceInformation {
            state: PeerState::Active,
            class: 1,
            hand_over: false,
            weight: 100,
            load: 310,
            recent_load: Some(440),
            term: 7,
            sequence: 0x0102_0304,
            identity: IdentityHash(0x1122_3344_5566_7788),
            health: 255,
        }),
    })
}

#[rustfmt::skip]
const ADVERTISEMENT: [u8; 64] = [
    136, 0, 0xc8, 0xd7, 0x20, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
    2, 1, 0x02, 0, 0, 0, 0, 0x0a,
    253, 4, b'H', b'D', 1, 2, 1, 2,
    0, 100, 0x01, 0x36, 0, 0, 0, 7,
    1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44,
    0x55, 0x66, 0x77, 0x88, 255, 0, 0x01, 0xb8,
];

#[test]
fn claim_1_the_advertisement_carries_the_anycast_address_and_the_link_layer_address() {
    let (source, destination) = (address("fe80::a"), ALL_NODES);
    assert_eq!(advertisement().emit(source, destination), ADVERTISEMENT);
    assert_eq!(parse(source, destination, 255, &ADVERTISEMENT), Ok(advertisement()));
}

#[test]
fn a_solicitation_reads_as_it_is_written() {
    #[rustfmt::skip]
    let bytes = [
        135, 0, 0x4a, 0xa6, 0, 0, 0, 0,
        0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
        1, 1, 0x02, 0, 0, 0, 0, 0x0a,
    ];
    let message = Message::Solicitation(NeighborSolicitation {
        target: address(OURS),
        source_link_layer: Some(MAC),
    });
    let (source, destination) = (address("fe80::a"), solicited_node(address(OURS)));
    assert_eq!(message.emit(source, destination), bytes);
    assert_eq!(parse(source, destination, 255, &bytes), Ok(message));
}

#[test]
fn of_a_router_advertisement_lifetime_and_address_are_read() {
    #[rustfmt::skip]
    let bytes = [
        134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0,
        5, 1, 0, 0, 0, 0, 5, 0xdc, // MTU: skipped
        1, 1, 0x02, 0, 0, 0, 0, 0x0a,
    ];
    assert_eq!(
        parse_summed("fe80::1", "ff02::1", &bytes),
        Ok(Message::Router(RouterAdvertisement {
            lifetime: Duration::from_secs(1800),
            source_link_layer: Some(MAC),
        }))
    );
}

/// An NS or NA without options.
fn plain(kind: u8, flags: u8, target: &str) -> Vec<u8> {
    neighbor_header(kind, flags, address(target))
}

fn with(mut bytes: Vec<u8>, options: &[u8]) -> Vec<u8> {
    bytes.extend(options);
    bytes
}

#[test]
fn every_cause_of_refusal_has_its_own_error() {
    let na = || plain(NEIGHBOR_ADVERTISEMENT, 0, OURS);
    let ns = || plain(NEIGHBOR_SOLICITATION, 0, OURS);
    let information = |length: u8, state: u8, class: u8| {
        let mut option = vec![253, length, b'H', b'D', 1, state, class, 0];
        option.resize(usize::from(length) * 8, 0);
        option
    };
    let multicast = address("ff02::1");
    let cases: [(&str, &str, Vec<u8>, Malformed); 14] = [
        (
            "fe80::1",
            "ff02::1",
            plain(NEIGHBOR_ADVERTISEMENT, 0, OURS)[..23].to_vec(),
            Malformed::Short(23),
        ),
        (
            "fe80::1",
            "ff02::1",
            vec![ROUTER_ADVERTISEMENT; 1].into_iter().chain([0; 14]).collect(),
            Malformed::Short(15),
        ),
        ("fe80::1", "ff02::1", plain(133, 0, OURS), Malformed::Type(133)),
        (
            "fe80::1",
            "ff02::1",
            {
                let mut b = na();
                b[1] = 3;
                b
            },
            Malformed::Code(3),
        ),
        (
            "fe80::1",
            "ff02::1",
            with(na(), &[7, 0, 0, 0, 0, 0, 0, 0]),
            Malformed::OptionLengthZero(7),
        ),
        (
            "fe80::1",
            "ff02::1",
            with(na(), &[2, 2, 0, 0, 0, 0, 0, 0]),
            Malformed::OptionOverrun(2),
        ),
        (
            "fe80::1",
            "ff02::1",
            with(na(), &[2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Malformed::LinkLayerLength(2),
        ),
        (
            "fe80::1",
            "ff02::1",
            plain(NEIGHBOR_ADVERTISEMENT, 0, "ff02::1"),
            Malformed::MulticastTarget(multicast),
        ),
        (
            "fe80::1",
            "ff02::1",
            plain(NEIGHBOR_ADVERTISEMENT, FLAG_SOLICITED, OURS),
            Malformed::SolicitedToMulticast(multicast),
        ),
        ("::", "ff02::1", ns(), Malformed::ProbeDestination(multicast)),
        (
            "::",
            "ff02::1:ff00:53",
            with(ns(), &[1, 1, 2, 0, 0, 0, 0, 1]),
            Malformed::ProbeWithLinkLayer,
        ),
        (
            "fe80::1",
            "ff02::1",
            with(na(), &information(3, 0, 0)),
            Malformed::InformationShort(3),
        ),
        (
            "fe80::1",
            "ff02::1",
            with(na(), &information(4, 7, 0)),
            Malformed::InformationState(7),
        ),
        (
            "fe80::1",
            "ff02::1",
            with(na(), &information(4, 2, 4)),
            Malformed::InformationClass(4),
        ),
    ];
    for (source, destination, bytes, error) in cases {
        assert_eq!(parse_summed(source, destination, &bytes), Err(error), "{}", error.name());
    }
    let from_global = [[ROUTER_ADVERTISEMENT].as_slice(), &[0; 15]].concat();
    assert_eq!(
        parse_summed(OURS, "ff02::1", &from_global),
        Err(Malformed::RouterSource(address(OURS)))
    );
    assert_eq!(
        parse(address("fe80::a"), ALL_NODES, 254, &ADVERTISEMENT),
        Err(Malformed::HopLimit(254))
    );
    let mut damaged = ADVERTISEMENT;
    damaged[20] ^= 1;
    assert_eq!(parse(address("fe80::a"), ALL_NODES, 255, &damaged), Err(Malformed::Checksum));
    assert_eq!(parse(address("fe80::a"), ALL_NODES, 255, &[]), Err(Malformed::Short(0)));
    assert_eq!(
        parse_summed("fe80::1", "ff02::1", &with(na(), &[9; 1])),
        Err(Malformed::OptionOverrun(9))
    );
}

#[test]
fn option_253_of_others_and_unknown_options_are_skipped() {
    let bytes = with(
        plain(NEIGHBOR_ADVERTISEMENT, 0, OURS),
        &[253, 1, b'X', b'Y', 1, 2, 3, 4, 99, 1, 0, 0, 0, 0, 0, 0],
    );
    let Ok(Message::Advertisement(message)) = parse_summed("fe80::1", "ff02::1", &bytes) else {
        panic!()
    };
    assert_eq!(message.information, None);
}

#[test]
fn a_probe_for_duplicate_addresses_is_a_valid_solicitation() {
    let bytes = plain(NEIGHBOR_SOLICITATION, 0, OURS);
    assert!(parse_summed("::", "ff02::1:ff00:53", &bytes).is_ok());
}

fn any_information() -> impl Strategy<Value = ServiceInformation> {
    let numbers = (
        any::<u16>(),
        any::<u16>(),
        any::<Option<u16>>(),
        any::<u32>(),
        any::<u32>(),
        any::<u64>(),
        any::<u8>(),
    );
    (0..7_u8, 0..4_u8, any::<bool>(), numbers).prop_map(|(state, class, hand_over, numbers)| {
        let (weight, load, recent_load, term, sequence, identity, health) = numbers;
        ServiceInformation {
            state: PeerState::from_wire(state).unwrap(),
            class,
            hand_over,
            weight,
            load,
            recent_load,
            term,
            sequence,
            identity: IdentityHash(identity),
            health,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        target in any::<u128>().prop_map(Ipv6Addr::from).prop_filter("unicast", |target| !target.is_multicast()),
        flags in any::<(bool, bool)>(),
        mac in any::<Option<[u8; 6]>>(),
        information in proptest::option::of(any_information()),
    ) {
        let (source, destination) = (address("fe80::a"), address("fe80::b"));
        let target_link_layer = mac.map(LinkLayerAddress);
        let messages = [
            Message::Solicitation(NeighborSolicitation { target, source_link_layer: target_link_layer }),
            Message::Router(RouterAdvertisement { lifetime: Duration::from_secs(9), source_link_layer: target_link_layer }),
            Message::Advertisement(NeighborAdvertisement {
                target, router: false, solicited: flags.0, overriding: flags.1, target_link_layer, information,
            }),
        ];
        for message in messages {
            prop_assert_eq!(parse(source, destination, 255, &message.emit(source, destination)), Ok(message));
        }
    }

    #[test]
    fn no_bytes_panic(kind in 133..138_u8, mut bytes in proptest::collection::vec(any::<u8>(), 3..120)) {
        bytes.insert(0, kind);
        bytes[1] = 0;
        let _ = parse_summed("fe80::1", "fe80::2", &bytes);
        let _ = parse_summed("::", "ff02::1", &bytes);
    }
}
