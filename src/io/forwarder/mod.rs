//! Makes the kernel forward as the router side wishes: next hops, groups of them, routes, rules, neighbours.
//!
//! ```text
//! rule: to SERVICE, TCP --> own table: SERVICE/128 --> resilient group --+--> next hop --> neighbour (MAC)
//!                           main table: SERVICE/128 --> plain group -----+--> next hop --> neighbour (MAC)
//! ```
//!
//! There is no memory of what is in the kernel: each call reads it and changes what differs (`plan`), so that a
//! restart, a link that was down and somebody's hand are one case. No packet passes here.

mod applied;
mod environment;
mod message;
mod objects;
mod plan;
mod reading;
mod requests;
mod sole;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use rustix::io::Errno;

pub use self::applied::{Applied, Changes};
use self::environment::{HASH_POLICY, check_capability, check_kernel, set_hash_policy};
use self::objects::{Kind, Objects};
use self::plan::{MAIN, Policy, Step, plan};
use self::requests::{Orders, orders};
use self::sole::Sole;
use crate::base::address::{InterfaceIndex, LinkLayerAddress, ServiceAddress};
use crate::base::forwarding::{Forwarding, Grouping, NextHop, ServiceForwarding};
use crate::io::capability::Capability;
use crate::io::netlink::{Entry, Netlink, NetlinkError, Request};

/// A refusal is met by looking again, so often: another may have taken a number, or the link has gone meanwhile.
const ATTEMPTS: usize = 8;
/// Our tables begin here; there are as many as interfaces can have.
const FIRST_TABLE: u32 = 720_000_000;
const TABLES: u32 = 1_000_000;

/// What the forwarder has to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The link on which the servers are.
    pub interface: String,
    /// The service addresses.
    pub services: Vec<ServiceAddress>,
    /// Which groups.
    pub grouping: Grouping,
    /// A TCP connection can be silent for so long and still lives: more than the servers' `dns.tcp-idle`.
    pub tcp_idle: Duration,
}

/// Why the forwarding table cannot be made as wished.
#[derive(Debug, thiserror::Error)]
pub enum ForwarderError {
    /// The right to do it.
    #[error("the router side changes routes and needs {0}: add it to AmbientCapabilities= of the unit, or to the container's cap_add")]
    Capability(Capability),
    /// The kernel.
    #[error("this kernel has no {what}: Linux {since} or newer is needed{instead}")]
    Kernel {
        /// What it lacks.
        what: &'static str,
        /// The first one that has it.
        since: &'static str,
        /// What can be done without it.
        instead: &'static str,
    },
    /// Flows would not be spread by their ports.
    #[error("{HASH_POLICY} is {found} and cannot be written ({source}): set it with 'sysctl -w net.ipv6.fib_multipath_hash_policy=1'")]
    HashPolicy {
        /// What is there.
        found: String,
        /// Why it cannot be changed.
        source: io::Error,
    },
    /// The interface.
    #[error("there is no interface {0}: 'ip link' shows those there are")]
    Interface(String),
    /// Each of two would remove what the other has made.
    #[error("another router side delivers on {0} already: one does it for all services of a link, name them in its [router] services")]
    NotAlone(String),
    /// Whether it is alone cannot be known.
    #[error("whether another router side delivers on {interface} cannot be known: {source}")]
    Alone {
        /// The interface.
        interface: String,
        /// The kernel's.
        source: io::Error,
    },
    /// Netlink.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// Keeps the kernel's forwarding table as it is wished.
pub struct Forwarder {
    netlink: Netlink,
    setup: Setup,
    policy: Policy,
    interface: InterfaceIndex,
    /// What was last wished.
    wish: Option<Forwarding>,
    /// Where we said that the neighbours are.
    programmed: BTreeMap<Ipv6Addr, LinkLayerAddress>,
    /// Gateways of the wish that the kernel did not take.
    refused: BTreeMap<Ipv6Addr, Errno>,
    warnings: Vec<String>,
    _sole: Sole,
}

impl Forwarder {
    /// Checks that it can work here, and sets `net.ipv6.fib_multipath_hash_policy` if it must.
    ///
    /// # Errors
    /// See [`ForwarderError`]; each says what to do.
    pub fn open(setup: Setup) -> Result<Self, ForwarderError> {
        check_capability()?;
        let mut netlink = Netlink::open()?;
        check_kernel(&mut netlink, setup.grouping)?;
        let link = netlink
            .link(&setup.interface)?
            .ok_or_else(|| ForwarderError::Interface(setup.interface.clone()))?;
        let sole = Sole::on(&setup.interface)?;
        set_hash_policy()?;
        let policy = Policy {
            grouping: setup.grouping,
            table: table_of(&setup.interface),
            idle: idle_of(setup.tcp_idle),
            metrics_taken: 0,
            wide: false,
        };
        Ok(Self {
            netlink,
            interface: link.index,
            policy,
            setup,
            wish: None,
            programmed: BTreeMap::new(),
            refused: BTreeMap::new(),
            warnings: environment::warnings(),
            _sole: sole,
        })
    }

