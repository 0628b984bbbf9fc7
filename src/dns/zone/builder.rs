//! Records to a zone: names in order, runs of one name joined, empty non-terminals, and what makes a zone unfit to be served.
//!
//! An error means no zone; a warning says that the zone is probably not as it was meant. What may stand together at one
//! name is in `companions`; what needs the finished zone, such as whether the target of an MX has an address, in `checks`.

use super::block::{self, Block, BlockWriter, Trait};
use super::companions::{self, Occluder, Types};
use super::nsec3;
use super::problem::{Place, Problems};
use super::records::{Full, Gathered, Orphans, Record, Run, Sources};
use super::store::{NodeKind, Zone};
use super::table::{NameHash, NameTable};
use crate::dns::name::{self, MAX_NAME, Name};
use crate::dns::types::RecordType;

/// The arena is written anew when more than one part in so many of it is of no use.
const TOLERATED_WASTE: usize = 8;

/// Makes the zone `apex` of what was read, and says where its records came from; none if it has errors, which then are in
/// `problems`.
///
/// With errors there already some lines are missing: only mistakes are told that no missing line can explain.
pub(super) fn build(apex: &Name, mut gathered: Gathered, problems: &mut Problems) -> Option<(Zone, Sources)> {
    let complete = !problems.has_errors();
    let outcome = gathered.end_run(problems).and_then(|()| join_runs(&mut gathered, problems));
    let mut builder = Builder {
        origin: apex.as_wire(),
        gathered,
        problems,
        complete,
        order: Vec::new(),
        hashed: Vec::new(),
        wildcards: Vec::new(),
        previous: None,
        apex: None,
        apex_hides_nothing: false,
        occluder: None,
    };
    let outcome = outcome.and_then(|()| builder.nodes());
    if complete {
        builder.check_apex();
    }
    if outcome.is_err() && complete {
        builder
            .problems
            .error(Place::default(), "the zone is larger than 4 GiB", "split it into several zones");
    }
    builder.problems.settle_doubts(complete);
    if builder.problems.has_errors() {
        return None;
    }
    builder.finish(apex)
}

/// Sorts the runs and makes one of all those that belong to one name.
fn join_runs(gathered: &mut Gathered, problems: &mut Problems) -> Result<(), Full> {
    let mut runs = std::mem::take(&mut gathered.runs);
    let arena = &gathered.arena;
    let name_of = |run: &Run| Block::at(arena, run.at).name();
    let is_same = |one: &Run, other: &Run| one.prefix() == other.prefix() && name::equal(name_of(one), name_of(other));
    // most names differ in their beginnings, which are compared without a look at the names
    runs.sort_unstable_by_key(Run::prefix);
    let mut is_any_same = false;
    for alike in runs
        .chunk_by_mut(|one, other| one.prefix() == other.prefix())
        .filter(|alike| alike.len() > 1)
    {
        alike.sort_unstable_by(|one, other| name::canonical_order(name_of(one), name_of(other)).then_with(|| one.at.cmp(&other.at)));
        is_any_same = is_any_same || alike.windows(2).any(|pair| is_same(&pair[0], &pair[1]));
    }
    if gathered.has_orphans || is_any_same {
        let ends: Vec<usize> = runs
            .chunk_by(is_same)
            .scan(0, |end, group| {
                *end += group.len();
                Some(*end)
            })
            .collect();
        let mut joined = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            let group = &runs[start..end];
            start = end;
            let is_orphaned = |run: &Run| Block::at(&gathered.arena, run.at).rrsets().any(|rrset| rrset.is_empty());
            joined.push(match group {
                [run] if !is_orphaned(run) => *run,
                _ => gathered.join(group, Orphans::Drop, problems)?,
            });
        }
        // nothing is left of a name that had nothing but signatures
        joined.retain(|run| {
            let is_empty = Block::at(&gathered.arena, run.at).rrsets().next().is_none();
            if is_empty {
                block::set(&mut gathered.arena, run.at, Trait::Waste);
            }
            !is_empty
        });
        runs = joined;
    }
    gathered.runs = runs;
    Ok(())
}

struct Builder<'p> {
    origin: &'p [u8],
    gathered: Gathered,
    problems: &'p mut Problems,
    /// All lines could be read.
    complete: bool,
    /// The blocks of all names.
    order: Vec<u32>,
    /// The blocks of the owners of NSEC3 records.
    hashed: Vec<u32>,
    /// Those of the names that are wildcards.
    wildcards: Vec<u32>,
    /// The block of the last node.
    previous: Option<u32>,
    apex: Option<Run>,
    /// False while the apex is not seen, and if it has a DNAME.
    apex_hides_nothing: bool,
    /// The last name that hides what is below it: a zone cut, or, if true, a DNAME.
    occluder: Option<(Run, bool)>,
}

