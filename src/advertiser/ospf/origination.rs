//! Our own LSAs: which should be there now, against which are; their sequence numbers (RFC 2328 §12.1.6, §12.4, §13.4, §14.1).
//!
//! One question is asked after every input: what should be originated? It is answered from the decision, the neighbours and the
//! link alone, so it does not matter which of them has changed. Until a neighbour is Full nothing is originated; what earlier
//! lives of this server have left is learned first, and gone on from.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::{Network, Standby};
use super::database::aged;
use super::flooding::LEAST_ARRIVAL;
use super::machine::Ospf;
use super::neighbor::State;
use super::wire::lsa::MAX_AGE;
use super::wire::{Content, Lsa, LsaHeader, LsaKey, LsaType, RouterId, SequenceNumber};
use crate::base::cost::{CostClass, LAST_RESORT};
use crate::base::machine::Outbox;
use crate::base::random::Random;
use crate::base::time::{Timestamp, earliest};
use crate::scheduler::{Intent, Withdrawal};

/// MinLSInterval: what the topology changes is said no more often.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);
/// LSRefreshTime is 1,800 s; some of it is left to chance, so that servers do not refresh together.
const REFRESH: (Duration, Duration) = (Duration::from_secs(1_500), Duration::from_secs(300));
/// The metrics of the link in our Router-LSA: no way through, whichever it is. Changing it makes the routers calculate anew; with two
/// of them a router that has missed one change would find nothing changed by the next.
const NUDGES: std::ops::RangeInclusive<u16> = 0xfff0..=0xffff;
/// A packet may take longer than the one before.
const MARGIN: Duration = Duration::from_millis(50);
/// LSAs of an earlier life that are remembered: whoever forges more of them gains nothing.
const MOST: usize = 256;

/// FRR keeps a withdrawn LSA for up to a minute, and takes no lower number of it until then.
const KEPT: Duration = Duration::from_secs(70);

/// Link state IDs of one life of an LSA's numbers: the next life's are that much higher.
const SPARE_IDS: u32 = 0x1_0000;

/// One of our own LSAs.
#[derive(Clone, Debug)]
struct Own {
    lsa: Lsa,
    /// When it had the age in its header.
    since: Timestamp,
    /// This life has originated this instance; else it is an earlier one's, or somebody else's.
    is_ours: bool,
    /// When this life last originated one.
    originated: Option<Timestamp>,
    /// When this life last originated one in the place of another instance that had replaced its own.
    answered: Option<Timestamp>,
    refresh_at: Timestamp,
    sent_back: Option<Timestamp>,
}

impl Own {
    fn age(&self, now: Timestamp) -> u16 {
        aged(self.lsa.header.age, self.since, now)
    }
}

/// Our own LSAs.
#[derive(Clone, Debug, Default)]
pub(super) struct Origination {
    own: BTreeMap<LsaKey, Own>,
    /// The last sequence numbers of what is gone: they are never used for something else.
    last: BTreeMap<LsaKey, SequenceNumber>,
    /// How often the numbers of an LSA were used up, by its type and first link state ID.
    used_up: BTreeMap<(LsaType, u32), u32>,
    /// When the numbers of the Link-LSA, which has no other ID, were used up.
    link_used_up: Option<Timestamp>,
    /// Which of `NUDGES` our Router-LSA has.
    nudge: u16,
    /// When the routers are to calculate anew, though nothing that is said changes then.
    nudge_at: Option<Timestamp>,
    /// When something that came too soon after the last time is looked at again.
    postponed: Option<Timestamp>,
    /// Times that another instance than ours had to be replaced while a neighbour was Full.
    pub(super) contested: u64,
}

/// Which of our LSAs goes first in an update: the change before what makes the routers calculate.
pub(super) fn rank(key: &LsaKey) -> u8 {
    match key.kind {
        LsaType::LINK => 0,
        LsaType::ROUTER => 2,
        LsaType(_) => 1,
    }
}

fn carries_service(kind: LsaType) -> bool {
    matches!(kind, LsaType::INTRA_AREA_PREFIX | LsaType::AS_EXTERNAL | LsaType::NSSA)
}

