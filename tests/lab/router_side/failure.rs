//! Servers that leave, in order and not: what it costs those who ask them, and those who ask the others.

use std::time::Duration;

use super::{ALL, OPEN, RATE, SOON, start};
use crate::harness::clock::{millis, now, wait_for};
use crate::harness::command::run;
use crate::harness::connections::{Connections, Habits};
use crate::harness::figures;
use crate::harness::host::Host;
use crate::harness::network::Network;
use crate::harness::probe::Probe;
use crate::harness::router_side::RouterSetup;
use crate::harness::server::Setup;

/// Drains in CI.
const DRAINS: usize = 3;
/// A killed server's flows are served by others after so long.
const KILLED: Duration = Duration::from_millis(1_000);
/// After its link is up the kernel has its next hops back after so long,
const LINK_UP: Duration = Duration::from_millis(50);
/// whenever in the second it is.
const FLAPS: usize = 5;
const MARGIN: u32 = 3;

/// Clients that end their connections themselves, as resolvers do: a drain waits for that.
pub(crate) fn claim_9_15_a_drain_breaks_no_connection() {
    let network = Network::new(3);
    let setup = Setup {
        drain_timeout: "30s",
        ..Setup::member()
    };
    let (side, mut servers) = start(&network, &RouterSetup::policy("weighted"), &setup);
    let habits = Habits {
        lifetime: Some(Duration::from_secs(3)),
        ..OPEN
    };
    let connections = Connections::open(&network.client, habits);
    // Some are always new.
    connections.wait_for_answering(OPEN.count * 3 / 4, SOON);
    let probe = Probe::start(&network.client, RATE);
    probe.wait_for_answered(1_000, SOON);
    let drains = figures::rounds(DRAINS);
    for round in 0..drains {
        let index = round % servers.len();
        let begin = now();
        servers[index].terminate();
        let leaver = servers[index].identity.as_str();
        side.wait_until_without(leaver);
        assert!(
            side.connection_shares().contains_key(leaver),
            "it keeps its connections: {:#}",
            side.entry()
        );
        let status = servers[index].wait_for_exit(4 * SOON);
        figures::print(
            "router side: drain, signal to exit",
            format_args!("{:.0} ms", millis(begin.elapsed())),
        );
        assert!(status.success(), "{status}: {}", servers[index].log());
        servers[index].run_again();
        side.wait_for_members(&ALL);
    }
    let (report, outcome) = (probe.stop(), connections.close());
    figures::print(&format!("router side: {drains} drains"), format_args!("{report}; TCP {outcome}"));
    assert_eq!((report.lost(), outcome.broken, outcome.refused), (0, 0, 0), "{report}; {outcome}");
}

pub(crate) fn claim_9_15_a_killed_server_leaves_the_entry() {
    let network = Network::new(3);
    let (side, servers) = start(&network, &RouterSetup::policy("weighted"), &Setup::member());
    let connections = Connections::open_once(&network.client, OPEN);
    connections.wait_for_answering(OPEN.count, SOON);
    let probe = Probe::start(&network.client, RATE);
    probe.wait_for_answered(1_000, SOON);
    servers[0].kill_everything();
    side.wait_until_without("s1");
    probe.wait_for_answered(u64::from(RATE) * 2, SOON);
    let (report, outcome) = (probe.stop(), connections.close());
    let lost = outcome.broken + outcome.ended_in_order;
    figures::print(
        "router side: SIGKILL of a server",
        format_args!("gap {:.0} ms; {report}; TCP {outcome}", millis(report.gap())),
    );
    assert!(report.gap() <= KILLED * MARGIN, "{report}");
    assert_eq!(
        Some(&lost),
        outcome.servers.get("s1"),
        "the dead server's connections, and no others: {outcome}"
    );
}

/// With its link the kernel loses all next hops. It has them again when the link is up, not when it is looked at next.
pub(crate) fn claim_15_a_link_that_is_up_again_delivers_at_once() {
    let network = Network::new(3);
    let router = network.router();
    let (_side, _servers) = start(&network, &RouterSetup::policy("round-robin"), &Setup::member());
    let gateways = || network.hosts.iter().map(Host::link_local);
    let mut longest = Duration::ZERO;
    for _ in 0..FLAPS {
        run(&mut router.namespace.ip(&["link", "set", "lan0", "down"]));
        router.wait_for_gateways(SOON, []);
        run(&mut router.namespace.ip(&["link", "set", "lan0", "up"]));
        longest = longest.max(router.wait_for_gateways(SOON, gateways()));
    }
    figures::print("router side: link up to next hops", format_args!("{:.0} ms", millis(longest)));
    assert!(longest <= LINK_UP * MARGIN, "{longest:?}");
}

/// The reason for a refusal can end while nothing that is wished changes: here somebody turns IPv6 off and on again.
pub(crate) fn claim_15_what_the_kernel_has_refused_is_tried_again() {
    let network = Network::new(3);
    let router = network.router();
    let setup = RouterSetup {
        dead_after: "60s",
        ..RouterSetup::policy("round-robin")
    };
    let (side, _servers) = start(&network, &setup, &Setup::member());
    router.namespace.sysctl("net/ipv6/conf/lan0/disable_ipv6", "1");
    wait_for(SOON, "the kernel refuses, and that is shown", || {
        let problems = side.neighbors().unwrap_or_default()["problems"].to_string();
        problems.contains("the kernel does not take as next hop")
    });
    router.namespace.sysctl("net/ipv6/conf/lan0/disable_ipv6", "0");
    let took = router.wait_for_gateways(SOON, network.hosts.iter().map(Host::link_local));
    figures::print("router side: IPv6 on again to next hops", format_args!("{:.0} ms", millis(took)));
    wait_for(SOON, "and it says so no more", || {
        let shown = side.neighbors().unwrap_or_default();
        shown["problems"].as_array().is_some_and(Vec::is_empty)
    });
}

/// The negative control of the default: what a plain group does to the connections of servers that nothing has happened to.
pub(crate) fn claim_15_a_plain_group_breaks_connections_of_others() {
    // Of three, the middle one's end would move nobody: the parts of the others begin and end where they did.
    let network = Network::new(4);
    let setup = RouterSetup {
        group: "plain",
        ..RouterSetup::policy("weighted")
    };
    let (side, servers) = start(&network, &setup, &Setup::member());
    let connections = Connections::open_once(&network.client, OPEN);
    connections.wait_for_answering(OPEN.count, SOON);
    servers[0].kill_everything();
    side.wait_until_without("s1");
    let probe = Probe::start(&network.client, RATE);
    probe.wait_for_answered(u64::from(RATE), SOON);
    let (report, outcome) = (probe.stop(), connections.close());
    let lost = outcome.broken + outcome.ended_in_order;
    let of_the_dead = outcome.servers.get("s1").copied().unwrap_or_default();
    figures::print(
        "router side: plain group, SIGKILL of a server",
        format_args!("{lost} connections lost, {of_the_dead} of them the dead server's; {report}"),
    );
    assert_eq!(report.lost(), 0, "{report}");
    assert!(lost > of_the_dead, "a plain group moves flows of others too: {outcome}");
}