impl Builder<'_> {
    fn nodes(&mut self) -> Result<(), Full> {
        self.order.reserve_exact(self.gathered.runs.len());
        for position in 0..self.gathered.runs.len() {
            self.node(self.gathered.runs[position])?;
        }
        Ok(())
    }

    /// Enters the node of a run, and the empty non-terminals above it.
    fn node(&mut self, run: Run) -> Result<(), Full> {
        if run.is_plain_child() && self.apex_hides_nothing {
            self.occluder = run.types().have_ns().then_some((run, false));
            self.previous = Some(run.at);
            self.order.push(run.at);
            return Ok(());
        }
        let block = Block::at(&self.gathered.arena, run.at);
        let types = run.types();
        let mut buffer = [0; MAX_NAME];
        let owner = &mut buffer[..block.name().len()];
        owner.copy_from_slice(block.name());
        if !name::is_subdomain(owner, self.origin) {
            if self.complete {
                let (apex, owner) = (name::display(self.origin), name::display(owner));
                let message = format!("{owner} is not in the zone {apex} and is left out");
                self.problems
                    .warning(self.first_place(run), message, "remove the record, or mend $ORIGIN");
            }
            self.gathered.drop_run(run);
            return Ok(());
        }
        if types.are_nsec3() && name::parent(owner).is_some_and(|parent| name::equal(parent, self.origin)) {
            block::set(&mut self.gathered.arena, run.at, Trait::Hashed);
            self.hashed.push(run.at);
            return Ok(());
        }
        self.check_doubled_apex(owner, run);
        self.empty_non_terminals(owner)?;
        self.previous = Some(run.at);
        let kind = self.kind(owner, types, run);
        if name::equal(owner, self.origin) {
            self.apex = Some(run);
            self.apex_hides_nothing = self.occluder.is_none();
        }
        block::set_kind(&mut self.gathered.arena, run.at, kind);
        self.check_companions(types, kind, run);
        if owner.starts_with(b"\x01*") {
            self.wildcards.push(run.at);
        }
        self.order.push(run.at);
        Ok(())
    }

    /// Enters the names between `owner` and what it shares with the node before it, the uppermost first.
    fn empty_non_terminals(&mut self, owner: &[u8]) -> Result<(), Full> {
        let mut missing = Vec::new();
        let mut ancestor = name::parent(owner);
        let previous = self.previous.map_or(self.origin, |at| Block::at(&self.gathered.arena, at).name());
        while let Some(name) = ancestor.filter(|name| !name::is_subdomain(previous, name)) {
            missing.push(name);
            ancestor = name::parent(name);
        }
        for name in missing.into_iter().rev() {
            let at = BlockWriter::begin(&mut self.gathered.arena, name).finish().map_err(|_| Full)?;
            let kind = if self.is_occluded(name) {
                NodeKind::Occluded
            } else {
                NodeKind::EmptyNonTerminal
            };
            block::set_kind(&mut self.gathered.arena, at, kind);
            if name.starts_with(b"\x01*") {
                self.wildcards.push(at);
            }
            self.order.push(at);
        }
        Ok(())
    }

    fn is_occluded(&self, owner: &[u8]) -> bool {
        let name_of = |run: Run| Block::at(&self.gathered.arena, run.at).name();
        self.occluder.is_some_and(|(run, _)| name::is_subdomain(owner, name_of(run)))
    }

    fn kind(&mut self, owner: &[u8], types: Types, run: Run) -> NodeKind {
        if self.is_occluded(owner) {
            return NodeKind::Occluded;
        }
        let is_cut = types.have_ns() && !name::equal(owner, self.origin);
        let has_dname = || types.may_have_dname() && self.has(run, RecordType::DNAME);
        self.occluder = (is_cut || has_dname()).then_some((run, !is_cut));
        if is_cut { NodeKind::Delegation } else { NodeKind::Authoritative }
    }

    /// Tells what may not stand together at one name.
    fn check_companions(&mut self, types: Types, kind: NodeKind, run: Run) {
        let is_below_dname = self.occluder.is_some_and(|(_, is_dname)| is_dname);
        if types.are_plain(kind, is_below_dname) {
            return;
        }
        let records: Vec<Record<'_>> = self.gathered.records_of(run).collect();
        let gathered = &self.gathered;
        let occluder = self.occluder.map(|(run, is_dname)| Occluder {
            name: Block::at(&gathered.arena, run.at).name(),
            is_dname,
            place: place_of(gathered, run, if is_dname { RecordType::DNAME } else { RecordType::NS }),
        });
        companions::check(self.origin, &records, kind, occluder, self.complete, self.problems);
    }

    fn has(&self, run: Run, record_type: RecordType) -> bool {
        let mut rrsets = Block::at(&self.gathered.arena, run.at).rrsets();
        rrsets.any(|rrset| rrset.record_type() == record_type)
    }

    /// What every zone must have.
    fn check_apex(&mut self) {
        let apex = name::display(self.origin);
        if !self.apex.is_some_and(|run| self.has(run, RecordType::SOA)) {
            self.problems.error(
                Place::default(),
                format!("no SOA record of {apex}"),
                "begin the zone with '@ SOA primary mailbox serial refresh retry expire minimum'",
            );
        }
        if !self.apex.is_some_and(|run| self.has(run, RecordType::NS)) {
            self.problems.error(
                Place::default(),
                format!("no NS record of {apex}"),
                "name its servers with '@ NS name'",
            );
        }
    }

    /// `www.example.com` without its last dot, in the zone `example.com.`
    fn check_doubled_apex(&mut self, owner: &[u8], run: Run) {
        if self.complete && is_doubled(owner, self.origin) {
            let message = format!("{} has the zone's name twice", name::display(owner));
            self.problems
                .warning(self.first_place(run), message, "end an absolute name with a dot");
        }
    }

    fn first_place(&self, run: Run) -> Place {
        self.gathered.records_of(run).next().map_or(Place::default(), |record| record.place)
    }

    fn finish(mut self, apex: &Name) -> Option<(Zone, Sources)> {
        self.gathered.forget_dropped_runs();
        let name_count = self.order.len();
        self.order.append(&mut self.hashed);
        self.drop_waste();
        let record_count = self.gathered.record_count;
        let (arena, sources) = self.gathered.into_sources();
        let mut zone = Zone {
            apex: apex.clone(),
            apex_hash: NameHash::of(&apex.as_wire().to_ascii_lowercase()),
            table: NameTable::with_capacity(name_count),
            arena,
            order: self.order.into(),
            name_count: u32::try_from(name_count).ok()?,
            denial_chain: None,
            record_count,
            serial: 0,
            negative_ttl: 0,
        };
        zone.arena.shrink_to_fit();
        fill_table(&mut zone);
        mark_wildcards(&mut zone, &self.wildcards);
        (zone.serial, zone.negative_ttl) = soa_fields(&zone)?;
        zone.denial_chain = nsec3::take_chain(&mut zone);
        Some((zone, sources))
    }

    /// Writes the arena anew if much of it is blocks that were joined with others.
    fn drop_waste(&mut self) {
        let old = &self.gathered.arena;
        if self.gathered.waste * TOLERATED_WASTE < old.len() {
            return;
        }
        let mut arena = Vec::with_capacity(old.len() - self.gathered.waste);
        let mut moved: Vec<(u32, u32)> = Vec::with_capacity(self.order.len());
        for at in &mut self.order {
            let block = &old[*at as usize..][..Block::at(old, *at).octets()];
            moved.push((*at, arena.len() as u32));
            *at = arena.len() as u32;
            arena.extend_from_slice(block);
        }
        moved.sort_unstable();
        let new_place = |at: u32| moved.binary_search_by_key(&at, |(old, _)| *old).map_or(0, |found| moved[found].1);
        self.wildcards.iter_mut().for_each(|at| *at = new_place(*at));
        self.gathered.move_to(arena, new_place);
    }
}

