//! Random changes to octets: bits, lengths, cuts, repetitions, and parts of something else.

use heraldns::base::random::Random;

/// Octets that mean something in a message or in a zone file.
const TELLING: &[u8] = b"\0\x01\x0c\x29\x3f\x40\x7f\x80\xc0\xff \t\r\n\"\\();$@*.=0";

/// Changes `octets` one to four times; some parts come from `other`.
pub(super) fn change(octets: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let (start, end) = range(octets.len(), random);
        match random.below(8) {
            0 if !octets.is_empty() => octets[start.min(end - 1)] ^= 1 << random.below(8),
            1 if !octets.is_empty() => octets[start.min(end - 1)] = pick(TELLING, random),
            2 if !octets.is_empty() => {
                let octet = &mut octets[start.min(end - 1)];
                *octet = octet.wrapping_add(random.below(3) as u8).wrapping_sub(1);
            }
            3 => octets.truncate(end),
            4 => drop(octets.drain(start..end)),
            5 => {
                let repeated = octets[start..end].to_vec();
                octets.splice(end..end, repeated);
            }
            6 => {
                let (from, to) = range(other.len(), random);
                octets.splice(start..end, other[from..to].iter().copied());
            }
            _ => {
                let inserted: Vec<u8> = (0..=random.below(6)).map(|_| pick(TELLING, random)).collect();
                octets.splice(start..start, inserted);
            }
        }
    }
}

/// A part of so many octets, mostly a short one; never empty if there are any.
fn range(octets: usize, random: &mut Random) -> (usize, usize) {
    let start = random.below(octets as u64) as usize;
    let most = if random.chance(800) { 16 } else { octets as u64 };
    let length = 1 + random.below(most) as usize;
    (start, (start + length).min(octets))
}

/// One of the items, of which there is at least one.
pub(super) fn pick<Item: Copy>(items: &[Item], random: &mut Random) -> Item {
    items[random.below(items.len() as u64) as usize]
}

/// Any octets.
pub(super) fn any(count: usize, random: &mut Random) -> Vec<u8> {
    (0..count).map(|_| random.next_u64() as u8).collect()
}
