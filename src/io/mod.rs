//! The only folder that touches sockets, clocks, files and the kernel.
//!
//! [`driver`] is what the herald loop runs on: it opens the [`Channel`](crate::base::machine::Channel)s that machines
//! name, sends what they ask for and hands back what comes in. [`interface`] puts the service-specific anycast address
//! (314) on this host and watches the link; [`forwarder`] makes a router deliver to several. All `unsafe` of the program is in [`sys`].

pub mod capability;
pub mod clock;
pub mod datagram;
pub mod driver;
pub mod farewell;
pub mod files;
pub mod fingerprint;
pub mod forwarder;
pub mod frame;
pub mod interface;
pub mod netlink;
mod port;
pub mod process;
mod raw;
pub mod route;
mod socket;
pub mod sockets;
pub mod sys;
pub mod threads;
mod udp;
