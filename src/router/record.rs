//! All servers of one service address that were heard (claim 15), one for each link-layer address, and who gets into the table.
//!
//! A full table refuses newcomers. Only a dead member makes room, or an unsigned one for a signed one: a flood of forged
//! servers cannot push out known ones. While a member lives, nobody takes its link-layer address, identity or gateway over.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::member::{Gateway, Member, Rules, Standing};
use crate::base::address::LinkLayerAddress;
use crate::base::peer::IdentityHash;
use crate::base::time::Timestamp;

/// Most members of one service address: what a group of next hops can hold.
pub(super) const MOST_MEMBERS: usize = 256;
/// A dead member is shown for so long.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Why a valid sign made no member and changed none; counted under these names.
pub(super) mod refused {
    pub(crate) const IDENTITY: &str = "other-identity";
    pub(crate) const GATEWAY: &str = "other-gateway";
    pub(crate) const GATEWAY_TAKEN: &str = "gateway-taken";
    pub(crate) const TABLE_FULL: &str = "table-full";
}

/// Who says that it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) link_layer: LinkLayerAddress,
    pub(super) gateway: Gateway,
    pub(super) identity: Option<IdentityHash>,
    /// By a signed peer message.
    pub(super) signed: bool,
    /// By a peer message.
    pub(super) message: bool,
}

/// The members.
#[derive(Clone, Debug, Default)]
pub(super) struct Record(BTreeMap<LinkLayerAddress, Member>);

impl Record {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.0.values_mut()
    }

    pub(super) fn get(&self, link_layer: LinkLayerAddress) -> Option<&Member> {
        self.0.get(&link_layer)
    }

    /// The link-layer address of the member with this gateway: an answer to a solicitation need not carry it (RFC 4861 §4.4).
    pub(super) fn link_layer_at(&self, gateway: Ipv6Addr) -> Option<LinkLayerAddress> {
        let member = self.iter().find(|member| member.gateway.address == gateway);
        member.map(|member| member.link_layer)
    }

    /// The member that sent an advertisement which carries another link-layer address than its own.
    pub(super) fn sender_mut(&mut self, source: Ipv6Addr, identity: IdentityHash) -> Option<&mut Member> {
        self.iter_mut()
            .find(|member| member.identity == Some(identity) && member.gateway.address == source)
    }

    /// A next hop of a predecessor's.
    pub(super) fn adopt(&mut self, member: Member) {
        let taken = self.iter().any(|other| other.gateway.address == member.gateway.address);
        if self.0.len() < MOST_MEMBERS && !taken && !self.0.contains_key(&member.link_layer) {
            self.0.insert(member.link_layer, member);
        }
    }

    /// The member that `claim` speaks of, a new one if need be.
    pub(super) fn admit(&mut self, claim: &Claim, rules: &Rules, now: Timestamp) -> Result<&mut Member, &'static str> {
        let mut gateway = claim.gateway;
        if let Some(member) = self.0.get(&claim.link_layer) {
            let standing = member.standing(rules, now);
            let serves = standing.serves();
            let overrules = claim.signed && !member.signed;
            let underrules = member.signed && !claim.signed && standing != Standing::Dead;
            let another = member.identity.is_some() && member.identity != claim.identity;
            if another && (serves && !overrules || underrules) {
                return Err(refused::IDENTITY);
            }
            if serves || member.inherited.is_some() {
                gateway = keep_or_change(member, claim)?;
            }
            if another {
                self.0.remove(&claim.link_layer);
            }
        }
        self.clear_gateway(gateway, claim.link_layer, claim.signed, (rules, now))?;
        if !self.0.contains_key(&claim.link_layer) {
            self.make_room(claim.signed, rules, now)?;
        }
        let member = self.0.entry(claim.link_layer);
        let member = member.or_insert_with(|| Member::new(claim.link_layer, gateway));
        member.gateway = gateway;
        Ok(member)
    }

    /// Two members cannot have one gateway, not even of two services: the kernel has one link-layer address for it.
    pub(super) fn clear_gateway(
        &mut self,
        gateway: Gateway,
        link_layer: LinkLayerAddress,
        signed: bool,
        (rules, now): (&Rules, Timestamp),
    ) -> Result<(), &'static str> {
        let same = |other: &&Member| other.gateway.address == gateway.address && other.link_layer != link_layer;
        let Some(other) = self.iter().find(same) else { return Ok(()) };
        let lives = other.standing(rules, now) != Standing::Dead;
        if lives && (other.signed || !signed) {
            return Err(refused::GATEWAY_TAKEN);
        }
        let other = other.link_layer;
        self.0.remove(&other);
        Ok(())
    }

    fn make_room(&mut self, signed: bool, rules: &Rules, now: Timestamp) -> Result<(), &'static str> {
        if self.0.len() < MOST_MEMBERS {
            return Ok(());
        }
        let oldest = |which: &dyn Fn(&&Member) -> bool| {
            let candidates = self.iter().filter(which);
            candidates.min_by_key(|member| member.last_heard()).map(|member| member.link_layer)
        };
        let dead = oldest(&|member| member.standing(rules, now) == Standing::Dead);
        let victim = dead.or_else(|| oldest(&|member| signed && !member.signed));
        self.0.remove(&victim.ok_or(refused::TABLE_FULL)?);
        Ok(())
    }

    /// Forgets who has been silent for long, and at once who was taken over from a predecessor and never heard.
    pub(super) fn forget(&mut self, rules: &Rules, now: Timestamp) {
        self.0.retain(|_, member| match member.last_heard() {
            Some(last) => now.since(last) < FORGET_AFTER || !member.is_dead(rules, now),
            None => !member.is_dead(rules, now),
        });
    }

    /// When [`Record::forget`] will forget somebody, if that is known already.
    pub(super) fn forgets_at(&self) -> Option<Timestamp> {
        self.iter().filter_map(Member::last_heard).min().map(|last| last + FORGET_AFTER)
    }
}

/// The gateway of a living member after `claim`: its own, unless a better word says otherwise.
fn keep_or_change(member: &Member, claim: &Claim) -> Result<Gateway, &'static str> {
    let (known, claimed) = (member.gateway, claim.gateway);
    let better = known.made_up && !claimed.made_up;
    let trusted = claim.signed || claim.message && !member.signed && member.message().is_none();
    match (known == claimed, claimed.made_up) {
        (true, _) | (false, true) => Ok(known),
        (false, false) if better || trusted => Ok(claimed),
        (false, false) => Err(refused::GATEWAY),
    }
}
