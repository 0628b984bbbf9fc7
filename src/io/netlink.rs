//! The kernel's links, IPv6 addresses and default routes, as small values (rtnetlink(7)).
//!
//! [`Netlink`] asks and orders, one request at a time; the kernel answers at once. [`Watch`] is told of changes: it is a
//! doorbell with a label, and whoever needs to know reads the whole truth again with [`Netlink`].

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::libc;
use rustix::io::Errno;

use crate::base::address::{InterfaceIndex, LinkLayerAddress};

/// More than the kernel puts into one datagram of a dump.
const BUFFER: usize = 64 * 1_024;
/// Datagrams of changes that are read in one go.
const BUDGET: usize = 64;
/// A lifetime that never ends.
const FOREVER: u32 = u32::MAX;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub index: InterfaceIndex,
    /// Its name now.
    pub name: String,
    /// Its link-layer address; zero for one that has none of six octets.
    pub link_layer: LinkLayerAddress,
    /// Its MTU in octets.
    pub mtu: u32,
    /// Administratively up, with carrier, and not waiting for anything (802.1X).
    pub up: bool,
}

/// An IPv6 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub index: InterfaceIndex,
    /// The address.
    pub address: Ipv6Addr,
    /// Length of its prefix.
    pub prefix_length: u8,
    /// Duplicate address detection is not going on and has not failed.
    pub usable: bool,
    /// Who put it there (`IFA_PROTO`): 0 for not said, 1 to 3 for the kernel. Kernels before 5.18 do not keep it.
    pub origin: u8,
}

/// A default route of the main table, or one next hop of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The router; `None` for a route that only names an interface.
    pub gateway: Option<Ipv6Addr>,
    /// The interface.
    pub index: InterfaceIndex,
    /// The metric: lower ones come first.
    pub metric: u32,
}

/// Something the kernel told without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A link is there or looks different.
    Link(Link),
    /// A link is gone.
    LinkGone(Link),
    /// An address is there or looks different.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// Something was missed or not understood: anything can have changed.
    Unknown,
}

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
    /// All IPv6 routes.
    Routes,
    /// A new address.
    AddAddress(Ipv6Addr),
    /// An address less.
    DeleteAddress(Ipv6Addr),
    /// A link administratively up.
    BringUp(InterfaceIndex),
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => formatter.write_str("reading a link"),
            Self::Addresses => formatter.write_str("reading the addresses"),
            Self::Routes => formatter.write_str("reading the routes"),
            Self::AddAddress(address) => write!(formatter, "adding {address}"),
            Self::DeleteAddress(address) => write!(formatter, "deleting {address}"),
            Self::BringUp(index) => write!(formatter, "bringing interface {} up", index.0),
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
                found = Some(read_link(&link));
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
                found.extend(read_address(&address));
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
                read_default_routes(&route, &mut found);
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
    fn ask(
        &mut self,
        request: Request,
        message: RouteNetlinkMessage,
        flags: u16,
        mut take: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket
            .send_to(&bytes, &SocketAddr::new(0, 0), 0)
            .map_err(|source| NetlinkError::Socket { what: "sending", source })?;
        loop {
            self.receive()?;
            for packet in Messages(&self.buffer) {
                let packet = packet.map_err(|why| NetlinkError::Malformed { request, why })?;
                if packet.header.sequence_number != self.sequence {
                    continue;
                }
                match packet.payload {
                    NetlinkPayload::InnerMessage(answer) => take(answer),
                    NetlinkPayload::Done(done) => return verdict(request, done.code),
                    NetlinkPayload::Error(error) => return verdict(request, error.code.map_or(0, |code| code.get())),
                    _ => {}
                }
            }
        }
    }
}

