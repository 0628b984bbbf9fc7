//! The Neighbor Discovery messages this server reads and writes: Neighbor Solicitation and Advertisement, and of the
//! Router Advertisement what tells that its sender is a router (RFC 4861 §4.2 to §4.4, §4.6, checks of §6.1.2 and §7.1).
//!
//! Not here: option 253 (`service_information`), and what a message means for the server (`machine`).

mod service_information;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;
use std::time::Duration;

pub use service_information::ServiceInformation;

use crate::base::address::{LinkLayerAddress, is_link_local, solicited_node};
use crate::base::checksum;
use crate::base::machine::Datagram;

/// Next header of ICMPv6.
pub const ICMPV6: u8 = 58;
/// ICMPv6 type of a Router Advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// ICMPv6 type of a Neighbor Solicitation.
pub const NEIGHBOR_SOLICITATION: u8 = 135;
/// ICMPv6 type of a Neighbor Advertisement.
pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// The only hop limit a message may arrive with: nobody beyond the link can make it.
pub const HOP_LIMIT: u8 = 255;

const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;
/// ICMPv6 header, flags or reserved, target: what NS and NA have before their options.
const NEIGHBOR_FIXED: usize = 24;
/// ICMPv6 header, router fields: what an RA has before its options.
const ROUTER_FIXED: usize = 16;

/// A message of Neighbor Discovery that passed the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who has the target?
    Solicitation(NeighborSolicitation),
    /// The target is there.
    Advertisement(NeighborAdvertisement),
    /// The sender is a router.
    Router(RouterAdvertisement),
}

/// A Neighbor Solicitation (RFC 4861 §4.3).
///
/// ```text
/// | type 135 | code 0 | checksum |
/// | reserved (32)                |
/// | target (128)                 |
/// | options: 1, source link-layer address
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborSolicitation {
    /// The address that is asked for.
    pub target: Ipv6Addr,
    /// The solicitor's link-layer address, if it said it.
    pub source_link_layer: Option<LinkLayerAddress>,
}

/// A Neighbor Advertisement (RFC 4861 §4.4).
///
/// ```text
/// | type 136 | code 0 | checksum |
/// |R|S|O| reserved (29)          |
/// | target (128)                 |
/// | options: 2, target link-layer address; 253, service information
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborAdvertisement {
    /// The address that is advertised.
    pub target: Ipv6Addr,
    /// R: the sender is a router.
    pub router: bool,
    /// S: an answer to a solicitation.
    pub solicited: bool,
    /// O: the link-layer address replaces the one that a neighbour cache has (claim 4).
    pub overriding: bool,
    /// The link-layer address of the target.
    pub target_link_layer: Option<LinkLayerAddress>,
    /// What a heraldns server says of itself.
    pub information: Option<ServiceInformation>,
}

/// A Router Advertisement (RFC 4861 §4.2), as far as it is needed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// How long the sender is a default router; zero: it is none (any more).
    pub lifetime: Duration,
    /// The router's link-layer address, if it said it.
    pub source_link_layer: Option<LinkLayerAddress>,
}

/// Why a packet is no valid message. Each cause is counted under its [`name`](Malformed::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed part of its type.
    #[error("{0} octets are too few")]
    Short(usize),
    /// From beyond the link.
    #[error("hop limit {0} instead of 255")]
    HopLimit(u8),
    /// Damaged.
    #[error("wrong checksum")]
    Checksum,
    /// Not one of the three types.
    #[error("ICMPv6 type {0} is not expected")]
    Type(u8),
    /// Code other than 0.
    #[error("code {0} instead of 0")]
    Code(u8),
    /// An option of length 0, which would never end.
    #[error("option {0} has length 0")]
    OptionLengthZero(u8),
    /// An option that ends after the packet.
    #[error("option {0} overruns the packet")]
    OptionOverrun(u8),
    /// A link-layer address option that is not for Ethernet.
    #[error("link-layer address option of {0} x 8 octets instead of 1 x 8")]
    LinkLayerLength(u8),
    /// A target that is a group.
    #[error("multicast target {0}")]
    MulticastTarget(Ipv6Addr),
    /// An advertisement to a group that claims to be an answer.
    #[error("solicited advertisement sent to {0}")]
    SolicitedToMulticast(Ipv6Addr),
    /// A probe for duplicate addresses that was not sent to the solicited-node group.
    #[error("solicitation from :: sent to {0}")]
    ProbeDestination(Ipv6Addr),
    /// A probe for duplicate addresses that names a link-layer address.
    #[error("solicitation from :: with a source link-layer address")]
    ProbeWithLinkLayer,
    /// A Router Advertisement not from a link-local address.
    #[error("router advertisement from {0}")]
    RouterSource(Ipv6Addr),
    /// Option 253 of ours with fewer octets than version 1 has.
    #[error("service information of {0} x 8 octets instead of 4 x 8 or more")]
    InformationShort(u8),
    /// Option 253 of ours with a state nobody knows.
    #[error("service information with state {0}")]
    InformationState(u8),
    /// Option 253 of ours with a cost class nobody knows.
    #[error("service information with class {0}")]
    InformationClass(u8),
}

