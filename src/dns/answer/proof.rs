//! The records that prove a denial, in signed zones whose signatures come with the zone file (RFC 4035 §3.1.3, RFC 5155 §7.2).
//!
//! One list for the whole answer, so that a record that proves two things is sent once: a chain of aliases may have to
//! prove that wildcards were needed on its way as well as that there is nothing at its end. What is denied was decided
//! before; `nsec` and `nsec3` say which records prove it. Zones that are not signed prove nothing.

#[cfg(test)]
mod checker;
mod nsec;
mod nsec3;
#[cfg(test)]
mod tests;

use super::plan::{Denial, MAX_CHAIN};
use crate::dns::name::{self, MAX_NAME};
use crate::dns::types::RecordType;
use crate::dns::zone::{DenialChain, Node, Rrset, Zone};

/// One for each link that came from a wildcard, and at most three for what is at the end.
const MAX_PROOF: usize = MAX_CHAIN + 3;

/// NSEC or NSEC3 records, each once.
#[derive(Debug)]
pub struct Proof<'z> {
    nodes: [Option<Node<'z>>; MAX_PROOF],
    length: usize,
}

impl<'z> Proof<'z> {
    /// Nothing is denied.
    #[must_use]
    #[inline(always)]
    pub fn empty() -> Self {
        Self {
            nodes: [const { None }; MAX_PROOF],
            length: 0,
        }
    }

    /// The records with their owners, in the order in which they are sent.
    pub fn rrsets(&self) -> impl Iterator<Item = (Node<'z>, Rrset<'z>)> {
        let nodes = self.nodes[..self.length].iter().flatten();
        nodes.filter_map(|node| Some((*node, record_of(*node)?)))
    }

    /// Proves a negative answer for the lower-cased wire `name`.
    pub(super) fn deny(&mut self, zone: &'z Zone, name: &[u8], denial: Denial<'z>) {
        match zone.denial_chain() {
            None => {}
            Some(DenialChain::Nsec) => nsec::deny(self, zone, name, denial),
            Some(DenialChain::Nsec3(chain)) => nsec3::deny(self, &nsec3::Hashed { zone, chain }, name, denial),
        }
    }

    /// Proves that the lower-cased wire `name` does not exist, so that the wildcard below `closest_encloser` stands for it.
    pub(super) fn deny_name(&mut self, zone: &'z Zone, name: &[u8], closest_encloser: Node<'z>) {
        match zone.denial_chain() {
            None => {}
            Some(DenialChain::Nsec) => nsec::deny_name(self, zone, name),
            Some(DenialChain::Nsec3(chain)) => nsec3::deny_name(self, &nsec3::Hashed { zone, chain }, name, closest_encloser),
        }
    }

    /// Adds the record of this node, unless it is in the list.
    fn add(&mut self, node: Node<'z>) {
        if self.nodes[..self.length].contains(&Some(node)) {
            return;
        }
        debug_assert!(self.length < MAX_PROOF, "the list is as long as a proof can be");
        if let Some(slot) = self.nodes.get_mut(self.length) {
            *slot = Some(node);
            self.length += 1;
        }
    }
}

/// Names have NSEC records; owners of NSEC3 records have nothing else.
fn record_of(node: Node<'_>) -> Option<Rrset<'_>> {
    node.rrset(RecordType::NSEC).or_else(|| node.rrset(RecordType::NSEC3))
}

/// The lower-cased wire name of the wildcard right below `encloser`, which has room for two more octets.
fn wildcard_below<'b>(encloser: Node<'_>, buffer: &'b mut [u8; MAX_NAME]) -> &'b [u8] {
    let name = encloser.name();
    let length = (2 + name.len()).min(MAX_NAME);
    buffer[..2].copy_from_slice(b"\x01*");
    buffer[2..length].copy_from_slice(&name[..length - 2]);
    buffer.make_ascii_lowercase();
    &buffer[..length]
}

/// The name one label longer than `encloser`, at or above `name` (RFC 5155 §1.3); `name` is below `encloser`.
fn next_closer<'n>(name: &'n [u8], encloser: Node<'_>) -> &'n [u8] {
    let mut next_closer = name;
    while let Some(parent) = name::parent(next_closer)
        && parent.len() > encloser.name().len()
    {
        next_closer = parent;
    }
    next_closer
}
