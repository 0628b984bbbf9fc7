//! Counters that the service process (300) and the monitoring means (304) share.
//!
//! Every UDP worker and every TCP listener has a [`Worker`] of its own on its own cache lines. It collects what a batch
//! did in a plain [`Tally`] and adds that once a batch; whoever reads takes a [`Snapshot`]. Relaxed atomics only: each
//! number is right, numbers of one snapshot may be a batch apart. No socket, no clock: times are handed in.

use std::net::{Ipv6Addr, SocketAddr};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::dns::protect::cookie::Standing;
use crate::dns::reached::Reached;

/// Query types that have a counter of their own, in the order of their numbers: number and name. All others share one, named `other`.
pub const QUERY_TYPES: [(u16, &str); 19] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (35, "NAPTR"),
    (43, "DS"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (255, "ANY"),
    (257, "CAA"),
];

/// The counter of each type up to the last one with a counter of its own.
const COUNTER_OF_TYPE: [u8; QUERY_TYPES[QUERY_TYPES.len() - 1].0 as usize + 1] = {
    let mut counters = [QUERY_TYPES.len() as u8; QUERY_TYPES[QUERY_TYPES.len() - 1].0 as usize + 1];
    let mut position = 0;
    while position < QUERY_TYPES.len() {
        counters[QUERY_TYPES[position].0 as usize] = position as u8;
        position += 1;
    }
    counters
};

/// Response codes that have a counter of their own: 0 to 23, BADVERS (16) and BADCOOKIE (23) among them.
pub const RESPONSE_CODES: usize = 24;

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Drop {
    /// Shorter than a DNS header.
    Short,
    /// A response (QR set): answering it could make two servers talk to each other for ever.
    Response,
    /// Longer than the receive buffer.
    Oversized,
    /// Its source port is 0: there is nowhere to answer to.
    Unanswerable,
    /// A TCP connection beyond the limits.
    ConnectionLimit,
    /// The answer cannot get to where it was to go. The source may be forged: it says nothing of this server.
    Unreachable,
    /// The client of its connection was gone, or did not take the answer in time. Any client can do that at will: it says nothing of this server.
    ClientGone,
    /// It came when its connection had been closed from here. Its client has to ask again.
    Closed,
    /// A query over QUIC whose message id is not 0 (RFC 9250 §4.2.1).
    MessageId,
    /// A UDP batch or a TCP connection that ended in a panic, counted as one.
    Panic,
    /// Its answer was one too many for its prefix and name.
    RateLimit,
}

impl Drop {
    /// All causes, in the order of [`Tally::drops`].
    pub const ALL: [Self; 11] = [
        Self::Short,
        Self::Response,
        Self::Oversized,
        Self::Unanswerable,
        Self::ConnectionLimit,
        Self::Unreachable,
        Self::ClientGone,
        Self::Closed,
        Self::MessageId,
        Self::Panic,
        Self::RateLimit,
    ];

    /// The cause's name in status and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Response => "response",
            Self::Oversized => "oversized",
            Self::Unanswerable => "unanswerable",
            Self::ConnectionLimit => "connection-limit",
            Self::Unreachable => "unreachable",
            Self::ClientGone => "client-gone",
            Self::Closed => "closed",
            Self::MessageId => "message-id",
            Self::Panic => "panic",
            Self::RateLimit => "rate-limit",
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
    /// Connections with TLS (RFC 7858).
    Tls,
    /// HTTP requests with TLS (RFC 8484).
    Https,
    /// Streams of QUIC connections (RFC 9250).
    Quic,
}

impl Transport {
    /// The transport's name in errors, status and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Https => "HTTPS",
            Self::Quic => "QUIC",
        }
    }
}

