//! An open channel: its sockets, and what of the link is needed to send on them.

use std::net::Ipv6Addr;

use rustix::io::Errno;
use socket2::Socket;

use super::socket::{Attempt, OpenError};
use super::{frame, raw, udp};
use crate::base::address::{InterfaceIndex, LinkLayerAddress};
use crate::base::machine::{Channel, InterfaceState, OutDatagram, SendError};

/// What of the link is needed to send on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    /// Its interface.
    pub(super) index: InterfaceIndex,
    /// Source of frames.
    pub(super) link_layer: LinkLayerAddress,
    /// Source of packets.
    pub(super) link_local: Option<Ipv6Addr>,
}

/// A channel and its sockets.
#[derive(Debug)]
pub(super) struct Port {
    channel: Channel,
    link: Link,
    /// What `socket` is tied to.
    opened_on: InterfaceIndex,
    /// The socket on the link.
    pub(super) socket: Socket,
    /// UDP: the socket for what goes beyond the link, once something went there.
    pub(super) beyond: Option<Socket>,
}

impl Port {
    /// Opens the channel's socket on its link.
    pub(super) fn open(channel: &Channel) -> Result<Self, OpenError> {
        let attempt = Attempt {
            interface: interface_of(channel),
            what: what_is(channel),
        };
        let opened_on = attempt.index()?;
        let socket = match channel {
            Channel::Raw {
                next_header,
                hop_limit,
                groups,
                icmp_types,
                ..
            } => {
                let socket = raw::open(attempt, *next_header, icmp_types)?;
                attempt.prepare(&socket, opened_on, *hop_limit)?;
                attempt.join(&socket, opened_on, groups)?;
                socket
            }
            Channel::Frame { .. } => frame::open(attempt)?,
            Channel::Udp {
                port, hop_limit, groups, ..
            } => {
                let socket = udp::open_on_link(attempt, *port)?;
                attempt.prepare(&socket, opened_on, *hop_limit)?;
                attempt.join(&socket, opened_on, groups)?;
                socket
            }
        };
        Ok(Self {
            channel: channel.clone(),
            link: Link::default(),
            opened_on,
            socket,
            beyond: None,
        })
    }

    /// The name of its interface.
    pub(super) fn interface(&self) -> &str {
        interface_of(&self.channel)
    }

    /// True if packets can come in.
    pub(super) fn receives(&self) -> bool {
        !matches!(self.channel, Channel::Frame { .. })
    }

    /// Takes over what the link looks like now.
    pub(super) fn follow(&mut self, state: &InterfaceState) {
        self.link = Link {
            index: state.index,
            link_layer: state.link_layer,
            link_local: state.link_local,
        };
    }

    /// True if the socket on the link is tied to an interface that is no more, or has lost its groups.
    pub(super) fn is_stale(&self, state: &InterfaceState) -> bool {
        let exists = state.index != InterfaceIndex(0);
        exists && self.receives() && (self.opened_on != state.index || !state.groups_held)
    }

    /// The same channel with a new socket on the link.
    pub(super) fn reopen(&mut self) -> Result<(), OpenError> {
        let fresh = Self::open(&self.channel)?;
        self.socket = fresh.socket;
        self.opened_on = fresh.opened_on;
        Ok(())
    }

    /// True if a datagram to `destination` needs the socket beyond the link, and that is not open.
    pub(super) fn lacks_socket_to(&self, destination: Ipv6Addr) -> bool {
        self.beyond.is_none() && matches!(self.channel, Channel::Udp { .. }) && udp::is_beyond_link(destination)
    }

    /// Opens the socket beyond the link.
    pub(super) fn open_beyond(&self) -> Result<Socket, OpenError> {
        let attempt = Attempt {
            interface: self.interface(),
            what: "a UDP socket beyond the link",
        };
        let Channel::Udp { port, hop_limit, .. } = self.channel else {
            return Err(attempt.failed(Errno::OPNOTSUPP.into()));
        };
        let socket = udp::open(attempt, port)?;
        attempt.prepare(&socket, InterfaceIndex(0), hop_limit)?;
        Ok(socket)
    }

    /// Sends; a frame is built in `frame`.
    pub(super) fn send(&self, frame: &mut Vec<u8>, datagram: &OutDatagram) -> Result<(), SendError> {
        match (&self.channel, &self.beyond) {
            (Channel::Raw { .. }, _) => raw::send(&self.socket, &self.link, datagram),
            (
                Channel::Frame {
                    next_header, hop_limit, ..
                },
                _,
            ) => {
                frame::build_for(frame, &self.link, *next_header, *hop_limit, datagram)?;
                frame::send(&self.socket, &self.link, frame)
            }
            (Channel::Udp { .. }, Some(beyond)) if udp::is_beyond_link(datagram.destination) => udp::send_beyond(beyond, datagram),
            (Channel::Udp { .. }, _) => udp::send_on_link(&self.socket, &self.link, datagram),
        }
    }
}

fn interface_of(channel: &Channel) -> &str {
    match channel {
        Channel::Raw { interface, .. } | Channel::Frame { interface, .. } | Channel::Udp { interface, .. } => interface,
    }
}

fn what_is(channel: &Channel) -> &'static str {
    match channel {
        Channel::Raw { .. } => "a raw IPv6 socket",
        Channel::Frame { .. } => "a packet socket",
        Channel::Udp { .. } => "a UDP socket",
    }
}