impl Malformed {
    /// The name under which the cause is counted.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Short(_) => "short",
            Self::HopLimit(_) => "hop-limit",
            Self::Checksum => "checksum",
            Self::Type(_) => "type",
            Self::Code(_) => "code",
            Self::OptionLengthZero(_) => "option-length-zero",
            Self::OptionOverrun(_) => "option-overrun",
            Self::LinkLayerLength(_) => "link-layer-length",
            Self::MulticastTarget(_) => "multicast-target",
            Self::SolicitedToMulticast(_) => "solicited-to-multicast",
            Self::ProbeDestination(_) => "probe-destination",
            Self::ProbeWithLinkLayer => "probe-with-link-layer",
            Self::RouterSource(_) => "router-source",
            Self::InformationShort(_) => "information-short",
            Self::InformationState(_) => "information-state",
            Self::InformationClass(_) => "information-class",
        }
    }
}

impl Message {
    /// Reads a packet and checks all that RFC 4861 demands of it.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn parse(packet: &Datagram<'_>) -> Result<Self, Malformed> {
        let bytes = packet.payload;
        let [kind, code, ..] = *bytes else {
            return Err(Malformed::Short(bytes.len()));
        };
        if packet.hop_limit != HOP_LIMIT {
            return Err(Malformed::HopLimit(packet.hop_limit));
        }
        if checksum::upper_layer(packet.source, packet.destination, ICMPV6, bytes) != 0 {
            return Err(Malformed::Checksum);
        }
        let parse = match kind {
            ROUTER_ADVERTISEMENT => RouterAdvertisement::parse,
            NEIGHBOR_SOLICITATION => NeighborSolicitation::parse,
            NEIGHBOR_ADVERTISEMENT => NeighborAdvertisement::parse,
            other => return Err(Malformed::Type(other)),
        };
        if code != 0 {
            return Err(Malformed::Code(code));
        }
        parse(packet)
    }

    /// Writes the ICMPv6 message with its checksum for a packet from `source` to `destination`.
    #[must_use]
    pub fn emit(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
        let mut bytes = match self {
            Self::Solicitation(message) => message.emit(),
            Self::Advertisement(message) => message.emit(),
            Self::Router(message) => message.emit(),
        };
        let checksum = checksum::upper_layer(source, destination, ICMPV6, &bytes);
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }
}

impl NeighborSolicitation {
    fn parse(packet: &Datagram<'_>) -> Result<Message, Malformed> {
        let (_, target, options) = neighbor_parts(packet.payload)?;
        let mut source_link_layer = None;
        for option in Options(options) {
            let option = option?;
            if option.kind == OPTION_SOURCE_LINK_LAYER && source_link_layer.is_none() {
                source_link_layer = Some(option.link_layer()?);
            }
        }
        if packet.source.is_unspecified() {
            if packet.destination != solicited_node(target) {
                return Err(Malformed::ProbeDestination(packet.destination));
            }
            if source_link_layer.is_some() {
                return Err(Malformed::ProbeWithLinkLayer);
            }
        }
        Ok(Message::Solicitation(Self { target, source_link_layer }))
    }

    fn emit(&self) -> Vec<u8> {
        let mut bytes = neighbor_header(NEIGHBOR_SOLICITATION, 0, self.target);
        push_link_layer(&mut bytes, OPTION_SOURCE_LINK_LAYER, self.source_link_layer);
        bytes
    }
}

