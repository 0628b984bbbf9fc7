//! Whether every query worker's loop still comes round.
//!
//! A worker that waits for queries wakes several times a second all the same. Standing still is counted in observations,
//! not in seconds: when the whole host was stalled nobody looked either, and a stall is not a dead worker.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::observation::{Fault, Health};
use crate::dns::counters::{Snapshot, Transport};

/// So many observations (at 50 ms each) without a beat are a fault.
const TOLERATED: u32 = 20;

/// The last beat seen of each worker.
#[derive(Debug, Default)]
pub struct Heartbeats {
    seen: BTreeMap<(SocketAddr, &'static str, usize), Beat>,
}

#[derive(Clone, Copy, Debug)]
struct Beat {
    loops: u64,
    still: u32,
}

impl Heartbeats {
    /// Takes the next observation.
    pub fn health(&mut self, counts: &Snapshot) -> Health {
        if counts.dead_workers() > 0 {
            return Health::Faulty(Fault::WorkerSilent);
        }
        if counts.listeners.is_empty() {
            return Health::Unknown;
        }
        let mut health = Health::Healthy;
        let before = std::mem::take(&mut self.seen);
        for listener in &counts.listeners {
            for (number, worker) in listener.workers.iter().enumerate() {
                let key = (listener.address, Transport::name(listener.transport), number);
                let still = match before.get(&key) {
                    Some(beat) if beat.loops == worker.loops => beat.still + 1,
                    Some(_) | None => 0,
                };
                if still >= TOLERATED {
                    health = Health::Faulty(Fault::WorkerSilent);
                }
                self.seen.insert(
                    key,
                    Beat {
                        loops: worker.loops,
                        still,
                    },
                );
            }
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::dns::counters::Counters;

    #[test]
    fn a_worker_that_stands_still_is_a_fault_and_one_that_moves_again_is_not() {
        let counters = Counters::new();
        let address = "[::1]:53".parse().unwrap();
        let listener = counters.add_listener(address, Transport::Udp, true, 2, Timestamp::ZERO);
        let mut heartbeats = Heartbeats::default();
        let mut observe = || heartbeats.health(&counters.snapshot());
        for _ in 0..TOLERATED {
            assert_eq!(observe(), Health::Healthy);
            listener.workers[0].beat(Timestamp::ZERO);
        }
        assert_eq!(observe(), Health::Faulty(Fault::WorkerSilent), "worker 1 never moved");
        listener.workers[1].beat(Timestamp::ZERO);
        assert_eq!(observe(), Health::Healthy);
        listener.workers[1].set_dead();
        assert_eq!(observe(), Health::Faulty(Fault::WorkerSilent));
    }

    #[test]
    fn no_listener_is_unknown() {
        assert_eq!(Heartbeats::default().health(&Snapshot::default()), Health::Unknown);
    }
}
