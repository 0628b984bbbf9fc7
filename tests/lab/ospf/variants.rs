//! What else can be configured: other LSAs, other links and areas; and what does not fit is said.

use std::time::Duration;

use super::{SOON, start_router};
use crate::harness::clock::wait_for;
use crate::harness::network::Network;
use crate::harness::ospf::{AreaType, Make, NetworkType, OspfRouter, Routing};
use crate::harness::probe::ask_once;
use crate::harness::server::{Server, Setup, Speaker};

pub(crate) fn claim_10_frr_external_nssa_and_point_to_point() {
    variants(Make::Frr);
}

pub(crate) fn claim_10_bird_external_nssa_and_point_to_point() {
    variants(Make::Bird);
}

const AS_EXTERNAL: u16 = 0x4005;
const NSSA: u16 = 0x2007;
const INTRA_AREA_PREFIX: u16 = 0x2009;

fn variants(make: Make) {
    externals(make);
    let nssa = Routing::on_the_link(1).with_link(|link| (link.area, link.area_type) = (1, AreaType::Nssa));
    let setup = Setup::ospf().with_speaker(|speaker| {
        (speaker.area, speaker.area_type, speaker.lsa) = ("0.0.0.1", "nssa", "nssa");
    });
    one_server(make, &nssa, &setup, NSSA);
    let pair = Routing::on_the_link(1).with_link(|link| (link.network, link.instance_id) = (NetworkType::PointToPoint, 9));
    let setup = Setup::ospf().with_speaker(|speaker| (speaker.network, speaker.instance_id) = ("point-to-point", 9));
    one_server(make, &pair, &setup, INTRA_AREA_PREFIX);
}

/// Two AS-External-LSAs: metric type 1 is preferred, type 2 is what remains.
fn externals(make: Make) {
    let network = Network::new(2);
    let router = start_router(make, &network, &Routing::on_the_link(1));
    let setup = |lsa| Setup::ospf().with_speaker(|speaker| speaker.lsa = lsa);
    let second = Server::start(&network.hosts[1], &setup("e2"));
    network.router().wait_for_gateways(SOON, [second.link_local()]);
    let mut first = Server::start(&network.hosts[0], &setup("e1"));
    network.router().wait_for_gateways(SOON, [first.link_local()]);
    for server in [&first, &second] {
        assert_tells(&router, server, AS_EXTERNAL);
    }
    ask_once(&network.client).expect("the service is there");
    first.terminate();
    network.router().wait_for_gateways(SOON, [second.link_local()]);
    first.wait_for_exit(SOON);
}

fn one_server(make: Make, routing: &Routing, setup: &Setup, kind: u16) {
    let network = Network::new(1);
    let router = match routing.links[0].network {
        NetworkType::Broadcast => start_router(make, &network, routing),
        NetworkType::PointToPoint => OspfRouter::start(make, &network.router().namespace, routing),
    };
    let mut server = Server::start(&network.hosts[0], setup);
    network.router().wait_for_gateways(SOON, [server.link_local()]);
    assert_tells(&router, &server, kind);
    ask_once(&network.client).expect("the service is there");
    server.terminate();
    network.router().wait_for_gateways(SOON, []);
    server.wait_for_exit(SOON);
}

#[track_caller]
fn assert_tells(router: &OspfRouter<'_>, server: &Server<'_>, kind: u16) {
    let told = router.database_of(Speaker::plain().router_id(server.host));
    assert!(
        told.iter().any(|lsa| lsa.kind == kind),
        "no LSA {kind:04x} of {}: {told:?}",
        server.identity
    );
}

/// What is configured otherwise than on the router.
type Change = fn(&mut Speaker);

/// Servers that do not fit their router, each in another way; the router drops what they say without a word.
pub(crate) fn ospf_what_does_not_fit_is_said() {
    let network = Network::new(4);
    let router = start_router(Make::Frr, &network, &Routing::on_the_link(1));
    network.hosts[3].namespace.run("ip", &["link", "set", "eth0", "mtu", "1400"]);
    let misfits: [(Change, &str); 4] = [
        (|speaker| (speaker.hello, speaker.dead) = ("2s", "8s"), "hello"),
        (|speaker| speaker.area = "0.0.0.5", "area"),
        (|speaker| (speaker.area, speaker.area_type) = ("0.0.0.0", "normal"), ""),
        (|_| (), "MTU"),
    ];
    let servers: Vec<(Server<'_>, &str)> = network
        .hosts
        .iter()
        .zip(misfits)
        .map(|(host, (change, word))| (Server::start(host, &Setup::ospf().with_speaker(change)), word))
        .collect();
    for (server, word) in servers.iter().filter(|(_, word)| !word.is_empty()) {
        wait_for(2 * SOON, &format!("{} says what does not fit: {word}", server.identity), || {
            server.log().contains(word)
                && server.advertiser("ospf")["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.contains(word))
        });
    }
    let fits = &servers[2].0;
    router.wait_for_full(Speaker::plain().router_id(fits.host), SOON);
    network
        .router()
        .wait_for_gateways(SOON + Duration::from_secs(1), [fits.link_local()]);
}
