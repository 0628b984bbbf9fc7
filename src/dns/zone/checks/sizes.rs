//! RRsets that no message can hold: a message has at most 65,535 octets (RFC 1035 §4.2.2), and RRsets are not split (RFC 2181 §9).

use crate::dns::name;
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::Records;
use crate::dns::zone::store::{Rrset, Zone};

/// The largest message.
const MESSAGE: usize = 65_535;
/// Header, and type and class of the question.
const HEAD: usize = 12 + 4;
/// Octets of a record beside its data, its owner being a pointer to the question.
const RECORD: usize = 12;

/// Looks at all RRsets.
pub(super) fn check(zone: &Zone, records: &Records, problems: &mut Problems) {
    for node in zone.nodes() {
        for rrset in node.rrsets() {
            let octets = HEAD + node.name().len() + octets_of(&rrset);
            if octets <= MESSAGE {
                continue;
            }
            let record_type = rrset.record_type();
            let of_rrset = records
                .iter()
                .find(|record| record.record_type == record_type && name::equal(record.owner, node.name()));
            let message = format!(
                "the {record_type} records of {} and their signatures make an answer of {octets} octets: at most {MESSAGE} fit into one",
                name::display(node.name())
            );
            problems.warning(
                of_rrset.map(|record| record.place).unwrap_or_default(),
                message,
                "write fewer records, or shorter ones",
            );
        }
    }
}

fn octets_of(rrset: &Rrset<'_>) -> usize {
    rrset.records().chain(rrset.signatures()).map(|rdata| RECORD + rdata.len()).sum()
}
