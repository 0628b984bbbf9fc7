//! Messages that no resolver sends on a good day, over UDP and TCP: other opcodes, classes and types, wrong counts, odd EDNS.
//!
//! Of each answer only the shape is compared: whether there is one, response code, flags, counts, EDNS. Ours is that of the
//! majority, or the table below says why not.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::{Opcode, RecordType, ResponseCode};

use crate::servers::{Program, Server, ZoneFile};

const ZONE: &str = "@ 3600 SOA ns hostmaster 1 7200 900 1209600 600\n@ 3600 NS ns\nns 3600 A 192.0.2.53\nwww 3600 A 192.0.2.1\n";
const APEX: &str = "example.com.";
/// An answer that has not come after so long does not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ids of the odd message, and of the plain one sent after it, whose answer says that the odd one has none.
const ODD: u16 = 0x1234;
const PLAIN: u16 = 0x5678;

/// Where our shape is not that of the majority: the beginning of the case's name, and why.
const KNOWN: [(&str, &str); 9] = [
    (
        "opcode",
        "NOTIMP with the question, as Knot; NSD and BIND leave it out. NOTIFY and UPDATE are not implemented (RFC 1035 section 4.1.1)",
    ),
    ("NOTIFY", "not implemented: RFC 1035 section 4.1.1, response code 4"),
    ("UPDATE", "not implemented: RFC 2136 section 2.2, NOTIMP"),
    (
        "no question, with EDNS",
        "RFC 6891 section 7: an answer without EDNS says that the message could not be read",
    ),
    ("no question, with another version", "RFC 6891 section 7: as above"),
    (
        "the first 1",
        "RFC 1035 section 4.1.1: FORMERR, as over UDP; NSD and Knot close the connection",
    ),
    (
        "AXFR of the apex by UDP",
        "RFC 5936 section 4.2 leaves it open; refused as over TCP, since an answer does not depend on the transport",
    ),
    ("AXFR of a name by UDP", "RFC 5936 section 2.2.1: NOTAUTH, as over TCP"),
    ("AXFR elsewhere by UDP", "RFC 5936 section 2.2.1: NOTAUTH, as over TCP"),
];

/// Sends every message to all servers.
pub(crate) fn compare() -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("heraldns-differential-").tempdir().unwrap();
    let file = folder.path().join("example.com.zone");
    fs::write(&file, ZONE).unwrap();
    let zone = ZoneFile {
        apex: APEX.to_owned(),
        file,
        original: None,
    };
    let mut servers = Program::ALL.map(|program| Server::start(program, std::slice::from_ref(&zone), folder.path()));
    servers.iter_mut().for_each(Server::wait);
    let (mut failures, mut known) = (Vec::new(), 0);
    let cases = cases();
    for (case, message) in &cases {
        for (transport, ask) in [("UDP", ask_by_udp as fn(SocketAddr, &[u8]) -> String), ("TCP", ask_by_tcp)] {
            let name = format!("{case} by {transport}");
            let shapes: BTreeMap<Program, String> = servers
                .iter()
                .map(|server| (server.program, ask(server.address, message)))
                .collect();
            let votes = |shape: &String| Program::PEERS.iter().filter(|peer| shapes[peer] == *shape).count();
            let most = Program::PEERS.iter().map(|peer| votes(&shapes[peer])).max().unwrap_or(0);
            let own = votes(&shapes[&Program::Heraldns]);
            let reason = KNOWN.iter().find(|(start, _)| name.starts_with(start));
            match (own > 0 && own >= most, reason) {
                (true, _) => {}
                (false, Some(_)) => known += 1,
                (false, None) => failures.push(format!("{name}: {shapes:?}")),
            }
        }
    }
    println!(
        "figure: {} odd messages over UDP and TCP, {} differences, {known} known differences",
        cases.len(),
        failures.len()
    );
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

/// The parts of a message.
#[derive(Clone, Default)]
struct Message {
    flags: u16,
    questions: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    authorities: Vec<Vec<u8>>,
    additionals: Vec<Vec<u8>>,
    /// Instead of the true counts.
    counts: Option<[u16; 4]>,
}

impl Message {
    fn octets(&self) -> Vec<u8> {
        let sections = [&self.questions, &self.answers, &self.authorities, &self.additionals];
        let counts = self.counts.unwrap_or_else(|| sections.map(|section| section.len() as u16));
        let mut octets = ODD.to_be_bytes().to_vec();
        octets.extend(self.flags.to_be_bytes());
        counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        sections.iter().for_each(|section| octets.extend(section.concat()));
        octets
    }
}

