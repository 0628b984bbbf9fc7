//! Monitoring means (304): watches the service process (300) and the interface that carries the service address (314).
//!
//! Everything it sees ends in one [`Observation`], plain data with its time, from which the scheduler (306) decides.
//! Health is local: no remote dependency can withdraw a server. Unknown and silent count as down.

pub mod crews;
pub mod group;
pub mod heartbeat;
pub mod ledger;
pub mod load;
pub mod observation;
pub mod probe;
pub mod rate;
pub mod reach;
pub mod system;

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::base::machine::InterfaceState;
use crate::base::peer::Peer;
use crate::base::time::Timestamp;
use crate::dns::counters::{Counters, Snapshot};
use crate::io::route;
use crate::io::sockets::udp_drops;
use group::GroupWatch;
use heartbeat::Heartbeats;
use ledger::{Ledger, Page};
use load::{Inflow, Meter, SMOOTHING};
pub use observation::Observation;
use observation::{Fault, Health, Order, link_health};
use rate::Rate;
use reach::Reach;
use system::System;

/// The kernel's own counts are files to be read: no more often than what is smoothed over ten seconds needs.
const SAMPLE: Duration = Duration::from_millis(500);

/// The monitor: all readings of this server in one place.
#[derive(Debug)]
pub struct Monitor {
    counters: Arc<Counters>,
    probe: Arc<probe::Record>,
    runtime: Option<Handle>,
    ledger: Ledger,
    reach: Reach,
    heartbeats: Heartbeats,
    queries: Rate,
    meter: Meter,
    next_sample: Timestamp,
    group: GroupWatch,
    system: System,
    figures: Figures,
    last_inflow: Option<Timestamp>,
}

/// What the monitor cannot see by itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The link interface; `None` without a `[service]`.
    pub interface: Option<&'a InterfaceState>,
    /// How many zones are served.
    pub zones: usize,
    /// What the operator wants.
    pub order: Order,
    /// When somebody last asked for this server other than by a query.
    pub last_wanted: Option<Timestamp>,
    /// Another server holds the service address.
    pub other_holder: bool,
    /// An older server on the link has our link-layer address: one of the two has to go.
    pub link_layer_taken: bool,
    /// The service addresses.
    pub services: &'a [Ipv6Addr],
    /// The other servers, dead ones too; `None`: nobody listens to them.
    pub peers: Option<&'a [Peer]>,
    /// How much more than ours in class normal the routes of other servers cost; `None`: no advertiser sees routes.
    pub routes: Option<&'a [u32]>,
}

/// The numbers behind the last observation.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// All counters of the service process.
    pub counts: Snapshot,
    /// Queries to service addresses from others, since the start.
    pub inflow: u64,
    /// Connections to service addresses from others that are open.
    pub connections: u64,
    /// Queries without our own probes, since the start.
    pub queries: u64,
    /// Queries a second without our own probes, smoothed.
    pub queries_per_second: f64,
    /// Queries a second to service addresses from others, smoothed, lost ones too.
    pub offered: f64,
    /// Share of the capacity in use: 0 to 1 and above.
    pub load: f64,
    /// The same over the last second or two.
    pub recent_load: f64,
    /// Share of their time that the busiest workers work: 0 to 1.
    pub busy: f64,
    /// Queries a second that this server can take, configured or learned.
    pub capacity: Option<f64>,
    /// Datagrams that the kernel dropped from full queues of the service, since the start.
    pub queue_drops: u64,
    /// The host.
    pub system: system::Reading,
}

impl Monitor {
    /// A monitor of the service that counts in `counters`, has its connections on `runtime` and answers the probe; `pid` is
    /// this process.
    #[must_use]
    pub fn new(counters: Arc<Counters>, probe: Arc<probe::Record>, runtime: Option<Handle>, capacity: Option<u32>, pid: u32) -> Self {
        Self {
            counters,
            probe,
            runtime,
            ledger: Ledger::default(),
            reach: Reach::default(),
            heartbeats: Heartbeats::default(),
            queries: Rate::over(SMOOTHING),
            meter: Meter::new(capacity),
            next_sample: Timestamp::ZERO,
            group: GroupWatch::default(),
            system: System::new(pid),
            figures: Figures::default(),
            last_inflow: None,
        }
    }

    /// The numbers behind the last observation.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// When the last query from others reached a service address.
    #[must_use]
    pub fn last_inflow(&self) -> Option<Timestamp> {
        self.last_inflow
    }

