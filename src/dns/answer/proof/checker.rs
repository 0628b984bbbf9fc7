//! What a validator makes of a proof: RFC 4035 §5.4 for NSEC, RFC 5155 §8 for NSEC3. For the tests alone.
//!
//! It sees what a client sees: names, types, signatures and the records of the proof, and knows no zone. Signatures are
//! not verified: they came with the zone file.

use std::cmp::Ordering;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::dns::name::{self, Name};
use crate::dns::types::RecordType;

/// What an answer claims and its proof has to show.
#[derive(Clone, Debug)]
pub(super) enum Claim {
    /// There is no such name.
    NoName(Name),
    /// There is no such type at the name, or at the wildcard that stands for it.
    NoType(Name, RecordType),
    /// The name was made from the wildcard below its last so many labels.
    Expanded(Name, usize),
    /// There is no such type at the name, which opt-out may leave out of the chain.
    OptedOut(Name, RecordType),
    /// The zone cut has no DS.
    Insecure(Name),
}

/// One record of a proof.
#[derive(Clone, Debug)]
pub(super) enum Evidence {
    Nsec {
        owner: Name,
        next: Name,
        types: Vec<RecordType>,
    },
    Nsec3 {
        owner: Vec<u8>,
        next: Vec<u8>,
        opt_out: bool,
        iterations: u16,
        salt: Vec<u8>,
        types: Vec<RecordType>,
    },
}

impl Evidence {
    pub(super) fn read(owner: &[u8], record_type: RecordType, rdata: &[u8]) -> Self {
        if record_type == RecordType::NSEC {
            let (next, bitmap) = rdata.split_at(name::wire_length(rdata).unwrap());
            let (owner, next) = (Name::from_wire(owner).unwrap(), Name::from_wire(next).unwrap());
            return Self::Nsec {
                owner,
                next,
                types: types(bitmap),
            };
        }
        let (salt, rest) = rdata[5..].split_at(usize::from(rdata[4]));
        let (next, bitmap) = rest[1..].split_at(usize::from(rest[0]));
        let label = name::labels(owner).next().unwrap();
        Self::Nsec3 {
            owner: base32hex(label),
            next: next.to_vec(),
            opt_out: rdata[1] & 1 == 1,
            iterations: u16::from_be_bytes([rdata[2], rdata[3]]),
            salt: salt.to_vec(),
            types: types(bitmap),
        }
    }

    fn types(&self) -> &[RecordType] {
        match self {
            Self::Nsec { types, .. } | Self::Nsec3 { types, .. } => types,
        }
    }

    fn has(&self, record_type: RecordType) -> bool {
        self.types().contains(&record_type)
    }

    fn is_cut(&self) -> bool {
        self.has(RecordType::NS) && !self.has(RecordType::SOA)
    }

    /// At the name itself, it says that the type is not there (RFC 4035 §5.4, RFC 5155 §8.5).
    fn lacks(&self, record_type: RecordType) -> bool {
        let speaks = record_type == RecordType::DS || !self.is_cut();
        let is_of_alias = matches!(record_type, RecordType::NSEC | RecordType::RRSIG);
        speaks && !self.has(record_type) && (is_of_alias || !self.has(RecordType::CNAME))
    }

    fn matches(&self, name: &Name) -> bool {
        match self {
            Self::Nsec { owner, .. } => owner == name,
            Self::Nsec3 { owner, .. } => *owner == self.hash(name),
        }
    }

    fn covers(&self, name: &Name) -> bool {
        match self {
            Self::Nsec { owner, next, .. } => {
                let order = |one: &Name, other: &Name| name::canonical_order(one.as_wire(), other.as_wire());
                // What a cut or a DNAME says about names below it is not for the parent to say.
                let occludes = (self.is_cut() || self.has(RecordType::DNAME)) && name.is_subdomain_of(owner);
                let is_last = order(next, owner) != Ordering::Greater;
                let before_next = is_last || order(name, next) == Ordering::Less;
                !occludes && order(owner, name) == Ordering::Less && before_next
            }
            Self::Nsec3 { owner, next, .. } => {
                let hash = self.hash(name);
                match owner < next {
                    true => *owner < hash && hash < *next,
                    false => *owner < hash || hash < *next,
                }
            }
        }
    }

    fn hash(&self, name: &Name) -> Vec<u8> {
        let Self::Nsec3 { iterations, salt, .. } = self else {
            unreachable!("only NSEC3 hashes")
        };
        let mut hash = name.to_lower().as_wire().to_vec();
        for _ in 0..=*iterations {
            hash.extend(salt);
            hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &hash).as_ref().to_vec();
        }
        hash
    }

    fn is_opt_out(&self) -> bool {
        matches!(self, Self::Nsec3 { opt_out: true, .. })
    }

    /// The name exists, but only because there is a name below it: NSEC alone shows it so.
    fn shows_empty_non_terminal(&self, name: &Name) -> bool {
        matches!(self, Self::Nsec { next, .. } if self.covers(name) && next.is_subdomain_of(name))
    }
}

