//! The LSAs of others, within bounds, and which other servers offer our service addresses.
//!
//! A host needs them to know what is newer, and to hand them on to whoever asks. Beyond the bound only headers are kept, beyond
//! a second one nothing: then only our own LSAs are described to a neighbour. Of an LSA whose body cannot be read the header alone
//! is kept: FRR drops a packet that has one in it, with all that it brings. Our own are in `origination`.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::wire::lsa::MAX_AGE;
use super::wire::{Content, Lsa, LsaHeader, LsaKey, RouterId};
use crate::base::time::Timestamp;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// LSAs with their bodies.
    pub(super) lsas: usize,
    /// Octets of these.
    pub(super) octets: usize,
    /// Headers, those with bodies too.
    pub(super) headers: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lsas: 20_000,
            octets: 8 << 20,
            headers: 100_000,
        }
    }
}

/// A smallest LSA costs more than its octets: what the table needs for it is counted too.
const OVERHEAD: usize = 128;

/// An LSA of another router.
#[derive(Clone, Debug)]
struct Entry {
    header: LsaHeader,
    /// Absent beyond the bound, and if it cannot be read.
    lsa: Option<Lsa>,
    is_readable: bool,
    arrived: Timestamp,
    sent_back: Option<Timestamp>,
}

impl Entry {
    fn age(&self, now: Timestamp) -> u16 {
        aged(self.header.age, self.arrived, now)
    }
}

/// The age at `now` of what was `age` old at `then`.
pub(super) fn aged(age: u16, then: Timestamp, now: Timestamp) -> u16 {
    let elapsed = u16::try_from(now.since(then).as_secs()).unwrap_or(MAX_AGE);
    age.saturating_add(elapsed).min(MAX_AGE)
}

/// The LSAs of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    bounds: Bounds,
    entries: BTreeMap<LsaKey, Entry>,
    /// With bodies: how many, and their octets.
    whole: (usize, usize),
    /// Without bodies, because these cannot be read.
    unreadable: usize,
    services: Vec<Ipv6Addr>,
    /// What each LSA asks for one of our service addresses.
    offers: BTreeMap<LsaKey, u32>,
}

impl Database {
    /// An empty one that watches who offers `services`.
    pub(super) fn new(services: Vec<Ipv6Addr>, bounds: Bounds) -> Self {
        Self {
            bounds,
            services,
            ..Self::default()
        }
    }

    /// How much is kept.
    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The header of an LSA at its present age.
    pub(super) fn header(&self, key: &LsaKey, now: Timestamp) -> Option<LsaHeader> {
        let entry = self.entries.get(key)?;
        Some(LsaHeader {
            age: entry.age(now),
            ..entry.header
        })
    }

    /// An LSA at its present age, if its body is kept.
    pub(super) fn lsa(&self, key: &LsaKey, now: Timestamp) -> Option<Lsa> {
        let entry = self.entries.get(key)?;
        Some(entry.lsa.clone()?.aged(entry.age(now)))
    }

    /// When this instance came.
    pub(super) fn arrived(&self, key: &LsaKey) -> Option<Timestamp> {
        self.entries.get(key).map(|entry| entry.arrived)
    }

    /// The LSA, unless it was sent back to somebody within `interval`.
    pub(super) fn send_back(&mut self, key: &LsaKey, interval: Duration, now: Timestamp) -> Option<Lsa> {
        let entry = self.entries.get_mut(key)?;
        if entry.sent_back.is_some_and(|at| now.since(at) < interval) {
            return None;
        }
        entry.sent_back = Some(now);
        self.lsa(key, now)
    }

    /// True if bodies had to be left out: then the database is not to be described.
    pub(super) fn is_incomplete(&self) -> bool {
        self.whole.0 + self.unreadable < self.entries.len()
    }

