//! An answer without its compression: what two answers must have in common to be equal, octet for octet.

use std::fmt;

use crate::fuzz::bodies::wire::{Message, Record};

/// A message, its names written out. Case counts, order counts.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Answer(Message);

impl Answer {
    pub(super) fn read(message: &[u8]) -> Self {
        Self(Message::read(message))
    }

    pub(super) fn id(&self) -> u16 {
        self.0.id
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.0.flags & 0x0200 != 0
    }

    pub(super) fn counts(&self) -> [usize; 3] {
        self.0.sections.each_ref().map(Vec::len)
    }

    /// Every type of a record in the message.
    pub(super) fn types(&self) -> impl Iterator<Item = u16> {
        self.0.records().map(|record| record.record_type)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "id {} flags {:04x} question {}",
            self.0.id,
            self.0.flags,
            self.0.question.escape_ascii()
        )?;
        for (name, section) in ["answer", "authority", "additional"].iter().zip(&self.0.sections) {
            for record in section {
                let Record {
                    owner,
                    record_type,
                    class,
                    ttl,
                    rdata,
                } = record;
                let (owner, rdata) = (owner.escape_ascii(), rdata.escape_ascii());
                writeln!(formatter, "{name}: {owner} class {class} type {record_type} ttl {ttl} {rdata}")?;
            }
        }
        Ok(())
    }
}
