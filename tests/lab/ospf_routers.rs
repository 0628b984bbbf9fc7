//! The OSPFv3 routers of the lab by themselves: FRR and BIRD as neighbours of each other, without heraldns.
//!
//! They prove the instruments, and they are the source of the packets in `tests/data/ospf`: those are recorded by
//! `LAB_RECORD=tests/data/ospf cargo test --test lab record`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::capture::{Frame, Message};
use crate::harness::clock::{millis, now, wait_for};
use crate::harness::command::run;
use crate::harness::figures;
use crate::harness::host::link_local;
use crate::harness::network::Network;
use crate::harness::ospf::{AreaType, Authentication, External, Link, Make, NetworkType, OspfRouter, Routing};

/// Both routers wait a dead interval before they elect, then exchange databases.
const FULL: Duration = Duration::from_secs(20);
const MAX_AGE: u16 = 3_600;

const ROUTER: u16 = 0x2001;
const NETWORK: u16 = 0x2002;
const INTER_AREA_PREFIX: u16 = 0x2003;
const INTER_AREA_ROUTER: u16 = 0x2004;
const AS_EXTERNAL: u16 = 0x4005;
const NSSA: u16 = 0x2007;
const LINK: u16 = 0x0008;
const INTRA_AREA_PREFIX: u16 = 0x2009;

pub(crate) fn ospf_routers_are_neighbors_of_each_other() {
    let network = Network::with_routers(2, 0);
    let begin = now();
    let routing = |number| with_external(Routing::on_the_link(number), external_of(number), 1);
    let frr = OspfRouter::start(Make::Frr, &network.routers[0].namespace, &routing(1));
    let mut bird = OspfRouter::start(Make::Bird, &network.routers[1].namespace, &routing(2));
    frr.wait_for_full(bird.router_id, FULL);
    bird.wait_for_full(frr.router_id, FULL);
    figures::print("FRR and BIRD full", format_args!("{:.0} ms", millis(begin.elapsed())));

    for (router, other) in [(0, 1), (1, 0)] {
        let (there, expected) = (external_of(other as u8 + 1), link_local(network.routers[other].mac));
        wait_for(FULL, "the neighbour's prefix is in the kernel, by its link-local address", || {
            network.routers[router].gateways_to(there) == BTreeSet::from([expected])
        });
    }
    for router in [&frr, &bird] {
        let kinds: BTreeSet<u16> = router.database().into_iter().map(|lsa| lsa.kind).collect();
        assert!(
            kinds.is_superset(&BTreeSet::from([ROUTER, NETWORK, LINK, AS_EXTERNAL])),
            "{kinds:04x?}"
        );
        assert!(!router.database_of(frr.router_id).is_empty() && !router.database_of(bird.router_id).is_empty());
    }

    bird.kill();
    let killed = now();
    wait_for(FULL, "a killed router's routes go", || {
        network.routers[0].gateways_to(external_of(2)).is_empty()
    });
    figures::print(
        "BIRD killed, route gone from FRR",
        format_args!("{:.0} ms", millis(killed.elapsed())),
    );
    assert!(!frr.is_full_with(bird.router_id));
}

/// Records the packets of every scenario into `folder`.
pub(crate) fn record(folder: &Path) {
    for makes in [[Make::Frr, Make::Bird], [Make::Frr, Make::Frr], [Make::Bird, Make::Bird]] {
        record_pair(folder, "broadcast", makes, |routing, number| {
            with_external(routing, external_of(number), 1)
        });
    }
    // FRR 8.4 and BIRD append different octets to the key (docs/decisions), so each is recorded beside its own kind.
    for makes in [[Make::Frr, Make::Frr], [Make::Bird, Make::Bird]] {
        record_pair(folder, "authenticated", makes, |routing, number| {
            authenticated(with_external(routing, external_of(number), 2))
        });
    }
    let makes = [Make::Frr, Make::Bird];
    record_pair(folder, "point-to-point", makes, |routing, _| {
        routing.with_link(|link| link.network = NetworkType::PointToPoint)
    });
    for makes in [[Make::Frr, Make::Bird], [Make::Bird, Make::Frr]] {
        record_pair(folder, "nssa", makes, |routing, number| {
            with_external(routing, external_of(number), number).with_link(|link| {
                link.area = 1;
                link.area_type = AreaType::Nssa;
            })
        });
    }
    record_pair(folder, "stub", makes, |routing, _| {
        routing.with_link(|link| {
            link.area = 1;
            link.area_type = AreaType::Stub;
        })
    });
    for makes in [[Make::Frr, Make::Bird], [Make::Bird, Make::Frr]] {
        record_areas(folder, makes);
    }
}

