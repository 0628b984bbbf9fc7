//! Checks that need the finished zone: do the names that its records point at lead somewhere? Can it prove what is not there?
//!
//! Only names inside the zone are looked at; what other zones say is not known here. All findings are warnings, missing
//! glue too: a zone is not withheld because one of its many children is broken (Knot and BIND serve it as well).

use super::nsec3::{DenialChain, Parameters};
use super::problem::Problems;
use super::records::{Record, Records, address_target};
use super::store::{Node, NodeKind, Zone};
use crate::dns::name::{self, MAX_NAME};
use crate::dns::types::RecordType;

/// What a name inside the zone leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// To an address, or to another zone that may have one.
    Somewhere,
    /// To an alias.
    Alias,
    /// To nothing, or to records without an address.
    Nowhere,
    /// Below this zone cut, without glue.
    NoGlue,
}

/// Many validating resolvers take a zone with more NSEC3 iterations for an unsigned one (RFC 9276 §3.2, appendix A), and each costs every
/// negative answer up to four SHA-1 hashes. Such a zone is served all the same.
const MAX_ITERATIONS: u16 = 100;

/// Looks at the parameters of the zone's NSEC3 chain.
pub(super) fn check_denial(zone: &Zone, records: &Records<'_>, problems: &mut Problems) {
    let is_nsec3 = matches!(zone.denial_chain(), Some(DenialChain::Nsec3(_)));
    let at_apex = zone.apex_node().rrset(RecordType::NSEC3PARAM).is_some();
    for record in records
        .iter()
        .filter(|record| at_apex && record.record_type == RecordType::NSEC3PARAM)
    {
        let parameters = Parameters::of_usable_nsec3param(record.rdata);
        if let Some(parameters) = parameters.filter(|parameters| parameters.iterations > MAX_ITERATIONS) {
            let message = format!(
                "{} iterations of NSEC3: many resolvers take the zone for unsigned",
                parameters.iterations
            );
            problems.warning(
                record.place,
                message,
                "sign it with 0 iterations and no salt (RFC 9276 section 3.1)",
            );
        }
        if !is_nsec3 {
            let message = "NSEC3PARAM without an NSEC3 record of the zone's own name with these parameters";
            problems.warning(record.place, message, "sign the zone again, or remove the record");
        }
    }
}

/// Looks at the targets of all NS, MX and SRV records.
pub(super) fn check_targets(zone: &Zone, records: &Records<'_>, problems: &mut Problems) {
    for record in records.pointing() {
        let Some(target) = address_target(record.record_type).and_then(|offset| record.rdata.get(offset..)) else {
            continue;
        };
        check_target(zone, &record, target, problems);
    }
}

fn check_target(zone: &Zone, record: &Record<'_>, target: &[u8], problems: &mut Problems) {
    // '.' says that there is no such service (RFC 2782, RFC 7505)
    if target == [0] || !name::is_subdomain(target, zone.apex().as_wire()) {
        return;
    }
    let (shown, record_type) = (name::display(target), record.record_type);
    match lead(zone, target) {
        Lead::Somewhere => {}
        Lead::Alias => {
            let message = format!("{record_type} target {shown} is an alias");
            problems.warning(record.place, message, "name the host itself (RFC 2181 section 10.3)");
        }
        Lead::NoGlue if record_type == RecordType::NS && name::is_subdomain(target, record.owner) => {
            let message = format!("NS target {shown} lies below the zone cut and has no address");
            problems.warning(
                record.place,
                message,
                "write its A or AAAA record as glue: nobody finds the child zone's servers without it",
            );
        }
        Lead::NoGlue => {}
        Lead::Nowhere => {
            let message = format!("{record_type} target {shown} has no address in this zone");
            problems.warning(
                record.place,
                message,
                "write an A or AAAA record of it; end the name with a dot if it is absolute",
            );
        }
    }
}

fn lead(zone: &Zone, target: &[u8]) -> Lead {
    let mut buffer = [0; MAX_NAME];
    let lower = name::lower_into(target, &mut buffer);
    if zone.node(lower).is_some_and(|node| has_address(&node)) {
        return Lead::Somewhere;
    }
    let Some(encloser) = zone.closest_encloser(lower) else {
        return Lead::Somewhere;
    };
    if encloser.cut().is_some() {
        return Lead::NoGlue;
    }
    if encloser.kind() == NodeKind::Occluded {
        return Lead::Alias;
    }
    if name::equal(encloser.name(), target) {
        return answer_of(&encloser);
    }
    match encloser.wildcard() {
        _ if encloser.rrset(RecordType::DNAME).is_some() => Lead::Alias,
        Some(wildcard) => answer_of(&wildcard),
        None => Lead::Nowhere,
    }
}

fn answer_of(node: &Node<'_>) -> Lead {
    match node {
        _ if has_address(node) => Lead::Somewhere,
        _ if node.rrset(RecordType::CNAME).is_some() => Lead::Alias,
        _ => Lead::Nowhere,
    }
}

fn has_address(node: &Node<'_>) -> bool {
    node.rrset(RecordType::A).is_some() || node.rrset(RecordType::AAAA).is_some()
}
