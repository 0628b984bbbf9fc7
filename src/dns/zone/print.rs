//! A zone as text in canonical form: one record a line, absolute names, seconds, names and data in canonical order.
//!
//! The SOA is the first record of a zone, since names and types are in order only after it. Reading the text gives the
//! same zone again.

use std::fmt;

use super::block::Rrset;
use super::rdata;
use super::store::Zone;
use crate::dns::name;
use crate::dns::types::RecordType;

/// Shows a zone as a master file.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'z>(pub &'z Zone);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.0;
        let mut line = String::new();
        print_rrset(formatter, zone.apex_node().name(), &zone.soa(), &mut line)?;
        for node in zone.nodes() {
            for rrset in node
                .rrsets()
                .filter(|rrset| !node.is_apex() || rrset.record_type() != RecordType::SOA)
            {
                print_rrset(formatter, node.name(), &rrset, &mut line)?;
            }
        }
        Ok(())
    }
}

fn print_rrset(formatter: &mut fmt::Formatter<'_>, owner: &[u8], rrset: &Rrset<'_>, line: &mut String) -> fmt::Result {
    let records = rrset.records().map(|rdata| (rrset.record_type(), rdata));
    let signatures = rrset.signatures().map(|rdata| (RecordType::RRSIG, rdata));
    for (record_type, rdata) in records.chain(signatures) {
        line.clear();
        rdata::write(record_type, rdata, line);
        writeln!(formatter, "{} {} IN {record_type} {line}", name::display(owner), rrset.ttl())?;
    }
    Ok(())
}