/// Two routers on the link: start, exchange, and the first one's end.
fn record_pair(folder: &Path, scenario: &str, makes: [Make; 2], change: impl Fn(Routing, u8) -> Routing) {
    let network = Network::with_routers(2, 0);
    let begin = now();
    let start = |index: usize| {
        let number = index as u8 + 1;
        let mut routing = change(Routing::on_the_link(number), number);
        routing.links.push(Link {
            passive: true,
            ..Link {
                area: routing.links[0].area,
                area_type: routing.links[0].area_type,
                ..Link::broadcast("up0", 0)
            }
        });
        OspfRouter::start(makes[index], &network.routers[index].namespace, &routing)
    };
    let mut routers = [start(0), start(1)];
    routers[0].wait_for_full(routers[1].router_id, FULL);
    routers[1].wait_for_full(routers[0].router_id, FULL);
    wait_for(FULL, "both hold the same LSAs", || {
        let held = routers.each_ref().map(|router| {
            // What only one of them shows: FRR its own AS-External-LSAs in an area without them, BIRD LSAs without a prefix;
            // and BIRD has area 0 wherever it has an NSSA.
            let shown_by_both = |kind| matches!(kind, ROUTER | NETWORK | NSSA);
            let database = router.database().into_iter();
            database
                .filter(|lsa| shown_by_both(lsa.kind))
                .map(|lsa| (lsa.kind, lsa.router, lsa.id, lsa.sequence))
                .collect::<BTreeSet<_>>()
        });
        held[0].is_subset(&held[1]) || held[1].is_subset(&held[0])
    });
    for port in ["r1", "r2"] {
        let acknowledges = |frame: &Frame| frame.port == port && matches!(&frame.message, Message::Ospf(octets) if octets[1] == 5);
        network
            .capture
            .wait_for(FULL, "each acknowledges, after seconds", begin, acknowledges);
    }
    routers[0].stop();
    wait_for(FULL, "the second router has forgotten the first", || {
        !routers[1].is_full_with(routers[0].router_id)
    });
    write(folder, scenario, makes, &network.capture.since(begin, is_ospf));
}

/// The second router borders area 1, in which the client's machine brings a route from elsewhere.
fn record_areas(folder: &Path, makes: [Make; 2]) {
    let network = Network::with_routers(2, 0);
    let begin = now();
    let first = OspfRouter::start(makes[0], &network.routers[0].namespace, &Routing::on_the_link(1));
    let mut border = Routing::on_the_link(2);
    border.links.push(Link::broadcast("up0", 1));
    let second = OspfRouter::start(makes[1], &network.routers[1].namespace, &border);
    let elsewhere = Routing {
        links: vec![Link::broadcast("up2", 1)],
        ..with_external(Routing::on_the_link(3), external_of(3), 2)
    };
    network.client.sysctl("net/ipv6/conf/all/forwarding", "1");
    let third = OspfRouter::start(Make::Bird, &network.client, &elsewhere);
    first.wait_for_full(second.router_id, FULL);
    second.wait_for_full(third.router_id, FULL);
    wait_for(FULL, "what is in area 1 is told in area 0", || {
        let kinds: BTreeSet<u16> = first.database().into_iter().map(|lsa| lsa.kind).collect();
        kinds.is_superset(&BTreeSet::from([INTER_AREA_PREFIX, INTER_AREA_ROUTER, AS_EXTERNAL]))
    });
    drop(third);
    wait_for(FULL, "and withdrawn", || {
        first
            .database()
            .iter()
            .all(|lsa| lsa.kind != INTER_AREA_ROUTER || lsa.age >= MAX_AGE)
    });
    write(folder, "areas", makes, &network.capture.since(begin, is_ospf));
}

fn is_ospf(frame: &Frame) -> bool {
    matches!(frame.message, Message::Ospf(_))
}

