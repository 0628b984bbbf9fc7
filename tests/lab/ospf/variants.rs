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

fn variants(make: Make) {
    let plain = Routing::on_the_link(1);
    let nssa = plain.clone().with_link(|link| (link.area, link.area_type) = (1, AreaType::Nssa));
    let pair = plain.clone().with_link(|link| {
        link.network = NetworkType::PointToPoint;
        link.instance_id = 9;
    });
    for (what, routing, speaker, kind) in [
        (
            "e1",
            &plain,
            Speaker {
                lsa: "e1",
                ..Speaker::plain()
            },
            0x4005,
        ),
        (
            "e2",
            &plain,
            Speaker {
                lsa: "e2",
                ..Speaker::plain()
            },
            0x4005,
        ),
        (
            "nssa",
            &nssa,
            Speaker {
                lsa: "nssa",
                area: "0.0.0.1",
                area_type: "nssa",
                ..Speaker::plain()
            },
            0x2007,
        ),
        (
            "point-to-point",
            &pair,
            Speaker {
                network: "point-to-point",
                instance_id: 9,
                ..Speaker::plain()
            },
            0x2009,
        ),
    ] {
        let network = Network::new(1);
        let router = if what == "point-to-point" {
            OspfRouter::start(make, &network.router().namespace, routing)
        } else {
            start_router(make, &network, routing)
        };
        let setup = Setup {
            ospf: Some(speaker),
            ..Setup::ospf()
        };
        let mut server = Server::start(&network.hosts[0], &setup);
        let own = Speaker::plain().router_id(server.host);
        router.wait_for_full(own, SOON);
        network.router().wait_for_gateways(SOON, [server.link_local()]);
        assert!(
            router.database_of(own).iter().any(|lsa| lsa.kind == kind),
            "{what}: {:?}",
            router.database_of(own)
        );
        ask_once(&network.client).expect("the service is there");
        server.terminate();
        network.router().wait_for_gateways(SOON, []);
        server.wait_for_exit(SOON);
    }
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
