//! Durations as the config writes them: `"300ms"`, `"30s"`, `"5m"`, `"1h"`.
//!
//! Used as `#[serde(with = "crate::base::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Reads a whole number with a unit: us, ms, s, m, h or d.
///
/// # Errors
/// What was expected, for text that is no duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let refuse = || format!("'{text}' is no duration: a whole number and a unit (us, ms, s, m, h, d) were expected, as in \"300ms\"");
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
    number.checked_mul(*micros).map(Duration::from_micros).ok_or_else(refuse)
}

/// Writes a duration in the largest unit that keeps it a whole number.
#[must_use]
pub fn format(duration: Duration) -> String {
    let micros = duration.as_micros();
    let fits = |(_, unit): &&(&str, u64)| micros >= u128::from(*unit) && micros.is_multiple_of(u128::from(*unit));
    match UNITS.iter().rev().find(fits) {
        Some((name, unit)) => format!("{}{name}", micros / u128::from(*unit)),
        None => "0s".to_owned(),
    }
}

/// For serde.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

/// For serde.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_what_they_write() {
        for text in ["0s", "1us", "50ms", "300ms", "30s", "5m", "1h", "90d"] {
            let duration = parse(text).unwrap();
            assert_eq!(parse(&format(duration)), Ok(duration), "{text}");
        }
        assert_eq!(format(Duration::from_millis(1_500)), "1500ms");
    }

    #[test]
    fn a_number_needs_its_unit() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "1.5s",
            "-1s",
            "5sec",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
