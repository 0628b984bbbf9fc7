//! The packets of OSPF for IPv6 (RFC 5340 appendix A.3) with their checksum (A.3.1) or authentication trailer (RFC 7166).
//!
//! A [`Packet`] that was parsed has lengths that fit and a body that can be emitted again as it was. LSAs are in `lsa`, their
//! checksum in `fletcher`, the trailer in `authentication`. Not here: whether a packet fits the interface, or a neighbour's
//! state; that is for the machine. A signalling block (RFC 5613) is skipped.

pub mod authentication;
mod fletcher;
pub mod lsa;
mod names;
mod octets;
#[cfg(test)]
pub(super) mod tests;

use std::net::Ipv6Addr;

pub use authentication::{Algorithm, Form, Key};
pub use lsa::{Content, Lsa, LsaHeader, LsaKey, LsaType, SequenceNumber};
pub use names::{AreaId, InterfaceId, Options, RouterId};

use crate::base::checksum;
use crate::base::machine::Datagram;
use octets::{Reader, Writer};

/// Next header of OSPF.
pub const OSPF: u8 = 89;
/// All OSPF routers on the link.
pub const ALL_SPF_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5);
/// The DR and the BDR of the link.
pub const ALL_D_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 6);
/// Octets of a packet before its body.
pub const PACKET_HEADER: usize = 16;
/// Octets of a database description before the LSA headers.
pub const DESCRIPTION_FIXED: usize = 12;
/// Octets of a requested LSA's name.
pub const REQUEST: usize = 12;
/// Octets of an update before its LSAs.
pub const UPDATE_FIXED: usize = 4;

const VERSION: u8 = 3;
const CHECKSUM: std::ops::Range<usize> = 12..14;
const HELLO: u8 = 1;
const DATABASE_DESCRIPTION: u8 = 2;
const LINK_STATE_REQUEST: u8 = 3;
const LINK_STATE_UPDATE: u8 = 4;
const LINK_STATE_ACKNOWLEDGMENT: u8 = 5;
const INIT: u8 = 4;
const MORE: u8 = 2;
const MASTER: u8 = 1;

/// A packet (A.3.1).
///
/// ```text
///  0 | version 3 | type      | length            |
///  4 | router ID                                 |
///  8 | area ID                                   |
/// 12 | checksum              | instance  | 0     |
/// 16 | body
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub router: RouterId,
    /// The area its interface is in.
    pub area: AreaId,
    /// Which of several instances on a link.
    pub instance: u8,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Type 1: the sender is there, and hears these neighbours.
    Hello(Hello),
    /// Type 2: what the sender's database holds.
    DatabaseDescription(DatabaseDescription),
    /// Type 3: LSAs that the sender wants.
    LinkStateRequest(Vec<LsaKey>),
    /// Type 4: whole LSAs.
    LinkStateUpdate(Vec<Lsa>),
    /// Type 5: these instances have arrived.
    LinkStateAcknowledgment(Vec<LsaHeader>),
}

impl Body {
    /// The packet type, 1 to 5.
    #[must_use]
    pub const fn kind(&self) -> PacketType {
        match self {
            Self::Hello(_) => PacketType::Hello,
            Self::DatabaseDescription(_) => PacketType::DatabaseDescription,
            Self::LinkStateRequest(_) => PacketType::LinkStateRequest,
            Self::LinkStateUpdate(_) => PacketType::LinkStateUpdate,
            Self::LinkStateAcknowledgment(_) => PacketType::LinkStateAcknowledgment,
        }
    }
}

/// The type of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Type 1.
    Hello = HELLO,
    /// Type 2.
    DatabaseDescription = DATABASE_DESCRIPTION,
    /// Type 3.
    LinkStateRequest = LINK_STATE_REQUEST,
    /// Type 4.
    LinkStateUpdate = LINK_STATE_UPDATE,
    /// Type 5.
    LinkStateAcknowledgment = LINK_STATE_ACKNOWLEDGMENT,
}

