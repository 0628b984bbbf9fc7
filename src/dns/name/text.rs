//! The text form of names, both ways (RFC 1035 §5.1): labels with dots between them, `\.` and `\DDD` for what is no plain character.
//!
//! Whether a name is absolute, and what it is relative to, is for the caller to say.

use std::fmt;

use super::{MAX_LABEL, MAX_NAME, NameError, labels};

/// The text form of a wire name, absolute, with escapes.
#[must_use]
pub fn display(wire: &[u8]) -> DisplayName<'_> {
    DisplayName(wire)
}

/// Shows a wire name; made by [`display`].
#[derive(Clone, Copy, Debug)]
pub struct DisplayName<'a>(&'a [u8]);

impl fmt::Display for DisplayName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if matches!(self.0, [] | [0, ..]) {
            return formatter.write_char('.');
        }
        for label in labels(self.0) {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => write!(formatter, "\\{}", char::from(octet))?,
                    b'!'..=b'~' => formatter.write_char(char::from(octet))?,
                    _ => write!(formatter, "\\{octet:03}")?,
                }
            }
            formatter.write_char('.')?;
        }
        Ok(())
    }
}

/// Reads the text form of a name and appends its wire form to `wire`; on an error `wire` is as before.
///
/// # Errors
/// What is wrong with the text.
pub fn append_text(text: &[u8], origin: Option<&[u8]>, wire: &mut Vec<u8>) -> Result<(), NameError> {
    let start = wire.len();
    let outcome = append_labels(text, origin, wire, start);
    if outcome.is_err() {
        wire.truncate(start);
    }
    outcome
}

fn append_labels(text: &[u8], origin: Option<&[u8]>, wire: &mut Vec<u8>, start: usize) -> Result<(), NameError> {
    match text {
        b"" => return Err(NameError::Empty),
        b"." => {
            wire.push(0);
            return Ok(());
        }
        b"@" => {
            wire.extend_from_slice(origin.ok_or(NameError::NoOrigin)?);
            return Ok(());
        }
        _ => {}
    }
    wire.reserve(text.len() + 1 + origin.map_or(0, <[u8]>::len));
    let mut length_at = wire.len();
    wire.push(0);
    let mut rest = text;
    loop {
        let plain = rest.iter().take_while(|octet| !matches!(octet, b'.' | b'\\')).count();
        let (octets, after) = rest.split_at(plain);
        wire.extend_from_slice(octets);
        match after.split_first() {
            None => break,
            Some((b'.', after)) => {
                close_label(wire, length_at)?;
                length_at = wire.len();
                wire.push(0);
                rest = after;
            }
            Some((_backslash, after)) => {
                let (escaped, after) = unescape(after).ok_or(NameError::BadEscape)?;
                wire.push(escaped);
                rest = after;
            }
        }
    }
    if wire.len() - length_at > 1 {
        close_label(wire, length_at)?;
        wire.extend_from_slice(origin.ok_or(NameError::NoOrigin)?);
    }
    if wire.len() - start > MAX_NAME {
        Err(NameError::NameTooLong)
    } else {
        Ok(())
    }
}

fn close_label(wire: &mut [u8], length_at: usize) -> Result<(), NameError> {
    match wire.len() - length_at - 1 {
        0 => Err(NameError::EmptyLabel),
        length if length > MAX_LABEL => Err(NameError::LabelTooLong(length)),
        length => {
            wire[length_at] = u8::try_from(length).unwrap_or(u8::MAX);
            Ok(())
        }
    }
}

/// Reads what follows a backslash: three digits up to 255, or one character that is no digit.
#[must_use]
pub fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    if !first.is_ascii_digit() {
        return Some((first, rest));
    }
    let (digits, rest) = text.split_at_checked(3)?;
    let mut value = 0_u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    Some((u8::try_from(value).ok()?, rest))
}
