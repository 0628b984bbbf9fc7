//! The zone as it is served: immutable, in one arena, found by hash and walked in canonical order.
//!
//! A node is eight octets: where its part of the arena begins, and how its name is to be treated. That part holds the
//! name in wire form and right after it the RRsets, each a header, the records, and the signatures that cover them, so
//! that a lookup touches the hash slot, the node, and one run of memory. Nodes lie in canonical order (RFC 4034 §6.1),
//! empty non-terminals included; after all of them, and in an order of their own, come the owners of NSEC3 records, which
//! are no names that a question could ask for (RFC 5155 §7.2.8). Nothing here checks a zone: that is the builder's part.
//!
//! ```text
//! node   name | rrset | rrset ...
//! rrset  type u16 | records u16 | ttl u32 | octets of records u32 | octets of signatures u32 | records | signatures
//! record length u16 | rdata
//! ```

use std::ops::Range;

use super::nsec3::{DenialChain, Nsec3, Nsec3Chain};
use super::table::{NameTable, hash_name};
use crate::dns::name::{self, MAX_NAME, Name};
use crate::dns::types::RecordType;

const RRSET_HEADER: usize = 16;

/// An immutable zone.
#[derive(Debug)]
pub struct Zone {
    pub(super) apex: Name,
    pub(super) arena: Vec<u8>,
    pub(super) nodes: Vec<NodeEntry>,
    /// So many nodes are names; those behind them are the owners of NSEC3 records.
    pub(super) name_count: u32,
    pub(super) table: NameTable,
    pub(super) denial_chain: Option<DenialChain>,
    pub(super) record_count: usize,
    pub(super) soa_at: usize,
    pub(super) serial: u32,
    pub(super) negative_ttl: u32,
}

/// How names at a node are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// The zone's own data.
    Authoritative,
    /// No records, but names below that have some (RFC 4592 §2.2.2).
    EmptyNonTerminal,
    /// A zone cut: NS records, and not the apex.
    Delegation,
    /// Below a zone cut or below a DNAME: glue, or not visible at all.
    Occluded,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct NodeEntry {
    /// Where the name and the RRsets begin in the arena.
    pub(super) start: u32,
    pub(super) rrset_count: u16,
    pub(super) name_length: u8,
    pub(super) kind: NodeKind,
}

impl Zone {
    /// The name of the zone.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The serial number of the SOA.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The TTL of the SOA in negative answers: the lesser of its own TTL and its MINIMUM field (RFC 2308 §5), in seconds.
    #[must_use]
    pub fn negative_ttl(&self) -> u32 {
        self.negative_ttl
    }

    /// The SOA of the zone. In negative answers it has [`Zone::negative_ttl`] instead of its own TTL.
    #[must_use]
    pub fn soa(&self) -> Rrset<'_> {
        Rrset::first_of(&self.arena[self.soa_at..]).0
    }

    /// How many records there are, signatures included.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// How many nodes there are, empty non-terminals and owners of NSEC3 records included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Octets of memory that the zone takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        let hashes = match &self.denial_chain {
            Some(DenialChain::Nsec3(chain)) => chain.octets(),
            Some(DenialChain::Nsec) | None => 0,
        };
        self.arena.capacity() + self.nodes.capacity() * size_of::<NodeEntry>() + self.table.octets() + hashes
    }

    /// The node with exactly this name, which must be lower-cased wire form.
    #[must_use]
    pub fn node(&self, lower_wire_name: &[u8]) -> Option<Node<'_>> {
        let is_it = |index| self.at(index).name().eq_ignore_ascii_case(lower_wire_name);
        self.table.find(hash_name(lower_wire_name), is_it).map(|index| self.at(index))
    }

    /// The node of the zone's own name.
    #[must_use]
    pub fn apex_node(&self) -> Node<'_> {
        self.at(0)
    }

    /// The deepest existing node at or above this lower-cased wire name; none when the name is not in the zone.
    #[must_use]
    pub fn closest_encloser(&self, lower_wire_name: &[u8]) -> Option<Node<'_>> {
        let mut name = lower_wire_name;
        while name.len() >= self.apex.as_wire().len() {
            if let Some(node) = self.node(name) {
                return Some(node);
            }
            name = name::parent(name)?;
        }
        None
    }

    /// The last node that is canonically at or before this wire name, in any case; the very last one for a name before the apex.
    #[must_use]
    pub fn at_or_before(&self, wire_name: &[u8]) -> Node<'_> {
        let before = |entry: &NodeEntry| name::canonical_order(self.name_of(entry), wire_name).is_le();
        let names = self.name_count as usize;
        let count = self.nodes[..names].partition_point(before);
        self.at(index_of(count.checked_sub(1).unwrap_or(names - 1)))
    }

    /// How this zone proves what is not there; none if it is not signed.
    #[must_use]
    pub fn denial_chain(&self) -> Option<&DenialChain> {
        self.denial_chain.as_ref()
    }

    /// The node whose NSEC record matches or covers this wire name, in any case; none where the chain is broken.
    #[must_use]
    pub fn nsec(&self, wire_name: &[u8]) -> Option<Node<'_>> {
        self.at_or_before(wire_name).nsec()
    }

    /// The NSEC3 record that matches or covers this lower-cased wire name in the zone's own `chain`.
    #[must_use]
    pub fn nsec3(&self, chain: &Nsec3Chain, lower_wire_name: &[u8]) -> Nsec3<'_> {
        chain.find(self, lower_wire_name)
    }

    /// All nodes in canonical order, the apex first; then the owners of NSEC3 records.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Node<'_>> + ExactSizeIterator {
        (0..self.nodes.len()).map(|index| self.at(index_of(index)))
    }

    pub(super) fn at(&self, index: u32) -> Node<'_> {
        Node { zone: self, index }
    }

    pub(super) fn name_of(&self, entry: &NodeEntry) -> &[u8] {
        let start = entry.start as usize;
        &self.arena[start..start + usize::from(entry.name_length)]
    }
}

