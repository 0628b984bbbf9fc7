//! A zone of 1.4 million records as a registry has it: delegations to hosters, some to servers of their own with glue, and hosts.
//!
//! In the order of the numbers in the names, as an export would be; asked for at random over the whole zone.

use std::io;

use heraldns::base::random::Random;

use super::registry::Registry;
use super::{address, address_text, address_text_v6, write_head};

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

pub(super) fn question(random: &mut Random) -> (String, u16) {
    Registry {
        delegations: DELEGATIONS,
        hosts: HOSTS,
        digits: 6,
    }
    .question(random)
}
