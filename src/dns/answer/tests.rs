//! Whole answers: queries as octets in, octets out, read back by another implementation (`hickory-proto`).

use std::fmt::Write;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode as Code};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType as Type};
use proptest::prelude::*;

use super::{Client, Host, Load, MAX_MESSAGE, Query, Reply, fixture, respond};
use crate::base::cost::CostClass;
use crate::dns::counters::Transport;
use crate::dns::zone::ZoneSet;

mod limits;
mod options;

const HOST: Host<'static> = Host {
    load: Load {
        load: 310,
        recent_load: 440,
        class: CostClass::Busy,
    },
    identity: b"ams-1",
    version: b"heraldns 0",
    udp_payload: 1232,
};

const SIGNATURE: &str = "13 2 300 20300101000000 20200101000000 1 example. AAECAwQFBgcICQ==";

fn example() -> ZoneSet {
    let mut text = format!(
        r#"
$TTL 300
@          3600 SOA   ns host 7 7200 3600 1209600 60
           3600 RRSIG SOA {SIGNATURE}
                NS    ns
ns              A     192.0.2.53
www             A     192.0.2.80
                RRSIG A {SIGNATURE}
alias           CNAME www
mail            MX    10 www
                MX    20 mx.other.
                MX    30 www
_sip._tcp       SRV   0 0 5060 www
dname           DNAME www
cut             NS    ns.cut
                NS    ns.sibling
ns.cut          A     192.0.2.54
                AAAA  2001:db8::54
sibling         NS    ns.sibling
ns.sibling      A     192.0.2.55
secure          NS    ns.elsewhere.test.
                DS    1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
                RRSIG DS {SIGNATURE}
"#
    );
    for number in 0..60 {
        writeln!(
            text,
            "many A 192.0.2.{number}\nbig NS ns{number}.big\nns{number}.big A 192.0.2.{number}"
        )
        .unwrap();
        writeln!(text, "far NS ns{number}.far-sibling\nns{number}.far-sibling A 192.0.2.{number}").unwrap();
    }
    text += "far-sibling NS ns.elsewhere.test.\n";
    let other = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.58\nmx 60 AAAA 2001:db8::58\n";
    fixture::zones(&[("example.", &text), ("other.", other)])
}

fn ask(name: &str, record_type: Type) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Asked::query(Name::from_ascii(name).unwrap(), record_type));
    message
}

fn ask_edns(name: &str, record_type: Type, payload: u16, dnssec_ok: bool) -> Message {
    let mut message = ask(name, record_type);
    let mut edns = Edns::new();
    edns.set_max_payload(payload).set_dnssec_ok(dnssec_ok);
    message.edns = Some(edns);
    message
}

fn want_nsid(query: &mut Message) {
    let empty = NSIDPayload::new([]).unwrap();
    let edns = query.edns.get_or_insert_default();
    edns.options_mut().insert(EdnsOption::NSID(empty));
}

fn octets_of(zones: &ZoneSet, transport: Transport, query: &[u8]) -> (Vec<u8>, Reply) {
    octets_for(zones, &HOST, &transport.into(), query)
}

fn octets_for(zones: &ZoneSet, host: &Host<'_>, client: &Client, query: &[u8]) -> (Vec<u8>, Reply) {
    let mut buffer = vec![0xee; MAX_MESSAGE];
    let reply = respond(zones, host, client, &Query::parse(query).unwrap(), query, &mut buffer);
    buffer.truncate(reply.octets);
    (buffer, reply)
}

fn answer_by(transport: Transport, query: &Message) -> Message {
    let (octets, _) = octets_of(&example(), transport, &query.to_vec().unwrap());
    Message::from_vec(&octets).unwrap()
}

fn answer(query: &Message) -> Message {
    answer_by(Transport::Udp, query)
}

fn lines(records: &[Record]) -> Vec<String> {
    records.iter().map(ToString::to_string).collect()
}

