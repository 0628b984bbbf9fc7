//! The text of a record's data to wire form, by the table.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{
    ALGORITHMS, CERTIFICATE_TYPES, Field, SYNCHRONIZATION_SCHEMES, address, encoding, historic, location, parse_period, service, text,
    write,
};
use crate::dns::name;
use crate::dns::types::RecordType;
use crate::dns::zone::token::Token;

/// Most octets of rdata.
const MAX_RDATA: usize = 65_535;

/// The tokens of a record's data, read one by one.
#[derive(Clone, Debug)]
pub(in crate::dns::zone) struct Fields<'t> {
    tokens: &'t [Token<'t>],
    end: (u32, u32),
    origin: Option<&'t [u8]>,
}

/// Why record data cannot be read, and where. One pointer: nearly all data can be read, and their results are handed up through
/// several functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dns::zone) struct Refusal(Box<Reason>);

/// What a [`Refusal`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dns::zone) struct Reason {
    /// Line and column.
    pub(in crate::dns::zone) place: (u32, u32),
    pub(in crate::dns::zone) message: String,
    pub(in crate::dns::zone) cure: String,
}

impl Refusal {
    /// A refusal at a line and column.
    #[cold]
    pub(in crate::dns::zone) fn new(place: (u32, u32), message: impl Into<String>, cure: impl Into<String>) -> Self {
        let (message, cure) = (message.into(), cure.into());
        Self(Box::new(Reason { place, message, cure }))
    }

    /// What it says.
    pub(in crate::dns::zone) fn into_reason(self) -> Reason {
        *self.0
    }

    /// A refusal of `token`.
    pub(super) fn at(token: Token<'_>, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new((token.line, token.column), message, cure)
    }
}

impl<'t> Fields<'t> {
    /// The fields in `tokens`, of an entry that ends at `end`; relative names are below `origin`.
    pub(in crate::dns::zone) fn new(tokens: &'t [Token<'t>], end: (u32, u32), origin: Option<&'t [u8]>) -> Self {
        Self { tokens, end, origin }
    }

    /// The next token, if there is one.
    pub(super) fn next(&mut self) -> Option<Token<'t>> {
        let (token, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*token)
    }

    /// The next token, which must be there: `expected` says what.
    pub(super) fn need(&mut self, expected: &str) -> Result<Token<'t>, Refusal> {
        self.next().ok_or_else(|| self.missing(expected))
    }

    /// Refuses the end of the entry: `expected` says what should be there.
    fn expect(&self, expected: &str) -> Result<(), Refusal> {
        if self.tokens.is_empty() {
            Err(self.missing(expected))
        } else {
            Ok(())
        }
    }

    fn missing(&self, expected: &str) -> Refusal {
        Refusal::new(self.end, "missing", format!("expected {expected}"))
    }

    /// The token that [`Self::next`] would return.
    pub(super) fn peek(&self) -> Option<Token<'t>> {
        self.tokens.first().copied()
    }

    /// Appends the wire form of the name in the next token.
    pub(super) fn name(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let token = self.need("a name")?;
        name::append_text(token.text, self.origin, out).map_err(|why| Refusal::at(token, format!("{}: {why}", quote(token)), ""))
    }
}

/// `'token' is not EXPECTED`.
pub(super) fn refuse(token: Token<'_>, expected: &str, cure: &str) -> Refusal {
    Refusal::at(token, format!("{} is not {expected}", quote(token)), cure)
}

/// The token's text as an error message shows it: cut, and without what would control a terminal.
pub(in crate::dns::zone) fn quote(token: Token<'_>) -> String {
    const MOST_SHOWN: usize = 60;
    let text = String::from_utf8_lossy(token.text);
    let mut quoted = "'".to_owned();
    for character in text.chars().take(MOST_SHOWN) {
        match character {
            '\0'..='\x1f' | '\x7f' => quoted.push_str(&format!("\\{:03}", u32::from(character))),
            _ if character.is_control() => quoted.push(char::REPLACEMENT_CHARACTER),
            _ => quoted.push(character),
        }
    }
    let is_cut = text.chars().nth(MOST_SHOWN).is_some();
    quoted.push_str(if is_cut { "...'" } else { "'" });
    quoted
}

