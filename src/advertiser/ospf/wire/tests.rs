//! The packets octet by octet, every cause of refusal, and properties of the codec.

use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::lsa::{Attachment, External, IntraAreaPrefix, Link, LinkLsa, Misformed, Network, Prefix, PrefixCost, Router};
use super::*;

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);

fn datagram(payload: &[u8]) -> Datagram<'_> {
    Datagram {
        source: SOURCE,
        source_port: 0,
        destination: ALL_SPF_ROUTERS,
        hop_limit: 1,
        payload,
    }
}

fn parse(payload: &[u8], key: Option<&Key>) -> Result<Received, Malformed> {
    Packet::parse(&datagram(payload), key)
}

/// Puts length and checksum into hand-made octets, then parses them.
fn parse_summed(octets: &[u8]) -> Result<Packet, Malformed> {
    let mut octets = octets.to_vec();
    let length = octets.len() as u16;
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    octets[12..14].fill(0);
    let sum = checksum::upper_layer(SOURCE, ALL_SPF_ROUTERS, OSPF, &octets);
    octets[12..14].copy_from_slice(&sum.to_be_bytes());
    parse(&octets, None).map(|received| received.packet)
}

fn hello() -> Packet {
    Packet {
        router: RouterId(0x0a00_0101),
        area: AreaId(0),
        instance: 0,
        body: Body::Hello(Hello {
            interface: InterfaceId(7),
            priority: 0,
            options: Options::V6.with(Options::E),
            hello_interval: 1,
            dead_interval: 4,
            designated_router: RouterId(0x0a00_0001),
            backup_designated_router: RouterId::NONE,
            neighbors: vec![RouterId(0x0a00_0001)],
        }),
    }
}

#[rustfmt::skip]
const HELLO_OCTETS: [u8; 40] = [
    3, 1, 0, 40, 10, 0, 1, 1, 0, 0, 0, 0, 0xdf, 0xb0, 0, 0,
    0, 0, 0, 7, 0, 0, 0, 3, 0, 1, 0, 4, 10, 0, 0, 1, 0, 0, 0, 0, 10, 0, 0, 1,
];

#[test]
fn a_hello_octet_by_octet() {
    assert_eq!(hello().emit(SOURCE, ALL_SPF_ROUTERS, None), HELLO_OCTETS);
    assert_eq!(parse(&HELLO_OCTETS, None).unwrap().packet, hello());
}

#[test]
fn every_cause_of_refusal_has_its_name() {
    let with = |index: usize, octet: u8| {
        let mut octets = HELLO_OCTETS;
        octets[index] = octet;
        parse_summed(&octets)
    };
    assert_eq!(with(0, 2), Err(Malformed::Version(2)));
    assert_eq!(with(1, 6), Err(Malformed::Type(6)));
    assert_eq!(with(27, 1), Err(Malformed::Intervals { hello: 1, dead: 1 }));
    assert_eq!(with(25, 0), Err(Malformed::Intervals { hello: 0, dead: 4 }));
    assert_eq!(parse_summed(&HELLO_OCTETS[..39]), Err(Malformed::Trailing(3)));
    assert_eq!(parse_summed(&HELLO_OCTETS[..35]), Err(Malformed::Short(31)));
    assert_eq!(parse(&[], None), Err(Malformed::Short(0)));
    assert_eq!(parse(&HELLO_OCTETS[..39], None), Err(Malformed::Length { length: 40, arrived: 39 }));
    let mut octets = HELLO_OCTETS;
    octets[39] ^= 1;
    assert_eq!(parse(&octets, None), Err(Malformed::Checksum));
    octets[4..8].fill(0);
    assert_eq!(parse_summed(&octets), Err(Malformed::RouterId));
    let global = Datagram {
        source: "2001:db8::1".parse().unwrap(),
        ..datagram(&HELLO_OCTETS)
    };
    assert_eq!(Packet::parse(&global, None), Err(Malformed::Source(global.source)));
}