/// Writes each packet that shows something that none before it of the same sender did.
fn write(folder: &Path, scenario: &str, makes: [Make; 2], frames: &[Frame]) {
    let mut text = String::from(
        "# OSPFv3 packets between routers, recorded by `LAB_RECORD=tests/data/ospf cargo test --test lab record`.\n\
         # Each: who sent it and what it is; source and destination; the octets behind the IPv6 header.\n",
    );
    let mut shown = BTreeSet::new();
    for frame in frames {
        let Message::Ospf(octets) = &frame.message else { continue };
        let make = makes[usize::from(frame.port != "r1")];
        let content = content(octets);
        if !shown.insert((frame.port.clone(), content.clone())) {
            continue;
        }
        let hex: Vec<String> = octets
            .chunks(32)
            .map(|chunk| chunk.iter().map(|octet| format!("{octet:02x}")).collect())
            .collect();
        let (source, destination) = (frame.source, frame.destination);
        write!(
            text,
            "\n# {}: {content}\n{source} > {destination}\n{}\n",
            version(make),
            hex.join("\n")
        )
        .expect("text grows");
    }
    let [first, second] = makes.map(|make| make.to_string().to_lowercase());
    let path: PathBuf = folder.join(format!("{scenario}-{first}-{second}.txt"));
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    figures::print("recorded", path.display());
}

/// What a packet is, for the line above it: decoded by hand, so that the records do not depend on the code they are to test.
fn content(octets: &[u8]) -> String {
    let half = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
    let length = usize::from(half(2));
    let headers = |from: usize| {
        (from..length)
            .step_by(20)
            .map(|at| kind_of(half(at + 2), half(at)))
            .collect::<Vec<_>>()
    };
    match octets[1] {
        1 => format!("Hello naming {} neighbours", (length - 36) / 4),
        2 => format!("Database Description, flags {:x}, {}", octets[23] & 7, listed(headers(28))),
        3 => format!(
            "Link State Request, {}",
            listed((16..length).step_by(12).map(|at| kind_of(half(at + 2), 0)).collect())
        ),
        4 => {
            let mut kinds = Vec::new();
            let mut at = 20;
            while at < length {
                kinds.push(kind_of(half(at + 2), half(at)));
                at += usize::from(half(at + 18));
            }
            format!("Link State Update, {}", listed(kinds))
        }
        5 => format!("Link State Acknowledgment, {}", listed(headers(16))),
        other => format!("type {other}"),
    }
}

fn listed(mut kinds: Vec<String>) -> String {
    kinds.sort();
    kinds.dedup();
    if kinds.is_empty() { "empty".to_owned() } else { kinds.join(" ") }
}

fn kind_of(kind: u16, age: u16) -> String {
    let name = match kind {
        ROUTER => "Router",
        NETWORK => "Network",
        INTER_AREA_PREFIX => "Inter-Area-Prefix",
        INTER_AREA_ROUTER => "Inter-Area-Router",
        AS_EXTERNAL => "AS-External",
        NSSA => "NSSA",
        LINK => "Link",
        INTRA_AREA_PREFIX => "Intra-Area-Prefix",
        other => return format!("{other:04x}"),
    };
    if age >= MAX_AGE {
        format!("{name}(MaxAge)")
    } else {
        name.to_owned()
    }
}

/// Name and version of the program, as it says.
fn version(make: Make) -> String {
    let said = match make {
        Make::Frr => run(Command::new("/usr/lib/frr/ospf6d").arg("--version")),
        Make::Bird => {
            let output = crate::harness::command::output(Command::new("bird").arg("--version"));
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        }
    };
    let number = said.lines().next().and_then(|line| line.split_whitespace().last());
    format!("{make} {}", number.expect("it tells its version"))
}

fn external_of(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xe, 0, 0, 0, 0, u16::from(number))
}

fn with_external(mut routing: Routing, prefix: Ipv6Addr, metric_type: u8) -> Routing {
    routing.externals.push(External { prefix, metric_type });
    routing
}

fn authenticated(routing: Routing) -> Routing {
    routing.with_link(|link| {
        link.authentication = Some(Authentication {
            key_id: 1,
            secret: "between-routers",
        });
    })
}
