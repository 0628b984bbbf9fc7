//! Failures of the server, of its process, and of the router: how long queries still go where nobody answers.

use std::time::Duration;

use super::{Figures, SOON, assert_within, next_hops, start_router, start_servers};
use crate::harness::clock::{let_pass, millis, now, wait_for, wait_slowly};
use crate::harness::figures;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, Routing};
use crate::harness::probe::{Probe, ask_once};
use crate::harness::quiet;
use crate::harness::server::{Server, Setup, Speaker};

/// No LSA changes for so long: MinLSArrival, MinLSInterval and the delayed acknowledgments are over.
const CALM: Duration = Duration::from_secs(7);

pub(crate) fn claim_10_frr_failed_health_withdraws() {
    withdraw(Make::Frr);
}

pub(crate) fn claim_10_bird_failed_health_withdraws() {
    withdraw(Make::Bird);
}

pub(crate) fn claim_11_frr_all_idle_then_a_query() {
    idle(Make::Frr);
}

pub(crate) fn claim_11_bird_all_idle_then_a_query() {
    idle(Make::Bird);
}

pub(crate) fn claim_10_frr_killed_processes_and_a_restarted_router() {
    kill(Make::Frr);
}

pub(crate) fn claim_10_bird_killed_processes_and_a_restarted_router() {
    kill(Make::Bird);
}

/// The service address goes and comes by hand: adjacencies stay, routes go and come. In the order in which FRR forgets a next hop
/// unless its SPF runs: both are neighbours, one announces, the other announces, the first withdraws.
fn withdraw(make: Make) {
    let network = Network::new(2);
    let router = start_router(make, &network, &Routing::on_the_link(1));
    let setup = Setup {
        hold: "1s",
        ..Setup::ospf_awake()
    };
    let servers = start_servers(&network, &setup);
    let [first, second] = &servers[..] else { unreachable!("two hosts") };
    // Sooner, it would cost the adjacencies: the routers still take no new instance.
    quiet::rest(CALM);
    for server in &servers {
        server.host.set_service_address(false);
    }
    network.router().wait_for_gateways(SOON, []);
    for server in &servers {
        router.wait_for_full(Speaker::plain().router_id(server.host), SOON);
    }
    first.host.set_service_address(true);
    network.router().wait_for_gateways(SOON, [first.link_local()]);
    quiet::rest(CALM);
    second.host.set_service_address(true);
    network.router().wait_for_gateways(SOON, next_hops(&servers));
    quiet::rest(CALM);

    let report = quiet::alone(|| {
        let probe = Probe::for_gaps(&network.client, 1_000);
        probe.wait_for_answered(500, SOON);
        let begin = now();
        first.host.set_service_address(false);
        network.router().wait_for_gateways(SOON, [second.link_local()]);
        assert_within(
            make,
            "failed health, no stale next hop",
            begin.elapsed(),
            Figures::of(make).withdrawal,
        );
        probe.wait_for_answered(500, SOON);
        probe.stop()
    });
    figures::print(&format!("{make}: failed health"), &report);
    assert_within(make, "failed health, gap", report.gap(), Figures::of(make).withdrawal);
    assert_eq!((report.duplicates(), report.unexpected()), (0, 0), "{report}");
    assert!(
        router.is_full_with(Speaker::plain().router_id(first.host)),
        "a withdrawal in calm keeps the adjacency"
    );

    let after = Probe::start(&network.client, 1_000);
    after.wait_for_sent(1_000);
    let rest = after.stop();
    assert_eq!(rest.lost(), 0, "nothing goes to the withdrawn server any more: {rest}");
}

/// Idle servers are routes of the last resort; a query wakes one, and it is the only route. Its health fails within the second in
/// which routers take no new instance.
fn idle(make: Make) {
    let network = Network::new(2);
    let router = start_router(make, &network, &Routing::on_the_link(1));
    let setup = Setup {
        standby_after: "3s",
        ..Setup::ospf()
    };
    let servers = start_servers(&network, &setup);
    quiet::without_share(|| {
        wait_slowly(2 * SOON, "both are idle", || {
            servers.iter().all(|server| server.state() == "standby")
        });
    });
    network.router().wait_for_gateways(SOON, next_hops(&servers));
    quiet::rest(CALM);

    quiet::alone(|| query_and_fail(make, &network, &servers));
    for server in &servers {
        router.wait_for_full(Speaker::plain().router_id(server.host), SOON);
    }
}

