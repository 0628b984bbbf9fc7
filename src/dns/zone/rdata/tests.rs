//! Both directions of the table against octets that another server made, and what the table must refuse.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::dns::name::Name;
use crate::dns::zone::token::Tokenizer;

fn octets_of(record_type: RecordType, text: &str) -> Result<Vec<u8>, String> {
    let mut tokens = Vec::new();
    let entry = Tokenizer::of_piece(text.as_bytes(), 1, false).next_entry(&mut tokens).unwrap();
    let end = entry.map_or((1, 1), |entry| entry.end);
    let origin: Name = "example.".parse().unwrap();
    let mut octets = Vec::new();
    read(record_type, &mut Fields::new(&tokens, end, Some(origin.as_wire())), &mut octets)
        .map(|()| octets)
        .map_err(|refusal| {
            let reason = refusal.into_reason();
            format!("{}: {}; {}", reason.place.1, reason.message, reason.cure)
        })
}

fn text_of(record_type: RecordType, octets: &[u8]) -> String {
    let mut text = String::new();
    write(record_type, octets, &mut text);
    text
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02X}");
        text
    })
}

fn vectors() -> impl Iterator<Item = (RecordType, &'static str, &'static str)> {
    include_str!("vectors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (record, hex) = line.split_once(" => ").unwrap();
            let (record_type, text) = record.split_once(' ').unwrap();
            (RecordType::from_text(record_type.as_bytes()).unwrap(), text, hex)
        })
}

#[test]
fn text_and_octets_of_every_type_agree_with_bind() {
    for (record_type, text, octets) in vectors() {
        let read = octets_of(record_type, text).unwrap_or_else(|why| panic!("{record_type} {text}: {why}"));
        assert_eq!(hex(&read), octets, "{record_type} {text}");
        assert_eq!(text_of(record_type, &read), text, "{record_type}");
    }
}

#[test]
fn every_type_of_the_table_has_a_vector() {
    let unknown_to_bind = [RecordType::CLA, RecordType::IPN];
    for (record_type, _) in RecordType::KNOWN {
        let excused = unknown_to_bind.contains(record_type);
        let has_vector = vectors().any(|(vector, ..)| vector == *record_type);
        assert_eq!(fields(*record_type).is_some() && !excused, has_vector, "{record_type}");
    }
}

/// In the form of RFC 3597 alone: no RFC or other server has another for them, or that of a draft still changes.
#[test]
fn types_without_a_text_form_are_known() {
    let without = |(record_type, _): &&(RecordType, &str)| fields(*record_type).is_none() && !record_type.is_meta();
    let found: Vec<&str> = RecordType::KNOWN.iter().filter(without).map(|(_, text)| *text).collect();
    assert_eq!(found, ["NULL", "UNECE", "ISO", "UINFO", "UID", "GID", "UNSPEC"]);
}

