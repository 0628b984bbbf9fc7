//! No queries, no advertisements; a solicitation or a query, and they go on (claims 7 and 8).

use std::time::Duration;

use heraldns::base::peer::PeerState;
use serde_json::Value;

use crate::harness::capture::{Frame, Message};
use crate::harness::clock::{holds_for, let_pass, millis, now, wait_for};
use crate::harness::figures;
use crate::harness::group::wait_for_one_holder;
use crate::harness::injector::Injector;
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::ask_once;
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(5);

pub(crate) fn claim_7_8_idle_standby_is_silent_and_wakes() {
    let network = Network::new(2);
    let servers = Server::start_on_all(&network, &idle_soon());
    let holder = &servers[wait_for_one_holder(&servers)];
    ask_once(&network.client).expect("the service is there");

    let begin = now();
    wait_for_idle(holder);
    let idle = now();
    wait_for(SOON, "the last advertisement says standby", || {
        let advertised = network.capture.since(begin, |frame| frame.advertises(SERVICE, holder.mac()));
        advertised.last().and_then(told_state) == Some(PeerState::Standby as u8)
    });
    holds_for(Duration::from_secs(10), "idle standby sends no Neighbor Discovery packet", || {
        network
            .capture
            .since(idle, |frame| frame.concerns(SERVICE) && frame.port.starts_with('h'))
            .is_empty()
    });

    let asker = Injector::new(&network.router().namespace, "lan0");
    let (asked, answer) = network.solicit(&asker, Some(network.router().mac));
    figures::print(
        "solicitation in idle standby answered",
        format_args!("{:.1} ms", millis(answer.at - asked.at)),
    );
    assert!(answer.at - asked.at <= 3 * Duration::from_millis(50));
    holder.wait_for_state("active");

    wait_for_idle(holder);
    let (identity, attempt) = ask_once(&network.client).expect("a query is answered in idle standby");
    assert_eq!((identity.as_str(), attempt), (holder.identity.as_str(), 1));
    holder.wait_for_state("active");
}

pub(crate) fn claim_8_a_query_after_the_idle_holders_death_is_answered() {
    let network = Network::new(2);
    let servers = Server::start_on_all(&network, &idle_soon());
    let holder = wait_for_one_holder(&servers);
    ask_once(&network.client).expect("the service is there");
    wait_for_idle(&servers[holder]);

    let killed = now();
    servers[holder].kill_everything();
    let_pass(Duration::from_secs(3));
    let (identity, attempt) = ask_once(&network.client).expect("the next server answers");
    assert_eq!(identity, servers[1 - holder].identity);
    let taken = network
        .capture
        .since(killed, |frame| frame.advertises(SERVICE, servers[1 - holder].mac()));
    let first = taken.first().map_or(f64::NAN, |frame| millis(frame.at - killed));
    figures::print(
        "idle holder killed",
        format_args!("taken over after {first:.0} ms, answered at try {attempt}"),
    );
    assert!(attempt <= 2, "answered at try {attempt}");
}

fn idle_soon() -> Setup {
    Setup {
        standby_after: "2s",
        ..Setup::failover()
    }
}

/// Waits until `holder` is in idle standby: it holds the service address and does not advertise it.
fn wait_for_idle(holder: &Server<'_>) {
    wait_for(2 * SOON, "idle standby", || {
        let status = holder.status().unwrap_or_default();
        let service = &status["services"][0];
        status["state"] == "standby" && service["holder"] == Value::Bool(true) && service["advertised"] == Value::Bool(false)
    });
}

/// The sender's state in option 253: after `HD` and the version.
fn told_state(frame: &Frame) -> Option<u8> {
    let Message::Advertisement { herald: Some(body), .. } = &frame.message else {
        return None;
    };
    body.get(3).copied()
}