fn question(name: &str, record_type: RecordType, class: u16) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    [name.as_wire(), &record_type.0.to_be_bytes(), &class.to_be_bytes()].concat()
}

fn record(owner: &[u8], record_type: RecordType, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let length = (rdata.len() as u16).to_be_bytes();
    [
        owner,
        &record_type.0.to_be_bytes(),
        &class.to_be_bytes(),
        &ttl.to_be_bytes(),
        &length,
        rdata,
    ]
    .concat()
}

fn opt(payload: u16, ttl: u32, options: &[u8]) -> Vec<u8> {
    record(&[0], RecordType::OPT, payload, ttl, options)
}

fn asking(name: &str, record_type: RecordType, class: u16) -> Message {
    Message {
        questions: vec![question(name, record_type, class)],
        ..Message::default()
    }
}

fn usual() -> Message {
    asking("www.example.com.", RecordType::A, 1)
}

fn usual_with(additionals: &[Vec<u8>]) -> Message {
    Message {
        additionals: additionals.to_vec(),
        ..usual()
    }
}

/// All messages, by name.
fn cases() -> Vec<(String, Vec<u8>)> {
    let mut cases = Vec::new();
    headers(&mut cases);
    questions(&mut cases);
    sections(&mut cases);
    edns(&mut cases);
    cases
}

type Cases = Vec<(String, Vec<u8>)>;

fn add(cases: &mut Cases, name: impl Into<String>, message: &Message) {
    cases.push((name.into(), message.octets()));
}

fn headers(cases: &mut Cases) {
    for (name, flags) in [
        ("nothing odd", 0),
        ("RD", 0x0100),
        ("AD", 0x0020),
        ("CD", 0x0010),
        ("TC in a query", 0x0200),
        ("AA in a query", 0x0400),
        ("RA in a query", 0x0080),
        ("the reserved bit", 0x0040),
        ("a response code in a query", 5),
        ("a response", 0x8000),
    ] {
        add(cases, name, &Message { flags, ..usual() });
    }
    for opcode in [1_u16, 2, 3, 6, 7, 15]
        .into_iter()
        .chain([u16::from(Opcode::NOTIFY.0), u16::from(Opcode::UPDATE.0)])
    {
        add(
            cases,
            format!("opcode {opcode}"),
            &Message {
                flags: opcode << 11,
                ..usual()
            },
        );
    }
    for (name, zone) in [("NOTIFY", APEX), ("NOTIFY of another zone", "example.org.")] {
        let flags = u16::from(Opcode::NOTIFY.0) << 11 | 0x0400;
        add(
            cases,
            name,
            &Message {
                flags,
                ..asking(zone, RecordType::SOA, 1)
            },
        );
    }
    for (name, zone) in [("UPDATE", APEX), ("UPDATE of another zone", "example.org.")] {
        let flags = u16::from(Opcode::UPDATE.0) << 11;
        add(
            cases,
            name,
            &Message {
                flags,
                ..asking(zone, RecordType::SOA, 1)
            },
        );
    }
    let whole = usual().octets();
    for length in [0, 1, 11, 12, 13, whole.len() - 1] {
        if length >= 2 {
            cases.push((format!("the first {length} octets"), whole[..length].to_vec()));
        }
    }
    cases.push(("octets after the message".to_owned(), [whole, b"more".to_vec()].concat()));
}

