//! Handmade packets: what a router would send, and what it never should.

use std::net::{Ipv6Addr, SocketAddrV6};

use heraldns::base::address::LinkLayerAddress;
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Protocol, Socket, Type};

use super::namespace::Namespace;

/// A raw ICMPv6 socket and a UDP socket on one interface; the kernel adds IPv6 header and checksum.
#[derive(Debug)]
pub(crate) struct Injector {
    icmp: Socket,
    udp: Socket,
    scope: u32,
}

impl Injector {
    /// Sends from `device` in `namespace`, with hop limit 255.
    pub(crate) fn new(namespace: &Namespace, device: &str) -> Self {
        namespace.enter(|| {
            let icmp = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).expect("root may open raw sockets");
            let udp = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a UDP socket");
            let scope = name_to_index(&icmp, device).expect("the device exists");
            for socket in [&icmp, &udp] {
                socket.set_multicast_if_v6(scope).expect("the device takes multicast");
                socket.set_multicast_loop_v6(false).expect("no echo of our own packets");
            }
            let injector = Self { icmp, udp, scope };
            injector.set_hop_limit(255);
            injector
        })
    }

    /// Sends packets of another protocol from `device` in `namespace`, with hop limit 1.
    pub(crate) fn raw(namespace: &Namespace, device: &str, next_header: u8) -> Self {
        let mut injector = Self::new(namespace, device);
        injector.icmp = namespace.enter(|| {
            let protocol = Protocol::from(i32::from(next_header));
            Socket::new(Domain::IPV6, Type::RAW, Some(protocol)).expect("root may open raw sockets")
        });
        injector
            .icmp
            .set_multicast_if_v6(injector.scope)
            .expect("the device takes multicast");
        injector.icmp.set_multicast_loop_v6(false).expect("no echo of our own packets");
        injector.set_hop_limit(1);
        injector
    }

    /// Sends what follows the IPv6 header.
    pub(crate) fn send_raw(&self, destination: Ipv6Addr, octets: &[u8]) {
        self.send_icmp(destination, octets);
    }

    /// The hop limit of all packets from now on.
    pub(crate) fn set_hop_limit(&self, hops: u32) {
        for socket in [&self.icmp, &self.udp] {
            socket.set_multicast_hops_v6(hops).expect("a hop limit below 256");
            socket.set_unicast_hops_v6(hops).expect("a hop limit below 256");
        }
    }

    /// Sends an ICMPv6 message; its checksum field is filled in by the kernel.
    pub(crate) fn send_icmp(&self, destination: Ipv6Addr, message: &[u8]) {
        self.icmp
            .send_to(message, &self.address(destination, 0).into())
            .expect("the link is up");
    }

    /// Sends a UDP datagram.
    pub(crate) fn send_udp(&self, destination: Ipv6Addr, port: u16, payload: &[u8]) {
        self.udp
            .send_to(payload, &self.address(destination, port).into())
            .expect("the link is up");
    }

    fn address(&self, address: Ipv6Addr, port: u16) -> SocketAddrV6 {
        let is_scoped = address.is_multicast() || address.is_unicast_link_local();
        SocketAddrV6::new(address, port, 0, if is_scoped { self.scope } else { 0 })
    }
}

/// An unsolicited Neighbor Advertisement with the Override flag (RFC 4861 §4.4): `mac` for `target`.
pub(crate) fn advertisement(target: Ipv6Addr, mac: LinkLayerAddress) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(target.octets());
    message.extend([2, 1]);
    message.extend(mac.0);
    message
}

/// A Neighbor Solicitation (RFC 4861 §4.3) for `target`, with the asker's link-layer address if given.
pub(crate) fn solicitation(target: Ipv6Addr, source_mac: Option<LinkLayerAddress>) -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    if let Some(mac) = source_mac {
        message.extend([1, 1]);
        message.extend(mac.0);
    }
    message
}
