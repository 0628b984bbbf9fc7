//! Negative controls: what goes wrong with an unmodified FRR where our packets or the manual's settings are not as they should be.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use heraldns::advertiser::ospf::wire::lsa::MAX_AGE;
use heraldns::advertiser::ospf::wire::{ALL_SPF_ROUTERS, Content, Lsa, LsaType, OSPF, RouterId, SequenceNumber};

use super::{SOON, inject, lsas_of, next_hops, start_two_routers};
use crate::harness::capture::{Frame, Message};
use crate::harness::clock::{SetOnDrop, holds_for, let_pass, millis, now, wait_for};
use crate::harness::figures;
use crate::harness::injector::Injector;
use crate::harness::network::{Network, SERVICE};
use crate::harness::ospf::{LinkStateAdvertisement, Make, OspfRouter, Routing};
use crate::harness::route_monitor::RouteMonitor;
use crate::harness::router::Router;
use crate::harness::server::{Server, Setup, Speaker};

const INTRA_AREA_PREFIX: u16 = 0x2009;
const HELLO: u8 = 1;
/// Longer than routers refuse another instance (MinLSArrival).
const CALM: Duration = Duration::from_millis(1_200);

/// Two routers FRR on one link, the second one's zebra as Debian starts it.
pub(crate) fn control_frr_without_replaced_routes_and_without_the_nudge() {
    let (network, begin) = (Network::with_routers(2, 2), now());
    let [with, without] = [1, 2].map(Routing::on_the_link);
    let without = Routing {
        zebra_options: &[],
        ..without
    };
    let routers = start_two_routers(&network, [(Make::Frr, with), (Make::Frr, without)]);
    let setup = Setup {
        hold: "1s",
        ..Setup::ospf()
    };
    let servers = Server::start_on_all(&network, &setup);
    wait_for_gateways(&network, &servers);
    let_pass(CALM);
    without_replaced_routes(&network, &servers);
    let_pass(CALM);
    without_the_nudge(&network, &routers, &servers, begin);
}

/// A server withdraws and comes back: with the manual's option of zebra's the route is replaced both times, without it there is none
/// for a moment.
fn without_replaced_routes(network: &Network, servers: &[Server<'_>]) {
    let monitors = [0, 1].map(|router: usize| RouteMonitor::start(&network.routers[router].namespace));
    servers[1].host.set_service_address(false);
    wait_for_gateways(network, &servers[..1]);
    servers[1].host.set_service_address(true);
    wait_for_gateways(network, servers);
    let [with, without] = monitors.map(|monitor| monitor.changes_of(SERVICE));
    figures::print(
        "FRR, two changes of next hops, with --v6-rr-semantics and without",
        format_args!("{with:?}, {without:?}"),
    );
    assert!(with.set >= 2 && with.deleted == 0, "replaced: {with:?}");
    assert!(without.set >= 2 && without.deleted >= 2, "deleted each time: {without:?}");
}

/// Two servers say nothing any more, and in their names both prefixes are announced and one is withdrawn, all without a new
/// Router-LSA: both routers take the withdrawal and keep the next hop, until a Router-LSA comes.
fn without_the_nudge(network: &Network, routers: &[OspfRouter<'_>], servers: &[Server<'_>], begin: Instant) {
    for server in servers {
        server.host.set_service_address(false);
    }
    wait_for_gateways(network, &[]);
    let_pass(CALM);
    for server in servers {
        server.pids().freeze();
    }
    let [first, second] = [0, 1].map(|number: usize| Voice::new(network, &servers[number], begin));
    // Its neighbours must not miss a server before the end: after four seconds without a Hello they would.
    let silence = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| greet([&first, &second], &silence));
        let _ends_the_greeting = SetOnDrop(&silence);
        withdraw_unnoticed(network, routers, servers, [&first, &second]);
    });
}

