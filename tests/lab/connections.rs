//! The TCP connections of a server that drains: served on, closed in their pauses, cut at `drain-timeout`, and reported.
//!
//! The server is alone, so that the router goes on sending here: what ends a connection is the drain and nothing else.

use std::time::Duration;

use crate::harness::clock::{let_pass, wait_for};
use crate::harness::crowd::Crowd;
use crate::harness::figures;
use crate::harness::network::Network;
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(5);
/// Connections that have asked and are silent, and connections that ask ten times a second.
const SILENT: usize = 100;
const BUSY: usize = 100;

pub(crate) fn claim_9_a_drain_closes_connections_in_their_pauses_and_reports_what_it_cut() {
    for _ in 0..figures::rounds(3) {
        stop_with_connections();
    }
}

fn stop_with_connections() {
    let network = Network::new(1);
    let setup = Setup {
        drain_timeout: "3s",
        ..Setup::failover()
    };
    let mut server = Server::start(&network.hosts[0], &setup);
    server.wait_for_state("active");
    let silent = Crowd::connect(&network.client, SILENT, None);
    let busy = Crowd::connect(&network.client, BUSY, Some(Duration::from_millis(100)));
    silent.wait_for_answered(SILENT, SOON);
    busy.wait_for_answered(1_000, SOON);

    server.terminate();
    wait_for(SOON, "silent connections are closed", || silent.open() == 0);
    let_pass(Duration::from_secs(1));
    assert_eq!(busy.open(), BUSY, "who goes on asking is served until the drain-timeout");
    server.wait_for_exit(Duration::from_secs(10));
    let (silent, busy) = (silent.stop(), busy.stop());
    figures::print("stop, silent connections", &silent);
    figures::print("stop, busy connections", &busy);
    assert_eq!((silent.closed, silent.unanswered, silent.broken), (SILENT, 0, 0), "{silent}");
    assert_eq!((busy.closed, busy.unanswered, busy.broken), (BUSY, 0, 0), "{busy}");
    let log = server.log();
    let told = format!("lost=0 connections={} closed={SILENT} broken=0 cut={BUSY}", SILENT + BUSY);
    let receipt = log
        .lines()
        .find(|line| line.contains("drained after"))
        .expect("a stop has a receipt");
    assert!(receipt.contains(&told), "{receipt}");
}
