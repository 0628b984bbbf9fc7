//! What the sockets of all channels have in common: how they are tied to a link, and how opening one can fail.

use std::io;
use std::net::Ipv6Addr;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::Socket;

use crate::base::address::InterfaceIndex;

/// Why a channel could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such interface.
    #[error("there is no interface '{interface}': `ip link` lists those of this host")]
    NoInterface {
        /// Its configured name.
        interface: String,
    },
    /// A capability is missing.
    #[error(
        "{what} on '{interface}' needs the capability {capability}: start as root, or with AmbientCapabilities={capability} \
         (systemd), --cap-add={} (containers) or setcap", capability.trim_start_matches("CAP_")
    )]
    MissingCapability {
        /// Its name.
        capability: &'static str,
        /// What it is needed for.
        what: &'static str,
        /// The interface it was wanted on.
        interface: String,
    },
    /// Another program has the port.
    #[error("UDP port {port} on '{interface}' is taken by another program: `ss -ulpn sport = {port}` names it")]
    PortTaken {
        /// The port.
        port: u16,
        /// The interface.
        interface: String,
    },
    /// A group could not be joined.
    #[error("the group {group} could not be joined on '{interface}' (is IPv6 switched off there, or the MTU below 1280?): {source}")]
    Group {
        /// The group.
        group: Ipv6Addr,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Anything else.
    #[error("{what} on '{interface}': {source}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl OpenError {
    /// The errno that comes nearest.
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::NoInterface { .. } => Errno::NODEV.raw_os_error(),
            Self::MissingCapability { .. } => Errno::PERM.raw_os_error(),
            Self::PortTaken { .. } => Errno::ADDRINUSE.raw_os_error(),
            Self::Group { source, .. } | Self::Kernel { source, .. } => source.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
        }
    }
}

/// One attempt to open a socket on one interface: gives the errors their place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    /// The interface.
    pub(super) interface: &'a str,
    /// What is opened.
    pub(super) what: &'static str,
}

/// Octets of packets that wait to be read. The kernel takes twice as much with all that it keeps of each (socket(7), `SO_RCVBUF`): that is
/// thousands of small ones.
const QUEUE: usize = 2 * 1_024 * 1_024;

/// Somebody who floods the link must not push the signs of life of others out of the queue. Beyond `net.core.rmem_max` it takes
/// `CAP_NET_ADMIN`; a shorter queue is no reason not to listen.
fn lengthen_queue(socket: &Socket) {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, QUEUE).is_err() {
        let _shorter = socket.set_recv_buffer_size(QUEUE);
    }
}

impl Attempt<'_> {
    /// The index the interface has now.
    pub(super) fn index(self) -> Result<InterfaceIndex, OpenError> {
        match nix::net::if_::if_nametoindex(self.interface) {
            Ok(index) => Ok(InterfaceIndex(index)),
            Err(nix::errno::Errno::ENODEV) => Err(self.no_interface()),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// Ties `socket` to the interface: what it sends leaves there, and only what came in there is received.
    pub(super) fn bind_to_device(self, socket: &Socket) -> Result<(), OpenError> {
        socket
            .bind_device(Some(self.interface.as_bytes()))
            .map_err(|error| self.failed(error))
    }

    /// Sets hop limits, asks for hop limit and destination of what comes in, keeps our own multicast from coming back, and has
    /// the kernel keep what comes in a burst.
    pub(super) fn prepare(self, socket: &Socket, index: InterfaceIndex, hop_limit: u8) -> Result<(), OpenError> {
        let hops = u32::from(hop_limit);
        let prepared = (|| {
            socket.set_unicast_hops_v6(hops)?;
            socket.set_multicast_hops_v6(hops)?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_if_v6(index.0)?;
            socket.set_recv_hoplimit_v6(true)?;
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            Ok(())
        })();
        lengthen_queue(socket);
        prepared.map_err(|error| self.failed(error))
    }

    /// Joins `groups` on the interface, which makes the kernel report them by MLD.
    pub(super) fn join(self, socket: &Socket, index: InterfaceIndex, groups: &[Ipv6Addr]) -> Result<(), OpenError> {
        groups.iter().try_for_each(|group| {
            socket.join_multicast_v6(group, index.0).map_err(|source| OpenError::Group {
                group: *group,
                interface: self.interface.to_owned(),
                source,
            })
        })
    }

    /// The error for what the kernel said.
    pub(super) fn failed(self, source: io::Error) -> OpenError {
        let interface = self.interface.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NODEV) => OpenError::NoInterface { interface },
            Some(Errno::PERM | Errno::ACCESS) => OpenError::MissingCapability {
                capability: "CAP_NET_RAW",
                what: self.what,
                interface,
            },
            _ => OpenError::Kernel {
                what: self.what,
                interface,
                source,
            },
        }
    }

    fn no_interface(self) -> OpenError {
        OpenError::NoInterface {
            interface: self.interface.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_the_place_and_the_cure() {
        let attempt = Attempt {
            interface: "eth0",
            what: "a raw ICMPv6 socket",
        };
        let refused = attempt.failed(Errno::PERM.into()).to_string();
        assert!(
            refused.contains("'eth0'") && refused.contains("CAP_NET_RAW") && refused.contains("--cap-add=NET_RAW"),
            "{refused}"
        );
        let missing = Attempt {
            interface: "no-such-link",
            ..attempt
        }
        .index()
        .unwrap_err()
        .to_string();
        assert!(missing.contains("no interface 'no-such-link'"), "{missing}");
    }

    /// The kernel's default bound leaves room for twice its default length.
    #[test]
    fn the_queue_is_longer_than_by_default() {
        let socket = Socket::from(std::net::UdpSocket::bind("[::1]:0").unwrap());
        let before = socket.recv_buffer_size().unwrap();
        lengthen_queue(&socket);
        assert!(socket.recv_buffer_size().unwrap() > before, "{before}");
    }
}