fn withdraw_unnoticed(network: &Network, routers: &[OspfRouter<'_>], servers: &[Server<'_>], [first, second]: [&Voice<'_>; 2]) {
    let (announced, other) = (later(&first.prefix, 1), later(&second.prefix, 1));
    first.say(announced.clone());
    wait_for_gateways(network, &servers[..1]);
    second.say(other);
    wait_for_gateways(network, servers);
    let_pass(CALM);
    first.say(later(&announced, MAX_AGE));
    wait_for(SOON, "both routers have taken the withdrawal", || {
        let told = |lsa: &LinkStateAdvertisement| lsa.kind == INTRA_AREA_PREFIX;
        let is_taken = |router: &OspfRouter<'_>| !router.database_of(first.router_id()).iter().any(told);
        routers.iter().all(is_taken)
    });
    holds_for(Duration::from_millis(500), "the next hop to the withdrawn server stays", || {
        let both = |router: &Router| router.gateways() == next_hops(servers).into_iter().collect();
        network.routers.iter().all(both)
    });
    let nudged = now();
    first.say(first.nudge());
    wait_for_gateways(network, &servers[1..]);
    figures::print(
        "FRR, stale next hop: from the nudge to its end",
        format_args!("{:.0} ms", millis(nudged.elapsed())),
    );
}

#[track_caller]
fn wait_for_gateways(network: &Network, to: &[Server<'_>]) {
    for router in &network.routers {
        router.wait_for_gateways(SOON, next_hops(to));
    }
}

/// Says Hello in their names again and again, until there is to be silence.
fn greet(voices: [&Voice<'_>; 2], silence: &AtomicBool) {
    while !silence.load(Ordering::Relaxed) {
        voices.iter().for_each(|voice| voice.hello());
        let_pass(Duration::from_millis(500));
    }
}

/// Speaks in the name of a server with what that has last said.
struct Voice<'network> {
    server: &'network Server<'network>,
    hello: Vec<u8>,
    prefix: Lsa,
    router: Lsa,
}

impl<'network> Voice<'network> {
    fn new(network: &Network, server: &'network Server<'network>, since: Instant) -> Self {
        let said = network.capture.since(since, |frame| frame.port == server.host.port());
        let is_hello = |frame: &Frame| match &frame.message {
            Message::Ospf(octets) if octets[1] == HELLO => Some(octets.clone()),
            _ => None,
        };
        let own = RouterId(Speaker::plain().router_id(server.host).into());
        let newest = |kind| {
            let lsas = said.iter().flat_map(lsas_of);
            let own = lsas.filter(|lsa| lsa.header.key.kind == kind && lsa.header.key.router == own);
            own.max_by_key(|lsa| lsa.header.sequence.0).expect("it has said one")
        };
        Self {
            server,
            hello: said.iter().rev().find_map(is_hello).expect("it has said Hello"),
            prefix: newest(LsaType::INTRA_AREA_PREFIX),
            router: newest(LsaType::ROUTER),
        }
    }

    fn router_id(&self) -> Ipv4Addr {
        Speaker::plain().router_id(self.server.host)
    }

    fn hello(&self) {
        Injector::raw(&self.server.host.namespace, "eth0", OSPF).send_raw(ALL_SPF_ROUTERS, &self.hello);
    }

    fn say(&self, lsa: Lsa) {
        let host = self.server.host;
        inject(&host.namespace, "eth0", host.link_local(), self.router_id(), vec![lsa]);
    }

    /// Its Router-LSA with another metric of its link.
    fn nudge(&self) -> Lsa {
        let Ok(Content::Router(mut router)) = self.router.content() else {
            unreachable!("a Router-LSA of ours")
        };
        router.links[0].metric -= 1;
        Lsa::new(self.router.header.key, next(&self.router), 1, &Content::Router(router))
    }
}

fn later(lsa: &Lsa, age: u16) -> Lsa {
    lsa.again(next(lsa), age)
}

fn next(lsa: &Lsa) -> SequenceNumber {
    lsa.header.sequence.next().expect("one of the first numbers")
}
