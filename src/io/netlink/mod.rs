//! The kernel's links, IPv6 addresses and default routes, as small values (rtnetlink(7)).
//!
//! [`Netlink`] asks and orders, one request at a time or many in one go; the kernel answers at once. [`Watch`] is told
//! of changes: it is a doorbell with a label, and whoever needs to know reads the whole truth again with [`Netlink`].
//! What is forwarded where is a matter of its own: [`forwarder`](super::forwarder).

mod batch;
mod read;
mod watch;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;

pub(in crate::io) use self::batch::Order;
pub use self::read::{Address, DefaultRoute, Link};
pub use self::watch::{Change, Watch};
use crate::base::address::InterfaceIndex;

/// More than the kernel puts into one datagram of a dump.
const BUFFER: usize = 64 * 1_024;
/// A lifetime that never ends.
const FOREVER: u32 = u32::MAX;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket.
    #[error("netlink: {what}: {source}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel said no.
    #[error("netlink: {request}: {}", io::Error::from(*errno))]
    Refused {
        /// What was asked.
        request: Request,
        /// Why not.
        errno: Errno,
    },
    /// An answer that could not be read.
    #[error("netlink: {request}: the kernel's answer cannot be read: {why}")]
    Malformed {
        /// What was asked.
        request: Request,
        /// What is wrong with it.
        why: String,
    },
}

/// What can be asked; only for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The link of one name.
    Link,
    /// All IPv6 addresses.
    Addresses,
    /// IPv6 routes.
    Routes,
    /// Next hops and their groups.
    NextHops,
    /// Buckets of resilient groups.
    Buckets,
    /// The policy rules.
    Rules,
    /// The neighbours of an interface.
    Neighbors,
    /// A new address.
    AddAddress(Ipv6Addr),
    /// An address less.
    DeleteAddress(Ipv6Addr),
    /// A link administratively up.
    BringUp(InterfaceIndex),
    /// This in the forwarding table, new or other than before.
    Put(Entry),
    /// This in the forwarding table no more.
    Remove(Entry),
}

/// What the forwarding table is made of; only for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The next hop of this number.
    NextHop(u32),
    /// The group of next hops of this number.
    Group(u32),
    /// The neighbour of this address.
    Neighbor(Ipv6Addr),
    /// The route to this address.
    Route(Ipv6Addr),
    /// The policy rule for this address.
    Rule(Ipv6Addr),
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextHop(id) => write!(formatter, "next hop {id}"),
            Self::Group(id) => write!(formatter, "next hop group {id}"),
            Self::Neighbor(address) => write!(formatter, "neighbour {address}"),
            Self::Route(address) => write!(formatter, "the route to {address}"),
            Self::Rule(address) => write!(formatter, "the rule for {address}"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => formatter.write_str("reading a link"),
            Self::Addresses => formatter.write_str("reading the addresses"),
            Self::Routes => formatter.write_str("reading the routes"),
            Self::NextHops => formatter.write_str("reading the next hops"),
            Self::Buckets => formatter.write_str("reading the buckets of resilient groups"),
            Self::Rules => formatter.write_str("reading the policy rules"),
            Self::Neighbors => formatter.write_str("reading the neighbours"),
            Self::AddAddress(address) => write!(formatter, "adding {address}"),
            Self::DeleteAddress(address) => write!(formatter, "deleting {address}"),
            Self::BringUp(index) => write!(formatter, "bringing interface {} up", index.0),
            Self::Put(entry) => write!(formatter, "setting {entry}"),
            Self::Remove(entry) => write!(formatter, "removing {entry}"),
        }
    }
}