impl Origination {
    /// Nothing said yet. The metric starts anywhere: a router may have that of an earlier life which is never heard of here.
    pub(super) fn new(random: &mut Random) -> Self {
        let metrics = u64::from(NUDGES.end() - NUDGES.start()) + 1;
        Self {
            nudge: u16::try_from(random.below(metrics)).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// The metric of the link in our Router-LSA.
    pub(super) fn metric(&self) -> u16 {
        NUDGES.start() + self.nudge % (NUDGES.end() - NUDGES.start() + 1)
    }

    /// The LSA at its present age.
    pub(super) fn lsa(&self, key: &LsaKey, now: Timestamp) -> Option<Lsa> {
        self.own.get(key).map(|own| own.lsa.clone().aged(own.age(now)))
    }

    /// Its header at its present age.
    pub(super) fn header(&self, key: &LsaKey, now: Timestamp) -> Option<LsaHeader> {
        self.own.get(key).map(|own| LsaHeader {
            age: own.age(now),
            ..own.lsa.header
        })
    }

    /// The headers of all that are not withdrawn.
    pub(super) fn headers(&self, now: Timestamp) -> Vec<LsaHeader> {
        let headers = self.own.keys().filter_map(|key| self.header(key, now));
        headers.filter(|header| !header.is_max_age()).collect()
    }

    /// Those that are withdrawn, and not known to be by everybody.
    pub(super) fn withdrawn(&self) -> Vec<LsaKey> {
        let all = self.own.iter().filter(|(_, own)| own.lsa.header.is_max_age());
        all.map(|(key, _)| *key).collect()
    }

    /// True if a service address is told.
    pub(super) fn tells_service(&self) -> bool {
        self.own
            .iter()
            .any(|(key, own)| carries_service(key.kind) && !own.lsa.header.is_max_age())
    }

    /// True if a withdrawn service address may still be with a router.
    pub(super) fn withdraws_service(&self) -> bool {
        self.own
            .iter()
            .any(|(key, own)| carries_service(key.kind) && own.lsa.header.is_max_age())
    }

    /// The LSA, unless it was sent back to somebody within `interval`.
    pub(super) fn send_back(&mut self, key: &LsaKey, interval: Duration, now: Timestamp) -> Option<Lsa> {
        let own = self.own.get_mut(key)?;
        if own.sent_back.is_some_and(|at| now.since(at) < interval) {
            return None;
        }
        own.sent_back = Some(now);
        self.lsa(key, now)
    }

    /// A newer instance of one of our LSAs came from a neighbour.
    pub(super) fn adopt(&mut self, lsa: Lsa, now: Timestamp) {
        let key = lsa.header.key;
        let before = self.own.get(&key);
        if before.is_none() && self.own.len() >= MOST {
            return;
        }
        let lsa = match before {
            _ if lsa.is_readable() => lsa,
            Some(own) => own.lsa.again(lsa.header.sequence, lsa.header.age),
            // What cannot be read is nobody's route: it needs no withdrawal, which a router that cannot read it would drop.
            None => return,
        };
        let (originated, answered) = (before.and_then(|own| own.originated), before.and_then(|own| own.answered));
        self.contested += u64::from(before.is_some_and(|own| own.is_ours && !lsa.header.is_max_age()));
        self.own.insert(
            key,
            Own {
                lsa,
                since: now,
                is_ours: false,
                originated,
                answered,
                refresh_at: now,
                sent_back: None,
            },
        );
    }

    /// Another instance of our Router-LSA has replaced ours: the metric goes on from its own, so that the next one is not what routers have,
    /// even if they miss some in between. What this life has said before they may have dropped as older: they are to calculate anew, no
    /// more often than the topology changes.
    pub(super) fn follow(&mut self, key: &LsaKey, now: Timestamp) {
        let Some(own) = self.own.get(key).filter(|own| !own.is_ours) else {
            return;
        };
        if let Ok(Content::Router(content)) = own.lsa.content() {
            let metric = content.links.first().map(|link| link.metric);
            let nudge = metric.filter(|metric| NUDGES.contains(metric));
            self.nudge = nudge.map_or(self.nudge, |metric| metric - NUDGES.start());
        }
        if own.originated.is_some() {
            self.nudge_at = Some(self.postponed_until(key, now).unwrap_or(now));
        }
    }

    /// A new instance of an LSA. If its numbers are used up the last one is withdrawn, and it goes on under another link state ID
    /// (RFC 5340 §4.4.3.2 has several Router-LSAs for one router), because FRR takes no lower number for a minute. A Link-LSA has
    /// no other: it waits until the withdrawal is known. `None` if there is nothing to say.
    fn issue(&mut self, key: LsaKey, content: &Content, random: &mut Random, now: Timestamp) -> Option<LsaKey> {
        let present = self.own.get(&key).map(|own| own.lsa.header.sequence);
        let last = present.max(self.last.get(&key).copied());
        let Some(sequence) = last.map_or(Some(SequenceNumber::INITIAL), SequenceNumber::next) else {
            if key.kind == LsaType::LINK {
                self.link_used_up = Some(now);
            } else {
                *self.used_up.entry((key.kind, key.id % SPARE_IDS)).or_default() += 1;
            }
            return self.withdraw(key, now);
        };
        let lsa = Lsa::new(key, sequence, 0, content);
        self.put(lsa, random.duration_below(REFRESH.1), now);
        Some(key)
    }

    /// Premature ageing (§14.1): with a number of its own, as some routers take the same one for the same instance.
    fn withdraw(&mut self, key: LsaKey, now: Timestamp) -> Option<LsaKey> {
        let own = self.own.get(&key).filter(|own| !own.lsa.header.is_max_age())?;
        let sequence = own.lsa.header.sequence;
        let lsa = own.lsa.again(sequence.next().unwrap_or(sequence), MAX_AGE);
        self.put(lsa, Duration::ZERO, now);
        Some(key)
    }

    fn put(&mut self, lsa: Lsa, jitter: Duration, now: Timestamp) {
        let began_anew = self.link_used_up.filter(|_| lsa.header.key.kind == LsaType::LINK);
        let may_be_refused = began_anew.is_some_and(|at| now.since(at) < KEPT);
        let refresh_after = if may_be_refused { KEPT } else { REFRESH.0 + jitter };
        let before = self.own.get(&lsa.header.key);
        let replaces_another = before.is_some_and(|own| !own.is_ours && own.originated.is_some());
        let answered = if replaces_another {
            Some(now)
        } else {
            before.and_then(|own| own.answered)
        };
        self.last.remove(&lsa.header.key);
        self.own.insert(
            lsa.header.key,
            Own {
                lsa,
                since: now,
                is_ours: true,
                originated: Some(now),
                answered,
                refresh_at: now + refresh_after,
                sent_back: None,
            },
        );
    }

    /// Everybody knows that it is withdrawn. True if it was a service address that was taken back.
    pub(super) fn forget_withdrawn(&mut self, key: &LsaKey) -> bool {
        let Some(own) = self.own.get(key).filter(|own| own.lsa.header.is_max_age()) else {
            return false;
        };
        let sequence = own.lsa.header.sequence;
        self.own.remove(key);
        if sequence != SequenceNumber::MAX && self.last.len() < MOST {
            self.last.insert(*key, sequence);
        }
        carries_service(key.kind)
    }

    /// Nobody has these any more: the link was away for too long to refresh them.
    fn forget_old(&mut self, now: Timestamp) {
        let old = self
            .own
            .iter()
            .filter(|(_, own)| own.age(now) >= MAX_AGE && !own.lsa.header.is_max_age());
        let old: Vec<(LsaKey, SequenceNumber)> = old.map(|(key, own)| (*key, own.lsa.header.sequence)).collect();
        for (key, sequence) in old {
            self.own.remove(&key);
            self.last.insert(key, sequence);
        }
    }

    /// True if this content is what is said already, by this life.
    fn says(&self, key: &LsaKey, content: &Content) -> bool {
        let own = self.own.get(key).filter(|own| own.is_ours && !own.lsa.header.is_max_age());
        own.is_some_and(|own| own.lsa.content().as_ref() == Ok(content))
    }

    /// True if the last number there is withdraws it.
    fn is_used_up(&self, key: &LsaKey) -> bool {
        let header = self.own.get(key).map(|own| own.lsa.header);
        header.is_some_and(|header| header.is_max_age() && header.sequence == SequenceNumber::MAX)
    }

    /// When the LSA may be said again because the topology has changed: at once if this life has not said it, or if another instance
    /// has replaced ours for the first time in a while.
    fn postponed_until(&self, key: &LsaKey, now: Timestamp) -> Option<Timestamp> {
        let own = self.own.get(key)?;
        let last = if own.is_ours { own.originated } else { own.answered }?;
        Some(last + LEAST_INTERVAL).filter(|at| *at > now)
    }

    /// True if another instance has replaced ours, and so has one just before: they are answered no more often than the topology is.
    fn is_contested(&self, key: &LsaKey, now: Timestamp) -> bool {
        let is_foreign = self.own.get(key).is_some_and(|own| !own.is_ours);
        is_foreign && self.postponed_until(key, now).is_some()
    }

    /// True if what is here is a withdrawal that this life has not said.
    fn is_withdrawn_by_another(&self, key: &LsaKey) -> bool {
        self.own.get(key).is_some_and(|own| !own.is_ours && own.lsa.header.is_max_age())
    }

    /// True if a router drops an instance that follows now, because the one before is younger than MinLSArrival.
    fn is_too_young(&self, key: &LsaKey, now: Timestamp) -> bool {
        let originated = self.own.get(key).and_then(|own| own.originated);
        originated.is_some_and(|at| now.since(at) < LEAST_ARRIVAL + MARGIN)
    }

    /// When something is to be done without anything happening before.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let refresh = self.own.values().filter(|own| own.is_ours && !own.lsa.header.is_max_age());
        earliest(earliest(refresh.map(|own| own.refresh_at).min(), self.postponed), self.nudge_at)
    }
}

impl Ospf {
    /// Makes our LSAs what they should be, and tells the neighbours.
    pub(super) fn originate(&mut self, now: Timestamp, out: &mut Outbox) {
        self.origination.forget_old(now);
        let cost = self.cost(now);
        let is_full = self.is_linked();
        let (router, link) = (self.router_key(), self.link_key());
        if self.origination.is_used_up(&link) {
            // Also if it was a router that told us of its withdrawal.
            self.settle(link, now);
        }
        let services = self.service_lsas(cost);
        let before_a_change = services.iter().map(|(key, _)| *key).chain([router]);
        let too_young = before_a_change
            .chain(self.told())
            .any(|key| self.origination.is_too_young(&key, now));

        let mut urgent: Vec<LsaKey> = Vec::new();
        let unwanted = |key: &LsaKey| ![router, link].contains(key) && !services.iter().any(|(wanted, _)| wanted == key);
        let no_more: Vec<LsaKey> = self.origination.own.keys().filter(|key| unwanted(key)).copied().collect();
        urgent.extend(no_more.iter().filter_map(|key| self.origination.withdraw(*key, now)));
        let takes_back = !urgent.is_empty();
        if takes_back && !is_full {
            // A router that takes it during the exchange has to calculate when that is over.
            self.origination.nudge_at = Some(now);
        }
        if is_full {
            for (key, content) in &services {
                if !self.origination.says(key, content) && !self.origination.is_contested(key, now) {
                    urgent.extend(self.origination.issue(*key, content, &mut self.random, now));
                }
            }
        }
        let mut calm = Vec::new();
        if is_full {
            let is_due = self.origination.nudge_at.is_some_and(|at| at <= now);
            if !urgent.is_empty() || is_due {
                self.origination.nudge_at = None;
                let content = self.nudged_router_lsa();
                urgent.extend(self.origination.issue(router, &content, &mut self.random, now));
            }
            calm = self.refresh(&[(link, self.link_lsa()), (router, self.router_lsa())], &services, now);
        }
        let is_urgent = !urgent.is_empty();
        let mut changed = urgent;
        changed.extend(calm);
        changed.sort_by_key(rank);
        changed.dedup();
        self.flood(&changed, is_urgent, now, out);
        if takes_back && too_young && self.is_unhealthy() {
            self.fall_silent(now, out);
        }
    }

