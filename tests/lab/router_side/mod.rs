//! `heraldns router` between a client and real servers: what no stock router does (claims 5, 15, 16, 17).
//!
//! A gap is asserted at three times the figure, a loss and a broken connection exactly; the figures themselves are printed.

mod failure;
pub(crate) mod kernel;
mod life;
mod security;
mod sharing;
mod sinks;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use failure::*;
pub(crate) use life::*;
pub(crate) use security::*;
pub(crate) use sharing::*;

use crate::harness::connections::Habits;
use crate::harness::network::Network;
use crate::harness::router_side::{RouterSetup, RouterSide};
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(10);
/// Queries a second in the tests that count losses.
const RATE: u32 = 2_000;
/// TCP connections that are open meanwhile, asked twice a second each.
const OPEN: Habits = Habits {
    count: 200,
    interval: Duration::from_millis(500),
    lifetime: None,
};
const ALL: [&str; 3] = ["s1", "s2", "s3"];

/// A router side and a server on each host, all of them members.
fn start<'network>(network: &'network Network, setup: &RouterSetup, servers: &Setup) -> (RouterSide<'network>, Vec<Server<'network>>) {
    let side = RouterSide::start(network.router(), setup);
    let servers = Server::start_on_all(network, servers);
    let identities: Vec<&str> = servers.iter().map(|server| server.identity.as_str()).collect();
    side.wait_for_members(&identities);
    (side, servers)
}

#[track_caller]
fn assert_shares(measured: &BTreeMap<String, f64>, expected: [f64; 3], points: f64) {
    let right = ALL.iter().zip(expected).all(|(identity, expected)| {
        let share = measured.get(*identity).copied().unwrap_or_default();
        (share - expected).abs() <= points
    });
    assert!(
        right && measured.len() == ALL.len(),
        "{measured:.1?}, expected {expected:?} to {points} points"
    );
}
