//! The one table of record data: each type as the list of its fields, from which both directions are made.
//!
//! [`read`] turns the text of a record into wire form, [`write`] does the reverse, and both walk the same list. A type
//! that is not here is read and written in the form of RFC 3597 §5 (`\# length hex`), which is allowed for all types.

mod address;
mod encoding;
mod historic;
mod location;
mod read;
mod service;
mod text;
mod write;

use self::Field::{
    AddressPart, AddressPrefixes, AlgorithmNumber, AtmAddress, Base32Hex, Base64, Base64OrDash, Bitmap, CertificateType, CharacterString,
    CharacterStrings, Eui48, Eui64, Hex, Hex64, HexOfLength, HostIdentity, Ipv4, Ipv6, KeyGateway, Location, Name, Names, NodeNumber, Nsap,
    NxtTypes, OptionalBase64, OptionalCharacterString, Period, RelayGateway, ServiceParameters, SynchronizationScheme, Tag, Text, Time,
    TypeNumber, U8, U16, U32, WellKnownServices,
};
use crate::dns::types::RecordType;

pub(super) use encoding::read_base32hex;
pub(super) use read::{Fields, Refusal, append_bitmap, quote, read};
pub(super) use write::write;

/// The form of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A domain name.
    Name,
    /// Domain names up to the end.
    Names,
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits.
    U16,
    /// A number of 32 bits.
    U32,
    /// Seconds in 32 bits; units are read.
    Period,
    /// A time (RFC 4034 §3.2): YYYYMMDDHHmmSS, or seconds.
    Time,
    /// A record type in 16 bits, by its mnemonic.
    TypeNumber,
    /// A DNSSEC algorithm in 8 bits, by number or mnemonic.
    AlgorithmNumber,
    /// A certificate type in 16 bits (RFC 4398 §2.1), by number or mnemonic.
    CertificateType,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A character-string: a length octet, then up to 255 octets.
    CharacterString,
    /// As [`Field::CharacterString`], and may be missing.
    OptionalCharacterString,
    /// One or more character-strings up to the end.
    CharacterStrings,
    /// A CAA tag: a character-string of letters and digits.
    Tag,
    /// Octets up to the end without a length, one string in text.
    Text,
    /// Octets up to the end as hex digits, in any number of words.
    Hex,
    /// A length octet, then octets as one word of hex digits; `-` for none.
    HexOfLength,
    /// Octets up to the end in base64, in any number of words.
    Base64,
    /// As [`Field::Base64`], and may be missing.
    OptionalBase64,
    /// As [`Field::Base64`] in one word; `-` for none.
    Base64OrDash,
    /// A length octet, then octets as one word in base32hex without padding.
    Base32Hex,
    /// 64 bits as four groups of hex digits with colons (RFC 6742).
    Hex64,
    /// Six octets with hyphens (RFC 7043).
    Eui48,
    /// Eight octets with hyphens (RFC 7043).
    Eui64,
    /// An NSAP address: `0x`, hex digits, dots anywhere (RFC 1706).
    Nsap,
    /// Record types as a bitmap (RFC 4034 §4.1.2).
    Bitmap,
    /// Service parameters (RFC 9460 §2.1).
    ServiceParameters,
    /// The whole of a LOC record (RFC 1876).
    Location,
    /// Address prefixes (RFC 3123).
    AddressPrefixes,
    /// Gateway type, algorithm and gateway of IPSECKEY (RFC 4025 §2.1).
    KeyGateway,
    /// Discovery flag, relay type and relay of AMTRELAY (RFC 8777 §4).
    RelayGateway,
    /// Algorithm, host identity tag and public key of HIP (RFC 8005 §5).
    HostIdentity,
    /// A scheme in 8 bits (RFC 9859 §2), by number or mnemonic.
    SynchronizationScheme,
    /// 64 bits as one decimal number, or as two of 32 bits with a dot.
    NodeNumber,
    /// The whole of a WKS record (RFC 1035 §3.4.2).
    WellKnownServices,
    /// Record types below 128 as one bitmap (RFC 2535 §5.2).
    NxtTypes,
    /// The whole of an A6 record (RFC 2874 §3.1).
    AddressPart,
    /// An ATM address (af-dans-0152.000).
    AtmAddress,
}

