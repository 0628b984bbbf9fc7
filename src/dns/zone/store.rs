//! The zone as it is served: immutable, in one arena, found by hash and walked in canonical order.
//!
//! Each name has a block (`block.rs`) in the arena: the name and its RRsets, so that a lookup touches one line of the
//! hash table and one run of memory. Blocks lie as the file had them; `order` says where they are in canonical order
//! (RFC 4034 §6.1), empty non-terminals included, and after all of them, in an order of their own, the owners of NSEC3
//! records, which are no names that a question could ask for (RFC 5155 §7.2.8). Nothing here checks a zone: that is the
//! builder's part.

use std::ops::Range;

use super::block::{Block, Rrset, Rrsets, Trait};
use super::nsec3::{DenialChain, Nsec3, Nsec3Chain};
use super::table::{Bucket, NameHash, NameTable};
use crate::dns::name::{self, MAX_NAME, Name};
use crate::dns::types::RecordType;

/// An immutable zone.
#[derive(Debug)]
pub struct Zone {
    pub(super) apex: Name,
    pub(super) apex_hash: NameHash,
    pub(super) arena: Vec<u8>,
    /// Where the blocks begin, in canonical order of their names.
    pub(super) order: Box<[u32]>,
    /// So many blocks are names; those behind them are the owners of NSEC3 records.
    pub(super) name_count: u32,
    /// Where the block of a name begins.
    pub(super) table: NameTable,
    pub(super) denial_chain: Option<DenialChain>,
    pub(super) record_count: usize,
    pub(super) serial: u32,
    pub(super) negative_ttl: u32,
}

/// How names at a node are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
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

impl NodeKind {
    pub(super) const ALL: [Self; 4] = [Self::Authoritative, Self::EmptyNonTerminal, Self::Delegation, Self::Occluded];
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
        let soa = self.apex_node().rrset(RecordType::SOA);
        soa.expect("a zone without SOA is not built")
    }

    /// How many records there are, signatures included.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// How many nodes there are, empty non-terminals and owners of NSEC3 records included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.order.len()
    }

    /// Octets of memory that the zone takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        let hashes = match &self.denial_chain {
            Some(DenialChain::Nsec3(chain)) => chain.octets(),
            Some(DenialChain::Nsec) | None => 0,
        };
        self.arena.capacity() + size_of_val(&*self.order) + self.table.octets() + hashes
    }

    /// The node with exactly this name, which must be lower-cased wire form.
    #[must_use]
    pub fn node(&self, lower_wire_name: &[u8]) -> Option<Node<'_>> {
        self.hashed_node(lower_wire_name, NameHash::of(lower_wire_name))
    }

    /// As [`Self::node`], for a name whose hash is known.
    #[must_use]
    pub fn hashed_node(&self, lower_wire_name: &[u8], hash: NameHash) -> Option<Node<'_>> {
        let is_it = |at| name::equal(Block::at(&self.arena, at).name(), lower_wire_name);
        self.table.find(hash, is_it).map(|at| self.at(at))
    }

    /// The node of the zone's own name.
    #[must_use]
    pub fn apex_node(&self) -> Node<'_> {
        self.at(self.order[0])
    }

    /// The deepest existing node at or above this lower-cased wire name; none when the name is not in the zone.
    #[must_use]
    pub fn closest_encloser(&self, lower_wire_name: &[u8]) -> Option<Node<'_>> {
        self.node(lower_wire_name).or_else(|| self.closest_above(lower_wire_name))
    }

    /// The deepest existing node above this lower-cased wire name; none when the name is not below the apex.
    ///
    /// From the apex down: above an existing name all names exist, so that the first one that does not ends the search.
    #[must_use]
    pub fn closest_above(&self, lower_wire_name: &[u8]) -> Option<Node<'_>> {
        let apex = self.apex.as_wire().len();
        let labels = lower_wire_name.get(..lower_wire_name.len().checked_sub(apex)?)?;
        if !name::equal(&lower_wire_name[labels.len()..], self.apex.as_wire()) {
            return None;
        }
        let mut starts = name::LabelStarts::of(labels);
        let (mut found, mut hash, mut end) = (self.apex_node(), self.apex_hash, labels.len());
        while let Some(start) = starts.pop()
            && start > 0
        {
            hash = hash.child(&labels[start..end]);
            end = start;
            match self.hashed_node(&lower_wire_name[start..], hash) {
                Some(node) => found = node,
                None => break,
            }
        }
        Some(found)
    }

    /// The cache line that [`Self::hashed_node`] reads first.
    #[must_use]
    pub fn bucket(&self, hash: NameHash) -> Option<&Bucket> {
        self.table.bucket(hash)
    }

    /// The memory that [`Self::hashed_node`] reads after the cache line `bucket`: the beginning of the block of the name
    /// that most likely has this hash.
    #[must_use]
    pub fn likely_block(&self, bucket: &Bucket, hash: NameHash) -> Option<&[u8]> {
        self.arena.get(bucket.candidate(hash)? as usize..)
    }

    /// The last node that is canonically at or before this wire name, in any case; the very last one for a name before the apex.
    #[must_use]
    pub fn at_or_before(&self, wire_name: &[u8]) -> Node<'_> {
        let names = &self.order[..self.name_count as usize];
        let count = self.count_up_to(names, wire_name);
        self.at(names[count.checked_sub(1).unwrap_or(names.len() - 1)])
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
        self.order.iter().map(|at| self.at(*at))
    }

    /// The node whose block begins at `at`.
    pub(super) fn at(&self, at: u32) -> Node<'_> {
        Node { zone: self, at }
    }

    /// How many of the ordered blocks have names at or before this one.
    fn count_up_to(&self, ordered: &[u32], wire_name: &[u8]) -> usize {
        ordered.partition_point(|at| name::canonical_order(Block::at(&self.arena, *at).name(), wire_name).is_le())
    }
}

