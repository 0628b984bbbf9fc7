//! Transports of the service process (300): they carry octets and count them; what is answered is decided in `answer`.
//!
//! A [`Service`] has listeners, each one address with UDP and TCP, or with one encrypted transport. UDP is answered by
//! threads of its own (`udp`), TCP by tasks on the caller's runtime (`tcp`), the rest by tasks there too (`encrypted`).
//! All read the zones through one atomic pointer, so that a reload never stops them. Sockets are opened in
//! [`Service::start`], [`Service::add_listener`] and [`Service::add_encrypted`] and nowhere else.

mod connections;
pub mod encrypted;
mod guard;
mod listen;
mod tcp;
mod udp;
mod visit;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::base::cost::CostClass;
use crate::dns::answer::{Host, Load};
use crate::dns::counters::{self, Counters, Transport};
use crate::dns::protect::Protection;
use crate::dns::zone::ZoneSet;
use crate::io::clock;
pub use listen::ServeError;
pub use udp::{BATCH, RECEIVE};

/// How often a worker without queries looks up: its heartbeat is never older than this while it lives.
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// How long closing takes after it was ordered: a worker may sit in one last wait.
const CLOSING: Duration = Duration::from_secs(2);

/// An address to listen on, by UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; with port 0 a free port is taken.
    pub address: SocketAddr,
    /// It is a service address: queries from others are counted.
    pub service: bool,
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The zones answered for; a reload swaps them.
    pub zones: ArcSwap<ZoneSet>,
    /// For NSID and `id.server.`.
    pub identity: String,
    /// For `version.bind.`.
    pub version: String,
    /// The largest datagram sent, in octets; at least 512.
    pub udp_payload: u16,
    /// For `load.heraldns.`.
    pub load: Arc<ToldLoad>,
    /// Cookies and the rate limit.
    pub protection: Protection,
}

impl Shared {
    fn host(&self) -> Host<'_> {
        Host {
            identity: self.identity.as_bytes(),
            version: self.version.as_bytes(),
            load: self.load.read(),
            udp_payload: self.udp_payload,
        }
    }
}

/// The load as it was last told; whoever decides writes it, every answer may read it.
#[derive(Debug, Default)]
pub struct ToldLoad(AtomicU64);

impl ToldLoad {
    /// From now on the load is this one.
    pub fn tell(&self, told: Load) {
        let [load, recent] = [told.load, told.recent_load].map(u64::from);
        self.0.store(load | recent << 16 | (told.class as u64) << 32, Relaxed);
    }

    /// The load that was last told; zero before.
    #[must_use]
    pub fn read(&self) -> Load {
        let word = self.0.load(Relaxed);
        Load {
            load: word as u16,
            recent_load: (word >> 16) as u16,
            class: CostClass::from_wire((word >> 32) as u8).unwrap_or_default(),
        }
    }
}

/// How many workers and connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// UDP workers per listening address.
    pub workers: usize,
    /// A TCP connection without a whole query for so long is closed.
    pub tcp_idle: Duration,
    /// TCP connections at the same time, over all listeners.
    pub tcp_connections: usize,
    /// Of these, from one client: an IPv4 address or an IPv6 /64.
    pub tcp_connections_per_client: usize,
    /// Answers to one TCP connection before it is closed; `None`: any number.
    pub tcp_queries: Option<NonZeroU64>,
}

impl Limits {
    /// The limits of a checked configuration.
    #[must_use]
    pub fn of(config: &crate::dns::config::Config) -> Self {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: config.workers.unwrap_or_else(cores),
            tcp_idle: config.tcp_idle,
            tcp_connections: config.tcp_connections,
            tcp_connections_per_client: config.tcp_connections_per_client,
            tcp_queries: NonZeroU64::new(config.tcp_queries),
        }
    }
}

/// What a listener is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Answer.
    Serve,
    /// Answer; connections are to end, each in its time.
    Leave,
    /// Answer; connections that have not ended are to do it now.
    Part,
    /// Answer what is in the queues, then end.
    Drain,
    /// End.
    Stop,
}

impl Phase {
    /// Whatever comes is answered.
    const fn is_open(self) -> bool {
        matches!(self, Self::Serve | Self::Leave | Self::Part)
    }
}

/// Shows clients out, and lets them stay again. Listeners that are opened later are not its business.
#[derive(Clone, Debug)]
pub struct Usher(Vec<watch::Sender<Phase>>);

impl Usher {
    /// Connections may be idle for as long as is configured.
    pub fn welcome(&self) {
        self.say(Phase::Serve);
    }

    /// Connections are asked to end (RFC 7828), and are closed in a pause between two messages.
    pub fn ask_to_leave(&self) {
        self.say(Phase::Leave);
    }

    /// The connections that there are have two seconds to end, then they are closed when what has come is answered.
    pub fn send_away(&self) {
        self.say(Phase::Part);
    }

    fn say(&self, wish: Phase) {
        for listener in &self.0 {
            listener.send_if_modified(|phase| {
                let changes = phase.is_open() && *phase != wish;
                if changes {
                    *phase = wish;
                }
                changes
            });
        }
    }
}

/// The running listeners. Dropping it stops them without waiting for them, and without the counts of their last moments.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    limits: Limits,
    connections: Arc<connections::Connections>,
    runtime: Handle,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    /// Nothing is ever sent: it is closed when the last worker has ended.
    ended: Receiver<()>,
    counters: Vec<Arc<counters::Listener>>,
}

