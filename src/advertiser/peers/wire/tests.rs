//! The messages octet by octet, every cause of refusal, and properties of the codec.

use proptest::prelude::*;

use super::*;

fn message() -> PeerMessage {
    PeerMessage {
        statement: Statement {
            identity: "s1".to_owned(),
            services: vec!["2001:db8:5::53".parse().unwrap()],
            state: PeerState::Draining,
            idle: false,
            holder: true,
            term: 7,
            health: 250,
            weight: 100,
            successor: Some(IdentityHash(0x0102_0304_0506_0708)),
            class: 2,
            capacity: 50_000,
            offered: 1_000,
            load: 310,
            recent_load: Some(440),
            misdelivered: 3,
            link_layer: LinkLayerAddress([2, 0, 0, 0, 0, 0x0a]),
            link_local: Some("fe80::a".parse().unwrap()),
            interval: Duration::from_millis(300),
        },
        boot: 5,
        sequence: 9,
    }
}

#[rustfmt::skip]
fn bytes() -> Vec<u8> {
    let mut bytes = vec![
        b'H', b'D', b'P', b'M', 1, 3, 2, 250,
        2 + 4 + 8, 0, 0, 100, 0, 0, 0, 7,
        0, 0, 0, 0, 0, 0, 0, 5,
        0, 0, 0, 9, 0, 0, 0x01, 0x2c,
    ];
    bytes.extend(IdentityHash::of("s1").0.to_be_bytes());
    bytes.extend([
        1, 2, 3, 4, 5, 6, 7, 8,
        0, 0, 0xc3, 0x50, 0, 0, 0x03, 0xe8,
        0x01, 0x36, 2, 0, 0, 0, 0, 0x0a,
        0, 0, 0, 3,
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a,
        0, 1, 0, 2, b's', b'1',
        0, 2, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
        0, 3, 0, 2, 0x01, 0xb8,
    ]);
    bytes
}

fn changed(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes();
    bytes[at] = value;
    bytes
}

#[test]
fn claim_17_the_peer_message_is_these_octets() {
    assert_eq!(message().emit(None), bytes());
    assert_eq!(PeerMessage::parse(&bytes(), None), Ok(message()));
}

#[test]
fn fields_that_version_1_does_not_know_are_skipped() {
    let later = [bytes(), vec![0x12, 0x34, 0, 3, 1, 2, 3]].concat();
    assert_eq!(PeerMessage::parse(&later, None), Ok(message()));
}

#[test]
fn a_key_admits_only_what_was_signed_with_it() {
    let (key, other) = (Key::new(b"one"), Key::new(b"two"));
    let signed = message().emit(Some(&key));
    assert_eq!(PeerMessage::parse(&signed, Some(&key)), Ok(message()));
    assert_eq!(PeerMessage::parse(&signed, Some(&other)), Err(Malformed::WrongKey));
    assert_eq!(PeerMessage::parse(&bytes(), Some(&key)), Err(Malformed::Unsigned));
    let mut changed = signed.clone();
    changed[15] ^= 1;
    assert_eq!(PeerMessage::parse(&changed, Some(&key)), Err(Malformed::WrongKey));
    assert_eq!(
        PeerMessage::parse(&signed, None),
        Ok(message()),
        "without a key signatures are not looked at"
    );
}

