//! Records between scanner and builder: gathered by owner, each name's at once a block of the zone's arena.
//!
//! A file has the records of a name together, as a rule: they are sorted and written when the next name comes, and the
//! arena that the scanner fills is the one that is served. What comes later for the same name makes one more *run*, which
//! the builder joins with the others. [`Records`] shows them all again with their places, for checks.

use std::cmp::Ordering;

use super::block::{self, Block, BlockWriter, Rrset, Rrsets, Trait};
use super::companions::Types;
use super::places::{self, ListId, Places};
use super::problem::{Place, Problems};
use super::store::NodeKind;
use crate::dns::name;
use crate::dns::types::RecordType;

/// The arena or the list of places is larger than its 32-bit offsets can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'r> {
    pub(super) owner: &'r [u8],
    pub(super) record_type: RecordType,
    pub(super) ttl: u32,
    pub(super) rdata: &'r [u8],
    pub(super) place: Place,
}

/// Records that came one after the other and have one owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// In its upper seven octets the beginning of the owner's place in canonical order (see [`order_prefix`]), in the last
    /// one the types and [`PLAIN_CHILD`]: zones have many runs.
    key: u64,
    /// Where its block is.
    pub(super) at: u32,
    places: ListId,
}

/// The bit of a [`Run`]'s key that says that it is a plain child.
const PLAIN_CHILD: u64 = 0x80;

impl Run {
    /// Never larger than that of a name that comes later in canonical order.
    pub(super) fn prefix(&self) -> u64 {
        self.key >> 8
    }

    /// The types of its RRsets.
    pub(super) fn types(&self) -> Types {
        Types::from(self.key as u8)
    }

    /// Its owner is right below the apex, no wildcard and not odd, and what it has may stand together, unless something is
    /// wrong with the apex; the kind in its block is right. The block need not be looked at.
    pub(super) fn is_plain_child(&self) -> bool {
        self.key & PLAIN_CHILD != 0
    }
}

/// What becomes of signatures over records that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orphans {
    /// The records may come in a later run.
    Keep,
    /// They will not.
    Drop,
}

/// All that was read of a zone.
#[derive(Debug)]
pub(super) struct Gathered {
    apex: Vec<u8>,
    pub(super) arena: Vec<u8>,
    pub(super) runs: Vec<Run>,
    /// Octets of blocks that were joined with others.
    pub(super) waste: usize,
    /// Some run has signatures over records that it does not have.
    pub(super) has_orphans: bool,
    /// All that is in runs that were not joined with others, signatures included.
    pub(super) record_count: usize,
    /// The blocks lie in canonical order, and no more in that of their lists of places.
    is_sorted: bool,
    places: Places,
    current: Current,
}

/// The run that is being read.
#[derive(Debug, Default)]
struct Current {
    owner: Vec<u8>,
    octets: Vec<u8>,
    records: Vec<Item>,
}

/// A record of the current run.
#[derive(Clone, Copy, Debug)]
struct Item {
    record_type: RecordType,
    ttl: u32,
    start: u32,
    octets: u16,
    place: Place,
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(apex: &[u8]) -> Self {
        Self {
            apex: apex.to_vec(),
            arena: Vec::new(),
            runs: Vec::new(),
            waste: 0,
            has_orphans: false,
            record_count: 0,
            is_sorted: false,
            places: Places::default(),
            current: Current::default(),
        }
    }

    /// Adds a record; `rdata` has less than 65,536 octets.
    pub(super) fn add(&mut self, record: &Record<'_>, problems: &mut Problems) -> Result<(), Full> {
        if self.current.owner != record.owner {
            self.end_run(problems)?;
            self.current.begin(record.owner);
        }
        self.current.add(record);
        Ok(())
    }

    /// Writes the run at hand; to be called after the last record.
    pub(super) fn end_run(&mut self, problems: &mut Problems) -> Result<(), Full> {
        if self.current.records.is_empty() {
            return Ok(());
        }
        let run = self.write_current(Orphans::Keep, problems)?;
        self.runs.push(run);
        Ok(())
    }

    /// Writes several runs of one owner as one; the blocks they had are of no use any more.
    pub(super) fn join(&mut self, runs: &[Run], orphans: Orphans, problems: &mut Problems) -> Result<Run, Full> {
        for (position, run) in runs.iter().enumerate() {
            self.waste += Block::at(&self.arena, run.at).octets();
            block::set(&mut self.arena, run.at, Trait::Waste);
            let records = RunRecords::new(&self.arena, &self.places, *run);
            if position == 0 {
                self.current.begin(records.owner);
            }
            for record in records {
                self.record_count -= 1;
                self.current.add(&record);
            }
        }
        self.write_current(orphans, problems)
    }