/// Appends the wire form of a record's data to `out`.
///
/// # Errors
/// The first field that cannot be read; `out` may then hold a part.
pub(in crate::dns::zone) fn read(record_type: RecordType, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    let generic = fields.peek().filter(|token| !token.quoted && token.text == br"\#");
    match (generic, super::fields(record_type)) {
        (Some(token), _) => read_generic(record_type, token, fields, out)?,
        (None, Some(list)) => read_fields(record_type, list, fields, out)?,
        (None, None) => {
            let place = fields.peek().map_or(fields.end, |token| (token.line, token.column));
            let message = format!("{record_type} has no text form of its own");
            return Err(Refusal::new(place, message, r"write its octets as '\# LENGTH HEX' (RFC 3597)"));
        }
    }
    if let Some(token) = fields.next() {
        let message = format!("{} after the last field of {record_type}", quote(token));
        return Err(Refusal::at(
            token,
            message,
            "remove it; a text with spaces needs quotes, a comment begins with ';'",
        ));
    }
    if out.len() - start > MAX_RDATA {
        let message = format!(
            "{record_type} data of {} octets: at most {MAX_RDATA} fit into a record",
            out.len() - start
        );
        return Err(Refusal::new(fields.end, message, ""));
    }
    Ok(())
}

fn read_fields(record_type: RecordType, list: &[super::NamedField], fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    for (name, field) in list {
        read_field(*field, fields, out).map_err(|mut refusal| {
            refusal.0.message = format!("{record_type} {name}: {}", refusal.0.message);
            refusal
        })?;
    }
    Ok(())
}

/// The form of RFC 3597 §5: `\#`, the length, and hex digits in any number of words.
fn read_generic(record_type: RecordType, mark: Token<'_>, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    fields.next();
    let length = number(fields, u16::MAX.into())?;
    read_hex(fields, out)?;
    let found = out.len() - start;
    if found != length as usize {
        let message = format!(r"'\# {length}' is followed by {found} octets");
        return Err(Refusal::at(mark, message, "make length and hex digits agree"));
    }
    if super::fields(record_type).is_some() && write::write_fields(record_type, &out[start..], &mut String::new()).is_none() {
        return Err(Refusal::at(
            mark,
            format!("these octets are no {record_type} data"),
            format!("write the data as {record_type} in text form"),
        ));
    }
    Ok(())
}

fn read_field(field: Field, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match field {
        Field::Name => fields.name(out),
        Field::Names => {
            while fields.peek().is_some() {
                fields.name(out)?;
            }
            Ok(())
        }
        Field::U8 => read_number(fields, 1, out),
        Field::U16 => read_number(fields, 2, out),
        Field::U32 => read_number(fields, 4, out),
        Field::Period => read_period(fields, out),
        Field::Time => read_time(fields, out),
        Field::TypeNumber => read_type(fields, out),
        Field::AlgorithmNumber => read_code(fields, &ALGORITHMS, 1, "an algorithm", out),
        Field::CertificateType => read_code(fields, &CERTIFICATE_TYPES, 2, "a certificate type", out),
        Field::Ipv4 => read_ipv4(fields, out),
        Field::Ipv6 => read_ipv6(fields, out),
        Field::CharacterString => text::read_string(fields.need("a string")?, out),
        Field::OptionalCharacterString => fields.next().map_or(Ok(()), |token| text::read_string(token, out)),
        Field::CharacterStrings => {
            text::read_string(fields.need("a string in quotes")?, out)?;
            while let Some(token) = fields.next() {
                text::read_string(token, out)?;
            }
            Ok(())
        }
        Field::Tag => read_tag(fields, out),
        Field::Text => text::read_octets(fields.need("a string in quotes")?, out),
        Field::Hex => {
            fields.expect("hex digits")?;
            read_hex(fields, out)
        }
        Field::HexOfLength => read_of_length(fields, out, "hex digits, or '-' for none", |text, out| match text {
            b"-" => Some(()),
            _ => encoding::read_hex(text, out),
        }),
        Field::Base64 => {
            fields.expect("base64")?;
            read_base64(fields, out)
        }
        Field::OptionalBase64 => read_base64(fields, out),
        Field::Base64OrDash => match fields.need("base64, or '-' for none")? {
            token if token.text == b"-" => Ok(()),
            token => encoding::read_base64(token.text, out).ok_or_else(|| refuse(token, "base64, or '-' for none", "")),
        },
        Field::Base32Hex => read_of_length(fields, out, "base32 with the extended hex alphabet", encoding::read_base32hex),
        Field::Hex64 => address::read_hex64(fields, out),
        Field::Eui48 => address::read_eui(fields, 6, out),
        Field::Eui64 => address::read_eui(fields, 8, out),
        Field::Nsap => address::read_nsap(fields, out),
        Field::Bitmap => read_bitmap(fields, out),
        Field::ServiceParameters => service::read(fields, out),
        Field::Location => location::read(fields, out),
        Field::AddressPrefixes => address::read_prefixes(fields, out),
        Field::KeyGateway => address::read_key_gateway(fields, out),
        Field::RelayGateway => address::read_relay_gateway(fields, out),
        Field::HostIdentity => read_host_identity(fields, out),
        Field::SynchronizationScheme => read_code(fields, &SYNCHRONIZATION_SCHEMES, 1, "a scheme", out),
        Field::NodeNumber => address::read_node_number(fields, out),
        Field::WellKnownServices => historic::read_services(fields, out),
        Field::NxtTypes => historic::read_types(fields, out),
        Field::AddressPart => historic::read_address_part(fields, out),
        Field::AtmAddress => historic::read_atm_address(fields, out),
    }
}

