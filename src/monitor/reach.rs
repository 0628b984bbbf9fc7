//! Whether answers find a way out of this host.
//!
//! An answer that no route leads to says nothing by itself: its query may have a forged source. But when half of those who
//! were answered before can be answered no more, the routes of this host are gone, and whoever is sent here gets nothing.
//! They are a few witnesses from different networks, asked only when answers have found no route of late, or the link is back.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::observation::{Fault, Health};
use crate::base::time::Timestamp;
use crate::dns::counters::{Drop, Snapshot};

/// How often it is looked while all is well.
const WINDOW: Duration = Duration::from_millis(100);
const MOST_WITNESSES: usize = 16;
/// Witnesses are of different networks of this length: what a site has (RFC 6177).
const NETWORK: u32 = 48;

/// Remembers whom this server has reached.
#[derive(Clone, Debug)]
pub struct Reach {
    witnesses: VecDeque<Witness>,
    unreachable: u64,
    looked: Option<Timestamp>,
    /// The link was not well: the kernel takes routes away with it, and does not bring all of them back.
    doubted: bool,
    health: Health,
}

/// A service address, and somebody who was answered from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Witness {
    service: Ipv6Addr,
    client: Ipv6Addr,
}

impl Witness {
    const fn network(&self) -> u128 {
        self.client.to_bits() >> (u128::BITS - NETWORK)
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            witnesses: VecDeque::new(),
            unreachable: 0,
            looked: None,
            doubted: false,
            health: Health::Healthy,
        }
    }
}

impl Reach {
    /// To be told while the link is not well. The next look then begins with the routes.
    pub fn doubt(&mut self, counts: &Snapshot) {
        self.hear(counts);
        self.doubted = true;
    }

    /// Looks at the counts of `now`. `leads` tells whether a route leads from one address to another.
    pub fn look(&mut self, counts: &Snapshot, now: Timestamp, leads: impl Fn(Ipv6Addr, Ipv6Addr) -> bool) -> Health {
        self.hear(counts);
        let is_in_doubt = std::mem::take(&mut self.doubted) || self.health != Health::Healthy;
        if !is_in_doubt && self.looked.is_some_and(|looked| now.since(looked) < WINDOW) {
            return self.health;
        }
        self.looked = Some(now);
        let unreachable = counts.total().drops[Drop::Unreachable as usize];
        let is_failing = unreachable > self.unreachable;
        self.unreachable = unreachable;
        if is_failing || is_in_doubt {
            self.health = self.question(leads);
        }
        self.health
    }

    fn hear(&mut self, counts: &Snapshot) {
        for listener in &counts.listeners {
            let IpAddr::V6(service) = listener.address.ip() else { continue };
            for client in listener.workers.iter().filter_map(|worker| worker.reached) {
                self.add(Witness { service, client });
            }
        }
    }

    /// The oldest one goes when there are too many; one network has one witness, its last.
    fn add(&mut self, witness: Witness) {
        self.witnesses.retain(|known| known.network() != witness.network());
        self.witnesses.push_back(witness);
        if self.witnesses.len() > MOST_WITNESSES {
            self.witnesses.pop_front();
        }
    }

    fn question(&self, leads: impl Fn(Ipv6Addr, Ipv6Addr) -> bool) -> Health {
        let lost = self
            .witnesses
            .iter()
            .filter(|witness| !leads(witness.service, witness.client))
            .count();
        if lost > 0 && 2 * lost >= self.witnesses.len() {
            Health::Faulty(Fault::NoRoute)
        } else {
            Health::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::counters::{Counters, Listener, Tally, Transport};
    use std::sync::Arc;

    const LOST: Health = Health::Faulty(Fault::NoRoute);

    struct Server {
        counters: Counters,
        listener: Arc<Listener>,
        reach: Reach,
        now: Timestamp,
    }

    impl Server {
        fn new() -> Self {
            let counters = Counters::new();
            let listener = counters.add_listener("[2001:db8:5::53]:53".parse().unwrap(), Transport::Udp, true, 1, Timestamp::ZERO);
            Self {
                counters,
                listener,
                reach: Reach::default(),
                now: Timestamp::ZERO,
            }
        }

        fn reaches(&mut self, client: &str) {
            self.listener.workers[0].reached.set(client.parse().unwrap());
            self.look(|_, _| true);
        }

        fn fails(&self) {
            let mut tally = Tally::default();
            tally.count_drop(Drop::Unreachable);
            self.listener.workers[0].add(&mut tally);
        }

        /// A moment later.
        fn look(&mut self, leads: impl Fn(Ipv6Addr, Ipv6Addr) -> bool) -> Health {
            self.now = self.now + WINDOW;
            self.reach.look(&self.counters.snapshot(), self.now, leads)
        }
    }

    #[test]
    fn who_was_reached_and_is_no_more_is_a_fault_until_he_is_again() {
        let mut server = Server::new();
        server.reaches("2001:db8:1::1");
        server.fails();
        assert_eq!(server.look(|_, _| false), LOST);
        assert_eq!(server.look(|_, _| false), LOST, "nobody asks any more, and it is still so");
        assert_eq!(server.look(|_, _| true), Health::Healthy);
    }

    #[test]
    fn forged_sources_are_no_fault() {
        let mut server = Server::new();
        server.fails();
        assert_eq!(server.look(|_, _| false), Health::Healthy, "nobody was ever reached");
        server.reaches("2001:db8:1::1");
        server.fails();
        assert_eq!(server.look(|_, _| true), Health::Healthy);
    }

    #[test]
    fn a_link_that_is_back_without_its_routes_is_a_fault_before_anybody_asks() {
        let mut server = Server::new();
        server.listener.workers[0].reached.set("2001:db8:1::1".parse().unwrap());
        server.reach.doubt(&server.counters.snapshot());
        assert_eq!(server.reach.look(&server.counters.snapshot(), server.now, |_, _| false), LOST);
    }

    #[test]
    fn routes_are_not_looked_at_without_a_reason() {
        let mut server = Server::new();
        server.reaches("2001:db8:1::1");
        assert_eq!(server.look(|_, _| panic!("no answer has failed")), Health::Healthy);
    }

    #[test]
    fn one_network_is_one_witness_and_half_of_them_decide() {
        let mut server = Server::new();
        for client in ["2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::2", "2001:db8:3::1"] {
            server.reaches(client);
        }
        let lost = |networks: &'static [u16]| move |_: Ipv6Addr, client: Ipv6Addr| !networks.contains(&client.segments()[2]);
        server.fails();
        assert_eq!(
            server.look(lost(&[2])),
            Health::Healthy,
            "two addresses of one network out of three"
        );
        server.fails();
        assert_eq!(server.look(lost(&[2, 3])), LOST);
    }

    #[test]
    fn witnesses_are_few() {
        let mut server = Server::new();
        for network in 1..100 {
            server.reaches(&format!("2001:db8:{network}::1"));
        }
        assert_eq!(server.reach.witnesses.len(), MOST_WITNESSES);
        assert_eq!(server.reach.witnesses.back().unwrap().client.segments()[2], 0x99);
    }
}