#[test]
fn counts_and_lengths_that_lie() {
    let mut update = vec![3, 4, 0, 0, 10, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    update.extend(u32::MAX.to_be_bytes());
    assert_eq!(parse_summed(&update), Err(Malformed::Short(24 - 8)));
    let lsa = Lsa::new(key(LsaType::LINK, 7), SequenceNumber::INITIAL, 0, &Content::Opaque(vec![0; 4]));
    let mut writer = Writer::default();
    lsa.emit(&mut writer);
    for (length, cause) in [(19_u16, 19), (25, 25), (u16::MAX, u16::MAX)] {
        let mut octets = writer.0.clone();
        octets[18..20].copy_from_slice(&length.to_be_bytes());
        update.truncate(16);
        update.extend([0, 0, 0, 1]);
        update.extend(octets);
        assert_eq!(parse_summed(&update), Err(Malformed::LsaLength(cause)));
    }
}

fn key(kind: LsaType, id: u32) -> LsaKey {
    LsaKey {
        kind,
        id,
        router: RouterId(0x0a00_0101),
    }
}

#[test]
fn bodies_must_fit_to_the_octet() {
    let content = |kind, body: &[u8]| Lsa::new(key(kind, 0), SequenceNumber::INITIAL, 0, &Content::Opaque(body.to_vec())).content();
    assert_eq!(content(LsaType::ROUTER, &[0; 5]), Err(Misformed::Short));
    assert_eq!(content(LsaType::LINK, &[0; 25]), Err(Misformed::Trailing(1)));
    let many = [&[0xff, 0xff, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 4]].concat();
    assert_eq!(content(LsaType::INTRA_AREA_PREFIX, &many), Err(Misformed::Short));
    let long = [&[0, 1, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &[129, 0, 0, 0]].concat();
    assert_eq!(content(LsaType::INTRA_AREA_PREFIX, &long), Err(Misformed::PrefixLength(129)));
    assert_eq!(content(LsaType(0x2003), &[1, 2]), Ok(Content::Opaque(vec![1, 2])));
}

#[test]
fn the_newer_instance_by_sequence_checksum_and_age() {
    use std::cmp::Ordering::{Equal, Greater};
    let header = |sequence, checksum, age| LsaHeader {
        age,
        key: key(LsaType::ROUTER, 0),
        sequence: SequenceNumber(sequence),
        checksum,
        length: 24,
    };
    let newer = [
        (header(1, 0, 0), header(-1, 9, 0)),
        (header(i32::MAX, 0, 0), header(i32::MIN + 1, 0, 0)),
        (header(1, 2, 900), header(1, 1, 0)),
        (header(1, 1, MAX), header(1, 1, 5)),
        (header(1, 1, 5), header(1, 1, 906)),
    ];
    const MAX: u16 = lsa::MAX_AGE;
    for (newer, older) in newer {
        assert_eq!((newer.compare(&older), older.compare(&newer)), (Greater, Greater.reverse()));
    }
    assert_eq!(header(1, 1, 5).compare(&header(1, 1, 905)), Equal);
}

#[test]
fn a_trailer_octet_by_octet_and_every_way_to_be_wrong() {
    let key = Key::new(1, Algorithm::HmacSha256, b"secret");
    let sealed = hello().emit(SOURCE, ALL_SPF_ROUTERS, Some((&key, 0x0102_0304_0506_0708)));
    assert_eq!(sealed.len(), 40 + key.trailer_length());
    assert_eq!(sealed[..12], HELLO_OCTETS[..12], "the trailer does not count");
    assert_eq!(sealed[12..14], [0, 0], "no checksum beside a trailer");
    assert_eq!(sealed[40..56], [0, 1, 0, 48, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    let received = parse(&sealed, Some(&key)).unwrap();
    assert_eq!((received.packet, received.sequence), (hello(), Some(0x0102_0304_0506_0708)));

    assert_eq!(parse(&sealed, None), Err(Malformed::Authenticated));
    assert_eq!(parse(&HELLO_OCTETS, Some(&key)), Err(Malformed::Unauthenticated));
    assert_eq!(
        parse(&sealed, Some(&Key::new(2, Algorithm::HmacSha256, b"secret"))),
        Err(Malformed::KeyId(1))
    );
    assert_eq!(
        parse(&sealed, Some(&Key::new(1, Algorithm::HmacSha512, b"secret"))),
        Err(Malformed::DigestLength(32))
    );
    assert_eq!(
        parse(&sealed, Some(&Key::new(1, Algorithm::HmacSha256, b"Secret"))),
        Err(Malformed::Digest)
    );
    for index in (0..sealed.len()).filter(|index| !(40..44).contains(index)) {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(parse(&changed, Some(&key)).is_err(), "octet {index}");
    }
    let from_elsewhere = Datagram {
        source: "fe80::b".parse().unwrap(),
        ..datagram(&sealed)
    };
    assert_eq!(Packet::parse(&from_elsewhere, Some(&key)), Err(Malformed::Digest));
}

/// The digest by RFC 2104's own words: H(Ko xor opad, H(Ko xor ipad, text)).
#[test]
fn the_digest_is_that_of_the_definition() {
    let hash = |parts: &[&[u8]]| ring::digest::digest(&ring::digest::SHA256, &parts.concat()).as_ref().to_vec();
    for secret in [&b"secret"[..], &[7; 30], &[8; 31], &[9; 70]] {
        let key = Key::new(1, Algorithm::HmacSha256, secret);
        let sealed = hello().emit(SOURCE, ALL_SPF_ROUTERS, Some((&key, 5)));
        let specific = [secret, &[0, 1]].concat();
        let mut padded = if specific.len() > 32 { hash(&[&specific]) } else { specific };
        padded.resize(64, 0);
        let xor = |with: u8| padded.iter().map(|octet| octet ^ with).collect::<Vec<_>>();
        let apad = [&SOURCE.octets()[..], &[0x87, 0x8f, 0xe1, 0xf3].repeat(4)].concat();
        let inner = hash(&[&xor(0x36), &sealed[..56], &apad]);
        assert_eq!(sealed[56..], hash(&[&xor(0x5c), &inner]), "{} octets", secret.len());
    }
}

#[test]
fn a_signalling_block_before_the_trailer_is_skipped() {
    let key = Key::new(1, Algorithm::HmacSha1, b"secret");
    let mut octets = HELLO_OCTETS.to_vec();
    octets[12..14].fill(0);
    octets.extend([0xff, 0xf7, 0, 3, 0, 1, 0, 4, 0, 0, 0, 1]);
    let sealed = {
        let mut sealed = octets.clone();
        key.seal(&mut sealed, 9, SOURCE);
        sealed
    };
    assert_eq!(parse(&sealed, Some(&key)).unwrap().sequence, Some(9));
    assert_eq!(parse(&octets, Some(&key)), Err(Malformed::Unauthenticated));
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any::<u128>(), 0..=128_u8, any::<u8>()).prop_map(|(address, length, options)| Prefix::new(address.into(), length, options).unwrap())
}

fn any_content() -> impl Strategy<Value = (LsaType, Content)> {
    let link = any::<(u8, u16, u32, u32, u32)>().prop_map(|(kind, metric, interface, neighbor_interface, neighbor)| Link {
        kind,
        metric,
        interface: InterfaceId(interface),
        neighbor_interface: InterfaceId(neighbor_interface),
        neighbor: RouterId(neighbor),
    });
    let options = any::<u32>().prop_map(Options::new);
    let router = (any::<u8>(), options.clone(), prop::collection::vec(link, 0..4))
        .prop_map(|(flags, options, links)| (LsaType::ROUTER, Content::Router(Router { flags, options, links })));
    let network = (options.clone(), prop::collection::vec(any::<u32>().prop_map(RouterId), 0..5))
        .prop_map(|(options, attached)| (LsaType::NETWORK, Content::Network(Network { options, attached })));
    let link_lsa = (any::<u8>(), options, any::<u128>(), prop::collection::vec(any_prefix(), 0..4)).prop_map(
        |(priority, options, link_local, prefixes)| {
            let link_local = link_local.into();
            (
                LsaType::LINK,
                Content::Link(LinkLsa {
                    priority,
                    options,
                    link_local,
                    prefixes,
                }),
            )
        },
    );
    let cost = (any_prefix(), any::<u16>()).prop_map(|(prefix, metric)| PrefixCost { prefix, metric });
    let intra = (any::<(u16, u32, u32)>(), prop::collection::vec(cost, 0..4)).prop_map(|((kind, id, router), prefixes)| {
        let attached_to = Attachment {
            kind: LsaType(kind),
            id,
            router: RouterId(router),
        };
        (
            LsaType::INTRA_AREA_PREFIX,
            Content::IntraAreaPrefix(IntraAreaPrefix { attached_to, prefixes }),
        )
    });
    let external = (
        any::<bool>(),
        0..0x0100_0000_u32,
        any_prefix(),
        any::<Option<u128>>(),
        any::<Option<u32>>(),
        prop::option::of((1..=u16::MAX, any::<u32>())),
    )
        .prop_map(|(type_2, metric, prefix, forwarding, tag, referenced)| {
            let content = Content::External(External {
                type_2,
                metric,
                prefix,
                forwarding: forwarding.map(Ipv6Addr::from),
                tag,
                referenced: referenced.map(|(kind, id)| (LsaType(kind), id)),
            });
            (if type_2 { LsaType::AS_EXTERNAL } else { LsaType::NSSA }, content)
        });
    let opaque = (0x2003..=0x2006_u16, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, octets)| (LsaType(kind), Content::Opaque(octets)));
    prop_oneof![router, network, link_lsa, intra, external, opaque]
}

fn any_lsa() -> impl Strategy<Value = Lsa> {
    (any_content(), any::<(u32, u32, i32)>(), 0..=lsa::MAX_AGE).prop_map(|((kind, content), (id, router, sequence), age)| {
        let key = LsaKey {
            kind,
            id,
            router: RouterId(router),
        };
        Lsa::new(key, SequenceNumber(sequence), age, &content)
    })
}

pub(in crate::advertiser::ospf) fn any_body() -> impl Strategy<Value = Body> {
    let headers = || prop::collection::vec(any_lsa().prop_map(|lsa| lsa.header), 0..5);
    let ids = prop::collection::vec(any::<u32>().prop_map(RouterId), 0..5);
    let hello = (any::<(u32, u8, u32, u32, u32)>(), 1..u16::MAX, ids).prop_flat_map(|(numbers, hello_interval, neighbors)| {
        let (interface, priority, options, designated, backup) = numbers;
        (hello_interval + 1..=u16::MAX).prop_map(move |dead_interval| {
            Body::Hello(Hello {
                interface: InterfaceId(interface),
                priority,
                options: Options::new(options),
                hello_interval,
                dead_interval,
                designated_router: RouterId(designated),
                backup_designated_router: RouterId(backup),
                neighbors: neighbors.clone(),
            })
        })
    });
    let description = (any::<(u32, u16, bool, bool, bool, u32)>(), headers()).prop_map(|(fixed, headers)| {
        let (options, mtu, init, more, master, sequence) = fixed;
        Body::DatabaseDescription(DatabaseDescription {
            options: Options::new(options),
            mtu,
            init,
            more,
            master,
            sequence,
            headers,
        })
    });
    prop_oneof![
        hello,
        description,
        headers().prop_map(|headers| Body::LinkStateRequest(headers.iter().map(|header| header.key).collect())),
        prop::collection::vec(any_lsa(), 0..5).prop_map(Body::LinkStateUpdate),
        headers().prop_map(Body::LinkStateAcknowledgment),
    ]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    (1..=u32::MAX, any::<u32>(), any::<u8>(), any_body()).prop_map(|(router, area, instance, body)| Packet {
        router: RouterId(router),
        area: AreaId(area),
        instance,
        body,
    })
}

proptest! {
    #[test]
    fn packets_read_as_they_are_written(packet in any_packet(), sequence in any::<u64>()) {
        let octets = packet.emit(SOURCE, ALL_SPF_ROUTERS, None);
        prop_assert_eq!(parse(&octets, None), Ok(Received { packet: packet.clone(), sequence: None, form: None }));
        for algorithm in [Algorithm::HmacSha1, Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512] {
            let key = Key::new(3, algorithm, b"of some length");
            for form in [Form::Standard, Form::Swapped] {
                let octets = packet.emit(SOURCE, ALL_SPF_ROUTERS, Some((&key.clone().in_form(form), sequence)));
                let received = Received { packet: packet.clone(), sequence: Some(sequence), form: Some(form) };
                prop_assert_eq!(parse(&octets, Some(&key)), Ok(received));
            }
        }
    }

    #[test]
    fn contents_read_as_they_are_written((kind, content) in any_content()) {
        let lsa = Lsa::new(key(kind, 1), SequenceNumber::INITIAL, 0, &content);
        prop_assert_eq!(lsa.content(), Ok(content));
        prop_assert!(lsa.is_intact() && lsa.clone().aged(77).is_intact());
        let later = lsa.again(SequenceNumber(5), lsa::MAX_AGE);
        prop_assert!(later.is_intact() && later.header.compare(&lsa.header).is_gt());
    }

    #[test]
    fn a_changed_octet_is_noticed(lsa in any_lsa(), at in any::<prop::sample::Index>(), with in 1..=254_u8) {
        let mut writer = Writer::default();
        lsa.emit(&mut writer);
        let at = 2 + at.index(writer.0.len() - 2);
        // 0 and 255 are the same to the sum.
        let changed = writer.0[at] ^ with;
        prop_assume!(u16::from(changed) % 255 != u16::from(writer.0[at]) % 255);
        writer.0[at] = changed;
        let read = Lsa::parse(&mut Reader::new(&writer.0));
        prop_assert!(read.is_err() || read.is_ok_and(|read| !read.is_intact()));
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 0..7_u8) {
        let key = Key::new(1, Algorithm::HmacSha256, b"secret");
        let _ = parse(&octets, Some(&key));
        let mut octets = octets;
        if octets.len() >= 14 {
            octets[0] = 3;
            octets[1] = kind;
            if let Ok(Packet { body: Body::LinkStateUpdate(lsas), .. }) = parse_summed(&octets) {
                lsas.iter().for_each(|lsa| drop(lsa.content()));
            }
        }
    }

    #[test]
    fn no_body_panics(kind in prop::sample::select(vec![0x2001_u16, 0x2002, 0x2007, 0x0008, 0x2009, 0x4005]),
                      octets in prop::collection::vec(any::<u8>(), 0..80)) {
        let lsa = Lsa::new(key(LsaType(kind), 0), SequenceNumber::INITIAL, 0, &Content::Opaque(octets));
        if let Ok(content) = lsa.content() {
            let again = Lsa::new(key(LsaType(kind), 0), SequenceNumber::INITIAL, 0, &content).content();
            prop_assert_eq!(again, Ok(content));
        }
    }
}