/// A decimal number up to `most`.
pub(super) fn number(fields: &mut Fields<'_>, most: u32) -> Result<u32, Refusal> {
    let expected = || format!("a number from 0 to {most}");
    let token = fields.need(&expected())?;
    decimal(token.text)
        .filter(|number| *number <= most)
        .ok_or_else(|| refuse(token, &expected(), ""))
}

/// The value of decimal digits.
pub(super) fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    parse(text)
}

/// What `std` reads from the text.
pub(super) fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A decimal number of so many octets.
fn read_number(fields: &mut Fields<'_>, octets: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let number = number(fields, largest(octets))?;
    append_number(number, octets, out);
    Ok(())
}

/// A number of so many octets, or one of the mnemonics.
fn read_code(fields: &mut Fields<'_>, mnemonics: &[(&str, u16)], octets: usize, expected: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need(expected)?;
    let most = largest(octets);
    let known = mnemonics
        .iter()
        .find(|(mnemonic, _)| mnemonic.as_bytes().eq_ignore_ascii_case(token.text));
    let code = known
        .map(|(_, code)| u32::from(*code))
        .or_else(|| decimal(token.text).filter(|code| *code <= most));
    let code = code.ok_or_else(|| refuse(token, expected, &format!("write its number, 0 to {most}, or its mnemonic")))?;
    append_number(code, octets, out);
    Ok(())
}

fn largest(octets: usize) -> u32 {
    u32::MAX >> (32 - 8 * octets)
}

fn append_number(number: u32, octets: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes()[4 - octets..]);
}

fn read_period(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("a number of seconds")?;
    let seconds = parse_period(token.text).ok_or_else(|| refuse(token, "a period", "write seconds, or units as in 1w2d3h4m5s"))?;
    out.extend(seconds.to_be_bytes());
    Ok(())
}

fn read_type(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("a record type")?;
    let record_type =
        RecordType::from_text(token.text).ok_or_else(|| refuse(token, "a record type", "write a mnemonic, or TYPE and its number"))?;
    out.extend(record_type.0.to_be_bytes());
    Ok(())
}

fn read_time(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("a time")?;
    let seconds = if token.text.len() == 14 {
        calendar_time(token.text)
    } else {
        decimal(token.text)
    };
    let seconds = seconds.ok_or_else(|| refuse(token, "a time", "write YYYYMMDDHHmmSS in UTC, or seconds since 1970"))?;
    out.extend(seconds.to_be_bytes());
    Ok(())
}

/// Seconds since 1970 of YYYYMMDDHHmmSS, in 32 bits that wrap (RFC 4034 §3.1.5).
fn calendar_time(text: &[u8]) -> Option<u32> {
    let part = |from: usize, to: usize| decimal(&text[from..to]).and_then(|part| i8::try_from(part).ok());
    let year = i16::try_from(decimal(&text[..4])?).ok()?;
    let time = jiff::civil::DateTime::new(year, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?, 0).ok()?;
    let seconds = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some((seconds & i64::from(u32::MAX)) as u32)
}

fn read_ipv4(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("an IPv4 address")?;
    let Some(octets) = dotted_decimal(token.text) else {
        let cure = match parse::<Ipv6Addr>(token.text) {
            Some(_) => "an IPv6 address needs type AAAA",
            None => "write four numbers up to 255 with dots, as in 192.0.2.1",
        };
        return Err(refuse(token, "an IPv4 address", cure));
    };
    out.extend_from_slice(&octets);
    Ok(())
}

/// The octets of an IPv4 address. Like the standard library's parser, which takes six times as long for what a zone has most of.
fn dotted_decimal(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = text.split(|octet| *octet == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()))?;
        if part.len() > 1 && part[0] == b'0' {
            return None;
        }
        let value = part.iter().try_fold(0_u16, |value, digit| {
            digit.is_ascii_digit().then(|| value * 10 + u16::from(digit - b'0'))
        });
        *octet = u8::try_from(value?).ok()?;
    }
    parts.next().is_none().then_some(octets)
}

fn read_ipv6(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("an IPv6 address")?;
    let Some(address) = parse::<Ipv6Addr>(token.text) else {
        let cure = match parse::<Ipv4Addr>(token.text) {
            Some(_) => "an IPv4 address needs type A",
            None => "write groups of hex digits with colons, as in 2001:db8::1",
        };
        return Err(refuse(token, "an IPv6 address", cure));
    };
    out.extend(address.octets());
    Ok(())
}