/// A name of a zone with its RRsets.
#[derive(Clone, Copy, Debug)]
pub struct Node<'z> {
    zone: &'z Zone,
    index: u32,
}

impl<'z> Node<'z> {
    /// The whole name in wire form, in the case of the zone file.
    #[must_use]
    pub fn name(&self) -> &'z [u8] {
        self.zone.name_of(self.entry())
    }

    /// How names here are answered.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.entry().kind
    }

    /// True for the node of the zone's own name.
    #[must_use]
    pub fn is_apex(&self) -> bool {
        self.index == 0
    }

    /// The RRset of this type. RRSIG is none of its own: see [`Rrset::signatures`].
    #[must_use]
    pub fn rrset(&self, record_type: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().find(|rrset| rrset.record_type() == record_type)
    }

    /// All RRsets in the order of their types.
    #[must_use]
    pub fn rrsets(&self) -> Rrsets<'z> {
        let entry = self.entry();
        let start = entry.start as usize + usize::from(entry.name_length);
        Rrsets {
            octets: &self.zone.arena[start..],
            left: entry.rrset_count,
        }
    }

    /// The next node in canonical order; the apex after the last one. Owners of NSEC3 records have a ring of their own.
    #[must_use]
    pub fn next(&self) -> Self {
        let ring = self.ring();
        let next = self.index + 1;
        self.zone.at(if next == ring.end { ring.start } else { next })
    }

    /// The previous node in canonical order; the last one before the apex. Owners of NSEC3 records have a ring of their own.
    #[must_use]
    pub fn previous(&self) -> Self {
        let ring = self.ring();
        self.zone.at(if self.index == ring.start { ring.end - 1 } else { self.index - 1 })
    }

    fn ring(&self) -> Range<u32> {
        let names = self.zone.name_count;
        if self.index < names {
            0..names
        } else {
            names..index_of(self.zone.nodes.len())
        }
    }

    /// The node one label up; none for the apex.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_apex() {
            return None;
        }
        let mut buffer = [0; MAX_NAME];
        let lower = name::lower_into(self.name(), &mut buffer);
        self.zone.node(name::parent(lower)?)
    }

    /// The zone cut at or above this node, if it is one or lies below one.
    #[must_use]
    pub fn cut(&self) -> Option<Self> {
        match self.kind() {
            NodeKind::Delegation => Some(*self),
            NodeKind::Occluded => self.parent()?.cut(),
            NodeKind::Authoritative | NodeKind::EmptyNonTerminal => None,
        }
    }

    /// The node whose NSEC record matches or covers this node's name; none where the chain is broken.
    #[must_use]
    pub fn nsec(&self) -> Option<Self> {
        let mut node = *self;
        while node.rrset(RecordType::NSEC).is_none() {
            node = match node.kind() {
                NodeKind::EmptyNonTerminal => node.previous(),
                NodeKind::Occluded => node.parent()?,
                NodeKind::Authoritative | NodeKind::Delegation => return None,
            };
        }
        Some(node)
    }

    /// The wildcard right below: the child with the label `*` (RFC 4592 §2.1.1).
    #[must_use]
    pub fn wildcard(&self) -> Option<Self> {
        let mut buffer = [0; MAX_NAME + 2];
        let name = self.name();
        buffer[..2].copy_from_slice(b"\x01*");
        buffer[2..2 + name.len()].copy_from_slice(name);
        buffer.make_ascii_lowercase();
        self.zone.node(&buffer[..2 + name.len()])
    }

    fn entry(&self) -> &'z NodeEntry {
        &self.zone.nodes[self.index as usize]
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.zone, other.zone) && self.index == other.index
    }
}

impl Eq for Node<'_> {}

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
pub struct Rrset<'z> {
    header: &'z [u8],
    records: &'z [u8],
    signatures: &'z [u8],
}

