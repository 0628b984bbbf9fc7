//! The LOC record (RFC 1876): latitude, longitude, altitude, size and precisions, both ways.
//!
//! Angles are thousandths of an arc second from 2^31; lengths are centimetres, and sizes one digit with an exponent.

use std::fmt::Write;

use super::read::{Fields, Refusal, decimal, refuse};
use super::write::Cursor;

const VERSION: u8 = 0;
const EQUATOR: u32 = 1 << 31;
/// Altitudes count from 100 km below the reference, in centimetres.
const ALTITUDE_BASE: i64 = 10_000_000;
const MOST_SIZE: i64 = 9_000_000_000;
/// 1 m, 10 km and 10 m: what is meant when it is not written (RFC 1876 §3).
const DEFAULT_SIZES: [u8; 3] = [0x12, 0x16, 0x13];

pub(super) fn read(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let latitude = read_angle(fields, 90, [b'N', b'S'])?;
    let longitude = read_angle(fields, 180, [b'E', b'W'])?;
    let token = fields.need("an altitude in metres")?;
    let altitude = read_metres(token.text).and_then(|altitude| u32::try_from(altitude + ALTITUDE_BASE).ok());
    let altitude = altitude.ok_or_else(|| refuse(token, "an altitude", "write metres from -100000.00m to 42849672.95m"))?;
    let mut sizes = DEFAULT_SIZES;
    for size in &mut sizes {
        let Some(token) = fields.next() else { break };
        let centimetres = read_metres(token.text).filter(|size| (0..=MOST_SIZE).contains(size));
        *size = pack_size(centimetres.ok_or_else(|| refuse(token, "a size", "write metres from 0.00m to 90000000.00m"))?);
    }
    out.push(VERSION);
    out.extend(sizes);
    for number in [latitude, longitude, altitude] {
        out.extend(number.to_be_bytes());
    }
    Ok(())
}

/// Degrees, minutes and seconds, of which the last two may be missing, and the hemisphere.
fn read_angle(fields: &mut Fields<'_>, most: u32, [positive, negative]: [u8; 2]) -> Result<u32, Refusal> {
    let (positive_text, negative_text) = (char::from(positive), char::from(negative));
    let expected = format!("degrees up to {most}, minutes, seconds, then {positive_text} or {negative_text}");
    let mut thousandths = 0;
    for unit in [3_600_000, 60_000, 1_000] {
        let token = fields.need(&expected)?;
        if is_hemisphere(token.text, positive, negative) {
            let wrong = unit == 3_600_000;
            return if wrong {
                Err(refuse(token, "a number of degrees", &expected))
            } else {
                Ok(place(thousandths, token.text, positive))
            };
        }
        let value = match unit {
            1_000 => fixed_point(token.text, 3).filter(|seconds| *seconds < 60_000),
            60_000 => decimal(token.text)
                .filter(|minutes| *minutes < 60)
                .map(|minutes| i64::from(minutes) * 60_000),
            _ => decimal(token.text)
                .filter(|degrees| *degrees <= most)
                .map(|degrees| i64::from(degrees) * 3_600_000),
        };
        thousandths += value.ok_or_else(|| refuse(token, "an angle", &expected))?;
        if thousandths > i64::from(most) * 3_600_000 {
            return Err(refuse(token, "an angle", &expected));
        }
    }
    let token = fields.need(&expected)?;
    if is_hemisphere(token.text, positive, negative) {
        Ok(place(thousandths, token.text, positive))
    } else {
        Err(refuse(token, "a hemisphere", &expected))
    }
}

fn is_hemisphere(text: &[u8], positive: u8, negative: u8) -> bool {
    matches!(text, [letter] if [positive, negative].contains(&letter.to_ascii_uppercase()))
}

fn place(thousandths: i64, hemisphere: &[u8], positive: u8) -> u32 {
    let thousandths = thousandths as u32;
    if hemisphere.eq_ignore_ascii_case(&[positive]) {
        EQUATOR + thousandths
    } else {
        EQUATOR - thousandths
    }
}

/// Centimetres of `[-]N[.NN][m]`.
fn read_metres(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"m").or_else(|| text.strip_suffix(b"M")).unwrap_or(text);
    match text.strip_prefix(b"-") {
        Some(digits) => fixed_point(digits, 2).map(|centimetres| -centimetres),
        None => fixed_point(text, 2),
    }
}

/// `N[.N]` with up to `places` digits after the point, times ten to the `places`.
fn fixed_point(text: &[u8], places: usize) -> Option<i64> {
    let (whole, fraction) = match text.iter().position(|octet| *octet == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    if fraction.len() > places {
        return None;
    }
    let mut value = i64::from(decimal(whole)?);
    for place in 0..places {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(value)
}

fn pack_size(centimetres: i64) -> u8 {
    let (mut mantissa, mut exponent) = (centimetres, 0);
    while mantissa > 9 {
        mantissa /= 10;
        exponent += 1;
    }
    (mantissa as u8) << 4 | exponent
}

pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    if cursor.u8()? != VERSION {
        return None;
    }
    let sizes = cursor.array::<3>()?;
    write_angle(cursor.u32()?, 90, ['N', 'S'], out)?;
    write_angle(cursor.u32()?, 180, ['E', 'W'], out)?;
    let altitude = i64::from(cursor.u32()?) - ALTITUDE_BASE;
    let sign = if altitude < 0 { "-" } else { "" };
    write!(out, "{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100).ok()?;
    for size in sizes {
        let (mantissa, exponent) = (u64::from(size >> 4), u32::from(size & 15));
        // one digit has one form only: 0x10, not 0x01 with a larger exponent
        if mantissa > 9 || exponent > 9 || (mantissa == 0 && exponent > 0) {
            return None;
        }
        let centimetres = mantissa * 10_u64.pow(exponent);
        write!(out, " {}.{:02}m", centimetres / 100, centimetres % 100).ok()?;
    }
    Some(())
}

fn write_angle(angle: u32, most: u32, [positive, negative]: [char; 2], out: &mut String) -> Option<()> {
    let thousandths = angle.abs_diff(EQUATOR);
    if thousandths > most * 3_600_000 {
        return None;
    }
    let hemisphere = if angle >= EQUATOR { positive } else { negative };
    let (degrees, minutes, seconds) = (thousandths / 3_600_000, thousandths / 60_000 % 60, thousandths % 60_000);
    write!(out, "{degrees} {minutes} {}.{:03} {hemisphere} ", seconds / 1_000, seconds % 1_000).ok()
}
