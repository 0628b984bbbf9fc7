//! ICMPv6 type filters (RFC 3542 §3.2) and the way out of packet sockets (packet(7)).
//!
//! Not the packets themselves: those are built in `io::frame`.

use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::socket::{LinkAddr, SockaddrLike};
use rustix::io::{Errno, Result};

use crate::base::address::InterfaceIndex;

/// `ICMP6_FILTER` of linux/icmpv6.h; the libc crate does not name it.
const ICMP6_FILTER: libc::c_int = 1;

/// Lets only ICMPv6 messages of these `types` through to a raw ICMPv6 `socket`.
///
/// # Errors
/// The kernel's, if this is no raw ICMPv6 socket.
pub fn set_icmp6_filter(socket: impl AsFd, types: &[u8]) -> Result<()> {
    let filter = blocking_all_but(types);
    // SAFETY: the pointer and the length describe `filter`, which lives over the call; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_ICMPV6,
            ICMP6_FILTER,
            filter.as_ptr().cast(),
            size_of_val(&filter) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// One bit per type, set to block it; bit 0 of word 0 is type 0.
fn blocking_all_but(types: &[u8]) -> [u32; 8] {
    let mut filter = [u32::MAX; 8];
    for kind in types {
        filter[usize::from(kind >> 5)] &= !(1 << (kind & 31));
    }
    filter
}

/// Where a packet socket of type `SOCK_RAW` sends IPv6 frames: out of the interface `index`.
///
/// The kernel takes the link-layer destination from the frame itself. `None` for an index that no interface can have.
#[must_use]
pub fn link_destination(index: InterfaceIndex) -> Option<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_IPV6 as u16).to_be(),
        sll_ifindex: i32::try_from(index.0).ok()?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `address`, a whole sockaddr_ll of family AF_PACKET, which is copied.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }
}

fn last_error() -> Errno {
    Errno::from_raw_os_error(nix::errno::Errno::last_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_blocks_every_type_that_is_not_listed() {
        let filter = blocking_all_but(&[135, 136]);
        for kind in 0..=255_u8 {
            let blocked = filter[usize::from(kind / 32)] & (1 << (kind % 32)) != 0;
            assert_eq!(blocked, !matches!(kind, 135 | 136), "{kind}");
        }
    }

    #[test]
    fn only_a_raw_icmpv6_socket_takes_a_filter() {
        let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
        assert!(set_icmp6_filter(&socket, &[135]).is_err());
    }

    #[test]
    fn only_listed_types_come_through() {
        use socket2::{Domain, Protocol, Socket, Type};
        let raw = || Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6));
        let Ok(socket) = raw() else {
            assert_eq!(
                raw().unwrap_err().raw_os_error(),
                Some(libc::EPERM),
                "only a lack of privileges is an excuse"
            );
            return;
        };
        // Two types for experiments (RFC 4443 section 2.1), which no kernel answers.
        let (blocked, listed) = (200, 201);
        set_icmp6_filter(&socket, &[listed]).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let host: std::net::SocketAddr = "[::1]:0".parse().unwrap();
        for kind in [blocked, listed] {
            raw().unwrap().send_to(&[kind, 0, 0, 0, 0, 0, 0, 0], &host.into()).unwrap();
        }
        let mut first = [0];
        std::io::Read::read(&mut &socket, &mut first).unwrap();
        assert_eq!(first, [listed]);
    }

    #[test]
    fn the_way_out_is_an_interface_and_ipv6() {
        let destination = link_destination(InterfaceIndex(7)).unwrap();
        assert_eq!(destination.ifindex(), 7);
        assert_eq!(destination.protocol(), 0x86dd_u16.to_be());
        assert_eq!(link_destination(InterfaceIndex(u32::MAX)), None);
    }
}
