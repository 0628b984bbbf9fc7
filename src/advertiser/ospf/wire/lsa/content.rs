//! What the bodies of LSAs mean (RFC 5340 A.4.3 to A.4.10): those that a host originates, and Network-LSAs.
//!
//! Prefixes are masked when they are read; counts and lengths must fit to the octet, as the routers demand of us too.

use std::net::Ipv6Addr;

use super::LsaType;
use crate::advertiser::ospf::wire::Malformed;
use crate::advertiser::ospf::wire::names::{InterfaceId, Options, RouterId};
use crate::advertiser::ospf::wire::octets::{Reader, Writer};

const EXTERNAL_TYPE_2: u8 = 4;
const EXTERNAL_FORWARDING: u8 = 2;
const EXTERNAL_TAG: u8 = 1;

/// What an LSA says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A router's links.
    Router(Router),
    /// The routers on a link.
    Network(Network),
    /// A router's addresses on a link.
    Link(LinkLsa),
    /// A router's prefixes.
    IntraAreaPrefix(IntraAreaPrefix),
    /// A route to elsewhere: AS-External and NSSA.
    External(External),
    /// A type that is not looked into.
    Opaque(Vec<u8>),
}

/// Why the body of an LSA cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misformed {
    /// It ends too early.
    #[error("the body ends too early")]
    Short,
    /// Octets are left over.
    #[error("{0} octets too many")]
    Trailing(usize),
    /// A prefix longer than an address.
    #[error("a prefix length of {0}")]
    PrefixLength(u8),
}

impl From<Malformed> for Misformed {
    fn from(_: Malformed) -> Self {
        Self::Short
    }
}

/// A Router-LSA (A.4.3): flags (8), options (24), then 16 octets for each link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// 1 border of areas, 2 border of the AS, 4 end of a virtual link, 16 translates NSSA-LSAs.
    pub flags: u8,
    /// What the router can do.
    pub options: Options,
    /// Its links.
    pub links: Vec<Link>,
}

impl Router {
    /// Flag E: a border of the autonomous system, whose AS-External-LSAs count.
    pub const AS_BOUNDARY: u8 = 2;
}

/// One link of a Router-LSA: type (8), 0 (8), metric (16), interface ID, neighbour's interface ID, neighbour's router ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// 1 point-to-point, 2 to a link with a DR, 4 virtual.
    pub kind: u8,
    /// The cost of leaving through it.
    pub metric: u16,
    /// The router's own interface.
    pub interface: InterfaceId,
    /// The neighbour's (or the DR's) interface.
    pub neighbor_interface: InterfaceId,
    /// The neighbour (or the DR).
    pub neighbor: RouterId,
}

impl Link {
    /// To another router.
    pub const POINT_TO_POINT: u8 = 1;
    /// To a link with a DR.
    pub const TRANSIT: u8 = 2;
}

/// A Network-LSA (A.4.4): 0 (8), options (24), then the attached routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// What all of them can do.
    pub options: Options,
    /// The DR and those that are adjacent to it.
    pub attached: Vec<RouterId>,
}

/// A Link-LSA (A.4.9): priority (8), options (24), link-local address, number of prefixes, prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkLsa {
    /// The router's priority on the link.
    pub priority: u8,
    /// What the router can do.
    pub options: Options,
    /// Where packets for it are sent: the next hop.
    pub link_local: Ipv6Addr,
    /// Prefixes of the link.
    pub prefixes: Vec<Prefix>,
}

/// A prefix (A.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    length: u8,
    /// 1 no unicast, 2 local address, 8 propagate (NSSA).
    pub options: u8,
    address: Ipv6Addr,
}

impl Prefix {
    /// Option LA: an address of the router itself.
    pub const LOCAL_ADDRESS: u8 = 2;
    /// Option P: to be told outside of the NSSA.
    pub const PROPAGATE: u8 = 8;

    /// The first `length` bits of an address; none for a length above 128.
    #[must_use]
    pub fn new(address: Ipv6Addr, length: u8, options: u8) -> Option<Self> {
        let mask = match length {
            0 => 0,
            1..=128 => u128::MAX << (128 - length),
            _ => return None,
        };
        Some(Self {
            length,
            options,
            address: Ipv6Addr::from(u128::from(address) & mask),
        })
    }