impl NeighborAdvertisement {
    fn parse(packet: &Datagram<'_>) -> Result<Message, Malformed> {
        let (flags, target, options) = neighbor_parts(packet.payload)?;
        let solicited = flags & FLAG_SOLICITED != 0;
        if solicited && packet.destination.is_multicast() {
            return Err(Malformed::SolicitedToMulticast(packet.destination));
        }
        let (mut target_link_layer, mut information) = (None, None);
        for option in Options(options) {
            let option = option?;
            match option.kind {
                OPTION_TARGET_LINK_LAYER if target_link_layer.is_none() => target_link_layer = Some(option.link_layer()?),
                service_information::OPTION if information.is_none() => information = ServiceInformation::parse(option.body)?,
                _ => {}
            }
        }
        Ok(Message::Advertisement(Self {
            target,
            router: flags & FLAG_ROUTER != 0,
            solicited,
            overriding: flags & FLAG_OVERRIDE != 0,
            target_link_layer,
            information,
        }))
    }

    fn emit(&self) -> Vec<u8> {
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = flag(self.router, FLAG_ROUTER) | flag(self.solicited, FLAG_SOLICITED) | flag(self.overriding, FLAG_OVERRIDE);
        let mut bytes = neighbor_header(NEIGHBOR_ADVERTISEMENT, flags, self.target);
        push_link_layer(&mut bytes, OPTION_TARGET_LINK_LAYER, self.target_link_layer);
        if let Some(information) = &self.information {
            information.emit(&mut bytes);
        }
        bytes
    }
}

impl RouterAdvertisement {
    fn parse(packet: &Datagram<'_>) -> Result<Message, Malformed> {
        let bytes = packet.payload;
        let Some((fixed, options)) = bytes.split_first_chunk::<ROUTER_FIXED>() else {
            return Err(Malformed::Short(bytes.len()));
        };
        if !is_link_local(packet.source) {
            return Err(Malformed::RouterSource(packet.source));
        }
        let mut source_link_layer = None;
        for option in Options(options) {
            let option = option?;
            if option.kind == OPTION_SOURCE_LINK_LAYER && source_link_layer.is_none() {
                source_link_layer = Some(option.link_layer()?);
            }
        }
        Ok(Message::Router(Self {
            lifetime: Duration::from_secs(u64::from(u16::from_be_bytes([fixed[6], fixed[7]]))),
            source_link_layer,
        }))
    }

    fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; ROUTER_FIXED];
        bytes[0] = ROUTER_ADVERTISEMENT;
        let lifetime = u16::try_from(self.lifetime.as_secs()).unwrap_or(u16::MAX);
        bytes[6..8].copy_from_slice(&lifetime.to_be_bytes());
        push_link_layer(&mut bytes, OPTION_SOURCE_LINK_LAYER, self.source_link_layer);
        bytes
    }
}

/// Flags, target and options of an NS or NA.
fn neighbor_parts(bytes: &[u8]) -> Result<(u8, Ipv6Addr, &[u8]), Malformed> {
    let Some((fixed, options)) = bytes.split_first_chunk::<NEIGHBOR_FIXED>() else {
        return Err(Malformed::Short(bytes.len()));
    };
    let [_, _, _, _, flags, _, _, _, target @ ..] = *fixed;
    let target = Ipv6Addr::from(target);
    if target.is_multicast() {
        return Err(Malformed::MulticastTarget(target));
    }
    Ok((flags, target, options))
}

fn neighbor_header(kind: u8, flags: u8, target: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    bytes.extend(target.octets());
    bytes
}

fn push_link_layer(bytes: &mut Vec<u8>, kind: u8, address: Option<LinkLayerAddress>) {
    if let Some(LinkLayerAddress(octets)) = address {
        bytes.extend([kind, 1]);
        bytes.extend(octets);
    }
}

/// One option: its type, and what follows type and length.
struct RawOption<'a> {
    kind: u8,
    body: &'a [u8],
}

impl RawOption<'_> {
    fn link_layer(&self) -> Result<LinkLayerAddress, Malformed> {
        let octets = self.body.try_into();
        octets
            .map(LinkLayerAddress)
            .map_err(|_| Malformed::LinkLayerLength(((self.body.len() + 2) / 8) as u8))
    }
}

/// The options of a message, in order; ends after the first error.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Result<RawOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        let (&kind, rest) = bytes.split_first()?;
        let Some(&length) = rest.first() else {
            return Some(Err(Malformed::OptionOverrun(kind)));
        };
        if length == 0 {
            return Some(Err(Malformed::OptionLengthZero(kind)));
        }
        let Some((option, rest)) = bytes.split_at_checked(usize::from(length) * 8) else {
            return Some(Err(Malformed::OptionOverrun(kind)));
        };
        self.0 = rest;
        Some(Ok(RawOption { kind, body: &option[2..] }))
    }
}