fn place_of(gathered: &Gathered, run: Run, record_type: RecordType) -> Place {
    let mut records = gathered.records_of(run);
    let found = records.find(|record| record.record_type == record_type);
    found.map_or(Place::default(), |record| record.place)
}

/// Enters all names into the hash table: in the order in which they lie in the arena, which is read once and from end to end.
///
/// Some names at a time: first all are hashed, then the places of all of them in the table are read, then they are entered.
/// With nothing else between the reads the processor waits for memory once, not for each of them.
fn fill_table(zone: &mut Zone) {
    const AT_A_TIME: usize = 64;
    let apex = zone.apex.as_wire().len();
    let mut buffer = [0; MAX_NAME];
    let mut some: [(NameHash, u32); AT_A_TIME] = [(NameHash::ROOT, 0); AT_A_TIME];
    let mut names = block::all(&zone.arena).filter(|(_, block)| !block.has(Trait::Hashed) && !block.has(Trait::Waste));
    loop {
        let mut count = 0;
        for (slot, (at, block)) in some.iter_mut().zip(&mut names) {
            let name = block.name();
            let labels = name::lower_into(&name[..name.len() - apex], &mut buffer);
            *slot = (NameHash::below(zone.apex_hash, labels), at);
            count += 1;
        }
        let some = &some[..count];
        some.iter().for_each(|(hash, _)| zone.table.touch(*hash));
        some.iter().for_each(|(hash, at)| zone.table.insert(*hash, *at));
        if count < AT_A_TIME {
            return;
        }
    }
}

/// Says of the names right above the wildcards that they have one.
fn mark_wildcards(zone: &mut Zone, wildcards: &[u32]) {
    let mut buffer = [0; MAX_NAME];
    for at in wildcards {
        let above = name::parent(Block::at(&zone.arena, *at).name()).unwrap_or_default();
        let above = name::lower_into(above, &mut buffer);
        let is_it = |at| name::equal(Block::at(&zone.arena, at).name(), above);
        if let Some(above) = zone.table.find(NameHash::of(above), is_it) {
            block::set(&mut zone.arena, above, Trait::HasWildcard);
        }
    }
}

/// Serial number and TTL of negative answers.
fn soa_fields(zone: &Zone) -> Option<(u32, u32)> {
    let soa = zone.apex_node().rrset(RecordType::SOA)?;
    let rdata = soa.records().next()?;
    let numbers = rdata.len().checked_sub(20)?;
    Some((block::u32_at(rdata, numbers), soa.ttl().min(block::u32_at(rdata, numbers + 16))))
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
