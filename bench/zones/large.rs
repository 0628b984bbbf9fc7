//! A zone of 1.4 million records as a registry has it: delegations to hosters, some to servers of their own with glue, and hosts.
//!
//! In the order of the numbers in the names, as an export would be; asked for at random over the whole zone.

use std::io;

use heraldns::base::random::Random;

use super::{address, address_text, address_text_v6, random_label, write_head};
use crate::question::{A, AAAA, DS, MX, NS, TXT};

const DELEGATIONS: u64 = 400_000;
/// Every so manieth delegation is to servers in itself, with three records of glue.
const OWN_SERVERS: u64 = 10;
const HOSTERS: u64 = 2_000;
const HOSTS: u64 = 240_000;

pub(super) fn write(output: &mut impl io::Write) -> io::Result<()> {
    write_head(output, "large.test")?;
    for number in 0..DELEGATIONS {
        if number % OWN_SERVERS == 0 {
            writeln!(output, "dom{number:06} NS ns1.dom{number:06}\ndom{number:06} NS ns2.dom{number:06}")?;
            writeln!(output, "ns1.dom{number:06} A {}", address_text(number))?;
            writeln!(output, "ns1.dom{number:06} AAAA {}", address_text_v6(1, number))?;
            writeln!(output, "ns2.dom{number:06} A {}", address_text(number + DELEGATIONS))?;
        } else {
            let hoster = Random::seeded(number).below(HOSTERS);
            writeln!(
                output,
                "dom{number:06} NS ns1.hoster{hoster:04}.net.\ndom{number:06} NS ns2.hoster{hoster:04}.net."
            )?;
        }
    }
    for number in 0..HOSTS {
        writeln!(output, "host{number:06} AAAA {}", address_text_v6(2, number))?;
        writeln!(output, "host{number:06} A {}", address_text(number))?;
    }
    Ok(())
}

pub(super) fn sentinel() -> (String, [u8; 4]) {
    (format!("host{:06}", HOSTS - 1), address(HOSTS - 1))
}

/// 60 % A and 20 % AAAA of names at or below any host or delegation, 8 % other types of delegations, 7 % A below
/// delegations, 5 % of names that are not there.
pub(super) fn question(random: &mut Random) -> (String, u16) {
    match random.below(100) {
        0..60 => (any(random), A),
        60..80 => (any(random), AAAA),
        80..82 => (delegation(random), DS),
        82..84 => (delegation(random), MX),
        84..86 => (delegation(random), NS),
        86..88 => (delegation(random), TXT),
        88..95 => (format!("www.{}", delegation(random)), A),
        _ => (random_label(random), A),
    }
}

fn any(random: &mut Random) -> String {
    match random.below(DELEGATIONS + HOSTS) {
        number if number < HOSTS => format!("host{number:06}"),
        number if number % 2 == 0 => format!("dom{:06}", number - HOSTS),
        number => format!("www.dom{:06}", number - HOSTS),
    }
}

fn delegation(random: &mut Random) -> String {
    format!("dom{:06}", random.below(DELEGATIONS))
}