    fn write_current(&mut self, orphans: Orphans, problems: &mut Problems) -> Result<Run, Full> {
        if !self.current.is_single() {
            self.current.sort();
            self.has_orphans |= self.current.check(orphans, problems);
        }
        self.record_count += self.current.records.len();
        let types = self.current.types();
        let mut run = Run {
            key: order_prefix(&self.current.owner, &self.apex) & !0xff | u64::from(u8::from(types)),
            at: self.current.write(&mut self.arena)?,
            places: self.add_places()?,
        };
        let kind = if types.have_ns() {
            NodeKind::Delegation
        } else {
            NodeKind::Authoritative
        };
        if self.current.is_ordinary_child(&self.apex) && types.are_plain(kind, false) && !types.are_nsec3() {
            block::set_kind(&mut self.arena, run.at, kind);
            run.key |= PLAIN_CHILD;
        }
        Ok(run)
    }

    /// A block without records has no list.
    fn add_places(&mut self) -> Result<ListId, Full> {
        let records = &self.current.records;
        if records.is_empty() {
            return Ok(ListId::default());
        }
        self.places.add(records.iter().map(|item| item.place)).map_err(|_| Full)
    }

    /// The records of a run.
    pub(super) fn records_of(&self, run: Run) -> RunRecords<'_> {
        RunRecords::new(&self.arena, &self.places, run)
    }

    /// Takes a run out that has no place in the zone.
    pub(super) fn drop_run(&mut self, run: Run) {
        self.record_count -= self.records_of(run).count();
        self.waste += Block::at(&self.arena, run.at).octets();
        block::set(&mut self.arena, run.at, Trait::Waste);
    }

    /// Lets only those runs be that were not taken out.
    pub(super) fn forget_dropped_runs(&mut self) {
        if self.waste > 0 {
            let arena = &self.arena;
            self.runs.retain(|run| !Block::at(arena, run.at).has(Trait::Waste));
        }
    }

    /// Takes over an arena into which the blocks of all runs were copied in their order: `new_place` says where each one is.
    pub(super) fn move_to(&mut self, arena: Vec<u8>, new_place: impl Fn(u32) -> u32) {
        self.arena = arena;
        self.runs.iter_mut().for_each(|run| run.at = new_place(run.at));
        self.waste = 0;
        self.is_sorted = true;
    }

    /// Takes the arena out and keeps the rest, from which [`Sources::records`] finds the places again.
    pub(super) fn into_sources(self) -> (Vec<u8>, Sources) {
        let sources = Sources {
            runs: if self.is_sorted { self.runs } else { Vec::new() },
            places: self.places,
        };
        (self.arena, sources)
    }
}

impl Current {
    fn begin(&mut self, owner: &[u8]) {
        self.owner.clear();
        self.owner.extend_from_slice(owner);
        self.octets.clear();
        self.records.clear();
    }

    fn add(&mut self, record: &Record<'_>) {
        self.records.push(Item {
            record_type: record.record_type,
            ttl: record.ttl,
            start: self.octets.len() as u32,
            octets: record.rdata.len() as u16,
            place: record.place,
        });
        self.octets.extend_from_slice(record.rdata);
    }

    /// True for one record that is no signature: there is nothing to be sorted and nothing to be wrong among them.
    fn is_single(&self) -> bool {
        matches!(&self.records[..], [record] if !record.is_signature())
    }

    /// The owner is one label below the apex, and neither a wildcard nor the apex twice.
    fn is_ordinary_child(&self, apex: &[u8]) -> bool {
        let Some((label, above)) = self.owner.split_at_checked(1 + usize::from(self.owner[0])) else {
            return false;
        };
        name::equal(above, apex) && label != b"\x01*" && !apex.split_last().is_some_and(|(_, labels)| name::equal(label, labels))
    }

    fn types(&self) -> Types {
        let records = self.records.iter();
        records.fold(Types::NONE, |types, record| types.with(record.rrset_type(&self.octets)))
    }

    /// By type, signatures after what they cover, and data, all in canonical order; equal ones as they came.
    fn sort(&mut self) {
        let (records, octets) = (&mut self.records, &self.octets);
        records.sort_by(|one, other| {
            let signatures = || one.is_signature().cmp(&other.is_signature());
            let data = || data_order(one.record_type, one.rdata(octets), other.rdata(octets));
            one.rrset_type(octets)
                .cmp(&other.rrset_type(octets))
                .then_with(signatures)
                .then_with(data)
        });
    }

