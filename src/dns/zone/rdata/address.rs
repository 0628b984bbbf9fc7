//! Addresses that are more than an A or AAAA: prefixes (RFC 3123), gateways (RFC 4025, RFC 8777), EUI (RFC 7043),
//! 64-bit identifiers (RFC 6742), node numbers, NSAP (RFC 1706). Both ways.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{hex_digit, read_hex, write_hex};
use super::read::{Fields, Refusal, decimal, number, parse, refuse};
use super::write::Cursor;
use crate::dns::zone::token::Token;

/// Four groups of up to four hex digits with colons.
pub(super) fn read_hex64(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("a 64-bit identifier")?;
    let wrong = || {
        refuse(
            token,
            "a 64-bit identifier",
            "write four groups of hex digits, as in 2001:db8:1140:1000",
        )
    };
    let mut count = 0;
    for group in token.text.split(|octet| *octet == b':') {
        if group.is_empty() || group.len() > 4 {
            return Err(wrong());
        }
        let mut value = 0_u16;
        for digit in group {
            value = value << 4 | u16::from(hex_digit(*digit).ok_or_else(wrong)?);
        }
        out.extend(value.to_be_bytes());
        count += 1;
    }
    if count == 4 { Ok(()) } else { Err(wrong()) }
}

pub(super) fn write_hex64(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    for group in 0..4 {
        let separator = if group == 0 { "" } else { ":" };
        write!(out, "{separator}{:04x}", cursor.u16()?).ok()?;
    }
    Some(())
}

/// One decimal number of 64 bits, or two of 32 bits with a dot.
pub(super) fn read_node_number(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("a node number")?;
    let point = token.text.iter().position(|octet| *octet == b'.');
    let value = match point {
        None => Some(token.text)
            .filter(|text| text.iter().all(u8::is_ascii_digit))
            .and_then(parse::<u64>),
        Some(point) => decimal(&token.text[..point])
            .zip(decimal(&token.text[point + 1..]))
            .map(|(high, low)| u64::from(high) << 32 | u64::from(low)),
    };
    let cure = "write a number of 64 bits, or two of 32 bits with a dot";
    out.extend(value.ok_or_else(|| refuse(token, "a node number", cure))?.to_be_bytes());
    Ok(())
}

/// Pairs of hex digits with hyphens.
pub(super) fn read_eui(fields: &mut Fields<'_>, octets: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("an EUI address")?;
    let wrong = || {
        refuse(
            token,
            "an EUI address",
            &format!("write {octets} pairs of hex digits with hyphens, as in 00-00-5e-00-53-2a"),
        )
    };
    let start = out.len();
    for pair in token.text.split(|octet| *octet == b'-') {
        if pair.len() != 2 {
            return Err(wrong());
        }
        read_hex(pair, out).ok_or_else(wrong)?;
    }
    if out.len() - start == octets { Ok(()) } else { Err(wrong()) }
}

pub(super) fn write_eui(octets: &[u8], out: &mut String) {
    for (index, octet) in octets.iter().enumerate() {
        let separator = if index == 0 { "" } else { "-" };
        let _ = write!(out, "{separator}{octet:02x}");
    }
}

pub(super) fn read_nsap(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("an NSAP address")?;
    let wrong = || {
        refuse(
            token,
            "an NSAP address",
            "write 0x and pairs of hex digits; dots may stand between them",
        )
    };
    let [b'0', b'x' | b'X', digits @ ..] = token.text else {
        return Err(wrong());
    };
    let digits: Vec<u8> = digits.iter().copied().filter(|octet| *octet != b'.').collect();
    read_hex(&digits, out).ok_or_else(wrong)
}

pub(super) fn write_nsap(octets: &[u8], out: &mut String) {
    out.push_str("0x");
    write_hex(octets, out);
}

/// Items `[!]family:address/length`; on the wire the address loses its trailing zero octets.
pub(super) fn read_prefixes(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    while let Some(token) = fields.next() {
        read_prefix(token.text, out).ok_or_else(|| refuse(token, "an address prefix", "write as in 1:192.0.2.0/24 or !2:2001:db8::/32"))?;
    }
    Ok(())
}