/// The body of a Hello (A.3.2).
///
/// ```text
///  0 | interface ID                              |
///  4 | priority  | options (24)                  |
///  8 | hello interval, s     | dead interval, s  |
/// 12 | designated router ID                      |
/// 16 | backup designated router ID               |
/// 20 | neighbour ID ...
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sender's number of its interface.
    pub interface: InterfaceId,
    /// 0: never becomes DR.
    pub priority: u8,
    /// What it can do, and what the area is.
    pub options: Options,
    /// Seconds between its Hellos.
    pub hello_interval: u16,
    /// Seconds until a silent neighbour is dead.
    pub dead_interval: u16,
    /// Whom it takes for DR; 0: nobody.
    pub designated_router: RouterId,
    /// Whom it takes for BDR; 0: nobody.
    pub backup_designated_router: RouterId,
    /// Whom it has heard of lately.
    pub neighbors: Vec<RouterId>,
}

/// The body of a database description (A.3.3).
///
/// ```text
///  0 | 0         | options (24)                  |
///  4 | interface MTU         | 0     | 0 0 0 0 0 I M MS |
///  8 | sequence number                           |
/// 12 | LSA header ...
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseDescription {
    /// What the sender can do.
    pub options: Options,
    /// The MTU of its interface.
    pub mtu: u16,
    /// I: the first of the exchange.
    pub init: bool,
    /// M: more follow.
    pub more: bool,
    /// MS: the sender is the master.
    pub master: bool,
    /// Counted by the master.
    pub sequence: u32,
    /// Some of what the sender has.
    pub headers: Vec<LsaHeader>,
}

/// A packet that came in, and the sequence number of its trailer if a key was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The packet.
    pub packet: Packet,
    /// Must grow from packet to packet of a type.
    pub sequence: Option<u64>,
    /// How its sender ends the key, if a key was asked for.
    pub form: Option<Form>,
}

/// Why octets are no packet that can be believed. Each cause is counted under its [`name`](Malformed::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed part of its type.
    #[error("{0} octets are too few")]
    Short(usize),
    /// Another version: 2 is OSPF for IPv4.
    #[error("version {0} instead of 3")]
    Version(u8),
    /// Not one of the five types.
    #[error("packet type {0} is not known")]
    Type(u8),
    /// The length in the header is less than the header, or more than arrived.
    #[error("a length of {length} in a packet of {arrived} octets")]
    Length {
        /// As the header says.
        length: u16,
        /// Octets that arrived.
        arrived: usize,
    },
    /// Not from a link-local address.
    #[error("sent from {0}, which is not link-local")]
    Source(Ipv6Addr),
    /// Damaged.
    #[error("wrong checksum")]
    Checksum,
    /// Octets after the last whole item of the body.
    #[error("{0} octets after the end of the body")]
    Trailing(usize),
    /// A hello interval of 0, or a dead interval that is not longer.
    #[error("hello interval {hello} s and dead interval {dead} s")]
    Intervals {
        /// As received.
        hello: u16,
        /// As received.
        dead: u16,
    },
    /// Router ID 0.0.0.0.
    #[error("router ID 0.0.0.0")]
    RouterId,
    /// An LSA that is shorter than its header, or longer than the packet.
    #[error("an LSA of {0} octets")]
    LsaLength(u16),
    /// The sender authenticates its packets, and no key is configured here.
    #[error("the packet is authenticated, and no key is configured here")]
    Authenticated,
    /// A key is configured here, and the packet has no trailer.
    #[error("the packet is not authenticated")]
    Unauthenticated,
    /// Made with another key, by its number.
    #[error("key {0} is not the one that is configured")]
    KeyId(u16),
    /// A digest of another length, so of another algorithm.
    #[error("a digest of {0} octets is of another algorithm")]
    DigestLength(usize),
    /// Made with another key of the same number, or changed on the way.
    #[error("wrong digest")]
    Digest,
}