    /// Headers of all that can be handed on, at their present age; the withdrawn ones are left out.
    pub(super) fn headers(&self, now: Timestamp) -> Vec<LsaHeader> {
        let all = self.entries.values().filter(|entry| entry.lsa.is_some());
        let headers = all.map(|entry| LsaHeader {
            age: entry.age(now),
            ..entry.header
        });
        headers.filter(|header| !header.is_max_age()).collect()
    }

    /// LSAs with bodies, and headers.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.whole.0, self.entries.len())
    }

    /// Keeps an instance in place of the one before.
    pub(super) fn install(&mut self, lsa: Lsa, now: Timestamp) {
        let key = lsa.header.key;
        self.remove(&key);
        if self.entries.len() >= self.bounds.headers {
            return;
        }
        self.watch_offer(&lsa);
        let octets = lsa.length() + OVERHEAD;
        let is_readable = lsa.is_readable();
        self.unreadable += usize::from(!is_readable);
        let fits = is_readable && self.whole.0 < self.bounds.lsas && self.whole.1 + octets <= self.bounds.octets;
        if fits {
            self.whole = (self.whole.0 + 1, self.whole.1 + octets);
        }
        let entry = Entry {
            header: lsa.header,
            lsa: fits.then_some(lsa),
            is_readable,
            arrived: now,
            sent_back: None,
        };
        self.entries.insert(key, entry);
    }

    /// Forgets an LSA.
    pub(super) fn remove(&mut self, key: &LsaKey) {
        self.offers.remove(key);
        let Some(entry) = self.entries.remove(key) else { return };
        self.unreadable -= usize::from(!entry.is_readable);
        if let Some(lsa) = entry.lsa {
            self.whole = (self.whole.0 - 1, self.whole.1 - lsa.length() - OVERHEAD);
        }
    }

    /// Forgets what has grown too old or was withdrawn.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let old = self.entries.iter().filter(|(_, entry)| entry.age(now) >= MAX_AGE);
        let old: Vec<LsaKey> = old.map(|(key, _)| *key).collect();
        old.iter().for_each(|key| self.remove(key));
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(std::mem::take(&mut self.services), self.bounds);
    }

    /// Routers that offer one of our service addresses, and at what cost; none of it withdrawn.
    pub(super) fn offers(&self, now: Timestamp) -> impl Iterator<Item = (RouterId, u32)> + '_ {
        let lives = move |key: &LsaKey| self.header(key, now).is_some_and(|header| !header.is_max_age());
        let living = self.offers.iter().filter(move |(key, _)| lives(key));
        living.map(|(key, metric)| (key.router, *metric))
    }

    /// Those that do it below `cost`.
    pub(super) fn offers_below(&self, cost: u32, now: Timestamp) -> impl Iterator<Item = RouterId> + '_ {
        let below = self.offers(now).filter(move |(_, metric)| *metric < cost);
        below.map(|(router, _)| router)
    }

    fn watch_offer(&mut self, lsa: &Lsa) {
        let serves = |address: Option<Ipv6Addr>| address.is_some_and(|address| self.services.contains(&address));
        let metric = match lsa.content() {
            Ok(Content::IntraAreaPrefix(content)) => {
                let offered = content.prefixes.iter().filter(|one| serves(one.prefix.as_host()));
                offered.map(|one| u32::from(one.metric)).min()
            }
            Ok(Content::External(content)) => serves(content.prefix.as_host()).then_some(content.metric),
            Ok(Content::Router(_) | Content::Network(_) | Content::Link(_) | Content::Opaque(_)) | Err(_) => None,
        };
        if let Some(metric) = metric {
            self.offers.insert(lsa.header.key, metric);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advertiser::ospf::wire::lsa::{Attachment, IntraAreaPrefix, Prefix, PrefixCost};
    use crate::advertiser::ospf::wire::{LsaType, SequenceNumber};

    const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);

    fn key(id: u32) -> LsaKey {
        LsaKey {
            kind: LsaType(0x2003),
            id,
            router: RouterId(id),
        }
    }

    fn lsa(id: u32, age: u16) -> Lsa {
        Lsa::new(key(id), SequenceNumber::INITIAL, age, &Content::Opaque(vec![0; 4]))
    }

    #[test]
    fn beyond_the_bound_headers_alone_and_beyond_a_second_one_nothing() {
        for (lsas, octets) in [(3, usize::MAX), (usize::MAX, 3 * (24 + OVERHEAD))] {
            let bounds = Bounds { lsas, octets, headers: 5 };
            let mut database = Database::new(Vec::new(), bounds);
            (1..=9).for_each(|id| database.install(lsa(id, 0), Timestamp::ZERO));
            assert_eq!(database.size(), (3, 5));
            assert!(database.is_incomplete());
            assert!(database.lsa(&key(4), Timestamp::ZERO).is_none() && database.header(&key(4), Timestamp::ZERO).is_some());
            assert!(database.header(&key(9), Timestamp::ZERO).is_none());
            (4..=9).for_each(|id| database.remove(&key(id)));
            assert!(!database.is_incomplete());
            database.remove(&key(1));
            database.install(lsa(7, 0), Timestamp::ZERO);
            assert_eq!(database.size(), (3, 3));
        }
    }

    #[test]
    fn what_cannot_be_read_is_known_and_handed_to_nobody() {
        let mut database = Database::new(Vec::new(), Bounds::default());
        let odd = LsaKey {
            kind: LsaType::ROUTER,
            ..key(1)
        };
        let content = Content::Opaque(vec![0; 9]);
        for sequence in [SequenceNumber::INITIAL, SequenceNumber(7)] {
            database.install(Lsa::new(odd, sequence, 0, &content), Timestamp::ZERO);
            database.install(lsa(2, 0), Timestamp::ZERO);
            assert_eq!(database.header(&odd, Timestamp::ZERO).unwrap().sequence, sequence);
            assert!(database.lsa(&odd, Timestamp::ZERO).is_none() && !database.is_incomplete());
            assert_eq!(database.headers(Timestamp::ZERO).len(), 1, "the other one");
        }
        database.remove(&odd);
        assert_eq!((database.size(), database.unreadable), ((1, 1), 0));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut database = Database::new(Vec::new(), Bounds::default());
        database.install(lsa(1, 3_000), Timestamp::ZERO);
        database.install(lsa(2, 0), Timestamp::ZERO);
        let later = Timestamp::from_secs(599);
        database.sweep(later);
        assert_eq!(database.header(&key(1), later).unwrap().age, 3_599);
        let later = Timestamp::from_secs(600);
        assert_eq!(database.headers(later).len(), 1, "withdrawn ones are not described");
        database.sweep(later);
        assert_eq!(database.size(), (1, 1));
    }

    #[test]
    fn other_servers_of_the_address_are_known_by_their_cost() {
        let mut database = Database::new(vec![SERVICE], Bounds::default());
        let offer = |router: u32, address: Ipv6Addr, metric| {
            let key = LsaKey {
                kind: LsaType::INTRA_AREA_PREFIX,
                id: 1,
                router: RouterId(router),
            };
            let content = Content::IntraAreaPrefix(IntraAreaPrefix {
                attached_to: Attachment {
                    kind: LsaType::ROUTER,
                    id: 0,
                    router: key.router,
                },
                prefixes: vec![PrefixCost {
                    prefix: Prefix::host(address, 0),
                    metric,
                }],
            });
            Lsa::new(key, SequenceNumber::INITIAL, 0, &content)
        };
        let below = |database: &Database| database.offers_below(60_000, Timestamp::ZERO).collect::<Vec<_>>();
        database.install(offer(1, SERVICE, 10), Timestamp::ZERO);
        database.install(offer(2, SERVICE, 60_000), Timestamp::ZERO);
        database.install(offer(3, Ipv6Addr::LOCALHOST, 10), Timestamp::ZERO);
        assert_eq!(below(&database), [RouterId(1)]);
        database.install(offer(1, SERVICE, 10).aged(MAX_AGE), Timestamp::ZERO);
        assert_eq!(below(&database), []);
    }
}