    /// Tells what is wrong with each RRset, gives its records one TTL, and takes out what is there twice.
    /// Says whether there are signatures over nothing.
    fn check(&mut self, orphans: Orphans, problems: &mut Problems) -> bool {
        let mut has_orphans = false;
        let (owner, octets) = (name::display(&self.owner), &self.octets);
        for rrset in self
            .records
            .chunk_by_mut(|one, other| one.rrset_type(octets) == other.rrset_type(octets))
        {
            let count = rrset.iter().filter(|item| !item.is_signature()).count();
            let (records, signatures) = rrset.split_at_mut(count);
            has_orphans |= records.is_empty();
            if let (None, Orphans::Drop) = (records.first(), orphans) {
                let message = format!("RRSIG of {} records, of which {owner} has none", signatures[0].rrset_type(octets));
                problems.doubt(signatures[0].place, message, "sign the zone again");
            }
            if count > usize::from(u16::MAX) {
                let message = format!("{count} records of one name and type: at most 65535 are allowed");
                problems.error(records[0].place, message, "");
            }
            let ttl = records.iter().map(|item| item.ttl).min().unwrap_or(0);
            if let Some(other) = records.iter().find(|item| item.ttl != ttl) {
                let message = format!("TTL {} here, {ttl} in another {} record of {owner}", other.ttl, other.record_type);
                let cure = "write the same TTL; the lowest one is taken (RFC 2181 section 5.2)";
                problems.doubt(other.place, message, cure);
            }
            rrset.iter_mut().for_each(|item| item.ttl = ttl);
        }
        self.records.dedup_by(|second, first| {
            let is_same =
                first.record_type == second.record_type && data_order(first.record_type, first.rdata(octets), second.rdata(octets)).is_eq();
            if is_same && !second.is_signature() {
                let message = format!("the same {} record is there twice", second.record_type);
                problems.doubt(second.place, message, "remove one of them");
            }
            is_same
        });
        if orphans == Orphans::Drop {
            self.drop_orphans();
        }
        has_orphans
    }

    fn drop_orphans(&mut self) {
        let octets = &self.octets;
        let covered: Vec<RecordType> = self
            .records
            .iter()
            .filter(|item| !item.is_signature())
            .map(|item| item.record_type)
            .collect();
        self.records.retain(|item| covered.contains(&item.rrset_type(octets)));
    }

    fn write(&self, arena: &mut Vec<u8>) -> Result<u32, Full> {
        let octets = &self.octets;
        let mut writer = BlockWriter::begin(arena, &self.owner);
        for rrset in self
            .records
            .chunk_by(|one, other| one.rrset_type(octets) == other.rrset_type(octets))
        {
            let count = rrset.iter().take_while(|item| !item.is_signature()).count();
            let (records, signatures) = rrset.split_at(count);
            let rdata = |item: &Item| item.rdata(octets);
            let (records, signatures) = (records.iter().map(rdata), signatures.iter().map(rdata));
            writer.rrset(rrset[0].rrset_type(octets), rrset[0].ttl, records, signatures);
        }
        writer.finish().map_err(|_| Full)
    }
}

impl Item {
    fn rdata<'r>(&self, octets: &'r [u8]) -> &'r [u8] {
        &octets[self.start as usize..][..usize::from(self.octets)]
    }

    fn is_signature(&self) -> bool {
        self.record_type == RecordType::RRSIG
    }

    /// The type of the RRset that the record belongs to: of a signature, the type it covers.
    fn rrset_type(&self, octets: &[u8]) -> RecordType {
        match self.rdata(octets) {
            [high, low, ..] if self.is_signature() => RecordType(u16::from_be_bytes([*high, *low])),
            _ => self.record_type,
        }
    }
}

/// Where the records of a zone came from.
#[derive(Debug)]
pub(super) struct Sources {
    /// None if blocks and lists of places are in the same order.
    runs: Vec<Run>,
    places: Places,
}

impl Sources {
    /// All records of the zone whose arena this is.
    pub(super) fn records<'z>(&'z self, arena: &'z [u8]) -> Records<'z> {
        Records { arena, sources: self }
    }
}

/// All records of a zone with their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records<'z> {
    arena: &'z [u8],
    sources: &'z Sources,
}

impl<'z> Records<'z> {
    /// All records, those of one name together, signatures after what they cover, in the order in which they lie in memory.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record<'z>> + use<'z> {
        let (arena, places) = (self.arena, &self.sources.places);
        let sorted = self.sources.runs.iter();
        let of_runs = sorted.flat_map(move |run| RunRecords::new(arena, places, *run));
        let in_order = InOrder {
            blocks: block::all(if self.sources.runs.is_empty() { arena } else { &[] }),
            records: None,
            places: places.first(),
            is_waste: false,
        };
        of_runs.chain(in_order)
    }
}

/// The records of blocks that lie in the order of their lists of places.
struct InOrder<'z, B> {
    blocks: B,
    /// Those of one block; it has taken the places along that are left.
    records: Option<RunRecords<'z>>,
    places: places::List<'z>,
    is_waste: bool,
}

