//! A UDP worker: a thread with a socket of its own that receives, answers and sends in batches.
//!
//! No tokio, no lock, and after the start no allocation. The zones are read once a batch, the clock twice. Workers are not
//! pinned to cores: they share them with the TCP runtime and with advertising, which must never wait behind a busy one.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::guard::Guard;
use super::{Phase, Shared};
use crate::base::time::Timestamp;
use crate::dns::answer::{self, Query, Templates};
use crate::dns::counters::{self, Drop, Tally, Transport};
use crate::dns::protect::rate_limit::Verdict;
use crate::dns::zone::{Located, ZoneSet};
use crate::io::clock;
use crate::io::sys::mmsg::Batch;
use crate::io::sys::prefetch::{prefetch, prefetch_line};
use crate::io::threads;

/// Datagrams per system call.
pub const BATCH: usize = 32;
/// The longest datagram read, in octets; queries with every option there is have a few hundred. One cache line more than a
/// power of two, so that the beginnings of all buffers do not compete for the same places of the cache.
pub const RECEIVE: usize = 2048 + 64;
/// Octets of a name's records that are fetched before they are read.
const BLOCK: usize = 192;
const NOTES_EVERY: Duration = Duration::from_secs(1);
/// A worker that panics so often in [`PANICS_WITHIN`] is beyond help; a rarer panic costs one batch.
const MOST_PANICS: usize = 10;
const PANICS_WITHIN: Duration = Duration::from_secs(10);
/// After an error of the socket itself, so that a lasting one does not keep a core busy.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Worker {
    pub(super) socket: UdpSocket,
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<counters::Listener>,
    pub(super) index: usize,
    pub(super) phases: watch::Receiver<Phase>,
}

impl Worker {
    /// Answers until the phase says otherwise. A panic loses the batch in hand and is counted; panic upon panic ends this
    /// worker, closes its socket, and is seen in the counters.
    pub(super) fn run(self) {
        self.counters.workers[self.index].set_thread(threads::own_id());
        let mut panics = Panics::default();
        // Unwind-safe: a loop shares nothing with the one before it but the socket, which holds no half-done work.
        while panic::catch_unwind(AssertUnwindSafe(|| self.answer_batches())).is_err() {
            let counters = &self.counters.workers[self.index];
            let mut tally = Tally::default();
            tally.count_drop(Drop::Panic);
            counters.add(&mut tally);
            if panics.are_too_many_at(clock::now()) {
                counters.set_dead();
                tracing::error!(address = %self.counters.address, worker = self.index, "a UDP worker panics again and again; its socket is closed");
                return;
            }
            tracing::error!(address = %self.counters.address, worker = self.index, "a UDP worker has panicked; it goes on without this batch");
        }
    }

    fn answer_batches(&self) {
        let mut work = Work::new(&self.shared);
        let mut end = clock::now();
        loop {
            let received = work.batch.receive(self.socket.as_fd());
            let start = clock::now();
            let counters = &self.counters.workers[self.index];
            counters.beat(start);
            work.count = match &received {
                Ok(count) => *count,
                Err(error) if is_timeout(error) => 0,
                Err(_) => {
                    work.tally.receive_errors += 1;
                    thread::sleep(PAUSE);
                    0
                }
            };
            if work.count > 0 {
                self.answer_batch(&mut work, start);
                let waited = work.count < BATCH;
                let busy_since = if waited { start } else { end };
                end = clock::now();
                work.tally.count_busy(busy_since, end);
            } else {
                end = start;
            }
            counters.add(&mut work.tally);
            match self.phase() {
                Phase::Serve | Phase::Leave | Phase::Part => {}
                Phase::Drain if work.count > 0 => {}
                Phase::Drain | Phase::Stop => return,
            }
        }
    }

    fn answer_batch(&self, work: &mut Work, now: Timestamp) {
        let zones = self.shared.zones.load();
        work.is_open = [true; BATCH];
        self.repeat(work, &zones);
        let located = self.parse(work, &zones);
        self.respond(work, &zones, &located, now);
        let sent = work.batch.send(self.socket.as_fd(), work.count);
        work.tally.accepted += sent.accepted as u64;
        work.tally.refused += sent.refused as u64;
        work.tally.drops[Drop::Unreachable as usize] += sent.unreachable as u64;
        if sent.refused + sent.unreachable == 0 {
            self.note_reached(work, now);
        }
    }

