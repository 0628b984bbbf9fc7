//! Whether this host has a route to somebody, as the kernel itself would look for one, and whether one of its addresses works.

use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::clock;
use crate::base::time::Timestamp;

/// What is delivered on this host is so at once.
const ROUND: Duration = Duration::from_millis(2);
/// Any will do: nothing is sent.
const PORT: u16 = 53;

/// True if a datagram of `source`, one of this host's addresses, to `destination` would be sent somewhere, and also if the
/// kernel does not tell.
///
/// Connecting a datagram socket looks the route up and sends nothing (`connect(2)`, `ipv6(7)`).
#[must_use]
pub fn leads(source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    let Ok(socket) = UdpSocket::bind((source, 0)) else {
        return true;
    };
    let is_refused = |kind| matches!(kind, ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable);
    !socket.connect((destination, PORT)).is_err_and(|error| is_refused(error.kind()))
}

/// True as soon as what is sent to `address`, one of this host's, from itself arrives; false if it does not by `limit`, or if it is not
/// here.
///
/// A new address can be bound to at once, but its route is put into the table by the kernel's work queue, some milliseconds
/// later; until then the kernel drops what is sent to it.
#[must_use]
pub fn delivers(address: Ipv6Addr, limit: Timestamp) -> bool {
    let Ok(socket) = loopback_socket(address) else {
        return false;
    };
    while clock::now() < limit {
        let sent = socket.local_addr().and_then(|own| socket.send_to(&[0], own));
        if sent.is_err() {
            thread::park_timeout(ROUND);
        } else if socket.recv_from(&mut [0]).is_ok() {
            return true;
        }
    }
    false
}

/// What it sends stays on this host: without the local route it would follow the default one, to the next server of the address.
fn loopback_socket(address: Ipv6Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0))?;
    SockRef::from(&socket).bind_device(Some(b"lo"))?;
    socket.set_read_timeout(Some(ROUND))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_host_is_known() {
        assert!(leads(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn an_address_of_this_host_works_and_another_does_not() {
        let limit = clock::now() + Duration::from_secs(5);
        assert!(delivers(Ipv6Addr::LOCALHOST, limit));
        assert!(!delivers("2001:db8::1".parse().unwrap(), limit) && clock::now() < limit);
    }

    #[test]
    fn a_source_that_this_host_does_not_have_tells_nothing() {
        assert!(leads("2001:db8::1".parse().unwrap(), Ipv6Addr::LOCALHOST));
    }
}
