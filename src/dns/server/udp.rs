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
use crate::dns::answer::{self, Query};
use crate::dns::counters::{self, Drop, Tally, Transport};
use crate::dns::protect::rate_limit::Verdict;
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
        let mut batch = Batch::new(BATCH, RECEIVE, usize::from(self.shared.udp_payload));
        let mut queries = [const { Query::EMPTY }; BATCH];
        let mut tally = Tally::default();
        let mut end = clock::now();
        loop {
            let received = batch.receive(self.socket.as_fd());
            let start = clock::now();
            let counters = &self.counters.workers[self.index];
            counters.beat(start);
            let count = match &received {
                Ok(count) => *count,
                Err(error) if is_timeout(error) => 0,
                Err(_) => {
                    tally.receive_errors += 1;
                    thread::sleep(PAUSE);
                    0
                }
            };
            if count > 0 {
                self.answer_batch(&mut batch, &mut queries[..count], start, &mut tally);
                let waited = count < BATCH;
                let busy_since = if waited { start } else { end };
                end = clock::now();
                tally.count_busy(busy_since, end);
            } else {
                end = start;
            }
            counters.add(&mut tally);
            match self.phase() {
                Phase::Serve => {}
                Phase::Drain if count > 0 => {}
                Phase::Drain | Phase::Stop => return,
            }
        }
    }

    fn answer_batch(&self, batch: &mut Batch, queries: &mut [Query], now: Timestamp, tally: &mut Tally) {
        let zones = self.shared.zones.load();
        let host = self.shared.host();
        // All names are hashed, then all that is likely to be read is fetched, so that the batch waits for memory once.
        let mut located = [None; BATCH];
        let mut is_answered = [false; BATCH];
        for (index, query) in queries.iter_mut().enumerate() {
            if let Err(cause) = self.parse(batch, index, query, tally) {
                tally.count_drop(cause);
                continue;
            }
            is_answered[index] = true;
            located[index] = query.question.as_ref().and_then(|question| zones.locate(question.name()));
            let buckets = located[index].iter().flat_map(|located| located.buckets);
            buckets.flatten().for_each(prefetch_line);
        }
        for located in located[..queries.len()].iter().flatten() {
            located.blocks().for_each(|block| prefetch(block, BLOCK));
        }
        let guard = Guard::new(&self.shared.protection, Transport::Udp, self.counters.address.ip(), now);
        for (index, query) in queries.iter().enumerate() {
            if !is_answered[index] {
                continue;
            }
            let guest = guard.meet(query, || batch.source(index).map(|source| source.ip()), tally);
            let (message, buffer) = batch.exchange(index);
            let mut reply = answer::respond_located(&zones, located[index], &host, &guest.client, query, message, buffer);
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
            tally.count_answer(reply.response_code.0, reply.truncated);
            batch.set_reply(index, reply.octets);
        }
        let sent = batch.send(self.socket.as_fd(), queries.len());
        tally.accepted += sent.accepted as u64;
        tally.refused += sent.refused as u64;
        tally.drops[Drop::Unreachable as usize] += sent.unreachable as u64;
    }

    fn parse(&self, batch: &Batch, index: usize, query: &mut Query, tally: &mut Tally) -> Result<(), Drop> {
        let message = batch.datagram(index).ok_or(Drop::Oversized)?;
        let source = batch.source(index).filter(|source| source.port() != 0).ok_or(Drop::Unanswerable)?;
        query.read(message)?;
        tally.count_query(query.question.as_ref().map(|question| question.record_type.0));
        tally.from_others += u64::from(is_from_others(&self.counters, source.ip()));
        Ok(())
    }

    fn phase(&self) -> Phase {
        match self.phases.has_changed() {
            Ok(false) => Phase::Serve,
            Ok(true) => *self.phases.borrow(),
            Err(_) => Phase::Stop,
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
