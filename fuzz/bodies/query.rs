//! Any octets as a message to a server of fixed zones: every kind of denial, delegation, wildcard and alias there is.
//!
//! The first four octets choose the zones, what this host says of itself, and the buffer; the others are the message.

use std::sync::{Arc, LazyLock};

use heraldns::dns::answer::{Host, Load, Query};
use heraldns::dns::counters::Drop;
use heraldns::dns::types::ResponseCode;
use heraldns::dns::zone::{self, ZoneSet};
use hickory_proto::op::Message as Hickory;

use super::answer;

/// Octets before the message.
pub const SETTINGS: usize = 4;

/// Sets of zones; one has the root zone, which is above everything.
const SETS: [&[(&str, &str)]; 6] = [
    &[
        ("example.com.", include_str!("../../zones/example.com.zone")),
        ("example.net.", include_str!("../../zones/example.net.zone")),
        (
            "8.b.d.0.1.0.0.2.ip6.arpa.",
            include_str!("../../zones/8.b.d.0.1.0.0.2.ip6.arpa.zone"),
        ),
        ("example.", include_str!("../../tests/data/denial/plain.zone")),
    ],
    &[("example.", include_str!("../../tests/data/denial/nsec.zone"))],
    &[("example.", include_str!("../../tests/data/denial/nsec3.zone"))],
    &[("example.", include_str!("../../tests/data/denial/nsec3-salted.zone"))],
    &[("example.", include_str!("../../tests/data/denial/nsec3-opt-out.zone"))],
    &[
        (".", "@ 60 SOA . . 1 2 3 4 5\n@ 60 NS a.\na. 60 A 192.0.2.1\n*. 60 TXT x\n"),
        ("example.net.", include_str!("../../zones/example.net.zone")),
        (
            "new.example.net.",
            "@ 60 SOA . . 1 2 3 4 5\n@ 60 NS .\na 60 DNAME old.example.net.\n* 60 MX 1 @\n",
        ),
    ],
];

static ZONES: LazyLock<Vec<ZoneSet>> = LazyLock::new(|| SETS.iter().map(|texts| load(texts)).collect());
const IDENTITIES: [&[u8]; 4] = [b"fuzz-1", b"", &[b'i'; 200], &[b'i'; 256]];
const PAYLOADS: [u16; 4] = [1232, 512, 4096, 65_535];

fn load(texts: &[(&str, &str)]) -> ZoneSet {
    let load = |(apex, text): &(&str, &str)| {
        let mut no_include = |path: &str| Err(format!("{path} is not to be included"));
        let loaded = zone::load(&apex.parse().unwrap(), apex, text.as_bytes(), &mut no_include);
        Arc::new(loaded.unwrap_or_else(|problems| panic!("{apex}: {problems:?}")).zone)
    };
    ZoneSet::new(texts.iter().map(load).collect())
}

/// The names of all zones of the set that this setting chooses, in wire form.
pub fn names(setting: u8) -> Vec<Vec<u8>> {
    let zones = ZONES[usize::from(setting) % ZONES.len()].zones();
    zones
        .flat_map(|zone| zone.nodes().map(|node| node.name().to_vec()).collect::<Vec<_>>())
        .collect()
}

/// Asks, and checks the answers. Says which response code the answers have, or why there is none.
pub fn run(octets: &[u8]) -> Option<Result<ResponseCode, Drop>> {
    let (&[zones, identity, payload, room], message) = octets.split_first_chunk::<SETTINGS>()?;
    let zones = &ZONES[usize::from(zones) % ZONES.len()];
    let host = Host {
        identity: IDENTITIES[usize::from(identity) % IDENTITIES.len()],
        version: b"heraldns fuzz",
        load: Load::ZERO,
        udp_payload: PAYLOADS[usize::from(payload) % PAYLOADS.len()],
    };
    let query = match Query::parse(message) {
        Ok(query) => query,
        Err(cause) => {
            assert_eq!(Some(cause), wanted_drop(message));
            return Some(Err(cause));
        }
    };
    assert_eq!(wanted_drop(message), None, "a message that is to be dropped is answered");
    check_reading(&query, message);
    // the buffer of a worker, or a smaller one
    let room = usize::from(host.udp_payload).saturating_sub(usize::from(room) / 8 * 8).max(512);
    let [udp, tcp] = answer::answers(zones, &host, &query, message, room);
    assert_eq!(udp.reply.response_code, tcp.reply.response_code);
    assert!(!tcp.is_truncated(), "no answer of these zones is too large for TCP");
    Some(Ok(tcp.reply.response_code))
}

/// Why a message gets no answer, if it is to get none.
fn wanted_drop(message: &[u8]) -> Option<Drop> {
    match message {
        [_, _, flags, ..] if message.len() >= 12 => (flags & 0x80 != 0).then_some(Drop::Response),
        _ => Some(Drop::Short),
    }
}

/// What was read is what hickory-proto reads, where both take the message for a whole one.
fn check_reading(query: &Query, message: &[u8]) {
    if query.refusal.is_some_and(|code| code != ResponseCode::BAD_VERS) {
        return;
    }
    let question = query.question.expect("a query that is not refused has a question");
    let Ok(theirs) = Hickory::from_vec(message) else { return };
    let [asked] = &theirs.queries[..] else {
        panic!("{} questions", theirs.queries.len())
    };
    assert_eq!(u16::from(asked.query_type()), question.record_type.0);
    assert_eq!(u16::from(asked.query_class()), question.class.0);
    let labels: Vec<Vec<u8>> = asked.name().iter().map(<[u8]>::to_ascii_lowercase).collect();
    let ours: Vec<&[u8]> = heraldns::dns::name::labels(question.name()).collect();
    assert_eq!(labels, ours);
    assert_eq!(theirs.edns.is_some(), query.edns.is_some());
    if let (Some(theirs), Some(ours)) = (theirs.edns, query.edns) {
        assert_eq!((theirs.version(), theirs.flags().dnssec_ok), (ours.version, ours.dnssec_ok));
        assert_eq!(theirs.max_payload().max(512), ours.udp_payload.max(512));
    }
}
