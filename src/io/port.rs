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
        let attempt = attempt_on(channel);
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

    fn attempt(&self) -> Attempt<'_> {
        attempt_on(&self.channel)
    }

    /// The name of its interface.
    pub(super) fn interface(&self) -> &str {
        self.attempt().interface
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

    /// True if the socket is tied to an interface that is no more, while there is a new one of that name.
    pub(super) fn is_on_another_interface(&self, state: &InterfaceState) -> bool {
        self.receives() && state.index != InterfaceIndex(0) && state.index != self.opened_on
    }

    /// Replaces the socket on the link by a new one.
    pub(super) fn reopen(&mut self) -> Result<(), OpenError> {
        let fresh = Self::open(&self.channel)?;
        self.socket = fresh.socket;
        self.opened_on = fresh.opened_on;
        Ok(())
    }

    /// True if the interface is there and a group that we need is not held on it.
    pub(super) fn has_lost_groups(&self, state: &InterfaceState) -> bool {
        self.receives() && state.index != InterfaceIndex(0) && !state.groups_held
    }

    /// Joins the channel's groups once more, because the kernel has forgotten that they were joined.
    pub(super) fn join_again(&mut self) -> Result<(), OpenError> {
        let (Channel::Raw { groups, .. } | Channel::Udp { groups, .. }) = &self.channel else {
            return Ok(());
        };
        // The socket believes that it is still a member. A new socket would not help: closing the old one takes one
        // user off the group of the interface's new life.
        for group in groups {
            let _ = self.socket.leave_multicast_v6(group, self.opened_on.0);
        }
        self.attempt().join(&self.socket, self.opened_on, groups)
    }

    /// True if a datagram to `destination` needs the socket beyond the link, and that is not open.
    pub(super) fn lacks_socket_to(&self, destination: Ipv6Addr) -> bool {
        self.beyond.is_none() && matches!(self.channel, Channel::Udp { .. }) && udp::is_beyond_link(destination)
    }

    /// Opens the socket beyond the link.
    pub(super) fn open_beyond(&self) -> Result<Socket, OpenError> {
        let attempt = Attempt {
            what: "a UDP socket beyond the link",
            ..self.attempt()
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

/// How an attempt to open the channel is told in errors.
fn attempt_on(channel: &Channel) -> Attempt<'_> {
    match channel {
        Channel::Raw { interface, .. } => Attempt {
            interface,
            what: "a raw IPv6 socket",
        },
        Channel::Frame { interface, .. } => Attempt {
            interface,
            what: "a packet socket",
        },
        Channel::Udp { interface, .. } => Attempt {
            interface,
            what: "a UDP socket",
        },
    }
}