#[test]
fn other_ways_to_write_the_same_data() {
    for (record_type, one, other) in [
        (RecordType::NS, "ns", "ns.example."),
        (RecordType::MX, "10 @", "10 example."),
        (
            RecordType::SOA,
            "ns hostmaster 1 4h 15m 2w 10m",
            "ns hostmaster 1 14400 900 1209600 600",
        ),
        (RecordType::TXT, "plain", "\"plain\""),
        (RecordType::TXT, r"a\ b\065", "\"a bA\""),
        (RecordType::A, r"\# 4 c0 0002 01", "192.0.2.1"),
        (RecordType::DS, "1 ECDSAP256SHA256 2 aa bb cc", "1 13 2 AABBCC"),
        (RecordType::CERT, "PKIX 1 RSASHA256 AA ==", "1 1 8 AA=="),
        (
            RecordType::RRSIG,
            "A 13 3 1d 1774200663 1771608663 1 . AA==",
            "A 13 3 86400 20260322173103 20260220173103 1 . AA==",
        ),
        (RecordType::NSEC, "a TXT A TYPE1 MX", "a A MX TXT"),
        (RecordType::LOC, "0 N 0 E 0", "0 0 0 N 0 0 0.0 E 0.00m 1m 10000m 10m"),
        (
            RecordType::HTTPS,
            r#"1 . port=1 alpn="h2" mandatory=alpn"#,
            "1 . mandatory=alpn alpn=h2 port=1",
        ),
        (RecordType::SVCB, "1 . key3=\"\\001\\187\"", "1 . port=443"),
        (RecordType::NSAP, "0x47.0005.80", "0x47000580"),
        (RecordType::EUI48, "00-00-5E-00-53-2A", "00-00-5e-00-53-2a"),
        (RecordType::NID, "1 0:0:0:1", "1 0000:0000:0000:0001"),
        (RecordType::HIP, "2 AA AA==", "2 aa AA=="),
        (RecordType::WKS, "192.0.2.1 tcp SMTP ftp", "192.0.2.1 6 21 25"),
        (RecordType::ATMA, "47.0005.80", "47000580"),
        (RecordType::ATMA, "+61.2", "+612"),
        (RecordType::A6, "64 2001:db8::1 a", "64 ::1 a.example."),
        (RecordType::DSYNC, "CDS 1 53 .", "CDS notify 53 ."),
        (RecordType::IPN, "1.2", "4294967298"),
        (RecordType::IPN, "18446744073709551615", r"\# 8 FFFFFFFFFFFFFFFF"),
        (RecordType::SVCB, "1 . docpath=dns,a\\\\,b", r"1 . key10=\003dns\003a,b"),
        (RecordType::SVCB, "1 . docpath pvd ohttp", r"\# 15 0001000008000000 0A0000000B0000"),
        (RecordType::SVCB, "1 . tls-supported-groups=29,23", r"1 . key9=\000\029\000\023"),
    ] {
        assert_eq!(octets_of(record_type, one), octets_of(record_type, other), "{record_type} {one}");
        assert!(octets_of(record_type, one).is_ok(), "{record_type} {one}");
    }
}

#[test]
fn what_a_field_cannot_be_is_refused_with_its_place() {
    for (record_type, text, refusal) in [
        (
            RecordType::A,
            "2001:db8::1",
            "1: A address: '2001:db8::1' is not an IPv4 address; an IPv6 address needs type AAAA",
        ),
        (
            RecordType::AAAA,
            "192.0.2.1",
            "1: AAAA address: '192.0.2.1' is not an IPv6 address; an IPv4 address needs type A",
        ),
        (RecordType::MX, "mail", "1: MX preference: 'mail' is not a number from 0 to 65535; "),
        (RecordType::MX, "10", "3: MX target: missing; expected a name"),
        (
            RecordType::NS,
            "a..b",
            "1: NS target: 'a..b': empty label: a dot must follow at least one character; ",
        ),
        (
            RecordType::NS,
            "a b",
            "3: 'b' after the last field of NS; remove it; a text with spaces needs quotes, a comment begins with ';'",
        ),
        (RecordType::DS, "1 13 2", "7: DS digest: missing; expected hex digits"),
        (RecordType::DS, "1 13 2 ABC", "8: DS digest: 'ABC' is not pairs of hex digits; "),
        (
            RecordType::CAA,
            "0 is-sue x",
            "3: CAA tag: 'is-sue' is not a tag; write letters and digits, as in issue, issuewild or iodef",
        ),
        (
            RecordType::A,
            r"\# 4 C00002",
            r"1: '\# 4' is followed by 3 octets; make length and hex digits agree",
        ),
        (
            RecordType::A,
            r"\# 3 C00002",
            "1: these octets are no A data; write the data as A in text form",
        ),
        (
            RecordType::NULL,
            "x",
            r"1: NULL has no text form of its own; write its octets as '\# LENGTH HEX' (RFC 3597)",
        ),
        (
            RecordType::TXT,
            "say\"x",
            "1: TXT text: a quote inside a word; put the whole string in quotes, and write '\\\"' for a quote in it",
        ),
        (
            RecordType::HTTPS,
            "1 . port=1 port=2",
            "12: HTTPS parameters: this key is there twice; write each key once",
        ),
        (
            RecordType::HTTPS,
            "1 . port=x",
            "5: HTTPS parameters: 'port=x' is not a service parameter; write a number from 0 to 65535",
        ),
        (
            RecordType::HTTPS,
            "1 . mandatory=port",
            "5: HTTPS parameters: key port is mandatory and absent; add it, or take it off the list 'mandatory'",
        ),
    ] {
        assert_eq!(octets_of(record_type, text), Err(refusal.to_owned()));
    }
    for (record_type, text) in [
        (RecordType::LOC, "91 N 0 E 0"),
        (RecordType::LOC, "90 0 0.001 N 0 E 0"),
        (RecordType::LOC, "0 60 N 0 E 0"),
        (RecordType::LOC, "N 0 E 0"),
        (RecordType::APL, "1:192.0.2.0/33"),
        (RecordType::APL, "3:x/1"),
        (RecordType::EUI48, "00-00-5e-00-53"),
        (RecordType::NSAP, "47"),
        (RecordType::L64, "1 2001:db8::1"),
        (RecordType::IPSECKEY, "10 0 2 192.0.2.1 AA=="),
        (RecordType::IPSECKEY, "10 4 2 . AA=="),
        (RecordType::RRSIG, "A 13 3 1d 20261323000000 1 1 . AA=="),
        (RecordType::NSEC3, "1 0 0 - W A"),
        (RecordType::DNSKEY, "257 3 13"),
        (RecordType::ISDN, "1 2 3"),
        (RecordType::WKS, "192.0.2.1 tcp no-such-service"),
        (RecordType::NXT, ". TYPE128"),
        (RecordType::NXT, ". TYPE0"),
        (RecordType::A6, "129 a"),
        (RecordType::ATMA, "+"),
        (RecordType::ATMA, "4"),
        (RecordType::DOA, "1 2 3 x"),
        (RecordType::IPN, "1.2.3"),
        (RecordType::IPN, "+1"),
        (RecordType::IPN, "18446744073709551616"),
        (RecordType::SVCB, "1 . pvd=x"),
        (RecordType::SVCB, "1 . docpath=a,,b"),
    ] {
        assert!(octets_of(record_type, text).is_err(), "{record_type} {text}");
    }
    let long = format!("\"{}\"", "x".repeat(256));
    assert!(octets_of(RecordType::TXT, &long).unwrap_err().contains("a string of 256 octets"));
}

