//! That there is one router side on a link, and not two that each remove what the other has made.
//!
//! A socket with a name that is no file: the kernel keeps such names apart by network namespaces, as it does links and routes,
//! and forgets one with its process, however that ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::ForwarderError;

/// The right to deliver on a link, until it is dropped.
pub(super) struct Sole(#[expect(dead_code, reason = "it is held, not used")] UnixDatagram);

impl Sole {
    pub(super) fn on(interface: &str) -> Result<Self, ForwarderError> {
        let name = SocketAddr::from_abstract_name(format!("heraldns router {interface}"));
        match name.and_then(|name| UnixDatagram::bind_addr(&name)) {
            Ok(socket) => Ok(Self(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(ForwarderError::NotAlone(interface.to_owned())),
            Err(source) => Err(ForwarderError::Alone {
                interface: interface.to_owned(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_one_router_side_at_a_time() {
        let first = Sole::on("heraldns-test0").unwrap();
        assert!(matches!(Sole::on("heraldns-test0"), Err(ForwarderError::NotAlone(interface)) if interface == "heraldns-test0"));
        assert!(Sole::on("heraldns-test1").is_ok());
        drop(first);
        assert!(Sole::on("heraldns-test0").is_ok());
    }
}
