//! What an earlier life, another machine, or an attacker left in the router's database under our router ID.

use std::net::Ipv4Addr;

use heraldns::advertiser::ospf::wire::lsa::Router;
use heraldns::advertiser::ospf::wire::{Content, Lsa, LsaHeader, LsaKey, LsaType, Options, RouterId, SequenceNumber};

use super::{SOON, inject, lsas_of, start_router};
use crate::harness::capture::Frame;
use crate::harness::clock::{millis, now, wait_for};
use crate::harness::figures;
use crate::harness::host::link_local;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, OspfRouter, Routing};
use crate::harness::probe::ask_once;
use crate::harness::server::{Server, Setup, Speaker};

const ROUTER_LSA: u16 = 0x2001;
const INITIAL: u32 = 0x8000_0001;

pub(crate) fn claim_10_frr_old_lsas_and_doubled_router_ids() {
    old_lsas(Make::Frr);
}

pub(crate) fn claim_10_bird_old_lsas_and_doubled_router_ids() {
    old_lsas(Make::Bird);
}

fn old_lsas(make: Make) {
    let network = Network::new(2);
    let router = start_router(make, &network, &Routing::on_the_link(1));
    let mut server = Server::start(&network.hosts[0], &Setup::ospf());
    let own = Speaker::plain().router_id(server.host);
    network.router().wait_for_gateways(SOON, [server.link_local()]);

    // A restart with the LSAs of the life before in the router's database.
    let before = sequence(&router, own);
    server.kill_everything();
    server.run_again();
    let begin = now();
    wait_for(SOON, "a newer Router-LSA, and full", || {
        sequence(&router, own) > before && router.is_full_with(own)
    });
    network.router().wait_for_gateways(SOON, [server.link_local()]);
    figures::print(
        &format!("{make}: killed and started again, route right"),
        format_args!("{:.0} ms", millis(begin.elapsed())),
    );
    ask_once(&network.client).expect("the service is back");

    // Somebody says, as if it were the router, that our Router-LSA has the last sequence number there is.
    let begin = now();
    let (namespace, source) = (&network.router().namespace, link_local(network.router().mac));
    inject(
        namespace,
        "lan0",
        source,
        router.router_id,
        vec![router_lsa(own, SequenceNumber::MAX)],
    );
    let told = |since, what, wanted: fn(&LsaHeader) -> bool| {
        let is_wanted = |lsa: &Lsa| lsa.header.key.kind == LsaType::ROUTER && wanted(&lsa.header);
        let tells = |frame: &Frame| frame.port == server.host.port() && lsas_of(frame).iter().any(is_wanted);
        network.capture.wait_for(SOON, what, since, tells)
    };
    let flushed = told(begin, "the last number there is, flushed", |lsa| {
        lsa.sequence == SequenceNumber::MAX && lsa.is_max_age()
    });
    let anew = told(flushed.at, "begun anew", |lsa| {
        lsa.sequence == SequenceNumber::INITIAL && !lsa.is_max_age()
    });
    wait_for(SOON, "and so in the router's database", || {
        (INITIAL..INITIAL + 8).contains(&sequence(&router, own))
    });
    network.router().wait_for_gateways(SOON, [server.link_local()]);
    figures::print(
        &format!("{make}: last sequence number, begun anew"),
        format_args!("{:.0} ms", millis(anew.at - begin)),
    );
    ask_once(&network.client).expect("the service is there");

    // A second server with the same router ID.
    let twin = Server::start(
        &network.hosts[1],
        &Setup::ospf().with_speaker(|speaker| speaker.router_id = Some(own)),
    );
    wait_for(SOON, "a log names the doubled router ID, and the status beside it", || {
        let names = |server: &&Server<'_>| {
            let logged = server.log().contains(&format!("router ID {own}"));
            logged && server.advertiser("ospf")["detail"].to_string().contains("router ID")
        };
        [&server, &twin].iter().any(names)
    });
    drop(twin);
}

/// Sequence number of `own`'s Router-LSA in the router's database; 0 if there is none.
fn sequence(router: &OspfRouter<'_>, own: Ipv4Addr) -> u32 {
    let database = router.database_of(own);
    database.iter().find(|lsa| lsa.kind == ROUTER_LSA).map_or(0, |lsa| lsa.sequence)
}

/// `own`'s Router-LSA without a link.
fn router_lsa(own: Ipv4Addr, sequence: SequenceNumber) -> Lsa {
    let key = LsaKey {
        kind: LsaType::ROUTER,
        id: 0,
        router: RouterId(own.into()),
    };
    let content = Content::Router(Router {
        flags: 0,
        options: Options::default(),
        links: Vec::new(),
    });
    Lsa::new(key, sequence, 1, &content)
}