#[test]
fn an_answer_repeats_id_question_and_flags() {
    let query = ask("wWw.eXample.", Type::A);
    let answer = answer(&query);
    assert_eq!((answer.metadata.id, answer.metadata.message_type), (4711, MessageType::Response));
    assert!(answer.metadata.authoritative && answer.metadata.recursion_desired && !answer.metadata.recursion_available);
    assert!(answer.queries[0].name().eq_case(&Name::from_ascii("wWw.eXample.").unwrap()), "0x20");
    assert_eq!(lines(&answer.answers), ["wWw.eXample. 300 IN A 192.0.2.80"]);
    assert!(answer.edns.is_none(), "no OPT for a client without EDNS");
}

#[test]
fn negative_answers_have_the_soa_with_the_negative_ttl() {
    for (name, code) in [("nothing.example.", Code::NXDomain), ("www.example.", Code::NoError)] {
        let answer = answer(&ask(name, Type::TXT));
        assert_eq!(answer.metadata.response_code, code);
        assert!(answer.answers.is_empty());
        let soa = "example. 60 IN SOA ns.example. host.example. 7 7200 3600 1209600 60";
        assert_eq!(lines(&answer.authorities), [soa]);
    }
}

#[test]
fn signatures_go_along_when_they_are_wanted() {
    let types = |records: &[Record]| records.iter().map(Record::record_type).collect::<Vec<_>>();
    assert_eq!(
        types(&answer(&ask_edns("www.example.", Type::A, 1232, true)).answers),
        [Type::A, Type::RRSIG]
    );
    assert_eq!(types(&answer(&ask_edns("www.example.", Type::A, 1232, false)).answers), [Type::A]);
    assert_eq!(types(&answer(&ask("www.example.", Type::RRSIG)).answers), [Type::RRSIG]);
    let negative = answer(&ask_edns("nothing.example.", Type::A, 1232, true));
    assert_eq!(types(&negative.authorities), [Type::SOA, Type::RRSIG]);
    assert!(negative.authorities.iter().all(|record| record.ttl == 60));
    let referral = answer(&ask_edns("www.secure.example.", Type::A, 1232, true));
    assert_eq!(types(&referral.authorities), [Type::NS, Type::DS, Type::RRSIG]);
    assert_eq!(types(&answer(&ask("www.secure.example.", Type::A)).authorities), [Type::NS]);
}

#[test]
fn proofs_come_after_the_soa_with_their_signatures() {
    let nsec = include_str!("../../../tests/data/denial/nsec.zone");
    let ask_signed = |name: &str, record_type, transport, dnssec_ok| {
        let query = ask_edns(name, record_type, 1232, dnssec_ok).to_vec().unwrap();
        let zones = fixture::zones(&[("example.", nsec)]);
        Message::from_vec(&octets_of(&zones, transport, &query).0).unwrap()
    };
    let shown = |records: &[Record]| -> Vec<String> {
        let shown = records
            .iter()
            .map(|record| format!("{} {} {}", record.name, record.ttl, record.record_type()));
        shown.collect()
    };
    let soa = ["example. 300 SOA", "example. 300 RRSIG"];
    let nothing = ask_signed("nothing.example.", Type::A, Transport::Udp, true);
    let proof = [
        "y.mixed.example. 300 NSEC",
        "y.mixed.example. 300 RRSIG",
        "example. 300 NSEC",
        "example. 300 RRSIG",
    ];
    assert_eq!(shown(&nothing.authorities), [&soa[..], &proof].concat());
    let wild = ask_signed("x.wild.example.", Type::A, Transport::Udp, true);
    let proof = ["*.twice.wild.example. 300 NSEC", "*.twice.wild.example. 300 RRSIG"];
    assert_eq!(
        (shown(&wild.authorities), wild.answers.len()),
        (proof.map(str::to_owned).to_vec(), 2)
    );
    let cut = ask_signed("cut.example.", Type::A, Transport::Udp, true);
    let referral = ["cut.example. 3600 NS", "cut.example. 300 NSEC", "cut.example. 300 RRSIG"];
    assert_eq!(
        (shown(&cut.authorities), cut.additionals.len()),
        (referral.map(str::to_owned).to_vec(), 1)
    );
    for name in ["nothing.example.", "x.wild.example.", "cut.example."] {
        let plain = ask_signed(name, Type::A, Transport::Udp, false);
        let mut records = plain.answers.iter().chain(&plain.authorities);
        assert!(
            records.all(|record| !matches!(record.record_type(), Type::RRSIG | Type::NSEC)),
            "{name}"
        );
    }
}

