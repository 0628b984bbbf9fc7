//! The authentication trailer (RFC 7166) with unmodified routers, in a stub area: the right key, a wrong one, and packets that
//! are sent a second time.

use std::time::Duration;

use heraldns::advertiser::ospf::wire::{ALL_SPF_ROUTERS, OSPF};

use super::{SOON, start_router};
use crate::harness::capture::{Frame, Message};
use crate::harness::clock::{now, wait_for};
use crate::harness::injector::Injector;
use crate::harness::network::Network;
use crate::harness::ospf::{AreaType, Authentication, Make, Routing};
use crate::harness::probe::ask_once;
use crate::harness::quiet;
use crate::harness::server::{Server, Setup, Speaker};

const KEY_ID: u16 = 7;
const SECRET: &str = "shared-with-the-router";

pub(crate) fn claim_10_frr_authentication_in_a_stub_area() {
    authentication(Make::Frr);
}

pub(crate) fn claim_10_bird_authentication_in_a_stub_area() {
    authentication(Make::Bird);
}

fn authentication(make: Make) {
    let network = Network::new(2);
    let routing = Routing::on_the_link(1).with_link(|link| {
        link.area = 1;
        link.area_type = AreaType::Stub;
        link.authentication = Some(Authentication {
            key_id: KEY_ID,
            secret: SECRET,
        });
    });
    let router = start_router(make, &network, &routing);
    let setup = |secret| {
        Setup::ospf().with_speaker(|speaker| {
            (speaker.area, speaker.area_type) = ("0.0.0.1", "stub");
            speaker.authentication = Some((KEY_ID, secret));
        })
    };
    let right = Server::start(&network.hosts[0], &setup(SECRET));
    router.wait_for_full(Speaker::plain().router_id(right.host), SOON);
    network.router().wait_for_gateways(SOON, [right.link_local()]);
    ask_once(&network.client).expect("the service is there");

    let wrong = Server::start(&network.hosts[1], &setup("not-shared-with-it"));
    wait_for(SOON, "the wrong key is said in the log, and in status", || {
        wrong.log().contains("wrong digest") && wrong.advertiser("ospf")["detail"].to_string().contains("digest")
    });
    assert!(!router.is_full_with(Speaker::plain().router_id(wrong.host)));

    // Every packet of the router of the last seconds once more, in its order and from its address.
    let since = now();
    quiet::rest(Duration::from_secs(3));
    let router_port = |frame: &Frame| frame.port == "r1" && frame.destination == ALL_SPF_ROUTERS;
    let recorded = network
        .capture
        .since(since, |frame| router_port(frame) && matches!(frame.message, Message::Ospf(_)));
    assert!(recorded.len() >= 2, "a Hello a second: {recorded:?}");
    let replayed = || {
        let dropped = &right.advertiser("ospf")["dropped"];
        dropped["replayed"].as_u64().unwrap_or_default()
    };
    let before = replayed();
    let injector = Injector::raw(&network.router().namespace, "lan0", OSPF);
    for frame in &recorded {
        let Message::Ospf(octets) = &frame.message else { continue };
        injector.send_raw(ALL_SPF_ROUTERS, octets);
    }
    wait_for(SOON, "replayed packets are counted", || {
        replayed() >= before + recorded.len() as u64
    });
    assert!(router.is_full_with(Speaker::plain().router_id(right.host)));
    network.router().wait_for_gateways(SOON, [right.link_local()]);
}