impl Service {
    /// Opens all listeners and starts their workers.
    ///
    /// # Errors
    /// Which address cannot be listened on, and the cure; the listeners before it are closed again.
    pub fn start(
        listeners: &[Listener],
        shared: Arc<Shared>,
        counters: Arc<Counters>,
        limits: Limits,
        runtime: Handle,
    ) -> Result<Self, ServeError> {
        let connections = Arc::new(connections::Connections::new(&limits));
        let mut service = Self {
            shared,
            counters,
            limits,
            connections,
            runtime,
            running: Vec::new(),
        };
        for listener in listeners {
            service.add_listener(*listener)?;
        }
        Ok(service)
    }

    /// Opens one more listener and returns its address, which is another than asked for only if that had port 0.
    ///
    /// # Errors
    /// Why it cannot be listened on, and the cure.
    pub fn add_listener(&mut self, listener: Listener) -> Result<SocketAddr, ServeError> {
        let sockets = listen::open(listener.address, self.limits.workers, self.shared.udp_payload)?;
        let (address, now) = (sockets.address, clock::now());
        let (phase, phases) = watch::channel(Phase::Serve);
        let (ending, ended) = channel();
        let count = |transport, workers| self.counters.add_listener(address, transport, listener.service, workers, now);
        let counters = [count(Transport::Udp, sockets.udp.len()), count(Transport::Tcp, 1)];
        // From here on `running` closes what was started, should a later step fail.
        let running = Running {
            address,
            phase,
            ended,
            counters: counters.to_vec(),
        };
        let [udp_counters, tcp_counters] = counters;
        let acceptor = self.acceptor(tcp_counters, phases.clone(), tcp::Speech::Plain);
        let started = self.start_udp(sockets.udp, &udp_counters, &phases, &ending);
        let started = started.and_then(|()| {
            let _entered = self.runtime.enter();
            tokio::net::TcpListener::from_std(sockets.tcp)
        });
        match started {
            Ok(socket) => drop(self.runtime.spawn(acceptor.run(socket, ending))),
            Err(error) => {
                drop(ending);
                self.finish(&running);
                return Err(ServeError::Other { address, error });
            }
        }
        self.running.push(running);
        Ok(address)
    }

    /// The addresses listened on by UDP and TCP.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.running
            .iter()
            .filter(|running| running.is_plain())
            .map(|running| running.address)
    }

    /// Who shows the clients of all listeners out.
    #[must_use]
    pub fn usher(&self) -> Usher {
        Usher(self.running.iter().map(|running| running.phase.clone()).collect())
    }

    /// Closes the UDP and TCP of one address at once; waits until it is closed. Says whether there was one.
    pub fn close(&mut self, address: SocketAddr) -> bool {
        let is_meant = |running: &Running| running.is_plain() && running.address == address;
        let Some(position) = self.running.iter().position(is_meant) else {
            return false;
        };
        let running = self.running.swap_remove(position);
        self.finish(&running);
        true
    }

    /// Closes all listeners at once; waits until they are closed.
    pub fn stop(mut self) {
        self.drain_for(Duration::ZERO);
    }

    /// Empties the queues of all sockets and answers what is in them, then closes; blocks until that is done, which takes
    /// a moment of quiet, or until `limit` has passed. Says whether the queues were seen empty.
    pub fn drain(mut self, limit: Duration) -> bool {
        self.drain_for(limit)
    }

    fn drain_for(&mut self, limit: Duration) -> bool {
        let phase = if limit.is_zero() { Phase::Stop } else { Phase::Drain };
        for running in &self.running {
            running.phase.send_replace(phase);
        }
        let deadline = clock::now() + limit;
        let mut all_empty = !limit.is_zero();
        for running in std::mem::take(&mut self.running) {
            all_empty &= running.has_ended_within(deadline.since(clock::now()));
            self.finish(&running);
        }
        all_empty
    }

    fn acceptor(&self, counters: Arc<counters::Listener>, phases: watch::Receiver<Phase>, speech: tcp::Speech) -> tcp::Acceptor {
        tcp::Acceptor {
            shared: Arc::clone(&self.shared),
            counters,
            connections: Arc::clone(&self.connections),
            most_queries: self.limits.tcp_queries,
            phases,
            speech,
        }
    }

    fn start_udp(
        &self,
        sockets: Vec<std::net::UdpSocket>,
        counters: &Arc<counters::Listener>,
        phases: &watch::Receiver<Phase>,
        ending: &Sender<()>,
    ) -> std::io::Result<()> {
        for (index, socket) in sockets.into_iter().enumerate() {
            let worker = udp::Worker {
                socket,
                shared: Arc::clone(&self.shared),
                counters: Arc::clone(counters),
                index,
                phases: phases.clone(),
            };
            let ending = ending.clone();
            thread::Builder::new().name(format!("udp-{index}")).spawn(move || {
                worker.run();
                drop(ending);
            })?;
        }
        Ok(())
    }

    fn finish(&self, running: &Running) {
        running.phase.send_replace(Phase::Stop);
        if !running.has_ended_within(CLOSING) {
            tracing::warn!(address = %running.address, "a worker did not end in time");
        }
        for counters in &running.counters {
            self.counters.retire(counters);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for counters in self.running.iter().flat_map(|running| &running.counters) {
            self.counters.retire(counters);
        }
    }
}

impl Running {
    fn is_plain(&self) -> bool {
        self.counters.iter().any(|counters| counters.transport == Transport::Udp)
    }

    fn has_ended_within(&self, limit: Duration) -> bool {
        self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }
}