/// True if the records prove the claim.
pub(super) fn is_proved(claim: &Claim, evidence: &[Evidence]) -> bool {
    let covered = |name: &Name| evidence.iter().any(|record| record.covers(name));
    match claim {
        Claim::NoName(name) => closest_encloser(name, evidence).is_some_and(|encloser| covered(&below("*", &encloser))),
        Claim::NoType(name, record_type) => lacks(name, *record_type, evidence) || wildcard_lacks(name, *record_type, evidence),
        Claim::Expanded(name, labels) => match evidence.first() {
            Some(Evidence::Nsec3 { .. }) => covered(&last_labels(name, labels + 1)),
            _ => covered(name),
        },
        Claim::OptedOut(name, record_type) => lacks(name, *record_type, evidence) || is_opted_out(name, evidence),
        Claim::Insecure(name) => {
            let shows_cut = |record: &Evidence| record.matches(name) && record.is_cut() && record.lacks(RecordType::DS);
            evidence.iter().any(shows_cut) || is_opted_out(name, evidence)
        }
    }
}

fn lacks(name: &Name, record_type: RecordType, evidence: &[Evidence]) -> bool {
    let lacks = |record: &Evidence| record.matches(name) && record.lacks(record_type) || record.shows_empty_non_terminal(name);
    evidence.iter().any(lacks)
}

/// The name may be an insecure delegation, or lead to one alone (RFC 5155 §8.6, §8.9).
fn is_opted_out(name: &Name, evidence: &[Evidence]) -> bool {
    let Some(encloser) = closest_encloser(name, evidence) else {
        return false;
    };
    let next_closer = last_labels(name, encloser.labels().count() + 1);
    evidence.iter().any(|record| record.is_opt_out() && record.covers(&next_closer))
}

fn wildcard_lacks(name: &Name, record_type: RecordType, evidence: &[Evidence]) -> bool {
    let Some(encloser) = closest_encloser(name, evidence) else {
        return false;
    };
    let wildcard = below("*", &encloser);
    let lacks = |record: &Evidence| record.matches(&wildcard) && record.lacks(record_type) || record.shows_empty_non_terminal(&wildcard);
    evidence.iter().any(lacks)
}

/// The deepest name above `name` that exists, when the records prove that nothing deeper does.
fn closest_encloser(name: &Name, evidence: &[Evidence]) -> Option<Name> {
    let ancestors = || std::iter::successors(name.parent(), Name::parent);
    match evidence.first()? {
        Evidence::Nsec { .. } => {
            let covering = evidence.iter().find(|record| record.covers(name))?;
            let Evidence::Nsec { owner, next, .. } = covering else {
                return None;
            };
            // An empty non-terminal exists.
            let exists = |ancestor: &Name| owner.is_subdomain_of(ancestor) || next.is_subdomain_of(ancestor);
            (!next.is_subdomain_of(name)).then(|| ancestors().find(exists)).flatten()
        }
        Evidence::Nsec3 { .. } => {
            let matching = |ancestor: &Name| evidence.iter().find(|record| record.matches(ancestor));
            let encloser = ancestors().find(|ancestor| matching(ancestor).is_some())?;
            let record = matching(&encloser)?;
            let next_closer = last_labels(name, encloser.labels().count() + 1);
            let is_covered = evidence.iter().any(|record| record.covers(&next_closer));
            (is_covered && !record.is_cut() && !record.has(RecordType::DNAME)).then_some(encloser)
        }
    }
}

/// The name that the last `count` labels of `name` make.
pub(super) fn last_labels(name: &Name, count: usize) -> Name {
    let mut ancestors = std::iter::successors(Some(name.clone()), Name::parent);
    ancestors.find(|ancestor| ancestor.labels().count() <= count).unwrap()
}

fn below(label: &str, name: &Name) -> Name {
    Name::from_text(label.as_bytes(), Some(name)).unwrap()
}

/// The types of a bitmap (RFC 4034 §4.1.2).
fn types(mut bitmap: &[u8]) -> Vec<RecordType> {
    let mut types = Vec::new();
    while let [window, length, rest @ ..] = bitmap {
        let (octets, rest) = rest.split_at(usize::from(*length));
        for bit in 0..octets.len() * 8 {
            if octets[bit / 8] & (0x80 >> (bit % 8)) != 0 {
                types.push(RecordType(u16::from(*window) << 8 | bit as u16));
            }
        }
        bitmap = rest;
    }
    types
}

fn base32hex(label: &[u8]) -> Vec<u8> {
    let digit = |octet: &u8| u8::try_from(char::from(*octet).to_digit(32).unwrap()).unwrap();
    let bits: Vec<u8> = label
        .iter()
        .map(digit)
        .flat_map(|digit| (0..5).rev().map(move |bit| digit >> bit & 1))
        .collect();
    let octet = |bits: &[u8]| bits.iter().fold(0, |octet, bit| octet << 1 | bit);
    bits.chunks_exact(8).map(octet).collect()
}