impl Malformed {
    /// The name under which the cause is counted.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Short(_) => "short",
            Self::Version(_) => "version",
            Self::Type(_) => "type",
            Self::Length { .. } => "length",
            Self::Source(_) => "source",
            Self::Checksum => "checksum",
            Self::Trailing(_) => "trailing",
            Self::Intervals { .. } => "intervals",
            Self::RouterId => "router-id",
            Self::LsaLength(_) => "lsa-length",
            Self::Authenticated => "authenticated",
            Self::Unauthenticated => "unauthenticated",
            Self::KeyId(_) => "key-id",
            Self::DigestLength(_) => "digest-length",
            Self::Digest => "digest",
        }
    }

    /// True if sender and receiver disagree about authentication: a matter of configuration, to be told to the operator.
    #[must_use]
    pub const fn is_of_authentication(&self) -> bool {
        matches!(
            self,
            Self::Authenticated | Self::Unauthenticated | Self::KeyId(_) | Self::DigestLength(_) | Self::Digest
        )
    }
}

impl Packet {
    /// Reads a packet: with a `key` its trailer has to be right, else its checksum.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn parse(datagram: &Datagram<'_>, key: Option<&Key>) -> Result<Received, Malformed> {
        let octets = datagram.payload;
        let mut reader = Reader::new(octets);
        let (version, kind) = (reader.u8()?, reader.u8()?);
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let length = reader.u16()?;
        let arrived = octets.len();
        let (Some(packet), true) = (octets.get(..usize::from(length)), usize::from(length) >= PACKET_HEADER) else {
            return Err(Malformed::Length { length, arrived });
        };
        if !crate::base::address::is_link_local(datagram.source) {
            return Err(Malformed::Source(datagram.source));
        }
        let trailer = match key {
            Some(key) => Some(key.verify(octets, usize::from(length), datagram.source)?),
            None => {
                let sum = checksum::upper_layer(datagram.source, datagram.destination, OSPF, packet);
                match sum {
                    0 => None,
                    _ if authentication::is_trailer(&octets[usize::from(length)..]) => return Err(Malformed::Authenticated),
                    _ => return Err(Malformed::Checksum),
                }
            }
        };
        let packet = Self::parse_content(kind, &packet[4..])?;
        let (sequence, form) = trailer.unzip();
        Ok(Received { packet, sequence, form })
    }

    fn parse_content(kind: u8, octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        let (router, area) = (RouterId(reader.u32()?), AreaId(reader.u32()?));
        let (_checksum, instance, _zero) = (reader.u16()?, reader.u8()?, reader.u8()?);
        if router == RouterId::NONE {
            return Err(Malformed::RouterId);
        }
        let body = match kind {
            HELLO => Body::Hello(Hello::parse(&mut reader)?),
            DATABASE_DESCRIPTION => Body::DatabaseDescription(DatabaseDescription::parse(&mut reader)?),
            LINK_STATE_REQUEST => Body::LinkStateRequest(parse_requests(&mut reader)?),
            LINK_STATE_UPDATE => Body::LinkStateUpdate(parse_update(&mut reader)?),
            LINK_STATE_ACKNOWLEDGMENT => Body::LinkStateAcknowledgment(LsaHeader::parse_all(&mut reader)?),
            other => return Err(Malformed::Type(other)),
        };
        match reader.left() {
            0 => Ok(Self {
                router,
                area,
                instance,
                body,
            }),
            left => Err(Malformed::Trailing(left)),
        }
    }

    /// Writes the packet for the way from `source` to `destination`, with a checksum, or with a key and a sequence number
    /// with a trailer instead.
    #[must_use]
    pub fn emit(&self, source: Ipv6Addr, destination: Ipv6Addr, seal: Option<(&Key, u64)>) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(VERSION);
        writer.u8(self.body.kind() as u8);
        writer.u16(0);
        writer.u32(self.router.0);
        writer.u32(self.area.0);
        writer.u16(0);
        writer.u8(self.instance);
        writer.u8(0);
        match &self.body {
            Body::Hello(hello) => hello.emit(&mut writer),
            Body::DatabaseDescription(description) => description.emit(&mut writer),
            Body::LinkStateRequest(keys) => keys.iter().for_each(|key| emit_request(*key, &mut writer)),
            Body::LinkStateUpdate(lsas) => {
                writer.u32(u32::try_from(lsas.len()).unwrap_or(u32::MAX));
                lsas.iter().for_each(|lsa| lsa.emit(&mut writer));
            }
            Body::LinkStateAcknowledgment(headers) => headers.iter().for_each(|header| header.emit(&mut writer)),
        }
        let mut octets = writer.0;
        let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        match seal {
            Some((key, sequence)) => key.seal(&mut octets, sequence, source),
            None => {
                let sum = checksum::upper_layer(source, destination, OSPF, &octets);
                octets[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
            }
        }
        octets
    }
}

