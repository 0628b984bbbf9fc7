//! The cost follows the load (claims 11 to 14, 17): one of three servers is asked more than it can take by the clients of two
//! routers, FRR and BIRD, on the same link. It becomes busy, its flows go to the others; the load goes, and flows come back.
//!
//! Neighbor Discovery is advertised beside OSPFv3 and follows the same decision. One minute's rest and one of quiet are the product's own.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{SOON, next_hops, start_two_routers};
use crate::harness::capture::{Frame, Message};
use crate::harness::clock::{now, wait_for, wait_slowly};
use crate::harness::figures;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, Routing};
use crate::harness::probe::{Probe, Report};
use crate::harness::quiet;
use crate::harness::server::{Server, Setup};

const MAKES: [Make; 2] = [Make::Frr, Make::Bird];
/// Queries a second that the first server can take, as configured, and each of the others.
const CAPACITIES: [u32; 2] = [150, 2_000];
/// By each client: a third of both is twice what the first server can take.
const ASKED: u32 = 450;
/// By each client when the load is gone: a third of both is less than half of that.
const ASKED_LATER: u32 = 40;

pub(crate) fn claim_12_a_loaded_server_is_busy_and_comes_back_when_the_load_is_gone() {
    let network = Network::with_routers(2, 3);
    let routings = [1, 2].map(Routing::on_the_link);
    let [first, second] = routings;
    let _routers = start_two_routers(&network, [(MAKES[0], first), (MAKES[1], second)]);
    let servers: Vec<Server<'_>> = network.hosts.iter().map(|host| Server::start(host, &setup(host.number))).collect();
    let (weak, strong) = servers.split_first().expect("three servers");
    for router in &network.routers {
        router.wait_for_gateways(2 * SOON, next_hops(&servers));
    }
    wait_for(SOON, "both ways of advertising", || {
        ["nd", "ospf"].map(|protocol| weak.advertiser(protocol)["state"].clone()) == ["advertising"; 2]
    });

    let begin = now();
    overload(&network, weak, strong);
    let (quiet_since, said) = (now(), messages(weak));
    let probes = ask(&network, ASKED_LATER);
    quiet::without_share(|| wait_slowly(Duration::from_secs(180), "it is normal again", || class(weak) == "normal"));
    figures::print("normal after", format_args!("{:.1} s", quiet_since.elapsed().as_secs_f64()));
    assert!(
        quiet_since.elapsed() >= Duration::from_secs(60),
        "it must have been quiet for a minute"
    );
    // Each 300 ms, and hardly ever sooner: servers that all have a route contradict nobody.
    let rate = (messages(weak) - said) / quiet_since.elapsed().as_secs_f64();
    assert!(rate < 5.0, "{rate:.1} peer messages a second");
    for router in &network.routers {
        router.wait_for_gateways(SOON, next_hops(&servers));
    }
    let back = now();
    for_every_port(&probes);
    for (make, report) in stop(probes) {
        let answered = report.answered_since(back);
        assert_eq!(answered.len(), 3, "{make}: its flows are back: {answered:?}");
        assert_eq!(report.lost(), 0, "{make}: {report}");
    }

    assert_eq!(
        steps_for_load(weak),
        [("normal", "busy"), ("busy", "normal")].map(owned),
        "once each"
    );
    assert_eq!(told_classes(&network, weak, begin), [0, 1, 0], "the same by Neighbor Discovery");
    for server in strong {
        assert!(steps_for_load(server).is_empty(), "{} has nothing to do", server.identity);
        assert_eq!(told_classes(&network, server, begin), [0]);
    }
}

fn setup(number: usize) -> Setup {
    Setup {
        neighbor_discovery: true,
        mode: "member",
        capacity: CAPACITIES[usize::from(number > 1)],
        ..Setup::ospf()
    }
}

