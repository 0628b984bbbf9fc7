//! heraldns as the neighbour of an unmodified OSPFv3 router, FRR or BIRD: the table of the design, row by row.
//!
//! A gap is asserted at three times the figure of the router's make, a loss exactly; the figures themselves are printed.

mod authentication;
mod failure;
mod manual;
mod old_lsas;
mod sharing;
mod variants;

use std::net::Ipv6Addr;
use std::time::Duration;

pub(crate) use authentication::*;
pub(crate) use failure::*;
pub(crate) use manual::*;
pub(crate) use old_lsas::*;
pub(crate) use sharing::*;
pub(crate) use variants::*;

use crate::harness::clock::millis;
use crate::harness::figures;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, OspfRouter, Routing};
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(10);
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
            },
        }
    }
}

/// The router between client and link, alone for so long that it is designated, sharing by flows.
fn start_router<'network>(make: Make, network: &'network Network, routing: &Routing) -> OspfRouter<'network> {
    network.router().namespace.sysctl("net/ipv6/fib_multipath_hash_policy", "1");
    let router = OspfRouter::start(make, &network.router().namespace, routing);
    router.wait_until_designated();
    router
}

/// Starts a server on each host, one after the other, and waits until the router has a route to each.
fn start_servers<'network>(network: &'network Network, setup: &Setup) -> Vec<Server<'network>> {
    let servers: Vec<Server<'_>> = Server::start_on_all(network, setup);
    network.router().wait_for_gateways(SOON, next_hops(&servers));
    servers
}

fn next_hops(servers: &[Server<'_>]) -> Vec<Ipv6Addr> {
    servers.iter().map(Server::link_local).collect()
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
