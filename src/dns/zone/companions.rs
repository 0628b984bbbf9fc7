//! What may stand together at one name, and where: aliases alone, SOA at the apex, DS at cuts, nothing unseen below them.

use super::problem::{Place, Problems};
use super::records::{Record, data_order};
use super::store::NodeKind;
use crate::dns::name;
use crate::dns::types::RecordType;

/// A name that hides what is below it: a zone cut or a DNAME.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occluder<'r> {
    pub(super) name: &'r [u8],
    pub(super) is_dname: bool,
    /// That of the NS or the DNAME.
    pub(super) place: Place,
}

/// Which records a name has, as far as it matters for what may stand beside them, in seven bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    const NS: u8 = 1;
    const DS: u8 = 1 << 1;
    /// SOA, CNAME or DNAME.
    const SPECIAL: u8 = 1 << 2;
    const OTHER_THAN_NS: u8 = 1 << 3;
    const OTHER_THAN_GLUE: u8 = 1 << 4;
    const OTHER_THAN_NSEC3: u8 = 1 << 5;

    /// No RRset at all.
    pub(super) const NONE: Self = Self(0);

    /// These and an RRset of this type.
    pub(super) fn with(self, record_type: RecordType) -> Self {
        let itself = match record_type {
            RecordType::NS => Self::NS | Self::OTHER_THAN_GLUE | Self::OTHER_THAN_NSEC3,
            RecordType::NSEC3 => Self::OTHER_THAN_GLUE | Self::OTHER_THAN_NS,
            _ if is_glue(record_type) => Self::OTHER_THAN_NS | Self::OTHER_THAN_NSEC3,
            _ => Self::OTHER_THAN_GLUE | Self::OTHER_THAN_NS | Self::OTHER_THAN_NSEC3,
        };
        let more = match record_type {
            RecordType::DS => Self::DS,
            RecordType::SOA | RecordType::CNAME | RecordType::DNAME => Self::SPECIAL,
            _ => 0,
        };
        Self(self.0 | itself | more)
    }

    fn have(self, any: u8) -> bool {
        self.0 & any != 0
    }

    pub(super) fn have_ns(self) -> bool {
        self.have(Self::NS)
    }

    /// True if there may be a DNAME.
    pub(super) fn may_have_dname(self) -> bool {
        self.have(Self::SPECIAL)
    }

    /// No other RRsets than NSEC3.
    pub(super) fn are_nsec3(self) -> bool {
        !self.have(Self::OTHER_THAN_NSEC3)
    }

    /// True for what needs no closer look.
    pub(super) fn are_plain(self, kind: NodeKind, is_below_dname: bool) -> bool {
        let special = match kind {
            NodeKind::Authoritative | NodeKind::EmptyNonTerminal => Self::DS,
            NodeKind::Delegation => Self::OTHER_THAN_NS,
            NodeKind::Occluded if is_below_dname => return false,
            NodeKind::Occluded => Self::OTHER_THAN_GLUE,
        };
        !self.have(special | Self::SPECIAL)
    }
}

impl From<u8> for Types {
    /// The bits above the seventh do not count.
    fn from(octet: u8) -> Self {
        Self(octet & 0x7f)
    }
}

impl From<Types> for u8 {
    fn from(types: Types) -> Self {
        types.0
    }
}

/// Tells what is wrong with the records of one name of the zone `apex`; warnings only if all lines were read.
pub(super) fn check(
    apex: &[u8],
    records: &[Record<'_>],
    kind: NodeKind,
    occluder: Option<Occluder<'_>>,
    complete: bool,
    problems: &mut Problems,
) {
    let Some(first) = records.first() else { return };
    let mut check = Check {
        owner: first.owner,
        records,
        complete,
        problems,
    };
    check.soa(apex);
    check.singles();
    check.alias();
    match kind {
        NodeKind::Delegation => check.cut(),
        NodeKind::Occluded => check.occluded(occluder),
        NodeKind::Authoritative | NodeKind::EmptyNonTerminal => check.misplaced_ds(),
    }
}

struct Check<'r, 'p> {
    owner: &'r [u8],
    records: &'r [Record<'r>],
    complete: bool,
    problems: &'p mut Problems,
}