fn query_and_fail(make: Make, network: &Network, servers: &[Server<'_>]) {
    let begin = now();
    let (identity, attempt) = ask_once(&network.client).expect("a query is answered when all are idle");
    assert_eq!(attempt, 1, "the first query is answered");
    let (woken, other) = if identity == servers[0].identity {
        (&servers[0], &servers[1])
    } else {
        (&servers[1], &servers[0])
    };
    network.router().wait_for_gateways(SOON, [woken.link_local()]);
    figures::print(
        &format!("{make}: query to lower cost"),
        format_args!("{:.0} ms", millis(begin.elapsed())),
    );

    let_pass(Duration::from_millis(200));
    let failed = now();
    woken.host.set_service_address(false);
    network.router().wait_for_gateways(SOON, [other.link_local()]);
    assert_within(
        make,
        "failed health 0.2 s after a cost change",
        failed.elapsed(),
        Figures::of(make).withdrawal_after_a_change,
    );
    let (identity, _) = ask_once(&network.client).expect("the other answers");
    assert_eq!(identity, other.identity);
}

/// Main hung, and let go on; main killed, guardian left; then guardian and main of another server; then the router.
fn kill(make: Make) {
    let network = Network::new(3);
    let mut router = start_router(make, &network, &Routing::on_the_link(1));
    let figures = Figures::of(make);
    let servers = start_servers(&network, &Setup::ospf_awake());
    quiet::rest(CALM);

    let without = |gone: &Server<'_>| {
        let others = servers.iter().filter(|server| server.identity != gone.identity);
        network.router().wait_for_gateways(2 * SOON, others.map(Server::link_local));
    };

    let mut hanging = None;
    let (hung, _) = quiet::alone(|| {
        gap(make, &network, &servers, |server| {
            let pids = server.pids();
            pids.set_frozen(true);
            hanging = Some(pids);
            without(server);
        })
    });
    assert_within(make, "main hung, gap", hung, figures.main_hung);
    hanging.expect("one hangs").set_frozen(false);
    network.router().wait_for_gateways(2 * SOON, next_hops(&servers));
    quiet::rest(CALM);

    // It is back within the second: its route may have gone and come unseen, but not its process.
    let (main, _) = quiet::alone(|| {
        gap(make, &network, &servers, |server| {
            let killed = server.pids();
            killed.kill_main();
            wait_for(SOON, "another main", || server.pids().main != killed.main);
            // Whatever the router makes of the farewell and of the new neighbour is seen under load.
            let_pass(Duration::from_secs(1));
            router.wait_for_full(Speaker::plain().router_id(server.host), 2 * SOON);
            network.router().wait_for_gateways(2 * SOON, next_hops(&servers));
        })
    });
    assert_within(make, "main killed, gap", main, figures.main_killed);
    quiet::rest(CALM);

    let (all, killed) = gap(make, &network, &servers, |server| {
        server.kill_everything();
        without(server);
    });
    assert_within(make, "guardian and main killed, gap", all, figures.all_killed);
    let rest: Vec<&Server<'_>> = servers.iter().filter(|server| server.identity != killed).collect();
    let next_hops = || rest.iter().map(|server| server.link_local());

    router.kill();
    router.run();
    let begin = now();
    for server in &rest {
        router.wait_for_full(Speaker::plain().router_id(server.host), 2 * SOON);
    }
    network.router().wait_for_gateways(SOON, next_hops());
    assert_within(make, "router restarted, routes back", begin.elapsed(), figures.router_restarted);
    ask_once(&network.client).expect("the service is back");
}

/// The longest gap of a port when `failure` happens to the server that answers most, and which one that was. `failure` returns when
/// it has happened for certain; the load goes on until each port is answered after that. Perhaps nothing is lost: then there is no gap.
fn gap(make: Make, network: &Network, servers: &[Server<'_>], failure: impl FnOnce(&Server<'_>)) -> (Duration, String) {
    let probe = Probe::for_gaps(&network.client, 1_000);
    probe.wait_for_answered(500, SOON);
    let busiest = probe.busiest();
    let failing = servers.iter().find(|server| busiest.as_ref() == Some(&server.identity));
    let failing = failing.expect("a server answers");
    failure(failing);
    probe.wait_for_every_port(2 * SOON);
    let report = probe.stop();
    figures::print(&format!("{make}: {} failed", failing.identity), &report);
    assert_eq!((report.duplicates(), report.unexpected()), (0, 0), "{report}");
    (report.gap(), failing.identity.clone())
}