/// A field with the name that error messages give it.
pub(super) type NamedField = (&'static str, Field);

/// The fields of a type; none when it has no text form but that of RFC 3597.
#[rustfmt::skip]
pub(super) fn fields(record_type: RecordType) -> Option<&'static [NamedField]> {
    Some(match record_type {
        RecordType::A => &[("address", Ipv4)],
        RecordType::AAAA => &[("address", Ipv6)],
        RecordType::NS | RecordType::MD | RecordType::MF | RecordType::CNAME | RecordType::PTR | RecordType::DNAME
        | RecordType::MB | RecordType::MG | RecordType::MR | RecordType::NSAP_PTR => &[("target", Name)],
        RecordType::SOA => &[("primary server", Name), ("mailbox", Name), ("serial", U32), ("refresh", Period), ("retry", Period),
            ("expire", Period), ("minimum", Period)],
        RecordType::MX | RecordType::AFSDB | RecordType::RT | RecordType::KX | RecordType::LP => &[("preference", U16), ("target", Name)],
        RecordType::TXT | RecordType::SPF | RecordType::NINFO | RecordType::AVC | RecordType::RESINFO | RecordType::WALLET | RecordType::CLA
            => &[("text", CharacterStrings)],
        RecordType::HINFO => &[("CPU", CharacterString), ("OS", CharacterString)],
        RecordType::MINFO | RecordType::RP | RecordType::TALINK => &[("first name", Name), ("second name", Name)],
        RecordType::X25 => &[("address", CharacterString)],
        RecordType::ISDN => &[("address", CharacterString), ("subaddress", OptionalCharacterString)],
        RecordType::WKS => &[("services", WellKnownServices)],
        RecordType::NXT => &[("next name", Name), ("types", NxtTypes)],
        RecordType::A6 => &[("address", AddressPart)],
        RecordType::ATMA => &[("address", AtmAddress)],
        RecordType::SINK => &[("meaning", U8), ("coding", U8), ("subcoding", U8), ("data", OptionalBase64)],
        RecordType::NSAP => &[("address", Nsap)],
        RecordType::PX => &[("preference", U16), ("RFC 822 domain", Name), ("X.400 domain", Name)],
        RecordType::GPOS => &[("longitude", CharacterString), ("latitude", CharacterString), ("altitude", CharacterString)],
        RecordType::LOC => &[("location", Location)],
        RecordType::EID | RecordType::NIMLOC => &[("data", Hex)],
        RecordType::SRV => &[("priority", U16), ("weight", U16), ("port", U16), ("target", Name)],
        RecordType::NAPTR => &[("order", U16), ("preference", U16), ("flags", CharacterString), ("service", CharacterString), ("expression", CharacterString),
            ("replacement", Name)],
        RecordType::CERT => &[("certificate type", CertificateType), ("key tag", U16), ("algorithm", AlgorithmNumber), ("certificate", Base64)],
        RecordType::APL => &[("prefixes", AddressPrefixes)],
        RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::TA => &[("key tag", U16), ("algorithm", AlgorithmNumber),
            ("digest type", U8), ("digest", Hex)],
        RecordType::SSHFP => &[("algorithm", U8), ("fingerprint type", U8), ("fingerprint", Hex)],
        RecordType::IPSECKEY => &[("precedence", U8), ("gateway", KeyGateway), ("public key", OptionalBase64)],
        RecordType::RRSIG | RecordType::SIG => &[("type covered", TypeNumber), ("algorithm", AlgorithmNumber), ("labels", U8),
            ("original TTL", Period), ("expiration", Time), ("inception", Time), ("key tag", U16), ("signer", Name), ("signature", Base64)],
        RecordType::NSEC => &[("next name", Name), ("types", Bitmap)],
        // a KEY may say that there is none (RFC 2535 §3.1.2)
        RecordType::KEY => &[("flags", U16), ("protocol", U8), ("algorithm", AlgorithmNumber), ("public key", OptionalBase64)],
        RecordType::DNSKEY | RecordType::CDNSKEY | RecordType::RKEY => &[("flags", U16), ("protocol", U8),
            ("algorithm", AlgorithmNumber), ("public key", Base64)],
        RecordType::DHCID | RecordType::OPENPGPKEY | RecordType::HHIT | RecordType::BRID => &[("data", Base64)],
        RecordType::NSEC3 => &[("hash algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", HexOfLength),
            ("next hashed name", Base32Hex), ("types", Bitmap)],
        RecordType::NSEC3PARAM => &[("hash algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", HexOfLength)],
        RecordType::TLSA | RecordType::SMIMEA => &[("usage", U8), ("selector", U8), ("matching type", U8), ("association data", Hex)],
        RecordType::HIP => &[("host identity", HostIdentity), ("rendezvous servers", Names)],
        RecordType::CSYNC => &[("serial", U32), ("flags", U16), ("types", Bitmap)],
        RecordType::ZONEMD => &[("serial", U32), ("scheme", U8), ("hash algorithm", U8), ("digest", Hex)],
        RecordType::SVCB | RecordType::HTTPS => &[("priority", U16), ("target", Name), ("parameters", ServiceParameters)],
        RecordType::DSYNC => &[("type", TypeNumber), ("scheme", SynchronizationScheme), ("port", U16), ("target", Name)],
        RecordType::NID => &[("preference", U16), ("node id", Hex64)],
        RecordType::L32 => &[("preference", U16), ("locator", Ipv4)],
        RecordType::L64 => &[("preference", U16), ("locator", Hex64)],
        RecordType::EUI48 => &[("address", Eui48)],
        RecordType::EUI64 => &[("address", Eui64)],
        RecordType::URI => &[("priority", U16), ("weight", U16), ("target", Text)],
        RecordType::CAA => &[("flags", U8), ("tag", Tag), ("value", Text)],
        RecordType::DOA => &[("enterprise", U32), ("type", U32), ("location", U8), ("media type", CharacterString), ("data", Base64OrDash)],
        RecordType::IPN => &[("node number", NodeNumber)],
        RecordType::AMTRELAY => &[("precedence", U8), ("relay", RelayGateway)],
        _ => return None,
    })
}

