//! Records to a zone: sorted, grouped into nodes and RRsets, and checked for what makes a zone unfit to be served.
//!
//! An error means no zone; a warning says that the zone is probably not as it was meant. What needs the finished zone,
//! such as whether the target of an MX has an address, is in `checks`.

use std::cmp::Ordering;

use super::problem::{Place, Problems};
use super::records::{Record, Records};
use super::store::{NodeKind, Zone};
use super::writer::{Unwritable, ZoneWriter};
use crate::dns::name::{self, Name};
use crate::dns::types::RecordType;

/// Makes the zone `apex`; none if it has errors, which then are in `problems`.
///
/// With errors there already some lines are missing from `records`: only mistakes are told that no missing line can explain.
pub(super) fn build(apex: &Name, records: &Records, problems: &mut Problems) -> Option<Zone> {
    let complete = !problems.has_errors();
    check_soa(apex, records, problems);
    if complete {
        check_apex(apex, records, problems);
    }
    let order = sorted(apex.as_wire(), records);
    let mut builder = Builder {
        writer: ZoneWriter::new(apex.clone(), records.octets() + 16 * records.len()),
        apex: apex.as_wire(),
        records,
        problems,
        complete,
        previous: apex.as_wire(),
        occluder: None,
    };
    let owner = |sorted: &Sorted| records.get(sorted.position as usize).owner;
    let groups = || order.chunk_by(|one, other| one.prefix == other.prefix && name::equal(owner(one), owner(other)));
    let hashed = |group: &&[Sorted]| is_hashed(group, records, apex.as_wire());
    let names = groups().filter(|group| !hashed(group)).try_for_each(|group| builder.node(group));
    let written = names.and_then(|()| groups().filter(hashed).try_for_each(|group| builder.hashed_node(group)));
    if let Err(why) = written
        && complete
    {
        builder.problems.error(Place::default(), cause(why), "split it into several zones");
    }
    if builder.problems.has_errors() {
        return None;
    }
    match builder.writer.finish() {
        Ok(zone) => Some(zone),
        Err(why) => {
            problems.error(Place::default(), cause(why), "");
            None
        }
    }
}

fn cause(why: Unwritable) -> &'static str {
    match why {
        Unwritable::TooLarge => "the zone is larger than 4 GiB",
        Unwritable::NoSoa => "no SOA record",
    }
}

/// A record's position with the beginning of its place in the order, so that most comparisons need nothing else.
#[derive(Clone, Copy)]
struct Sorted {
    prefix: u64,
    position: u32,
}

/// The records by owner, type (signatures after what they cover) and data, all in canonical order.
fn sorted(apex: &[u8], records: &Records) -> Vec<Sorted> {
    let mut order: Vec<Sorted> = Vec::with_capacity(records.len());
    let mut last: (&[u8], u64) = (&[], 0);
    for (position, record) in (0_u32..).zip(records.iter()) {
        if !std::ptr::eq(last.0, record.owner) {
            last = (record.owner, order_prefix(record.owner, apex));
        }
        order.push(Sorted { prefix: last.1, position });
    }
    order.sort_unstable_by(|one, other| {
        let by_record = || {
            let (one, other) = (records.get(one.position as usize), records.get(other.position as usize));
            owner_order(one.owner, other.owner)
                .then_with(|| rrset_type(&one).cmp(&rrset_type(&other)))
                .then_with(|| is_signature(&one).cmp(&is_signature(&other)))
                .then_with(|| data_order(one.record_type, one.rdata, other.rdata))
        };
        one.prefix
            .cmp(&other.prefix)
            .then_with(by_record)
            .then_with(|| one.position.cmp(&other.position))
    });
    order
}

/// The first octets of the labels below the apex, from the right, in lower case: never larger for a name that comes earlier.
fn order_prefix(owner: &[u8], apex: &[u8]) -> u64 {
    if !name::is_subdomain(owner, apex) {
        return 0;
    }
    let mut starts = [0_u8; name::MAX_LABELS];
    let (mut at, mut count) = (0, 0);
    while at + apex.len() < owner.len() && count < starts.len() {
        starts[count] = u8::try_from(at).unwrap_or(u8::MAX);
        count += 1;
        at += 1 + usize::from(owner[at]);
    }
    let mut octets = [0; 8];
    let mut slots = octets.iter_mut();
    for start in starts[..count].iter().rev() {
        let start = usize::from(*start);
        let label = &owner[start + 1..start + 1 + usize::from(owner[start])];
        // zero ends a label; octets 0 and 1 both count as 1 and end the prefix, so that the whole names decide
        for octet in label.iter().map(u8::to_ascii_lowercase) {
            let Some(slot) = slots.next() else {
                return u64::from_be_bytes(octets);
            };
            *slot = octet.max(1);
            if octet <= 1 {
                return u64::from_be_bytes(octets);
            }
        }
        slots.next();
    }
    u64::from_be_bytes(octets)
}

