//! The lab's instruments measure what they say, on the plain kernel and without heraldns.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use heraldns::base::address::{ALL_NODES, solicited_node};

use crate::harness::capture::Message;
use crate::harness::clock::{SetOnDrop, now, wait_for};
use crate::harness::figures;
use crate::harness::injector::{Injector, advertisement};
use crate::harness::network::{Network, SERVICE, client_address};
use crate::harness::probe::Probe;

const SOON: Duration = Duration::from_secs(3);
/// Queries that the responder leaves unanswered, one after the other.
const UNANSWERED: usize = 200;
/// A port of the probe asks once in so long, at a thousand queries a second.
const ROUND: Duration = Duration::from_millis(64);
/// What is between a measurement and what it is compared with.
const SLACK: Duration = Duration::from_millis(60);

pub(crate) fn instruments_see_kernel_neighbor_discovery() {
    let network = Network::new(1);
    let host = &network.hosts[0];
    host.namespace.run("ip", &["address", "add", "2001:db8:5::53/64", "dev", "eth0"]);
    wait_for(SOON, "the switch hears of the group", || {
        network.switch.members(solicited_node(SERVICE)) == ["h1"]
    });
    let begin = now();
    network.client.enter(|| {
        UdpSocket::bind((client_address(1), 0))
            .unwrap()
            .send_to(b"?", (SERVICE, 9))
            .unwrap()
    });

    let asked = network
        .capture
        .wait_for(SOON, "the router's solicitation", begin, |frame| frame.solicits(SERVICE));
    assert_eq!(
        (asked.port.as_str(), asked.from, asked.hop_limit),
        ("r1", network.router().mac, 255)
    );
    assert_eq!(
        asked.message,
        Message::Solicitation {
            target: SERVICE,
            source_mac: Some(network.router().mac)
        }
    );
    let told = network
        .capture
        .wait_for(SOON, "the host's advertisement", begin, |frame| frame.advertises(SERVICE, host.mac));
    assert_eq!((told.port.as_str(), told.source, told.to), ("h1", SERVICE, network.router().mac));
    wait_for(SOON, "the router has the host's address", || {
        network.router().next_hop() == Some(host.mac)
    });
    assert_eq!(
        network.capture.since(begin, |frame| frame.is_advertisement_of(SERVICE)).len(),
        1,
        "each frame is seen once"
    );
}

pub(crate) fn instruments_move_a_routers_entry() {
    let network = Network::new(2);
    let [one, two] = &network.hosts[..] else {
        unreachable!("two hosts were asked for")
    };
    let (router, injector) = (network.router(), Injector::new(&two.namespace, "eth0"));
    router.set_entry(one.mac, "reachable");
    assert_eq!(router.next_hop(), Some(one.mac));

    let begin = now();
    injector.send_icmp(ALL_NODES, &advertisement(SERVICE, two.mac));
    let frame = network
        .capture
        .wait_for(SOON, "the advertisement", begin, |frame| frame.advertises(SERVICE, two.mac));
    assert_eq!(
        (frame.port.as_str(), frame.source, frame.destination),
        ("h2", two.link_local(), ALL_NODES)
    );
    wait_for(SOON, "the advertisement moves the entry", || router.next_hop() == Some(two.mac));

    router.drop_unsolicited(true);
    injector.send_icmp(ALL_NODES, &advertisement(SERVICE, one.mac));
    let ignored = network
        .capture
        .wait_for(SOON, "the advertisement", begin, |frame| frame.advertises(SERVICE, one.mac));
    assert_eq!(ignored.port, "h2");
    assert_eq!(router.next_hop(), Some(two.mac), "drop_unsolicited_na drops it");

    router.fail_entry();
    let failed = router.entry().unwrap();
    assert_eq!((failed.state.as_str(), failed.mac), ("FAILED", None));
    router.delete_entry();
    assert_eq!(router.entry(), None);
}

pub(crate) fn instruments_count_losses_duplicates_and_shares() {
    let network = Network::new(1);
    network.hosts[0].set_service_address(true);
    network.router().set_entry(network.hosts[0].mac, "permanent");
    let (stop, mute) = (AtomicBool::new(false), AtomicUsize::new(0));
    let socket = network.hosts[0].namespace.enter(responder_socket);
    let (report, muted) = std::thread::scope(|scope| {
        scope.spawn(|| respond(&socket, &stop, &mute));
        let _stops_the_responder = SetOnDrop(&stop);
        let probe = Probe::start(&network.client, 1_000);
        probe.wait_for_answered(300, SOON);
        mute.store(UNANSWERED, Ordering::Relaxed);
        let muted = wait_for(SOON, "all of them have come", || mute.load(Ordering::Relaxed) == 0);
        probe.wait_for_answered(500, SOON);
        assert_eq!(probe.busiest().as_deref(), Some("often"));
        (probe.stop(), muted)
    });
    figures::print("calibration", format_args!("mute for {muted:.1?}: {report}"));
    assert_eq!(report.lost(), UNANSWERED);
    // A port is asked up to a round before and after the silence. As long as nothing holds this machine up, all of it takes 0.2 s.
    assert!((muted - SLACK..=muted + SLACK).contains(&report.silence()), "{report}");
    assert!((muted - SLACK..=muted + 2 * ROUND + SLACK).contains(&report.gap()), "{report}");
    assert_eq!(report.unexpected(), 0);
    let shares = report.shares();
    assert!(
        (shares["often"] - 60.0).abs() < 2.0 && (shares["seldom"] - 40.0).abs() < 2.0,
        "{shares:?}"
    );
    let answered = report.sent() - report.lost();
    assert!(
        report.duplicates().abs_diff(answered / 2) <= 10,
        "every second group of five was answered twice: {report}"
    );
}

pub(crate) fn instruments_make_a_switch_forget() {
    let network = Network::new(2);
    let (begin, mac) = (now(), network.hosts[1].mac);
    Injector::new(&network.hosts[1].namespace, "eth0").send_icmp(ALL_NODES, &advertisement(SERVICE, mac));
    network
        .capture
        .wait_for(SOON, "the advertisement", begin, |frame| frame.advertises(SERVICE, mac));
    assert!(network.switch.has_station(mac));
    network.switch.set_flooding(false);
    // A host says of itself what it likes, when it likes; then it is known again.
    wait_for(SOON, "the station is forgotten", || {
        network.switch.forget_stations();
        !network.switch.has_station(mac)
    });
}

/// Answers three of five queries as `often` and two as `seldom`, every second group of five twice, and the next `mute` not at all.
fn respond(socket: &UdpSocket, stop: &AtomicBool, mute: &AtomicUsize) {
    let mut buffer = [0; 512];
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let less = |left: usize| left.checked_sub(1);
        if mute.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            continue;
        }
        let identity = if number % 5 < 3 { "often" } else { "seldom" };
        let answer = answer(&buffer[..length], identity);
        for _ in 0..1 + (number / 5) % 2 {
            socket.send_to(&answer, client).unwrap();
        }
        number += 1;
    }
}

fn responder_socket() -> UdpSocket {
    let socket = UdpSocket::bind((SERVICE, 53)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

fn answer(query: &[u8], identity: &str) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x84;
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0, 0, identity.len() as u8 + 1, identity.len() as u8]);
    answer.extend(identity.as_bytes());
    answer
}
