//! Zones whose names share their ends in odd ways, and answers that end near every limit there is.
//!
//! The octets are choices: the names of a zone, its RRsets, and what is asked. Every record of every answer is one of the
//! zone, name for name, and none is missing unless the answer says that it is truncated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use heraldns::dns::answer::{Host, Load, MAX_CHAIN, Query};
use heraldns::dns::name;
use heraldns::dns::zone::{self, NodeKind, Zone, ZoneSet};

use super::answer::{self, Answer};
use super::choices::Choices;
use super::wire::{self, OPT, Record};

const HOST: Host<'_> = Host {
    identity: b"fuzz-1",
    version: b"heraldns fuzz",
    load: Load::ZERO,
    udp_payload: 1232,
};
/// Labels that are alike, that look like a length octet, a pointer or a whole name, and the longest there is.
const LABELS: [&[u8]; 16] = [
    b"a",
    b"A",
    b"b",
    b"aa",
    b"aA",
    b"ab",
    b"abc",
    b"\x01a",
    b"\x01a\x01b",
    b"\xc0\x0c",
    b"\0",
    b".",
    b"a.b",
    b"\\",
    &[0xff; 7],
    &[b'x'; 63],
];
const APEXES: [&[u8]; 4] = [b"\x07example\0", b"\x01a\0", b"\x01a\x01a\x01a\0", b"\x02\xc0\x0c\x01\0\0"];
/// Types of one name in their data, with what stands before it.
const TYPES: [(u16, &str); 10] = [
    (2, "NS"),
    (15, "MX 7"),
    (12, "PTR"),
    (33, "SRV 1 2 3"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (3, "MD"),
    (18, "AFSDB 1"),
    (36, "KX 5"),
];
const MOST_LABELS: usize = 127;
/// A type of which nothing is known: its data are octets.
const OPAQUE: u16 = 65_280;
const CNAME: u16 = 5;
const SOA: u16 = 6;

/// The names of a zone, the lines of its file, and what is asked.
struct Draft<'o> {
    choices: Choices<'o>,
    apex: &'static [u8],
    names: Vec<Vec<u8>>,
    text: String,
    questions: Vec<(Vec<u8>, u16)>,
}

/// Makes a zone, asks for all that is in it, and checks the answers. Says how many there were.
pub fn run(octets: &[u8]) -> Option<usize> {
    let mut choices = Choices::new(octets);
    let apex = *choices.pick(&APEXES);
    let mut draft = Draft {
        choices,
        apex,
        names: vec![apex.to_vec()],
        text: String::new(),
        questions: vec![(apex.to_vec(), SOA), (apex.to_vec(), 2), (apex.to_vec(), OPAQUE)],
    };
    draft.line(apex, "SOA a a.a 1 2 3 4 5");
    draft.line(apex, "NS a");
    draft.names();
    draft.sets();
    draft.chain();
    draft.large();
    let mut no_include = |_: &str| Err(String::new());
    let name = name::Name::from_wire(apex).unwrap();
    let zone = zone::load(&name, "fuzz", draft.text.as_bytes(), &mut no_include).ok()?.zone;
    let records = records(&zone);
    let zones = ZoneSet::new(vec![Arc::new(zone)]);
    let mut asked = 0;
    for (name, record_type) in &draft.questions {
        asked += ask(&zones, &records, name, *record_type, draft.choices.octet());
    }
    asked += limits(&mut draft.choices);
    Some(asked)
}

