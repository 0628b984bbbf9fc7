//! Random queries that a client could send: names of the zones and beside them, all types, EDNS with options.

use heraldns::base::random::Random;

use super::bodies::query;
use super::change::{any, pick};

const TYPES: [u16; 22] = [
    1, 2, 5, 6, 10, 12, 15, 16, 28, 33, 39, 41, 43, 46, 47, 48, 50, 65, 249, 252, 255, 65_280,
];
const CLASSES: [u16; 4] = [1, 3, 255, 254];
const PAYLOADS: [u16; 6] = [0, 511, 512, 1232, 4096, 65_535];
const NSID: u16 = 3;
const OPTIONS: [u16; 7] = [NSID, 8, 10, 12, 15, 20_292, 65_535];
const CHAOS: [&[u8]; 3] = [b"\x02id\x06server\0", b"\x07version\x04bind\0", b"\x08hostname\x04bind\0"];

/// A whole query, with the settings of the body before it.
pub(super) fn any_query(random: &mut Random) -> Vec<u8> {
    let settings = any(query::SETTINGS, random);
    let flags = if random.chance(900) {
        0x0100 & random.next_u64() as u16
    } else {
        0x7fff & random.next_u64() as u16
    };
    let (class, name) = match random.below(20) {
        0 => (pick(&CLASSES, random), any_name(settings[0], random)),
        1 => (3, pick(&CHAOS, random).to_vec()),
        _ => (1, any_name(settings[0], random)),
    };
    let edns = if random.chance(650) { opt(random) } else { Vec::new() };
    let mut message = [settings, any(2, random)].concat();
    for number in [flags, 1, 0, 0, u16::from(!edns.is_empty())] {
        message.extend(number.to_be_bytes());
    }
    message.extend(name);
    message.extend(pick(&TYPES, random).to_be_bytes());
    message.extend(class.to_be_bytes());
    message.extend(edns);
    message
}

/// A name of the zones, or one a few labels below or above it, in any case.
fn any_name(zones: u8, random: &mut Random) -> Vec<u8> {
    let names = query::names(zones);
    let mut name = names[random.below(names.len() as u64) as usize].clone();
    if random.chance(200) && name.len() > 1 {
        name.drain(..=usize::from(name[0]));
    }
    if random.chance(400) {
        for _ in 0..=random.below(3) {
            let label = pick(&[&b"www"[..], b"*", b"a", b"x", b"zzz", b"\0", b"\xc0\x0c", &[b'l'; 63]], random);
            if name.len() + label.len() < 255 {
                name = [&[label.len() as u8], label, &name].concat();
            }
        }
    }
    if random.chance(300) {
        name.make_ascii_uppercase();
    }
    name
}

fn opt(random: &mut Random) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..random.below(4) {
        let data = any(pick(&[0, 0, 1, 8, 16, 40], random), random);
        options.extend(pick(&OPTIONS, random).to_be_bytes());
        options.extend((data.len() as u16).to_be_bytes());
        options.extend(data);
    }
    let version = if random.chance(950) { 0 } else { random.next_u64() as u8 };
    let flags = if random.chance(500) { 0x8000 } else { 0 };
    let mut record = vec![0, 0, 41];
    record.extend(pick(&PAYLOADS, random).to_be_bytes());
    record.extend([0, version]);
    record.extend(u16::to_be_bytes(flags));
    record.extend((options.len() as u16).to_be_bytes());
    record.extend(options);
    record
}
