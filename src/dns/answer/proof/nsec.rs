//! Proofs by NSEC (RFC 4035 §3.1.3): which record matches or covers what is denied.
//!
//! One record often proves both that there is no such name and that there is no such wildcard; the list keeps it once.

use super::{Proof, wildcard_below};
use crate::dns::answer::plan::Denial;
use crate::dns::name::MAX_NAME;
use crate::dns::zone::{Node, Zone};

/// Proves a negative answer.
pub(super) fn deny<'z>(proof: &mut Proof<'z>, zone: &'z Zone, name: &[u8], denial: Denial<'z>) {
    match denial {
        Denial::NoData { node } => deny_type(proof, node),
        Denial::WildcardNoData { wildcard, .. } => {
            deny_type(proof, wildcard);
            deny_name(proof, zone, name);
        }
        Denial::NoName { closest_encloser } => {
            deny_name(proof, zone, name);
            deny_name(proof, zone, wildcard_below(closest_encloser, &mut [0; MAX_NAME]));
        }
    }
}

/// Proves that there is no such name: by the record that covers it.
pub(super) fn deny_name<'z>(proof: &mut Proof<'z>, zone: &'z Zone, name: &[u8]) {
    if let Some(node) = zone.nsec(name) {
        proof.add(node);
    }
}

/// Proves which types a node has: by its own record, or, for an empty non-terminal, by the one that leads to a name below it.
fn deny_type<'z>(proof: &mut Proof<'z>, node: Node<'z>) {
    if let Some(node) = node.nsec() {
        proof.add(node);
    }
}
