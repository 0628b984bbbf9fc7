//! The kernel's next hop messages (`linux/nexthop.h`), which netlink-packet-route does not have.
//!
//! ```text
//!  0               1               2               3
//! +---------------+---------------+---------------+---------------+
//! |    family     |     scope     |   protocol    |   reserved    |   struct nhmsg
//! +---------------+---------------+---------------+---------------+
//! |                            flags                              |   then attributes (NHA_*), all in the host's byte order
//! +---------------------------------------------------------------+
//! ```

use std::net::Ipv6Addr;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, Nla, NlaBuffer, NlasIterator, Parseable,
    parse_u16, parse_u32,
};

const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;
const RTM_GETNEXTHOP: u16 = 106;
const RTM_NEWNEXTHOPBUCKET: u16 = 116;
const RTM_GETNEXTHOPBUCKET: u16 = 118;

const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_GROUP_TYPE: u16 = 3;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_RES_GROUP: u16 = 12;
const NHA_RES_BUCKET: u16 = 13;

const NHA_RES_GROUP_BUCKETS: u16 = 1;
const NHA_RES_GROUP_IDLE_TIMER: u16 = 2;
const NHA_RES_GROUP_UNBALANCED_TIMER: u16 = 3;

const NHA_RES_BUCKET_NH_ID: u16 = 3;

/// `struct nhmsg`.
const HEADER: usize = 8;
/// `struct nexthop_grp`.
const MEMBER: usize = 8;
/// The kernel counts timers in hundredths of a second (`USER_HZ`).
const TICK: u64 = 10;

/// What is wanted with a next hop message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It is there, or shall be.
    New,
    /// It shall go.
    Delete,
    /// Which are there?
    Get,
    /// This bucket of a resilient group is there.
    NewBucket,
    /// Which buckets are there?
    GetBuckets,
}

/// A next hop, a group of them, or a bucket of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NextHopMessage {
    pub(super) verb: Verb,
    /// `AF_INET6` for a next hop, `AF_UNSPEC` for a group.
    pub(super) family: u8,
    /// Who made it (`RTPROT_*`).
    pub(super) protocol: u8,
    pub(super) attributes: Vec<NextHopAttribute>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextHopAttribute {
    /// Its number, one for next hops and groups.
    Id(u32),
    /// The members of a group.
    Group(Vec<Member>),
    /// 0: a plain group, 1: a resilient one.
    GroupType(u16),
    /// The interface it leads out of.
    Interface(u32),
    /// Whom frames go to.
    Gateway(Ipv6Addr),
    /// What only a resilient group has.
    Resilient(Vec<ResilientAttribute>),
    /// What only a bucket has: the next hop it leads to.
    BucketOf(u32),
    /// One that is of no use here.
    Other(DefaultNla),
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// The next hop.
    pub(super) id: u32,
    /// Its share, 1 to 256; the kernel's octet is one less.
    pub(super) share: u16,
}

/// What only a resilient group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResilientAttribute {
    /// How many; can only be said when the group is made.
    Buckets(u16),
    /// So many milliseconds after its last packet a bucket can be moved.
    IdleTimer(u64),
    /// After so many milliseconds with wrong shares busy buckets are moved too; 0: never.
    UnbalancedTimer(u64),
    /// One that is of no use here.
    Other(DefaultNla),
}

impl NextHopMessage {
    /// A message with the attributes to come.
    pub(super) const fn new(verb: Verb, family: u8, protocol: u8) -> Self {
        Self {
            verb,
            family,
            protocol,
            attributes: Vec::new(),
        }
    }

    /// With one attribute more.
    pub(super) fn with(mut self, attribute: NextHopAttribute) -> Self {
        self.attributes.push(attribute);
        self
    }
}

impl NetlinkSerializable for NextHopMessage {
    fn message_type(&self) -> u16 {
        match self.verb {
            Verb::New => RTM_NEWNEXTHOP,
            Verb::Delete => RTM_DELNEXTHOP,
            Verb::Get => RTM_GETNEXTHOP,
            Verb::NewBucket => RTM_NEWNEXTHOPBUCKET,
            Verb::GetBuckets => RTM_GETNEXTHOPBUCKET,
        }
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..HEADER].copy_from_slice(&[self.family, 0, self.protocol, 0, 0, 0, 0, 0]);
        self.attributes.as_slice().emit(&mut buffer[HEADER..]);
    }
}

impl NetlinkDeserializable for NextHopMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let verb = match header.message_type {
            RTM_NEWNEXTHOP => Verb::New,
            RTM_DELNEXTHOP => Verb::Delete,
            RTM_GETNEXTHOP => Verb::Get,
            RTM_NEWNEXTHOPBUCKET => Verb::NewBucket,
            RTM_GETNEXTHOPBUCKET => Verb::GetBuckets,
            other => return Err(DecodeError::from(format!("message {other} is about no next hop"))),
        };
        let Some((nhmsg, attributes)) = payload.split_first_chunk::<HEADER>() else {
            return Err(DecodeError::buffer_too_small(payload.len(), HEADER));
        };
        let mut message = Self::new(verb, nhmsg[0], nhmsg[2]);
        for attribute in NlasIterator::new(attributes) {
            message.attributes.push(NextHopAttribute::parse(&attribute?)?);
        }
        Ok(message)
    }
}