fn read_prefix(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = std::str::from_utf8(text).ok()?;
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (0x80, rest),
        None => (0, text),
    };
    let (family, text) = text.split_once(':')?;
    let (address, length) = text.split_once('/')?;
    let length: u8 = length.parse().ok()?;
    let (family, octets, most) = match family {
        "1" => (1_u16, address.parse::<Ipv4Addr>().ok()?.octets().to_vec(), 32),
        "2" => (2_u16, address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 128),
        _ => return None,
    };
    if length > most {
        return None;
    }
    let kept = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    out.extend(family.to_be_bytes());
    out.extend_from_slice(&[length, negated | u8::try_from(kept).ok()?]);
    out.extend_from_slice(&octets[..kept]);
    Some(())
}

pub(super) fn write_prefixes(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let mut separator = "";
    while !cursor.is_empty() {
        let (family, length, kept) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
        let octets = cursor.take(usize::from(kept & 0x7f))?;
        if octets.last() == Some(&0) {
            return None;
        }
        let (address, most) = match family {
            1 => (Ipv4Addr::from(padded::<4>(octets)?).to_string(), 32),
            2 => (Ipv6Addr::from(padded::<16>(octets)?).to_string(), 128),
            _ => return None,
        };
        if length > most {
            return None;
        }
        let negated = if kept & 0x80 == 0 { "" } else { "!" };
        write!(out, "{separator}{negated}{family}:{address}/{length}").ok()?;
        separator = " ";
    }
    Some(())
}

fn padded<const SIZE: usize>(octets: &[u8]) -> Option<[u8; SIZE]> {
    let mut whole = [0; SIZE];
    whole.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(whole)
}

/// Gateway type, algorithm and gateway.
pub(super) fn read_key_gateway(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let kind = number(fields, 3)?;
    let algorithm = number(fields, u8::MAX.into())?;
    out.extend_from_slice(&[kind as u8, algorithm as u8]);
    read_gateway(kind, fields, out)
}

pub(super) fn write_key_gateway(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let (kind, algorithm) = (cursor.u8()?, cursor.u8()?);
    write!(out, "{kind} {algorithm} ").ok()?;
    write_gateway(kind, cursor, out)
}

/// Discovery flag, relay type and relay; flag and type share an octet.
pub(super) fn read_relay_gateway(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let discovery = number(fields, 1)?;
    let kind = number(fields, 3)?;
    out.push((discovery << 7 | kind) as u8);
    if kind == 0 && fields.peek().is_none() {
        return Ok(());
    }
    read_gateway(kind, fields, out)
}

pub(super) fn write_relay_gateway(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let octet = cursor.u8()?;
    let (discovery, kind) = (octet >> 7, octet & 0x7f);
    write!(out, "{discovery} {kind} ").ok()?;
    write_gateway(kind, cursor, out)
}

fn read_gateway(kind: u32, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if kind == 3 {
        return fields.name(out);
    }
    let token: Token<'_> = fields.need("a gateway")?;
    match kind {
        0 if token.text == b"." => Ok(()),
        0 => Err(refuse(token, "'.'", "no gateway (type 0) is written '.'")),
        1 => parse::<Ipv4Addr>(token.text)
            .map(|address| out.extend(address.octets()))
            .ok_or_else(|| refuse(token, "an IPv4 address", "")),
        _ => parse::<Ipv6Addr>(token.text)
            .map(|address| out.extend(address.octets()))
            .ok_or_else(|| refuse(token, "an IPv6 address", "")),
    }
}

fn write_gateway(kind: u8, cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    match kind {
        0 => out.push('.'),
        1 => write!(out, "{}", cursor.ipv4()?).ok()?,
        2 => write!(out, "{}", cursor.ipv6()?).ok()?,
        3 => write!(out, "{}", crate::dns::name::display(cursor.name()?)).ok()?,
        _ => return None,
    }
    Some(())
}
