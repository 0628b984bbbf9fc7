//! The additional section: addresses of the names that NS, MX and SRV records of a plan point to.
//!
//! Only what is known from the zones served here. Glue at or below the cut of a referral is *required*: without it the
//! client cannot go on, so an answer without room for all of it is truncated (RFC 9471 §3). Everything else is a courtesy.

use super::plan::{Authority, Content, Plan, Referral};
use crate::dns::name::{self, MAX_NAME};
use crate::dns::types::RecordType;
use crate::dns::zone::{Node, NodeKind, Rrset, Zone, ZoneSet};

/// Distinct targets of one answer that get a courtesy; more would not fit a datagram.
const MAX_TARGETS: usize = 32;

/// The addresses without which a referral is of no use: those of name servers at or below the cut.
pub(super) fn required<'z>(plan: &Plan<'z>) -> impl Iterator<Item = (Node<'z>, Rrset<'z>)> + use<'z> {
    let referral = match plan.authority {
        Authority::Referral(referral) => Some(referral),
        Authority::Empty | Authority::Negative(_) => None,
    };
    referral.into_iter().flat_map(|referral| {
        let servers = referral.cut.rrset(RecordType::NS).into_iter().flat_map(|rrset| rrset.records());
        let in_domain = servers.filter(move |server| name::is_subdomain(server, referral.cut.name()));
        let nodes = in_domain.filter_map(move |server| referral.zone.node(name::lower_into(server, &mut [0; MAX_NAME])));
        nodes.flat_map(addresses)
    })
}

/// Hands out the addresses that save the client a question, until `take` says that there is no more room.
pub(super) fn courtesy<'z>(zones: &'z ZoneSet, plan: &Plan<'z>, mut take: impl FnMut(Node<'z>, Rrset<'z>) -> bool) {
    let mut seen: [Option<Node<'z>>; MAX_TARGETS] = [None; MAX_TARGETS];
    for pointer in pointers(plan) {
        let mut buffer = [0; MAX_NAME];
        let lower = name::lower_into(pointer.target, &mut buffer);
        let Some(node) = pointer.resolve(zones, lower).filter(|node| !seen.contains(&Some(*node))) else {
            continue;
        };
        let Some(free) = seen.iter_mut().find(|slot| slot.is_none()) else {
            return;
        };
        *free = Some(node);
        if !addresses(node).all(|(node, rrset)| take(node, rrset)) {
            return;
        }
    }
}

/// A name in rdata, and what may be said about it.
struct Pointer<'z> {
    target: &'z [u8],
    /// Glue will do: the record is an NS.
    takes_glue: bool,
    /// The referral it belongs to. Names at or below its cut are required glue, which is not repeated.
    referral: Option<Referral<'z>>,
}

impl<'z> Pointer<'z> {
    /// Where the addresses of the target are. A referral's own zone knows best: a child that is served here too may not
    /// have the name that its parent has glue for.
    fn resolve(&self, zones: &'z ZoneSet, lower: &[u8]) -> Option<Node<'z>> {
        if self
            .referral
            .is_some_and(|referral| name::is_subdomain(self.target, referral.cut.name()))
        {
            return None;
        }
        let in_zone = |zone: &'z Zone| zone.node(lower).filter(|node| self.accepts(*node));
        let own = self.referral.and_then(|referral| in_zone(referral.zone));
        own.or_else(|| in_zone(zones.find(lower)?))
    }

    fn accepts(&self, node: Node<'_>) -> bool {
        match node.kind() {
            NodeKind::Authoritative => true,
            NodeKind::Delegation | NodeKind::Occluded => self.takes_glue && node.cut().is_some(),
            NodeKind::EmptyNonTerminal => false,
        }
    }
}

fn pointers<'z>(plan: &Plan<'z>) -> impl Iterator<Item = Pointer<'z>> {
    let answered = plan.answer.links().filter_map(|link| match link.content {
        Content::Records(rrset) => Some((rrset, None)),
        Content::Signatures(_) | Content::Alias { .. } => None,
    });
    let referral = match &plan.authority {
        Authority::Referral(referral) => referral.cut.rrset(RecordType::NS).map(|rrset| (rrset, Some(*referral))),
        Authority::Empty | Authority::Negative(_) => None,
    };
    answered.chain(referral).flat_map(|(rrset, referral)| {
        let offset = target_offset(rrset.record_type());
        let records = offset.map(|offset| rrset.records().filter_map(move |rdata| rdata.get(offset..)));
        records.into_iter().flatten().map(move |target| Pointer {
            target,
            takes_glue: rrset.record_type() == RecordType::NS,
            referral,
        })
    })
}

/// Where in the rdata of this type a name begins whose addresses the client will want.
fn target_offset(record_type: RecordType) -> Option<usize> {
    match record_type {
        RecordType::NS => Some(0),
        RecordType::MX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}

fn addresses(node: Node<'_>) -> impl Iterator<Item = (Node<'_>, Rrset<'_>)> {
    let types = [RecordType::A, RecordType::AAAA];
    types
        .into_iter()
        .filter_map(move |record_type| Some((node, node.rrset(record_type)?)))
}