impl Nla for NextHopAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Id(_) | Self::Interface(_) => 4,
            Self::Group(members) => members.len() * MEMBER,
            Self::GroupType(_) => 2,
            Self::Gateway(_) => 16,
            Self::Resilient(attributes) => attributes.as_slice().buffer_len(),
            Self::BucketOf(_) => 8,
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Id(_) => NHA_ID,
            Self::Group(_) => NHA_GROUP,
            Self::GroupType(_) => NHA_GROUP_TYPE,
            Self::Interface(_) => NHA_OIF,
            Self::Gateway(_) => NHA_GATEWAY,
            Self::Resilient(_) => NHA_RES_GROUP,
            Self::BucketOf(_) => NHA_RES_BUCKET,
            Self::Other(other) => other.kind(),
        }
    }

    fn is_nested(&self) -> bool {
        matches!(self, Self::Resilient(_) | Self::BucketOf(_))
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Id(value) | Self::Interface(value) => buffer.copy_from_slice(&value.to_ne_bytes()),
            Self::Group(members) => {
                for (octets, member) in buffer.chunks_exact_mut(MEMBER).zip(members) {
                    let [a, b, c, d] = member.id.to_ne_bytes();
                    octets.copy_from_slice(&[a, b, c, d, weight(member.share), 0, 0, 0]);
                }
            }
            Self::GroupType(value) => buffer.copy_from_slice(&value.to_ne_bytes()),
            Self::Gateway(address) => buffer.copy_from_slice(&address.octets()),
            Self::Resilient(attributes) => attributes.as_slice().emit(buffer),
            Self::BucketOf(id) => DefaultNla::new(NHA_RES_BUCKET_NH_ID, id.to_ne_bytes().to_vec()).emit(buffer),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}

impl<'a> Parseable<NlaBuffer<&'a [u8]>> for NextHopAttribute {
    fn parse(attribute: &NlaBuffer<&'a [u8]>) -> Result<Self, DecodeError> {
        let value = attribute.value();
        Ok(match attribute.kind() {
            NHA_ID => Self::Id(parse_u32(value)?),
            NHA_GROUP => Self::Group(value.chunks_exact(MEMBER).map(read_member).collect()),
            NHA_GROUP_TYPE => Self::GroupType(parse_u16(value)?),
            NHA_OIF => Self::Interface(parse_u32(value)?),
            NHA_GATEWAY if value.len() == 16 => Self::Gateway(Ipv6Addr::from(<[u8; 16]>::try_from(value).unwrap_or_default())),
            NHA_RES_GROUP => Self::Resilient(nested(value)?),
            NHA_RES_BUCKET => return read_bucket(value),
            _ => Self::Other(DefaultNla::parse(attribute)?),
        })
    }
}

impl Nla for ResilientAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Buckets(_) => 2,
            Self::IdleTimer(_) | Self::UnbalancedTimer(_) => 4,
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Buckets(_) => NHA_RES_GROUP_BUCKETS,
            Self::IdleTimer(_) => NHA_RES_GROUP_IDLE_TIMER,
            Self::UnbalancedTimer(_) => NHA_RES_GROUP_UNBALANCED_TIMER,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Buckets(count) => buffer.copy_from_slice(&count.to_ne_bytes()),
            Self::IdleTimer(millis) | Self::UnbalancedTimer(millis) => {
                let ticks = u32::try_from(millis / TICK).unwrap_or(u32::MAX);
                buffer.copy_from_slice(&ticks.to_ne_bytes());
            }
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}

impl<'a> Parseable<NlaBuffer<&'a [u8]>> for ResilientAttribute {
    fn parse(attribute: &NlaBuffer<&'a [u8]>) -> Result<Self, DecodeError> {
        let value = attribute.value();
        Ok(match attribute.kind() {
            NHA_RES_GROUP_BUCKETS => Self::Buckets(parse_u16(value)?),
            NHA_RES_GROUP_IDLE_TIMER => Self::IdleTimer(u64::from(parse_u32(value)?) * TICK),
            NHA_RES_GROUP_UNBALANCED_TIMER => Self::UnbalancedTimer(u64::from(parse_u32(value)?) * TICK),
            _ => Self::Other(DefaultNla::parse(attribute)?),
        })
    }
}

/// The octet that stands for `share`.
fn weight(share: u16) -> u8 {
    u8::try_from(share.saturating_sub(1)).unwrap_or(u8::MAX)
}

fn read_member(octets: &[u8]) -> Member {
    let mut id = [0; 4];
    id.copy_from_slice(&octets[..4]);
    // Kernels from 6.12 on have the high octet; others leave it 0.
    let weight = u16::from_le_bytes([octets[4], octets[5]]);
    Member {
        id: u32::from_ne_bytes(id),
        share: weight.saturating_add(1),
    }
}

fn nested(octets: &[u8]) -> Result<Vec<ResilientAttribute>, DecodeError> {
    let mut attributes = Vec::new();
    for attribute in NlasIterator::new(octets) {
        attributes.push(ResilientAttribute::parse(&attribute?)?);
    }
    Ok(attributes)
}

fn read_bucket(octets: &[u8]) -> Result<NextHopAttribute, DecodeError> {
    for attribute in NlasIterator::new(octets) {
        let attribute = attribute?;
        if attribute.kind() == NHA_RES_BUCKET_NH_ID {
            return Ok(NextHopAttribute::BucketOf(parse_u32(attribute.value())?));
        }
    }
    Err(DecodeError::from("a bucket that leads nowhere"))
}