fn questions(cases: &mut Cases) {
    let no_question = Message::default();
    add(cases, "no question", &no_question);
    add(
        cases,
        "no question, with EDNS",
        &Message {
            additionals: vec![opt(1232, 0, &[])],
            ..no_question.clone()
        },
    );
    add(
        cases,
        "no question, with another version",
        &Message {
            additionals: vec![opt(1232, 1 << 16, &[])],
            ..no_question
        },
    );
    for (name, second) in [("a question twice", "www.example.com."), ("two questions", "ns.example.com.")] {
        let mut message = usual();
        message.questions.push(question(second, RecordType::A, 1));
        add(cases, name, &message);
    }
    let raw = |octets: &[u8]| Message {
        questions: vec![octets.to_vec()],
        ..Message::default()
    };
    add(cases, "a compressed question", &raw(b"\xc0\x0c\0\x01\0\x01"));
    add(cases, "a question compressed to the header", &raw(b"\x03www\xc0\0\0\x01\0\x01"));
    add(cases, "label type 01", &raw(b"\x41a\0\0\x01\0\x01"));
    add(cases, "label type 10", &raw(b"\x80a\0\0\x01\0\x01"));
    let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
    add(cases, "a name of 257 octets", &raw(&[long.as_slice(), b"\0\0\x01\0\x01"].concat()));
    for class in [0_u16, 2, 3, 4, 254, 255, 65_280] {
        add(cases, format!("class {class}"), &asking("www.example.com.", RecordType::A, class));
        add(cases, format!("class {class} of the root"), &asking(".", RecordType::A, class));
    }
    for (name, record_type) in [
        ("type 0", RecordType(0)),
        ("OPT", RecordType::OPT),
        ("NXNAME", RecordType::NXNAME),
        ("TKEY", RecordType::TKEY),
        ("TSIG", RecordType::TSIG),
        ("IXFR", RecordType::IXFR),
        ("AXFR", RecordType::AXFR),
        ("MAILB", RecordType::MAILB),
        ("MAILA", RecordType::MAILA),
        ("type 65535", RecordType(65_535)),
    ] {
        add(cases, format!("{name} of the apex"), &asking(APEX, record_type, 1));
        add(cases, format!("{name} of a name"), &asking("www.example.com.", record_type, 1));
        add(cases, format!("{name} elsewhere"), &asking("example.org.", record_type, 1));
    }
    add(cases, "a name of no zone", &asking("www.example.org.", RecordType::A, 1));
    add(cases, "the root", &asking(".", RecordType::NS, 1));
    for name in ["version.bind.", "id.server.", "hostname.bind.", "nothing.bind.", "VERSION.bind."] {
        let flavour = if matches!(name, "version.bind." | "VERSION.bind.") {
            RecordType::TXT
        } else {
            RecordType::A
        };
        add(cases, format!("CHAOS {flavour} {name}"), &asking(name, flavour, 3));
    }
}

fn sections(cases: &mut Cases) {
    let apex: Name = APEX.parse().unwrap();
    let soa = record(apex.as_wire(), RecordType::SOA, 1, 0, &[0; 22]);
    add(
        cases,
        "an answer in a query",
        &Message {
            answers: vec![soa.clone()],
            ..usual()
        },
    );
    add(
        cases,
        "an authority in a query",
        &Message {
            authorities: vec![soa.clone()],
            ..usual()
        },
    );
    add(
        cases,
        "an additional in a query",
        &Message {
            additionals: vec![soa],
            ..usual()
        },
    );
    for (name, counts) in [
        ("a question that is not there", [2, 0, 0, 0]),
        ("an answer that is not there", [1, 1, 0, 0]),
        ("an authority that is not there", [1, 0, 1, 0]),
        ("an additional that is not there", [1, 0, 0, 1]),
        ("most counts", [1, 65_535, 65_535, 65_535]),
    ] {
        add(
            cases,
            name,
            &Message {
                counts: Some(counts),
                ..usual()
            },
        );
    }
}

