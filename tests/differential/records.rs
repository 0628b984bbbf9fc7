//! Record data as text, of many types: those with a name to point to, the plain ones, and types nobody knows.

use crate::random::Random;

/// Types that a name may have any number of, and that mean nothing for how names are found.
const TYPES: [&str; 27] = [
    "A",
    "A",
    "A",
    "AAAA",
    "AAAA",
    "TXT",
    "TXT",
    "MX",
    "MX",
    "SRV",
    "SVCB",
    "HTTPS",
    "NAPTR",
    "CAA",
    "TLSA",
    "SSHFP",
    "HINFO",
    "RP",
    "PTR",
    "LOC",
    "AFSDB",
    "KX",
    "URI",
    "SPF",
    "TYPE65280",
    "TYPE4711",
    "TYPE99",
];

/// A type for a name that is neither alias nor cut.
pub(crate) fn any_type(random: &mut Random) -> &'static str {
    match *random.pick(&TYPES) {
        "SPF" => "TYPE65281",
        "TYPE99" => "EUI48",
        other => other,
    }
}

/// The data of a type that points to a name; `None` for other types.
pub(crate) fn data_with_target(random: &mut Random, record_type: &str, target: &str) -> Option<String> {
    let number = random.below(100);
    Some(match record_type {
        "MX" | "AFSDB" | "KX" => format!("{number} {target}"),
        "PTR" => target.to_owned(),
        "SRV" => format!("{number} 5 443 {target}"),
        "SVCB" | "HTTPS" if random.percent(30) => format!("0 {target}"),
        "SVCB" | "HTTPS" => format!("{} {target} alpn=\"h2,h3\" port=8443", number + 1),
        "NAPTR" => format!("{number} 10 \"S\" \"SIP+D2U\" \"\" {target}"),
        "RP" => format!("{target} {target}"),
        _ => return None,
    })
}

/// The data of a type that points to nothing.
pub(crate) fn data(random: &mut Random, record_type: &str) -> String {
    let number = random.below(200);
    match record_type {
        "A" => format!("192.0.2.{number}"),
        "AAAA" => format!("2001:db8::{number:x}"),
        "TXT" => match random.below(4) {
            0 => format!("\"Text {number}\" \"\" \"an\\\"other; \\009\\255\""),
            1 => format!("\"{}\" \"{number}\"", "long ".repeat(50)),
            _ => format!("\"text {number}\""),
        },
        "CAA" => format!("{} issue \"ca{number}.example\"", random.pick(&[0, 128])),
        "TLSA" => format!("3 1 1 {:064x}", number),
        "SSHFP" => format!("4 2 {:064x}", number),
        "HINFO" => format!("\"cpu {number}\" \"os\""),
        "LOC" => format!("{} 30 12.5 N {} 1 2 W 10m 20m 100m 5m", number % 90, number % 180),
        "URI" => format!("{number} 1 \"https://example.com/{number}\""),
        "EUI48" => format!("00-00-5e-00-53-{number:02x}"),
        "DS" => format!("{number} 13 2 {:064x}", random.number()),
        _ => format!("\\# 4 0a0000{number:02x}"),
    }
}
