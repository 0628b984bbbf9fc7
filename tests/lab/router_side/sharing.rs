//! How queries are spread: by configured weights, in equal parts, by load; and that no change of it costs anything.

use std::time::Duration;

use super::{ALL, OPEN, RATE, SOON, assert_shares, start};
use crate::harness::clock::{holds_for, let_pass, now, wait_for};
use crate::harness::connections::Connections;
use crate::harness::figures;
use crate::harness::flows::spread;
use crate::harness::network::Network;
use crate::harness::probe::{Probe, ask_once};
use crate::harness::router_side::{RouterSetup, RouterSide};
use crate::harness::server::{Server, Setup};

const FLOWS: usize = 10_000;
/// A share has followed the load within so long, on a quiet machine.
const FOLLOWS: Duration = Duration::from_secs(20);

pub(crate) fn claim_15_16_weighted_shares_are_those_of_the_servers() {
    let network = Network::new(3);
    let side = RouterSide::start(network.router(), &RouterSetup::policy("weighted"));
    let servers: Vec<Server<'_>> = network
        .hosts
        .iter()
        .map(|host| {
            let weight = if host.number == 2 { 200 } else { 100 };
            Server::start(host, &Setup { weight, ..Setup::member() })
        })
        .collect();
    side.wait_for_members(&ALL);
    let shares = spread(&network.client, FLOWS);
    figures::print("router side: weighted 1:2:1, 10,000 flows", format_args!("{shares:.1?}"));
    assert_shares(&shares, [25.0, 50.0, 25.0], 2.0);
    drop(servers);
}

pub(crate) fn claim_15_round_robin_shares_equally_and_restarts_lose_none() {
    let network = Network::new(3);
    let (mut side, _servers) = start(&network, &RouterSetup::policy("round-robin"), &Setup::member());
    let shares = spread(&network.client, FLOWS);
    figures::print("router side: round robin, 10,000 flows", format_args!("{shares:.1?}"));
    assert_shares(&shares, [33.3, 33.3, 33.3], 2.0);

    let connections = Connections::open(&network.client, OPEN);
    connections.wait_for_answering(OPEN.count, SOON);
    let probe = Probe::start(&network.client, RATE);
    probe.wait_for_answered(2_000, SOON);
    side.kill();
    probe.wait_for_answered(2_000, SOON);
    side.run_again();
    wait_for(SOON, "the router side answers again", || side.neighbors().is_some());
    assert_eq!(side.shares().len(), ALL.len(), "what the kernel does is taken over");
    // Longer than what is taken over without having been heard may stay.
    probe.wait_for_answered(u64::from(RATE) * 5, 2 * SOON);
    side.wait_for_members(&ALL);
    let (report, outcome) = (probe.stop(), connections.close());
    figures::print(
        "router side: SIGKILL and restart of the router side",
        format_args!("{report}; TCP {outcome}"),
    );
    assert_eq!((report.lost(), outcome.broken, outcome.refused), (0, 0, 0), "{report}; {outcome}");
}

/// A second router sends queries to the first server alone; the shares of the first router's follow what that server says.
pub(crate) fn claim_16_17_a_share_follows_the_load_from_elsewhere() {
    const CAPACITY: u32 = 400;
    let network = Network::with_routers(2, 3);
    let setup = Setup {
        capacity: CAPACITY,
        ..Setup::member()
    };
    let (side, servers) = start(&network, &RouterSetup::policy("weighted"), &setup);
    let elsewhere = &network.routers[1];
    elsewhere.set_entry(servers[0].mac(), "permanent");
    let connections = Connections::open(&network.client, OPEN);
    let probe = Probe::start(&network.client, 300);
    probe.wait_for_answered(300, SOON);
    assert_shares(&side.shares(), [33.3, 33.3, 33.3], 0.5);

    let load = Probe::through_router(&network.client, 2, CAPACITY * 5 / 4);
    let begin = now();
    let share = || side.shares().get("s1").copied().unwrap_or_default();
    wait_for(Duration::from_secs(60), "the share of the loaded server is halved", || {
        let_pass(Duration::from_millis(200));
        share() < 20.0
    });
    let took = begin.elapsed();
    figures::print(
        "router side: share of a server loaded from elsewhere from 33 to 20 %",
        format_args!("{:.1} s", took.as_secs_f64()),
    );
    assert!(took < FOLLOWS * 3 / 2, "{took:?}");
    let mut lowest = share();
    holds_for(Duration::from_secs(12), "it does not go up again while the load lasts", || {
        let_pass(Duration::from_millis(500));
        let now = share();
        let monotone = now <= lowest + 1.0;
        lowest = lowest.min(now);
        monotone
    });
    let _its_losses_are_not_measured = load.stop();
    let (report, outcome) = (probe.stop(), connections.close());
    figures::print("router side: weight changes", format_args!("{report}; TCP {outcome}"));
    assert_eq!((report.lost(), outcome.broken, outcome.refused), (0, 0, 0), "{report}; {outcome}");
}

/// Capacities that the weights do not tell, all above their mark: the shares move to the capacities, and that costs nothing.
pub(crate) fn claim_15_weights_change_and_nothing_is_lost() {
    let network = Network::new(3);
    let side = RouterSide::start(network.router(), &RouterSetup::policy("weighted"));
    let _servers: Vec<Server<'_>> = network
        .hosts
        .iter()
        .map(|host| {
            let capacity = if host.number == 2 { 2_000 } else { 600 };
            Server::start(
                host,
                &Setup {
                    capacity,
                    ..Setup::member()
                },
            )
        })
        .collect();
    side.wait_for_members(&ALL);
    let connections = Connections::open(&network.client, OPEN);
    connections.wait_for_answering(OPEN.count, SOON);
    let probe = Probe::start(&network.client, RATE);
    wait_for(3 * SOON, "the large server has half of it", || {
        let_pass(Duration::from_millis(200));
        side.shares().get("s2").is_some_and(|share| *share > 50.0)
    });
    let (report, outcome, shares) = (probe.stop(), connections.close(), side.shares());
    figures::print("router side: weights change", format_args!("{report}; TCP {outcome}; {shares:.1?}"));
    assert_eq!((report.lost(), outcome.broken, outcome.refused), (0, 0, 0), "{report}; {outcome}");
}

/// All servers go idle and say so: the entry stays, and the first query after that is answered at the first try.
pub(crate) fn claim_7_15_all_idle_then_a_query() {
    let network = Network::new(3);
    let setup = Setup {
        standby_after: "2s",
        ..Setup::member()
    };
    let (side, servers) = start(&network, &RouterSetup::policy("weighted"), &setup);
    for server in &servers {
        server.wait_for_state("standby");
    }
    holds_for(Duration::from_secs(3), "the idle servers stay in the entry", || {
        let_pass(Duration::from_millis(100));
        side.shares().len() == ALL.len()
    });
    let (_, attempt) = ask_once(&network.client).expect("the service is there");
    assert_eq!(attempt, 1, "the first query is answered");
}
