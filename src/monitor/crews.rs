//! Who works for the service, and for how long: the UDP workers as the kernel counts their threads and as they count their
//! batches, the runtime as it counts itself.
//!
//! Read from outside, a few times a second: no worker does anything for it. What it means is `load`'s.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Handle;

use super::load::{Crew, Work};
use crate::dns::counters::{ListenerSnapshot, Snapshot, Transport, WorkerSnapshot};
use crate::io::threads;

/// The addresses at which UDP queries for the service come in: those of the service, or all if there is none.
#[must_use]
pub fn udp_addresses(counts: &Snapshot) -> Vec<SocketAddr> {
    udp(counts).map(|listener| listener.address).collect()
}

/// What all crews have done.
#[must_use]
pub fn work(counts: &Snapshot, runtime: Option<&Handle>) -> Vec<Work> {
    let workers = udp(counts).flat_map(|listener| {
        let sum = |crew, busy: fn(&WorkerSnapshot) -> Duration| Work {
            crew,
            threads: listener.workers.len(),
            busy: listener.workers.iter().map(busy).sum(),
        };
        let address = listener.address;
        [
            sum(Crew::Threads(address), ran),
            sum(Crew::Batches(address), |worker| worker.tally.busy()),
        ]
    });
    workers.chain(runtime.map(work_of)).collect()
}

/// Whether a service address is listened on.
#[must_use]
pub fn has_service(counts: &Snapshot) -> bool {
    counts.listeners.iter().any(|listener| listener.service)
}

fn udp(counts: &Snapshot) -> impl Iterator<Item = &ListenerSnapshot> {
    let any_service = has_service(counts);
    let udp = counts.listeners.iter().filter(|listener| listener.transport == Transport::Udp);
    udp.filter(move |listener| listener.service || !any_service)
}

/// What the kernel does not tell is left to the batches.
fn ran(worker: &WorkerSnapshot) -> Duration {
    worker.thread.and_then(threads::ran).unwrap_or_default()
}

fn work_of(runtime: &Handle) -> Work {
    let metrics = runtime.metrics();
    let threads = metrics.num_workers();
    Work {
        crew: Crew::Runtime,
        threads,
        busy: (0..threads).map(|worker| metrics.worker_total_busy_duration(worker)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::dns::counters::{Counters, Tally};
    use crate::io::clock;

    const SERVICE: &str = "[2001:db8::53]:53";

    fn counters(listeners: &[(&str, Transport, bool)]) -> Counters {
        let counters = Counters::new();
        for (address, transport, service) in listeners {
            counters.add_listener(address.parse().unwrap(), *transport, *service, 2, Timestamp::ZERO);
        }
        counters
    }

    #[test]
    fn only_those_who_serve_the_service_addresses_count_if_there_are_any() {
        let plain = [("[::1]:53", Transport::Udp, false), ("[::1]:53", Transport::Tcp, false)];
        assert_eq!(udp_addresses(&counters(&plain).snapshot()), ["[::1]:53".parse().unwrap()]);
        let both = [plain[0], plain[1], (SERVICE, Transport::Udp, true), (SERVICE, Transport::Tcp, true)];
        assert_eq!(udp_addresses(&counters(&both).snapshot()), [SERVICE.parse().unwrap()]);
    }

    #[test]
    fn a_worker_is_counted_by_its_thread_and_by_its_batches() {
        let counters = Counters::new();
        let listener = counters.add_listener(SERVICE.parse().unwrap(), Transport::Udp, true, 2, Timestamp::ZERO);
        let mut tally = Tally::default();
        tally.count_busy(Timestamp::ZERO, Timestamp::from_secs(100));
        listener.workers[0].add(&mut tally);
        let busy = || work(&counters.snapshot(), None).iter().map(|work| work.busy).collect::<Vec<_>>();
        assert_eq!(busy(), [Duration::ZERO, Duration::from_secs(100)], "no thread has said its id");
        listener.workers[0].set_thread(threads::own_id());
        let limit = clock::now() + Duration::from_secs(10);
        while busy()[0].is_zero() {
            assert!(clock::now() < limit, "this thread never runs");
        }
        assert!(busy()[0] < Duration::from_secs(100));
    }

    #[test]
    fn the_runtime_counts_what_it_does_for_connections() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let busy = || work(&Snapshot::default(), Some(runtime.handle()))[0].busy;
        let before = busy();
        let limit = clock::now() + Duration::from_secs(10);
        while busy() < before + Duration::from_millis(20) {
            assert!(clock::now() < limit, "the runtime is never busy");
            let task = runtime.spawn(async {
                let end = clock::now() + Duration::from_millis(10);
                while clock::now() < end {
                    std::hint::spin_loop();
                }
            });
            runtime.block_on(task).unwrap();
        }
    }
}