impl<'z, B: Iterator<Item = (u32, Block<'z>)>> Iterator for InOrder<'z, B> {
    type Item = Record<'z>;

    fn next(&mut self) -> Option<Record<'z>> {
        loop {
            if let Some(records) = &mut self.records {
                match records.next() {
                    Some(_) if self.is_waste => continue,
                    Some(record) => return Some(record),
                    None => self.places = records.places.clone(),
                }
            }
            // empty non-terminals have no list
            let (_, block) = self.blocks.find(|(_, block)| block.rrsets().next().is_some())?;
            self.is_waste = block.has(Trait::Waste);
            self.records = Some(RunRecords::of_block(block, self.places.next_list()));
        }
    }
}

/// The records of one run, signatures after what they cover.
pub(super) struct RunRecords<'z> {
    owner: &'z [u8],
    rrsets: Rrsets<'z>,
    rrset: Option<Rrset<'z>>,
    records: block::Records<'z>,
    signatures: block::Records<'z>,
    places: places::List<'z>,
}

impl<'z> RunRecords<'z> {
    fn new(arena: &'z [u8], places: &'z Places, run: Run) -> Self {
        Self::of_block(Block::at(arena, run.at), places.list(run.places))
    }

    fn of_block(block: Block<'z>, places: places::List<'z>) -> Self {
        Self {
            owner: block.name(),
            rrsets: block.rrsets(),
            rrset: None,
            records: block::Records::default(),
            signatures: block::Records::default(),
            places,
        }
    }
}

impl<'z> Iterator for RunRecords<'z> {
    type Item = Record<'z>;

    fn next(&mut self) -> Option<Record<'z>> {
        loop {
            if let Some(rrset) = self.rrset {
                let of_rrset = self.records.next().map(|rdata| (rrset.record_type(), rdata));
                let found = of_rrset.or_else(|| self.signatures.next().map(|rdata| (RecordType::RRSIG, rdata)));
                if let Some((record_type, rdata)) = found {
                    return Some(Record {
                        owner: self.owner,
                        record_type,
                        ttl: rrset.ttl(),
                        rdata,
                        place: self.places.next(),
                    });
                }
            }
            let rrset = self.rrsets.next()?;
            (self.records, self.signatures) = (rrset.records(), rrset.signatures());
            self.rrset = Some(rrset);
        }
    }
}

/// Where the names begin that end the data of this type. Two records with one name in different case are one
/// (RFC 4034 §6.2), and compression would send it twice with the same octets.
fn names_offset(record_type: RecordType) -> Option<usize> {
    match record_type {
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => Some(0),
        RecordType::MD | RecordType::MF | RecordType::MB | RecordType::MG | RecordType::MR => Some(0),
        RecordType::MINFO | RecordType::RP => Some(0),
        RecordType::MX | RecordType::AFSDB | RecordType::KX | RecordType::RT | RecordType::PX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}

/// Where the data of this type has the name of a host whose address whoever gets the record will want.
pub(super) fn address_target(record_type: RecordType) -> Option<usize> {
    match record_type {
        RecordType::NS | RecordType::MX | RecordType::SRV => names_offset(record_type),
        _ => None,
    }
}

/// The order of RFC 4034 §6.3 where names are compared without regard to case; equal data are one record.
pub(super) fn data_order(record_type: RecordType, one: &[u8], other: &[u8]) -> Ordering {
    let Some(offset) = names_offset(record_type) else {
        return one.cmp(other);
    };
    let (one, other) = (one.split_at_checked(offset), other.split_at_checked(offset));
    let lower = |octet: &u8| octet.to_ascii_lowercase();
    match (one, other) {
        (Some((one, one_name)), Some((other, other_name))) => one
            .cmp(other)
            .then_with(|| one_name.iter().map(lower).cmp(other_name.iter().map(lower))),
        (one, other) => one.cmp(&other),
    }
}

/// The first octets of the labels below the apex, from the right, in lower case: never larger for a name that comes
/// earlier, so that most comparisons need nothing else.
fn order_prefix(owner: &[u8], apex: &[u8]) -> u64 {
    if !name::is_subdomain(owner, apex) {
        return 0;
    }
    let labels = &owner[..owner.len() - apex.len()];
    if let Some(prefix) = prefix_of_one(labels) {
        return prefix;
    }
    let mut starts = name::LabelStarts::of(labels);
    let mut octets = [0; 8];
    let mut slots = octets.iter_mut();
    while let Some(start) = starts.pop() {
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

/// The same where there is one label and nothing in it that needs care, as in most names of a zone.
fn prefix_of_one(labels: &[u8]) -> Option<u64> {
    let (length, label) = labels.split_first()?;
    let begin = label.get(..label.len().min(8)).filter(|_| label.len() == usize::from(*length))?;
    let mut octets = [0; 8];
    octets[..begin.len()].copy_from_slice(begin);
    let is_plain = begin.iter().all(|octet| *octet > 1);
    is_plain.then(|| u64::from_be_bytes(name::lower_octets(octets)))
}