fn edns(cases: &mut Cases) {
    for (name, payload, ttl) in [
        ("EDNS", 1232, 0),
        ("DO", 1232, 0x8000),
        ("EDNS version 1", 1232, 1 << 16),
        ("EDNS version 255", 1232, 255 << 16),
        ("reserved flags of EDNS", 1232, 0x7fff),
        ("an extended response code in a query", 1232, 1 << 24),
        ("a payload of 0", 0, 0),
        ("a payload of 511", 511, 0),
        ("a payload of 65535", 65_535, 0),
    ] {
        add(cases, name, &usual_with(&[opt(payload, ttl, &[])]));
    }
    for (name, options) in [
        ("NSID", b"\0\x03\0\0".as_slice()),
        ("NSID with data", b"\0\x03\0\x02ab"),
        ("an unknown option", b"\xff\xde\0\x02ab"),
        ("two unknown options", b"\xff\xde\0\x02ab\xff\xdf\0\0"),
        ("an option beyond its end", b"\0\x03\0\x05a"),
        ("half an option", b"\0\x03"),
        ("a client's cookie", b"\0\x0a\0\x08abcdefgh"),
        ("a client's subnet", b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02"),
        ("padding", b"\0\x0c\0\x04\0\0\0\0"),
        ("keepalive", b"\0\x0b\0\0"),
        ("key tags", b"\0\x0e\0\x04\0\x01\0\x02"),
    ] {
        add(cases, name, &usual_with(&[opt(1232, 0, options)]));
    }
    add(cases, "EDNS twice", &usual_with(&[opt(1232, 0, &[]), opt(1232, 0, &[])]));
    add(
        cases,
        "EDNS as an answer",
        &Message {
            answers: vec![opt(1232, 0, &[])],
            ..usual()
        },
    );
    add(
        cases,
        "EDNS as an authority",
        &Message {
            authorities: vec![opt(1232, 0, &[])],
            ..usual()
        },
    );
    add(
        cases,
        "EDNS with an owner",
        &usual_with(&[record(b"\x01a\0", RecordType::OPT, 1232, 0, &[])]),
    );
    add(
        cases,
        "EDNS shorter than it says",
        &usual_with(&[b"\0\0\x29\x04\xd0\0\0\0\0\0\x32".to_vec()]),
    );
    let other_version = vec![opt(1232, 1 << 16, &[])];
    let elsewhere = Message {
        additionals: other_version.clone(),
        ..asking("example.org.", RecordType::A, 1)
    };
    add(cases, "EDNS version 1 elsewhere", &elsewhere);
    let flags = u16::from(Opcode::UPDATE.0) << 11;
    add(
        cases,
        "EDNS version 1 of another opcode",
        &Message {
            flags,
            additionals: other_version,
            ..usual()
        },
    );
}

/// A plain question, which every server answers.
fn plain() -> Vec<u8> {
    let mut octets = usual().octets();
    octets[..2].copy_from_slice(&PLAIN.to_be_bytes());
    octets
}

/// The shape of the answer by UDP.
fn ask_by_udp(server: SocketAddr, message: &[u8]) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    let mut buffer = vec![0; 65_535];
    let mut shown = None;
    socket.send(message).unwrap();
    socket.send(&plain()).unwrap();
    loop {
        let octets = socket
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("{server} does not answer any more: {error}"));
        if buffer[..2] == PLAIN.to_be_bytes() {
            return shown.unwrap_or_else(|| "nothing".to_owned());
        }
        shown = Some(shape(&buffer[..octets]));
    }
}

/// The shape of the answer by TCP.
fn ask_by_tcp(server: SocketAddr, message: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for message in [message, &plain()] {
        let framed = [&(message.len() as u16).to_be_bytes(), message].concat();
        // one that closes the connection is seen below
        let _ = stream.write_all(&framed);
    }
    let mut shown = None;
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return shown.unwrap_or_else(|| "nothing".to_owned());
        }
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        if answer[..2] == PLAIN.to_be_bytes() {
            return shown.unwrap_or_else(|| "nothing".to_owned());
        }
        shown = Some(shape(&answer));
    }
}

/// Response code, flags, counts and EDNS.
fn shape(answer: &[u8]) -> String {
    let number = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
    if answer.len() < 12 {
        return format!("{} octets", answer.len());
    }
    let flags = number(2);
    let Some(opt) = opt_of(answer) else {
        return "malformed".to_owned();
    };
    let extended = opt.map_or(0, |ttl| (ttl >> 24 << 4) as u16);
    let code = ResponseCode(flags & 15 | extended);
    let edns = opt.map_or(String::new(), |ttl| format!(" EDNS {} {:04x}", (ttl >> 16) & 0xff, ttl & 0xffff));
    let counts = [number(4), number(6), number(8), number(10) - u16::from(opt.is_some())];
    format!("{code} {:03x} {counts:?}{edns}", (flags & 0x7ff0) >> 4)
}

/// The TTL of the OPT record, if there is one; none if the message is malformed.
fn opt_of(answer: &[u8]) -> Option<Option<u32>> {
    let number = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..number(4)? {
        at += name::wire_length(answer.get(at..)?)? + 4;
    }
    let mut opt = None;
    for _ in 0..number(6)? + number(8)? + number(10)? {
        loop {
            match *answer.get(at)? {
                0 => break at += 1,
                0xc0.. => break at += 2,
                length => at += 1 + usize::from(length),
            }
        }
        if number(at)? == RecordType::OPT.0 {
            opt = Some(u32::from(number(at + 4)?) << 16 | u32::from(number(at + 6)?));
        }
        at += 10 + usize::from(number(at + 8)?);
    }
    (at == answer.len()).then_some(opt)
}