impl<'r> Check<'r, '_> {
    fn of_type(&self, record_type: RecordType) -> impl Iterator<Item = &'r Record<'r>> + use<'r> {
        self.records.iter().filter(move |record| record.record_type == record_type)
    }

    /// A warning may be about a line that is missing: without all lines there is none.
    fn warn(&mut self, place: Place, message: String, cure: &str) {
        if self.complete {
            self.problems.warning(place, message, cure);
        }
    }

    fn soa(&mut self, apex: &[u8]) {
        let mut soas = self.of_type(RecordType::SOA);
        if !name::equal(self.owner, apex) {
            for soa in soas {
                let (owner, apex) = (name::display(self.owner), name::display(apex));
                let cure = format!("only {apex} has an SOA here; write '@' as its owner");
                self.problems.error(soa.place, format!("SOA of {owner} in the zone {apex}"), cure);
            }
        } else if let Some(first) = soas.next() {
            // the SOA that comes first in the file is the one that is meant
            let others = || self.of_type(RecordType::SOA).map(|soa| soa.place);
            let first = others().min().unwrap_or(first.place);
            for place in others().filter(|place| *place != first) {
                let message = format!("a second SOA; the first one is in line {}", first.line);
                self.problems.error(place, message, "remove one of them");
            }
        }
    }

    fn singles(&mut self) {
        for single in [RecordType::CNAME, RecordType::DNAME] {
            let mut several = self.of_type(single);
            let Some(first) = several.next() else { continue };
            if let Some(second) = several.find(|second| data_order(single, first.rdata, second.rdata).is_ne()) {
                let owner = name::display(self.owner);
                let message = format!("a second {single} of {owner}; the other one is in line {}", first.place.line);
                self.problems
                    .error(second.place, message, "a name has one target: remove one of them");
            }
        }
    }

    fn alias(&mut self) {
        let Some(alias) = self.of_type(RecordType::CNAME).next() else {
            return;
        };
        let beside = |record: &&Record<'_>| {
            !matches!(
                record.record_type,
                RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC | RecordType::KEY | RecordType::SIG
            )
        };
        if let Some(other) = self.records.iter().find(beside) {
            let (owner, other, line) = (name::display(self.owner), other.record_type, other.place.line);
            let message = format!("CNAME of {owner}, which also has {other} (line {line})");
            let cure = "an alias has no other records: remove the CNAME, or all others";
            self.problems.error(alias.place, message, cure);
        }
    }

    fn cut(&mut self) {
        if let Some(record) = self.of_type(RecordType::DNAME).next() {
            let message = format!("DNAME of {}, which is a zone cut", name::display(self.owner));
            self.warn(record.place, message, "remove it, or the NS records (RFC 6672 section 2.3)");
        }
        let allowed = |record: &Record<'_>| {
            is_of_parent(record.record_type) || is_glue(record.record_type) || record.record_type == RecordType::DNAME
        };
        let hidden = self.records.iter().find(|record| !allowed(record));
        self.warn_hidden(hidden, "a zone cut is here, and the child zone answers for it");
    }

    fn occluded(&mut self, occluder: Option<Occluder<'_>>) {
        let Some(occluder) = occluder else { return };
        let (above, line) = (name::display(occluder.name), occluder.place.line);
        if let Some(record) = self.records.first().filter(|_| occluder.is_dname) {
            let (record_type, owner) = (record.record_type, name::display(self.owner));
            let message = format!("{record_type} of {owner}, which is below the DNAME of {above} (line {line})");
            let cure = "a DNAME leaves no room below its name: remove one of them (RFC 6672 section 2.4)";
            self.problems.error(record.place, message, cure);
            return;
        }
        let hidden = self.records.iter().find(|record| !is_glue(record.record_type));
        self.warn_hidden(hidden, &format!("it is below the zone cut {above} (line {line})"));
    }

    fn misplaced_ds(&mut self) {
        if let Some(record) = self.of_type(RecordType::DS).next() {
            let message = format!("DS of {}, which is no zone cut", name::display(self.owner));
            let cure = "a DS stands in the parent zone, at a name that has NS records";
            self.warn(record.place, message, cure);
        }
    }

    fn warn_hidden(&mut self, hidden: Option<&Record<'_>>, why: &str) {
        if let Some(record) = hidden {
            let message = format!("{} of {} is never seen: {why}", record.record_type, name::display(record.owner));
            self.warn(record.place, message, "remove the record");
        }
    }
}

/// What the parent says about a zone cut with authority, or to name the child's servers.
fn is_of_parent(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::NS | RecordType::DS | RecordType::NSEC | RecordType::RRSIG)
}

fn is_glue(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::A | RecordType::AAAA | RecordType::RRSIG)
}
