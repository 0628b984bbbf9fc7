//! The manual page `docs/ospf.md`: its router configurations and its server configuration, pasted as they stand there.

use std::fs;
use std::path::Path;

use super::{SOON, next_hops};
use crate::harness::flows::spread;
use crate::harness::network::Network;
use crate::harness::ospf::{Make, OspfRouter, Routing};
use crate::harness::quiet;
use crate::harness::server::{Server, Setup};

pub(crate) fn ospf_manual_configures_frr() {
    paste(Make::Frr, "frr");
}

pub(crate) fn ospf_manual_configures_bird() {
    paste(Make::Bird, "bird");
}

/// The blocks of the page name the routers' interface `lan0`, as the lab does.
fn paste(make: Make, language: &str) {
    let network = Network::new(2);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ospf.md")).expect("the manual has the page");
    for line in only_block(&page, "sysctl").lines() {
        let (setting, value) = line.split_once(" = ").expect("setting = value");
        network.router().namespace.sysctl(&setting.replace('.', "/"), value);
    }
    let id = Routing::on_the_link(1).router_id;
    let text = only_block(&page, language);
    let router = match make {
        Make::Frr => {
            let router = OspfRouter::start_with(make, &network.router().namespace, id, "");
            router.paste(&text);
            router
        }
        Make::Bird => OspfRouter::start_with(make, &network.router().namespace, id, &text),
    };
    quiet::without_share(|| router.wait_until_designated());
    let server = only_block(&page, "toml");
    for value in [
        "protocol = \"ospf\"",
        "router-id = \"10.0.1.1\"",
        "addresses = [\"2001:db8:5::53\"]",
    ] {
        assert!(server.contains(value), "the page shows a server as the lab has it: {value}");
    }
    let servers: Vec<Server<'_>> = network
        .hosts
        .iter()
        .map(|host| {
            Server::start_with(
                host,
                &Setup::ospf(),
                &server.replace("10.0.1.1", &format!("10.0.1.{}", host.number)),
            )
        })
        .collect();
    network.router().wait_for_gateways(2 * SOON, next_hops(&servers));
    assert_eq!(spread(&network.client, 200).len(), 2, "both servers answer");
}

/// The one block of the page in `language`.
fn only_block(page: &str, language: &str) -> String {
    let opening = format!("```{language}\n");
    let mut blocks = page
        .split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default());
    let block = blocks.next().unwrap_or_else(|| panic!("docs/ospf.md has no block ```{language}"));
    assert!(blocks.next().is_none(), "docs/ospf.md has two blocks ```{language}");
    block.to_owned()
}
