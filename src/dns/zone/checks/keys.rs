//! Records about keys: do they stand at the zone's own name, have a form that validators take, and agree with each other?
//!
//! Signatures are not verified here.

use crate::dns::name;
use crate::dns::types::RecordType;
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::Record;
use crate::dns::zone::store::Zone;

/// The only protocol a DNSKEY may have (RFC 4034 §2.1.2).
const DNSSEC: u8 = 3;
/// Algorithm and data of a CDS and a CDNSKEY that ask the parent to remove the DS (RFC 8078 §4).
const DELETE_DS: &[u8] = &[0, 0, 0, 0, 0];
const DELETE_KEY: &[u8] = &[0, 0, DNSSEC, 0, 0];

/// Looks at a record about keys.
pub(super) fn check(zone: &Zone, record: &Record<'_>, problems: &mut Problems) {
    let is_key = record.record_type == RecordType::DNSKEY;
    let is_for_parent = matches!(record.record_type, RecordType::CDS | RecordType::CDNSKEY);
    if !is_key && !is_for_parent {
        return;
    }
    let mut warn = |message: &str, cure: &str| {
        let message = format!("{} of {}: {message}", record.record_type, name::display(record.owner));
        problems.warning(record.place, message, cure);
    };
    if !name::equal(record.owner, zone.apex().as_wire()) {
        return warn("only that of the zone's own name is looked at", "remove it");
    }
    if is_key {
        if record.rdata.get(2) != Some(&DNSSEC) {
            warn(
                "its protocol is not 3, and no validator takes it",
                "write 3 (RFC 4034 section 2.1.2)",
            );
        }
        return;
    }
    if is_delete(record) {
        let others = zone.apex_node().rrset(record.record_type).is_some_and(|rrset| rrset.len() > 1);
        if others {
            warn(
                "it asks the parent to remove the DS, and there are others",
                "remove it, or the others (RFC 8078 section 4)",
            );
        }
    } else if record.rdata.get(3) == Some(&0) {
        warn(
            "algorithm 0, and not the form that removes the DS",
            "write '0 0 0 00' or '0 3 0 AA==' (RFC 8078 section 4)",
        );
    } else if !has_key(zone, record) {
        warn(
            "the zone has no such DNSKEY",
            "remove it, or publish the key first (RFC 7344 section 4.1)",
        );
    }
}

fn is_delete(record: &Record<'_>) -> bool {
    record.rdata
        == if record.record_type == RecordType::CDS {
            DELETE_DS
        } else {
            DELETE_KEY
        }
}

/// The key that a CDNSKEY is, or that a CDS names by tag and algorithm.
fn has_key(zone: &Zone, record: &Record<'_>) -> bool {
    let keys = zone.apex_node().rrset(RecordType::DNSKEY);
    let is_it = |key: &[u8]| match record.record_type {
        RecordType::CDS => record.rdata.get(..3) == Some(&[&key_tag(key).to_be_bytes()[..], &key[3..4]].concat()),
        _ => record.rdata == key,
    };
    keys.is_some_and(|keys| keys.records().filter(|key| key.len() > 3).any(is_it))
}

/// The key tag of a DNSKEY's data (RFC 4034 appendix B; algorithm 1 of B.1 is not to be used any more, and not told apart).
pub(in crate::dns::zone) fn key_tag(rdata: &[u8]) -> u16 {
    let weigh = |(position, octet): (usize, &u8)| u32::from(*octet) << if position.is_multiple_of(2) { 8 } else { 0 };
    let sum: u32 = rdata.iter().enumerate().map(weigh).sum();
    ((sum + (sum >> 16)) & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key and its tag as `ldns-key2ds` tells it.
    #[test]
    fn key_tags_are_those_of_others() {
        let mut rdata = Vec::new();
        let hex = "0101030D99DB2CC14CABDC33D6D77DA63A2F15F71112584F234E8D1DC428E39E8A4A97E1\
                   AA271A555DC90701E17E2A4C4B6F120B7C32D44F4AC02BD894CF2D4BE7778A19";
        for digits in hex.as_bytes().chunks(2) {
            rdata.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
        }
        assert_eq!(key_tag(&rdata), 2371);
        assert_eq!(key_tag(&[1, 1, 3, 13, 7]), 0x0101 + 0x030d + 0x0700);
    }
}
