//! Octets as hex, base64 and base32hex (RFC 4648), both ways, strict.

use std::fmt::Write;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32HEX: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// Appends the octets of hex digits; none for an odd number of digits, or something else than digits.
pub(super) fn read_hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (pairs, rest) = text.as_chunks::<2>();
    for [high, low] in pairs {
        out.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
    }
    rest.is_empty().then_some(())
}

/// The value of a hex digit.
pub(super) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends upper-case hex digits.
pub(super) fn write_hex(octets: &[u8], out: &mut String) {
    for octet in octets {
        let _ = write!(out, "{octet:02X}");
    }
}

/// Appends the octets of base64 with its padding.
pub(super) fn read_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    for (index, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|character| **character == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 != groups.len()) {
            return None;
        }
        let mut bits = 0_u32;
        for character in &group[..4 - padding] {
            bits = bits << 6 | base64_digit(*character)?;
        }
        bits <<= 6 * padding;
        let [_, first, second, third] = bits.to_be_bytes();
        out.extend_from_slice(&[first, second, third][..3 - padding]);
    }
    Some(())
}

fn base64_digit(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Appends base64 with its padding.
pub(super) fn write_base64(octets: &[u8], out: &mut String) {
    for group in octets.chunks(3) {
        let octet = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for position in 0..4 {
            if position > group.len() {
                out.push('=');
            } else {
                let digit = (bits >> (18 - 6 * position)) & 63;
                out.push(char::from(BASE64[digit as usize]));
            }
        }
    }
}

/// Appends the octets of base32hex without padding.
pub(in crate::dns::zone) fn read_base32hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if matches!(text.len() % 8, 1 | 3 | 6) {
        return None;
    }
    let (mut bits, mut count) = (0_u64, 0);
    for character in text {
        let digit = match character.to_ascii_uppercase() {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'A'..=b'V' => digit - b'A' + 10,
            _ => return None,
        };
        bits = (bits << 5 | u64::from(digit)) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push(((bits >> count) & 0xff) as u8);
        }
    }
    Some(())
}

/// Appends base32hex without padding.
pub(super) fn write_base32hex(octets: &[u8], out: &mut String) {
    let (mut bits, mut count) = (0_u32, 0);
    for octet in octets {
        bits = (bits << 8 | u32::from(*octet)) & 0xfff;
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(char::from(BASE32HEX[((bits >> count) & 31) as usize]));
        }
    }
    if count > 0 {
        out.push(char::from(BASE32HEX[((bits << (5 - count)) & 31) as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        let vectors = [
            ("", "", ""),
            ("f", "Zg==", "CO"),
            ("fo", "Zm8=", "CPNG"),
            ("foo", "Zm9v", "CPNMU"),
            ("foob", "Zm9vYg==", "CPNMUOG"),
            ("fooba", "Zm9vYmE=", "CPNMUOJ1"),
            ("foobar", "Zm9vYmFy", "CPNMUOJ1E8"),
        ];
        for (plain, base64, base32hex) in vectors {
            let (mut written64, mut written32) = (String::new(), String::new());
            write_base64(plain.as_bytes(), &mut written64);
            write_base32hex(plain.as_bytes(), &mut written32);
            assert_eq!((written64.as_str(), written32.as_str()), (base64, base32hex));
        }
    }

    #[test]
    fn broken_text_is_refused() {
        for text in ["Z", "Zg=", "Z===", "Zg==Zg==", "Zm9*", "=Zg="] {
            assert_eq!(read_base64(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
        for text in ["C", "CPN", "CPNMUO", "CW"] {
            assert_eq!(read_base32hex(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
        for text in ["a", "0g"] {
            assert_eq!(read_hex(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn octets_come_back(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            for (write, read) in [
                (write_hex as fn(&[u8], &mut String), read_hex as fn(&[u8], &mut Vec<u8>) -> Option<()>),
                (write_base64, read_base64),
                (write_base32hex, read_base32hex),
            ] {
                let (mut text, mut back) = (String::new(), Vec::new());
                write(&octets, &mut text);
                prop_assert_eq!(read(text.as_bytes(), &mut back), Some(()));
                prop_assert_eq!(&back, &octets);
            }
        }
    }
}