fn owner_order(one: &[u8], other: &[u8]) -> Ordering {
    if std::ptr::eq(one, other) {
        return Ordering::Equal;
    }
    name::canonical_order(one, other)
}

/// The type of the RRset that the record belongs to: of a signature, the type it covers.
fn rrset_type(record: &Record<'_>) -> RecordType {
    match record.rdata {
        [high, low, ..] if is_signature(record) => RecordType(u16::from_be_bytes([*high, *low])),
        _ => record.record_type,
    }
}

fn is_signature(record: &Record<'_>) -> bool {
    record.record_type == RecordType::RRSIG
}

/// Where the data of this type has its only name, which also ends it.
pub(super) fn target_offset(record_type: RecordType) -> Option<usize> {
    match record_type {
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => Some(0),
        RecordType::MX | RecordType::AFSDB | RecordType::KX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}

/// The order of RFC 4034 §6.3 where names are compared without regard to case; equal data are one record.
fn data_order(record_type: RecordType, one: &[u8], other: &[u8]) -> Ordering {
    let Some(offset) = target_offset(record_type) else {
        return one.cmp(other);
    };
    let (one, other) = (one.split_at_checked(offset), other.split_at_checked(offset));
    let lower = |octets: &[u8]| octets.to_ascii_lowercase();
    match (one, other) {
        (Some((one, one_name)), Some((other, other_name))) => one.cmp(other).then_with(|| lower(one_name).cmp(&lower(other_name))),
        (one, other) => one.cmp(&other),
    }
}

fn check_soa(apex: &Name, records: &Records, problems: &mut Problems) {
    let mut first: Option<Record<'_>> = None;
    let is_of_zone = |record: &Record<'_>| name::is_subdomain(record.owner, apex.as_wire());
    for record in records
        .iter()
        .filter(|record| record.record_type == RecordType::SOA && is_of_zone(record))
    {
        if !name::equal(record.owner, apex.as_wire()) {
            let message = format!("SOA of {} in the zone {apex}", name::display(record.owner));
            problems.error(
                record.place,
                message,
                format!("only {apex} has an SOA here; write '@' as its owner"),
            );
        } else if let Some(first) = first.filter(|first| data_order(RecordType::SOA, first.rdata, record.rdata).is_ne()) {
            let message = format!("a second SOA; the first one is in line {}", first.place.line);
            problems.error(record.place, message, "remove one of them");
        } else {
            first = Some(record);
        }
    }
}

/// What every zone must have.
fn check_apex(apex: &Name, records: &Records, problems: &mut Problems) {
    let is_there = |record_type| {
        let is_it = |record: Record<'_>| record.record_type == record_type && name::equal(record.owner, apex.as_wire());
        records.iter().any(is_it)
    };
    if !is_there(RecordType::SOA) {
        problems.error(
            Place::default(),
            format!("no SOA record of {apex}"),
            "begin the zone with '@ SOA primary mailbox serial refresh retry expire minimum'",
        );
    }
    if !is_there(RecordType::NS) {
        problems.error(
            Place::default(),
            format!("no NS record of {apex}"),
            "name its servers with '@ NS name'",
        );
    }
}

/// True for a name right below the apex that has NSEC3 records and nothing else but their signatures.
fn is_hashed(group: &[Sorted], records: &Records, apex: &[u8]) -> bool {
    let all = || group.iter().map(|sorted| records.get(sorted.position as usize));
    let only_nsec3 = all().all(|record| rrset_type(&record) == RecordType::NSEC3);
    let below_apex = |record: Record<'_>| name::parent(record.owner).is_some_and(|parent| name::equal(parent, apex));
    only_nsec3 && all().any(|record| !is_signature(&record)) && all().next().is_some_and(below_apex)
}

struct Builder<'r, 'p> {
    writer: ZoneWriter,
    apex: &'r [u8],
    records: &'r Records,
    problems: &'p mut Problems,
    /// All lines could be read.
    complete: bool,
    /// The owner of the last node.
    previous: &'r [u8],
    /// The last name that hides what is below it: a zone cut or a DNAME.
    occluder: Option<Occluder<'r>>,
}

#[derive(Clone, Copy)]
struct Occluder<'r> {
    name: &'r [u8],
    is_dname: bool,
    place: Place,
}