    /// Answers until now: those that left for others, and those to our own probes. It grows while the service works.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.figures.counts.total().accepted + self.probe.answered()
    }

    /// One look at this server.
    pub fn observe(&mut self, now: Timestamp, context: &Context<'_>) -> Observation {
        let counts = self.counters.snapshot();
        self.measure(&counts, now);
        let link = link(context);
        if link != Health::Healthy {
            self.probe.forgive();
        }
        let service = self.service_health(&counts, context.zones, link == Health::Healthy, now);
        self.figures.counts = counts;
        let figures = &self.figures;
        Observation {
            at: now,
            service,
            link,
            last_inflow: self.last_inflow,
            last_wanted: context.last_wanted,
            other_holder: context.other_holder,
            order: context.order,
            load: permille(figures.load),
            recent_load: permille(figures.recent_load),
            offered: whole(figures.offered),
            capacity: figures.capacity.map_or(0, whole),
            cpu: permille(figures.system.cpu),
            group: context.peers.map(|peers| self.group.look(peers, context.services, now)),
            routes: context.routes.map(<[u32]>::to_vec),
        }
    }

    fn measure(&mut self, counts: &Snapshot, now: Timestamp) {
        let total = counts.total();
        if total.from_others > self.figures.inflow {
            self.last_inflow = Some(now);
        }
        let queries = total.queries.saturating_sub(self.probe.answered()).max(self.figures.queries);
        self.queries.update(queries, now);
        self.figures.inflow = total.from_others;
        self.figures.connections = total.connections_open();
        self.figures.queries = queries;
        self.figures.queries_per_second = self.queries.per_second();
        if now >= self.next_sample {
            self.next_sample = now + SAMPLE;
            // Without a service address nothing but unicast is served, and that is what the load is made of.
            let served = if crews::has_service(counts) { total.from_others } else { queries };
            self.sample(counts, served, now);
        }
        self.figures.system = self.system.read(now);
    }

    fn sample(&mut self, counts: &Snapshot, read: u64, now: Timestamp) {
        let dropped = udp_drops(&crews::udp_addresses(counts));
        let work = crews::work(counts, self.runtime.as_ref());
        self.meter.update(Inflow { read, dropped }, &work, now);
        self.figures.offered = self.meter.offered();
        self.figures.load = self.meter.load();
        self.figures.recent_load = self.meter.recent_load();
        self.figures.busy = self.meter.busy();
        self.figures.capacity = self.meter.capacity();
        self.figures.queue_drops = dropped;
    }

    fn service_health(&mut self, counts: &Snapshot, zones: usize, is_linked: bool, now: Timestamp) -> Health {
        let total = counts.total();
        let leaving = self.ledger.enter(
            Page {
                accepted: total.accepted,
                refused: total.refused,
            },
            now,
        );
        let beating = self.heartbeats.health(counts);
        let answering = match self.probe.health(now) {
            // A full queue loses probes too. While answers leave, the service is overloaded, and that is no fault.
            Health::Faulty(Fault::ProbeUnanswered) if self.ledger.is_flowing() => Health::Healthy,
            health => health,
        };
        let loaded = if zones == 0 {
            Health::Faulty(Fault::NoZones)
        } else {
            Health::Healthy
        };
        let reaching = if is_linked {
            self.reach.look(counts, now, route::leads)
        } else {
            self.reach.doubt(counts);
            Health::Healthy
        };
        [loaded, beating, leaving, reaching, answering]
            .into_iter()
            .fold(Health::Healthy, Health::and)
    }
}

fn link(context: &Context<'_>) -> Health {
    let alone = if context.link_layer_taken {
        Health::Faulty(Fault::LinkLayerTaken)
    } else {
        Health::Healthy
    };
    context.interface.map_or(Health::Healthy, link_health).and(alone)
}

fn whole(number: f64) -> u32 {
    number.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

fn permille(share: f64) -> u16 {
    (share * 1_000.0).round().clamp(0.0, f64::from(u16::MAX)) as u16
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::io::clock;

    #[test]
    fn probes_missed_while_the_link_is_faulty_are_forgiven() {
        // Nobody answers there.
        let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
        let probe = probe::Probe::start(&[deaf.local_addr().unwrap()], "s1".to_owned()).unwrap();
        let record = probe.record();
        let missed = Health::Faulty(Fault::ProbeUnanswered);
        let limit = clock::now() + Duration::from_secs(10);
        while record.health(clock::now()) != missed {
            assert!(clock::now() < limit, "the probe misses nothing");
            std::thread::yield_now();
        }
        let mut monitor = Monitor::new(Arc::new(Counters::new()), probe.record(), None, None, std::process::id());
        let down = InterfaceState::default();
        let mut context = Context {
            interface: None,
            zones: 1,
            order: Order::Serve,
            last_wanted: None,
            other_holder: false,
            link_layer_taken: false,
            services: &[],
            peers: None,
            routes: None,
        };
        monitor.observe(clock::now(), &context);
        assert_eq!(record.health(clock::now()), missed, "nothing is forgiven without a reason");
        context.interface = Some(&down);
        monitor.observe(clock::now(), &context);
        assert_eq!(
            record.health(clock::now()),
            Health::Unknown,
            "an address that was not there proves nothing"
        );
    }
}