/// A socket that is told of changes of links and IPv6 addresses. Its descriptor can be read when there is something.
pub struct Watch {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Watch {
    /// Opens it; changes from now on are told.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = open(&[libc::RTNLGRP_LINK, libc::RTNLGRP_IPV6_IFADDR])?;
        socket.set_non_blocking(true).map_err(|source| NetlinkError::Socket {
            what: "setting non-blocking",
            source,
        })?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Hands over what has changed since the last call, a bounded amount of it.
    ///
    /// # Errors
    /// The kernel's. That changes were lost is no error but [`Change::Unknown`].
    pub fn read(&mut self, mut take: impl FnMut(Change)) -> Result<(), NetlinkError> {
        for _ in 0..BUDGET {
            self.buffer.clear();
            match self.socket.recv_from(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    take(Change::Unknown);
                    continue;
                }
                Err(source) => {
                    return Err(NetlinkError::Socket {
                        what: "receiving changes",
                        source,
                    });
                }
            }
            for packet in Messages(&self.buffer) {
                take(packet.map_or(Change::Unknown, |packet| read_change(packet.payload)));
            }
        }
        Ok(())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
struct Messages<'a>(&'a [u8]);

impl Iterator for Messages<'_> {
    type Item = Result<NetlinkMessage<RouteNetlinkMessage>, String>;

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

fn read_change(payload: NetlinkPayload<RouteNetlinkMessage>) -> Change {
    let NetlinkPayload::InnerMessage(message) = payload else {
        return Change::Unknown;
    };
    match message {
        RouteNetlinkMessage::NewLink(link) => Change::Link(read_link(&link)),
        RouteNetlinkMessage::DelLink(link) => Change::LinkGone(read_link(&link)),
        RouteNetlinkMessage::NewAddress(address) => read_address(&address).map_or(Change::Unknown, Change::Address),
        RouteNetlinkMessage::DelAddress(address) => read_address(&address).map_or(Change::Unknown, Change::AddressGone),
        _ => Change::Unknown,
    }
}

fn read_link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: InterfaceIndex(message.header.index),
        name: String::new(),
        link_layer: LinkLayerAddress::default(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(octets) => link.link_layer = octets.as_slice().try_into().map(LinkLayerAddress).unwrap_or_default(),
            _ => {}
        }
    }
    link
}

fn read_address(message: &AddressMessage) -> Option<Address> {
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut local, mut remote, mut origin) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V6(address)) => local = Some(*address),
            AddressAttribute::Address(IpAddr::V6(address)) => remote = Some(*address),
            AddressAttribute::Flags(wide) => flags |= *wide,
            AddressAttribute::Protocol(protocol) => origin = u8::from(*protocol),
            _ => {}
        }
    }
    Some(Address {
        index: InterfaceIndex(message.header.index),
        // On a point-to-point interface the other one is the far end's.
        address: local.or(remote)?,
        prefix_length: message.header.prefix_len,
        usable: !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
        origin,
    })
}

fn read_default_routes(message: &RouteMessage, found: &mut Vec<DefaultRoute>) {
    let header = &message.header;
    if header.destination_prefix_length != 0 || header.table != RouteHeader::RT_TABLE_MAIN || header.kind != RouteType::Unicast {
        return;
    }
    let attributes = &message.attributes;
    let metric = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    let metric = metric.unwrap_or(0);
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(index) => found.push(DefaultRoute {
                gateway: gateway(attributes),
                index: InterfaceIndex(*index),
                metric,
            }),
            RouteAttribute::MultiPath(hops) => found.extend(hops.iter().map(|hop| DefaultRoute {
                gateway: gateway(&hop.attributes),
                index: InterfaceIndex(hop.interface_index),
                metric,
            })),
            _ => {}
        }
    }
}

fn gateway(attributes: &[RouteAttribute]) -> Option<Ipv6Addr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(*gateway),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_address_in_detection_is_not_usable() {
        let mut message = address_message(InterfaceIndex(3), "2001:db8::1".parse().unwrap());
        assert!(read_address(&message).unwrap().usable);
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Tentative));
        assert!(!read_address(&message).unwrap().usable);
        message.attributes.pop();
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Permanent | AddressFlags::Dadfailed));
        assert!(!read_address(&message).unwrap().usable);
    }

    #[test]
    fn the_near_end_of_a_point_to_point_address_is_ours() {
        let mut message = address_message(InterfaceIndex(3), "2001:db8::1".parse().unwrap());
        message.attributes[1] = AddressAttribute::Address("2001:db8::2".parse().unwrap());
        assert_eq!(read_address(&message).unwrap().address, "2001:db8::1".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn a_datagram_that_is_cut_short_ends_with_an_error() {
        let cases: [(&[u8], usize); 4] = [(&[], 0), (&[1, 2], 0), (&[200, 0, 0, 0, 0, 0], 1), (&[0; 64], 1)];
        for (bytes, errors) in cases {
            let messages: Vec<_> = Messages(bytes).collect();
            assert_eq!(messages.len(), errors, "{bytes:?}");
            assert!(messages.iter().all(Result::is_err));
        }
    }
}
