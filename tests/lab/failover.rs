//! Several servers, one holder: who takes over, when, and what it costs (claims 1, 3 and 9).
//!
//! A gap is asserted at three times the design's figure, a loss exactly; the figures themselves are printed.

use std::time::Duration;

use heraldns::base::address::ALL_NODES;

use crate::harness::capture::Message;
use crate::harness::clock::{holds_for, let_pass, millis, now, wait_for};
use crate::harness::figures;
use crate::harness::group::{start_group_under_load, wait_for_one_holder};
use crate::harness::injector::{Injector, advertisement};
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::{Probe, Report, ask_once};
use crate::harness::router::Router;
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(300);

pub(crate) fn claim_3_9_planned_leave_loses_no_query() {
    let network = Network::new(3);
    let (mut servers, leaver, probe) = start_group_under_load(&network);

    let (report, successor) = leave(&network, &mut servers, leaver, probe);
    figures::print("planned leave", &report);
    assert_nothing_lost(&report);
    wait_for(SOON, "the successor is active", || servers[successor].state() == "active");
    assert_eq!(network.router().next_hop(), Some(servers[successor].mac()));
    assert!(
        !servers[leaver].host.has_service_address(),
        "the service address is taken off at the end"
    );
}

pub(crate) fn claim_3_planned_leave_across_a_forgetful_switch_loses_no_query() {
    let network = Network::new(3);
    let (mut servers, leaver, probe) = start_group_under_load(&network);

    network.switch.set_flooding(false);
    for host in network.hosts.iter().filter(|host| host.number != servers[leaver].host.number) {
        network.switch.forget(&host.port(), host.mac);
    }
    let forgotten = now();
    let (report, successor) = leave(&network, &mut servers, leaver, probe);
    let port = servers[successor].host.port();
    let handed_over = network
        .capture
        .since(forgotten, |frame| frame.advertises(SERVICE, servers[successor].mac()));
    let spoke = network
        .capture
        .since(forgotten, |frame| frame.port == port && frame.at < handed_over[0].at);
    let successor_was = if spoke.is_empty() { "unknown" } else { "known again" };
    figures::print(
        &format!("planned leave, forgetful switch, successor {successor_was} to it"),
        &report,
    );
    assert_nothing_lost(&report);
}

pub(crate) fn claim_3_servers_started_together_make_one_holder() {
    for stagger in [0, 35, 300].map(Duration::from_millis) {
        let network = Network::new(3);
        let begin = now();
        let start = |host| {
            let_pass(stagger);
            Server::start(host, &Setup::failover())
        };
        let servers: Vec<Server<'_>> = network.hosts.iter().rev().map(start).collect();
        let holder = wait_for_one_holder(&servers);
        let_pass(4 * INTERVAL);
        let others = network.capture.since(begin, |frame| {
            frame.is_advertisement_of(SERVICE) && frame.from != servers[holder].mac()
        });
        assert!(
            others.is_empty(),
            "started {stagger:?} apart, one takes over and the others stay silent: {others:?}"
        );
        assert_eq!(wait_for_one_holder(&servers), holder);
    }
}

pub(crate) fn claim_3_a_newcomer_does_not_displace_the_holder() {
    let network = Network::new(3);
    let begin = now();
    let holder = Server::start_active(&network.hosts[1]);
    let newcomers = [&network.hosts[0], &network.hosts[2]].map(|host| Server::start(host, &Setup::failover()));
    newcomers.iter().for_each(|newcomer| {
        newcomer.wait_for_state("standby");
    });
    let_pass(10 * INTERVAL);
    let others = network
        .capture
        .since(begin, |frame| frame.is_advertisement_of(SERVICE) && frame.from != holder.mac());
    assert!(others.is_empty(), "only the holder advertises: {others:?}");
    assert!(holder.is_holder());
}

pub(crate) fn claim_9_killed_holder_is_replaced() {
    figures::repeat("holder killed, gap", 3 * Duration::from_secs(1), || gap_after_killing(1));
}

pub(crate) fn claim_9_killed_main_is_spoken_for() {
    figures::repeat("main of the holder killed, gap", 3 * Duration::from_millis(50), || {
        let network = Network::new(3);
        let (servers, holder, probe) = start_group_under_load(&network);
        servers[holder].pids().kill_main();
        let killed = &servers[holder].identity;
        wait_for(SOON, "another server answers", || {
            probe.answering().is_some_and(|identity| identity != *killed)
        });
        probe.wait_for_answered(1_000, SOON);
        let report = probe.stop();
        figures::print("main killed", &report);
        report.gap()
    });
}

pub(crate) fn claim_9_killed_holder_and_one_more_are_replaced() {
    figures::repeat("two of three killed, gap", 3 * Duration::from_millis(1_300), || {
        gap_after_killing(2)
    });
}

