//! A socket that is told of changes of links and addresses: a doorbell with a label.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::Socket;
use nix::libc;

use super::read::{self, Address, Link};
use super::{BUFFER, Messages, NetlinkError, open};

/// Datagrams of changes that are read in one go.
const BUDGET: usize = 64;

/// Something the kernel told without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A link is there or looks different.
    Link(Link),
    /// A link is gone.
    LinkGone(Link),
    /// An address is there or looks different.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// Something was missed or not understood: anything can have changed.
    Unknown,
}

/// A socket that is told of changes of links and IPv6 addresses. Its descriptor can be read when there is something.
pub struct Watch {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Watch {
    /// Opens it; changes from now on are told.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = open(&[libc::RTNLGRP_LINK, libc::RTNLGRP_IPV6_IFADDR])?;
        socket.set_non_blocking(true).map_err(|source| NetlinkError::Socket {
            what: "setting non-blocking",
            source,
        })?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Hands over what has changed since the last call, a bounded amount of it.
    ///
    /// # Errors
    /// The kernel's. That changes were lost is no error but [`Change::Unknown`].
    pub fn read(&mut self, mut take: impl FnMut(Change)) -> Result<(), NetlinkError> {
        for _ in 0..BUDGET {
            self.buffer.clear();
            match self.socket.recv_from(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    take(Change::Unknown);
                    continue;
                }
                Err(source) => {
                    return Err(NetlinkError::Socket {
                        what: "receiving changes",
                        source,
                    });
                }
            }
            for packet in Messages::new(&self.buffer) {
                take(packet.map_or(Change::Unknown, |packet| read_change(packet.payload)));
            }
        }
        Ok(())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn read_change(payload: NetlinkPayload<RouteNetlinkMessage>) -> Change {
    let NetlinkPayload::InnerMessage(message) = payload else {
        return Change::Unknown;
    };
    match message {
        RouteNetlinkMessage::NewLink(link) => Change::Link(read::link(&link)),
        RouteNetlinkMessage::DelLink(link) => Change::LinkGone(read::link(&link)),
        RouteNetlinkMessage::NewAddress(address) => read::address(&address).map_or(Change::Unknown, Change::Address),
        RouteNetlinkMessage::DelAddress(address) => read::address(&address).map_or(Change::Unknown, Change::AddressGone),
        _ => Change::Unknown,
    }
}
