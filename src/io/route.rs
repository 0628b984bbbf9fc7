//! Whether this host has a route to somebody, as the kernel itself would look for one.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, UdpSocket};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_host_is_known() {
        assert!(leads(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn a_source_that_this_host_does_not_have_tells_nothing() {
        assert!(leads("2001:db8::1".parse().unwrap(), Ipv6Addr::LOCALHOST));
    }
}