pub(crate) fn claim_9_a_stalled_holder_is_replaced_and_comes_back_silent() {
    let network = Network::new(2);
    let servers = Server::start_on_all(&network, &Setup::failover());
    let holder = wait_for_one_holder(&servers);
    let (stalled, successor) = (&servers[holder], &servers[1 - holder]);
    let pids = stalled.pids();
    let probe = Probe::start(&network.client, 1_000);
    probe.wait_for_answered(500, SOON);
    pids.set_frozen(true);
    wait_for(SOON, "the successor answers", || {
        probe.answering().as_ref() == Some(&successor.identity)
    });
    let resumed = now();
    pids.set_frozen(false);
    stalled.wait_for_state("standby");
    probe.wait_for_answered(1_000, SOON);
    let report = probe.stop();
    figures::print("holder stalled", &report);
    let own = network.capture.since(resumed, |frame| frame.advertises(SERVICE, stalled.mac()));
    assert!(own.is_empty(), "who wakes from a stall advertises nothing: {own:?}");
    // What waited in the stalled server's socket is answered late rather than lost, so silence is what counts.
    assert!(report.silence() <= 3 * Duration::from_millis(500), "{report}");
    assert!(successor.is_holder() && !stalled.is_holder());
}

pub(crate) fn claim_3_take_over_with_a_failed_entry_is_believed() {
    disbelieved_take_over("take-over believed, entry FAILED", Router::fail_entry);
}

pub(crate) fn claim_3_take_over_with_an_absent_entry_is_believed() {
    disbelieved_take_over("take-over believed, entry absent", Router::delete_entry);
}

pub(crate) fn claim_3_take_over_with_dropped_advertisements_is_believed() {
    figures::repeat("take-over believed, drop_unsolicited_na", 3 * Duration::from_millis(1_200), || {
        let network = Network::new(2);
        let (servers, holder, probe) = start_group_under_load(&network);
        network.router().drop_unsolicited(true);
        let begin = now();
        servers[holder].kill_everything();
        let successor = &servers[1 - holder];
        let told = network
            .capture
            .wait_for(SOON, "the take-over", begin, |frame| frame.advertises(SERVICE, successor.mac()));
        wait_for(SOON, "the successor answers", || {
            probe.answering().as_ref() == Some(&successor.identity)
        });
        let report = probe.stop();
        let believed = report
            .first_answered_by(&successor.identity, begin)
            .expect("the successor answered");
        assert!(network.router().next_hop() == Some(successor.mac()));
        believed.saturating_duration_since(told.at)
    });
}

pub(crate) fn claim_3_a_healed_partition_leaves_one_holder() {
    let network = Network::new(2);
    let servers = Server::start_on_all(&network, &Setup::failover());
    wait_for_one_holder(&servers);
    network.switch.set_partition(true);
    wait_for(SOON, "both sides of the partition hold", || servers.iter().all(Server::is_holder));

    let begin = now();
    network.switch.set_partition(false);
    let first = network
        .capture
        .wait_for(SOON, "an advertisement", begin, |frame| frame.is_advertisement_of(SERVICE));
    wait_for(SOON, "one holder remains", || {
        servers.iter().filter(|server| server.is_holder()).count() == 1
    });
    let loser = servers.iter().find(|server| !server.is_holder()).expect("one of two");
    let limit = 3 * 2 * INTERVAL;
    let_pass(limit + 5 * INTERVAL);
    let late = network.capture.since(first.at, |frame| frame.advertises(SERVICE, loser.mac()));
    let yielded = late
        .last()
        .map_or(Duration::ZERO, |frame| frame.at.saturating_duration_since(first.at));
    figures::print(
        "healed partition, last word of the loser",
        format_args!("{:.1} ms", millis(yielded)),
    );
    assert!(yielded <= limit, "{yielded:?}");
    ask_once(&network.client).expect("the service is there");
}

pub(crate) fn claim_3_a_strangers_advertisement_is_overridden() {
    let network = Network::new(2);
    let server = Server::start_active(&network.hosts[0]);
    ask_once(&network.client).expect("the service is there");
    let stranger = &network.hosts[1];
    let begin = now();
    Injector::new(&stranger.namespace, "eth0").send_icmp(ALL_NODES, &advertisement(SERVICE, stranger.mac));
    let claimed = network
        .capture
        .wait_for(SOON, "the stranger", begin, |frame| frame.advertises(SERVICE, stranger.mac));
    let again = network
        .capture
        .wait_for(SOON, "the holder", claimed.at, |frame| frame.advertises(SERVICE, server.mac()));
    figures::print("stranger overridden", format_args!("{:.1} ms", millis(again.at - claimed.at)));
    assert!(again.at - claimed.at <= 3 * INTERVAL);
    wait_for(SOON, "the entry is the holder's again", || {
        network.router().next_hop() == Some(server.mac())
    });
}

pub(crate) fn claim_2_a_rebooted_router_is_served_again() {
    figures::repeat("router rebooted, gap", 3 * Duration::from_millis(500), || {
        let network = Network::new(2);
        let (servers, holder, probe) = start_group_under_load(&network);
        network.router().flush_neighbors();
        probe.wait_for_answered(1_000, SOON);
        let report = probe.stop();
        figures::print("router rebooted", &report);
        assert_eq!(
            network.router().next_hop(),
            Some(servers[holder].mac()),
            "the holder stays the holder"
        );
        report.gap()
    });
}