/// A socket for requests.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens it; needs no privileges until something is to be changed.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = open(&[])?;
        // Kernels before 4.20 cannot filter; what they send too much is left out here.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// The link of this name, if there is one.
    ///
    /// # Errors
    /// See [`NetlinkError`].
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let mut found = None;
        let asked = self.ask(Request::Link, RouteNetlinkMessage::GetLink(message), NLM_F_ACK, |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                found = Some(read::link(&link));
            }
        });
        match asked {
            Ok(()) => Ok(found),
            Err(NetlinkError::Refused { errno: Errno::NODEV, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All IPv6 addresses of all interfaces.
    ///
    /// # Errors
    /// See [`NetlinkError`].
    pub fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        let mut found = Vec::new();
        self.ask(Request::Addresses, RouteNetlinkMessage::GetAddress(message), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(address) = answer {
                found.extend(read::address(&address));
            }
        })?;
        Ok(found)
    }

    /// The default routes of the main table that lead out of one interface.
    ///
    /// # Errors
    /// See [`NetlinkError`].
    pub fn default_routes(&mut self, index: InterfaceIndex) -> Result<Vec<DefaultRoute>, NetlinkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet6;
        // The kernel leaves out the rest, of which there can be a whole Internet.
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(RouteAttribute::Oif(index.0));
        let mut found = Vec::new();
        self.ask(Request::Routes, RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                read::default_routes(&route, &mut found);
            }
        })?;
        found.retain(|route| route.index == index);
        Ok(found)
    }

    /// Puts a `/128` on an interface: valid forever, never tentative, never chosen as a source, marked with `origin`.
    ///
    /// # Errors
    /// See [`NetlinkError`]; EEXIST when the interface has the address.
    pub fn add_service_address(&mut self, index: InterfaceIndex, address: Ipv6Addr, origin: u8) -> Result<(), NetlinkError> {
        let mut message = address_message(index, address);
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_preferred = 0;
        lifetime.ifa_valid = FOREVER;
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(origin)));
        let message = RouteNetlinkMessage::NewAddress(message);
        self.ask(Request::AddAddress(address), message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |_| {})
    }

    /// Takes a `/128` off an interface.
    ///
    /// # Errors
    /// See [`NetlinkError`]; EADDRNOTAVAIL when the interface does not have it.
    pub fn delete_service_address(&mut self, index: InterfaceIndex, address: Ipv6Addr) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelAddress(address_message(index, address));
        self.ask(Request::DeleteAddress(address), message, NLM_F_ACK, |_| {})
    }

    /// Brings an interface administratively up.
    ///
    /// # Errors
    /// See [`NetlinkError`].
    pub fn bring_up(&mut self, index: InterfaceIndex) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index.0;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.ask(Request::BringUp(index), RouteNetlinkMessage::SetLink(message), NLM_F_ACK, |_| {})
    }

    fn receive(&mut self) -> Result<(), NetlinkError> {
        loop {
            self.buffer.clear();
            match self.socket.recv_from(&mut self.buffer, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(NetlinkError::Socket { what: "receiving", source }),
            }
        }
    }

    /// Sends one request and hands over every message of its answer.
    fn ask<M: NetlinkSerializable + NetlinkDeserializable>(
        &mut self,
        request: Request,
        message: M,
        flags: u16,
        mut take: impl FnMut(M),
    ) -> Result<(), NetlinkError> {
        let bytes = self.written(message, flags);
        self.send(&bytes)?;
        loop {
            self.receive()?;
            for packet in Messages::new(&self.buffer) {
                let packet: NetlinkMessage<M> = packet.map_err(|why| NetlinkError::Malformed { request, why })?;
                if packet.header.sequence_number != self.sequence {
                    continue;
                }
                match packet.payload {
                    NetlinkPayload::InnerMessage(answer) => take(answer),
                    NetlinkPayload::Done(done) => return verdict(request, done.code),
                    NetlinkPayload::Error(error) => return verdict(request, error.raw_code()),
                    _ => {}
                }
            }
        }
    }

    /// A request as it is sent, with the next sequence number.
    fn written<M: NetlinkSerializable>(&mut self, message: M, flags: u16) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        bytes
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), NetlinkError> {
        match self.socket.send_to(bytes, &SocketAddr::new(0, 0), 0) {
            Ok(_) => Ok(()),
            Err(source) => Err(NetlinkError::Socket { what: "sending", source }),
        }
    }
}

fn open(groups: &[u32]) -> Result<Socket, NetlinkError> {
    let opened = Socket::new(NETLINK_ROUTE).and_then(|mut socket| {
        socket.bind_auto()?;
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        Ok(socket)
    });
    opened.map_err(|source| NetlinkError::Socket {
        what: "opening a socket",
        source,
    })
}

/// The messages of one datagram.
struct Messages<'a, M>(&'a [u8], PhantomData<M>);

impl<'a, M> Messages<'a, M> {
    const fn new(datagram: &'a [u8]) -> Self {
        Self(datagram, PhantomData)
    }
}

impl<M: NetlinkDeserializable> Iterator for Messages<'_, M> {
    type Item = Result<NetlinkMessage<M>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = self.0.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize)?;
        let Some(message) = self.0.get(..length).filter(|message| message.len() >= 16) else {
            self.0 = &[];
            return Some(Err("a message is cut short".to_owned()));
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(NetlinkMessage::deserialize(message).map_err(|error| error.to_string()))
    }
}

/// What a netlink acknowledgement says: 0, or a negative errno.
fn verdict(request: Request, code: i32) -> Result<(), NetlinkError> {
    if code == 0 {
        return Ok(());
    }
    Err(NetlinkError::Refused {
        request,
        errno: Errno::from_raw_os_error(code.wrapping_neg()),
    })
}

fn address_message(index: InterfaceIndex, address: Ipv6Addr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.prefix_len = 128;
    message.header.scope = AddressScope::Universe;
    message.header.index = index.0;
    message.attributes.push(AddressAttribute::Local(IpAddr::V6(address)));
    message.attributes.push(AddressAttribute::Address(IpAddr::V6(address)));
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::address::LinkLayerAddress;

    #[test]
    fn the_loopback_interface_is_read() {
        let mut netlink = Netlink::open().unwrap();
        let lo = netlink.link("lo").unwrap().unwrap();
        assert_eq!((lo.name.as_str(), lo.link_layer), ("lo", LinkLayerAddress::default()));
        assert!(lo.mtu >= 1_280, "{lo:?}");
        assert_eq!(netlink.link("no-such-link").unwrap(), None);
    }

    #[test]
    fn two_requests_in_a_row_get_their_own_answers() {
        let mut netlink = Netlink::open().unwrap();
        let addresses = netlink.addresses().unwrap();
        netlink.default_routes(InterfaceIndex(1)).unwrap();
        assert_eq!(netlink.addresses().unwrap(), addresses);
    }

    #[test]
    fn a_datagram_that_is_cut_short_ends_with_an_error() {
        let cases: [(&[u8], usize); 4] = [(&[], 0), (&[1, 2], 0), (&[200, 0, 0, 0, 0, 0], 1), (&[0; 64], 1)];
        for (bytes, errors) in cases {
            let messages: Vec<_> = Messages::<RouteNetlinkMessage>::new(bytes).collect();
            assert_eq!(messages.len(), errors, "{bytes:?}");
            assert!(messages.iter().all(Result::is_err));
        }
    }
}
