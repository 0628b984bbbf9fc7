//! RRsets that no message can hold: a message has at most 65,535 octets (RFC 1035 §4.2.2), and RRsets are not split (RFC 2181 §9).

use crate::dns::name;
use crate::dns::types::RecordType;
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::Record;

/// The largest message.
const MESSAGE: usize = 65_535;
/// Header, and type and class of the question.
const HEAD: usize = 12 + 4;
/// Octets of a record beside its data, its owner being a pointer to the question.
const RECORD: usize = 12;

/// The RRset whose records come one after the other, its signatures last.
#[derive(Debug, Default)]
pub(super) struct Sizes<'r> {
    first: Option<Record<'r>>,
    octets: usize,
}

impl<'r> Sizes<'r> {
    /// Looks at a record, and at the RRset before it if that ends with it.
    pub(super) fn check(&mut self, record: &Record<'r>, problems: &mut Problems) {
        let is_of = |first: &Record<'_>| {
            std::ptr::eq(first.owner, record.owner) && (record.record_type == first.record_type || record.record_type == RecordType::RRSIG)
        };
        if !self.first.as_ref().is_some_and(is_of) {
            self.finish(problems);
            self.first = Some(*record);
            self.octets = HEAD + record.owner.len();
        }
        self.octets += RECORD + record.rdata.len();
    }

    /// Looks at the last RRset.
    pub(super) fn finish(&mut self, problems: &mut Problems) {
        let octets = self.octets;
        let Some(first) = self.first.take().filter(|_| octets > MESSAGE) else {
            return;
        };
        let (record_type, owner) = (first.record_type, name::display(first.owner));
        let message = format!(
            "the {record_type} records of {owner} and their signatures make an answer of {octets} octets: at most {MESSAGE} fit into one"
        );
        problems.warning(first.place, message, "write fewer records, or shorter ones");
    }
}
