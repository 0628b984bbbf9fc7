//! Address prefixes as the config writes them: `"192.0.2.0/24"`, `"2001:db8::/32"`, or an address that stands for itself.
//!
//! A [`Prefix`] has no bits beyond its length, so that two of them are equal when they hold the same addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// All addresses of one family whose first bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of so many bits that `address` is in; a length beyond the family's bits is the whole address.
    #[must_use]
    pub const fn of(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(address) => {
                let length = if length > 32 { 32 } else { length };
                let bits = address.to_bits() & mask(length, 32) as u32;
                Self {
                    address: IpAddr::V4(Ipv4Addr::from_bits(bits)),
                    length,
                }
            }
            IpAddr::V6(address) => {
                let length = if length > 128 { 128 } else { length };
                let bits = address.to_bits() & mask(length, 128);
                Self {
                    address: IpAddr::V6(Ipv6Addr::from_bits(bits)),
                    length,
                }
            }
        }
    }

    /// True for addresses of this prefix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::of(address, self.length).address == self.address
    }

    /// Its first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }
}

/// The first `length` bits of the lowest `width` bits.
const fn mask(length: u8, width: u8) -> u128 {
    let all = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    match u128::MAX.checked_shl((width - length) as u32) {
        Some(kept) => kept & all,
        None => 0,
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// Reads `address/length`, or an address alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("'{text}' is no prefix: an address and a length were expected, as in \"192.0.2.0/24\"");
        let (address, length) = text
            .split_once('/')
            .map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), |length| length.parse().map_err(|_| refuse()))?;
        if length > most {
            return Err(refuse());
        }
        let prefix = Self::of(address, length);
        if prefix.address == address {
            Ok(prefix)
        } else {
            Err(format!(
                "'{text}' is no prefix: {address} has bits beyond the first {length}; its prefix is \"{prefix}\""
            ))
        }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_reads_what_it_writes() {
        for text in [
            "192.0.2.0/24",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32",
            "2001:db8::1/128",
            "192.0.2.7/32",
        ] {
            assert_eq!(prefix(text).to_string(), text);
            let json = serde_json::to_string(&prefix(text)).unwrap();
            assert_eq!(serde_json::from_str::<Prefix>(&json).unwrap(), prefix(text));
        }
        assert_eq!(prefix("192.0.2.7").to_string(), "192.0.2.7/32");
        assert_eq!(prefix("::1").to_string(), "::1/128");
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in [
            "",
            "/",
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2.0/",
            "192.0.2.0/-1",
            "192.0.2/24",
            "example.com/24",
        ] {
            assert!(text.parse::<Prefix>().unwrap_err().contains("\"192.0.2.0/24\""), "{text}");
        }
        let beyond = "192.0.2.1/24".parse::<Prefix>().unwrap_err();
        assert!(beyond.ends_with("its prefix is \"192.0.2.0/24\""), "{beyond}");
    }

    #[test]
    fn membership_is_by_the_first_bits_and_the_family() {
        let rows = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/23", "192.0.3.0", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::", false),
            ("2001:db8:0:ff00::/56", "2001:db8:0:ffff::1", true),
            ("2001:db8:0:ff00::/56", "2001:db8:0:fe00::", false),
            ("::/0", "ffff::", true),
            ("::1/128", "::2", false),
        ];
        for (text, address, expected) in rows {
            assert_eq!(prefix(text).contains(address.parse().unwrap()), expected, "{address} in {text}");
        }
    }

    #[test]
    fn the_prefix_of_an_address_has_no_bits_beyond_its_length() {
        let of = |address: &str, length| Prefix::of(address.parse().unwrap(), length).to_string();
        assert_eq!(of("192.0.2.77", 24), "192.0.2.0/24");
        assert_eq!(of("192.0.2.77", 0), "0.0.0.0/0");
        assert_eq!(of("192.0.2.77", 56), "192.0.2.77/32");
        assert_eq!(of("2001:db8:1:2ff::1", 56), "2001:db8:1:200::/56");
    }
}
