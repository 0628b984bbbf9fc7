//! Do the names that NS, MX and SRV records point at lead to an address?
//!
//! Only names inside the zone are looked at; what other zones say is not known here.

use super::names::{is_address_like, is_host_name};
use crate::dns::name::{self, MAX_NAME};
use crate::dns::types::RecordType;
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::{Record, address_target};
use crate::dns::zone::store::{Node, NodeKind, Zone};

/// What a name inside the zone leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// To an address, or to another zone that may have one.
    Somewhere,
    /// To an alias.
    Alias,
    /// To nothing, or to records without an address.
    Nowhere,
    /// Below a zone cut, without glue.
    NoGlue,
}

/// Looks at the target of an NS, MX or SRV record.
pub(super) fn check(zone: &Zone, record: &Record<'_>, problems: &mut Problems) {
    let Some(target) = address_target(record.record_type).and_then(|offset| record.rdata.get(offset..)) else {
        return;
    };
    // '.' says that there is no such service (RFC 2782, RFC 7505)
    if target == [0] {
        return;
    }
    let mut warn = |message: String, cure: &str| problems.warning(record.place, message, cure);
    let (shown, record_type) = (name::display(target), record.record_type);
    if is_address_like(target, zone.apex().as_wire()) {
        let message = format!("{record_type} target {shown} looks like an address, and is a name");
        return warn(message, "name the host that has the address");
    }
    if !is_host_name(target) {
        let message = format!("{record_type} target {shown} is no host name");
        warn(message, "name hosts with letters, digits and hyphens (RFC 1123 section 2.1)");
    }
    if !name::is_subdomain(target, zone.apex().as_wire()) {
        return;
    }
    match lead(zone, target) {
        Lead::Somewhere => {}
        Lead::Alias => warn(
            format!("{record_type} target {shown} is an alias"),
            "name the host itself (RFC 2181 section 10.3)",
        ),
        Lead::NoGlue if record_type != RecordType::NS => {}
        Lead::NoGlue if name::is_subdomain(target, record.owner) => warn(
            format!("NS target {shown} lies below the zone cut and has no address"),
            "write its A or AAAA record as glue: nobody finds the child zone's servers without it",
        ),
        Lead::NoGlue => warn(
            format!("NS target {shown} lies below another zone cut and has no address"),
            "write its A or AAAA record as glue",
        ),
        Lead::Nowhere => warn(
            format!("{record_type} target {shown} has no address in this zone"),
            "write an A or AAAA record of it; end the name with a dot if it is absolute",
        ),
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
