//! A company's zone of about 1,000 records: hosts, aliases, mail, text, wildcards, delegations with glue.

use std::io;

use heraldns::base::random::Random;

use super::{address, address_text, address_text_v6, random_label, write_head};
use crate::question::{A, AAAA, MX, NS, SOA, TXT};

const HOSTS: u64 = 300;
/// The first hosts have an IPv6 address too.
const HOSTS_IPV6: u64 = 200;
const ALIASES: u64 = 100;
const MAILS: u64 = 60;
const TEXTS: u64 = 80;
const WILDCARDS: u64 = 20;
const DELEGATIONS: u64 = 40;

pub(super) fn write(output: &mut impl io::Write) -> io::Result<()> {
    write_head(output, "small.test")?;
    writeln!(output, "@ MX 10 mail0\n@ TXT \"v=spf1 mx -all\"")?;
    for number in 0..ALIASES {
        writeln!(output, "alias{number} CNAME host{}", number * 2)?;
    }
    for number in 0..MAILS {
        writeln!(output, "mail{number} MX 10 host{number}\nmail{number} A {}", address_text(number))?;
    }
    for number in 0..TEXTS {
        writeln!(output, "text{number} TXT \"site-verification={:016x}\"", number * 0x9e37_79b9)?;
    }
    for number in 0..WILDCARDS {
        writeln!(output, "*.wild{number} A {}", address_text(number))?;
    }
    for number in 0..DELEGATIONS {
        writeln!(output, "sub{number} NS ns1.sub{number}\nsub{number} NS ns2.sub{number}")?;
        writeln!(
            output,
            "ns1.sub{number} A {}\nns1.sub{number} AAAA {}",
            address_text(number),
            address_text_v6(1, number)
        )?;
        writeln!(output, "ns2.sub{number} A {}", address_text(number + DELEGATIONS))?;
    }
    for number in 0..HOSTS {
        if number < HOSTS_IPV6 {
            writeln!(output, "host{number} AAAA {}", address_text_v6(0, number))?;
        }
        writeln!(output, "host{number} A {}", address_text(number))?;
    }
    Ok(())
}

pub(super) fn sentinel() -> (String, [u8; 4]) {
    (format!("host{}", HOSTS - 1), address(HOSTS - 1))
}

/// 60 % A (of them an eighth through an alias and a twelfth from a wildcard), 20 % AAAA, 8 % other types, 7 % below a
/// delegation, 5 % of names that are not there.
pub(super) fn question(random: &mut Random) -> (String, u16) {
    let host = |random: &mut Random| format!("host{}", random.below(HOSTS));
    match random.below(100) {
        0..48 => (host(random), A),
        48..55 => (format!("alias{}", random.below(ALIASES)), A),
        55..60 => (format!("{}.wild{}", random_label(random), random.below(WILDCARDS)), A),
        60..80 => (host(random), AAAA),
        80..83 => (format!("mail{}", random.below(MAILS)), MX),
        83..86 => (format!("text{}", random.below(TEXTS)), TXT),
        86..87 => (String::new(), NS),
        87..88 => (String::new(), SOA),
        88..95 => (format!("www.sub{}", random.below(DELEGATIONS)), A),
        _ => (random_label(random), A),
    }
}
