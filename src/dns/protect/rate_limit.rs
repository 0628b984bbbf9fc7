//! The response rate limit: so many equal answers a second to a prefix of clients, whatever the queries.
//!
//! A flood of queries with a forged source makes this server send to whom the source belongs. Answers that are equal for
//! the purpose share a bucket: same prefix of clients, same kind, same name (of a denial the zone, of a wildcard the name
//! above it, so that no made-up names give a flood buckets of its own).
//!
//! A bucket is one word: the time at which all credit would be back, as in the generic cell rate algorithm. One that has all
//! its credit equals one that is not there, so the table never has to be swept, and a full set forgets whom it hurts least.
//! The table is shared by all workers, of fixed size, without locks; its hash is keyed, so that nobody can aim at a bucket.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;

use super::watch::{News, Watch};
use crate::base::prefix::Prefix;
use crate::base::time::Timestamp;

/// Buckets that share a cache line; a key can be in any of them.
const WAYS: usize = 8;
/// Cache lines: 2 MiB. With every bucket in use for the second after an answer this is for 262,144 names or prefixes a second.
const SETS: usize = 1 << 15;
/// The most answers a second: at one a microsecond the clock's grain ends.
pub const MOST_RATE: u32 = 1_000_000;
/// Every how many-th limited answer slips, at most.
pub const MOST_SLIP: u8 = 10;

/// A bucket's fields, from the lowest bit: the time, the place in the slip cycle, the tag.
const TIME_BITS: u32 = 40;
const SLIP_BITS: u32 = 4;
const TIME: u64 = (1 << TIME_BITS) - 1;
const SLIP: u64 = (1 << SLIP_BITS) - 1;
/// Times further ahead than this are from the time before the last wrap (12.7 days). It is more than any credit, because
/// a worker's `now` can be older than another's.
const MOST_AHEAD: u64 = 4_000_000;

/// What answers have in common besides their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Records, by the question's name; of a wildcard or DNAME by the name it stands below, or at.
    Answer,
    /// A delegation, by the cut.
    Referral,
    /// The name does not exist, by the zone.
    NameError,
    /// The name has no such type, by the name; of a wildcard by the name it stands below.
    NoData,
    /// Any other response code, without a name.
    Error,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Answer => "answers for",
            Self::Referral => "referrals to",
            Self::NameError => "NXDOMAIN below",
            Self::NoData => "NODATA at",
            Self::Error => "errors",
        })
    }
}

/// How much is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Equal answers a second, at most [`MOST_RATE`]. As many may come at once.
    pub rate: NonZeroU32,
    /// Every how many-th limited answer goes out empty, with TC; 0: none, at most [`MOST_SLIP`].
    pub slip: u8,
    /// IPv4 clients with so many first bits in common are one.
    pub ipv4_prefix: u8,
    /// IPv6 clients with so many first bits in common are one.
    pub ipv6_prefix: u8,
    /// Clients that are never limited.
    pub exempt: Vec<Prefix>,
}

/// What is to be done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Send,
    /// Send an empty one in its place, so that a true client comes back by a way that cannot be forged.
    Slip,
    /// Send nothing.
    Drop,
}

/// The limit and who has used how much of it.
pub struct RateLimiter {
    limits: Limits,
    /// Microseconds for one answer's credit to come back, and for all of it.
    interval: u64,
    credit: u64,
    key: SipHasher13,
    sets: Box<[Set]>,
    watch: Watch,
}

#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

impl RateLimiter {
    /// A limiter that has seen nothing; `key` is random, and nobody else's.
    #[must_use]
    pub fn new(limits: Limits, key: &[u8; 16]) -> Self {
        let rate = u64::from(limits.rate.get().min(MOST_RATE));
        // Rounded up: never more than the rate.
        let interval = 1_000_000_u64.div_ceil(rate);
        Self {
            interval,
            credit: interval * rate,
            key: SipHasher13::new_with_key(key),
            sets: (0..SETS).map(|_| Set([const { AtomicU64::new(0) }; WAYS])).collect(),
            watch: Watch::default(),
            limits,
        }
    }