#[test]
fn periods_have_units() {
    for (text, seconds) in [("0", 0), ("3600", 3600), ("1h30m", 5400), ("1W2D3H4M5S", 788_645), ("1h30", 3630)] {
        assert_eq!(parse_period(text.as_bytes()), Some(seconds), "{text}");
    }
    for text in ["", "h", "1x", "-1", "1.5h", "4294967296", "99999w", "hh"] {
        assert_eq!(parse_period(text.as_bytes()), None, "{text}");
    }
}

fn any_type() -> impl Strategy<Value = RecordType> {
    proptest::sample::select(RecordType::KNOWN).prop_map(|(record_type, _)| record_type)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever octets a record has, its text reads back to them.
    #[test]
    fn octets_come_back(record_type in any_type(), octets in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = text_of(record_type, &octets);
        if fields(record_type).is_none() || !text.starts_with("\\#") {
            prop_assert_eq!(octets_of(record_type, &text), Ok(octets), "{} {}", record_type, text);
        }
    }

    /// Octets near to good ones: one octet of a vector changed.
    #[test]
    fn changed_octets_come_back(vector in 0_usize..200, at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let Some((record_type, _, hex)) = vectors().nth(vector) else { return Ok(()) };
        let mut octets = Vec::new();
        encoding::read_hex(hex.as_bytes(), &mut octets).unwrap();
        let at = at.index(octets.len());
        octets[at] = octet;
        let text = text_of(record_type, &octets);
        if !text.starts_with("\\#") {
            prop_assert_eq!(octets_of(record_type, &text), Ok(octets), "{} {}", record_type, text);
        }
    }

    #[test]
    fn no_text_panics(record_type in any_type(), text in "[ -~]{0,60}") {
        let mut tokens = Vec::new();
        if let Ok(Some(entry)) = Tokenizer::of_piece(text.as_bytes(), 1, false).next_entry(&mut tokens) {
            let _ = read(record_type, &mut Fields::new(&tokens, entry.end, None), &mut Vec::new());
        }
    }
}