    /// A single address.
    #[must_use]
    pub const fn host(address: Ipv6Addr, options: u8) -> Self {
        Self {
            length: 128,
            options,
            address,
        }
    }

    /// The address, if it is a single one.
    #[must_use]
    pub fn as_host(&self) -> Option<Ipv6Addr> {
        (self.length == 128).then_some(self.address)
    }
}

/// A prefix and what it costs to get there from its router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixCost {
    /// The prefix.
    pub prefix: Prefix,
    /// The cost.
    pub metric: u16,
}

/// An Intra-Area-Prefix-LSA (A.4.10): number of prefixes (16), the LSA they belong to, prefixes with a metric each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntraAreaPrefix {
    /// Whose prefixes they are.
    pub attached_to: Attachment,
    /// The prefixes.
    pub prefixes: Vec<PrefixCost>,
}

/// The LSA that prefixes belong to: a Router-LSA or a Network-LSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its type.
    pub kind: LsaType,
    /// Its link state ID.
    pub id: u32,
    /// Its router.
    pub router: RouterId,
}

/// An AS-External-LSA or NSSA-LSA (A.4.7, A.4.8): flags E F T (8), metric (24), prefix with a referenced type (16), then what
/// the flags and that type say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct External {
    /// E: a metric of another kind, that counts before the cost inside.
    pub type_2: bool,
    /// The cost, 24 bits; all ones: unreachable.
    pub metric: u32,
    /// Where to.
    pub prefix: Prefix,
    /// Whom to send to instead of the advertising router.
    pub forwarding: Option<Ipv6Addr>,
    /// A number for whoever understands it.
    pub tag: Option<u32>,
    /// An LSA that says more: its type and link state ID.
    pub referenced: Option<(LsaType, u32)>,
}

impl Content {
    pub(super) fn parse(kind: LsaType, octets: &[u8]) -> Result<Self, Misformed> {
        let mut reader = Reader::new(octets);
        let content = match kind {
            LsaType::ROUTER => Self::Router(Router::parse(&mut reader)?),
            LsaType::NETWORK => Self::Network(Network::parse(&mut reader)?),
            LsaType::LINK => Self::Link(LinkLsa::parse(&mut reader)?),
            LsaType::INTRA_AREA_PREFIX => Self::IntraAreaPrefix(IntraAreaPrefix::parse(&mut reader)?),
            LsaType::AS_EXTERNAL | LsaType::NSSA => Self::External(External::parse(&mut reader)?),
            LsaType(_) => return Ok(Self::Opaque(octets.to_vec())),
        };
        match reader.left() {
            0 => Ok(content),
            left => Err(Misformed::Trailing(left)),
        }
    }

    pub(super) fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Router(router) => router.emit(&mut writer),
            Self::Network(network) => network.emit(&mut writer),
            Self::Link(link) => link.emit(&mut writer),
            Self::IntraAreaPrefix(prefixes) => prefixes.emit(&mut writer),
            Self::External(external) => external.emit(&mut writer),
            Self::Opaque(octets) => writer.bytes(octets),
        }
        writer.0
    }
}

impl Router {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Misformed> {
        let (flags, options) = (reader.u8()?, Options::new(reader.u24()?));
        let mut links = Vec::with_capacity(reader.left() / 16);
        while reader.left() > 0 {
            let (kind, _zero, metric) = (reader.u8()?, reader.u8()?, reader.u16()?);
            links.push(Link {
                kind,
                metric,
                interface: InterfaceId(reader.u32()?),
                neighbor_interface: InterfaceId(reader.u32()?),
                neighbor: RouterId(reader.u32()?),
            });
        }
        Ok(Self { flags, options, links })
    }

    fn emit(&self, writer: &mut Writer) {
        writer.u8(self.flags);
        writer.u24(self.options.bits());
        for link in &self.links {
            writer.u8(link.kind);
            writer.u8(0);
            writer.u16(link.metric);
            writer.u32(link.interface.0);
            writer.u32(link.neighbor_interface.0);
            writer.u32(link.neighbor.0);
        }
    }
}

impl Network {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Misformed> {
        let (_zero, options) = (reader.u8()?, Options::new(reader.u24()?));
        let mut attached = Vec::with_capacity(reader.left() / 4);
        while reader.left() > 0 {
            attached.push(RouterId(reader.u32()?));
        }
        Ok(Self { options, attached })
    }

