//! Types of the first years whose data no other type has: WKS (RFC 1035 §3.4.2), NXT (RFC 2535 §5.2), A6 (RFC 2874 §3.1), ATMA.
//!
//! Nobody needs them any more; a zone that has them is read all the same, and written as others write it.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{read_hex, write_hex};
use super::read::{Fields, Refusal, decimal, number, parse, refuse};
use super::write::Cursor;
use crate::dns::types::RecordType;

/// Protocols by name (IANA "Protocol Numbers").
const PROTOCOLS: [(&str, u8); 3] = [("ICMP", 1), ("TCP", 6), ("UDP", 17)];
/// Services by name (RFC 1700): those that a file of that time may name.
#[rustfmt::skip]
const SERVICES: [(&str, u16); 24] = [
    ("echo", 7), ("discard", 9), ("systat", 11), ("daytime", 13), ("netstat", 15), ("qotd", 17), ("chargen", 19), ("ftp-data", 20), ("ftp", 21),
    ("telnet", 23), ("smtp", 25), ("time", 37), ("nameserver", 42), ("whois", 43), ("domain", 53), ("tftp", 69), ("gopher", 70),
    ("finger", 79), ("http", 80), ("hostnames", 101), ("pop3", 110), ("sunrpc", 111), ("nntp", 119), ("ntp", 123),
];
/// The forms of an ATM address: a network service access point in hex, and a telephone number.
const ATM_NSAP: u8 = 0;
const ATM_NUMBER: u8 = 1;
/// NXT knows no types from here on.
const NXT_TYPES: u16 = 128;
/// Bits of an IPv6 address.
const ADDRESS_BITS: u8 = 128;

/// Address, protocol, and services as a bitmap of their ports.
pub(super) fn read_services(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("an IPv4 address")?;
    let address: Ipv4Addr = parse(token.text).ok_or_else(|| refuse(token, "an IPv4 address", ""))?;
    let token = fields.need("a protocol")?;
    let protocol = named(&PROTOCOLS, token.text).or_else(|| decimal(token.text).and_then(|number| u8::try_from(number).ok()));
    let protocol = protocol.ok_or_else(|| refuse(token, "a protocol", "write TCP, UDP or a number from 0 to 255"))?;
    let mut ports = Vec::new();
    while let Some(token) = fields.next() {
        let port = named(&SERVICES, token.text).or_else(|| decimal(token.text).and_then(|number| u16::try_from(number).ok()));
        ports.push(port.ok_or_else(|| refuse(token, "a service", "write its port, 0 to 65535"))?);
    }
    out.extend(address.octets());
    out.push(protocol);
    append_bits(&ports, out);
    Ok(())
}

pub(super) fn write_services(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    write!(out, "{} {}", cursor.ipv4()?, cursor.u8()?).ok()?;
    for port in bits(cursor.rest())? {
        write!(out, " {port}").ok()?;
    }
    Some(())
}

/// Record types below 128 as one bitmap.
pub(super) fn read_types(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut types = Vec::new();
    while let Some(token) = fields.next() {
        let record_type = RecordType::from_text(token.text).filter(|record_type| (1..NXT_TYPES).contains(&record_type.0));
        let cure = "write a mnemonic, or TYPE and its number, below 128";
        types.push(record_type.ok_or_else(|| refuse(token, "a record type that NXT knows", cure))?.0);
    }
    append_bits(&types, out);
    Ok(())
}

pub(super) fn write_types(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let types = bits(cursor.rest())?;
    if types.iter().any(|number| !(1..NXT_TYPES).contains(number)) {
        return None;
    }
    for (position, number) in types.into_iter().enumerate() {
        let separator = if position == 0 { "" } else { " " };
        write!(out, "{separator}{}", RecordType(number)).ok()?;
    }
    Some(())
}

/// Length of the prefix, the address without its prefix, and the name that has the prefix.
pub(super) fn read_address_part(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let length = number(fields, ADDRESS_BITS.into())? as u8;
    out.push(length);
    if length < ADDRESS_BITS {
        let token = fields.need("an IPv6 address")?;
        let address: Ipv6Addr = parse(token.text).ok_or_else(|| refuse(token, "an IPv6 address", ""))?;
        let suffix = address.to_bits() & suffix_mask(length);
        out.extend_from_slice(&suffix.to_be_bytes()[usize::from(length / 8)..]);
    }
    if length > 0 { fields.name(out) } else { Ok(()) }
}

pub(super) fn write_address_part(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let length = cursor.u8().filter(|length| *length <= ADDRESS_BITS)?;
    write!(out, "{length}").ok()?;
    if length < ADDRESS_BITS {
        let mut octets = [0; 16];
        let absent = usize::from(length / 8);
        octets[absent..].copy_from_slice(cursor.take(16 - absent)?);
        let suffix = u128::from_be_bytes(octets);
        if suffix & !suffix_mask(length) != 0 {
            return None;
        }
        write!(out, " {}", Ipv6Addr::from_bits(suffix)).ok()?;
    }
    if length > 0 {
        write!(out, " {}", crate::dns::name::display(cursor.name()?)).ok()?;
    }
    Some(())
}

/// The bits of an address after so many.
fn suffix_mask(length: u8) -> u128 {
    u128::MAX.checked_shr(length.into()).unwrap_or(0)
}

/// `+` and digits, or hex digits; dots anywhere.
pub(super) fn read_atm_address(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("an ATM address")?;
    let cure = "write '+' and the digits of a telephone number, or pairs of hex digits; dots may stand between them";
    let wrong = || refuse(token, "an ATM address", cure);
    let without_dots = |text: &[u8]| -> Vec<u8> { text.iter().copied().filter(|octet| *octet != b'.').collect() };
    match token.text.strip_prefix(b"+") {
        Some(digits) => {
            let digits = without_dots(digits);
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(wrong());
            }
            out.push(ATM_NUMBER);
            out.extend(digits);
        }
        None => {
            let digits = without_dots(token.text);
            out.push(ATM_NSAP);
            read_hex(&digits, out).filter(|()| !digits.is_empty()).ok_or_else(wrong)?;
        }
    }
    Ok(())
}

pub(super) fn write_atm_address(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let form = cursor.u8()?;
    let address = cursor.rest();
    match form {
        _ if address.is_empty() => None,
        ATM_NSAP => {
            write_hex(address, out);
            Some(())
        }
        ATM_NUMBER if address.iter().all(u8::is_ascii_digit) => {
            out.push('+');
            out.push_str(std::str::from_utf8(address).ok()?);
            Some(())
        }
        _ => None,
    }
}

fn named<Number: Copy>(names: &[(&str, Number)], text: &[u8]) -> Option<Number> {
    let found = names.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text));
    found.map(|(_, number)| *number)
}

/// Numbers as bits, the first one being the highest bit of the first octet, up to the octet of the last one.
fn append_bits(numbers: &[u16], out: &mut Vec<u8>) {
    let Some(last) = numbers.iter().max() else { return };
    let start = out.len();
    out.resize(start + usize::from(last / 8) + 1, 0);
    for number in numbers {
        out[start + usize::from(number / 8)] |= 0x80 >> (number % 8);
    }
}

/// The numbers of the bits that are set; none if the last octet has no bit, which the text form could not say.
fn bits(octets: &[u8]) -> Option<Vec<u16>> {
    if octets.last() == Some(&0) {
        return None;
    }
    let mut numbers = Vec::new();
    for (position, octet) in octets.iter().enumerate() {
        for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
            numbers.push(u16::try_from(position * 8 + bit).ok()?);
        }
    }
    Some(numbers)
}
