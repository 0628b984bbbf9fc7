//! Character-strings and plain octets as text (RFC 1035 §5.1): quotes and backslash escapes, both ways.

use std::fmt::Write;

use super::read::Refusal;
use crate::dns::name::unescape;
use crate::dns::zone::token::Token;

/// Appends a character-string: a length octet and the octets of the token.
pub(super) fn read_string(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    out.push(0);
    read_octets(token, out)?;
    let length = out.len() - start - 1;
    match u8::try_from(length) {
        Ok(length) => out[start] = length,
        Err(_) => {
            let message = format!("a string of {length} octets: at most 255 fit into one");
            return Err(Refusal::at(token, message, "split it into several strings, each in its own quotes"));
        }
    }
    Ok(())
}

/// Appends the octets of the token, escapes resolved.
pub(super) fn read_octets(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut rest = token.text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'\\' => {
                let Some((escaped, after)) = unescape(rest) else {
                    return Err(Refusal::at(
                        token,
                        "bad escape",
                        "a backslash takes one character, or three digits from 000 to 255",
                    ));
                };
                out.push(escaped);
                rest = after;
            }
            b'"' => {
                return Err(Refusal::at(
                    token,
                    "a quote inside a word",
                    "put the whole string in quotes, and write '\\\"' for a quote in it",
                ));
            }
            _ => out.push(octet),
        }
    }
    Ok(())
}

/// Appends octets as a quoted string.
pub(super) fn write_quoted(octets: &[u8], out: &mut String) {
    out.push('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(octet));
            }
            b' '..=b'~' => out.push(char::from(octet)),
            _ => {
                let _ = write!(out, "\\{octet:03}");
            }
        }
    }
    out.push('"');
}
