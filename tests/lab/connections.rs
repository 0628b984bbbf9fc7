//! The TCP connections of a server that drains: served on, closed in their pauses, cut at `drain-timeout`, and reported.
//!
//! The server is alone, so that the router goes on sending here: what ends a connection is the drain and nothing else.

use std::time::Duration;

use crate::harness::clock::{holds_for, now, wait_for};
use crate::harness::connections::{Connections, Habits};
use crate::harness::figures;
use crate::harness::network::Network;
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(5);
const DRAIN_TIMEOUT: &str = "3s";
/// Before the drain-timeout for certain.
const SURELY: Duration = Duration::from_millis(2_500);
/// Connections that are silent.
const SILENT: Habits = Habits {
    count: 100,
    interval: Duration::from_secs(3_600),
    lifetime: None,
};
/// Connections that go on asking.
const BUSY: Habits = Habits {
    count: 100,
    interval: Duration::from_millis(100),
    lifetime: None,
};

pub(crate) fn claim_9_a_drain_closes_connections_in_their_pauses_and_reports_what_it_cut() {
    for _ in 0..figures::rounds(3) {
        stop_with_connections();
    }
}

fn stop_with_connections() {
    let network = Network::new(1);
    let setup = Setup {
        drain_timeout: DRAIN_TIMEOUT,
        ..Setup::failover()
    };
    let mut server = Server::start(&network.hosts[0], &setup);
    server.wait_for_state("active");
    let silent = Connections::open_once(&network.client, SILENT);
    let busy = Connections::open_once(&network.client, BUSY);
    busy.wait_for_answered(1_000, SOON);

    let begin = now();
    server.terminate();
    wait_for(SOON, "silent connections are closed", || silent.count_open() == 0);
    let on = "who goes on asking is served until the drain-timeout";
    holds_for(SURELY.saturating_sub(begin.elapsed()), on, || busy.count_open() == BUSY.count);
    server.wait_for_exit(Duration::from_secs(10));
    let (silent, busy) = (silent.close(), busy.close());
    figures::print("stop, silent connections", &silent);
    figures::print("stop, busy connections", &busy);
    assert_eq!((silent.ended_in_order, silent.broken), (SILENT.count, 0), "{silent}");
    assert_eq!((busy.ended_in_order, busy.broken), (BUSY.count, 0), "{busy}");
    let log = server.log();
    let (all, closed, cut) = (SILENT.count + BUSY.count, SILENT.count, BUSY.count);
    let told = format!("lost=0 connections={all} closed={closed} broken=0 cut={cut}");
    let receipt = log
        .lines()
        .find(|line| line.contains("drained after"))
        .expect("a stop has a receipt");
    assert!(receipt.contains(&told), "{receipt}");
}
