//! Fills the arena of a [`Zone`].

use super::nsec3;
use super::store::{NodeEntry, NodeKind, Zone, u32_at};
use super::table::{NameTable, hash_name};
use crate::dns::name::{self, MAX_NAME, Name};
use crate::dns::types::RecordType;

/// Why no zone can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// The arena would be larger than its 32-bit offsets can say.
    TooLarge,
    /// No node, or no SOA with whole rdata at the first one.
    NoSoa,
}

/// Writes a zone: nodes in canonical order with the apex first and the owners of NSEC3 last, the RRsets of each in the order of their types.
#[derive(Debug)]
pub(super) struct ZoneWriter {
    zone: Zone,
    header_at: usize,
}

impl ZoneWriter {
    /// An empty zone, with room for an arena of `octets`.
    pub(super) fn new(apex: Name, octets: usize) -> Self {
        let zone = Zone {
            apex,
            arena: Vec::with_capacity(octets),
            nodes: Vec::new(),
            name_count: 0,
            table: NameTable::default(),
            denial_chain: None,
            record_count: 0,
            soa_at: 0,
            serial: 0,
            negative_ttl: 0,
        };
        Self { zone, header_at: 0 }
    }

    /// Begins the next name's node.
    pub(super) fn node(&mut self, wire_name: &[u8], kind: NodeKind) -> Result<(), Unwritable> {
        self.zone.name_count += 1;
        self.push_node(wire_name, kind)
    }

    /// Begins the node of the next owner of NSEC3 records; all names come before the first one.
    pub(super) fn hashed_node(&mut self, wire_name: &[u8]) -> Result<(), Unwritable> {
        self.push_node(wire_name, NodeKind::Authoritative)
    }

    fn push_node(&mut self, wire_name: &[u8], kind: NodeKind) -> Result<(), Unwritable> {
        let start = u32::try_from(self.zone.arena.len()).map_err(|_| Unwritable::TooLarge)?;
        self.zone.arena.extend_from_slice(wire_name);
        self.zone.nodes.push(NodeEntry {
            start,
            rrset_count: 0,
            name_length: u8::try_from(wire_name.len()).unwrap_or(u8::MAX),
            kind,
        });
        Ok(())
    }

    /// Begins the next RRset of the node.
    pub(super) fn rrset(&mut self, record_type: RecordType, ttl: u32) {
        self.header_at = self.zone.arena.len();
        if record_type == RecordType::SOA && self.zone.nodes.len() == 1 {
            self.zone.soa_at = self.header_at;
        }
        self.zone.arena.extend_from_slice(&record_type.0.to_be_bytes());
        self.zone.arena.extend_from_slice(&[0; 2]);
        self.zone.arena.extend_from_slice(&ttl.to_be_bytes());
        self.zone.arena.extend_from_slice(&[0; 8]);
        if let Some(node) = self.zone.nodes.last_mut() {
            node.rrset_count += 1;
        }
    }

    /// Adds a record to the RRset; all records come before the first signature.
    pub(super) fn record(&mut self, rdata: &[u8]) {
        let count = u16::from_be_bytes([self.zone.arena[self.header_at + 2], self.zone.arena[self.header_at + 3]]);
        self.zone.arena[self.header_at + 2..self.header_at + 4].copy_from_slice(&count.wrapping_add(1).to_be_bytes());
        self.push(rdata, 8);
    }

    /// Adds a signature to the RRset.
    pub(super) fn signature(&mut self, rdata: &[u8]) {
        self.push(rdata, 12);
    }

    fn push(&mut self, rdata: &[u8], octets_at: usize) {
        let length = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
        self.zone.arena.extend_from_slice(&length.to_be_bytes());
        self.zone.arena.extend_from_slice(&rdata[..usize::from(length)]);
        let at = self.header_at + octets_at;
        let octets = u32_at(&self.zone.arena, at) + 2 + u32::from(length);
        self.zone.arena[at..at + 4].copy_from_slice(&octets.to_be_bytes());
        self.zone.record_count += 1;
    }

    /// The zone, with the fields of its SOA: TTL, serial and MINIMUM are read from the apex.
    pub(super) fn finish(mut self) -> Result<Zone, Unwritable> {
        let zone = &mut self.zone;
        if u32::try_from(zone.arena.len()).is_err() || u32::try_from(zone.nodes.len()).is_err() {
            return Err(Unwritable::TooLarge);
        }
        zone.arena.shrink_to_fit();
        zone.nodes.shrink_to_fit();
        let mut table = NameTable::with_capacity(zone.name_count as usize);
        let mut buffer = [0; MAX_NAME];
        for (index, entry) in (0..zone.name_count).zip(&zone.nodes) {
            table.insert(hash_name(name::lower_into(zone.name_of(entry), &mut buffer)), index);
        }
        zone.table = table;
        (zone.serial, zone.negative_ttl) = soa_fields(zone).ok_or(Unwritable::NoSoa)?;
        zone.denial_chain = nsec3::take_chain(zone);
        Ok(self.zone)
    }
}

fn soa_fields(zone: &Zone) -> Option<(u32, u32)> {
    if zone.soa_at == 0 {
        return None;
    }
    let soa = zone.soa();
    let rdata = soa.records().next()?;
    let numbers = rdata.len().checked_sub(20)?;
    Some((u32_at(rdata, numbers), soa.ttl().min(u32_at(rdata, numbers + 16))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zone_is_without_its_soa() {
        let mut writer = ZoneWriter::new(Name::root(), 0);
        writer.node(&[0], NodeKind::Authoritative).unwrap();
        assert_eq!(writer.finish().unwrap_err(), Unwritable::NoSoa);
    }
}