    /// True if what is here is to be replaced by a new instance: sent to a router it would withdraw what that is about to hear again.
    pub(super) fn is_overcome(&self, key: &LsaKey, now: Timestamp) -> bool {
        let is_wanted = || {
            let services = self.service_lsas(self.cost(now));
            [self.router_key(), self.link_key()].contains(key) || services.iter().any(|(wanted, _)| wanted == key)
        };
        self.origination.is_withdrawn_by_another(key) && is_wanted()
    }

    /// Full with whom our Router-LSA links to: on a link with a DR, with the DR.
    pub(super) fn is_linked(&self) -> bool {
        let mut full = self.neighbors.iter().filter(|one| one.state == State::Full);
        match self.setup.config.network {
            Network::PointToPoint => full.next().is_some(),
            Network::Broadcast => full.any(|one| one.router == self.interface.designated_router),
        }
    }

    /// A service address that is told again, while the Router-LSA that was to make the routers calculate has arrived already: it
    /// takes a new one, when a router no longer drops it.
    pub(super) fn nudge_again(&mut self, repeated: &[LsaKey], now: Timestamp) -> Option<LsaKey> {
        let router = self.router_key();
        let needed = repeated.iter().any(|key| carries_service(key.kind)) && !repeated.contains(&router);
        if !needed || !self.is_linked() {
            return None;
        }
        if self.origination.is_too_young(&router, now) {
            self.nudge_later(now);
            return None;
        }
        self.origination.nudge_at = None;
        let content = self.nudged_router_lsa();
        self.origination.issue(router, &content, &mut self.random, now)
    }

