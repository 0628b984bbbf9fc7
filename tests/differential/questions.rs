//! What is asked: every name of a family and names beside it, with the types that are there and some that are not.

use heraldns::dns::name::{self, Name};
use heraldns::dns::types::RecordType;

use crate::random::Random;
use crate::zones::{APEX, Family, mix_case};

/// Types that every name is asked for, beside those of its records.
const TYPES: [RecordType; 18] = [
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
    RecordType::NSEC3,
    RecordType::NSEC3PARAM,
    RecordType::HTTPS,
    RecordType(65_280),
];
/// Of them, how many a name beside those of the family is asked for.
const BESIDE: usize = 4;

/// What a client says about EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Flavour {
    Plain,
    Edns,
    DnssecOk,
    /// As [`Flavour::DnssecOk`], with the size that resolvers allow.
    Usual,
    /// As [`Flavour::DnssecOk`], with room for a small answer only.
    Narrow,
}

impl Flavour {
    /// The OPT record but for its owner and type; none without EDNS.
    fn opt(self) -> Option<[u8; 8]> {
        match self {
            Self::Plain => None,
            Self::Edns => Some([0x10, 0, 0, 0, 0, 0, 0, 0]),
            Self::DnssecOk => Some([0x10, 0, 0, 0, 0x80, 0, 0, 0]),
            Self::Usual => Some([0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]),
            Self::Narrow => Some([0x02, 0x80, 0, 0, 0x80, 0, 0, 0]),
        }
    }
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
        if let Some(opt) = flavour.opt() {
            message[11] = 1;
            message.extend_from_slice(&[0, 0, 41]);
            message.extend_from_slice(&opt);
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
        if thorough {
            types.extend(TYPES);
        } else {
            types.extend((0..BESIDE).map(|_| *random.pick(&TYPES)));
        }
        types.sort();
        types.dedup();
        for record_type in types {
            let flavour = match random.below(10) {
                0..4 if is_signed => Flavour::DnssecOk,
                5 => Flavour::Narrow,
                6 => Flavour::Usual,
                0..3 => Flavour::Plain,
                3 | 4 => Flavour::Edns,
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

/// The questions about the owner of an NSEC3 record, which is no name that has records (RFC 5155 §7.2.8).
pub(crate) fn about_hashed(name: &str) -> Vec<Question> {
    let types = [RecordType::A, RecordType::NSEC3, RecordType::RRSIG, RecordType::DS, RecordType::ANY];
    let below = Question::new(&format!("zz.{name}"), RecordType::A, Flavour::DnssecOk);
    let own = types
        .into_iter()
        .filter_map(|record_type| Question::new(name, record_type, Flavour::DnssecOk));
    own.chain(below).collect()
}

/// Names of the family, and names beside them, which are asked less thoroughly.
fn names(family: &Family, random: &mut Random) -> Vec<(String, bool)> {
    let mut names: Vec<(String, bool)> = Vec::new();
    let is_inside = |name: &str| {
        family
            .zones
            .iter()
            .any(|zone| name == zone.apex || zone.apex == "." || name.ends_with(&format!(".{}", zone.apex)))
    };
    for name in family.names.iter().filter(|name| is_inside(name)) {
        names.push((name.clone(), true));
        // the root is written as the dot that other names end with
        let name = if name == "." { "" } else { name };
        names.push((format!("{}.{name}", random.pick(&["zz", "a", "*", "x.y", "ns", "\\001"])), false));
        if let Some((label, above)) = name
            .split_once('.')
            .filter(|(label, above)| !label.ends_with('\\') && !above.is_empty())
        {
            names.push((format!("{label}0.{above}"), false));
            names.push((format!("{}.{above}", random.pick(&["*", "-", "zz", "0"])), false));
            names.push((above.to_owned(), true));
        }
        if random.percent(10) {
            names.push((longest_below(name), false));
        }
    }
    names.sort();
    names.dedup_by(|one, other| one.0 == other.0);
    names.retain(|(name, _)| is_inside(name));
    names
}

/// A name below this one, of one-letter labels, as long as names may be or nearly so.
fn longest_below(name: &str) -> String {
    const MOST: usize = 255;
    const APEX_OCTETS: usize = "f00.test..".len();
    let octets = name.len() + 1 + APEX_OCTETS - APEX.len();
    "a.".repeat(MOST.saturating_sub(octets) / 2) + name
}

/// The types of the records at this name, in any zone.
fn types_at(family: &Family, name: &str) -> Vec<RecordType> {
    let start = format!("{} ", name.to_ascii_lowercase());
    let lines = family.zones.iter().flat_map(|zone| &zone.lines);
    let here = lines.filter(|line| line.to_ascii_lowercase().starts_with(&start));
    here.filter_map(|line| RecordType::from_text(line.split(' ').nth(2)?.as_bytes()))
        .collect()
}
