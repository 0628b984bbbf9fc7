//! How a name with its RRsets lies in the arena of a [`Zone`](super::Zone): one run of memory that a lookup reads once.
//!
//! Nothing here knows what the records mean. `records` writes blocks while a file is read, `store` reads them.
//!
//! ```text
//! block  octets of name u8 | traits u8 | RRsets u16 | name | RRset | RRset ...
//! RRset  type u16 | records u16 | TTL u32 | octets of records u16 | octets of signatures u16 | records | signatures
//! record octets u16 | rdata
//! ```
//!
//! An RRset whose octets do not fit into 16 bits says 65535 for those of its records; both numbers follow in 32 bits.

use super::store::NodeKind;
use crate::dns::types::RecordType;

/// Octets of a block's head.
pub(super) const HEAD: usize = 4;
const RRSET_HEAD: usize = 12;
const WIDE_HEAD: usize = RRSET_HEAD + 8;
/// Instead of the octets of the records in the head of a wide RRset.
const WIDE: u16 = u16::MAX;

const KIND: u8 = 0b11;

/// What else is known of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Trait {
    /// A wildcard is right below its name.
    HasWildcard = 0b100,
    /// It is the owner of NSEC3 records, and no name that a question could ask for.
    Hashed = 0b1000,
    /// It was joined with others and is not served.
    Waste = 0b1_0000,
}

/// The arena would be larger than its 32-bit offsets can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A name and its RRsets: the arena from where the block begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'z>(&'z [u8]);

impl<'z> Block<'z> {
    /// The block that begins at `at`.
    pub(super) fn at(arena: &'z [u8], at: u32) -> Self {
        Self(&arena[at as usize..])
    }

    /// The name in wire form, in the case of the zone file.
    pub(super) fn name(self) -> &'z [u8] {
        &self.0[HEAD..HEAD + usize::from(self.0[0])]
    }

    /// How the name is answered.
    pub(super) fn kind(self) -> NodeKind {
        NodeKind::ALL[usize::from(self.0[1] & KIND)]
    }

    /// True if the block has this trait.
    pub(super) fn has(self, which: Trait) -> bool {
        self.0[1] & which as u8 != 0
    }

    /// The RRsets in the order of their types.
    pub(super) fn rrsets(self) -> Rrsets<'z> {
        Rrsets {
            octets: &self.0[HEAD + usize::from(self.0[0])..],
            left: u16::from_be_bytes([self.0[2], self.0[3]]),
        }
    }

    /// Octets of the whole block.
    pub(super) fn octets(self) -> usize {
        let mut rrsets = self.rrsets();
        while rrsets.next().is_some() {}
        self.0.len() - rrsets.octets.len()
    }
}

/// Says how the name of the block at `at` is answered.
pub(super) fn set_kind(arena: &mut [u8], at: u32, kind: NodeKind) {
    let traits = &mut arena[at as usize + 1];
    *traits = *traits & !KIND | kind as u8;
}

/// Gives the block at `at` a trait.
pub(super) fn set(arena: &mut [u8], at: u32, which: Trait) {
    arena[at as usize + 1] |= which as u8;
}

/// All blocks of an arena in the order in which they lie there.
pub(super) fn all(arena: &[u8]) -> impl Iterator<Item = (u32, Block<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let block = (at < arena.len()).then(|| Block(&arena[at..]))?;
        let start = at as u32;
        at += block.octets();
        Some((start, block))
    })
}

/// Writes one block at the end of an arena.
#[derive(Debug)]
pub(super) struct BlockWriter<'a> {
    arena: &'a mut Vec<u8>,
    start: usize,
    rrsets: u16,
}

impl<'a> BlockWriter<'a> {
    /// Begins the block of this wire name.
    pub(super) fn begin(arena: &'a mut Vec<u8>, name: &[u8]) -> Self {
        let start = arena.len();
        arena.extend_from_slice(&[u8::try_from(name.len()).unwrap_or(u8::MAX), NodeKind::Authoritative as u8, 0, 0]);
        arena.extend_from_slice(name);
        Self { arena, start, rrsets: 0 }
    }

    /// Writes an RRset: `records` and `signatures` hand out rdata, less than 65,536 each.
    pub(super) fn rrset<'r>(
        &mut self,
        record_type: RecordType,
        ttl: u32,
        records: impl Iterator<Item = &'r [u8]> + Clone,
        signatures: impl Iterator<Item = &'r [u8]> + Clone,
    ) {
        let octets = |rdata: &mut dyn Iterator<Item = &'r [u8]>| rdata.map(|rdata| 2 + rdata.len()).sum::<usize>() as u32;
        let of_records = octets(&mut records.clone());
        let of_signatures = octets(&mut signatures.clone());
        self.rrsets += 1;
        let narrow = match (u16::try_from(of_records), u16::try_from(of_signatures)) {
            (Ok(of_records), Ok(of_signatures)) if of_records != WIDE => Some([of_records, of_signatures]),
            _ => None,
        };
        let [of_records_or_wide, of_signatures_or_none] = narrow.unwrap_or([WIDE, 0]).map(u16::to_be_bytes);
        let mut head = [0; RRSET_HEAD];
        head[..2].copy_from_slice(&record_type.0.to_be_bytes());
        head[2..4].copy_from_slice(&(records.clone().count() as u16).to_be_bytes());
        head[4..8].copy_from_slice(&ttl.to_be_bytes());
        head[8..10].copy_from_slice(&of_records_or_wide);
        head[10..].copy_from_slice(&of_signatures_or_none);
        self.put(&head);
        if narrow.is_none() {
            self.put(&of_records.to_be_bytes());
            self.put(&of_signatures.to_be_bytes());
        }
        for rdata in records.chain(signatures) {
            self.put(&(rdata.len() as u16).to_be_bytes());
            self.put(rdata);
        }
    }

    /// Ends the block and says where it begins.
    pub(super) fn finish(self) -> Result<u32, Full> {
        self.arena[self.start + 2..self.start + HEAD].copy_from_slice(&self.rrsets.to_be_bytes());
        u32::try_from(self.arena.len()).map_err(|_| Full)?;
        u32::try_from(self.start).map_err(|_| Full)
    }

    fn put(&mut self, octets: &[u8]) {
        self.arena.extend_from_slice(octets);
    }
}