    /// The routers are to calculate once more, as soon as a new instance of the Router-LSA is not dropped. Also for a withdrawal that
    /// has arrived: the instance that went with it may have come before it, when a packet was lost.
    pub(super) fn nudge_later(&mut self, now: Timestamp) {
        let originated = self.origination.own.get(&self.router_key()).and_then(|own| own.originated);
        let at = originated.map_or(now, |at| now.max(at + LEAST_ARRIVAL + MARGIN));
        self.origination.nudge_at = Some(at);
    }

    /// Takes back all that is ours, before this server leaves.
    pub(super) fn retire(&mut self, now: Timestamp, out: &mut Outbox) {
        let keys: Vec<LsaKey> = self.origination.own.keys().copied().collect();
        let mut gone: Vec<LsaKey> = keys.iter().filter_map(|key| self.origination.withdraw(*key, now)).collect();
        gone.sort_by_key(rank);
        self.flood(&gone, true, now, out);
    }

    /// What the topology or the time has changed.
    fn refresh(&mut self, topology: &[(LsaKey, Content)], services: &[(LsaKey, Content)], now: Timestamp) -> Vec<LsaKey> {
        let mut changed = Vec::new();
        let origination = &mut self.origination;
        origination.postponed = None;
        for (key, content) in topology.iter().chain(services) {
            if origination.says(key, content) {
                continue;
            }
            match origination.postponed_until(key, now) {
                Some(at) => origination.postponed = earliest(origination.postponed, Some(at)),
                None => changed.extend(origination.issue(*key, content, &mut self.random, now)),
            }
        }
        for (key, content) in topology.iter().chain(services) {
            let old = |own: &Own| own.is_ours && !own.lsa.header.is_max_age() && own.refresh_at <= now;
            if origination.own.get(key).is_some_and(old) {
                changed.extend(origination.issue(*key, content, &mut self.random, now));
            }
        }
        changed
    }