fn read_tag(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let token = fields.need("a tag such as issue")?;
    if token.text.is_empty() || !token.text.iter().all(u8::is_ascii_alphanumeric) {
        return Err(refuse(token, "a tag", "write letters and digits, as in issue, issuewild or iodef"));
    }
    text::read_string(token, out)
}

fn read_of_length(
    fields: &mut Fields<'_>,
    out: &mut Vec<u8>,
    expected: &str,
    read: impl Fn(&[u8], &mut Vec<u8>) -> Option<()>,
) -> Result<(), Refusal> {
    let token = fields.need(expected)?;
    let start = out.len();
    out.push(0);
    read(token.text, out).ok_or_else(|| refuse(token, expected, ""))?;
    out[start] = u8::try_from(out.len() - start - 1).map_err(|_| refuse(token, "up to 255 octets", ""))?;
    Ok(())
}

fn read_hex(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    while let Some(token) = fields.next() {
        encoding::read_hex(token.text, out).ok_or_else(|| refuse(token, "pairs of hex digits", ""))?;
    }
    Ok(())
}

fn read_base64(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let Some(first) = fields.peek() else { return Ok(()) };
    let mut digits = Vec::new();
    while let Some(token) = fields.next() {
        digits.extend_from_slice(token.text);
    }
    let cure = "write groups of four characters, the last one filled up with '='";
    encoding::read_base64(&digits, out).ok_or_else(|| Refusal::at(first, "what begins here is not base64", cure))
}

/// The bitmap of RFC 4034 §4.1.2: windows of 256 types, each with the octets up to its last bit.
fn read_bitmap(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut numbers = Vec::new();
    while let Some(token) = fields.next() {
        let record_type = RecordType::from_text(token.text);
        numbers.push(
            record_type
                .ok_or_else(|| refuse(token, "a record type", "write a mnemonic, or TYPE and its number"))?
                .0,
        );
    }
    append_bitmap(numbers, out);
    Ok(())
}

/// Appends the bitmap of these types.
pub(in crate::dns::zone) fn append_bitmap(mut numbers: Vec<u16>, out: &mut Vec<u8>) {
    numbers.sort_unstable();
    for window in numbers.chunk_by(|one, other| one >> 8 == other >> 8) {
        let last = window[window.len() - 1] & 0xff;
        let mut bits = [0_u8; 32];
        for number in window {
            bits[usize::from(number & 0xff) / 8] |= 0x80 >> (number & 7);
        }
        let octets = usize::from(last) / 8 + 1;
        out.extend_from_slice(&[(window[0] >> 8) as u8, octets as u8]);
        out.extend_from_slice(&bits[..octets]);
    }
}

/// Wire: length of the tag, algorithm, length of the key, tag, key. Text: algorithm, tag in hex, key in base64.
fn read_host_identity(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let algorithm = number(fields, u8::MAX.into())?;
    let (mut tag, mut key) = (Vec::new(), Vec::new());
    let token = fields.need("a host identity tag in hex")?;
    encoding::read_hex(token.text, &mut tag).ok_or_else(|| refuse(token, "pairs of hex digits", ""))?;
    let tag_length = u8::try_from(tag.len()).map_err(|_| refuse(token, "a tag of up to 255 octets", ""))?;
    let token = fields.need("a public key in base64")?;
    encoding::read_base64(token.text, &mut key).ok_or_else(|| refuse(token, "base64 in one word", ""))?;
    let key_length = u16::try_from(key.len()).map_err(|_| refuse(token, "a key of up to 65535 octets", ""))?;
    out.extend_from_slice(&[tag_length, algorithm as u8]);
    out.extend(key_length.to_be_bytes());
    out.extend(tag);
    out.extend(key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_standard_library() {
        let parts = [
            "", "0", "00", "01", "7", "99", "100", "199", "255", "256", "999", "1000", "-1", "+1", "a", " 1",
        ];
        for first in parts {
            for second in parts {
                for rest in ["1.2", "1", "1.2.3", "1.2.", ".1.2", "255.0"] {
                    for text in [format!("{first}.{second}.{rest}"), format!("{rest}.{first}.{second}")] {
                        let expected = text.parse::<Ipv4Addr>().ok().map(|address| address.octets());
                        assert_eq!(dotted_decimal(text.as_bytes()), expected, "{text}");
                    }
                }
            }
        }
        assert_eq!(dotted_decimal(b""), None);
        assert_eq!(dotted_decimal(b"1.2.3.\xff"), None);
    }
}
