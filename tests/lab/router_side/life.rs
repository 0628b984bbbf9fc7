//! The router side's own life: one holder by the claims' rules, its end, and what is left then.

use super::{ALL, RATE, SOON, start};
use crate::harness::clock::{wait_for, wait_for_value};
use crate::harness::figures;
use crate::harness::flows::spread;
use crate::harness::group::wait_for_one_holder;
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::{Probe, ask_once};
use crate::harness::router_side::{RouterSetup, RouterSide};
use crate::harness::server::{Server, Setup};

/// Our routing protocol number, which marks all that is ours in the kernel.
const OURS: &str = "proto 72";

/// Servers in failover mode have one holder, whose advertisements alone move the entry.
pub(crate) fn claim_3_5_latest_follows_the_holder() {
    let network = Network::new(2);
    let side = RouterSide::start(network.router(), &RouterSetup::policy("latest"));
    let mut servers = Server::start_on_all(&network, &Setup::failover());
    let holder = wait_for_one_holder(&servers);
    let mac = |index: usize| network.hosts[index].mac.to_string();
    let entry_is = |index: usize| side.entry()["link_layer"] == mac(index).as_str();
    wait_for(SOON, "the entry has the holder's link-layer address", || entry_is(holder));
    side.wait_for_members(&[servers[holder].identity.as_str()]);
    let probe = Probe::start(&network.client, RATE / 2);
    probe.wait_for_answered(500, SOON);
    servers[holder].terminate();
    servers[holder].wait_for_exit(2 * SOON);
    wait_for(SOON, "the entry has the successor's link-layer address", || entry_is(1 - holder));
    side.wait_for_members(&[servers[1 - holder].identity.as_str()]);
    probe.wait_for_answered(500, SOON);
    let report = probe.stop();
    figures::print("router side: latest, planned leave of the holder", &report);
    assert_eq!(report.lost(), 0, "{report}");
    let discarded = side.entry()["discarded"].clone();
    assert!(discarded["unchanged"].as_u64() > Some(0), "claim 5: {discarded}");
}

pub(crate) fn the_end_of_a_router_side_gives_the_kernel_back_what_it_had() {
    let network = Network::new(3);
    let namespace = &network.router().namespace;
    let service = format!("{SERVICE}/128");
    let foreign = ["route", "add", &service, "dev", "lan0", "metric", "512", "proto", "static"];
    crate::harness::command::run(&mut namespace.ip(&foreign));
    let (mut side, _servers) = start(&network, &RouterSetup::policy("round-robin"), &Setup::member());
    let ours = || {
        let shown = [
            namespace.run("ip", &["-6", "route", "show", "table", "all"]),
            namespace.run("ip", &["nexthop", "show"]),
            namespace.run("ip", &["-6", "rule", "show"]),
        ];
        shown
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| line.contains(OURS))
            .count()
    };
    assert!(ours() > 0, "next hops, groups and routes are marked");
    let rules = namespace.run("ip", &["-6", "rule", "show"]);
    assert!(rules.contains("ipproto tcp"), "{rules}");
    let status = side.terminate();
    assert!(status.success(), "{status}: {}", side.log());
    assert_eq!(ours(), 0);
    assert!(!namespace.run("ip", &["-6", "rule", "show"]).contains("ipproto tcp"));
    let routes = namespace.run("ip", &["-6", "route", "show", &service]);
    assert!(routes.contains("metric 512"), "the administrator's route is there: {routes}");
    wait_for_value(SOON, "a query is answered without the router side", || ask_once(&network.client));
    side.run_again();
    side.wait_for_members(&ALL);
    drop(side);

    let keeping = RouterSetup {
        keep: true,
        ..RouterSetup::policy("round-robin")
    };
    let mut side = RouterSide::start(network.router(), &keeping);
    side.wait_for_members(&ALL);
    let probe = Probe::start(&network.client, RATE);
    probe.wait_for_answered(500, SOON);
    assert!(side.terminate().success(), "{}", side.log());
    assert!(ours() > 0, "--keep leaves what delivers");
    assert_eq!(spread(&network.client, 60).len(), ALL.len());
    side.run_again();
    side.wait_for_members(&ALL);
    let report = probe.stop();
    figures::print("router side: --keep and started again", &report);
    assert_eq!(report.lost(), 0, "{report}");
}