#[test]
fn an_answer_without_room_for_its_proof_is_truncated() {
    let zones = fixture::zones(&[("example.", include_str!("../../../tests/data/denial/nsec3.zone"))]);
    let query = ask_edns("nothing.example.", Type::A, 512, true).to_vec().unwrap();
    let cut = Message::from_vec(&octets_of(&zones, Transport::Udp, &query).0).unwrap();
    assert!(cut.metadata.truncation && cut.metadata.response_code == Code::NXDomain);
    assert_eq!(cut.authorities.len() % 2, 0, "no record without its signature");
    let whole = Message::from_vec(&octets_of(&zones, Transport::Tcp, &query).0).unwrap();
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.authorities.len(), 8);
}

#[test]
fn a_referral_has_glue_and_no_authority() {
    let answer = answer(&ask("www.cut.example.", Type::A));
    assert!(!answer.metadata.authoritative && answer.answers.is_empty());
    let servers = [
        "cut.example. 300 IN NS ns.cut.example.",
        "cut.example. 300 IN NS ns.sibling.example.",
    ];
    assert_eq!(lines(&answer.authorities), servers);
    let glue = [
        "ns.cut.example. 300 IN A 192.0.2.54",
        "ns.cut.example. 300 IN AAAA 2001:db8::54",
        "ns.sibling.example. 300 IN A 192.0.2.55",
    ];
    assert_eq!(lines(&answer.additionals), glue);
}

#[test]
fn a_child_served_here_hides_no_glue_of_its_parent() {
    let text = "$TTL 60\n@ SOA . . 1 2 3 4 5\n@ NS .\none NS ns.one\nns.one A 192.0.2.1\ntwo NS ns.one\n";
    let child = "@ 60 SOA . . 1 2 3 4 5\n@ 60 NS .\n";
    let zones = fixture::zones(&[("example.", text), ("one.example.", child)]);
    let (octets, _) = octets_of(&zones, Transport::Udp, &ask("two.example.", Type::A).to_vec().unwrap());
    let answer = Message::from_vec(&octets).unwrap();
    assert_eq!(lines(&answer.additionals), ["ns.one.example. 60 IN A 192.0.2.1"]);
}

#[test]
fn addresses_of_targets_are_added_once_from_all_zones() {
    let answers = answer(&ask("mail.example.", Type::MX));
    let expected = ["www.example. 300 IN A 192.0.2.80", "mx.other. 60 IN AAAA 2001:db8::58"];
    assert_eq!(lines(&answers.additionals), expected);
    let answers = answer(&ask("_sip._tcp.example.", Type::SRV));
    assert_eq!(lines(&answers.additionals), ["www.example. 300 IN A 192.0.2.80"]);
    let answers = answer(&ask("example.", Type::NS));
    assert_eq!(lines(&answers.additionals), ["ns.example. 300 IN A 192.0.2.53"]);
}

#[test]
fn a_dname_comes_with_its_alias() {
    let answer = answer(&ask("a.dname.example.", Type::A));
    let records: Vec<String> = answer
        .answers
        .iter()
        .map(|record| format!("{} {}", record.name, record.record_type()))
        .collect();
    assert_eq!(records, ["dname.example. DNAME", "a.dname.example. CNAME"]);
    assert_eq!(lines(&answer.answers)[1], "a.dname.example. 300 IN CNAME a.www.example.");
    assert_eq!(answer.metadata.response_code, Code::NXDomain);
}

