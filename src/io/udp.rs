//! UDP channels: one port on one link, and beyond the link only when something is sent there.
//!
//! What goes to a link-local address or a group leaves by the channel's link, from its link-local address. Anything
//! else is for the routing table, which may choose another interface; it leaves by a second socket on the same port,
//! which is not tied to the link and is opened with the first such datagram. So nobody beyond the link is listened to
//! before he is spoken to.

use std::net::{Ipv6Addr, SocketAddrV6};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::datagram::{self, Origin, is_link_scope};
use super::port::Link;
use super::socket::{Attempt, OpenError};
use crate::base::address::InterfaceIndex;
use crate::base::machine::{OutDatagram, SendError};

/// Opens a socket that hears and sends on its link only.
pub(super) fn open_on_link(attempt: Attempt<'_>, port: u16) -> Result<Socket, OpenError> {
    let socket = create(attempt)?;
    attempt.bind_to_device(&socket)?;
    bind(attempt, &socket, port)?;
    Ok(socket)
}

/// Opens a socket that is tied to no link.
pub(super) fn open(attempt: Attempt<'_>, port: u16) -> Result<Socket, OpenError> {
    let socket = create(attempt)?;
    bind(attempt, &socket, port)?;
    Ok(socket)
}

fn create(attempt: Attempt<'_>) -> Result<Socket, OpenError> {
    let created = Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::UDP)).and_then(|socket| {
        socket.set_only_v6(true)?;
        // Both sockets of the channel have the port, and so has our predecessor while it is on its way out.
        socket.set_reuse_address(true)?;
        socket.set_multicast_all_v6(false)?;
        Ok(socket)
    });
    created.map_err(|error| attempt.failed(error))
}

fn bind(attempt: Attempt<'_>, socket: &Socket, port: u16) -> Result<(), OpenError> {
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    socket.bind(&any.into()).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::ADDRINUSE) => OpenError::PortTaken {
            port,
            interface: attempt.interface.to_owned(),
        },
        Some(Errno::ACCESS) => OpenError::MissingCapability {
            capability: "CAP_NET_BIND_SERVICE",
            what: attempt.what,
            interface: attempt.interface.to_owned(),
        },
        _ => attempt.failed(error),
    })
}

/// True for destinations that the socket tied to the link cannot reach for sure.
pub(super) fn is_beyond_link(destination: Ipv6Addr) -> bool {
    !is_link_scope(destination)
}

/// Sends on the link, from the address asked for, else from the link-local one.
pub(super) fn send_on_link(socket: &Socket, link: &Link, datagram: &OutDatagram) -> Result<(), SendError> {
    let source = datagram.source.or(link.link_local).ok_or(SendError::InterfaceDown)?;
    let origin = Origin { index: link.index, source };
    datagram::send(socket, origin, datagram.destination, datagram.port, &datagram.payload)
}

/// Sends where the routing table says, from the address asked for, else from the one the kernel chooses.
pub(super) fn send_beyond(socket: &Socket, datagram: &OutDatagram) -> Result<(), SendError> {
    let origin = Origin {
        index: InterfaceIndex(0),
        source: datagram.source.unwrap_or(Ipv6Addr::UNSPECIFIED),
    };
    datagram::send(socket, origin, datagram.destination, datagram.port, &datagram.payload)
}