pub(crate) fn claim_1_two_routers_are_both_served() {
    let network = Network::with_routers(2, 2);
    let mut servers = Server::start_on_all(&network, &Setup::failover());
    let leaver = wait_for_one_holder(&servers);
    let one = Probe::through_router(&network.client, 1, 500);
    let two = Probe::through_router(&network.client, 2, 500);
    two.wait_for_answered(250, SOON);
    one.wait_for_answered(250, SOON);

    let (report, successor) = leave(&network, &mut servers, leaver, one);
    let other = two.stop();
    figures::print("planned leave, router 1", &report);
    figures::print("planned leave, router 2", &other);
    assert_nothing_lost(&report);
    assert_nothing_lost(&other);
    for router in &network.routers {
        assert_eq!(router.next_hop(), Some(servers[successor].mac()));
    }
}

pub(crate) fn claim_15_members_leave_a_stock_routers_entry_where_it_is() {
    let network = Network::new(2);
    let setup = Setup {
        mode: "member",
        ..Setup::failover()
    };
    let begin = now();
    let servers = Server::start_on_all(&network, &setup);
    for server in &servers {
        network.capture.wait_for(SOON, "each member advertises", begin, |frame| {
            frame.advertises(SERVICE, server.mac())
        });
    }
    let (identity, _) = ask_once(&network.client).expect("the service is there");
    let probe = Probe::start(&network.client, 1_000);
    let loaded = now();
    let told = || {
        network
            .capture
            .since(loaded, |frame| frame.is_advertisement_of(SERVICE) && frame.destination == ALL_NODES)
    };
    wait_for(SOON * 2, "twenty advertisements", || told().len() >= 20);
    let report = probe.stop();
    figures::print("members on a stock router", &report);
    assert_nothing_lost(&report);
    assert_eq!(
        report.shares().into_keys().collect::<Vec<_>>(),
        [identity],
        "one server answers all"
    );
    let overrides = |message: &Message| matches!(message, Message::Advertisement { flags, .. } if flags.override_entry);
    assert!(!told().iter().any(|frame| overrides(&frame.message)), "members do not override");
}

/// SIGTERM of the holder under load; returns the report, and who took over.
fn leave(network: &Network, servers: &mut [Server<'_>], leaver: usize, probe: Probe) -> (Report, usize) {
    let (mac, port) = (servers[leaver].mac(), servers[leaver].host.port());
    let begin = now();
    servers[leaver].terminate();
    let handed_over = network
        .capture
        .wait_for(SOON, "the hand-over with the successor's address", begin, |frame| {
            frame.port == port && frame.is_advertisement_of(SERVICE) && !frame.advertises(SERVICE, mac)
        });
    let successor = servers.iter().position(|server| handed_over.advertises(SERVICE, server.mac()));
    let successor = successor.expect("the hand-over names a server");
    let status = servers[leaver].wait_for_exit(2 * SOON);
    figures::print(
        "planned leave, from signal to exit",
        format_args!("{:.0} ms", millis(begin.elapsed())),
    );
    assert!(status.success(), "{status}");
    probe.wait_for_answered(500, SOON);
    let own = network.capture.since(handed_over.at, |frame| frame.advertises(SERVICE, mac));
    assert!(own.is_empty(), "nothing with its own address is advertised any more: {own:?}");
    (probe.stop(), successor)
}

fn assert_nothing_lost(report: &Report) {
    assert_eq!((report.lost(), report.duplicates(), report.unexpected()), (0, 0, 0), "{report}");
}

/// Of three servers under load, the holder and others are killed, `count` in all; the gap.
fn gap_after_killing(count: usize) -> Duration {
    let network = Network::new(3);
    let (servers, holder, probe) = start_group_under_load(&network);
    for offset in 0..count {
        servers[(holder + offset) % servers.len()].kill_everything();
    }
    probe.wait_for_every_port(SOON);
    let report = probe.stop();
    figures::print("killed", &report);
    assert_eq!(report.duplicates(), 0);
    report.gap()
}

/// The holder is killed and the router's entry spoilt, without any load: the time from the take-over to the router's belief.
fn disbelieved_take_over(what: &str, spoil: fn(&Router)) {
    figures::repeat(what, 3 * Duration::from_millis(1_200), || {
        let network = Network::new(2);
        let servers = Server::start_on_all(&network, &Setup::failover());
        let holder = wait_for_one_holder(&servers);
        ask_once(&network.client).expect("the service is there");
        let begin = now();
        servers[holder].kill_everything();
        spoil(network.router());
        let successor = servers[1 - holder].mac();
        let told = network
            .capture
            .wait_for(SOON, "the take-over", begin, |frame| frame.advertises(SERVICE, successor));
        wait_for(SOON, "the router believes it", || network.router().next_hop() == Some(successor));
        let believed = told.at.elapsed();
        let (_, attempt) = ask_once(&network.client).expect("the successor answers");
        assert_eq!(attempt, 1);
        holds_for(2 * INTERVAL, "the entry stays", || network.router().next_hop() == Some(successor));
        believed
    });
}