#[test]
fn edns_is_answered_in_kind() {
    let mut query = ask_edns("www.example.", Type::A, 4096, true);
    want_nsid(&mut query);
    let edns = answer(&query).edns.unwrap();
    assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (1232, 0, true));
    let Some(EdnsOption::NSID(identity)) = edns.option(EdnsCode::NSID) else {
        panic!("no NSID in {edns:?}");
    };
    assert_eq!(identity.as_ref(), b"ams-1");
    let plain = answer(&ask_edns("www.example.", Type::A, 4096, false)).edns.unwrap();
    assert!(plain.option(EdnsCode::NSID).is_none() && !plain.flags().dnssec_ok);
}

#[test]
fn other_edns_versions_are_told_which_one_there_is() {
    let mut query = ask_edns("www.example.", Type::A, 4096, false);
    query.edns.as_mut().unwrap().set_version(1);
    let (octets, reply) = octets_of(&example(), Transport::Udp, &query.to_vec().unwrap());
    let answer = Message::from_vec(&octets).unwrap();
    assert_eq!(reply.response_code.0, 16);
    assert_eq!(answer.edns.as_ref().map(Edns::version), Some(0));
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    assert!(answer.answers.is_empty());
}

#[test]
fn classes() {
    let of_class = |class, name, record_type| {
        let mut query = ask(name, record_type);
        query.queries[0].set_query_class(class);
        answer(&query)
    };
    assert_eq!(
        lines(&of_class(DNSClass::ANY, "www.example.", Type::A).answers),
        ["www.example. 300 IN A 192.0.2.80"]
    );
    assert!(!of_class(DNSClass::ANY, "www.example.", Type::A).metadata.authoritative);
    for class in [DNSClass::HS, DNSClass::NONE] {
        assert_eq!(of_class(class, "www.example.", Type::A).metadata.response_code, Code::Refused);
    }
    assert_eq!(
        of_class(DNSClass::CH, "www.example.", Type::TXT).metadata.response_code,
        Code::Refused
    );
    assert_eq!(of_class(DNSClass::CH, "id.server.", Type::A).metadata.response_code, Code::Refused);
    for (name, text) in [
        ("id.server.", "ams-1"),
        ("HOSTNAME.bind.", "ams-1"),
        ("version.bind.", "heraldns 0"),
        ("version.server.", "heraldns 0"),
        ("Load.heraldns.", "load=310 recent=440 class=busy"),
    ] {
        let answer = of_class(DNSClass::CH, name, Type::TXT);
        assert_eq!((answer.answers.len(), answer.answers[0].dns_class), (1, DNSClass::CH), "{name}");
        assert_eq!(answer.answers[0].data.to_string(), text);
    }
}

#[test]
fn what_does_not_fit_is_left_out_whole_and_said() {
    let (cut, whole) = (
        answer(&ask("many.example.", Type::A)),
        answer_by(Transport::Tcp, &ask("many.example.", Type::A)),
    );
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    assert!(!whole.metadata.truncation && whole.answers.len() == 60);
    let large = answer(&ask_edns("many.example.", Type::A, 1232, false));
    assert!(!large.metadata.truncation && large.answers.len() == 60, "60 x 16 octets fit 1232");
}

#[test]
fn a_referral_without_room_for_its_own_glue_is_truncated() {
    let cut = answer(&ask_edns("www.big.example.", Type::A, 1232, false));
    assert!(cut.metadata.truncation && cut.edns.is_some());
    let whole = answer_by(Transport::Tcp, &ask("www.big.example.", Type::A));
    assert!(!whole.metadata.truncation);
    assert_eq!((whole.authorities.len(), whole.additionals.len()), (60, 60));
}

#[test]
fn a_courtesy_without_room_is_no_truncation() {
    let answer = answer(&ask_edns("www.far.example.", Type::A, 1232, false));
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.authorities.len(), 60);
    assert!(answer.additionals.len() < 60);
}

