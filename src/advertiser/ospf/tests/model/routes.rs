//! The model's routes: which servers of the service address it believes in, and at what cost.

use super::{Model, Stage};
use crate::advertiser::ospf::wire::*;

impl Model {
    /// What FRR does with a prefix at once: a next hop that goes while others stay is kept until the next calculation.
    pub(super) fn take_prefix(&mut self, key: &LsaKey) {
        match self.offer(key).filter(|_| self.reaches(key.router)) {
            Some(metric) => drop(self.route.insert(key.router, metric)),
            None if self.route.len() <= 1 => drop(self.route.remove(&key.router)),
            None => {}
        }
    }

    pub(super) fn calculate(&mut self) {
        let keys: Vec<LsaKey> = self
            .database
            .keys()
            .filter(|key| key.kind == LsaType::INTRA_AREA_PREFIX)
            .copied()
            .collect();
        let reached = keys.iter().filter(|key| self.reaches(key.router));
        self.route = reached.filter_map(|key| Some((key.router, self.offer(key)?))).collect();
    }

    fn offer(&self, key: &LsaKey) -> Option<u16> {
        let (lsa, _) = self.database.get(key).filter(|(lsa, _)| !lsa.header.is_max_age())?;
        match lsa.content() {
            Ok(Content::IntraAreaPrefix(content)) => content.prefixes.first().map(|one| one.metric),
            _ => None,
        }
    }

    /// Full, says so itself, and its Link-LSA tells where to send.
    fn reaches(&self, router: RouterId) -> bool {
        let is_full = self.peers.get(&router).is_some_and(|peer| peer.stage == Stage::Full);
        let lives = |(lsa, _): &&(Lsa, _)| lsa.header.key.router == router && !lsa.header.is_max_age();
        // A router may have several Router-LSAs.
        let (mut links_back, mut has_next_hop) = (false, false);
        for (lsa, _) in self.database.values().filter(lives) {
            match lsa.content() {
                Ok(Content::Router(content)) => {
                    links_back |= content.links.iter().any(|link| link.neighbor == self.id && link.metric >= 0xfff0);
                }
                Ok(Content::Link(_)) => has_next_hop = true,
                _ => {}
            }
        }
        is_full && links_back && has_next_hop
    }
}
