//! Raw channels: IPv6 packets with one next header on one link (RFC 3542 §3).
//!
//! With ICMPv6 the kernel verifies the checksum of what comes in, fills in that of what goes out, and lets only the
//! listed types through. With any other next header checksums are the machine's business (OSPFv3 with an
//! authentication trailer has none).

use rustix::net::RecvFlags;
use socket2::{Domain, Protocol, Socket, Type};

use super::datagram::{self, Origin};
use super::port::Link;
use super::socket::{Attempt, OpenError};
use super::sys::packet::set_icmp6_filter;
use crate::base::machine::{OutDatagram, SendError};

const ICMPV6: u8 = 58;
const OSPF: u8 = 89;
/// The traffic class of routing protocols (RFC 2474 §4.2.2.2): switches let it pass before other traffic.
const INTERNETWORK_CONTROL: u32 = 0xc0;
/// More than a receive queue holds.
const QUEUE: usize = 4_096;

/// Opens a raw socket that hears packets with this next header on this link only, and of ICMPv6 only the types listed.
pub(super) fn open(attempt: Attempt<'_>, next_header: u8, icmp_types: &[u8]) -> Result<Socket, OpenError> {
    let protocol = Protocol::from(i32::from(next_header));
    let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking(), Some(protocol)).map_err(|error| attempt.failed(error))?;
    if next_header == ICMPV6 {
        set_icmp6_filter(&socket, icmp_types).map_err(|error| attempt.failed(error.into()))?;
    }
    if next_header == OSPF {
        socket.set_tclass_v6(INTERNETWORK_CONTROL).map_err(|error| attempt.failed(error))?;
    }
    attempt.bind_to_device(&socket)?;
    discard_early_packets(&socket);
    Ok(socket)
}

/// A raw socket receives from the moment it exists: what came before the filter and the device were set is not ours.
fn discard_early_packets(socket: &Socket) {
    let mut octet = [0_u8; 1];
    for _ in 0..QUEUE {
        if rustix::net::recv(socket, &mut octet[..], RecvFlags::DONTWAIT).is_err() {
            return;
        }
    }
}

/// Sends from the address asked for, else from the link-local one.
pub(super) fn send(socket: &Socket, link: &Link, datagram: &OutDatagram) -> Result<(), SendError> {
    let source = datagram.source.or(link.link_local).ok_or(SendError::InterfaceDown)?;
    let origin = Origin { index: link.index, source };
    datagram::send(socket, origin, datagram.destination, 0, &datagram.payload)
}