/// Counts as plain numbers: what one batch did, or a sum of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Queries that were read, whatever their answer.
    pub queries: u64,
    /// Of these: sent to a service address, by somebody who is neither this host's loopback nor that address itself.
    pub from_others: u64,
    /// Answers the kernel took.
    pub accepted: u64,
    /// Answers the kernel refused to take for a reason of this host, not of the destination: see [`Drop::Unreachable`].
    pub refused: u64,
    /// Answers with the TC bit.
    pub truncated: u64,
    /// Answers by response code.
    pub response_codes: [u64; RESPONSE_CODES],
    /// Queries by type, in the order of [`QUERY_TYPES`], then all others.
    pub query_types: [u64; QUERY_TYPES.len() + 1],
    /// Messages without an answer, in the order of [`Drop::ALL`].
    pub drops: [u64; Drop::ALL.len()],
    /// Queries with a cookie, by what it was worth, in the order of [`Standing::ALL`].
    pub cookies: [u64; Standing::ALL.len()],
    /// Answers that went out empty in place of one too many.
    pub slipped: u64,
    /// Connections to a service address from others that have begun.
    pub connections_opened: u64,
    /// Of these, ended in order: every query that came was answered.
    pub connections_closed: u64,
    /// Of these, ended otherwise.
    pub connections_broken: u64,
    /// Receiving or accepting failed.
    pub receive_errors: u64,
    /// Nanoseconds spent on queries rather than on waiting for them.
    pub busy: u64,
}

impl Tally {
    /// Counts a query by its type; `None` where the question could not be read.
    pub fn count_query(&mut self, query_type: Option<u16>) {
        self.queries += 1;
        let counter = query_type.and_then(|number| COUNTER_OF_TYPE.get(usize::from(number)));
        self.query_types[counter.map_or(QUERY_TYPES.len(), |counter| usize::from(*counter))] += 1;
    }

    /// Counts an answer by its (extended) response code.
    pub fn count_answer(&mut self, response_code: u16, truncated: bool) {
        if let Some(count) = self.response_codes.get_mut(usize::from(response_code)) {
            *count += 1;
        }
        self.truncated += u64::from(truncated);
    }

    /// Counts a message that gets no answer.
    pub fn count_drop(&mut self, cause: Drop) {
        self.drops[cause as usize] += 1;
    }

    /// Counts a query with a cookie.
    pub fn count_cookie(&mut self, standing: Standing) {
        self.cookies[standing as usize] += 1;
    }

    /// Adds the time from `start` to `end` to [`busy`](Self::busy).
    pub fn count_busy(&mut self, start: Timestamp, end: Timestamp) {
        self.busy += u64::try_from(end.since(start).as_nanos()).unwrap_or(u64::MAX);
    }

    /// Connections to a service address from others that are open.
    #[must_use]
    pub const fn connections_open(&self) -> u64 {
        // The numbers are read one after the other: an end may have been counted since the beginning was read.
        self.connections_opened
            .saturating_sub(self.connections_closed + self.connections_broken)
    }

    /// [`busy`](Self::busy) as a duration.
    #[must_use]
    pub const fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy)
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self {
            queries,
            from_others,
            accepted,
            refused,
            truncated,
            response_codes,
            query_types,
            drops,
            cookies,
            slipped,
            connections_opened,
            connections_closed,
            connections_broken,
            receive_errors,
            busy,
        } = self;
        let connections = [connections_opened, connections_closed, connections_broken];
        [queries, from_others, accepted, refused, truncated, slipped, receive_errors, busy]
            .into_iter()
            .chain(response_codes)
            .chain(query_types)
            .chain(drops)
            .chain(cookies)
            .chain(connections)
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        let mut other = other.clone();
        for (sum, number) in self.numbers_mut().zip(other.numbers_mut()) {
            *sum += *number;
        }
    }
}

const NUMBERS: usize = 11 + RESPONSE_CODES + QUERY_TYPES.len() + 1 + Drop::ALL.len() + Standing::ALL.len();