    /// What hinders, but does not prevent, its work.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The gateways of the last wish that the kernel did not take, and why: one of this host's own addresses, say. What
    /// one server says must not keep the others from being delivered to.
    pub fn refused(&self) -> impl Iterator<Item = (Ipv6Addr, io::Error)> {
        self.refused.iter().map(|(gateway, errno)| (*gateway, io::Error::from(*errno)))
    }

    /// What a predecessor has left for our services, to be taken over. Changes nothing.
    ///
    /// Left out is whose neighbour does not answer: where its frames would go is not known.
    ///
    /// # Errors
    /// The kernel's.
    pub fn found(&mut self) -> Result<Forwarding, ForwarderError> {
        let (objects, _) = self.read()?;
        let services = self.setup.services.iter();
        Ok(Forwarding {
            services: services.map(|service| found_service(&objects, *service, &self.policy)).collect(),
        })
    }

    /// Makes the kernel as `wish` says; only what differs is sent. While the link is down it is not done but
    /// remembered: [`check`](Self::check) says when to apply it again.
    ///
    /// # Errors
    /// The kernel's. What could be done is done; trying again is right.
    pub fn apply(&mut self, wish: &Forwarding) -> Result<Applied, ForwarderError> {
        self.wish = Some(wish.clone());
        self.settle(wish, false)
    }

    /// True if the kernel is not as it was last wished: somebody's hand, or a link that was down and is up again. To be called
    /// once a second: neighbours that are no longer needed are removed here, and not with their next hops. A packet can have
    /// been given a next hop and lose its processor before it is sent; with a neighbour that is dead by then it would be lost.
    ///
    /// # Errors
    /// The kernel's.
    pub fn check(&mut self) -> Result<bool, ForwarderError> {
        let Some(wish) = self.wish.take() else { return Ok(false) };
        let checked = self.check_against(&wish);
        self.wish = Some(wish);
        checked
    }

    fn check_against(&mut self, wish: &Forwarding) -> Result<bool, ForwarderError> {
        let (objects, up) = self.read()?;
        if !up {
            return Ok(false);
        }
        let (removals, others): (Vec<Step>, Vec<Step>) = self.plan(&objects, wish).into_iter().partition(removes_neighbor);
        if others.is_empty() {
            self.carry_out(&removals, &mut Applied::default())?;
        }
        Ok(!others.is_empty())
    }

    /// Takes everything of ours away: what was there before is what counts again.
    ///
    /// # Errors
    /// The kernel's.
    pub fn withdraw(&mut self) -> Result<Applied, ForwarderError> {
        self.wish = None;
        self.settle(&Forwarding::default(), true)
    }

    fn plan(&self, objects: &Objects, wish: &Forwarding) -> Vec<Step> {
        if self.refused.is_empty() {
            return plan(objects, wish, &self.policy, &self.programmed);
        }
        let mut wish = wish.clone();
        for service in &mut wish.services {
            service.next_hops.retain(|next_hop| !self.refused.contains_key(&next_hop.gateway));
        }
        plan(objects, &wish, &self.policy, &self.programmed)
    }

    /// At the end everything goes, even if the link is down.
    fn settle(&mut self, wish: &Forwarding, is_end: bool) -> Result<Applied, ForwarderError> {
        let mut applied = Applied::default();
        self.refused.clear();
        let mut attempt = 1;
        loop {
            let (objects, up) = self.read()?;
            if !up && !is_end {
                applied.waiting = true;
                return Ok(applied);
            }
            let mut steps = self.plan(&objects, wish);
            if !is_end {
                steps.retain(|step| !removes_neighbor(step));
            }
            let refusals = self.carry_out(&steps, &mut applied)?;
            // The first group tells whether weights can be wide; then it is looked at once more.
            let made_group = steps.iter().any(|step| matches!(step, Step::AddGroup { .. }));
            let Some((request, errno)) = refusals.first() else {
                if made_group && !self.policy.wide && attempt < ATTEMPTS {
                    attempt += 1;
                    continue;
                }
                applied.refused = self.refused.len();
                return Ok(applied);
            };
            if attempt >= ATTEMPTS {
                let (request, errno) = (*request, *errno);
                return Err(NetlinkError::Refused { request, errno }.into());
            }
            self.learn(&refusals, &steps);
            attempt += 1;
        }
    }

    /// What the next attempt has to do otherwise. Nothing if the link went meanwhile, or a number was taken: it will see that.
    fn learn(&mut self, refusals: &[(Request, Errno)], steps: &[Step]) {
        for (request, errno) in refusals {
            match (request, *errno) {
                (Request::Put(Entry::Route(_)), Errno::EXIST) => self.policy.metrics_taken += 1,
                (_, Errno::EXIST | Errno::NETDOWN | Errno::NODEV) => {}
                (request, errno) => {
                    if let Some(gateway) = gateway_of(*request, steps) {
                        self.refused.insert(gateway, errno);
                    }
                }
            }
        }
    }

