//! What a server must not advertise through: a lost link, a lost address, a missing capability (claim 9, decision 0002).

use std::time::Duration;

use crate::harness::capture::Frame;
use crate::harness::clock::{holds_for, now, wait_for};
use crate::harness::command::run;
use crate::harness::figures;
use crate::harness::group::start_group_under_load;
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::{Probe, ask_once};
use crate::harness::server::{Server, Setup, serve_without_capabilities};

const SOON: Duration = Duration::from_secs(5);

pub(crate) fn claim_9_link_down_withdraws_and_up_advertises_again() {
    let network = Network::new(1);
    let server = Server::start_active(&network.hosts[0]);

    server.host.set_link(false);
    server.wait_for_state("withdrawn");
    assert!(server.reason().contains("link"), "the reason names the link: {}", server.reason());
    let begin = now();
    server.host.set_link(true);
    network
        .capture
        .wait_for(2 * SOON, "advertised again", begin, |frame| frame.advertises(SERVICE, server.mac()));
    server.wait_for_state("active");
    ask_once(&network.client).expect("the service is back");
}

pub(crate) fn claim_9_lost_carrier_hands_over_and_comes_back_in_standby() {
    let network = Network::new(2);
    let (servers, holder, probe) = start_group_under_load(&network);
    let (lost, successor) = (&servers[holder], &servers[1 - holder]);
    network.switch.set_carrier(&lost.host.port(), false);
    wait_for_hand_over(lost, successor, &probe, "link interface is down");
    network.switch.set_carrier(&lost.host.port(), true);
    lost.wait_for_state("standby");
    let report = probe.stop();
    figures::print("carrier lost", &report);
    assert!(report.gap() <= 3 * Duration::from_secs(1), "{report}");
    assert_stays_holder(successor, lost);
}

pub(crate) fn claim_9_a_lost_route_hands_over_and_comes_back_in_standby() {
    let network = Network::new(2);
    let (servers, holder, probe) = start_group_under_load(&network);
    let (lost, successor) = (&servers[holder], &servers[1 - holder]);
    run(&mut lost.host.namespace.ip(&["-6", "route", "del", "default"]));
    lost.wait_for_state("withdrawn");
    assert!(
        lost.reason().contains("no route leads"),
        "the reason names the route: {}",
        lost.reason()
    );
    wait_for(SOON, "the other answers", || {
        probe.answering().as_ref() == Some(&successor.identity)
    });
    lost.host.configure_link();
    lost.wait_for_state("standby");
    let report = probe.stop();
    figures::print("default route lost", &report);
    assert!(report.gap() <= 3 * Duration::from_millis(500), "{report}");
    assert_stays_holder(successor, lost);
}

pub(crate) fn claim_9_a_link_that_is_back_without_its_routes_is_not_advertised_on() {
    let network = Network::new(1);
    let server = Server::start_active(&network.hosts[0]);
    ask_once(&network.client).expect("it answers");
    let set_link = |state| run(&mut server.host.namespace.ip(&["link", "set", "eth0", state]));
    set_link("down");
    server.wait_for_state("withdrawn");
    let withdrawn = now();
    set_link("up");
    wait_for(SOON, "the reason is the route", || server.reason().contains("no route leads"));
    let is_ours = |frame: &Frame| frame.advertises(SERVICE, server.mac());
    holds_for(Duration::from_secs(1), "nothing is advertised", || {
        network.capture.since(withdrawn, is_ours).is_empty()
    });
    server.host.configure_link();
    server.wait_for_state("active");
    ask_once(&network.client).expect("the service is back");
}

pub(crate) fn claim_9_address_deleted_by_hand_withdraws() {
    let network = Network::new(2);
    let (servers, holder, probe) = start_group_under_load(&network);
    let (lost, successor) = (&servers[holder], &servers[1 - holder]);

    lost.host.set_service_address(false);
    lost.wait_for_state("withdrawn");
    let withdrawn = now();
    wait_for_hand_over(lost, successor, &probe, "service address");
    let claims_it = |frame: &Frame| frame.advertises(SERVICE, lost.mac());
    holds_for(Duration::from_secs(1), "not put back, not advertised", || {
        !lost.host.has_service_address() && network.capture.since(withdrawn, claims_it).is_empty()
    });
    lost.host.set_service_address(true);
    lost.wait_for_state("standby");
    let report = probe.stop();
    figures::print("address deleted by hand", &report);
    assert!(report.gap() <= 3 * Duration::from_secs(1), "{report}");
    assert_stays_holder(successor, lost);
}

pub(crate) fn claim_9_lone_server_without_its_address_is_silent_until_it_is_back() {
    let network = Network::new(1);
    let server = Server::start_active(&network.hosts[0]);
    server.host.set_service_address(false);
    server.wait_for_state("withdrawn");
    let withdrawn = now();
    holds_for(Duration::from_secs(1), "nothing is advertised", || {
        let is_ours = |frame: &Frame| frame.is_advertisement_of(SERVICE) || frame.source == SERVICE;
        network.capture.since(withdrawn, is_ours).is_empty()
    });
    server.host.set_service_address(true);
    network.capture.wait_for(2 * SOON, "advertised again", withdrawn, |frame| {
        frame.advertises(SERVICE, server.mac())
    });
    server.wait_for_state("active");
    ask_once(&network.client).expect("the service is back");
}

pub(crate) fn an_address_set_by_hand_stays_and_one_left_by_a_crash_goes() {
    let network = Network::new(1);
    let host = &network.hosts[0];
    host.set_service_address(true);
    let mut server = Server::start_active(host);
    server.terminate();
    server.wait_for_exit(2 * SOON);
    assert!(host.has_service_address(), "set by hand, not taken off");

    host.set_service_address(false);
    let crashing = Server::start_active(host);
    crashing.kill_everything();
    assert!(host.has_service_address(), "nobody was left to take it off");
    let mut next = Server::start_active(host);
    next.terminate();
    next.wait_for_exit(2 * SOON);
    assert!(!host.has_service_address(), "left by a crash, taken off by the next end");
}

pub(crate) fn a_service_without_capabilities_is_refused_by_name() {
    let network = Network::new(1);
    let (code, said) = serve_without_capabilities(&network.hosts[0], &Setup::failover());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("NET_RAW") || said.contains("NET_ADMIN"),
        "the error names the capability: {said}"
    );
    assert!(!network.hosts[0].has_service_address());
}

/// `lost` says `why` it has withdrawn, and the other one answers.
#[track_caller]
fn wait_for_hand_over(lost: &Server<'_>, successor: &Server<'_>, probe: &Probe, why: &str) {
    lost.wait_for_state("withdrawn");
    assert!(lost.reason().contains(why), "the reason names it: {}", lost.reason());
    wait_for(SOON, "the other answers", || {
        probe.answering().as_ref() == Some(&successor.identity)
    });
}

#[track_caller]
fn assert_stays_holder(successor: &Server<'_>, returned: &Server<'_>) {
    assert!(
        successor.is_holder() && !returned.is_holder(),
        "who comes back does not displace the holder"
    );
}
