//! Turns taken without a coordinator share the load of a stock router (claim 6).

use std::time::Duration;

use crate::harness::clock::{let_pass, now, wait_for};
use crate::harness::figures;
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::{Probe, ask_once};
use crate::harness::server::{Server, Setup};

const TURN: &str = "100ms";
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn claim_6_turns_share_equally() {
    shares([100, 100, 100], [33.3, 33.3, 33.3], 2.0, Duration::from_secs(20));
}

pub(crate) fn claim_6_turns_share_by_weight() {
    shares([100, 200, 100], [25.0, 50.0, 25.0], 3.0, Duration::from_secs(20));
}

pub(crate) fn claim_6_a_dead_servers_turns_are_taken_over() {
    figures::repeat("one of three in rotation killed, gap", 3 * 2 * Duration::from_millis(100), || {
        let network = Network::new(3);
        let servers = Server::start_on_all(&network, &Setup::rotate(TURN));
        wait_for_rotation(&network, &servers);
        let probe = Probe::start(&network.client, 1_000);
        probe.wait_for_answered(500, SOON);
        let (pids, begin) = (servers[1].pids(), now());
        network
            .capture
            .wait_for(SOON, "its turn begins", begin, |frame| frame.advertises(SERVICE, servers[1].mac()));
        pids.kill();
        let_pass(Duration::from_secs(2));
        let report = probe.stop();
        figures::print("one of three in rotation killed", &report);

        let after = Probe::start(&network.client, 1_000);
        after.wait_for_sent(2_000);
        let rest = after.stop();
        figures::print("rotation of the remaining two", &rest);
        assert_eq!((rest.lost(), rest.duplicates()), (0, 0), "{rest}");
        assert_eq!(rest.shares().len(), 2, "{rest}");
        report.gap()
    });
}

fn shares(weights: [u32; 3], expected: [f64; 3], tolerance: f64, load: Duration) {
    let network = Network::new(3);
    let start = |(host, weight)| {
        let setup = Setup {
            weight,
            ..Setup::rotate(TURN)
        };
        Server::start(host, &setup)
    };
    let servers: Vec<Server<'_>> = network.hosts.iter().zip(weights).map(start).collect();
    wait_for_rotation(&network, &servers);
    let probe = Probe::start(&network.client, 1_000);
    let_pass(load);
    let report = probe.stop();
    figures::print(&format!("turns with weights {weights:?}"), &report);
    assert_eq!((report.lost(), report.duplicates(), report.unexpected()), (0, 0, 0), "{report}");
    let measured = report.shares();
    for (server, expected) in servers.iter().zip(expected) {
        let share = measured.get(&server.identity).copied().unwrap_or_default();
        assert!(
            (share - expected).abs() <= tolerance,
            "{}: {expected} ± {tolerance}, but {report}",
            server.identity
        );
    }
}

/// Waits until each server has had its turn within the last second, and the router has an entry.
fn wait_for_rotation(network: &Network, servers: &[Server<'_>]) {
    let lately = || now().checked_sub(Duration::from_secs(1)).expect("the machine is up for longer");
    let advertises = |server: &Server<'_>| {
        !network
            .capture
            .since(lately(), |frame| frame.advertises(SERVICE, server.mac()))
            .is_empty()
    };
    wait_for(SOON, "all servers take turns", || servers.iter().all(advertises));
    ask_once(&network.client).expect("the service is there");
}