    fn emit(&self, writer: &mut Writer) {
        writer.u8(0);
        writer.u24(self.options.bits());
        self.attached.iter().for_each(|router| writer.u32(router.0));
    }
}

impl LinkLsa {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Misformed> {
        let (priority, options) = (reader.u8()?, Options::new(reader.u24()?));
        let (link_local, count) = (Ipv6Addr::from(reader.array::<16>()?), reader.u32()?);
        let mut prefixes = Vec::new();
        for _ in 0..count {
            prefixes.push(Prefix::parse(reader)?.0);
        }
        Ok(Self {
            priority,
            options,
            link_local,
            prefixes,
        })
    }

    fn emit(&self, writer: &mut Writer) {
        writer.u8(self.priority);
        writer.u24(self.options.bits());
        writer.bytes(&self.link_local.octets());
        writer.u32(u32::try_from(self.prefixes.len()).unwrap_or(u32::MAX));
        self.prefixes.iter().for_each(|prefix| prefix.emit(0, writer));
    }
}

impl Prefix {
    /// The prefix, and the 16 bits that mean something else in each type.
    fn parse(reader: &mut Reader<'_>) -> Result<(Self, u16), Misformed> {
        let (length, options, number) = (reader.u8()?, reader.u8()?, reader.u16()?);
        if length > 128 {
            return Err(Misformed::PrefixLength(length));
        }
        let given = reader.take(usize::from(length).div_ceil(32) * 4)?;
        let mut octets = [0; 16];
        octets[..given.len()].copy_from_slice(given);
        let prefix = Self::new(octets.into(), length, options).ok_or(Misformed::PrefixLength(length))?;
        Ok((prefix, number))
    }

    fn emit(&self, number: u16, writer: &mut Writer) {
        writer.u8(self.length);
        writer.u8(self.options);
        writer.u16(number);
        writer.bytes(&self.address.octets()[..usize::from(self.length).div_ceil(32) * 4]);
    }
}

impl IntraAreaPrefix {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Misformed> {
        let count = reader.u16()?;
        let attached_to = Attachment {
            kind: LsaType(reader.u16()?),
            id: reader.u32()?,
            router: RouterId(reader.u32()?),
        };
        let mut prefixes = Vec::new();
        for _ in 0..count {
            let (prefix, metric) = Prefix::parse(reader)?;
            prefixes.push(PrefixCost { prefix, metric });
        }
        Ok(Self { attached_to, prefixes })
    }

    fn emit(&self, writer: &mut Writer) {
        writer.u16(u16::try_from(self.prefixes.len()).unwrap_or(u16::MAX));
        writer.u16(self.attached_to.kind.0);
        writer.u32(self.attached_to.id);
        writer.u32(self.attached_to.router.0);
        for one in &self.prefixes {
            one.prefix.emit(one.metric, writer);
        }
    }
}

impl External {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Misformed> {
        let (flags, metric) = (reader.u8()?, reader.u24()?);
        let (prefix, referenced) = Prefix::parse(reader)?;
        let forwarding = (flags & EXTERNAL_FORWARDING != 0).then(|| reader.array::<16>()).transpose()?;
        let tag = (flags & EXTERNAL_TAG != 0).then(|| reader.u32()).transpose()?;
        let referenced = (referenced != 0)
            .then(|| reader.u32().map(|id| (LsaType(referenced), id)))
            .transpose()?;
        Ok(Self {
            type_2: flags & EXTERNAL_TYPE_2 != 0,
            metric,
            prefix,
            forwarding: forwarding.map(Ipv6Addr::from),
            tag,
            referenced,
        })
    }

    fn emit(&self, writer: &mut Writer) {
        let flag = |set, flag| if set { flag } else { 0 };
        writer.u8(flag(self.type_2, EXTERNAL_TYPE_2)
            | flag(self.forwarding.is_some(), EXTERNAL_FORWARDING)
            | flag(self.tag.is_some(), EXTERNAL_TAG));
        writer.u24(self.metric);
        self.prefix.emit(self.referenced.map_or(0, |(kind, _)| kind.0), writer);
        if let Some(forwarding) = self.forwarding {
            writer.bytes(&forwarding.octets());
        }
        if let Some(tag) = self.tag {
            writer.u32(tag);
        }
        if let Some((_, id)) = self.referenced {
            writer.u32(id);
        }
    }
}
