//! Several servers behind one router: equal routes, flows spread over them, and a planned stop that loses nothing.

use std::time::Duration;

use super::{Figures, SOON, assert_within, next_hops, start_router};
use crate::harness::clock::{millis, now, wait_for_value};
use crate::harness::figures;
use crate::harness::flows::spread;
use crate::harness::injector::Injector;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, Routing};
use crate::harness::probe::{Probe, Report};
use crate::harness::quiet;
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
    let begin = now();
    let mut servers = vec![Server::start(&network.hosts[0], &Setup::ospf_awake())];
    router.wait_for_full(Speaker::plain().router_id(servers[0].host), SOON);
    let full = begin.elapsed();
    network.router().wait_for_gateways(SOON, next_hops(&servers));
    figures::print(&format!("{make}: start to Full"), format_args!("{:.0} ms", millis(full)));
    assert_within(make, "start to route in the kernel", begin.elapsed(), figures.start_to_route);
    let begin = now();
    servers.extend(network.hosts[1..].iter().map(|host| Server::start(host, &Setup::ospf_awake())));
    network.router().wait_for_gateways(2 * SOON, next_hops(&servers));
    assert_within(
        make,
        "two more, start to three next hops",
        begin.elapsed(),
        figures.start_to_next_hops,
    );

    let shares = spread(&network.client, FLOWS);
    figures::print(&format!("{make}: {FLOWS} flows"), format_args!("{shares:.1?}"));
    assert_eq!(shares.len(), 3, "{shares:?}");
    assert!(shares.values().all(|share| (share - 33.3).abs() <= 5.0), "{shares:?}");

    let report = quiet::alone(|| stop_one_after_the_other(make, &network, &mut servers));
    assert_eq!((report.lost(), report.duplicates(), report.unexpected()), (0, 0, 0), "{report}");
}

fn stop_one_after_the_other(make: Make, network: &Network, servers: &mut [Server<'_>]) -> Report {
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
        network.router().wait_for_gateways(2 * SOON, next_hops(servers));
    }
    probe.wait_for_answered(500, Duration::from_secs(5));
    let report = probe.stop();
    figures::print(&format!("{make}: {stops} stops and starts"), &report);
    report
}

/// Both ways of advertising under one decision: routes to both servers, and Neighbor Discovery with its one holder beside them.
pub(crate) fn claim_10_frr_beside_neighbor_discovery() {
    let network = Network::new(2);
    let _router = start_router(Make::Frr, &network, &Routing::on_the_link(1));
    let setup = Setup {
        neighbor_discovery: true,
        // Routes are there first, and nobody must take the other one's route for the holder's place.
        start: "solicited",
        ..Setup::ospf_awake()
    };
    let mut servers = Server::start_on_all(&network, &setup);
    network.router().wait_for_gateways(SOON, next_hops(&servers));
    network.solicit(&Injector::new(&network.router().namespace, "lan0"), Some(network.router().mac));
    let holds = |server: &Server<'_>| server.advertiser("nd")["state"] == "advertising";
    let leaver = wait_for_value(SOON, "one holder in Neighbor Discovery", || servers.iter().position(holds));
    let shares = spread(&network.client, FLOWS / 10);
    assert_eq!(shares.len(), 2, "the router sends to both: {shares:?}");

    let report = quiet::alone(|| {
        let probe = Probe::start(&network.client, 1_000);
        probe.wait_for_answered(500, SOON);
        servers[leaver].terminate();
        let status = servers[leaver].wait_for_exit(2 * SOON);
        assert!(status.success(), "{status}");
        network.router().wait_for_gateways(SOON, [servers[1 - leaver].link_local()]);
        probe.wait_for_answered(500, SOON);
        probe.stop()
    });
    figures::print("FRR: stop with both advertisers", &report);
    assert_eq!((report.lost(), report.unexpected()), (0, 0), "{report}");
}