impl Draft<'_> {
    fn line(&mut self, owner: &[u8], data: &str) {
        writeln!(self.text, "{} 60 {data}", name::display(owner)).unwrap();
    }

    /// Names of a few labels before the end of another one, which may be the root.
    fn names(&mut self) {
        for _ in 0..self.choices.below(24) {
            let parent = match self.choices.below(8) {
                0 => vec![0],
                _ => self.choices.pick(&self.names).clone(),
            };
            let mut name = parent;
            let times = [1, 1, 1, 2, 3, MOST_LABELS][self.choices.below(6)];
            let label = *self.choices.pick(&LABELS);
            for _ in 0..times {
                let longer = [&[label.len() as u8], label, &name].concat();
                if name::wire_length(&longer) != Some(longer.len()) {
                    break;
                }
                name = longer;
            }
            self.names.push(name);
        }
    }

    fn own_name(&mut self) -> Vec<u8> {
        let apex = self.apex;
        let own: Vec<&Vec<u8>> = self.names.iter().filter(|name| name::is_subdomain(name, apex)).collect();
        (*self.choices.pick(&own)).clone()
    }

    /// RRsets of types with names in their data.
    fn sets(&mut self) {
        for _ in 0..self.choices.below(16) {
            let owner = self.own_name();
            let (record_type, before) = *self.choices.pick(&TYPES);
            for _ in 0..=self.choices.below(12) {
                let target = self.choices.pick(&self.names).clone();
                self.line(&owner, &format!("{before} {}", name::display(&target)));
            }
            self.line(&owner, "A 192.0.2.1");
            if self.choices.below(4) == 0 {
                let mailboxes = [self.own_name(), self.choices.pick(&self.names).clone()].map(|name| name::display(&name).to_string());
                self.line(&owner, &format!("MINFO {}", mailboxes.join(" ")));
                self.questions.push((owner.clone(), 14));
            }
            self.questions
                .extend([(owner.clone(), record_type), (owner.clone(), 255), (owner, 1)]);
        }
    }

    /// Aliases one after the other, each below a name of its own.
    fn chain(&mut self) {
        let mut last = self.own_name();
        for number in 0..self.choices.below(20) {
            let below = self.own_name();
            let owner = [&[2, b'c', b'a' + number as u8], &below[..]].concat();
            if name::wire_length(&owner).is_none() {
                continue;
            }
            self.line(&owner, &format!("CNAME {}", name::display(&last)));
            let record_type = self.choices.pick(&TYPES).0;
            self.questions.push((owner.clone(), record_type));
            last = owner;
        }
    }

    /// One RRset beyond what pointers reach, or beyond what a message holds.
    fn large(&mut self) {
        let wanted = [0, 0, 0x4000, 0xffff][self.choices.below(4)] + self.choices.below(256);
        let owner = [&[5], &b"large"[..], self.apex].concat();
        let mut octets = 0;
        let mut number = 0;
        while wanted > 256 && octets < wanted {
            let below = self.own_name();
            let label = format!("n{number}");
            let target = [&[label.len() as u8], label.as_bytes(), &below[..]].concat();
            number += 1;
            if name::wire_length(&target).is_none() {
                octets += 1;
                continue;
            }
            // most of them share their end with an earlier one
            octets += 16 + label.len() + if number < 40 { 0 } else { below.len() / 4 };
            self.line(&owner, &format!("MX {number} {}", name::display(&target)));
            if number % 16 == 0 {
                self.line(&target, "AAAA 2001:db8::1");
            }
        }
        if number > 0 {
            self.questions.push((owner, 15));
        }
    }
}

/// Owner and type, and the data: in lower case where names in it may have been compressed.
type Records = BTreeMap<(Vec<u8>, u16), BTreeSet<Vec<u8>>>;

fn records(zone: &Zone) -> Records {
    let mut records = Records::new();
    for node in zone.nodes() {
        for rrset in node.rrsets() {
            let record_type = rrset.record_type().0;
            let data = rrset.records().map(|rdata| folded(record_type, rdata)).collect();
            records.insert((node.name().to_ascii_lowercase(), record_type), data);
        }
    }
    records
}

/// A compressed name takes on the case of the earlier one.
fn folded(record_type: u16, rdata: &[u8]) -> Vec<u8> {
    if wire::is_compressed(record_type) {
        rdata.to_ascii_lowercase()
    } else {
        rdata.to_vec()
    }
}

/// Asks in a way that `manner` chooses; how many answers were checked.
fn ask(zones: &ZoneSet, records: &Records, name: &[u8], record_type: u16, manner: u8) -> usize {
    let mut asked = name.to_vec();
    if manner & 1 != 0 {
        asked.make_ascii_uppercase();
    }
    let payload = [None, Some(512), Some(1232), Some(65_535)][usize::from(manner >> 1 & 3)];
    let message = message(&asked, record_type, payload);
    let query = Query::parse(&message).unwrap();
    let answers = answer::answers(zones, &HOST, &query, &message, usize::from(HOST.udp_payload));
    for answer in &answers {
        for record in answer.message.records().filter(|record| record.record_type != OPT) {
            check_record(records, record);
        }
        if !answer.is_truncated() {
            zones
                .zones()
                .for_each(|zone| check_complete(zone, records, answer, name, record_type));
        }
    }
    answers.len()
}

