//! The one DNS decision: zones and a question in, a [`Plan`] out (RFC 1034 §4.3.2 as amended by 2308, 4592, 6672, 8482).
//!
//! Pure: no clock, no I/O, no state. Every transport, the probe and the tests call this one function.
//!
//! ```text
//! zone of the name -> deepest existing node
//!   a cut, or below one ------------------------ referral (DS at the cut itself: answered here)
//!   the name itself ---------------------------- its RRset | CNAME: follow | NODATA
//!   above the name, with DNAME ----------------- DNAME and its CNAME: follow | YXDOMAIN
//!   above the name, with a wildcard below ------ the wildcard's RRset | CNAME: follow | NODATA
//!   above the name ----------------------------- NXDOMAIN
//! ```

use super::message::Question;
use super::plan::{Authority, Content, Denial, Link, Negative, Owner, Plan, Referral};
use crate::dns::name::{self, MAX_NAME, Name};
use crate::dns::types::{Class, RecordType, ResponseCode};
use crate::dns::zone::{Located, NameHash, Node, NodeKind, Rrset, Zone, ZoneSet};

/// Types that stand for all others when any type is asked for (RFC 8482 §4.1), the first that exists.
const ANY_PREFERENCE: [RecordType; 5] = [RecordType::CNAME, RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::SOA];

/// Decides what is answered to a question of class IN.
#[must_use]
pub fn answer<'z>(zones: &'z ZoneSet, question: &Question, dnssec_ok: bool) -> Plan<'z> {
    let mut plan = Plan::empty(ResponseCode::REFUSED);
    answer_located(zones, zones.locate(question.name()), question, dnssec_ok, &mut plan);
    plan
}

/// As [`answer`], for a question whose name is located already, into an empty plan with REFUSED: a plan is large, and does
/// not have to be moved.
pub(super) fn answer_located<'z>(
    zones: &'z ZoneSet,
    located: Option<Located<'z>>,
    question: &Question,
    dnssec_ok: bool,
    plan: &mut Plan<'z>,
) {
    plan.dnssec_ok = dnssec_ok;
    let is_transfer = matches!(question.record_type, RecordType::AXFR | RecordType::IXFR);
    match located {
        Some(located) if !is_transfer => Search::new(zones, question, plan).run(located.zone, located.hash),
        Some(located) if located.zone.apex().as_wire().len() == question.name().len() => {}
        None if zones.lacks(question.name()) => answer_unloaded(zones, question, plan),
        // no zone has this name, whoever asks for it (RFC 5936 §2.2.1)
        _ if is_transfer => plan.response_code = ResponseCode::NOT_AUTH,
        _ => {}
    }
}

/// Of a zone that is not loaded only the DS is known, by a parent that is.
fn answer_unloaded<'z>(zones: &'z ZoneSet, question: &Question, plan: &mut Plan<'z>) {
    let is_of_parent = question.record_type == RecordType::DS;
    match delegating_zone(zones, question.name()).filter(|_| is_of_parent) {
        Some(parent) => Search::new(zones, question, plan).run(parent, NameHash::of(question.name())),
        None => plan.response_code = ResponseCode::SERV_FAIL,
    }
}

/// The zone above the name, if it delegates it.
fn delegating_zone<'z>(zones: &'z ZoneSet, name: &[u8]) -> Option<&'z Zone> {
    let above = zones.find_above(name)?;
    is_delegated(above.closest_encloser(name)?).then_some(&**above)
}

/// The zone above the name of a zone, if it knows that name: delegates it, or has something else there or below. One that
/// knows nothing of its child would say NXDOMAIN, and resolvers would take that for all of the child (RFC 8020).
fn parental_zone<'z>(zones: &'z ZoneSet, name: &[u8]) -> Option<&'z Zone> {
    let above = zones.find_above(name)?;
    let encloser = above.closest_encloser(name)?;
    (encloser.name().len() == name.len() || is_delegated(encloser)).then_some(&**above)
}

/// The walk along a chain of aliases.
struct Search<'z, 's> {
    zones: &'z ZoneSet,
    question: &'s Question,
    plan: &'s mut Plan<'z>,
    /// The name looked for now, as the answer section will show it, and in lower case.
    owner: Owner<'z>,
    name: [u8; MAX_NAME],
    length: usize,
}

