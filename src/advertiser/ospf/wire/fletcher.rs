//! The checksum of an LSA: Fletcher's of ISO 8473, as RFC 2328 §12.1.7 uses it. The age is left out, it changes on the way.

/// The checksum of an LSA whose `octets` begin after its age and are zero at `position`, where it stands.
pub(super) fn checksum(octets: &[&[u8]], position: usize) -> u16 {
    let (mut low, mut high, mut length) = (0_u64, 0_u64, 0_u64);
    for octet in octets.iter().copied().flatten() {
        low += u64::from(*octet);
        high += low;
        length += 1;
    }
    // At most 65,535 octets: the sums stay far below 2^64.
    let (low, high) = ((low % 255) as i64, (high % 255) as i64);
    let after = length as i64 - position as i64 - 1;
    let first = one_to_255(after * low - high);
    let second = one_to_255(-low - first);
    (first << 8 | second) as u16
}

/// The representative of a number modulo 255 that is not zero.
fn one_to_255(number: i64) -> i64 {
    (number - 1).rem_euclid(255) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The receiver's sums, by the definition: both are zero modulo 255.
    fn sums(octets: &[u8]) -> (u64, u64) {
        octets.iter().fold((0, 0), |(low, high), octet| {
            let low = (low + u64::from(*octet)) % 255;
            (low, (high + low) % 255)
        })
    }

    #[test]
    fn a_receiver_finds_sums_of_zero() {
        for length in [18_usize, 19, 42, 1_000] {
            let mut octets: Vec<u8> = (0..length).map(|index| (index * 31 + 7) as u8).collect();
            octets[14..16].fill(0);
            let sum = checksum(&[&octets[..9], &octets[9..]], 14);
            octets[14..16].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(sums(&octets), (0, 0), "{length}");
            assert!(octets[14] != 0 && octets[15] != 0, "a checksum of zero means none");
        }
    }
}
