//! The Internet checksum over an IPv6 pseudo-header (RFC 1071, RFC 8200 §8.1).

use std::net::Ipv6Addr;

/// The checksum of an upper-layer `message` whose own checksum field is zero (to emit) or filled in (to verify).
///
/// Over a message with a right checksum in it the result is 0.
#[must_use]
pub fn upper_layer(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, message: &[u8]) -> u16 {
    let length = message.len() as u64;
    let pseudo = sum(&source.octets()) + sum(&destination.octets()) + (length >> 16) + (length & 0xffff) + u64::from(next_header);
    !fold(pseudo + sum(message))
}

fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let odd = words.remainder().first().map_or(0, |byte| u64::from(*byte) << 8);
    odd + words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_its_checksum_sums_to_zero() {
        let (source, destination) = ("fe80::1".parse().unwrap(), "ff02::1".parse().unwrap());
        for length in [8_usize, 9, 31, 64] {
            let mut message: Vec<u8> = (0..length).map(|index| (index * 37) as u8).collect();
            message[2..4].fill(0);
            let sum = upper_layer(source, destination, 58, &message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(upper_layer(source, destination, 58, &message), 0);
        }
    }
}
