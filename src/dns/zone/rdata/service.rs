//! Service parameters of SVCB and HTTPS (RFC 9460 §2), both ways.
//!
//! Text is a list of `key=value`, in any order; wire is key u16, length u16, value, in the order of the keys. A list in
//! a value has its own escapes: a comma that belongs to an item is `\,` in the value and `\\,` in the file (§A.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{read_base64, write_base64};
use super::read::{Fields, Refusal, parse, refuse};
use super::text::{read_octets, write_quoted};
use super::write::Cursor;
use crate::dns::zone::token::Token;

/// The keys of the IANA registry whose values have a settled form.
const KEYS: [(&str, u16, Value); 12] = [
    ("mandatory", 0, Value::Keys),
    ("alpn", 1, Value::Strings),
    ("no-default-alpn", 2, Value::Nothing),
    ("port", 3, Value::Numbers { most: 1 }),
    ("ipv4hint", 4, Value::Ipv4),
    ("ech", 5, Value::Base64),
    ("ipv6hint", 6, Value::Ipv6),
    ("dohpath", 7, Value::Octets),
    ("ohttp", 8, Value::Nothing),
    ("tls-supported-groups", 9, Value::Numbers { most: usize::MAX }),
    ("docpath", 10, Value::PathSegments),
    ("pvd", 11, Value::Nothing),
];

#[derive(Clone, Copy)]
enum Value {
    Nothing,
    Keys,
    Strings,
    /// As [`Value::Strings`], and may be empty: the root.
    PathSegments,
    Numbers {
        most: usize,
    },
    Ipv4,
    Ipv6,
    Base64,
    Octets,
}

pub(super) fn read(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut parameters: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut last = None;
    while let Some(token) = fields.next() {
        last = Some(token);
        let (key_text, text) = split(token);
        let expected = "a service parameter";
        let key = read_key(key_text).ok_or_else(|| refuse(token, expected, "write key=value with a key such as alpn, port or key65400"))?;
        if parameters.iter().any(|(other, _)| *other == key) {
            return Err(Refusal::at(token, "this key is there twice", "write each key once"));
        }
        let mut value = Vec::new();
        let plain = unescaped(token, text)?;
        if key_text.starts_with(b"key") {
            // keyNNNNN has the octets of the wire as they are, for keys with a name, too
            value = value_text(key, &plain)
                .map(|_| plain)
                .ok_or_else(|| refuse(token, expected, "write the octets of the value"))?;
        } else {
            read_value(key, &plain, &mut value).ok_or_else(|| refuse(token, expected, value_cure(key)))?;
        }
        parameters.push((key, value));
    }
    parameters.sort_unstable_by_key(|(key, _)| *key);
    if let (Some(token), Some(absent)) = (last, absent_mandatory(&parameters)) {
        let message = format!("key {} is mandatory and absent", show_key(absent));
        return Err(Refusal::at(token, message, "add it, or take it off the list 'mandatory'"));
    }
    for (key, value) in parameters {
        out.extend(key.to_be_bytes());
        out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

/// The key, and the value without the quotes that may stand around it.
fn split(token: Token<'_>) -> (&[u8], &[u8]) {
    let Some(equals) = token.text.iter().position(|octet| *octet == b'=') else {
        return (token.text, b"");
    };
    let (key, value) = (&token.text[..equals], &token.text[equals + 1..]);
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    (key, inner.unwrap_or(value))
}

fn unescaped(token: Token<'_>, text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut plain = Vec::with_capacity(text.len());
    read_octets(Token { text, ..token }, &mut plain)?;
    Ok(plain)
}

fn read_key(text: &[u8]) -> Option<u16> {
    let known = KEYS.iter().find(|(name, ..)| name.as_bytes().eq_ignore_ascii_case(text));
    known.map(|(_, key, _)| *key).or_else(|| {
        let digits = text.strip_prefix(b"key")?;
        let leading_zero = digits.len() > 1 && digits[0] == b'0';
        if leading_zero {
            None
        } else {
            u16::try_from(super::read::decimal(digits)?).ok()
        }
    })
}

fn value_form(key: u16) -> Value {
    KEYS.iter()
        .find(|(_, number, _)| *number == key)
        .map_or(Value::Octets, |(_, _, value)| *value)
}

fn value_cure(key: u16) -> &'static str {
    match value_form(key) {
        Value::Nothing => "this key takes no value",
        Value::Keys => "write keys with commas between them, 'mandatory' not among them",
        Value::Strings => "write names of up to 255 octets with commas between them, as in alpn=h2,h3",
        Value::PathSegments => "write path segments of up to 255 octets with commas between them",
        Value::Numbers { .. } => "write a number from 0 to 65535",
        Value::Ipv4 => "write IPv4 addresses with commas between them",
        Value::Ipv6 => "write IPv6 addresses with commas between them",
        Value::Base64 => "write base64",
        Value::Octets => "write up to 65535 octets",
    }
}

fn read_value(key: u16, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let items = || text.split(|octet| *octet == b',');
    match value_form(key) {
        Value::Nothing => text.is_empty().then_some(()),
        Value::Keys => {
            let mut keys: Vec<u16> = items().map(read_key).collect::<Option<_>>()?;
            keys.sort_unstable();
            if keys.first() == Some(&0) || keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return None;
            }
            keys.iter().for_each(|key| out.extend(key.to_be_bytes()));
            Some(())
        }
        Value::PathSegments if text.is_empty() => Some(()),
        Value::Strings | Value::PathSegments => read_strings(text, out),
        Value::Numbers { most } => {
            for item in items() {
                out.extend(parse::<u16>(item)?.to_be_bytes());
            }
            (out.len() / 2 <= most).then_some(())
        }
        Value::Ipv4 => items().try_for_each(|item| parse::<Ipv4Addr>(item).map(|address| out.extend(address.octets()))),
        Value::Ipv6 => items().try_for_each(|item| parse::<Ipv6Addr>(item).map(|address| out.extend(address.octets()))),
        Value::Base64 if text.is_empty() => None,
        Value::Base64 => read_base64(text, out),
        Value::Octets => {
            out.extend_from_slice(text);
            (out.len() <= usize::from(u16::MAX)).then_some(())
        }
    }
}