impl<'z> Rrset<'z> {
    /// The RRset that begins here, and what follows it.
    fn first_of(octets: &'z [u8]) -> (Self, &'z [u8]) {
        let (header, rest) = octets.split_at(RRSET_HEADER);
        let (records, rest) = rest.split_at(u32_at(header, 8) as usize);
        let (signatures, rest) = rest.split_at(u32_at(header, 12) as usize);
        let rrset = Self {
            header,
            records,
            signatures,
        };
        (rrset, rest)
    }

    /// The type of the records.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        RecordType(u16::from_be_bytes([self.header[0], self.header[1]]))
    }

    /// The TTL of the records and of their signatures, in seconds.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        u32_at(self.header, 4)
    }

    /// How many records there are, signatures not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(u16::from_be_bytes([self.header[2], self.header[3]]))
    }

    /// Never true: an RRset has at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rdata of each record, in canonical order, names uncompressed.
    #[must_use]
    pub fn records(&self) -> Records<'z> {
        Records(self.records)
    }

    /// The rdata of each RRSIG that covers this RRset.
    #[must_use]
    pub fn signatures(&self) -> Records<'z> {
        Records(self.signatures)
    }
}

/// The rdata of one record after the other.
#[derive(Clone, Debug)]
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

pub(super) fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

pub(super) fn index_of(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dns::zone::writer::ZoneWriter;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<Name>().unwrap().as_wire().to_vec()
    }

    /// Names with their kinds in canonical order; the apex gets an SOA, everything else a TXT.
    fn zone(nodes: &[(&str, NodeKind)]) -> Arc<Zone> {
        let mut writer = ZoneWriter::new(nodes[0].0.parse().unwrap(), 0);
        for (position, (name, kind)) in nodes.iter().enumerate() {
            writer.node(&wire(name), *kind).unwrap();
            if position == 0 {
                let mut soa = vec![0, 0];
                for number in [2026_u32, 2, 3, 4, 300] {
                    soa.extend(number.to_be_bytes());
                }
                writer.rrset(RecordType::SOA, 3600);
                writer.record(&soa);
                writer.signature(b"over the SOA");
            } else if *kind != NodeKind::EmptyNonTerminal {
                writer.rrset(RecordType::TXT, 60);
                writer.record(b"\x03one");
                writer.record(b"\x03two");
            }
        }
        Arc::new(writer.finish().unwrap())
    }

    fn example() -> Arc<Zone> {
        use NodeKind::{Authoritative, Delegation, EmptyNonTerminal, Occluded};
        zone(&[
            ("Example.", Authoritative),
            ("b.example.", EmptyNonTerminal),
            ("*.b.example.", Authoritative),
            ("cut.example.", Delegation),
            ("ns.cut.example.", Occluded),
        ])
    }

    #[test]
    fn nodes_are_found_by_lower_case_names_and_keep_their_case() {
        let zone = example();
        assert_eq!(zone.node(&wire("example.")).unwrap().name(), wire("Example."));
        assert_eq!(zone.node(&wire("cut.example.")).unwrap().kind(), NodeKind::Delegation);
        assert!(zone.node(&wire("nothing.example.")).is_none());
        assert_eq!(zone.closest_encloser(&wire("x.y.b.example.")).unwrap().name(), wire("b.example."));
        assert!(zone.closest_encloser(&wire("example.net.")).is_none());
    }

    #[test]
    fn the_order_is_a_ring() {
        let zone = example();
        let apex = zone.apex_node();
        assert_eq!(apex.previous().name(), wire("ns.cut.example."));
        assert_eq!(apex.previous().next(), apex);
        assert_eq!(apex.next().name(), wire("b.example."));
        assert_eq!(zone.at_or_before(&wire("c.example.")).name(), wire("*.b.example."));
        assert_eq!(zone.at_or_before(&wire("b.example.")).name(), wire("b.example."));
        assert_eq!(zone.nodes().len(), 5);
    }

    #[test]
    fn relatives_are_found() {
        let zone = example();
        let b = zone.node(&wire("b.example.")).unwrap();
        assert_eq!(b.wildcard().unwrap().name(), wire("*.b.example."));
        assert!(zone.apex_node().wildcard().is_none());
        let glue = zone.node(&wire("ns.cut.example.")).unwrap();
        assert_eq!(glue.cut().unwrap().name(), wire("cut.example."));
        assert!(b.cut().is_none() && zone.apex_node().parent().is_none());
    }

    #[test]
    fn rrsets_hold_records_and_signatures_apart() {
        let zone = example();
        let soa = zone.apex_node().rrset(RecordType::SOA).unwrap();
        assert_eq!((soa.len(), soa.ttl()), (1, 3600));
        assert_eq!(soa.signatures().collect::<Vec<_>>(), [b"over the SOA"]);
        let text = zone.node(&wire("*.b.example.")).unwrap().rrset(RecordType::TXT).unwrap();
        assert_eq!(text.records().collect::<Vec<_>>(), [b"\x03one", b"\x03two"]);
        assert_eq!(text.signatures().count(), 0);
        assert!(zone.apex_node().rrset(RecordType::TXT).is_none());
        assert_eq!((zone.serial(), zone.negative_ttl(), zone.record_count()), (2026, 300, 8));
    }
}
