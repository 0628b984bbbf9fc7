//! The connections there are: limited in total and by client, and the idle time that gets shorter as they become many.
//!
//! As long as no more than half of the places are taken, a client may be idle for all of the configured time. From there on
//! the time falls with the places that are left (RFC 7766 §6.2.3), for those who wait already too. So a client that opens
//! connections to keep others out has to keep asking on every one of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Limits;

/// No place is taken away sooner, were it the last one: a client far away needs two round trips to ask.
const SHORTEST_IDLE: Duration = Duration::from_millis(500);

/// The connections there are, in total and by client.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_client: usize,
    idle: Duration,
    /// As in `now`, to be read without its lock.
    total: AtomicUsize,
    now: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.tcp_connections,
            most_per_client: limits.tcp_connections_per_client,
            idle: limits.tcp_idle,
            total: AtomicUsize::new(0),
            now: Mutex::default(),
        }
    }

    /// Counts a connection in, if the limits allow it; it is counted out when the admission is dropped.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        let client = client_of(address);
        let mut open = self.open();
        if open.total >= self.most || open.by_client.get(&client).is_some_and(|count| *count >= self.most_per_client) {
            return None;
        }
        open.total += 1;
        self.total.store(open.total, Relaxed);
        *open.by_client.entry(client).or_default() += 1;
        Some(Admission {
            connections: Arc::clone(self),
            client,
        })
    }

    /// How long a connection may be idle as things are.
    pub(super) fn idle(&self) -> Duration {
        let left = self.most.saturating_sub(self.total.load(Relaxed));
        if left >= self.most - left {
            return self.idle;
        }
        let micros = self.idle.as_micros() * 2 * left as u128 / self.most as u128;
        let shrunk = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        shrunk.max(SHORTEST_IDLE.min(self.idle))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one connection.
pub(super) struct Admission {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.total -= 1;
        self.connections.total.store(open.total, Relaxed);
        if let Some(count) = open.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

/// Who counts as one client: an IPv4 address, or an IPv6 /64, in which a host can have any address it likes.
fn client_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize, most_per_client: usize, idle: Duration) -> Arc<Connections> {
        Arc::new(Connections::new(&Limits {
            workers: 1,
            tcp_idle: idle,
            tcp_connections: most,
            tcp_connections_per_client: most_per_client,
            tcp_queries: None,
        }))
    }

    #[test]
    fn connections_are_limited_in_total_and_per_client() {
        let connections = connections(3, 2, Duration::from_secs(10));
        let (one, neighbour): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        let first = connections.admit(one).unwrap();
        let _second = connections.admit(neighbour).unwrap();
        assert!(connections.admit(one).is_none(), "the /64 has two already");
        let _third = connections.admit(other).unwrap();
        assert!(connections.admit("192.0.2.2".parse().unwrap()).is_none(), "three in total");
        drop(first);
        assert!(connections.admit(neighbour).is_some());
        assert_eq!(connections.open().by_client.len(), 2);
    }

    #[test]
    fn the_idle_time_falls_with_the_places_that_are_left() {
        let connections = connections(10, 10, Duration::from_secs(10));
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let mut admitted = Vec::new();
        let mut times = vec![connections.idle().as_millis()];
        while let Some(admission) = connections.admit(client) {
            admitted.push(admission);
            times.push(connections.idle().as_millis());
        }
        let expected = [10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 8_000, 6_000, 4_000, 2_000, 500];
        assert_eq!(times, expected);
        admitted.truncate(5);
        assert_eq!(connections.idle(), Duration::from_secs(10));
    }

    #[test]
    fn a_short_idle_time_is_not_made_longer() {
        let connections = connections(1, 1, Duration::from_millis(100));
        let _only = connections.admit("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(connections.idle(), Duration::from_millis(100));
    }
}
