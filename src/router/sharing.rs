//! From the record to what the kernel is told: candidates with their weights, shares, and when a change is worth telling.
//!
//! Shares that a predecessor left stay as they are until their servers were heard; then they become factors of the weight law,
//! so that a restart changes nothing that the servers' loads have not changed.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::config::Policy;
use super::member::{Gateway, Member, Standing};
use super::selection::{Candidate, select};
use super::service::{Scene, Service};
use super::weights::{self, LEAST_FACTOR, Reading};
use crate::base::forwarding::{MOST_SHARE, NextHop};

impl Service {
    /// Once all that was taken over has been heard, or the time for it is over, the shares found become factors.
    pub(super) fn settle(&mut self, scene: &Scene) {
        let open = |member: &Member| {
            member
                .inherited
                .is_some_and(|inherited| member.is_unheard() && scene.now < inherited.until)
        };
        let inherited = self.record.iter().any(|member| member.inherited.is_some());
        if !inherited || self.record.iter().any(open) {
            return;
        }
        let ratio = |member: &Member| {
            let found = member.inherited.filter(|found| found.datagrams > 0 && !member.is_unheard())?;
            Some(f64::from(found.datagrams) / member.configured(scene.now))
        };
        let greatest = self.record.iter().filter_map(ratio).reduce(f64::max).unwrap_or(1.0);
        for member in self.record.iter_mut() {
            if let Some(ratio) = ratio(member) {
                member.factor = (ratio / greatest).clamp(LEAST_FACTOR, 1.0);
            }
            member.in_force = member.factor;
            if !member.is_unheard() {
                member.inherited = None;
            }
        }
    }

    fn candidates(&self, scene: &Scene) -> Vec<Candidate> {
        let found = |member: &Member| {
            let found = member.inherited?.datagrams;
            (found > 0).then_some(f64::from(found))
        };
        // While shares that were found are in force, others are measured against them.
        let scale = |member: &Member| Some(found(member)? / member.configured(scene.now));
        let scale = self.record.iter().filter_map(scale).reduce(f64::max).unwrap_or(1.0);
        let candidate = |member: &Member| {
            let standing = match member.standing(&scene.rules, scene.now) {
                Standing::Inherited if found(member).is_none() => Standing::Leaving,
                standing => standing,
            };
            Candidate {
                link_layer: member.link_layer,
                gateway: member.gateway,
                standing,
                weight: found(member).unwrap_or(member.configured(scene.now) * member.factor * scale),
            }
        };
        self.record.iter().map(candidate).collect()
    }

    pub(super) fn reselect(&mut self, scene: &Scene) {
        let candidates = self.candidates(scene);
        let entry = self.entry.link_layer().map(|link_layer| {
            let known = candidates.iter().find(|one| one.link_layer == link_layer);
            known.copied().unwrap_or(Candidate {
                link_layer,
                gateway: Gateway::of(Ipv6Addr::UNSPECIFIED, link_layer),
                standing: Standing::Active,
                weight: 1.0,
            })
        });
        let wanted = select(scene.policy, &candidates, entry);
        if weights::is_news(&self.told, &wanted) {
            self.tell(wanted, scene);
        }
    }

    /// What loads are measured under from now on: the shares as they were rounded.
    fn tell(&mut self, wanted: Vec<NextHop>, scene: &Scene) {
        self.told = wanted;
        let shares: BTreeMap<_, _> = self.told.iter().map(|hop| (hop.link_layer, hop.datagrams)).collect();
        let sharing = |member: &Member| shares.get(&member.link_layer).copied().filter(|share| *share > 0);
        let weight = |member: &Member| member.configured(scene.now) * member.factor;
        let greatest = self.record.iter().filter(|member| sharing(member).is_some()).map(weight);
        let greatest = greatest.fold(0.0, f64::max);
        for member in self.record.iter_mut() {
            match sharing(member) {
                Some(share) => {
                    let part = f64::from(share) / f64::from(MOST_SHARE);
                    member.in_force = (part * greatest / member.configured(scene.now)).clamp(LEAST_FACTOR, 1.0);
                    member.shared_since.get_or_insert(scene.now);
                }
                None => member.shared_since = None,
            }
        }
    }

    /// The weight law's turn.
    pub(super) fn update_weights(&mut self, scene: &Scene) {
        let unsettled = self.record.iter().any(|member| member.inherited.is_some());
        if scene.policy != Policy::Weighted || unsettled {
            return;
        }
        let reading = |member: &Member| Reading {
            configured: member.configured(scene.now),
            factor: member.factor,
            in_force: member.in_force,
            utilisation: member.utilisation(scene.now),
        };
        let shared = |member: &&Member| member.shared_since.is_some();
        let group: Vec<_> = self.record.iter().filter(shared).map(reading).collect();
        let sharing = self.record.iter_mut().filter(|member| member.shared_since.is_some());
        for (member, factor) in sharing.zip(weights::update(&group)) {
            member.factor = factor;
        }
        self.reselect(scene);
    }
}
