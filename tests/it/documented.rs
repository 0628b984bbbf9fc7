//! The octets in docs/load-information.md are those that the code writes.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use heraldns::advertiser::nd::wire::{Message, NeighborAdvertisement, ServiceInformation};
use heraldns::advertiser::peers::wire::{Key, PeerMessage};
use heraldns::base::address::{ALL_NODES, LinkLayerAddress};
use heraldns::base::peer::{IdentityHash, PeerState, Statement};

const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);
const LINK_LAYER: LinkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 0, 0x0a]);

/// The octets of the block that is marked with `name`: pairs of hex digits up to the first two spaces of each line.
fn block(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/load-information.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("```octets {name}\n")).unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let octets = |line: &str| line.split("  ").next().unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>();
    let pairs = block.lines().flat_map(octets);
    pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()).collect()
}

/// As the document writes them.
fn hex(octets: &[u8]) -> String {
    let lines = octets
        .chunks(8)
        .map(|line| line.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

fn message() -> PeerMessage {
    PeerMessage {
        statement: Statement {
            identity: "s1".to_owned(),
            services: vec![SERVICE],
            state: PeerState::Draining,
            idle: false,
            holder: true,
            term: 7,
            health: 250,
            weight: 100,
            successor: Some(IdentityHash(0x0102_0304_0506_0708)),
            class: 2,
            capacity: 50_000,
            offered: 1_000,
            load: 310,
            recent_load: Some(440),
            misdelivered: 3,
            link_layer: LINK_LAYER,
            link_local: Some(LINK_LOCAL),
            interval: Duration::from_millis(300),
        },
        boot: 5,
        sequence: 9,
    }
}

#[test]
fn claim_16_the_documented_advertisement_is_what_is_sent() {
    let advertisement = Message::Advertisement(NeighborAdvertisement {
        target: SERVICE,
        router: false,
        solicited: false,
        overriding: true,
        target_link_layer: Some(LINK_LAYER),
        information: Some(ServiceInformation {
            state: PeerState::Active,
            class: 1,
            hand_over: false,
            weight: 100,
            load: 310,
            recent_load: Some(440),
            term: 7,
            sequence: 0x0102_0304,
            identity: IdentityHash(0x1122_3344_5566_7788),
            health: 255,
        }),
    });
    assert_eq!(hex(&block("advertisement")), hex(&advertisement.emit(LINK_LOCAL, ALL_NODES)));
}

#[test]
fn claim_17_the_documented_peer_message_is_what_is_sent() {
    let unsigned = message().emit(None);
    assert_eq!(hex(&block("message")), hex(&unsigned));
    let signed = message().emit(Some(&Key::new(b"between-peers")));
    assert_eq!(hex(&[block("message"), block("signature")].concat()), hex(&signed));
}