/// The counts of one worker, on cache lines that no other worker writes to.
#[derive(Debug)]
#[repr(align(128))]
pub struct Worker {
    numbers: [AtomicU64; NUMBERS],
    loops: AtomicU64,
    last_loop: AtomicU64,
    /// 0: not said.
    thread: AtomicU32,
    dead: AtomicBool,
    /// Somebody else who was lately answered.
    pub reached: Reached,
}

impl Worker {
    fn new() -> Self {
        Self {
            numbers: [const { AtomicU64::new(0) }; NUMBERS],
            loops: AtomicU64::new(0),
            last_loop: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            reached: Reached::new(),
        }
    }

    /// Adds a batch's counts and leaves `tally` empty for the next one.
    pub fn add(&self, tally: &mut Tally) {
        for (sum, number) in self.numbers.iter().zip(tally.numbers_mut()) {
            if *number != 0 {
                sum.fetch_add(*number, Relaxed);
                *number = 0;
            }
        }
    }

    /// The heartbeat: says that the worker's loop came round at `now`.
    pub fn beat(&self, now: Timestamp) {
        self.loops.fetch_add(1, Relaxed);
        self.last_loop.store(now.as_micros(), Relaxed);
    }

    /// Says, once, which thread of this process the worker is, so that the monitor can ask the kernel how busy it is.
    pub fn set_thread(&self, id: u32) {
        self.thread.store(id, Relaxed);
    }

    /// Says that the worker has ended, after one panic upon the other, and answers nothing any more.
    pub fn set_dead(&self) {
        self.dead.store(true, Relaxed);
    }

    fn snapshot(&self) -> WorkerSnapshot {
        let mut tally = Tally::default();
        for (number, sum) in tally.numbers_mut().zip(&self.numbers) {
            *number = sum.load(Relaxed);
        }
        WorkerSnapshot {
            tally,
            loops: self.loops.load(Relaxed),
            last_loop: Timestamp::from_micros(self.last_loop.load(Relaxed)),
            thread: Some(self.thread.load(Relaxed)).filter(|id| *id > 0),
            dead: self.dead.load(Relaxed),
            reached: self.reached.get(),
        }
    }
}

/// The workers of one listening address and transport.
#[derive(Debug)]
pub struct Listener {
    /// The address listened on.
    pub address: SocketAddr,
    /// What is spoken there.
    pub transport: Transport,
    /// It is a service address.
    pub service: bool,
    /// Its workers.
    pub workers: Box<[Worker]>,
}

/// All counters of the service process.
#[derive(Debug, Default)]
pub struct Counters {
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    listeners: Vec<Arc<Listener>>,
    retired: Tally,
}

impl Counters {
    /// Counters without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener whose workers begin at zero; `now` counts as their first heartbeat.
    pub fn add_listener(&self, address: SocketAddr, transport: Transport, service: bool, workers: usize, now: Timestamp) -> Arc<Listener> {
        let workers: Box<[Worker]> = (0..workers).map(|_| Worker::new()).collect();
        workers.iter().for_each(|worker| worker.beat(now));
        let listener = Arc::new(Listener {
            address,
            transport,
            service,
            workers,
        });
        self.registry().listeners.push(Arc::clone(&listener));
        listener
    }

    /// Takes a closed listener out; its counts stay in the totals.
    pub fn retire(&self, listener: &Arc<Listener>) {
        let mut registry = self.registry();
        let Some(position) = registry.listeners.iter().position(|known| Arc::ptr_eq(known, listener)) else {
            return;
        };
        let listener = registry.listeners.swap_remove(position);
        for worker in &listener.workers {
            registry.retired += &worker.snapshot().tally;
        }
    }

    /// All numbers as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let registry = self.registry();
        let listeners = registry.listeners.iter().map(|listener| ListenerSnapshot {
            address: listener.address,
            transport: listener.transport,
            service: listener.service,
            workers: listener.workers.iter().map(Worker::snapshot).collect(),
        });
        Snapshot {
            listeners: listeners.collect(),
            retired: registry.retired.clone(),
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All numbers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Open listeners, in no particular order.
    pub listeners: Vec<ListenerSnapshot>,
    /// The sum of the closed ones.
    pub retired: Tally,
}

impl Snapshot {
    /// The sum over all listeners there are and were.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = self.retired.clone();
        self.workers().for_each(|worker| total += &worker.tally);
        total
    }

