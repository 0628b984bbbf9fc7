//! heraldns as the neighbour of an unmodified OSPFv3 router, FRR or BIRD: the table of the design, row by row.
//!
//! A gap is asserted at three times the figure of the router's make, a loss exactly; the figures themselves are printed.

mod authentication;
mod controls;
mod failure;
mod manual;
mod old_lsas;
mod overload;
mod sharing;
mod variants;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub(crate) use authentication::*;
pub(crate) use controls::*;
pub(crate) use failure::*;
pub(crate) use manual::*;
pub(crate) use old_lsas::*;
pub(crate) use overload::*;
pub(crate) use sharing::*;
pub(crate) use variants::*;

use heraldns::advertiser::ospf::wire::{ALL_SPF_ROUTERS, AreaId, Body, Lsa, OSPF, Packet, RouterId};
use heraldns::base::machine::Datagram;

use crate::harness::capture::{Frame, Message};
use crate::harness::clock::millis;
use crate::harness::figures;
use crate::harness::injector::Injector;
use crate::harness::namespace::Namespace;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, OspfRouter, Routing};
use crate::harness::quiet;
use crate::harness::router::Router;
use crate::harness::server::{Server, Setup};

/// Longer than two MinLSIntervals of BIRD and a start on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// A test may take so many times what is promised.
const MARGIN: u32 = 3;

/// What is promised with a router.
struct Figures {
    start_to_route: Duration,
    start_to_next_hops: Duration,
    withdrawal: Duration,
    withdrawal_after_a_change: Duration,
    main_killed: Duration,
    main_hung: Duration,
    all_killed: Duration,
    router_restarted: Duration,
}

impl Figures {
    fn of(make: Make) -> Self {
        let millis = Duration::from_millis;
        match make {
            Make::Frr => Self {
                start_to_route: millis(1_500),
                start_to_next_hops: millis(1_500),
                withdrawal: millis(50),
                withdrawal_after_a_change: millis(100),
                main_killed: millis(50),
                main_hung: millis(600),
                all_killed: millis(4_200),
                router_restarted: millis(10_000),
            },
            Make::Bird => Self {
                start_to_route: millis(1_500),
                // BIRD makes a new Network-LSA at most every 5 s (MinLSInterval), and each neighbour needs one.
                start_to_next_hops: millis(5_200),
                withdrawal: millis(1_200),
                withdrawal_after_a_change: millis(1_200),
                main_killed: millis(1_200),
                main_hung: millis(1_700),
                all_killed: millis(5_000),
                router_restarted: millis(10_000),
            },
        }
    }
}

/// The router between client and link, alone for so long that it is designated, sharing by flows.
fn start_router<'network>(make: Make, network: &'network Network, routing: &Routing) -> OspfRouter<'network> {
    let router = launch_router(make, network.router(), routing);
    quiet::without_share(|| router.wait_until_designated());
    router
}

/// Two routers on the link, each between a client of its own and the servers, and neighbours of each other.
fn start_two_routers<'network>(network: &'network Network, routers: [(Make, Routing); 2]) -> [OspfRouter<'network>; 2] {
    let [one, other] = &network.routers[..] else {
        unreachable!("two routers")
    };
    let [one, other] = [(one, &routers[0]), (other, &routers[1])].map(|(router, (make, routing))| launch_router(*make, router, routing));
    one.wait_for_full(other.router_id, 2 * SOON);
    other.wait_for_full(one.router_id, 2 * SOON);
    [one, other]
}

fn launch_router<'network>(make: Make, router: &'network Router, routing: &Routing) -> OspfRouter<'network> {
    router.namespace.sysctl("net/ipv6/fib_multipath_hash_policy", "1");
    OspfRouter::start(make, &router.namespace, routing)
}

/// Starts a server on each host, and waits until the router has a route to each.
fn start_servers<'network>(network: &'network Network, setup: &Setup) -> Vec<Server<'network>> {
    let servers: Vec<Server<'_>> = Server::start_on_all(network, setup);
    network.router().wait_for_gateways(SOON, next_hops(&servers));
    servers
}

fn next_hops(servers: &[Server<'_>]) -> Vec<Ipv6Addr> {
    servers.iter().map(Server::link_local).collect()
}

/// The LSAs in an update that was captured; none if it is something else.
fn lsas_of(frame: &Frame) -> Vec<Lsa> {
    let Message::Ospf(octets) = &frame.message else { return Vec::new() };
    let datagram = Datagram {
        source: frame.source,
        source_port: 0,
        destination: frame.destination,
        hop_limit: frame.hop_limit,
        payload: octets,
    };
    match Packet::parse(&datagram, None).map(|received| received.packet.body) {
        Ok(Body::LinkStateUpdate(lsas)) => lsas,
        _ => Vec::new(),
    }
}

/// An update with these LSAs from `router`, whose interface is `device` in `namespace` and has the link-local address `source`.
fn inject(namespace: &Namespace, device: &str, source: Ipv6Addr, router: Ipv4Addr, lsas: Vec<Lsa>) {
    let packet = Packet {
        router: RouterId(router.into()),
        area: AreaId(0),
        instance: 0,
        body: Body::LinkStateUpdate(lsas),
    };
    let octets = packet.emit(source, ALL_SPF_ROUTERS, None);
    Injector::raw(namespace, device, OSPF).send_raw(ALL_SPF_ROUTERS, &octets);
}

/// Prints a duration and asserts that it is within three times the figure.
#[track_caller]
fn assert_within(make: Make, what: &str, measured: Duration, figure: Duration) {
    let (measured, figure) = (millis(measured), millis(figure));
    figures::print(
        &format!("{make}: {what}"),
        format_args!("{measured:.0} ms, promised {figure:.0} ms"),
    );
    assert!(
        measured <= figure * f64::from(MARGIN),
        "{make}: {what}: {measured:.0} ms, promised {figure:.0} ms"
    );
}