    /// The monitor asks about them when answers find no way.
    fn note_reached(&self, work: &mut Work, now: Timestamp) {
        if !self.counters.service || work.noted.is_some_and(|noted| now.since(noted) < NOTES_EVERY) {
            return;
        }
        let batch = &work.batch;
        let answered = (0..work.count).filter(|index| batch.has_reply(*index));
        let mut others = answered.filter_map(|index| match batch.source(index)?.ip() {
            IpAddr::V6(source) if is_from_others(&self.counters, source.into()) && !source.is_unicast_link_local() => Some(source),
            _ => None,
        });
        if let Some(source) = others.next() {
            self.counters.workers[self.index].reached.set(source);
            work.noted = Some(now);
        }
    }

    /// Answers what was asked in the same octets before; notes whether it is worth doing.
    fn repeat(&self, work: &mut Work, zones: &Arc<ZoneSet>) {
        let Some(templates) = &mut work.templates else { return };
        work.is_kept = templates.begin(zones, work.count);
        if !work.is_kept {
            return;
        }
        let mut places = [None; BATCH];
        for (index, place) in places[..work.count].iter_mut().enumerate() {
            *place = work.batch.datagram(index).and_then(Templates::place);
            place.iter().for_each(|place| prefetch(templates.memory(*place), BLOCK));
        }
        for (index, place) in places[..work.count].iter().enumerate() {
            let (Some(place), Some(source)) = (place, answerable_source(&work.batch, index)) else {
                continue;
            };
            let (message, buffer) = work.batch.exchange(index);
            let Some(found) = templates.find(*place, message, buffer) else {
                continue;
            };
            work.is_open[index] = false;
            self.count_query(Some(found.record_type), source, &mut work.tally);
            work.tally.count_answer(found.response_code, found.truncated);
            work.batch.set_reply(index, found.octets);
        }
    }

    /// Reads all queries and locates their names, then fetches all that is likely to be read, so that the batch waits for
    /// memory once.
    fn parse<'z>(&self, work: &mut Work, zones: &'z ZoneSet) -> [Option<Located<'z>>; BATCH] {
        let mut located = [None; BATCH];
        for (index, query) in work.queries[..work.count].iter_mut().enumerate() {
            if !work.is_open[index] {
                continue;
            }
            if let Err(cause) = self.parse_one(&work.batch, index, query, &mut work.tally) {
                work.tally.count_drop(cause);
                work.is_open[index] = false;
                continue;
            }
            located[index] = query.question.as_ref().and_then(|question| zones.locate(question.name()));
            let buckets = located[index].iter().flat_map(|located| located.buckets);
            buckets.flatten().for_each(prefetch_line);
        }
        for located in located[..work.count].iter().flatten() {
            located.blocks().for_each(|block| prefetch(block, BLOCK));
        }
        located
    }

    fn parse_one(&self, batch: &Batch, index: usize, query: &mut Query, tally: &mut Tally) -> Result<(), Drop> {
        let message = batch.datagram(index).ok_or(Drop::Oversized)?;
        let source = answerable_source(batch, index).ok_or(Drop::Unanswerable)?;
        query.read(message)?;
        self.count_query(query.question.as_ref().map(|question| question.record_type.0), source, tally);
        Ok(())
    }

    fn respond(&self, work: &mut Work, zones: &ZoneSet, located: &[Option<Located<'_>>], now: Timestamp) {
        let host = self.shared.host();
        let guard = Guard::new(&self.shared.protection, Transport::Udp, self.counters.address.ip(), now);
        let Work { batch, tally, .. } = work;
        for (index, query) in work.queries[..work.count].iter().enumerate() {
            if !work.is_open[index] {
                continue;
            }
            let guest = guard.meet(query, || batch.source(index).map(|source| source.ip()), tally);
            let (message, buffer) = batch.exchange(index);
            let mut reply = answer::respond_located(zones, located[index], &host, &guest.client, query, message, buffer);
            match guard.judge(&guest, query, &reply) {
                Verdict::Send => {}
                Verdict::Slip => {
                    tally.slipped += 1;
                    reply = answer::slip(&host, &guest.client, query, reply.response_code, message, buffer);
                }
                Verdict::Drop => {
                    tally.count_drop(Drop::RateLimit);
                    continue;
                }
            }
            if let Some(templates) = work.templates.as_mut().filter(|_| work.is_kept) {
                templates.keep(message, query, &guest.client, &reply, &buffer[..reply.octets]);
            }
            tally.count_answer(reply.response_code.0, reply.truncated);
            batch.set_reply(index, reply.octets);
        }
    }

    fn count_query(&self, query_type: Option<u16>, source: IpAddr, tally: &mut Tally) {
        tally.count_query(query_type);
        tally.from_others += u64::from(is_from_others(&self.counters, source));
    }

    fn phase(&self) -> Phase {
        match self.phases.has_changed() {
            Ok(false) => Phase::Serve,
            Ok(true) => *self.phases.borrow(),
            Err(_) => Phase::Stop,
        }
    }
}