    /// All workers of all open listeners.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerSnapshot> {
        self.listeners.iter().flat_map(|listener| &listener.workers)
    }

    /// Workers that have ended after one panic upon the other.
    #[must_use]
    pub fn dead_workers(&self) -> usize {
        self.workers().filter(|worker| worker.dead).count()
    }
}

/// One listener at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSnapshot {
    /// The address listened on.
    pub address: SocketAddr,
    /// What is spoken there.
    pub transport: Transport,
    /// It is a service address.
    pub service: bool,
    /// Its workers.
    pub workers: Vec<WorkerSnapshot>,
}

/// One worker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Its counts since it began.
    pub tally: Tally,
    /// How often its loop came round; it does several times a second even without queries.
    pub loops: u64,
    /// When its loop last came round.
    pub last_loop: Timestamp,
    /// Its thread, if it has one to itself.
    pub thread: Option<u32>,
    /// It has ended after one panic upon the other.
    pub dead: bool,
    /// Somebody else who was lately answered from a service address.
    pub reached: Option<Ipv6Addr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        "[::1]:53".parse().unwrap()
    }

    #[test]
    fn each_query_type_has_its_counter() {
        assert!(QUERY_TYPES.is_sorted_by_key(|(number, _)| *number));
        let mut tally = Tally::default();
        tally.count_query(Some(28));
        tally.count_query(Some(65_280));
        tally.count_query(None);
        assert_eq!(tally.query_types[7], 1);
        assert_eq!(tally.query_types[QUERY_TYPES.len()], 2);
        assert_eq!(tally.queries, 3);
    }

    #[test]
    fn a_batch_is_added_once_and_shown_in_the_snapshot() {
        let counters = Counters::new();
        let listener = counters.add_listener(address(), Transport::Udp, true, 2, Timestamp::ZERO);
        let mut tally = Tally::default();
        tally.count_query(Some(1));
        tally.count_answer(3, true);
        tally.count_drop(Drop::Response);
        tally.count_cookie(Standing::Invalid);
        tally.slipped += 1;
        tally.count_busy(Timestamp::from_micros(10), Timestamp::from_micros(12));
        let expected = tally.clone();
        listener.workers[1].add(&mut tally);
        listener.workers[1].add(&mut tally);
        assert_eq!(tally, Tally::default());
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.listeners[0].workers[1].tally, expected);
        assert_eq!(snapshot.total(), expected);
        assert_eq!(expected.busy(), Duration::from_micros(2));
    }

    #[test]
    fn totals_survive_a_closed_listener() {
        let counters = Counters::new();
        let listener = counters.add_listener(address(), Transport::Tcp, false, 1, Timestamp::ZERO);
        let mut tally = Tally::default();
        tally.count_query(Some(6));
        listener.workers[0].add(&mut tally);
        counters.retire(&listener);
        counters.retire(&listener);
        let snapshot = counters.snapshot();
        assert!(snapshot.listeners.is_empty());
        assert_eq!(snapshot.total().queries, 1);
    }

    #[test]
    fn a_heartbeat_and_a_death_are_seen() {
        let counters = Counters::new();
        let listener = counters.add_listener(address(), Transport::Udp, false, 1, Timestamp::from_secs(1));
        listener.workers[0].beat(Timestamp::from_secs(2));
        listener.workers[0].set_dead();
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.listeners[0].workers[0].loops, 2);
        assert_eq!(snapshot.listeners[0].workers[0].last_loop, Timestamp::from_secs(2));
        assert_eq!(snapshot.dead_workers(), 1);
    }
}