/// More than `weak` can take, until it gets no query any more.
fn overload(network: &Network, weak: &Server<'_>, strong: &[Server<'_>]) {
    let (probes, begin) = (ask(network, ASKED), now());
    // Smoothed over ten seconds 2.0 is above 0.85 after 6; that is believed after 10, and 2.5 more at the most.
    wait_slowly(Duration::from_secs(45), "it is busy", || class(weak) == "busy");
    figures::print("busy after", format_args!("{:.1} s", begin.elapsed().as_secs_f64()));
    for router in &network.routers {
        router.wait_for_gateways(SOON, next_hops(strong));
    }
    let told = |other: &Server<'_>| {
        let peers = other.status().unwrap_or_default()["peers"].clone();
        let mut peers = peers.as_array().into_iter().flatten();
        peers.any(|peer| peer["identity"] == *weak.identity && peer["class"] == "busy" && peer["load"].as_f64() >= Some(0.8))
    };
    wait_for(SOON, "the others know", || strong.iter().all(told));
    assert_eq!(weak.advertiser("ospf")["cost"], 20, "the route costs 10 more");
    assert!(strong.iter().all(|other| class(other) == "normal"));
    let forecast = &steps(weak)[0]["seen"]["forecast: others, if this one leaves"];
    let forecast: f64 = forecast.as_str().and_then(|load| load.parse().ok()).expect("it is told");
    let share = f64::from(ASKED) / f64::from(CAPACITIES[1]);
    assert!(
        forecast > 0.7 * share && forecast < 1.1 * share,
        "half of all, as far as it is smoothed: {forecast} of {share}"
    );

    let moved = now();
    for_every_port(&probes);
    for (make, report) in stop(probes) {
        figures::print(&format!("{make}: overload"), &report);
        let before = report.shares()[&weak.identity];
        assert!(before > 5.0, "{make}: it had a part: {report}");
        let answered = report.answered_since(moved);
        assert!(
            answered.len() == 2 && !answered.contains_key(weak.identity.as_str()),
            "{make}: its flows are elsewhere: {answered:?}"
        );
        assert_eq!(
            (report.lost(), report.duplicates(), report.unexpected()),
            (0, 0, 0),
            "{make}: {report}"
        );
    }
}

/// A client of each router.
fn ask(network: &Network, per_second: u32) -> [Probe; 2] {
    [1, 2].map(|router| Probe::through_router(&network.client, router, per_second))
}

/// Waits until each port of the probes has been answered once more.
fn for_every_port(probes: &[Probe; 2]) {
    probes.iter().for_each(|probe| probe.wait_for_every_port(SOON));
}

fn stop(probes: [Probe; 2]) -> impl Iterator<Item = (Make, Report)> {
    MAKES.into_iter().zip(probes).map(|(make, probe)| (make, probe.stop()))
}

fn class(server: &Server<'_>) -> String {
    let status = server.status().unwrap_or_default();
    status["class"].as_str().unwrap_or_default().to_owned()
}

/// Peer messages that it has sent.
fn messages(server: &Server<'_>) -> f64 {
    let status = server.status().expect("it answers");
    status["peer_messages"]["sent"].as_f64().expect("a number")
}

/// The decisions that changed the class, and not for a change of the state.
fn steps(server: &Server<'_>) -> Vec<Value> {
    let is_for_load = |decision: &Value| decision["class_from"] != decision["class_to"] && decision["from"] == decision["to"];
    server.decisions().into_iter().filter(is_for_load).collect()
}

fn steps_for_load(server: &Server<'_>) -> Vec<(String, String)> {
    let class = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let step = |decision: &Value| (class(&decision["class_from"]), class(&decision["class_to"]));
    steps(server).iter().map(step).collect()
}

fn owned((from, to): (&str, &str)) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

/// The classes in option 253 of its advertisements since `since`, each once until the next one.
fn told_classes(network: &Network, server: &Server<'_>, since: Instant) -> Vec<u8> {
    let frames = network.capture.since(since, |frame| frame.port == server.host.port());
    let mut classes: Vec<u8> = frames.iter().filter_map(told_class).collect();
    classes.dedup();
    classes
}

/// After `HD`, the version and the state.
fn told_class(frame: &Frame) -> Option<u8> {
    let Message::Advertisement { herald: Some(body), .. } = &frame.message else {
        return None;
    };
    body.get(4).copied()
}
