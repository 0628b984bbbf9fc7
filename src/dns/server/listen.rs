//! Opens the sockets of a listener: one TCP socket, and one UDP socket per worker that share the address by SO_REUSEPORT;
//! for an encrypted transport one socket.
//!
//! Sockets are bound to one address each, never to all, so that every answer comes from the address that was asked.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::libc;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::HEARTBEAT;
use crate::dns::counters::Transport;

/// Asked for; the kernel gives what `net.core.rmem_max` and `wmem_max` allow.
const SOCKET_BUFFER: usize = 4 << 20;
const BACKLOG: i32 = 1024;
/// Datagrams with so many octets of payload fit into the least MTU of IPv6, 1280 octets, whole (RFC 9715 §4).
const WHOLE_PAYLOAD: u16 = 1232;

/// Why an address cannot be listened on, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another program has the port.
    #[error(
        "cannot listen on {address} ({}): another program does; stop that one (`ss -lnp 'sport = :{}'` shows it) or choose another port",
        transport.name(), address.port()
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
        /// What was to be spoken there.
        transport: Transport,
    },
    /// The address is on no interface of this host.
    #[error(
        "cannot listen on {address} ({}): {} is on no interface of this host; add it to one, or take it out of the configuration",
        transport.name(), address.ip()
    )]
    NotHere {
        /// The address asked for.
        address: SocketAddr,
        /// What was to be spoken there.
        transport: Transport,
    },
    /// The port needs a privilege.
    #[error(
        "cannot listen on {address} ({}): ports below 1024 need the capability CAP_NET_BIND_SERVICE; \
         grant it (AmbientCapabilities= in the unit file, or setcap) or choose a port from 1024 on",
        transport.name()
    )]
    Privilege {
        /// The address asked for.
        address: SocketAddr,
        /// What was to be spoken there.
        transport: Transport,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
}

/// The open sockets of a listener.
pub(super) struct Sockets {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

/// Opens the sockets for `address`, with as many for UDP as there are workers.
///
/// Datagrams of up to `udp_payload` octets will be sent.
pub(super) fn open(address: SocketAddr, workers: usize, udp_payload: u16) -> Result<Sockets, ServeError> {
    // TCP first: it does not share its port, so that a second server on the same address is noticed.
    let tcp = open_tcp(address).map_err(|error| explain(address, Transport::Tcp, error))?;
    let other = |error| ServeError::Other { address, error };
    let address = tcp.local_addr().map_err(other)?;
    let udp = (0..workers).map(|_| open_udp(address, udp_payload)).collect::<io::Result<_>>();
    let udp = udp.map_err(|error| explain(address, Transport::Udp, error))?;
    Ok(Sockets { address, udp, tcp })
}

/// Opens the socket of an encrypted transport on TCP; gives its address too.
pub(super) fn open_stream(address: SocketAddr, transport: Transport) -> Result<(SocketAddr, TcpListener), ServeError> {
    let socket = open_tcp(address).map_err(|error| explain(address, transport, error))?;
    let address = socket.local_addr().map_err(|error| ServeError::Other { address, error })?;
    Ok((address, socket))
}

/// Opens the one socket of a QUIC listener; gives its address too. The port is not shared: a second server is noticed.
pub(super) fn open_quic(address: SocketAddr) -> Result<(SocketAddr, UdpSocket), ServeError> {
    let open = || {
        let socket = open_datagram(address)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        Ok(UdpSocket::from(socket))
    };
    let socket = open().map_err(|error| explain(address, Transport::Quic, error))?;
    let address = socket.local_addr().map_err(|error| ServeError::Other { address, error })?;
    Ok((address, socket))
}

pub(super) fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open_socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn open_udp(address: SocketAddr, udp_payload: u16) -> io::Result<UdpSocket> {
    let socket = open_datagram(address)?;
    socket.set_reuse_port(true)?;
    socket.set_read_timeout(Some(HEARTBEAT))?;
    if udp_payload <= WHOLE_PAYLOAD {
        forbid_fragments(&socket, address)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Answers leave with DF and are never cut by this host, whatever path MTU somebody claims (RFC 9715 §3.1): nobody can slip a
/// fragment of his own into them. It also saves the kernel from making an identification for each.
fn forbid_fragments(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?;
    } else {
        sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)?;
    }
    Ok(())
}

fn open_datagram(address: SocketAddr) -> io::Result<Socket> {
    let socket = open_socket(address, Type::DGRAM, Protocol::UDP)?;
    // A smaller buffer than asked for is no reason not to serve.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    Ok(socket)
}

fn open_socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn explain(address: SocketAddr, transport: Transport, error: io::Error) -> ServeError {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => ServeError::InUse { address, transport },
        Some(libc::EADDRNOTAVAIL) => ServeError::NotHere { address, transport },
        Some(libc::EACCES | libc::EPERM) if address.port() < 1024 => ServeError::Privilege { address, transport },
        _ => ServeError::Other { address, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_fit_everywhere_are_never_fragmented() {
        for address in ["127.0.0.1:0", "[::1]:0"].map(|address| address.parse::<SocketAddr>().unwrap()) {
            for (udp_payload, is_whole) in [(WHOLE_PAYLOAD, true), (WHOLE_PAYLOAD + 1, false)] {
                let sockets = open(address, 1, udp_payload).unwrap();
                let is_forbidden = if address.is_ipv4() {
                    sockopt::ip_mtu_discover(&sockets.udp[0]).unwrap() == Ipv4PathMtuDiscovery::PROBE
                } else {
                    sockopt::ipv6_mtu_discover(&sockets.udp[0]).unwrap() == Ipv6PathMtuDiscovery::PROBE
                };
                assert_eq!(is_forbidden, is_whole, "{address} {udp_payload}");
            }
        }
    }
}
