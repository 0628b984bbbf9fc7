//! Records between scanner and builder: names and rdata in one arena, so that a record costs no allocation of its own.

use super::problem::{FileId, Place};
use crate::dns::types::RecordType;

/// All records of a zone, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Records {
    octets: Vec<u8>,
    entries: Vec<RecordEntry>,
}

#[derive(Clone, Copy, Debug)]
struct RecordEntry {
    owner: u32,
    rdata: u32,
    ttl: u32,
    line: u32,
    rdata_length: u16,
    record_type: RecordType,
    file: FileId,
    owner_length: u8,
    /// 0 beyond 255: the place is then the line's.
    column: u8,
}

/// Where an owner name lies in the arena; many records share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    start: u32,
    length: u8,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'r> {
    pub(super) owner: &'r [u8],
    pub(super) record_type: RecordType,
    pub(super) ttl: u32,
    pub(super) rdata: &'r [u8],
    pub(super) place: Place,
}

/// The arena cannot be larger than its 32-bit offsets can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Records {
    /// Keeps an owner name.
    pub(super) fn add_owner(&mut self, wire: &[u8]) -> Result<Owner, Full> {
        let start = self.offset()?;
        self.octets.extend_from_slice(wire);
        Ok(Owner {
            start,
            length: u8::try_from(wire.len()).map_err(|_| Full)?,
        })
    }

    /// The wire form of a kept owner name.
    pub(super) fn owner(&self, owner: Owner) -> &[u8] {
        let start = owner.start as usize;
        &self.octets[start..start + usize::from(owner.length)]
    }

    /// Lets `write` append rdata to the arena and keeps the record if it returns true.
    pub(super) fn add<E>(
        &mut self,
        owner: Owner,
        record_type: RecordType,
        place: Place,
        write: impl FnOnce(&mut Vec<u8>) -> Result<u32, E>,
    ) -> Result<Result<(), E>, Full> {
        let rdata = self.offset()?;
        let ttl = match write(&mut self.octets) {
            Ok(ttl) => ttl,
            Err(why) => {
                self.octets.truncate(rdata as usize);
                return Ok(Err(why));
            }
        };
        let rdata_length = u16::try_from(self.octets.len() - rdata as usize).map_err(|_| Full)?;
        self.entries.push(RecordEntry {
            owner: owner.start,
            rdata,
            ttl,
            line: place.line,
            rdata_length,
            record_type,
            file: place.file,
            owner_length: owner.length,
            column: u8::try_from(place.column).unwrap_or(0),
        });
        Ok(Ok(()))
    }

    /// Takes the last record out again.
    pub(super) fn forget_last(&mut self) {
        if let Some(entry) = self.entries.pop() {
            self.octets.truncate(entry.rdata as usize);
        }
    }

    fn offset(&self) -> Result<u32, Full> {
        u32::try_from(self.octets.len()).map_err(|_| Full)
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Octets of all names and rdata.
    pub(super) fn octets(&self) -> usize {
        self.octets.len()
    }

    /// All records in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.entries.len()).map(|position| self.get(position))
    }

    /// The record at `position` in the order of the file.
    pub(super) fn get(&self, position: usize) -> Record<'_> {
        let entry = &self.entries[position];
        let (owner, rdata) = (entry.owner as usize, entry.rdata as usize);
        Record {
            owner: &self.octets[owner..owner + usize::from(entry.owner_length)],
            record_type: entry.record_type,
            ttl: entry.ttl,
            rdata: &self.octets[rdata..rdata + usize::from(entry.rdata_length)],
            place: Place {
                file: entry.file,
                line: entry.line,
                column: entry.column.into(),
            },
        }
    }
}