#[test]
fn every_cause_of_refusal_has_its_own_error() {
    let without_fields = bytes()[..FIXED].to_vec();
    let fields = |fields: &[u8]| [without_fields.as_slice(), fields].concat();
    let cases = [
        (bytes()[..83].to_vec(), Malformed::Short(83)),
        (vec![0; LONGEST + 1], Malformed::Long(LONGEST + 1)),
        (changed(0, b'X'), Malformed::Magic),
        (changed(4, 2), Malformed::Version(2)),
        (changed(5, 7), Malformed::State(7)),
        (changed(6, 4), Malformed::Class(4)),
        (fields(&[0, 1, 0]), Malformed::FieldOverrun(0)),
        (fields(&[0, 1, 0, 3, b'a', b'b']), Malformed::FieldOverrun(1)),
        (without_fields.clone(), Malformed::IdentityMissing),
        (fields(&[0, 1, 0, 1, 0xff]), Malformed::IdentityText),
        (fields(&[0, 1, 0, 0]), Malformed::IdentityMissing),
        (fields(&[0, 1, 0, 2, b's', 0x1b]), Malformed::IdentityText),
        (fields(&[0, 1, 0, 3, b's', b'\n', b'1']), Malformed::IdentityText),
        (fields(&[0, 1, 0, 2, b's', b' ']), Malformed::IdentityText),
        (fields(&[0, 1, 0, 2, 0xc3, 0xa4]), Malformed::IdentityText),
        (fields(&[&[0, 1, 0, 65][..], &[b'a'; 65]].concat()), Malformed::IdentityText),
        (fields(&[0, 1, 0, 2, b's', b'2']), Malformed::IdentityHash(IdentityHash::of("s1"))),
        (fields(&[0, 2, 0, 2, 1, 2]), Malformed::Services(2)),
        (fields(&[&[0, 2, 3, 16][..], &[1; 784]].concat()), Malformed::Services(784)),
    ];
    for (bytes, error) in cases {
        assert_eq!(PeerMessage::parse(&bytes, None), Err(error.clone()), "{}", error.name());
    }
}

#[test]
fn the_longest_message_fits() {
    let mut message = message();
    message.statement.identity = "a".repeat(200);
    message.statement.services = vec![Ipv6Addr::LOCALHOST; MOST_SERVICES + 1];
    let key = Key::new(b"key");
    let bytes = message.emit(Some(&key));
    assert!(bytes.len() <= LONGEST, "{}", bytes.len());
    let read = PeerMessage::parse(&bytes, Some(&key)).unwrap();
    assert_eq!(read.statement.identity, "a".repeat(64));
    assert_eq!(read.statement.services.len(), MOST_SERVICES);
}

fn any_message() -> impl Strategy<Value = PeerMessage> {
    let words = ("[!-~]{1,64}", proptest::collection::vec(any::<u128>(), 0..MOST_SERVICES));
    let small = (0..7_u8, any::<(bool, bool)>(), any::<u8>(), 0..4_u8);
    let numbers = (
        any::<u32>(),
        any::<u16>(),
        any::<u32>(),
        any::<u32>(),
        any::<(u16, Option<u16>)>(),
        any::<u32>(),
    );
    let others = (
        any::<Option<u64>>(),
        any::<[u8; 6]>(),
        any::<Option<u128>>(),
        any::<u32>(),
        any::<u64>(),
        any::<u32>(),
    );
    (words, small, numbers, others).prop_map(|(words, small, numbers, others)| PeerMessage {
        statement: Statement {
            identity: words.0,
            services: words.1.into_iter().map(Ipv6Addr::from).collect(),
            state: PeerState::from_wire(small.0).unwrap(),
            idle: small.1.0,
            holder: small.1.1,
            term: numbers.0,
            health: small.2,
            weight: numbers.1,
            successor: others.0.map(IdentityHash),
            class: small.3,
            capacity: numbers.2,
            offered: numbers.3,
            load: numbers.4.0,
            recent_load: numbers.4.1,
            misdelivered: numbers.5,
            link_layer: LinkLayerAddress(others.1),
            link_local: others.2.map(Ipv6Addr::from),
            interval: Duration::from_millis(u64::from(others.3)),
        },
        boot: others.4,
        sequence: others.5,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(message in any_message(), signed in any::<bool>()) {
        let key = signed.then(|| Key::new(b"key"));
        prop_assert_eq!(PeerMessage::parse(&message.emit(key.as_ref()), key.as_ref()), Ok(message));
    }

    #[test]
    fn no_bytes_panic(head in 0..90_usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let start = message().emit(None);
        let mixed = [&start[..head.min(start.len())], &bytes].concat();
        let _ = PeerMessage::parse(&mixed, None);
        let _ = PeerMessage::parse(&mixed, Some(&Key::new(b"key")));
    }
}