/// A name of a zone with its RRsets.
#[derive(Clone, Copy, Debug)]
pub struct Node<'z> {
    zone: &'z Zone,
    at: u32,
}

impl<'z> Node<'z> {
    /// The whole name in wire form, in the case of the zone file.
    #[must_use]
    pub fn name(&self) -> &'z [u8] {
        self.block().name()
    }

    /// How names here are answered.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.block().kind()
    }

    /// True for the node of the zone's own name.
    #[must_use]
    pub fn is_apex(&self) -> bool {
        self.at == self.zone.order[0]
    }

    /// The RRset of this type. RRSIG is none of its own: see [`Rrset::signatures`].
    #[must_use]
    pub fn rrset(&self, record_type: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().find(|rrset| rrset.record_type() == record_type)
    }

    /// All RRsets in the order of their types.
    #[must_use]
    pub fn rrsets(&self) -> Rrsets<'z> {
        self.block().rrsets()
    }

    /// The next node in canonical order; the apex after the last one. Owners of NSEC3 records have a ring of their own.
    #[must_use]
    pub fn next(&self) -> Self {
        let (ring, index) = self.place();
        let next = index + 1;
        self.zone.at(self.zone.order[if next == ring.end { ring.start } else { next }])
    }

    /// The previous node in canonical order; the last one before the apex. Owners of NSEC3 records have a ring of their own.
    #[must_use]
    pub fn previous(&self) -> Self {
        let (ring, index) = self.place();
        self.zone
            .at(self.zone.order[if index == ring.start { ring.end - 1 } else { index - 1 }])
    }

    /// The node's index in the zone's order, and the part of the order that is a ring with it.
    fn place(&self) -> (Range<usize>, usize) {
        let names = self.zone.name_count as usize;
        let index = self.zone.count_up_to(&self.zone.order[..names], self.name());
        if let Some(index) = index.checked_sub(1).filter(|index| self.zone.order[*index] == self.at) {
            return (0..names, index);
        }
        let hashed = self.zone.order[names..].iter().position(|at| *at == self.at);
        (names..self.zone.order.len(), names + hashed.unwrap_or(0))
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
        if !self.block().has(Trait::HasWildcard) {
            return None;
        }
        let mut buffer = [0; MAX_NAME + 2];
        let name = self.name();
        buffer[..2].copy_from_slice(b"\x01*");
        buffer[2..2 + name.len()].copy_from_slice(name);
        buffer.make_ascii_lowercase();
        self.zone.node(&buffer[..2 + name.len()])
    }

    fn block(&self) -> Block<'z> {
        Block::at(&self.zone.arena, self.at)
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.zone, other.zone) && self.at == other.at
    }
}

impl Eq for Node<'_> {}

pub(super) fn index_of(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<Name>().unwrap().as_wire().to_vec()
    }

    fn example() -> Zone {
        let text = "$TTL 60\nExample. 3600 SOA . . 2026 2 3 4 300\n@ NS .\n@ RRSIG SOA 8 1 3600 2 1 1 . AAAA\n\
                    *.b TXT two\n*.b TXT one\ncut NS ns.cut\nns.cut A 192.0.2.1\n";
        let loaded = zone::load(&"example.".parse().unwrap(), "a.zone", text.as_bytes(), &mut |_| Err(String::new()));
        loaded.unwrap().zone
    }

    #[test]
    fn nodes_are_found_by_lower_case_names_and_keep_their_case() {
        let zone = example();
        assert_eq!(zone.node(&wire("example.")).unwrap().name(), wire("Example."));
        assert_eq!(zone.node(&wire("cut.example.")).unwrap().kind(), NodeKind::Delegation);
        assert!(zone.node(&wire("nothing.example.")).is_none());
        let enclosers = [
            ("x.y.b.example.", "b.example."),
            ("b.example.", "b.example."),
            ("a.ns.cut.example.", "ns.cut.example."),
            ("x.y.example.", "Example."),
            ("example.", "Example."),
        ];
        for (name, encloser) in enclosers {
            assert_eq!(zone.closest_encloser(&wire(name)).unwrap().name(), wire(encloser), "{name}");
        }
        for name in ["example.net.", ".", "badexample."] {
            assert!(zone.closest_encloser(&wire(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn what_a_lookup_will_read_is_known_before() {
        let zone = example();
        let hash = NameHash::of(&wire("cut.example."));
        let block = zone.likely_block(zone.bucket(hash).unwrap(), hash).unwrap();
        assert!(block[4..].starts_with(&wire("cut.example.")));
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
        let soa = zone.soa();
        assert_eq!((soa.len(), soa.ttl(), soa.signatures().count()), (1, 3600, 1));
        let text = zone.node(&wire("*.b.example.")).unwrap().rrset(RecordType::TXT).unwrap();
        assert_eq!(text.records().collect::<Vec<_>>(), [b"\x03one", b"\x03two"]);
        assert!(!text.is_signed() && zone.apex_node().rrset(RecordType::TXT).is_none());
        assert_eq!((zone.serial(), zone.negative_ttl(), zone.record_count()), (2026, 300, 7));
    }
}