impl<'z, 's> Search<'z, 's> {
    fn new(zones: &'z ZoneSet, question: &'s Question, plan: &'s mut Plan<'z>) -> Self {
        let mut name = [0; MAX_NAME];
        let length = question.name().len();
        name[..length].copy_from_slice(question.name());
        Self {
            zones,
            question,
            plan,
            owner: Owner::Question,
            name,
            length,
        }
    }

    /// From the name, whose hash this is, in its zone.
    fn run(&mut self, mut zone: &'z Zone, mut hash: NameHash) {
        self.plan.response_code = ResponseCode::NO_ERROR;
        // Nobody speaks with authority for all classes at once.
        self.plan.authoritative = self.question.class != Class::ANY;
        loop {
            let Some(target) = self.look_up(self.zone_for(zone), hash) else {
                return;
            };
            if self.plan.answer.room() < 2 || self.has_been_at(target) {
                return;
            }
            self.move_to(target);
            match self.zones.locate(self.name()) {
                Some(next) => (zone, hash) = (next.zone, next.hash),
                None => return,
            }
        }
    }

    fn name(&self) -> &[u8] {
        &self.name[..self.length]
    }

    fn record_type(&self) -> RecordType {
        self.question.record_type
    }

    /// The zone that answers for the name, which `zone` has; for the DS of a zone's apex its parent, if that is served here
    /// and knows the name (RFC 4035 §3.1.4.1).
    fn zone_for(&self, zone: &'z Zone) -> &'z Zone {
        if self.record_type() == RecordType::DS && zone.apex().as_wire().len() == self.length {
            return parental_zone(self.zones, self.name()).unwrap_or(zone);
        }
        zone
    }

    /// Looks for the name, whose hash this is, in its zone; says which name to look for next, if it is an alias.
    fn look_up(&mut self, zone: &'z Zone, hash: NameHash) -> Option<Owner<'z>> {
        let exactly = zone.hashed_node(self.name(), hash);
        let found = exactly.or_else(|| zone.closest_above(self.name()))?;
        let governing = governing_node(found);
        let is_the_name = governing.name().len() == self.length;
        let is_of_parent = is_the_name && self.record_type() == RecordType::DS;
        if governing.kind() == NodeKind::Delegation && !is_of_parent {
            self.refer(zone, governing)
        } else if is_the_name {
            self.answer_from(zone, governing, None)
        } else {
            self.look_below(zone, governing)
        }
    }

    /// The name does not exist; `encloser` is the deepest name above it that does.
    fn look_below(&mut self, zone: &'z Zone, encloser: Node<'z>) -> Option<Owner<'z>> {
        if let Some(dname) = encloser.rrset(RecordType::DNAME) {
            return self.redirect(encloser, dname);
        }
        match encloser.wildcard() {
            Some(wildcard) => self.answer_from(zone, wildcard, Some(encloser)),
            None => {
                self.plan.response_code = ResponseCode::NX_DOMAIN;
                self.deny(
                    zone,
                    Denial::NoName {
                        closest_encloser: encloser,
                    },
                )
            }
        }
    }

    /// Answers with the data of `node`, which is the name's own or, with a closest encloser, the wildcard that stands for it.
    fn answer_from(&mut self, zone: &'z Zone, node: Node<'z>, closest_encloser: Option<Node<'z>>) -> Option<Owner<'z>> {
        let found = match self.question.record_type {
            RecordType::ANY => one_of_any(node).map(Content::Records),
            RecordType::RRSIG => node.rrsets().find(Rrset::is_signed).map(Content::Signatures),
            record_type => node.rrset(record_type).map(Content::Records),
        };
        if let Some(content) = found {
            self.push(zone, content, node, closest_encloser);
            return None;
        }
        if !stands_beside_aliases(self.question.record_type)
            && let Some(alias) = node.rrset(RecordType::CNAME)
            && let Some(target) = alias.records().next()
        {
            self.push(zone, Content::Records(alias), node, closest_encloser);
            return Some(Owner::Known(target));
        }
        let denial = match closest_encloser {
            None => Denial::NoData { node },
            Some(closest_encloser) => Denial::WildcardNoData {
                closest_encloser,
                wildcard: node,
            },
        };
        self.deny(zone, denial)
    }

    /// Adds a part that `node` has; with a closest encloser it is the wildcard below that, and the name itself is denied.
    fn push(&mut self, zone: &'z Zone, content: Content<'z>, node: Node<'z>, closest_encloser: Option<Node<'z>>) {
        let (owner, wildcard) = (self.owner, closest_encloser.map(|_| node));
        self.plan.answer.push(Link { owner, content, wildcard });
        if let Some(closest_encloser) = closest_encloser.filter(|_| self.plan.dnssec_ok) {
            let name = &self.name[..self.length];
            self.plan.proof.deny_name(zone, name, closest_encloser);
        }
    }

    /// The name is below a DNAME: its labels go before the DNAME's target (RFC 6672 §3.1).
    fn redirect(&mut self, node: Node<'z>, dname: Rrset<'z>) -> Option<Owner<'z>> {
        let owner = Owner::Known(node.name());
        if !self.plan.answer.links().any(|link| link.owner == owner && link.content.is_dname()) {
            let content = Content::Records(dname);
            self.plan.answer.push(Link {
                owner,
                content,
                wildcard: None,
            });
        }
        let kept = self.length - node.name().len();
        let target = dname.records().next()?;
        let Ok(made) = Name::from_wire(&[&self.name[..kept], target].concat()) else {
            self.plan.response_code = ResponseCode::YX_DOMAIN;
            return None;
        };
        let target = self.plan.answer.made.len();
        self.plan.answer.made.push(made);
        self.plan.answer.push(Link {
            owner: self.owner,
            content: Content::Alias { ttl: dname.ttl(), target },
            wildcard: None,
        });
        // Other than at a CNAME of the zone itself, the walk goes on for type ANY too (RFC 6672 §3.2).
        (self.record_type() != RecordType::CNAME).then_some(Owner::Made(target))
    }

    fn refer(&mut self, zone: &'z Zone, cut: Node<'z>) -> Option<Owner<'z>> {
        self.plan.authoritative &= !self.plan.answer.is_empty();
        let signers = cut.rrset(RecordType::DS).filter(|_| self.plan.dnssec_ok);
        if signers.is_none() && self.plan.dnssec_ok {
            self.plan.proof.deny(zone, cut.name(), Denial::NoData { node: cut });
        }
        let signers = signers.filter(Rrset::is_signed);
        self.plan.authority = Authority::Referral(Referral { zone, cut, signers });
        None
    }

