//! What holds for every answer, whatever was asked: limits, header, question, OPT record, and that others can read it.

use heraldns::dns::answer::{self, Client, Host, MAX_MESSAGE, Query, Reply};
use heraldns::dns::counters::Transport;
use heraldns::dns::zone::ZoneSet;
use hickory_proto::op::{Message as Hickory, MessageType};
use hickory_proto::rr::{Name, RData, Record as HickoryRecord};

use super::wire::{HEADER, Message, OPT, Record};

const QR: u16 = 0x8000;
const OPCODE_AND_RD: u16 = 0x7900;
const TC: u16 = 0x0200;
/// RA, Z, AD and CD: nothing an authoritative server says.
const NEVER: u16 = 0x00f0;
const NSID: u16 = 3;
const EXTENDED_ERROR: u16 = 15;

/// An answer that was checked.
#[derive(Clone, Debug)]
pub struct Answer {
    pub octets: Vec<u8>,
    pub reply: Reply,
    pub message: Message,
}

impl Answer {
    /// What was needed did not fit.
    pub fn is_truncated(&self) -> bool {
        self.message.flags & TC != 0
    }
}

/// The answers over UDP, into a buffer of `room` octets, and over TCP to a query; both are checked.
pub fn answers(zones: &ZoneSet, host: &Host<'_>, query: &Query, message: &[u8], room: usize) -> [Answer; 2] {
    let offered = query.edns.map_or(512, |edns| usize::from(edns.udp_payload));
    let limit = offered.clamp(512, usize::from(host.udp_payload)).min(room);
    let udp = respond(zones, host, (Transport::Udp, limit), query, message, room);
    check(host, query, message, &udp, limit);
    let tcp = respond(zones, host, (Transport::Tcp, MAX_MESSAGE), query, message, MAX_MESSAGE);
    check(host, query, message, &tcp, MAX_MESSAGE);
    if tcp.octets.len() <= limit {
        assert_eq!(udp.octets, tcp.octets, "the transports differ though there is room");
    }
    [udp, tcp]
}

/// The answer into buffers that hold different octets before.
fn respond(zones: &ZoneSet, host: &Host<'_>, (transport, limit): (Transport, usize), query: &Query, message: &[u8], room: usize) -> Answer {
    let [(reply, octets), again] = [0xc0, 0x00].map(|garbage| {
        let mut buffer = vec![garbage; room];
        let reply = answer::respond(zones, host, &Client::from(transport), query, message, &mut buffer);
        assert!(buffer[limit..].iter().all(|octet| *octet == garbage), "written beyond the limit");
        buffer.truncate(reply.octets);
        (reply, buffer)
    });
    assert_eq!(
        (reply, &octets),
        (again.0, &again.1),
        "the answer depends on what was in the buffer"
    );
    Answer {
        reply,
        message: Message::read(&octets),
        octets,
    }
}

fn check(host: &Host<'_>, query: &Query, message: &[u8], answer: &Answer, limit: usize) {
    let (octets, reply, read) = (&answer.octets, answer.reply, &answer.message);
    assert!(octets.len() <= limit, "{} octets, of {limit}", octets.len());
    assert_eq!(octets[..2], message[..2], "id");
    let asked = u16::from_be_bytes([message[2], message[3]]);
    assert_eq!(read.flags & (QR | OPCODE_AND_RD | NEVER), QR | asked & OPCODE_AND_RD, "flags");
    assert_eq!(read.flags & 0x0f, reply.response_code.0 & 0x0f, "response code");
    assert_eq!(answer.is_truncated(), reply.truncated);
    match query.question {
        Some(question) => assert_eq!(read.question, message[HEADER..HEADER + question.name().len() + 4], "question"),
        None => assert!(read.question.is_empty()),
    }
    check_opt(host, query, answer);
    check_others_reading(answer);
}

fn check_opt(host: &Host<'_>, query: &Query, answer: &Answer) {
    let is_opt = |record: &&Record| record.record_type == OPT;
    let mut found = answer.message.sections[2].iter().filter(is_opt);
    assert_eq!(
        answer.message.records().filter(is_opt).count(),
        usize::from(query.edns.is_some()),
        "OPT records"
    );
    let (Some(edns), Some(opt)) = (query.edns, found.next()) else {
        return;
    };
    assert_eq!((&opt.owner[..], opt.class), (&[0][..], host.udp_payload));
    let high = u32::from(answer.reply.response_code.0 >> 4) << 24;
    assert_eq!(opt.ttl, high | if edns.dnssec_ok { 0x8000 } else { 0 });
    let mut options = &opt.rdata[..];
    let mut codes = Vec::new();
    while !options.is_empty() {
        let (code, length) = (
            u16::from_be_bytes([options[0], options[1]]),
            u16::from_be_bytes([options[2], options[3]]),
        );
        let (content, rest) = options[4..].split_at(usize::from(length));
        match code {
            NSID => assert!(host.identity.starts_with(content) && (content.len() >= 128 || content == host.identity)),
            // nobody has looked at the cookie here, and this is no connection
            _ => assert_eq!((code, content.len()), (EXTENDED_ERROR, 2), "an option that was not to be sent"),
        }
        codes.push(code);
        options = rest;
    }
    assert_eq!(codes.contains(&NSID), edns.wants_nsid && edns.version == 0);
    assert!(codes.is_sorted_by(|one, other| one < other), "an option is there twice");
}

/// hickory-proto reads the same sections, names and targets.
fn check_others_reading(answer: &Answer) {
    let message = Hickory::from_vec(&answer.octets).unwrap_or_else(|error| panic!("hickory-proto: {error}: {answer:?}"));
    assert_eq!(
        (message.metadata.id, message.metadata.message_type),
        (answer.message.id, MessageType::Response)
    );
    assert_eq!(message.metadata.truncation, answer.is_truncated());
    assert_eq!(
        message.edns.is_some(),
        answer.message.records().any(|record| record.record_type == OPT)
    );
    assert_eq!(message.queries.is_empty(), answer.message.question.is_empty());
    for (theirs, ours) in [&message.answers, &message.authorities, &message.additionals]
        .into_iter()
        .zip(&answer.message.sections)
    {
        let ours: Vec<&Record> = ours.iter().filter(|record| record.record_type != OPT).collect();
        assert_eq!(theirs.len(), ours.len());
        theirs.iter().zip(ours).for_each(|(theirs, ours)| check_record(theirs, ours));
    }
}

fn check_record(theirs: &HickoryRecord, ours: &Record) {
    assert_eq!(wire(&theirs.name), ours.owner);
    assert_eq!((u16::from(theirs.record_type()), theirs.ttl), (ours.record_type, ours.ttl));
    match &theirs.data {
        RData::NS(server) => assert_eq!(wire(&server.0), ours.rdata),
        RData::CNAME(target) => assert_eq!(wire(&target.0), ours.rdata),
        RData::PTR(target) => assert_eq!(wire(&target.0), ours.rdata),
        RData::MX(mx) => assert_eq!(wire(&mx.exchange), ours.rdata[2..]),
        RData::SRV(srv) => assert_eq!(wire(&srv.target), ours.rdata[6..]),
        _ => {}
    }
}

fn wire(name: &Name) -> Vec<u8> {
    let labels = name
        .iter()
        .flat_map(|label| std::iter::once(label.len() as u8).chain(label.iter().copied()));
    labels.chain(std::iter::once(0)).collect()
}
