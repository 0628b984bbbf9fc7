//! The size of answers: at every limit there is, and with the type that once amplified most.

use super::*;

/// Questions whose answers have every section, with and without courtesies, required glue, and signatures.
const QUESTIONS: [(&str, Type); 8] = [
    ("www.example.", Type::A),
    ("many.example.", Type::A),
    ("mail.example.", Type::MX),
    ("nothing.example.", Type::A),
    ("a.dname.example.", Type::A),
    ("x.secure.example.", Type::A),
    ("x.big.example.", Type::A),
    ("x.far.example.", Type::A),
];

fn host(udp_payload: u16) -> Host<'static> {
    Host { udp_payload, ..HOST }
}

#[test]
fn at_every_limit_an_answer_is_whole_or_says_so() {
    let zones = example();
    let (udp, tcp) = (Client::from(Transport::Udp), Client::from(Transport::Tcp));
    for (name, record_type) in QUESTIONS {
        for dnssec_ok in [false, true] {
            let asked = |payload| ask_edns(name, record_type, payload, dnssec_ok).to_vec().unwrap();
            let whole = Message::from_vec(&octets_for(&zones, &host(4096), &tcp, &asked(4096)).0).unwrap();
            let length = octets_for(&zones, &host(4096), &tcp, &asked(4096)).0.len();
            let required = whole.answers.len() + whole.authorities.len();
            let mut last = 0;
            for limit in 512..=4096_u16 {
                let (octets, reply) = octets_for(&zones, &host(4096), &udp, &asked(limit));
                assert!(octets.len() <= usize::from(limit), "{name} at {limit}");
                assert!(octets.len() >= last, "{name} at {limit}: more room made it shorter");
                last = if reply.truncated { 0 } else { octets.len() };
                if octets.len() == length {
                    assert!(!reply.truncated && usize::from(limit) >= length, "{name} at {limit}");
                    continue;
                }
                assert!(usize::from(limit) < length, "{name} at {limit}: it would have fitted");
                let cut = Message::from_vec(&octets).unwrap();
                let left_out =
                    cut.answers.len() + cut.authorities.len() < required || (name == "x.big.example." && cut.additionals.len() < 60);
                assert_eq!(cut.metadata.truncation, left_out, "{name} at {limit}");
                assert!(cut.edns.is_some(), "{name} at {limit}");
            }
            // The server's own limit counts as the client's.
            for limit in [512, 513, 1231, 1232, 4095] {
                let by_server = octets_for(&zones, &host(limit), &udp, &asked(4096)).0;
                assert!(by_server.len() <= usize::from(limit));
                let by_client = octets_for(&zones, &host(4096), &udp, &asked(limit)).0;
                assert_eq!(by_server.len(), by_client.len(), "{name} at {limit}");
            }
        }
    }
}

#[test]
fn without_edns_the_limit_is_512() {
    let zones = fixture::zones(&[("example.", &records_of(512))]);
    let query = ask("full.example.", Type::TXT).to_vec().unwrap();
    let (octets, reply) = octets_of(&zones, Transport::Udp, &query);
    assert_eq!((octets.len(), reply.truncated), (512, false));
    let zones = fixture::zones(&[("example.", &records_of(513))]);
    let (octets, reply) = octets_of(&zones, Transport::Udp, &query);
    assert!(octets.len() < 512 && reply.truncated);
    assert_eq!(octets_of(&zones, Transport::Tcp, &query).0.len(), 513);
}

#[test]
fn over_tcp_the_limit_is_65535() {
    let query = ask("full.example.", Type::TXT).to_vec().unwrap();
    let whole = |length| {
        let zones = fixture::zones(&[("example.", &records_of(length))]);
        octets_of(&zones, Transport::Tcp, &query)
    };
    let (octets, reply) = whole(MAX_MESSAGE);
    assert_eq!((octets.len(), reply.truncated), (MAX_MESSAGE, false));
    let (octets, reply) = whole(MAX_MESSAGE + 1);
    assert_eq!((octets.len(), reply.truncated), (12 + 14 + 4, true), "header and question are left");
}

/// A zone in which the TXT records of `full` make an answer without EDNS of exactly so many octets.
fn records_of(octets: usize) -> String {
    let mut text = "$TTL 60\n@ SOA . . 1 2 3 4 5\n@ NS .\n".to_owned();
    // Header, question, then records with a pointer as owner; a string of n characters has n + 1 octets.
    let mut left = octets - 12 - (14 + 4);
    let mut number = 0;
    while left > 0 {
        let of_this = if left <= 240 { left } else { left.min(480) / 2 };
        let string = format!("{number:04}");
        let padding = "x".repeat(of_this - 12 - 1 - string.len());
        writeln!(text, "full TXT {string}{padding}").unwrap();
        left -= of_this;
        number += 1;
    }
    text
}

#[test]
fn any_is_never_a_longer_answer_than_one_type_is() {
    let nsec = include_str!("../../../../tests/data/denial/nsec.zone");
    let signed = fixture::zones(&[("example.", nsec)]);
    let names = [
        "example.",
        "www.example.",
        "mail.example.",
        "alias.example.",
        "many.example.",
        "a.dname.example.",
        "dname.example.",
        "x.cut.example.",
        "cut.example.",
        "big.example.",
        "x.wild.example.",
        "wild.example.",
        "nothing.example.",
        "secure.example.",
        "_sip._tcp.example.",
        "elsewhere.test.",
    ];
    let types = [
        Type::A,
        Type::AAAA,
        Type::CNAME,
        Type::DNAME,
        Type::NS,
        Type::MX,
        Type::SOA,
        Type::SRV,
        Type::TXT,
        Type::DS,
        Type::DNSKEY,
        Type::NSEC,
        Type::PTR,
    ];
    for zones in [example(), signed] {
        for (name, transport) in names.iter().flat_map(|name| [(name, Transport::Udp), (name, Transport::Tcp)]) {
            for dnssec_ok in [false, true] {
                let answer = |record_type| {
                    let query = ask_edns(name, record_type, 4096, dnssec_ok).to_vec().unwrap();
                    octets_for(&zones, &host(4096), &transport.into(), &query).0
                };
                let any = answer(Type::ANY);
                let longest = types.iter().map(|record_type| answer(*record_type).len()).max().unwrap();
                assert!(any.len() <= longest, "{name} {transport:?}: {} > {longest}", any.len());
                let any = Message::from_vec(&any).unwrap();
                let mut sets: Vec<_> = any
                    .answers
                    .iter()
                    .map(|record| (record.name.clone(), record.record_type()))
                    .collect();
                sets.retain(|(_, record_type)| !matches!(record_type, Type::RRSIG | Type::DNAME | Type::CNAME));
                sets.dedup();
                assert!(sets.len() <= 1, "{name}: {sets:?}");
            }
        }
    }
}
