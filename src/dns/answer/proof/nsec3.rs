//! Proofs by NSEC3 (RFC 5155 §7.2): closest encloser, next closer name and wildcard, each by the record of its hash.
//!
//! With opt-out, insecure delegations and empty non-terminals that only lead to them have no records. What is proved about
//! them is that an opt-out record covers the next closer name below the deepest name that has one, the *closest provable
//! encloser*.

use super::{Proof, next_closer, wildcard_below};
use crate::dns::answer::plan::Denial;
use crate::dns::name::{self, MAX_NAME};
use crate::dns::zone::{Node, Nsec3, Nsec3Chain, Zone};

/// A zone and its chain.
#[derive(Clone, Copy)]
pub(super) struct Hashed<'z> {
    pub(super) zone: &'z Zone,
    pub(super) chain: &'z Nsec3Chain,
}

/// Proves a negative answer.
pub(super) fn deny<'z>(proof: &mut Proof<'z>, hashed: &Hashed<'z>, name: &[u8], denial: Denial<'z>) {
    match denial {
        Denial::NoData { node } => deny_type(proof, hashed, node),
        Denial::WildcardNoData {
            closest_encloser,
            wildcard,
        } => {
            prove_closest_encloser(proof, hashed, name, closest_encloser);
            proof.add(hashed.record(wildcard.name()));
        }
        Denial::NoName { closest_encloser } => {
            if let Some(provable) = prove_closest_encloser(proof, hashed, name, closest_encloser) {
                proof.add(hashed.record(wildcard_below(provable, &mut [0; MAX_NAME])));
            }
        }
    }
}

/// Proves that there is no such name, when a wildcard's signature says what the closest encloser is (RFC 5155 §7.2.6).
pub(super) fn deny_name<'z>(proof: &mut Proof<'z>, hashed: &Hashed<'z>, name: &[u8], closest_encloser: Node<'z>) {
    proof.add(hashed.record(next_closer(name, closest_encloser)));
}

/// Proves which types a node has (RFC 5155 §7.2.3, §7.2.4, §7.2.7).
fn deny_type<'z>(proof: &mut Proof<'z>, hashed: &Hashed<'z>, node: Node<'z>) {
    match (hashed.find(node.name()), node.parent()) {
        (Nsec3::Matching(record), _) | (Nsec3::Covering(record), None) => proof.add(record),
        (Nsec3::Covering(_), Some(parent)) => {
            prove_closest_encloser(proof, hashed, node.name(), parent);
        }
    }
}

/// Proves that nothing deeper than the closest provable encloser is there on the way to `name` (RFC 5155 §7.2.1).
fn prove_closest_encloser<'z>(proof: &mut Proof<'z>, hashed: &Hashed<'z>, name: &[u8], closest: Node<'z>) -> Option<Node<'z>> {
    let mut encloser = closest;
    let record = loop {
        match hashed.find(encloser.name()) {
            Nsec3::Matching(record) => break record,
            Nsec3::Covering(_) => encloser = encloser.parent()?,
        }
    };
    proof.add(record);
    proof.add(hashed.record(next_closer(name, encloser)));
    Some(encloser)
}

impl<'z> Hashed<'z> {
    fn find(&self, name: &[u8]) -> Nsec3<'z> {
        self.zone.nsec3(self.chain, name::lower_into(name, &mut [0; MAX_NAME]))
    }

    fn record(&self, name: &[u8]) -> Node<'z> {
        match self.find(name) {
            Nsec3::Matching(node) | Nsec3::Covering(node) => node,
        }
    }
}
