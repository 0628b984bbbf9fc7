//! The service-specific anycast address on the interface (314), and what the link looks like.
//!
//! [`AddressHolder`] puts the address on `lo`, where the kernel serves it without answering solicitations for it on the
//! link: our responder does that, so the service gates it. [`InterfaceMonitor`] reads and watches the link.

mod address;
mod groups;
mod monitor;

use std::{fs, io};

pub use address::{AddressHolder, Held, Origin, PlaceError};
pub use monitor::InterfaceMonitor;

/// True if this host forwards IPv6 packets that come in on the interface: it is a router then, and its kernel answers as one.
///
/// # Errors
/// The kernel's; "not found" for an interface that does not exist or has no IPv6.
pub fn is_forwarding(interface: &str) -> io::Result<bool> {
    if interface.contains('/') {
        return Err(io::ErrorKind::NotFound.into());
    }
    let value = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"))?;
    Ok(value.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_that_exist_can_forward() {
        assert!(is_forwarding("lo").is_ok());
        assert!(is_forwarding("no-such-link").is_err());
        assert!(is_forwarding("../conf/lo").is_err());
    }
}