impl Hello {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let interface = InterfaceId(reader.u32()?);
        let (priority, options) = (reader.u8()?, Options::new(reader.u24()?));
        let (hello, dead) = (reader.u16()?, reader.u16()?);
        if hello == 0 || dead <= hello {
            return Err(Malformed::Intervals { hello, dead });
        }
        let (designated_router, backup_designated_router) = (RouterId(reader.u32()?), RouterId(reader.u32()?));
        let mut neighbors = Vec::with_capacity(reader.left() / 4);
        while reader.left() >= 4 {
            neighbors.push(RouterId(reader.u32()?));
        }
        Ok(Self {
            interface,
            priority,
            options,
            hello_interval: hello,
            dead_interval: dead,
            designated_router,
            backup_designated_router,
            neighbors,
        })
    }

    fn emit(&self, writer: &mut Writer) {
        writer.u32(self.interface.0);
        writer.u8(self.priority);
        writer.u24(self.options.bits());
        writer.u16(self.hello_interval);
        writer.u16(self.dead_interval);
        writer.u32(self.designated_router.0);
        writer.u32(self.backup_designated_router.0);
        self.neighbors.iter().for_each(|neighbor| writer.u32(neighbor.0));
    }
}

impl DatabaseDescription {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (_zero, options, mtu) = (reader.u8()?, Options::new(reader.u24()?), reader.u16()?);
        let (_zero, flags, sequence) = (reader.u8()?, reader.u8()?, reader.u32()?);
        Ok(Self {
            options,
            mtu,
            init: flags & INIT != 0,
            more: flags & MORE != 0,
            master: flags & MASTER != 0,
            sequence,
            headers: LsaHeader::parse_all(reader)?,
        })
    }

    fn emit(&self, writer: &mut Writer) {
        let flag = |set, flag| if set { flag } else { 0 };
        writer.u8(0);
        writer.u24(self.options.bits());
        writer.u16(self.mtu);
        writer.u8(0);
        writer.u8(flag(self.init, INIT) | flag(self.more, MORE) | flag(self.master, MASTER));
        writer.u32(self.sequence);
        self.headers.iter().for_each(|header| header.emit(writer));
    }
}

/// The body of a link state request (A.3.4): 0 (16), type (16), link state ID, advertising router; again and again.
fn parse_requests(reader: &mut Reader<'_>) -> Result<Vec<LsaKey>, Malformed> {
    let mut keys = Vec::with_capacity(reader.left() / REQUEST);
    while reader.left() >= REQUEST {
        let _zero = reader.u16()?;
        keys.push(LsaKey::parse(reader)?);
    }
    Ok(keys)
}

fn emit_request(key: LsaKey, writer: &mut Writer) {
    writer.u16(0);
    key.emit(writer);
}

/// The body of a link state update (A.3.5): how many, and the LSAs.
fn parse_update(reader: &mut Reader<'_>) -> Result<Vec<Lsa>, Malformed> {
    let count = reader.u32()? as usize;
    let mut lsas = Vec::with_capacity(count.min(reader.left() / lsa::HEADER));
    for _ in 0..count {
        lsas.push(Lsa::parse(reader)?);
    }
    Ok(lsas)
}