    /// Counts an answer of this kind and name (in lower case) to `client`, and says what is to be done with it.
    pub fn judge(&self, client: IpAddr, kind: Kind, name: &[u8], now: Timestamp) -> Verdict {
        if self.limits.exempt.iter().any(|prefix| prefix.contains(client)) {
            return Verdict::Send;
        }
        let prefix = self.prefix_of(client);
        let hash = self.hash(prefix, kind, name);
        let verdict = self.take(&self.sets[hash as usize % SETS], hash >> (TIME_BITS + SLIP_BITS), now.as_micros());
        if verdict != Verdict::Send {
            self.watch.note(prefix, kind, name, now);
        }
        verdict
    }

    /// Who is limited since the last call, and who no longer is. For the log: bounded, whatever the network does.
    pub fn news(&self, now: Timestamp) -> Vec<News> {
        self.watch.news(now)
    }

    fn prefix_of(&self, client: IpAddr) -> Prefix {
        let length = if client.is_ipv4() {
            self.limits.ipv4_prefix
        } else {
            self.limits.ipv6_prefix
        };
        Prefix::of(client, length)
    }

    fn hash(&self, prefix: Prefix, kind: Kind, name: &[u8]) -> u64 {
        let bits = match prefix.address() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let mut hasher = self.key;
        hasher.write(&bits.to_ne_bytes());
        hasher.write(&[kind as u8]);
        hasher.write(name);
        hasher.finish()
    }

    /// Takes one answer's credit from the bucket with this tag, if it is there.
    fn take(&self, set: &Set, tag: u64, now: u64) -> Verdict {
        loop {
            let (way, seen) = find(set, tag, now);
            let (next, verdict) = self.step(seen, tag, now);
            if set.0[way].compare_exchange_weak(seen, next, Relaxed, Relaxed).is_ok() {
                return verdict;
            }
        }
    }

    /// What becomes of a bucket by one more answer. One with another tag begins anew.
    fn step(&self, seen: u64, tag: u64, now: u64) -> (u64, Verdict) {
        let (owed, cycle) = if tag_of(seen) == tag {
            (ahead(seen, now), seen >> TIME_BITS & SLIP)
        } else {
            (0, 0)
        };
        if owed + self.interval <= self.credit {
            return (bucket(tag, cycle, now + owed + self.interval), Verdict::Send);
        }
        let slip = u64::from(self.limits.slip);
        let verdict = if slip > 0 && cycle == 0 { Verdict::Slip } else { Verdict::Drop };
        let cycle = if cycle + 1 < slip { cycle + 1 } else { 0 };
        (bucket(tag, cycle, now + owed), verdict)
    }
}

/// The bucket with this tag, or the one to give up for it: the one that owes least, which loses least by it.
fn find(set: &Set, tag: u64, now: u64) -> (usize, u64) {
    let (mut chosen, mut least) = ((0, 0), u64::MAX);
    for (way, bucket) in set.0.iter().enumerate() {
        let seen = bucket.load(Relaxed);
        if tag_of(seen) == tag {
            return (way, seen);
        }
        let owed = ahead(seen, now);
        if owed < least {
            (chosen, least) = ((way, seen), owed);
        }
    }
    chosen
}

const fn bucket(tag: u64, cycle: u64, time: u64) -> u64 {
    tag << (TIME_BITS + SLIP_BITS) | cycle << TIME_BITS | time & TIME
}

const fn tag_of(bucket: u64) -> u64 {
    bucket >> (TIME_BITS + SLIP_BITS)
}

/// Microseconds until the bucket has all its credit again; 0 if it has.
const fn ahead(bucket: u64, now: u64) -> u64 {
    let ahead = bucket.wrapping_sub(now) & TIME;
    if ahead <= MOST_AHEAD { ahead } else { 0 }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the key nor a quarter of a million buckets.
        formatter
            .debug_struct("RateLimiter")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
