//! Queries as they travel: made once, before anything is timed, and kept in one block of memory.

use heraldns::dns::name::Name;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DS: u16 = 43;

/// The UDP size that an asker with EDNS offers.
const UDP_PAYLOAD: u16 = 1232;

/// What is said beside the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edns {
    None,
    Plain,
    DnssecOk,
}

/// A question about a name with its last dot.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) record_type: u16,
    pub(crate) edns: Edns,
}

impl Question {
    /// Appends the query message, with id 0, to `message`.
    pub(crate) fn encode(&self, message: &mut Vec<u8>) {
        let has_edns = self.edns != Edns::None;
        message.extend([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(has_edns)]);
        let name: Name = self.name.parse().expect("names of the generator are names");
        message.extend(name.as_wire());
        message.extend(self.record_type.to_be_bytes());
        message.extend([0, 1]);
        if has_edns {
            let dnssec_ok = if self.edns == Edns::DnssecOk { 0x80 } else { 0 };
            message.extend([0, 0, 41]);
            message.extend(UDP_PAYLOAD.to_be_bytes());
            message.extend([0, 0, dnssec_ok, 0, 0, 0]);
        }
    }

    /// The query message with this id.
    pub(crate) fn message(&self, id: u16) -> Vec<u8> {
        let mut message = Vec::new();
        self.encode(&mut message);
        message[..2].copy_from_slice(&id.to_be_bytes());
        message
    }
}

/// Many queries, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    octets: Vec<u8>,
    ends: Vec<usize>,
}

impl Queries {
    pub(crate) fn add(&mut self, question: &Question) {
        question.encode(&mut self.octets);
        self.ends.push(self.octets.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.octets[start..self.ends[index]]
    }
}