/// A batch on its way, and what is kept from one to the next.
struct Work {
    batch: Batch,
    /// How many datagrams it has.
    count: usize,
    /// Which of them are to be answered and are not yet.
    is_open: [bool; BATCH],
    queries: [Query; BATCH],
    /// None where answers are limited by rate: then each has to be looked at.
    templates: Option<Templates>,
    /// The answers of this batch become templates.
    is_kept: bool,
    tally: Tally,
    /// When somebody was last noted who was reached.
    noted: Option<Timestamp>,
}

impl Work {
    fn new(shared: &Shared) -> Self {
        Self {
            batch: Batch::new(BATCH, RECEIVE, usize::from(shared.udp_payload)),
            count: 0,
            is_open: [false; BATCH],
            queries: [const { Query::EMPTY }; BATCH],
            templates: shared.protection.limiter.is_none().then(Templates::default),
            is_kept: false,
            tally: Tally::default(),
            noted: None,
        }
    }
}

/// When a worker has panicked of late.
#[derive(Debug, Default)]
struct Panics(VecDeque<Timestamp>);

impl Panics {
    /// Notes one more panic; true if they come too often.
    fn are_too_many_at(&mut self, now: Timestamp) -> bool {
        self.0.push_back(now);
        self.0.retain(|at| now.since(*at) < PANICS_WITHIN);
        self.0.len() >= MOST_PANICS
    }
}

fn answerable_source(batch: &Batch, index: usize) -> Option<IpAddr> {
    let source = batch.source(index).filter(|source| source.port() != 0);
    source.map(|source| source.ip())
}

/// True for queries that somebody else sends to a service address: neither this host's loopback nor the address itself.
pub(super) fn is_from_others(listener: &counters::Listener, source: IpAddr) -> bool {
    listener.service && !source.is_loopback() && source != listener.address.ip()
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_panic_upon_panic_is_too_much() {
        let mut often = Panics::default();
        let noted: Vec<bool> = (0..10)
            .map(|second| often.are_too_many_at(Timestamp::from_millis(999 * second)))
            .collect();
        assert_eq!(noted, [&[false; 9][..], &[true]].concat());
        let mut rarely = Panics::default();
        assert!(!(0..1_000).any(|number| rarely.are_too_many_at(Timestamp::from_millis(1_200 * number))));
        assert!(rarely.0.len() < MOST_PANICS);
    }

    #[test]
    fn only_others_at_a_service_address_count_as_inflow() {
        let counters = counters::Counters::new();
        let listener =
            |address: &str, service| counters.add_listener(address.parse().unwrap(), Transport::Udp, service, 1, Timestamp::ZERO);
        let service = listener("[2001:db8:5::53]:53", true);
        let rows = [("2001:db8::1", true), ("fe80::1", true), ("2001:db8:5::53", false), ("::1", false)];
        for (source, expected) in rows {
            assert_eq!(is_from_others(&service, source.parse().unwrap()), expected, "{source}");
        }
        let unicast = listener("192.0.2.1:53", false);
        assert!(!is_from_others(&unicast, "192.0.2.2".parse().unwrap()));
    }
}
