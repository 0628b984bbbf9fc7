//! What is asked: every name of a family and names beside it, with the types that are there and some that are not.

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::RecordType;

use crate::random::Random;
use crate::zones::{APEX, Family, mix_case};

/// Types that every name may be asked for.
const TYPES: [RecordType; 14] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::NS,
    RecordType::SOA,
    RecordType::CNAME,
    RecordType::DNAME,
    RecordType::MX,
    RecordType::TXT,
    RecordType::DS,
    RecordType::SRV,
    RecordType::ANY,
    RecordType::NSEC,
    RecordType::RRSIG,
    RecordType::DNSKEY,
];

/// What a client says about EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Plain,
    Edns,
    DnssecOk,
}

/// A question, ready to be sent but for the message's id.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) record_type: RecordType,
    pub(crate) flavour: Flavour,
    pub(crate) message: Vec<u8>,
}

impl Question {
    /// A question without EDNS.
    pub(crate) fn plain(name: &str, record_type: RecordType) -> Self {
        Self::new(name, record_type, Flavour::Plain).unwrap()
    }

    /// The same question with another name in the place of `APEX.`.
    pub(crate) fn renamed(&self, apex: &str) -> Option<Self> {
        Self::new(&self.name.replace(APEX, apex), self.record_type, self.flavour)
    }

    /// The name in wire form.
    pub(crate) fn wire_name(&self) -> &[u8] {
        let octets = &self.message[12..];
        &octets[..name::wire_length(octets).unwrap()]
    }

    /// A question; `None` if the name is none: made too long.
    pub(crate) fn new(name: &str, record_type: RecordType, flavour: Flavour) -> Option<Self> {
        let wire: Name = name.parse().ok()?;
        let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(wire.as_wire());
        message.extend_from_slice(&record_type.0.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        if flavour != Flavour::Plain {
            message[11] = 1;
            message.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0]);
            message.extend_from_slice(if flavour == Flavour::DnssecOk { &[0x80, 0, 0, 0] } else { &[0; 4] });
        }
        Some(Self {
            name: name.to_owned(),
            record_type,
            flavour,
            message,
        })
    }
}

/// The questions about a family, with `APEX.` in the names.
pub(crate) fn questions(family: &Family) -> Vec<Question> {
    let mut random = Random::new(family.seed ^ 0x7175_6573);
    let is_signed = family.zones.iter().any(|zone| zone.signing.is_some());
    let mut questions = Vec::new();
    for (name, thorough) in names(family, &mut random) {
        let mut types = types_at(family, &name);
        for _ in 0..if thorough { 6 } else { 2 } {
            types.push(*random.pick(&TYPES));
        }
        types.sort();
        types.dedup();
        for record_type in types {
            let flavour = match random.below(10) {
                0..6 if is_signed => Flavour::DnssecOk,
                0..4 => Flavour::Plain,
                4..7 => Flavour::Edns,
                _ => Flavour::DnssecOk,
            };
            let asked = if random.percent(20) {
                mix_case(&mut random, &name)
            } else {
                name.clone()
            };
            questions.extend(Question::new(&asked, record_type, flavour));
        }
    }
    questions
}

/// Names of the family, and names beside them, which are asked less thoroughly.
fn names(family: &Family, random: &mut Random) -> Vec<(String, bool)> {
    let mut names: Vec<(String, bool)> = Vec::new();
    let is_inside = |name: &str| {
        family
            .zones
            .iter()
            .any(|zone| name == zone.apex || name.ends_with(&format!(".{}", zone.apex)))
    };
    for name in family.names.iter().filter(|name| is_inside(name)) {
        names.push((name.clone(), true));
        names.push((format!("{}.{name}", random.pick(&["zz", "a", "*", "x.y", "ns", "\\001"])), false));
        let (label, above) = name.split_once('.').unwrap();
        if !label.ends_with('\\') && !above.is_empty() {
            names.push((format!("{label}0.{above}"), false));
            names.push((format!("{}.{above}", random.pick(&["*", "-", "zz", "0"])), false));
            names.push((above.to_owned(), true));
        }
    }
    names.sort();
    names.dedup_by(|one, other| one.0 == other.0);
    names.retain(|(name, _)| is_inside(name));
    names
}

/// The types of the records at this name, in any zone.
fn types_at(family: &Family, name: &str) -> Vec<RecordType> {
    let start = format!("{} ", name.to_ascii_lowercase());
    let lines = family.zones.iter().flat_map(|zone| &zone.lines);
    let here = lines.filter(|line| line.to_ascii_lowercase().starts_with(&start));
    here.filter_map(|line| RecordType::from_text(line.split(' ').nth(2)?.as_bytes()))
        .collect()
}