/// Mnemonics of DNSSEC algorithms (IANA "DNS Security Algorithm Numbers").
#[rustfmt::skip]
const ALGORITHMS: [(&str, u16); 17] = [
    ("RSAMD5", 1), ("DH", 2), ("DSA", 3), ("RSASHA1", 5), ("DSA-NSEC3-SHA1", 6), ("RSASHA1-NSEC3-SHA1", 7), ("RSASHA256", 8),
    ("RSASHA512", 10), ("ECC-GOST", 12), ("ECDSAP256SHA256", 13), ("ECDSAP384SHA384", 14), ("ED25519", 15), ("ED448", 16),
    ("SM2SM3", 17), ("INDIRECT", 252), ("PRIVATEDNS", 253), ("PRIVATEOID", 254),
];

/// Mnemonics of certificate types (RFC 4398 §2.1).
#[rustfmt::skip]
const CERTIFICATE_TYPES: [(&str, u16); 10] = [
    ("PKIX", 1), ("SPKI", 2), ("PGP", 3), ("IPKIX", 4), ("ISPKI", 5), ("IPGP", 6), ("ACPKIX", 7), ("IACPKIX", 8), ("URI", 253), ("OID", 254),
];

/// Mnemonics of schemes of DSYNC (RFC 9859 §6.2).
const SYNCHRONIZATION_SCHEMES: [(&str, u16); 1] = [("NOTIFY", 1)];

/// Reads a TTL or another period: seconds, or numbers with the units w, d, h, m, s.
pub(super) fn parse_period(text: &[u8]) -> Option<u32> {
    let mut total = 0_u32;
    let mut number: Option<u32> = None;
    for octet in text {
        if octet.is_ascii_digit() {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(octet - b'0'))?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match number {
        // seconds without a unit, alone or after units: 1h30 is one hour and 30 seconds
        Some(seconds) => total.checked_add(seconds),
        None => (!text.is_empty()).then_some(total),
    }
}

#[cfg(test)]
mod tests;