/// The RRsets of a node, in the order of their types.
#[derive(Clone, Debug)]
pub struct Rrsets<'z> {
    octets: &'z [u8],
    left: u16,
}

impl<'z> Iterator for Rrsets<'z> {
    type Item = Rrset<'z>;

    fn next(&mut self) -> Option<Rrset<'z>> {
        self.left = self.left.checked_sub(1)?;
        let (rrset, rest) = Rrset::first_of(self.octets);
        self.octets = rest;
        Some(rrset)
    }
}

/// The records of one name and one type, with the signatures that cover them.
#[derive(Clone, Copy, Debug)]
pub struct Rrset<'z>(&'z [u8]);

impl<'z> Rrset<'z> {
    /// The RRset that begins here, and what follows it.
    fn first_of(octets: &'z [u8]) -> (Self, &'z [u8]) {
        let parts = Self(octets).parts();
        let (rrset, rest) = octets.split_at(parts.end);
        (Self(rrset), rest)
    }

    /// Where records and signatures are.
    fn parts(&self) -> Parts {
        let head = self.0;
        let (start, of_records, of_signatures) = match u16_at(head, 8) {
            WIDE => (WIDE_HEAD, u32_at(head, RRSET_HEAD) as usize, u32_at(head, RRSET_HEAD + 4) as usize),
            of_records => (RRSET_HEAD, usize::from(of_records), usize::from(u16_at(head, 10))),
        };
        Parts {
            records: start,
            signatures: start + of_records,
            end: start + of_records + of_signatures,
        }
    }

    /// The type of the records.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        RecordType(u16_at(self.0, 0))
    }

    /// The TTL of the records and of their signatures, in seconds.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        u32_at(self.0, 4)
    }

    /// How many records there are, signatures not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(u16_at(self.0, 2))
    }

    /// Never true in a zone that is served: an RRset has at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rdata of each record, in canonical order, names uncompressed.
    #[must_use]
    pub fn records(&self) -> Records<'z> {
        let parts = self.parts();
        Records(&self.0[parts.records..parts.signatures])
    }

    /// The rdata of each RRSIG that covers this RRset.
    #[must_use]
    pub fn signatures(&self) -> Records<'z> {
        let parts = self.parts();
        Records(&self.0[parts.signatures..parts.end])
    }

    /// True if there are signatures.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let parts = self.parts();
        parts.signatures < parts.end
    }
}

/// Offsets in an RRset.
struct Parts {
    records: usize,
    signatures: usize,
    end: usize,
}

/// The rdata of one record after the other.
#[derive(Clone, Debug, Default)]
pub struct Records<'z>(&'z [u8]);

impl<'z> Iterator for Records<'z> {
    type Item = &'z [u8];

    fn next(&mut self) -> Option<&'z [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        self.0 = rest;
        Some(rdata)
    }
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

pub(super) fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_what_was_written() {
        let mut arena = vec![1, 0, 0, 0, 0];
        let large = vec![7; 40_000];
        let (small, signature): ([&[u8]; 2], [&[u8]; 1]) = ([b"a", b""], [b"signed"]);
        let mut writer = BlockWriter::begin(&mut arena, b"\x01a\0");
        writer.rrset(RecordType::A, 60, small.into_iter(), signature.into_iter());
        writer.rrset(RecordType::TXT, 61, [&large[..], &large[..]].into_iter(), std::iter::empty());
        writer.rrset(RecordType::AAAA, 62, std::iter::empty(), signature.into_iter());
        let at = writer.finish().unwrap();
        let end = arena.len();
        arena.extend([1, 0, 0, 0, 0]);
        assert!(all(&arena).map(|(at, _)| at as usize).eq([0, 5, end]));
        set_kind(&mut arena, at, NodeKind::Occluded);
        set(&mut arena, at, Trait::HasWildcard);
        let block = Block::at(&arena, at);
        assert_eq!(
            (at, block.name(), block.kind(), block.has(Trait::HasWildcard)),
            (5, &b"\x01a\0"[..], NodeKind::Occluded, true)
        );
        assert_eq!(at as usize + block.octets(), end);
        let rrsets: Vec<Rrset<'_>> = block.rrsets().collect();
        assert_eq!(
            rrsets
                .iter()
                .map(|rrset| (rrset.record_type(), rrset.ttl(), rrset.len()))
                .collect::<Vec<_>>(),
            [(RecordType::A, 60, 2), (RecordType::TXT, 61, 2), (RecordType::AAAA, 62, 0),]
        );
        assert_eq!(rrsets[0].records().collect::<Vec<_>>(), small);
        assert_eq!(rrsets[0].signatures().collect::<Vec<_>>(), signature);
        assert!(rrsets[1].records().all(|rdata| rdata == large) && !rrsets[1].is_signed());
        assert!(rrsets[2].is_empty() && rrsets[2].is_signed());
    }
}