#[test]
fn malformed_queries_are_answered_with_what_could_be_read() {
    let mut octets = ask_edns("www.example.", Type::A, 1232, false).to_vec().unwrap();
    octets[11] = 2; // and there is one record only
    let answer = Message::from_vec(&octets_of(&example(), Transport::Udp, &octets).0).unwrap();
    assert_eq!((answer.metadata.response_code, answer.metadata.id), (Code::FormErr, 4711));
    assert!(answer.queries.len() == 1 && answer.edns.is_some());
    let header = &octets[..12];
    let (short, reply) = octets_of(&example(), Transport::Udp, header);
    assert_eq!((short.len(), reply.response_code.0), (12, 1));
    assert_eq!(short[2..12], [0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn other_opcodes_are_not_implemented() {
    for opcode in [OpCode::Status, OpCode::Notify, OpCode::Update] {
        let mut query = ask("example.", Type::SOA);
        query.metadata.op_code = opcode;
        let answer = answer(&query);
        assert_eq!((answer.metadata.response_code, answer.metadata.op_code), (Code::NotImp, opcode));
    }
}

#[test]
fn the_longest_question_and_identity_fit_the_smallest_datagram() {
    let label = "a".repeat(61);
    let name = format!("{label}.{label}.{label}.{label}.aaaaa.");
    let mut query = ask_edns(&name, Type::A, 512, true);
    want_nsid(&mut query);
    let query = query.to_vec().unwrap();
    let host = Host {
        identity: &[b'i'; 300],
        ..HOST
    };
    let mut buffer = [0; 512];
    let reply = respond(
        &example(),
        &host,
        &Transport::Udp.into(),
        &Query::parse(&query).unwrap(),
        &query,
        &mut buffer,
    );
    let answer = Message::from_vec(&buffer[..reply.octets]).unwrap();
    assert_eq!((answer.metadata.response_code, reply.truncated), (Code::Refused, false));
    assert!(answer.edns.is_some());
}

/// Labels that meet the names of the zone often.
fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "www", "WWW", "alias", "mail", "dname", "cut", "ns", "sibling", "big", "far", "many", "secure", "_sip", "_tcp", "*", "x",
        "example", "other",
    ])
}

proptest! {
    #[test]
    fn every_answer_can_be_read_and_keeps_its_limit(
        labels in prop::collection::vec(label(), 0..5),
        record_type in prop::sample::select(vec![Type::A, Type::NS, Type::MX, Type::DS, Type::ANY, Type::CNAME, Type::SOA, Type::RRSIG]),
        payload: u16,
        edns: bool,
        dnssec_ok: bool,
    ) {
        let name = labels.iter().fold(String::new(), |name, label| format!("{name}{label}.")) + "example.";
        let query = if edns { ask_edns(&name, record_type, payload, dnssec_ok) } else { ask(&name, record_type) };
        let query = query.to_vec().unwrap();
        let zones = example();
        let (by_udp, reply) = octets_of(&zones, Transport::Udp, &query);
        let limit = if edns { usize::from(payload.clamp(512, 1232)) } else { 512 };
        prop_assert!(by_udp.len() <= limit);
        let parsed = Message::from_vec(&by_udp).unwrap();
        prop_assert_eq!(parsed.metadata.truncation, reply.truncated);
        prop_assert_eq!(parsed.edns.is_some(), edns);
        let (by_tcp, reply) = octets_of(&zones, Transport::Tcp, &query);
        prop_assert!(!reply.truncated && Message::from_vec(&by_tcp).is_ok());
        if by_tcp.len() <= limit {
            prop_assert_eq!(by_udp, by_tcp);
        }
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 12..400), transport in prop::sample::select(vec![Transport::Udp, Transport::Tcp])) {
        if let Ok(query) = Query::parse(&octets) {
            let mut buffer = [0; 1232];
            let reply = respond(&ZoneSet::default(), &HOST, &transport.into(), &query, &octets, &mut buffer);
            prop_assert!(reply.octets >= 12 && buffer[2] & 0x80 != 0);
        }
    }
}
