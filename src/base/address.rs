//! Addresses as types of their own, so that they cannot be swapped: the service address, link-layer addresses, interfaces.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// All nodes on the link (RFC 4291 §2.7.1): where unsolicited advertisements go.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The solicited-node group of `address` (RFC 4291 §2.7.1): its low 24 bits below `ff02::1:ff00:0`.
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let octets = address.octets();
    let high = 0xff00 | octets[13] as u16;
    let low = (octets[14] as u16) << 8 | octets[15] as u16;
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low)
}

/// True for `fe80::/10`.
#[must_use]
pub const fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The service-specific anycast address (314): a unicast IPv6 address that several servers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAddress(Ipv6Addr);

impl ServiceAddress {
    /// Checks that `address` can be a service address: not multicast, unspecified, loopback or link-local.
    ///
    /// # Errors
    /// The address, and why it cannot be shared by servers behind a router.
    pub fn new(address: Ipv6Addr) -> Result<Self, NotAServiceAddress> {
        let why = if address.is_unspecified() {
            "the unspecified address"
        } else if address.is_loopback() {
            "the loopback address"
        } else if address.is_multicast() {
            "a multicast address"
        } else if is_link_local(address) {
            "a link-local address, which no router forwards to"
        } else if address.to_ipv4_mapped().is_some() {
            "an IPv4-mapped address"
        } else {
            return Ok(Self(address));
        };
        Err(NotAServiceAddress { address, why })
    }

    /// The address itself.
    #[must_use]
    pub const fn get(self) -> Ipv6Addr {
        self.0
    }

    /// The multicast group in which solicitations for this address arrive.
    #[must_use]
    pub const fn solicited_node(self) -> Ipv6Addr {
        solicited_node(self.0)
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An address that cannot be a service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAServiceAddress {
    /// The refused address.
    pub address: Ipv6Addr,
    /// What it is instead.
    pub why: &'static str,
}

impl fmt::Display for NotAServiceAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is {}", self.address, self.why)
    }
}

impl std::error::Error for NotAServiceAddress {}

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkLayerAddress(pub [u8; 6]);

impl LinkLayerAddress {
    /// The Ethernet address of an IPv6 multicast group (RFC 2464 §7).
    #[must_use]
    pub const fn of_group(group: Ipv6Addr) -> Self {
        let octets = group.octets();
        Self([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]])
    }

    /// True for group (multicast and broadcast) addresses.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// True for `00:00:00:00:00:00`.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }
}

impl fmt::Display for LinkLayerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// Text that is no link-layer address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotALinkLayerAddress(pub String);

impl fmt::Display for NotALinkLayerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "'{}' is no link-layer address: six pairs of hex digits with colons were expected",
            self.0
        )
    }
}

impl std::error::Error for NotALinkLayerAddress {}

impl FromStr for LinkLayerAddress {
    type Err = NotALinkLayerAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || NotALinkLayerAddress(text.to_owned());
        let mut octets = [0; 6];
        let mut pairs = text.split(':');
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or_else(refuse)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
        }
        if pairs.next().is_some() { Err(refuse()) } else { Ok(Self(octets)) }
    }
}

impl Serialize for LinkLayerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LinkLayerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The kernel's number of a network interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceIndex(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solicited_node_group_keeps_the_low_24_bits() {
        let address: Ipv6Addr = "2001:db8:5::ab12:3453".parse().unwrap();
        let group: Ipv6Addr = "ff02::1:ff12:3453".parse().unwrap();
        assert_eq!(solicited_node(address), group);
        assert_eq!(LinkLayerAddress::of_group(group).to_string(), "33:33:ff:12:34:53");
    }

    #[test]
    fn only_routable_unicast_can_be_a_service_address() {
        for refused in ["::", "::1", "ff02::1", "fe80::1", "::ffff:192.0.2.1"] {
            assert!(ServiceAddress::new(refused.parse().unwrap()).is_err(), "{refused}");
        }
        assert!(ServiceAddress::new("2001:db8:5::53".parse().unwrap()).is_ok());
        assert!(ServiceAddress::new("fd00::53".parse().unwrap()).is_ok());
    }

    #[test]
    fn link_layer_addresses_read_what_they_write() {
        let address = LinkLayerAddress([0x02, 0, 0, 0xab, 0xcd, 0xef]);
        assert_eq!(address.to_string().parse(), Ok(address));
        for refused in ["", "02:00:00:ab:cd", "02:00:00:ab:cd:ef:01", "2:0:0:a:c:e", "0g:00:00:00:00:00"] {
            assert!(refused.parse::<LinkLayerAddress>().is_err(), "{refused}");
        }
    }
}
