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
const NHA_OP_FLAGS: u16 = 14;

const NHA_RES_GROUP_BUCKETS: u16 = 1;
const NHA_RES_GROUP_IDLE_TIMER: u16 = 2;
const NHA_RES_GROUP_UNBALANCED_TIMER: u16 = 3;

const NHA_RES_BUCKET_NH_ID: u16 = 3;

/// The high octet of a member's weight is one (Linux 6.12); before, it was reserved.
const NHA_OP_FLAG_RESP_GRP_RESVD_0: u32 = 1 << 31;

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
    /// What the kernel says about itself with each group.
    Flags(u32),
    /// One that is of no use here.
    Other(DefaultNla),
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// The next hop.
    pub(super) id: u32,
    /// Its share, from 1 on: up to 256, or 65,535 where [`NextHopMessage::tells_of_wide_weights`]. On the wire it is one less.
    pub(super) weight: u16,
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

    /// True for a group of a kernel whose weights have two octets.
    pub(super) fn tells_of_wide_weights(&self) -> bool {
        let is_wide = |flags: &u32| flags & NHA_OP_FLAG_RESP_GRP_RESVD_0 != 0;
        self.attributes
            .iter()
            .any(|attribute| matches!(attribute, NextHopAttribute::Flags(flags) if is_wide(flags)))
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
            Self::Id(_) | Self::Interface(_) | Self::Flags(_) => 4,
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
            Self::Flags(_) => NHA_OP_FLAGS,
            Self::Other(other) => other.kind(),
        }
    }

    fn is_nested(&self) -> bool {
        matches!(self, Self::Resilient(_) | Self::BucketOf(_))
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Id(value) | Self::Interface(value) | Self::Flags(value) => buffer.copy_from_slice(&value.to_ne_bytes()),
            Self::Group(members) => {
                for (octets, member) in buffer.chunks_exact_mut(MEMBER).zip(members) {
                    let [a, b, c, d] = member.id.to_ne_bytes();
                    let [low, high] = member.weight.saturating_sub(1).to_le_bytes();
                    octets.copy_from_slice(&[a, b, c, d, low, high, 0, 0]);
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
            NHA_OP_FLAGS => Self::Flags(parse_u32(value)?),
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

fn read_member(octets: &[u8]) -> Member {
    let mut id = [0; 4];
    id.copy_from_slice(&octets[..4]);
    Member {
        id: u32::from_ne_bytes(id),
        weight: u16::from_le_bytes([octets[4], octets[5]]).saturating_add(1),
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

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkMessage, NetlinkPayload};

    use super::*;

    /// As it goes over a socket, without the netlink header. The vectors are those of a little-endian machine.
    #[cfg(target_endian = "little")]
    fn written(message: &NextHopMessage) -> Vec<u8> {
        let mut buffer = vec![0xff; message.buffer_len()];
        message.serialize(&mut buffer);
        buffer
    }

    fn parsed(message_type: u16, payload: &[u8]) -> Result<NextHopMessage, DecodeError> {
        let mut header = NetlinkHeader::default();
        header.message_type = message_type;
        NextHopMessage::deserialize(&header, payload)
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_next_hop_is_written_as_the_kernel_reads_it() {
        let message = NextHopMessage::new(Verb::New, 10, 72)
            .with(NextHopAttribute::Id(0x0102_0304))
            .with(NextHopAttribute::Interface(7))
            .with(NextHopAttribute::Gateway("fe80::53".parse().unwrap()));
        let expected = [
            &[10, 0, 72, 0, 0, 0, 0, 0][..],
            &[8, 0, 1, 0, 4, 3, 2, 1],
            &[8, 0, 5, 0, 7, 0, 0, 0],
            &[20, 0, 6, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53],
        ];
        assert_eq!(written(&message), expected.concat());
        assert_eq!(message.message_type(), 104);
        assert_eq!(parsed(104, &expected.concat()).unwrap(), message);
    }

    /// Shares 1, 256 and 65,280 are 0, 255 and 0xfeff on the wire; 15 s are 1,500 ticks.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_resilient_group_is_written_as_the_kernel_reads_it() {
        let member = |id, weight| Member { id, weight };
        let message = NextHopMessage::new(Verb::New, 0, 72)
            .with(NextHopAttribute::Group(vec![member(1, 1), member(2, 256), member(3, 65_280)]))
            .with(NextHopAttribute::GroupType(1))
            .with(NextHopAttribute::Resilient(vec![
                ResilientAttribute::Buckets(16_384),
                ResilientAttribute::IdleTimer(15_000),
                ResilientAttribute::UnbalancedTimer(0),
            ]));
        let expected = [
            &[0, 0, 72, 0, 0, 0, 0, 0][..],
            &[28, 0, 2, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0xff, 0, 0, 0],
            &[3, 0, 0, 0, 0xff, 0xfe, 0, 0],
            &[6, 0, 3, 0, 1, 0, 0, 0],
            &[28, 0, 12, 0x80],
            &[6, 0, 1, 0, 0, 64, 0, 0],
            &[8, 0, 2, 0, 0xdc, 5, 0, 0],
            &[8, 0, 3, 0, 0, 0, 0, 0],
        ];
        assert_eq!(written(&message), expected.concat());
        assert_eq!(parsed(104, &expected.concat()).unwrap(), message);
    }

    /// What Linux 6.18 answers about a resilient group of two: its own attributes beside those it was given.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_dumped_group_is_read() {
        let dumped = [
            &[0, 0, 72, 0, 0, 0, 0, 0][..],
            &[8, 0, 1, 0, 9, 0, 0, 0],
            &[6, 0, 3, 0, 1, 0, 0, 0],
            &[20, 0, 2, 0, 1, 0, 0, 0, 1, 1, 0, 0, 2, 0, 0, 0, 0xfe, 0xff, 0, 0],
            &[40, 0, 12, 0x80, 6, 0, 1, 0, 0, 64, 0, 0, 8, 0, 2, 0, 0xdc, 5, 0, 0, 8, 0, 3, 0],
            &[0, 0, 0, 0, 12, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[8, 0, 14, 0, 0, 0, 0, 0x80],
        ];
        let message = parsed(104, &dumped.concat()).unwrap();
        assert!(message.tells_of_wide_weights());
        assert_eq!(message.attributes[0], NextHopAttribute::Id(9));
        let members = vec![Member { id: 1, weight: 258 }, Member { id: 2, weight: 65_535 }];
        assert_eq!(message.attributes[2], NextHopAttribute::Group(members));
        let NextHopAttribute::Resilient(resilient) = &message.attributes[3] else {
            panic!("{message:?}")
        };
        assert_eq!(
            resilient[..2],
            [ResilientAttribute::Buckets(16_384), ResilientAttribute::IdleTimer(15_000)]
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_bucket_is_read() {
        let dumped = [
            &[0, 0, 72, 0, 0, 0, 0, 0][..],
            &[8, 0, 1, 0, 9, 0, 0, 0],
            &[20, 0, 13, 0x80, 6, 0, 1, 0, 5, 0, 0, 0, 8, 0, 3, 0, 2, 0, 0, 0],
        ];
        let message = parsed(116, &dumped.concat()).unwrap();
        assert_eq!(message.verb, Verb::NewBucket);
        assert_eq!(message.attributes[1], NextHopAttribute::BucketOf(2));
    }

    #[test]
    fn no_bytes_panic_and_every_cut_is_an_error_or_shorter() {
        let whole = NextHopMessage::new(Verb::New, 10, 72)
            .with(NextHopAttribute::Group(vec![Member { id: 1, weight: 1 }; 3]))
            .with(NextHopAttribute::Resilient(vec![ResilientAttribute::Buckets(9)]))
            .with(NextHopAttribute::BucketOf(4));
        let mut bytes = vec![0; whole.buffer_len()];
        whole.serialize(&mut bytes);
        for length in 0..bytes.len() {
            assert!(parsed(104, &bytes[..length]).is_err() || length % 4 == 0, "{length}");
            for octet in [0, 1, 5, 0xff] {
                let mut changed = bytes.clone();
                changed[length] = octet;
                let _any_outcome_but_a_panic = parsed(104, &changed);
            }
        }
        assert!(parsed(24, &bytes).is_err(), "a route is no next hop");
    }

    #[test]
    fn a_message_survives_the_netlink_frame() {
        let message = NextHopMessage::new(Verb::Get, 0, 0);
        let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        assert_eq!(bytes.len(), 24);
        assert_eq!(NetlinkMessage::deserialize(&bytes).unwrap(), packet);
    }
}