    /// Sends the steps, those of one kind together, up to the first kind of which any are refused. These it returns.
    fn carry_out(&mut self, steps: &[Step], applied: &mut Applied) -> Result<Vec<(Request, Errno)>, ForwarderError> {
        for steps in steps.chunk_by(|one, next| std::mem::discriminant(one) == std::mem::discriminant(next)) {
            let (mut next_hops, mut others) = (Vec::new(), Vec::new());
            for step in steps {
                match orders(step, self.interface) {
                    Orders::NextHop(order) => next_hops.push(order),
                    Orders::Route(orders) => others.extend(orders),
                }
            }
            let mut refused = self.netlink.order(next_hops)?;
            refused.extend(self.netlink.order(others)?);
            refused.retain(|(request, errno)| !is_gone_already(*request, *errno));
            if !refused.is_empty() {
                return Ok(refused);
            }
            for step in steps {
                applied.count(step);
                self.remember(step);
            }
        }
        Ok(Vec::new())
    }

    fn remember(&mut self, step: &Step) {
        match step {
            Step::SetNeighbor { gateway, link_layer, .. } => {
                self.programmed.insert(*gateway, *link_layer);
            }
            Step::RemoveNeighbor { gateway } => {
                self.programmed.remove(gateway);
            }
            _ => {}
        }
    }

    /// What is in the kernel, and whether the link is up.
    fn read(&mut self) -> Result<(Objects, bool), ForwarderError> {
        let link = self.netlink.link(&self.setup.interface)?;
        let up = link.as_ref().is_some_and(|link| link.up);
        // Made anew under the same name, it has another number.
        self.interface = link.map_or(self.interface, |link| link.index);
        let objects = reading::read(&mut self.netlink, self.interface, self.policy.table)?;
        self.policy.wide |= objects.wide;
        Ok((objects, up))
    }
}

/// Our table for an interface: of its name, which stays when its number changes (FNV-1a).
fn table_of(interface: &str) -> u32 {
    let hash = interface
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    FIRST_TABLE + hash % TABLES
}

/// In milliseconds, a tenth of a second being what kernels of every clock rate keep exactly.
fn idle_of(silence: Duration) -> u64 {
    let tenths = silence.as_millis().div_ceil(100).clamp(1, 864_000);
    u64::try_from(tenths).unwrap_or(1) * 100
}

/// The one kind of step that can wait.
const fn removes_neighbor(step: &Step) -> bool {
    matches!(step, Step::RemoveNeighbor { .. })
}

/// The gateway of the server whose next hop or neighbour was to be set.
fn gateway_of(request: Request, steps: &[Step]) -> Option<Ipv6Addr> {
    match request {
        Request::Put(Entry::Neighbor(gateway)) => Some(gateway),
        Request::Put(Entry::NextHop(wanted)) => steps.iter().find_map(|step| match step {
            Step::AddNextHop { id, gateway } if *id == wanted => Some(*gateway),
            _ => None,
        }),
        _ => None,
    }
}

/// A removal of what is not there has nothing left to do.
fn is_gone_already(request: Request, errno: Errno) -> bool {
    matches!(request, Request::Remove(_)) && matches!(errno, Errno::NOENT | Errno::SRCH)
}

/// The delivery of one service as it is in the kernel.
fn found_service(objects: &Objects, service: ServiceAddress, policy: &Policy) -> ServiceForwarding {
    let mut shares: BTreeMap<Ipv6Addr, (u16, u16)> = BTreeMap::new();
    for table in [MAIN, policy.table] {
        let Some(route) = objects.route_to(service.get(), table) else {
            continue;
        };
        let Some(group) = objects.groups.get(&route.group) else { continue };
        let is_alone = policy.grouping != Grouping::Split;
        for (gateway, member) in objects.gateways(group) {
            let (datagrams, connections) = shares.entry(gateway).or_default();
            let is_plain = group.kind == Kind::Plain;
            let share = if is_plain { member.weight } else { policy.share(member.weight) };
            if is_alone || is_plain {
                *datagrams = share;
            }
            if is_alone || !is_plain {
                *connections = share;
            }
        }
    }
    let next_hops = shares.iter().filter_map(|(&gateway, (datagrams, connections))| {
        let neighbor = objects.neighbors.get(&gateway)?;
        Some(NextHop {
            gateway,
            made_up: neighbor.permanent && neighbor.ours,
            link_layer: neighbor.link_layer?,
            datagrams: *datagrams,
            connections: *connections,
        })
    });
    let mut next_hops: Vec<NextHop> = next_hops.collect();
    next_hops.sort_unstable();
    ServiceForwarding { service, next_hops }
}