impl<'r> Builder<'r, '_> {
    /// A warning may be about a line that is missing: without all lines there is none.
    fn warn(&mut self, place: Place, message: String, cure: &str) {
        if self.complete {
            self.problems.warning(place, message, cure);
        }
    }

    fn record(&self, sorted: &Sorted) -> Record<'r> {
        self.records.get(sorted.position as usize)
    }

    /// Writes the node of the records in `group`, and the empty non-terminals above it.
    fn node(&mut self, group: &[Sorted]) -> Result<(), Unwritable> {
        let first = self.record(&group[0]);
        let owner = first.owner;
        if !name::is_subdomain(owner, self.apex) {
            let message = format!(
                "{} is not in the zone {} and is left out",
                name::display(owner),
                name::display(self.apex)
            );
            self.warn(first.place, message, "remove the record, or mend $ORIGIN");
            return Ok(());
        }
        if group.iter().all(|position| is_signature(&self.record(position))) {
            self.rrsets(group);
            return Ok(());
        }
        self.check_doubled_apex(&first);
        for ancestor in missing_ancestors(owner, self.previous) {
            let kind = if self.is_occluded(ancestor) {
                NodeKind::Occluded
            } else {
                NodeKind::EmptyNonTerminal
            };
            self.writer.node(ancestor, kind)?;
        }
        self.previous = owner;
        let kind = self.kind(group);
        self.check_types(group, kind);
        self.writer.node(owner, kind)?;
        self.rrsets(group);
        Ok(())
    }

    fn hashed_node(&mut self, group: &[Sorted]) -> Result<(), Unwritable> {
        self.writer.hashed_node(self.record(&group[0]).owner)?;
        self.rrsets(group);
        Ok(())
    }

    fn rrsets(&mut self, group: &[Sorted]) {
        let records = self.records;
        let type_of = |sorted: &Sorted| rrset_type(&records.get(sorted.position as usize));
        let same_type = |one: &Sorted, other: &Sorted| type_of(one) == type_of(other);
        for rrset in group.chunk_by(same_type) {
            self.rrset(rrset);
        }
    }

    fn is_occluded(&self, owner: &[u8]) -> bool {
        self.occluder.is_some_and(|occluder| name::is_subdomain(owner, occluder.name))
    }

    fn kind(&mut self, group: &[Sorted]) -> NodeKind {
        let first = self.record(&group[0]);
        if self.is_occluded(first.owner) {
            return NodeKind::Occluded;
        }
        let find = |record_type| {
            group
                .iter()
                .map(|position| self.record(position))
                .find(|record| record.record_type == record_type)
        };
        let ns = find(RecordType::NS).filter(|_| !name::equal(first.owner, self.apex));
        let dname = find(RecordType::DNAME);
        self.occluder = ns.or(dname).map(|record| Occluder {
            name: record.owner,
            is_dname: ns.is_none(),
            place: record.place,
        });
        if ns.is_some() {
            NodeKind::Delegation
        } else {
            NodeKind::Authoritative
        }
    }

    fn rrset(&mut self, positions: &[Sorted]) {
        let count = positions.iter().filter(|position| !is_signature(&self.record(position))).count();
        let (records, signatures) = positions.split_at(count);
        let Some(first) = records.first().map(|position| self.record(position)) else {
            let signature = self.record(&positions[0]);
            let message = format!(
                "RRSIG of {} records, of which {} has none",
                rrset_type(&signature),
                name::display(signature.owner)
            );
            self.warn(signature.place, message, "sign the zone again");
            return;
        };
        if count > usize::from(u16::MAX) {
            self.problems.error(
                first.place,
                format!("{count} records of one name and type: at most 65535 are allowed"),
                "",
            );
        }
        let ttl = records.iter().map(|position| self.record(position).ttl).min().unwrap_or(0);
        if let Some(other) = records
            .iter()
            .map(|position| self.record(position))
            .find(|record| record.ttl != ttl)
        {
            let message = format!(
                "TTL {} here, {ttl} in another {} record of {}",
                other.ttl,
                other.record_type,
                name::display(other.owner)
            );
            self.warn(
                other.place,
                message,
                "write the same TTL; the lowest one is taken (RFC 2181 section 5.2)",
            );
        }
        self.writer.rrset(first.record_type, ttl);
        let mut last: Option<Record<'_>> = None;
        for position in records {
            let record = self.record(position);
            if last.is_some_and(|last| data_order(record.record_type, last.rdata, record.rdata).is_eq()) {
                self.warn(
                    record.place,
                    format!("the same {} record is there twice", record.record_type),
                    "remove one of them",
                );
                continue;
            }
            self.writer.record(record.rdata);
            last = Some(record);
        }
        let mut last = None;
        for position in signatures {
            let rdata = self.record(position).rdata;
            if last != Some(rdata) {
                self.writer.signature(rdata);
            }
            last = Some(rdata);
        }
    }

    /// What may not stand together at one name.
    fn check_types(&mut self, group: &[Sorted], kind: NodeKind) {
        let records = self.records;
        let all = || group.iter().map(|position| records.get(position.position as usize));
        let of_type = |record_type| all().filter(move |record: &Record<'_>| record.record_type == record_type);
        let Some(owner) = all().next().map(|record| record.owner) else {
            return;
        };
        let shown = name::display(owner);
        for single in [RecordType::CNAME, RecordType::DNAME] {
            let mut several = of_type(single);
            let Some(first) = several.next() else { continue };
            if let Some(second) = several.find(|second| data_order(single, first.rdata, second.rdata).is_ne()) {
                let message = format!("a second {single} of {shown}; the other one is in line {}", first.place.line);
                self.problems
                    .error(second.place, message, "a name has one target: remove one of them");
            }
        }
        if let Some(alias) = of_type(RecordType::CNAME).next() {
            let beside = |record: &Record<'_>| {
                !matches!(
                    record.record_type,
                    RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC | RecordType::KEY | RecordType::SIG
                )
            };
            if let Some(other) = all().find(beside) {
                let message = format!("CNAME of {shown}, which also has {} (line {})", other.record_type, other.place.line);
                self.problems.error(
                    alias.place,
                    message,
                    "an alias has no other records: remove the CNAME, or all others",
                );
            }
        }
        match kind {
            NodeKind::Delegation => {
                if let Some(record) = of_type(RecordType::DNAME).next() {
                    let message = format!("DNAME of {shown}, which is a zone cut");
                    self.warn(record.place, message, "remove it, or the NS records (RFC 6672 section 2.3)");
                }
                let allowed = |record: &Record<'_>| {
                    is_of_parent(record.record_type) || is_glue(record.record_type) || record.record_type == RecordType::DNAME
                };
                let hidden = all().find(|record| !allowed(record));
                self.warn_hidden(hidden, "a zone cut is here, and the child zone answers for it");
            }
            NodeKind::Occluded => {
                let Some(occluder) = self.occluder else { return };
                let (above, line) = (name::display(occluder.name), occluder.place.line);
                if let Some(record) = all().next().filter(|_| occluder.is_dname) {
                    let message = format!(
                        "{} of {shown}, which is below the DNAME of {above} (line {line})",
                        record.record_type
                    );
                    self.problems.error(
                        record.place,
                        message,
                        "a DNAME leaves no room below its name: remove one of them (RFC 6672 section 2.4)",
                    );
                    return;
                }
                let hidden = all().find(|record| !is_glue(record.record_type));
                self.warn_hidden(hidden, &format!("it is below the zone cut {above} (line {line})"));
            }
            NodeKind::Authoritative | NodeKind::EmptyNonTerminal => {
                if let Some(record) = of_type(RecordType::DS).next() {
                    let message = format!("DS of {shown}, which is no zone cut");
                    self.warn(
                        record.place,
                        message,
                        "a DS stands in the parent zone, at a name that has NS records",
                    );
                }
            }
        }
    }

    fn warn_hidden(&mut self, hidden: Option<Record<'_>>, why: &str) {
        if let Some(record) = hidden {
            let message = format!("{} of {} is never seen: {why}", record.record_type, name::display(record.owner));
            self.warn(record.place, message, "remove the record");
        }
    }

    /// `www.example.com` without its last dot, in the zone `example.com.`
    fn check_doubled_apex(&mut self, record: &Record<'_>) {
        if is_doubled(record.owner, self.apex) {
            let message = format!("{} has the zone's name twice", name::display(record.owner));
            self.warn(record.place, message, "end an absolute name with a dot");
        }
    }
}

/// True when `owner` ends with the apex twice.
fn is_doubled(owner: &[u8], apex: &[u8]) -> bool {
    let labels = &apex[..apex.len() - 1];
    let mut rest = owner;
    while rest.len() > labels.len() + apex.len() {
        let Some(up) = name::parent(rest) else { return false };
        rest = up;
    }
    !labels.is_empty() && rest.len() == labels.len() + apex.len() && rest[..labels.len()].eq_ignore_ascii_case(labels)
}

/// What the parent says about a zone cut with authority, or to name the child's servers.
fn is_of_parent(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::NS | RecordType::DS | RecordType::NSEC | RecordType::RRSIG)
}

fn is_glue(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::A | RecordType::AAAA | RecordType::RRSIG)
}

/// The names between `owner` and what it shares with the name before it in canonical order, the uppermost first.
fn missing_ancestors<'r>(owner: &'r [u8], previous: &[u8]) -> Vec<&'r [u8]> {
    let mut missing = Vec::new();
    let mut ancestor = name::parent(owner);
    while let Some(name) = ancestor.filter(|name| !name::is_subdomain(previous, name)) {
        missing.push(name);
        ancestor = name::parent(name);
    }
    missing.reverse();
    missing
}
