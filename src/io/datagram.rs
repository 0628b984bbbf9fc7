//! One datagram in or out of an IPv6 socket, with its ancillary data: hop limit, destination, source (RFC 3542 §6).
//!
//! Shared by the raw and the UDP channels. Nothing here blocks; what comes in is read into one buffer that is used
//! again and again.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg};

use crate::base::address::InterfaceIndex;
use crate::base::machine::{Datagram, SendError};

/// No IPv6 payload without a jumbo option is longer.
const LARGEST: usize = 65_535;
/// Room for the two control messages that are asked for (packet information 40 octets, hop limit 24), and to spare.
const CONTROL: usize = 256;

/// The buffers that datagrams are received into.
#[derive(Debug)]
pub struct Receiver {
    payload: Vec<u8>,
    control: Vec<u8>,
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// Nothing is waiting.
    Empty,
    /// Something came, and was dropped: no IPv6 source, or its hop limit or destination is not known.
    Unusable,
    /// The socket reported an error of earlier; the next call can succeed.
    Kernel(Errno),
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            payload: vec![0; LARGEST],
            control: vec![0; CONTROL],
        }
    }
}

impl Receiver {
    /// Takes one datagram from `socket`, which has to be set to tell hop limits and packet information.
    ///
    /// # Errors
    /// Why there is none.
    pub fn receive(&mut self, socket: impl AsFd) -> Result<Datagram<'_>, Nothing> {
        let (length, source, destination, hop_limit) = {
            let mut slices = [IoSliceMut::new(&mut self.payload)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let received =
                recvmsg::<SockaddrIn6>(socket.as_fd().as_raw_fd(), &mut slices, Some(&mut self.control), flags).map_err(|error| {
                    if error == Errno::EAGAIN {
                        Nothing::Empty
                    } else {
                        Nothing::Kernel(error)
                    }
                })?;
            let (mut destination, mut hop_limit) = (None, None);
            for message in received.cmsgs().map_err(|_| Nothing::Unusable)? {
                match message {
                    ControlMessageOwned::Ipv6PacketInfo(info) => destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
                    ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
                    _ => {}
                }
            }
            (received.bytes, received.address, destination, hop_limit)
        };
        let (Some(source), Some(destination), Some(hop_limit)) = (source, destination, hop_limit) else {
            return Err(Nothing::Unusable);
        };
        let payload = self.payload.get(..length).ok_or(Nothing::Unusable)?;
        Ok(Datagram {
            source: source.ip(),
            source_port: source.port(),
            destination,
            hop_limit,
            payload,
        })
    }
}

/// Where a datagram leaves: from which interface, and with which source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The interface; 0: the routing table decides.
    pub index: InterfaceIndex,
    /// The source; the unspecified address: the kernel decides.
    pub source: Ipv6Addr,
}

/// Sends one datagram, without ever waiting for room.
///
/// # Errors
/// Why it could not be sent; a link that is down, gone or without a route is [`SendError::InterfaceDown`].
pub fn send(socket: impl AsFd, origin: Origin, destination: Ipv6Addr, port: u16, payload: &[u8]) -> Result<(), SendError> {
    let scope = if is_link_scope(destination) { origin.index.0 } else { 0 };
    let address = SockaddrIn6::from(SocketAddrV6::new(destination, port, 0, scope));
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: origin.source.octets(),
        },
        ipi6_ifindex: origin.index.0 as _,
    };
    let control = [ControlMessage::Ipv6PacketInfo(&info)];
    let slices = [IoSlice::new(payload)];
    sendmsg(
        socket.as_fd().as_raw_fd(),
        &slices,
        &control,
        MsgFlags::MSG_DONTWAIT,
        Some(&address),
    )
    .map(|_| ())
    .map_err(send_error)
}

/// True for addresses that mean something on one link only: link-local ones and groups.
#[must_use]
pub fn is_link_scope(address: Ipv6Addr) -> bool {
    address.is_multicast() || crate::base::address::is_link_local(address)
}

/// The machine's word for an error of the kernel's.
#[must_use]
pub fn send_error(error: Errno) -> SendError {
    match error {
        Errno::ENETDOWN | Errno::ENODEV | Errno::ENXIO | Errno::ENETUNREACH => SendError::InterfaceDown,
        Errno::EAGAIN | Errno::ENOBUFS => SendError::QueueFull,
        other => SendError::Kernel(other as i32),
    }
}