fn check_record(records: &Records, record: &Record) {
    let key = (record.owner.to_ascii_lowercase(), record.record_type);
    let rrset = records.get(&key).unwrap_or_else(|| panic!("no RRset of {record:?}"));
    assert!(rrset.contains(&folded(record.record_type, &record.rdata)), "no record {record:?}");
    // the SOA of a denial has the TTL of its minimum field
    assert!(
        record.class == 1 && (record.ttl == 60 || record.record_type == SOA && record.ttl == 5),
        "{record:?}"
    );
}

/// The RRset that was asked for is there with all its records, or that of the type at the end of the aliases.
fn check_complete(zone: &Zone, records: &Records, answer: &Answer, name: &[u8], record_type: u16) {
    let section = &answer.message.sections[0];
    let mut present: BTreeMap<(Vec<u8>, u16), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for record in section {
        let data = present.entry((record.owner.to_ascii_lowercase(), record.record_type)).or_default();
        assert!(data.insert(folded(record.record_type, &record.rdata)), "twice: {record:?}");
    }
    for (key, data) in &present {
        assert_eq!(data, &records[key], "an RRset that is not whole");
    }
    let is_ours = |owner: &Vec<u8>| zone.node(owner).is_some_and(|node| node.kind() == NodeKind::Authoritative);
    let mut wanted = (name.to_ascii_lowercase(), record_type);
    // an alias is followed while there is room for it and for what it leads to
    while present.len() + 1 < MAX_CHAIN && is_ours(&wanted.0) {
        let alias = (wanted.0.clone(), CNAME);
        if let Some(target) = records.get(&alias).and_then(BTreeSet::first) {
            assert!(present.contains_key(&alias), "an alias is missing");
            wanted.0.clone_from(target);
            continue;
        }
        let is_missing = records.contains_key(&wanted) && !present.contains_key(&wanted);
        assert!(!is_missing, "the RRset asked for is missing");
        break;
    }
}

/// An RRset whose answer is a chosen number of octets longer than what fits, or shorter: it is there whole, or truncated.
fn limits(choices: &mut Choices<'_>) -> usize {
    let (limit, payload) = *choices.pick(&[
        (512, None),
        (512, Some(300)),
        (1232, Some(1232)),
        (1000, Some(1000)),
        (65_535, Some(1232)),
    ]);
    let off = choices.below(9) as isize - 4;
    let name = b"\x01q\x01e\0";
    let reserved = if payload.is_some() { 11 } else { 0 };
    let octets = limit - reserved - 12 - (name.len() + 4);
    let wanted = usize::try_from(octets as isize + off).unwrap();
    let count = choices.below(3) + wanted.div_ceil(60_000);
    let mut text = "@ 60 SOA . . 1 2 3 4 5\n@ 60 NS .\n".to_owned();
    for number in 0..count {
        // pointer to the owner and fixed fields
        let share = wanted / count + if number == 0 { wanted % count } else { 0 };
        let rdata = share - 12;
        let data = format!("{number:02x}").repeat(rdata);
        writeln!(text, "q 60 TYPE{OPAQUE} \\# {rdata} {data}").unwrap();
    }
    let apex = "e.".parse().unwrap();
    let zone = zone::load(&apex, "limits", text.as_bytes(), &mut |_| Err(String::new()))
        .unwrap()
        .zone;
    let zones = ZoneSet::new(vec![Arc::new(zone)]);
    let message = message(name, OPAQUE, payload);
    let query = Query::parse(&message).unwrap();
    let [udp, tcp] = answer::answers(&zones, &HOST, &query, &message, usize::from(HOST.udp_payload));
    let answer = if limit == 65_535 { tcp } else { udp };
    assert_eq!(answer.is_truncated(), off > 0, "{off} octets too many");
    let expected = if off > 0 { limit - octets } else { limit.strict_add_signed(off) };
    assert_eq!(answer.octets.len(), expected, "{off} octets too many");
    2
}

fn message(name: &[u8], record_type: u16, payload: Option<u16>) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(payload.is_some())];
    message.extend_from_slice(name);
    message.extend(record_type.to_be_bytes());
    message.extend([0, 1]);
    if let Some(payload) = payload {
        message.extend([0, 0, 41]);
        message.extend(payload.to_be_bytes());
        message.extend([0; 6]);
    }
    message
}
