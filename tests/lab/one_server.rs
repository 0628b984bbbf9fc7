//! One server behind a stock router: it advertises, the router believes it, queries arrive (claims 1, 2, 4 and 18).

use std::net::UdpSocket;
use std::time::Duration;

use heraldns::base::address::{ALL_NODES, LinkLayerAddress, ServiceAddress, solicited_node};
use heraldns::io::interface::AddressHolder;

use crate::harness::capture::{Flags, Message};
use crate::harness::clock::{holds_for, millis, now, wait_for};
use crate::harness::figures;
use crate::harness::injector::Injector;
use crate::harness::network::{Network, SERVICE};
use crate::harness::probe::ask_once;
use crate::harness::server::{Server, Setup};

const SOON: Duration = Duration::from_secs(3);
const UNSOLICITED: Flags = Flags {
    router: false,
    solicited: false,
    override_entry: true,
};

pub(crate) fn claim_1_4_18_one_server_router_learns_its_mac() {
    let network = Network::new(1);
    let (router, begin) = (network.router(), now());
    let server = Server::start_active(&network.hosts[0]);

    let frame = network.capture.wait_for(SOON, "an advertisement to all nodes", begin, |frame| {
        frame.advertises(SERVICE, server.mac()) && frame.destination == ALL_NODES
    });
    assert_eq!(
        (frame.port.as_str(), frame.from, frame.to),
        ("h1", server.mac(), LinkLayerAddress::of_group(ALL_NODES))
    );
    assert_eq!((frame.source, frame.hop_limit), (server.host.link_local(), 255));
    let Message::Advertisement { flags, herald, .. } = &frame.message else {
        unreachable!("it advertises")
    };
    assert_eq!(*flags, UNSOLICITED);
    assert!(
        herald.as_ref().is_some_and(|body| body.starts_with(b"HD")),
        "option 253: {herald:?}"
    );
    wait_for(SOON, "the switch hears a report for the group", || {
        network.switch.members(solicited_node(SERVICE)) == ["h1"]
    });

    assert_eq!(dig(&network, &[]), "2001:db8::80");
    assert_eq!(dig(&network, &["+tcp"]), "2001:db8::80");
    assert_eq!(router.next_hop(), Some(server.mac()), "`ip -6 neigh` of the router");

    router.set_entry(LinkLayerAddress([2, 0, 0, 0, 9, 9]), "reachable");
    wait_for(SOON, "an unsolicited advertisement moves a reachable entry", || {
        router.next_hop() == Some(server.mac())
    });
    assert_eq!(dig(&network, &[]), "2001:db8::80");
}

pub(crate) fn claim_2_a_solicitation_is_answered() {
    let network = Network::new(2);
    let server = Server::start_active(&network.hosts[0]);

    let asker = Injector::new(&network.router().namespace, "lan0");
    for source_mac in [Some(network.router().mac), None] {
        let (asked, answer) = network.solicit(&asker, source_mac);
        figures::print("solicitation answered", format_args!("{:.1} ms", millis(answer.at - asked.at)));
        assert!(answer.at - asked.at <= Duration::from_millis(3 * 50));
        let Message::Advertisement { flags, target_mac, .. } = answer.message else {
            unreachable!("it is an answer")
        };
        assert_eq!(
            (flags.solicited, flags.override_entry, target_mac),
            (true, false, Some(server.mac()))
        );
        holds_for(Duration::from_millis(120), "one answer per solicitation", || {
            network.capture.since(asked.at, |frame| frame.answers(&asked)).len() == 1
        });
    }
}

pub(crate) fn claim_2_solicited_start_is_silent_until_asked() {
    let network = Network::new(1);
    let begin = now();
    let setup = Setup {
        start: "solicited",
        ..Setup::failover()
    };
    let server = Server::start(&network.hosts[0], &setup);
    server.wait_for_state("standby");
    holds_for(Duration::from_secs(2), "silent until the first solicitation", || {
        network.capture.since(begin, |frame| frame.concerns(SERVICE)).is_empty()
    });

    let (identity, attempt) = ask_once(&network.client).expect("the router's solicitation starts the advertising");
    assert_eq!((identity.as_str(), attempt), ("s1", 1));
    let asked = network
        .capture
        .wait_for(SOON, "the router's solicitation", begin, |frame| frame.solicits(SERVICE));
    network
        .capture
        .wait_for(SOON, "unsolicited advertisements afterwards", asked.at, |frame| {
            frame.advertises(SERVICE, server.mac()) && frame.destination == ALL_NODES
        });
    server.wait_for_state("active");
}

/// The first self-probe would be dropped otherwise, and the server healthy a quarter of a second later.
pub(crate) fn claim_1_a_new_service_address_works_at_once() {
    let network = Network::new(1);
    let address = ServiceAddress::new(SERVICE).expect("the lab's address is one");
    network.hosts[0].namespace.enter(|| {
        for round in 0..30 {
            let holder = AddressHolder::place(&[address]).expect("the lab is root");
            let socket = UdpSocket::bind((SERVICE, 0)).expect("the address is there");
            socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
            let own = socket.local_addr().expect("it is bound");
            socket.send_to(b"round", own).expect("it is sent");
            let received = socket.recv_from(&mut [0; 5]);
            assert!(received.is_ok(), "round {round}: {received:?}");
            holder.remove().expect("what was placed is removed");
        }
    });
}

/// Asks for the AAAA record of `www.example.com` at the service address with the real tool; one try of two seconds.
fn dig(network: &Network, options: &[&str]) -> String {
    let service = format!("@{SERVICE}");
    let mut arguments = vec![service.as_str(), "www.example.com", "AAAA", "+short", "+tries=1", "+time=2"];
    arguments.extend(options);
    network.client.run("dig", &arguments).trim().to_owned()
}