    fn deny(&mut self, zone: &'z Zone, denial: Denial<'z>) -> Option<Owner<'z>> {
        if self.plan.dnssec_ok {
            let name = &self.name[..self.length];
            self.plan.proof.deny(zone, name, denial);
        }
        self.plan.authority = Authority::Negative(Negative { zone, denial });
        None
    }

    /// True if the chain has already left this name by an alias: it is a loop.
    fn has_been_at(&self, target: Owner<'z>) -> bool {
        let target = self.wire_name(target);
        let mut aliases = self.plan.answer.links().filter(|link| !link.content.is_dname());
        aliases.any(|link| name::equal(self.wire_name(link.owner), target))
    }

    fn move_to(&mut self, target: Owner<'z>) {
        let mut buffer = [0; MAX_NAME];
        self.length = name::lower_into(self.wire_name(target), &mut buffer).len();
        self.name = buffer;
        self.owner = target;
    }

    fn wire_name(&self, owner: Owner<'z>) -> &[u8] {
        match owner {
            Owner::Question => self.question.name(),
            Owner::Known(wire) => wire,
            Owner::Made(index) => self.plan.answer.made[index].as_wire(),
        }
    }
}

/// The node that says how names at or below `node` are answered: `node`, or the cut or DNAME that occludes it.
fn governing_node(node: Node<'_>) -> Node<'_> {
    let mut governing = node;
    while governing.kind() == NodeKind::Occluded
        && let Some(parent) = governing.parent()
    {
        governing = parent;
    }
    governing
}

/// It is a cut, or below one.
fn is_delegated(node: Node<'_>) -> bool {
    governing_node(node).kind() == NodeKind::Delegation
}

/// An alias has records of these types of its own, so they are not looked for at its target (RFC 4035 §2.5).
fn stands_beside_aliases(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::NSEC | RecordType::RRSIG)
}

fn one_of_any(node: Node<'_>) -> Option<Rrset<'_>> {
    let preferred = ANY_PREFERENCE.iter().find_map(|record_type| node.rrset(*record_type));
    preferred.or_else(|| node.rrsets().next())
}

#[cfg(test)]
mod tests;