/// Items with commas between them; `\,` and `\\` are a comma and a backslash of an item.
fn read_strings(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut item = Vec::new();
    let mut finish = |item: &mut Vec<u8>| {
        let length = u8::try_from(item.len()).ok().filter(|length| *length > 0)?;
        out.push(length);
        out.append(item);
        Some(())
    };
    let mut octets = text.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => item.push(*octets.next().filter(|next| matches!(next, b',' | b'\\'))?),
            b',' => finish(&mut item)?,
            _ => item.push(*octet),
        }
    }
    finish(&mut item)?;
    (out.len() <= usize::from(u16::MAX)).then_some(())
}

fn absent_mandatory(parameters: &[(u16, impl AsRef<[u8]>)]) -> Option<u16> {
    let (_, mandatory) = parameters.first().filter(|(key, _)| *key == 0)?;
    let (keys, _) = mandatory.as_ref().as_chunks::<2>();
    keys.iter()
        .map(|key| u16::from_be_bytes(*key))
        .find(|key| !parameters.iter().any(|(present, _)| present == key))
}

fn show_key(key: u16) -> String {
    match KEYS.iter().find(|(_, number, _)| *number == key) {
        Some((name, ..)) => (*name).to_owned(),
        None => format!("key{key}"),
    }
}

pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let mut parameters: Vec<(u16, &[u8])> = Vec::new();
    while !cursor.is_empty() {
        let (key, length) = (cursor.u16()?, cursor.u16()?);
        if parameters.last().is_some_and(|(last, _)| *last >= key) {
            return None;
        }
        parameters.push((key, cursor.take(usize::from(length))?));
    }
    if absent_mandatory(&parameters).is_some() {
        return None;
    }
    for (position, (key, value)) in parameters.into_iter().enumerate() {
        if position > 0 {
            out.push(' ');
        }
        out.push_str(&show_key(key));
        let plain = value_text(key, value)?;
        if !matches!(value_form(key), Value::Nothing) {
            out.push('=');
            write_quoted(&plain, out);
        }
    }
    Some(())
}

/// The value as text, before the escapes of the file.
fn value_text(key: u16, value: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(value);
    let mut text = Vec::new();
    match value_form(key) {
        Value::Nothing => return value.is_empty().then_some(text),
        Value::Octets => return Some(value.to_vec()),
        Value::PathSegments if value.is_empty() => return Some(text),
        Value::Base64 => {
            let mut base64 = String::new();
            write_base64(value, &mut base64);
            return (!value.is_empty()).then_some(base64.into_bytes());
        }
        Value::Keys | Value::Strings | Value::PathSegments | Value::Numbers { .. } | Value::Ipv4 | Value::Ipv6 => {}
    }
    let mut last_key = 0;
    loop {
        match value_form(key) {
            Value::Keys => {
                let key = cursor.u16().filter(|key| *key > last_key)?;
                last_key = key;
                text.extend(show_key(key).into_bytes());
            }
            Value::Strings | Value::PathSegments => {
                for octet in cursor.string().filter(|item| !item.is_empty())? {
                    if matches!(octet, b',' | b'\\') {
                        text.push(b'\\');
                    }
                    text.push(*octet);
                }
            }
            Value::Numbers { most: 1 } if value.len() != 2 => return None,
            Value::Numbers { .. } => text.extend(cursor.u16()?.to_string().into_bytes()),
            Value::Ipv4 => text.extend(cursor.ipv4()?.to_string().into_bytes()),
            _ => text.extend(cursor.ipv6()?.to_string().into_bytes()),
        }
        if cursor.is_empty() {
            return Some(text);
        }
        text.push(b',');
    }
}
