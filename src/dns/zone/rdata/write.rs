//! Wire form of a record's data to text, by the table. What reads back to the same octets, or nothing.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Field, SYNCHRONIZATION_SCHEMES, address, encoding, historic, location, service, text};
use crate::dns::name;
use crate::dns::types::RecordType;

/// Rdata, read from the front.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        self.take(SIZE)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn ipv4(&mut self) -> Option<Ipv4Addr> {
        self.array::<4>().map(Ipv4Addr::from)
    }

    pub(super) fn ipv6(&mut self) -> Option<Ipv6Addr> {
        self.array::<16>().map(Ipv6Addr::from)
    }

    /// A name, uncompressed.
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        self.take(name::wire_length(self.0)?)
    }

    /// A length octet and so many octets.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }
}

/// Appends the text form; that of RFC 3597 for types without one, and for octets that do not fit their type.
pub(in crate::dns::zone) fn write(record_type: RecordType, rdata: &[u8], out: &mut String) {
    let start = out.len();
    if write_fields(record_type, rdata, out).is_some() {
        return;
    }
    out.truncate(start);
    let _ = write!(out, "\\# {}", rdata.len());
    if !rdata.is_empty() {
        out.push(' ');
        encoding::write_hex(rdata, out);
    }
}

/// Appends the type's own text form; none when it has none, or when the octets do not fit it.
pub(super) fn write_fields(record_type: RecordType, rdata: &[u8], out: &mut String) -> Option<()> {
    let mut cursor = Cursor::new(rdata);
    for (index, (_, field)) in super::fields(record_type)?.iter().enumerate() {
        let before = out.len();
        if index > 0 {
            out.push(' ');
        }
        let after_space = out.len();
        write_field(*field, &mut cursor, out)?;
        if out.len() == after_space {
            out.truncate(before);
        }
    }
    cursor.is_empty().then_some(())
}

fn write_field(field: Field, cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    match field {
        Field::Name => write!(out, "{}", name::display(cursor.name()?)).ok()?,
        Field::Names => write_each(cursor, out, |cursor, out| write!(out, "{}", name::display(cursor.name()?)).ok())?,
        Field::U8 | Field::AlgorithmNumber => write!(out, "{}", cursor.u8()?).ok()?,
        Field::U16 | Field::CertificateType => write!(out, "{}", cursor.u16()?).ok()?,
        Field::U32 | Field::Period => write!(out, "{}", cursor.u32()?).ok()?,
        Field::Time => write_time(cursor.u32()?, out)?,
        Field::TypeNumber => write!(out, "{}", RecordType(cursor.u16()?)).ok()?,
        Field::Ipv4 => write!(out, "{}", cursor.ipv4()?).ok()?,
        Field::Ipv6 => write!(out, "{}", cursor.ipv6()?).ok()?,
        Field::CharacterString => text::write_quoted(cursor.string()?, out),
        Field::OptionalCharacterString if cursor.is_empty() => {}
        Field::OptionalCharacterString => text::write_quoted(cursor.string()?, out),
        Field::CharacterStrings => {
            if cursor.is_empty() {
                return None;
            }
            write_each(cursor, out, |cursor, out| {
                text::write_quoted(cursor.string()?, out);
                Some(())
            })?;
        }
        Field::Tag => write_tag(cursor.string()?, out)?,
        Field::Text => text::write_quoted(cursor.rest(), out),
        Field::Hex => match cursor.rest() {
            [] => return None,
            octets => encoding::write_hex(octets, out),
        },
        Field::HexOfLength => match cursor.string()? {
            [] => out.push('-'),
            octets => encoding::write_hex(octets, out),
        },
        Field::Base64 => match cursor.rest() {
            [] => return None,
            octets => encoding::write_base64(octets, out),
        },
        Field::OptionalBase64 => encoding::write_base64(cursor.rest(), out),
        Field::Base64OrDash => match cursor.rest() {
            [] => out.push('-'),
            octets => encoding::write_base64(octets, out),
        },
        Field::Base32Hex => match cursor.string()? {
            [] => return None,
            octets => encoding::write_base32hex(octets, out),
        },
        Field::Hex64 => address::write_hex64(cursor, out)?,
        Field::Eui48 => address::write_eui(cursor.take(6)?, out),
        Field::Eui64 => address::write_eui(cursor.take(8)?, out),
        Field::Nsap => address::write_nsap(cursor.rest(), out),
        Field::Bitmap => write_bitmap(cursor, out)?,
        Field::ServiceParameters => service::write(cursor, out)?,
        Field::Location => location::write(cursor, out)?,
        Field::AddressPrefixes => address::write_prefixes(cursor, out)?,
        Field::KeyGateway => address::write_key_gateway(cursor, out)?,
        Field::RelayGateway => address::write_relay_gateway(cursor, out)?,
        Field::HostIdentity => write_host_identity(cursor, out)?,
        Field::SynchronizationScheme => write_scheme(cursor.u8()?, out)?,
        Field::NodeNumber => write!(out, "{}", u64::from_be_bytes(cursor.array()?)).ok()?,
        Field::WellKnownServices => historic::write_services(cursor, out)?,
        Field::NxtTypes => historic::write_types(cursor, out)?,
        Field::AddressPart => historic::write_address_part(cursor, out)?,
        Field::AtmAddress => historic::write_atm_address(cursor, out)?,
    }
    Some(())
}

fn write_each(cursor: &mut Cursor<'_>, out: &mut String, write: impl Fn(&mut Cursor<'_>, &mut String) -> Option<()>) -> Option<()> {
    let mut first = true;
    while !cursor.is_empty() {
        if !first {
            out.push(' ');
        }
        first = false;
        write(cursor, out)?;
    }
    Some(())
}

fn write_time(seconds: u32, out: &mut String) -> Option<()> {
    let time = jiff::Timestamp::from_second(seconds.into())
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime();
    let (year, month, day) = (time.year(), time.month(), time.day());
    write!(
        out,
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        time.hour(),
        time.minute(),
        time.second()
    )
    .ok()
}

fn write_scheme(scheme: u8, out: &mut String) -> Option<()> {
    let known = SYNCHRONIZATION_SCHEMES.iter().find(|(_, number)| *number == u16::from(scheme));
    match known {
        Some((mnemonic, _)) => out.push_str(mnemonic),
        None => write!(out, "{scheme}").ok()?,
    }
    Some(())
}

fn write_tag(tag: &[u8], out: &mut String) -> Option<()> {
    if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    out.push_str(std::str::from_utf8(tag).ok()?);
    Some(())
}

fn write_bitmap(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let mut last_window = None;
    let mut separator = "";
    while !cursor.is_empty() {
        let window = cursor.u8()?;
        let bits = cursor.string()?;
        // what the text form could not say: windows out of order, empty ones, octets after the last bit
        if last_window >= Some(window) || bits.len() > 32 || bits.last().is_none_or(|octet| *octet == 0) {
            return None;
        }
        last_window = Some(window);
        for (index, octet) in (0_u16..).zip(bits) {
            for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                write!(out, "{separator}{}", RecordType(u16::from(window) << 8 | index << 3 | bit)).ok()?;
                separator = " ";
            }
        }
    }
    Some(())
}

fn write_host_identity(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let (tag_length, algorithm, key_length) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let (tag, key) = (cursor.take(usize::from(tag_length))?, cursor.take(usize::from(key_length))?);
    if tag.is_empty() || key.is_empty() {
        return None;
    }
    write!(out, "{algorithm} ").ok()?;
    encoding::write_hex(tag, out);
    out.push(' ');
    encoding::write_base64(key, out);
    Some(())
}
