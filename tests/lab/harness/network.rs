//! The lab's network: a client, one or two stock Linux routers, a switch, and hosts on it.
//!
//! ```text
//! client --- router1 ---+--------+--------+
//!      \                | switch |        |
//!       ---- router2 ---+     host1  host2 ...
//! ```
//!
//! The hosts' prefix is `2001:db8:5::/64` with the service address in it, so that the routers resolve it on the link.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heraldns::base::address::{LinkLayerAddress, solicited_node};

use super::capture::{Capture, Frame};
use super::clock;
use super::command::ip_batch;
use super::host::Host;
use super::injector::{Injector, solicitation};
use super::namespace::Namespace;
use super::router::Router;
use super::switch::Switch;

/// The service-specific anycast address of every test.
pub(crate) const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);

const SOON: Duration = Duration::from_secs(3);

static LABS: AtomicUsize = AtomicUsize::new(0);

/// A whole network; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Network {
    /// Everything that is sent on the link. First, so that it is dropped before its namespace.
    pub(crate) capture: Capture,
    /// Where queries come from.
    pub(crate) client: Namespace,
    /// Stock Linux routers between client and link.
    pub(crate) routers: Vec<Router>,
    /// Machines on the link, on which servers run.
    pub(crate) hosts: Vec<Host>,
    /// The link itself.
    pub(crate) switch: Switch,
}

impl Network {
    /// A client, a router and `hosts` hosts.
    pub(crate) fn new(hosts: usize) -> Self {
        Self::with_routers(1, hosts)
    }

    /// A client, `routers` routers and `hosts` hosts.
    pub(crate) fn with_routers(routers: usize, hosts: usize) -> Self {
        let lab = LABS.fetch_add(1, Ordering::Relaxed);
        let client = Namespace::new(lab, "client");
        let mut switch = Switch::new(lab);
        let routers: Vec<Router> = (1..=routers).map(|number| add_router(lab, number, &client, &mut switch)).collect();
        let hosts = (1..=hosts)
            .map(|number| add_host(lab, number, routers.len(), &mut switch))
            .collect();
        let capture = Capture::start(&switch);
        Self {
            capture,
            client,
            routers,
            hosts,
            switch,
        }
    }

    /// The first router.
    pub(crate) fn router(&self) -> &Router {
        &self.routers[0]
    }

    /// `asker` solicits the service address by multicast: the solicitation, and the first unicast answer to it.
    #[track_caller]
    pub(crate) fn solicit(&self, asker: &Injector, source_mac: Option<LinkLayerAddress>) -> (Frame, Frame) {
        let begin = clock::now();
        asker.send_icmp(solicited_node(SERVICE), &solicitation(SERVICE, source_mac));
        let asked = self
            .capture
            .wait_for(SOON, "the solicitation", begin, |frame| frame.solicits(SERVICE));
        let answer = self
            .capture
            .wait_for(SOON, "an answer to the asker", begin, |frame| frame.answers(&asked));
        (asked, answer)
    }
}

/// The client's address whose queries travel through router `number`.
pub(crate) fn client_address(number: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number as u16, 0, 0, 0, 0, 2)
}

fn add_router(lab: usize, number: usize, client: &Namespace, switch: &mut Switch) -> Router {
    let namespace = Namespace::new(lab, &format!("router{number}"));
    namespace.sysctl("net/ipv6/conf/all/forwarding", "1");
    let mac = LinkLayerAddress([2, 0, 0, 0, 5, 0xf0 + number as u8]);
    switch.plug(&format!("r{number}"), &namespace, "lan0", mac);
    let uplink = format!("up{number}");
    ip_batch(
        namespace.name(),
        &[
            format!("link add up0 type veth peer name {uplink} netns {}", client.name()),
            format!("address add 2001:db8:{number}::1/64 dev up0"),
            "link set up0 up".to_owned(),
            format!("address add 2001:db8:5::{number}/64 dev lan0"),
        ],
    );
    let mut routes = vec![
        format!("address add {}/64 dev {uplink}", client_address(number)),
        format!("link set {uplink} up"),
        format!("route add default via 2001:db8:{number}::1 dev {uplink} table {number}"),
        format!("rule add from 2001:db8:{number}::/64 table {number}"),
    ];
    if number == 1 {
        routes.push(format!("route add default via 2001:db8:1::1 dev {uplink}"));
    }
    ip_batch(client.name(), &routes);
    Router::new(namespace, mac)
}

fn add_host(lab: usize, number: usize, routers: usize, switch: &mut Switch) -> Host {
    let namespace = Namespace::new(lab, &format!("host{number}"));
    let mac = LinkLayerAddress([2, 0, 0, 0, 5, number as u8]);
    switch.plug(&format!("h{number}"), &namespace, "eth0", mac);
    let host = Host::new(namespace, mac, number, routers);
    host.configure_link();
    host
}