    /// What the route to a service address is to cost; `None`: there is to be none.
    pub(super) fn cost(&self, now: Timestamp) -> Option<u16> {
        let decision = self.decision.as_ref().filter(|_| self.sender.link.service_addresses_held)?;
        match decision.intent {
            Intent::Withdraw(_) => None,
            Intent::Advertise => Some(self.cost_of(decision.class)),
            Intent::Silent => match self.setup.config.standby {
                Standby::Withdraw if self.has_said_last_resort(now) && self.another_serves(now) => None,
                Standby::Withdraw | Standby::LastResort => Some(self.cost_of(CostClass::LastResort)),
            },
        }
    }

    /// The others have heard by now that this server is idle. Two that go idle at once would each take the other's old LSA for a
    /// server that is awake, and no route would be left that a query could wake anybody by.
    fn has_said_last_resort(&self, now: Timestamp) -> bool {
        self.silent_since.is_some_and(|since| now.since(since) >= LEAST_INTERVAL)
    }

    fn cost_of(&self, class: CostClass) -> u16 {
        let cost = class.cost(self.setup.config.cost.into());
        u16::try_from(cost).unwrap_or(u16::MAX)
    }

    /// Another server of a service address that is here on the link, and not as a last resort. One that is elsewhere does not
    /// count: its LSA outlives it by up to an hour.
    fn another_serves(&self, now: Timestamp) -> bool {
        let is_here = |router: &RouterId| self.neighbors.iter().any(|one| one.router == *router && one.state >= State::TwoWay);
        self.database
            .offers_below(u32::from(LAST_RESORT), now)
            .any(|router| is_here(&router))
    }

    /// The service has failed, or its address is gone: what still comes may not be answered.
    fn is_unhealthy(&self) -> bool {
        let intent = self.decision.as_ref().map(|decision| decision.intent);
        intent == Some(Intent::Withdraw(Withdrawal::Unhealthy)) || !self.sender.link.service_addresses_held
    }

    fn told(&self) -> impl Iterator<Item = LsaKey> + '_ {
        self.origination.own.keys().filter(|key| carries_service(key.kind)).copied()
    }

    pub(super) fn key(&self, kind: LsaType, id: u32) -> LsaKey {
        let lives = self.origination.used_up.get(&(kind, id)).copied().unwrap_or_default();
        LsaKey {
            kind,
            id: id.wrapping_add(lives.wrapping_mul(SPARE_IDS)),
            router: self.sender.router,
        }
    }

    pub(super) fn router_key(&self) -> LsaKey {
        self.key(LsaType::ROUTER, 0)
    }

    pub(super) fn link_key(&self) -> LsaKey {
        self.key(LsaType::LINK, self.sender.link.index.0)
    }

    /// With another metric than the present instance has, whoever has originated that.
    fn nudged_router_lsa(&mut self) -> Content {
        self.origination.nudge = self.origination.nudge.wrapping_add(1);
        self.router_lsa()
    }
}
