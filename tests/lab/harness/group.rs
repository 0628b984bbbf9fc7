//! Several servers in failover, of which one is the holder.

use std::time::Duration;

use super::clock;
use super::network::Network;
use super::probe::Probe;
use super::server::{Server, Setup};

/// How long a group may take to agree.
const SOON: Duration = Duration::from_secs(10);

/// A server on each host, the position of the holder, and a thousand queries a second, which are answered.
#[track_caller]
pub(crate) fn start_group_under_load(network: &Network) -> (Vec<Server<'_>>, usize, Probe) {
    let servers = Server::start_on_all(network, &Setup::failover());
    let holder = wait_for_one_holder(&servers);
    let probe = Probe::for_gaps(&network.client, 1_000);
    probe.wait_for_answered(500, SOON);
    (servers, holder, probe)
}

/// Waits until exactly one of `servers` is the active holder and all others are ready; returns the holder's position.
#[track_caller]
pub(crate) fn wait_for_one_holder(servers: &[Server<'_>]) -> usize {
    let begin = clock::now();
    let mut states = Vec::new();
    while begin.elapsed() < SOON {
        states = servers.iter().map(Server::state).collect();
        let active: Vec<usize> = (0..servers.len()).filter(|index| states[*index] == "active").collect();
        if let [holder] = active[..]
            && states.iter().filter(|state| *state == "standby").count() == servers.len() - 1
        {
            return holder;
        }
        clock::let_pass(Duration::from_millis(10));
    }
    panic!("no group of one holder and ready others within {SOON:?}, but {states:?}");
}
