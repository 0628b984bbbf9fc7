//! Several servers behind one router: equal routes, flows spread over them, and a planned stop that loses nothing.

use std::time::Duration;

use super::{Figures, SOON, assert_within, next_hops, start_router};
use crate::harness::clock::{millis, now};
use crate::harness::figures;
use crate::harness::flows::spread;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, Routing};
use crate::harness::probe::Probe;
use crate::harness::server::{Server, Setup, Speaker};

const FLOWS: usize = 6_000;
/// Stops in CI, of each server one.
const STOPS: usize = 3;

pub(crate) fn claim_10_14_frr_shares_flows_and_stops_lose_none() {
    share_and_stop(Make::Frr);
}

pub(crate) fn claim_10_14_bird_shares_flows_and_stops_lose_none() {
    share_and_stop(Make::Bird);
}

/// Start to Full and to the route, three next hops, flows spread, then one stop after the other under load: each server comes
/// back meanwhile, with its flushed LSAs still in the router's memory.
fn share_and_stop(make: Make) {
    let network = Network::new(3);
    let router = start_router(make, &network, &Routing::on_the_link(1));
    let figures = Figures::of(make);
    let mut servers = Vec::new();
    for host in &network.hosts {
        let begin = now();
        servers.push(Server::start(host, &Setup::ospf()));
        router.wait_for_full(Speaker::plain().router_id(host), SOON);
        let full = begin.elapsed();
        network.router().wait_for_gateways(SOON, next_hops(&servers));
        figures::print(&format!("{make}: start to Full"), format_args!("{:.0} ms", millis(full)));
        assert_within(make, "start to route in the kernel", begin.elapsed(), figures.start_to_route);
    }

    let shares = spread(&network.client, FLOWS);
    figures::print(&format!("{make}: {FLOWS} flows"), format_args!("{shares:.1?}"));
    assert_eq!(shares.len(), 3, "{shares:?}");
    assert!(shares.values().all(|share| (share - 33.3).abs() <= 5.0), "{shares:?}");

    let probe = Probe::start(&network.client, 1_000);
    probe.wait_for_answered(500, SOON);
    let stops = figures::rounds(STOPS);
    for round in 0..stops {
        let stopped = round % servers.len();
        let begin = now();
        servers[stopped].terminate();
        let status = servers[stopped].wait_for_exit(2 * SOON);
        let took = millis(begin.elapsed());
        figures::print(&format!("{make}: from signal to exit"), format_args!("{took:.0} ms"));
        assert!(status.success(), "{status}");
        let others = servers.iter().filter(|server| server.identity != servers[stopped].identity);
        network.router().wait_for_gateways(SOON, others.map(Server::link_local));
        servers[stopped].run_again();
        network.router().wait_for_gateways(2 * SOON, next_hops(&servers));
    }
    probe.wait_for_answered(500, Duration::from_secs(5));
    let report = probe.stop();
    figures::print(&format!("{make}: {stops} stops and starts"), &report);
    assert_eq!((report.lost(), report.duplicates(), report.unexpected()), (0, 0, 0), "{report}");
}
